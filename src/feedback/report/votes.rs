//! Labels as statistics see them: in canonical order, policies and prompts as numbers.

use crate::feedback::item::Item;
use crate::feedback::labels::{Label, Labels};
use crate::feedback::pairs::comparisons;
use crate::feedback::record::{Kind, Origin, Outcome, Purpose, Record};
use crate::stats::length::Compared;
use crate::stats::rating::Comparison;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Categories of a judgement of two answers: the first canonical one is better …
pub const FIRST: usize = 0;
/// … neither is …
pub const TIE: usize = 1;
/// … the second one is.
pub const SECOND: usize = 2;
/// How many categories those are.
pub const CHOICES: usize = 3;
/// Grades from −4, the second answer is much better, to 4, the first one is, as 0..9.
pub const GRADES: usize = 9;

/// One label with what statistics need of it.
#[derive(Debug, Clone, Copy)]
pub struct Vote<'a> {
    /// The event.
    pub record: &'a Record,
    /// Index of the item.
    pub item: usize,
    /// Index of the prompt: items with one prompt share it.
    pub prompt: usize,
    /// Number of the annotator, in name order.
    pub annotator: usize,
    /// An adjudication replaced it.
    pub settled: bool,
    /// [`FIRST`], [`TIE`] or [`SECOND`], for two answers of which neither was refused.
    pub choice: Option<usize>,
    /// 0..[`GRADES`], for two answers on a scale with strengths, by the words of the scale of nine.
    pub grade: Option<usize>,
    /// Whether the first canonical answer stood on the left of a screen.
    pub first_left: Option<bool>,
    /// Index of the vote.
    index: usize,
}

/// All labels of a project.
#[derive(Debug)]
pub struct Votes<'a> {
    /// In the order of [`Labels::labels`].
    pub all: Vec<Vote<'a>>,
    /// Names of the policies in order: what [`Duel::policies`] counts.
    pub policies: Vec<&'a str>,
    items: &'a [Item],
    /// What the votes say about two candidates at a time, one vote after the other.
    duels: Vec<Duel>,
    /// Where the duels of each vote begin, and the end of the last.
    bounds: Vec<usize>,
    /// How many numbers [`Duel::unit`] can have.
    units: usize,
}

impl<'a> Votes<'a> {
    /// Takes in the labels of a project.
    pub fn new(labels: &'a Labels) -> Self {
        let mut prompts = HashMap::new();
        let prompt_of: Vec<usize> = labels
            .items
            .iter()
            .map(|item| {
                let next = prompts.len();
                *prompts.entry(item.prompt.sha256).or_insert(next)
            })
            .collect();
        let texts = Texts::new(labels);
        let names: BTreeSet<&str> = labels.labels.iter().map(|l| &*l.record.annotator).collect();
        let number: HashMap<&str, usize> = names.into_iter().zip(0..).collect();
        let (mut duels, mut bounds) = (Vec::new(), vec![0]);
        let mut all = Vec::with_capacity(labels.labels.len());
        for (index, label) in labels.labels.iter().enumerate() {
            let annotator = number[&*label.record.annotator];
            let vote = Vote::new(label, index, prompt_of[label.item], annotator);
            texts.duels(&vote, &mut duels);
            bounds.push(duels.len());
            all.push(vote);
        }
        Self {
            all,
            units: texts.units(),
            policies: texts.policies,
            items: &labels.items,
            duels,
            bounds,
        }
    }

    /// How many pairs of answers there are: every two of an item. [`Duel::unit`] is below it.
    pub fn units(&self) -> usize {
        self.units
    }

    /// The item a vote is about.
    pub fn item(&self, vote: &Vote) -> &'a Item {
        &self.items[vote.item]
    }

    /// Votes by annotator, in name order, each in the order they were made.
    pub fn by_annotator(&self) -> BTreeMap<&'a str, Vec<&Vote<'a>>> {
        let mut by_name: BTreeMap<&str, Vec<&Vote>> = BTreeMap::new();
        for votes in self.all.chunk_by(|a, b| a.annotator == b.annotator) {
            let name = votes[0].record.annotator.as_str();
            by_name.entry(name).or_default().extend(votes);
        }
        by_name
    }

    /// What a vote says about two candidates at a time.
    pub fn duels(&self, vote: &Vote) -> &[Duel] {
        &self.duels[self.bounds[vote.index]..self.bounds[vote.index + 1]]
    }

    /// The number of a policy in [`Votes::policies`].
    pub fn policy(&self, name: &str) -> Option<usize> {
        self.policies.binary_search(&name).ok()
    }
}

