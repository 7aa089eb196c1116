//! Labels made in memory, for tests of what they amount to.

use std::collections::BTreeMap;

use rlhf::feedback::item::{Candidate, Item, Prompt, PromptText, Selector};
use rlhf::feedback::labels::{Label, Labels};
use rlhf::feedback::record::{
    Display, Header, Kind, Layout, Origin, Outcome, Purpose, Record, SIM_PREFIX, Scale, Time,
    UtcMillis,
};
use rlhf::feedback::report::{Expected, Report};
use ulid::Ulid;

/// 2026-09-21T13:33:20Z.
const BEGIN: i64 = 1_790_084_000_000;

/// A project being made: items, and who said what.
#[derive(Default)]
pub struct Project {
    pub labels: Labels,
    pub expected: Expected,
}

/// What somebody said: the rest is as usual.
#[derive(Clone, Copy)]
pub struct Say {
    /// −4..4: positive prefers the first answer; 0 is a tie.
    pub grade: i8,
    pub scale: Scale,
    pub purpose: Purpose,
    pub slot: u8,
    /// The first answer stood on the left.
    pub first_left: bool,
    pub active_ms: u64,
}

pub fn say(grade: i8) -> Say {
    Say {
        grade,
        scale: Scale::Nine,
        purpose: Purpose::Train,
        slot: 0,
        first_left: true,
        active_ms: 4_000,
    }
}

impl Project {
    /// Adds a pair of answers of two policies and returns its index.
    pub fn pair(&mut self, prompt: &str, answers: [(&str, &str); 2]) -> usize {
        self.chosen_by("all", prompt, answers)
    }

    pub fn chosen_by(&mut self, selector: &str, prompt: &str, answers: [(&str, &str); 2]) -> usize {
        let prompt = Prompt::new(None, PromptText::Text(prompt.into())).unwrap();
        let candidates = answers.map(|(text, policy)| Candidate::new(text.into(), policy));
        let selector = Selector {
            name: selector.into(),
            score: None,
            seed: 0,
        };
        let item = Item::new("b1", 0, prompt, candidates.to_vec(), selector).unwrap();
        self.labels.items.push(item);
        self.labels.items.len() - 1
    }

    /// `n` pairs of policy `old` (first) and `new`, each with its own prompt.
    pub fn pairs(&mut self, n: usize) {
        for i in 0..n {
            let (old, new) = (format!("short {i}"), format!("rather longer {i}"));
            self.pair(&format!("question {i}"), [(&old, "old"), (&new, "new")]);
        }
    }

    pub fn says(&mut self, annotator: &str, item: usize, said: Say) -> &mut Record {
        let number = self.labels.labels.len() as i64;
        let header = Header {
            id: Ulid(1 + number as u128),
            session: Ulid(1),
            seq: number as u64,
            ts: UtcMillis(BEGIN + number * 20_000),
            annotator: annotator.into(),
        };
        let about = &self.labels.items[item];
        let mut record = Record::new(Kind::Judgement, header).about(about, said.slot);
        let ids = [0, 1].map(|at| about.candidates[at].id.clone());
        let winner = usize::from(said.grade < 0);
        record.outcome = Some(if said.grade == 0 {
            Outcome::Tie
        } else {
            Outcome::Prefer
        });
        record.winner = (said.grade != 0).then(|| ids[winner].clone());
        record.scale = Some(said.scale);
        if said.grade != 0 && said.scale.max_strength().is_some() {
            record.strength = Some(said.grade.unsigned_abs());
        }
        record.purpose = Some(said.purpose);
        let simulated = annotator.starts_with(SIM_PREFIX);
        record.origin = Some(if simulated {
            Origin::Sim
        } else {
            Origin::Screen
        });
        let mut order = ids.to_vec();
        order.swap(0, usize::from(!said.first_left));
        record.display = Some(Display {
            order,
            order_seed: 0,
            blind: true,
            size: (!simulated).then_some([120, 36]),
            layout: Layout::Split,
            viewed: BTreeMap::new(),
        });
        record.time = (!simulated).then_some(Time {
            shown_ms: said.active_ms,
            active_ms: said.active_ms,
            ..Time::default()
        });
        self.labels.labels.push(Label {
            record,
            item,
            settled: false,
        });
        &mut self.labels.labels.last_mut().unwrap().record
    }

