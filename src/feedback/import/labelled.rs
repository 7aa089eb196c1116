//! A row as an item and a decision about it.

use super::names::safe_name;
use super::{ImportError, Target, temporary};
use crate::feedback::formats::judged::{Answer, Judged, Said};
use crate::feedback::item::{Candidate, Item, ItemError, Prompt, Selector};
use crate::feedback::record::SIM_PREFIX;
use crate::feedback::record::{Scale, Time};
use crate::feedback::spill::Spill;
use crate::feedback::store::answered::key;
use crate::feedback::store::decision::{Decision, Verdict};
use std::collections::HashSet;
use std::path::Path;

/// An item and what was said about it.
pub struct Labelled {
    /// The text.
    pub item: Item,
    /// The decision; `None` for answers to be judged.
    pub decision: Option<Decision>,
    /// Who decided.
    pub annotator: String,
    /// How often this annotator judged the same answers on earlier rows.
    pub slot: u8,
    /// Where the time went.
    pub time: Option<Time>,
    /// Answers of the row that equal another but for white space.
    pub equal_answers: usize,
}

impl Labelled {
    /// `None` if fewer than two answers differ in more than white space.
    ///
    /// # Errors
    /// [`ItemError`] for a row that cannot be an item.
    pub fn new(judged: Judged, target: &Target) -> Result<Option<Self>, ItemError> {
        let (kept, place) = distinct(&judged.answers);
        if kept.len() < 2 {
            return Ok(None);
        }
        let equal_answers = place.len() - kept.len();
        let candidate = |answer: &&Answer| {
            let policy = answer.model.as_deref().or(judged.source.as_deref());
            Candidate::new(answer.text.clone(), policy.unwrap_or(target.batch))
        };
        let mut candidates: Vec<Candidate> = kept.iter().map(candidate).collect();
        let ids: Vec<String> = place.iter().map(|&at| candidates[at].id.clone()).collect();
        // The canonical order must not tell which answer was preferred.
        candidates.sort_by(|a, b| a.id.cmp(&b.id));
        let prompt = Prompt::new(judged.prompt_id, judged.prompt)?;
        let selector = Selector {
            name: "all".into(),
            score: None,
            seed: 0,
        };
        let item = Item::new(target.batch, 0, prompt, candidates, selector)?;
        let name = judged.annotator.as_deref().map(safe_name);
        let name = target.annotator.map(str::to_owned).or(name);
        let name = name.unwrap_or_else(|| "import".into());
        let marked = !judged.by_program || name.starts_with(SIM_PREFIX);
        let annotator = if marked {
            name
        } else {
            format!("{SIM_PREFIX}{name}")
        };
        let decision = verdict(&judged.said, &ids).map(|(verdict, scale)| Decision {
            note: judged.note,
            ..Decision::new(verdict, scale)
        });
        Ok(Some(Self {
            item,
            decision,
            annotator,
            slot: 0,
            equal_answers,
            time: judged.active_ms.map(|ms| Time {
                shown_ms: ms,
                active_ms: ms,
                ..Time::default()
            }),
        }))
    }
}

/// The answers without those that equal an earlier one but for white space, and for each answer the
/// place of the one that is kept.
fn distinct(answers: &[Answer]) -> (Vec<&Answer>, Vec<usize>) {
    let (mut kept, mut place): (Vec<&Answer>, Vec<usize>) = (Vec::new(), Vec::new());
    for answer in answers {
        let same = |other: &&Answer| {
            let words = other.text.split_whitespace();
            words.eq(answer.text.split_whitespace())
        };
        place.push(kept.iter().position(same).unwrap_or_else(|| {
            kept.push(answer);
            kept.len() - 1
        }));
    }
    (kept, place)
}

/// The decision in terms of candidate ids; an answer that was dropped counts as the one it equals.
fn verdict(said: &Said, ids: &[String]) -> Option<(Verdict, Scale)> {
    match said {
        Said::Nothing => None,
        Said::Prefer { winner, strength } => {
            let scale = strength.map_or(Scale::Binary, |_| Scale::Nine);
            let (winner, strength) = (ids[*winner].clone(), *strength);
            Some((Verdict::Prefer { winner, strength }, scale))
        }
        Said::Ranking(groups) => {
            let mut seen = HashSet::new();
            let mut named: Vec<Vec<String>> = Vec::new();
            for group in groups {
                let ids = group.iter().map(|&index| &ids[index]);
                named.push(ids.filter(|id| seen.insert(*id)).cloned().collect());
            }
            named.retain(|group| !group.is_empty());
            Some((Verdict::Ranking(named), Scale::KWay))
        }
        Said::Tie => Some((Verdict::Tie, Scale::Binary)),
        Said::BothBad => Some((Verdict::BothBad, Scale::Binary)),
        Said::CannotJudge => Some((Verdict::CannotJudge, Scale::Binary)),
    }
}

/// How often each annotator has judged each item in this file.
pub struct Slots {
    /// By hash of annotator and item, the number of the last judgement.
    last: Spill<1>,
}

impl Slots {
    /// Nobody has judged anything. `folder` is where a temporary file may lie.
    pub fn new(folder: &Path) -> Self {
        Self {
            last: Spill::new(folder),
        }
    }

    /// Numbers a judgement among those of the same answers by the same annotator. False if there are
    /// too many: the number of a repeat has one byte.
    ///
    /// # Errors
    /// The temporary file cannot be read or written.
    pub fn number(&mut self, labelled: &mut Labelled) -> Result<bool, ImportError> {
        if labelled.decision.is_none() {
            return Ok(true);
        }
        let key = key(&[&labelled.annotator, &labelled.item.id]);
        let next = match self.last.get(key).map_err(temporary)? {
            None => Some(0),
            Some([last]) => last.checked_add(1),
        };
        let Some(next) = next else {
            return Ok(false);
        };
        labelled.slot = next;
        self.last.insert(key, [next]).map_err(temporary)?;
        Ok(true)
    }
}