/// What is looked up for every duel: lengths of all candidates, and policies. An item is known by its
/// text, which two models may share: whose answer was judged is what the record says.
struct Texts<'a> {
    items: &'a [Item],
    /// Every policy that was judged, in name order.
    policies: Vec<&'a str>,
    numbers: HashMap<&'a str, usize>,
    /// Characters of every candidate of every item.
    lengths: Cow<'a, [Vec<u32>]>,
    /// The unit of each item's first two answers, and the end of the last item's.
    firsts: Vec<usize>,
}

impl<'a> Texts<'a> {
    fn new(labels: &'a Labels) -> Self {
        let judged = labels.labels.iter().flat_map(|l| &l.record.candidates);
        let names: BTreeSet<&str> = judged.map(|candidate| &*candidate.policy).collect();
        let known = || labels.items.iter().map(Item::lengths).collect();
        let mut firsts = vec![0];
        for item in &labels.items {
            let k = item.candidates.len();
            firsts.push(firsts[firsts.len() - 1] + k * (k - 1) / 2);
        }
        Self {
            items: &labels.items,
            numbers: names.iter().copied().zip(0..).collect(),
            policies: names.into_iter().collect(),
            lengths: labels
                .lengths
                .as_deref()
                .map_or_else(|| Cow::Owned(known()), Cow::Borrowed),
            firsts,
        }
    }

    fn units(&self) -> usize {
        self.firsts[self.firsts.len() - 1]
    }

    /// A candidate that was judged: its place in the item, its length in characters, its policy.
    fn of(&self, vote: &Vote, candidate: &str) -> Option<(usize, f64, usize)> {
        let mut candidates = self.items[vote.item].candidates.iter();
        let at = candidates.position(|c| c.id == candidate)?;
        let length = *self.lengths[vote.item].get(at)?;
        let policy = &*vote.record.candidate(candidate)?.policy;
        Some((at, f64::from(length), *self.numbers.get(policy)?))
    }

    /// The number of the pair of the answers at `a` and `b` of an item.
    fn unit(&self, item: usize, a: usize, b: usize) -> usize {
        let (a, b, k) = (a.min(b), a.max(b), self.items[item].candidates.len());
        self.firsts[item] + a * (2 * k - a - 1) / 2 + (b - a - 1)
    }

    /// Adds what `vote` says about two candidates at a time.
    fn duels(&self, vote: &Vote, duels: &mut Vec<Duel>) {
        let display = vote.record.display.as_ref().filter(|d| d.size.is_some());
        let left = display.and_then(|display| match &display.order[..] {
            [left, _] => Some(left.as_str()),
            _ => None,
        });
        for (better, worse, tie) in comparisons(vote.record) {
            let [Some((at, long, policy)), Some((to, short, other))] =
                [better, worse].map(|id| self.of(vote, id))
            else {
                continue;
            };
            let sum = long + short;
            duels.push(Duel {
                policies: [policy, other],
                tie,
                unit: self.unit(vote.item, at, to),
                choice: match (tie, at < to) {
                    (true, _) => TIE,
                    (_, true) => FIRST,
                    (_, false) => SECOND,
                },
                side: left.map_or(0.0, |left| if left == better { 1.0 } else { -1.0 }),
                length: if sum > 0.0 { (long - short) / sum } else { 0.0 },
                grade: duel_grade(vote.record, tie),
                prompt: vote.prompt,
            });
        }
    }
}

/// How much better, on the scale of nine; `None` where no strength was asked for.
fn duel_grade(record: &Record, tie: bool) -> Option<f64> {
    record.scale?.max_strength()?;
    if tie {
        return Some(0.0);
    }
    strength(record).map(|strength| strength as f64)
}

/// Two answers met.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Duel {
    /// Policy of the better answer, and of the other, as numbers.
    pub policies: [usize; 2],
    /// Neither was better.
    pub tie: bool,
    /// 1 if the better one stood on the left, −1 on the right, 0 if unknown.
    pub side: f64,
    /// (better − worse) / (better + worse), in characters.
    pub length: f64,
    /// How much better the better one is: 1 to 4 as on the scale of nine, 0 for a tie, `None` where
    /// no strength was asked for (binary, rankings, most imports).
    pub grade: Option<f64>,
    /// The prompt.
    pub prompt: usize,
    /// The number of the pair of answers: the same for everybody who compared these two.
    pub unit: usize,
    /// [`FIRST`], [`TIE`] or [`SECOND`], the answers in the order of the item.
    pub choice: usize,
}