    /// An item of several answers, all of one policy each.
    pub fn several(&mut self, prompt: &str, answers: &[(&str, &str)]) -> usize {
        let prompt = Prompt::new(None, PromptText::Text(prompt.into())).unwrap();
        let candidate = |(text, policy): &(&str, &str)| Candidate::new((*text).into(), *policy);
        let selector = Selector {
            name: "all".into(),
            score: None,
            seed: 0,
        };
        let candidates = answers.iter().map(candidate).collect();
        let item = Item::new("b1", 0, prompt, candidates, selector).unwrap();
        self.labels.items.push(item);
        self.labels.items.len() - 1
    }

    /// Ranks the answers of an item: places of the answers, best first, ties together.
    pub fn ranks(&mut self, annotator: &str, item: usize, groups: &[&[usize]]) -> &mut Record {
        let candidates = &self.labels.items[item].candidates;
        let id = |&at: &usize| candidates[at].id.clone();
        let ids = |group: &&[usize]| group.iter().map(id).collect();
        let ranking: Vec<Vec<String>> = groups.iter().map(ids).collect();
        let all_tie = ranking.len() == 1;
        let record = self.says(annotator, item, say(i8::from(!all_tie)));
        record.scale = Some(Scale::KWay);
        record.winner = None;
        record.strength = None;
        if let [best] = &ranking[0][..] {
            record.winner = Some(best.clone());
        }
        record.ranking = Some(ranking);
        record.display = None;
        record
    }

    /// Both answers were refused.
    pub fn refuses(&mut self, annotator: &str, item: usize) {
        let record = self.says(annotator, item, say(0));
        record.outcome = Some(Outcome::BothBad);
    }

    /// Settles what was said about an item.
    pub fn adjudicates(&mut self, annotator: &str, item: usize, grade: i8) {
        let settled: Vec<Ulid> = self
            .labels
            .labels
            .iter_mut()
            .filter(|label| label.item == item)
            .map(|label| {
                label.settled = true;
                label.record.id
            })
            .collect();
        let said = Say {
            purpose: Purpose::Adjudication,
            ..say(grade)
        };
        let record = self.says(annotator, item, said);
        record.origin = Some(Origin::Adjudication);
        record.adjudicates = settled;
    }

    pub fn report(&self) -> Report {
        let mut labels = Labels {
            items: self.labels.items.clone(),
            labels: self.labels.labels.clone(),
            lengths: None,
        };
        // As they are read: by annotator, then in the order they were made.
        labels
            .labels
            .sort_by(|a, b| a.record.annotator.cmp(&b.record.annotator));
        Report::new(&labels, &self.expected)
    }
}

/// Three annotators of forty pairs, who differ in their own ways, and a program.
pub fn campaign() -> Project {
    let mut project = Project::default();
    for i in 0..40 {
        let policies = [
            ["round-0", "round-1"],
            ["round-1", "round-2"],
            ["round-0", "round-2"],
        ][i % 3];
        let first = format!("Answer {i} in a few words.");
        let second = format!(
            "Answer {i} in words that are many more than the {} of the other.",
            i + 3
        );
        project.pair(
            &format!("Question {}?", i / 2),
            [(&first, policies[0]), (&second, policies[1])],
        );
    }
    for (number, name) in ["ada", "ben", "cleo", "sim:gold"].into_iter().enumerate() {
        for item in 0..40 {
            // Later policies are better; the rest is one of nine habits per annotator.
            let own = ((item * 7 + number * 5 + item * item * (number + 1)) % 9) as i8 - 5;
            let said = Say {
                grade: own.clamp(-4, 4),
                first_left: (item * 3 + number) % 5 < 3,
                active_ms: 3_000 + (item as u64 * 791 + number as u64 * 1_300) % 9_000,
                ..say(0)
            };
            project.says(name, item, said);
        }
    }
    project.refuses("ada", 0);
    project
}