impl Duel {
    /// As the correlation of length and verdict wants it: better is 1, a tie 0.
    pub fn compared(&self) -> Compared {
        Compared {
            length: self.length,
            verdict: f64::from(u8::from(!self.tie)),
            cluster: self.prompt,
        }
    }

    /// The same with the grade for the verdict; `None` without one.
    pub fn graded(&self) -> Option<Compared> {
        let verdict = self.grade?;
        Some(Compared {
            verdict,
            ..self.compared()
        })
    }

    /// As the regression wants it; `number` gives policies other numbers. `None` if one has none.
    pub fn comparison(&self, number: impl Fn(usize) -> Option<usize>) -> Option<Comparison> {
        let [better, worse] = self.policies.map(number);
        Some(Comparison {
            policies: [better?, worse?],
            score: if self.tie { 0.5 } else { 1.0 },
            side: self.side,
            length: self.length,
            cluster: self.prompt,
        })
    }
}

impl<'a> Vote<'a> {
    fn new(label: &'a Label, index: usize, prompt: usize, annotator: usize) -> Self {
        let record = &label.record;
        let choice = choice(record);
        Self {
            record,
            item: label.item,
            prompt,
            annotator,
            index,
            settled: label.settled,
            choice,
            grade: choice.and_then(|choice| grade(record, choice)),
            first_left: first_left(record),
        }
    }

    /// A judgement, not a skip or a deferral.
    pub fn is_judgement(&self) -> bool {
        self.record.kind == Kind::Judgement
    }

    /// A judgement that the annotator made alone, not an adjudication.
    pub fn is_own(&self) -> bool {
        self.is_judgement() && self.record.origin != Some(Origin::Adjudication)
    }

    /// An own judgement of an item that this annotator had not seen before.
    pub fn is_first(&self) -> bool {
        let repeat = self.record.purpose == Some(Purpose::Repeat);
        self.is_own() && self.record.slot == Some(0) && !repeat
    }

    /// Whether it is known when it was made. An import has the time of the import, unless it is a row
    /// of ours: those say what was shown and keep their time. No foreign format that is read here
    /// tells when a judgement was made.
    pub fn has_time(&self) -> bool {
        self.record.origin != Some(Origin::Import) || self.record.display.is_some()
    }

    /// A judgement that counts for policies: what stands in the end, checks left out.
    pub fn is_outcome(&self) -> bool {
        let check = matches!(self.record.purpose, Some(Purpose::Gold | Purpose::Repeat));
        self.is_judgement() && !self.settled && !check
    }

    /// Whether the left one of two answers on a screen won; `None` if there was no screen or no
    /// winner.
    pub fn left_won(&self) -> Option<bool> {
        let first_left = self.first_left?;
        match self.choice? {
            FIRST => Some(first_left),
            SECOND => Some(!first_left),
            _ => None,
        }
    }

    /// Time at work in milliseconds.
    pub fn active_ms(&self) -> Option<f64> {
        self.record.time.map(|time| time.active_ms as f64)
    }
}

fn choice(record: &Record) -> Option<usize> {
    let [first, _] = &record.candidates[..] else {
        return None;
    };
    match (record.outcome?, &record.winner) {
        (Outcome::Tie, _) => Some(TIE),
        (Outcome::Prefer, Some(winner)) if *winner == first.id => Some(FIRST),
        (Outcome::Prefer, Some(_)) => Some(SECOND),
        _ => None,
    }
}

/// The strength on the scale of nine. Both scales end with "much", and the one of seven has no "barely":
/// its 1, "slightly", is the other's 2.
fn strength(record: &Record) -> Option<usize> {
    let missing = 4 - record.scale?.max_strength()?;
    Some(usize::from(record.strength? + missing))
}

/// 4 is a tie; what the scale cannot grade has none.
fn grade(record: &Record, choice: usize) -> Option<usize> {
    record.scale?.max_strength()?;
    match (choice, strength(record)) {
        (TIE, _) => Some(4),
        (FIRST, Some(strength)) => Some(4 + strength),
        (_, Some(strength)) => 4_usize.checked_sub(strength),
        _ => None,
    }
}

fn first_left(record: &Record) -> Option<bool> {
    let display = record.display.as_ref()?;
    display.size?;
    let ([left, _], [first, _]) = (&display.order[..], &record.candidates[..]) else {
        return None;
    };
    Some(*left == first.id)
}
