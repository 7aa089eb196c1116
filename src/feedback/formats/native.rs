//! Our own interchange rows: an item and one record about it, each in full, so that nothing is lost.
//!
//! `{"rlhf": 1, "settled": false, "item": {…}, "record": {…}}`. A settled judgement is one that an
//! adjudication replaced.

use super::Detail;
use super::judged::{Answer, Judged, Said};
use super::value::{Object, has};
use crate::feedback::item::{Candidate, Item};
use crate::feedback::record::{Kind, Outcome, Purpose, Record};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Version of the row.
const VERSION: u32 = 1;

/// An item and what one annotator last said about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Native {
    rlhf: u32,
    /// True if an adjudication replaced this judgement.
    pub settled: bool,
    /// The text.
    pub item: Item,
    /// The event.
    pub record: Record,
}

/// True if the row is one.
pub fn is(row: &Object) -> bool {
    has(row, &["item", "record"])
}

impl Native {
    /// A row.
    pub fn new(item: Item, record: Record, settled: bool) -> Self {
        Self {
            rlhf: VERSION,
            settled,
            item,
            record,
        }
    }

    /// Reads a row and checks that item and record are sound and belong together.
    pub fn read(row: Object) -> Result<Self, String> {
        let native: Self =
            serde_json::from_value(Value::Object(row)).map_err(|error| error.to_string())?;
        if native.rlhf != VERSION {
            let found = native.rlhf;
            return Err(format!(
                "row version {found} is not supported (expected {VERSION})"
            ));
        }
        let (item, record) = (&native.item, &native.record);
        item.check().map_err(|error| error.to_string())?;
        record.check().map_err(|error| error.to_string())?;
        if item.id != Item::id_of(&item.batch, &item.prompt, &item.candidates) {
            return Err("`item.id` is not made from this batch, prompt and candidates".into());
        }
        let is_answer = matches!(record.kind, Kind::Judgement | Kind::Skip | Kind::Defer);
        if !is_answer || !is_about(record, item) {
            return Err("`record` is not an answer about `item`".into());
        }
        Ok(native)
    }

    /// The row as JSON.
    pub fn write(&self) -> Option<Value> {
        serde_json::to_value(self).ok()
    }

    /// The judgement as other formats carry it; nothing if it is none for training.
    pub fn judged(&self) -> Judged {
        let train = matches!(
            self.record.purpose,
            Some(Purpose::Train | Purpose::Adjudication)
        );
        let counts = train && !self.settled && self.record.kind == Kind::Judgement;
        let mut judged = judged(&self.item, &self.record);
        if !counts {
            judged.said = Said::Nothing;
        }
        judged
    }
}

/// Whether a record names this item, with its text: once written, one that does not would keep the
/// project's labels from being read.
fn is_about(record: &Record, item: &Item) -> bool {
    let judged = record.candidates.iter().map(|c| (&c.id, c.sha256));
    let there = item.candidates.iter().map(|c| (&c.id, c.sha256));
    let prompt = record.prompt.as_ref().map(|prompt| prompt.sha256);
    record.item.as_ref() == Some(&item.id)
        && record.batch.as_ref() == Some(&item.batch)
        && prompt == Some(item.prompt.sha256)
        && judged.eq(there)
}

/// The answers as they stood on a screen, from left to right.
fn shown(item: &Item, record: &Record) -> Vec<usize> {
    let order = record.display.iter().flat_map(|display| &display.order);
    order.filter_map(|id| place(item, id)).collect()
}

fn place(item: &Item, id: &str) -> Option<usize> {
    item.candidates.iter().position(|c| c.id == id)
}

/// What a record says about the answers of its item, by their index.
pub fn said(item: &Item, record: &Record) -> Said {
    let place = |id: &str| place(item, id);
    let group = |group: &Vec<String>| group.iter().filter_map(|id| place(id)).collect();
    let winner = record.winner.as_deref().and_then(place);
    match (&record.ranking, winner, record.outcome) {
        (Some(groups), ..) => Said::Ranking(groups.iter().map(group).collect()),
        (None, Some(winner), _) => Said::Prefer {
            winner,
            strength: record.strength,
        },
        (None, None, Some(Outcome::Tie)) => Said::Tie,
        (None, None, Some(Outcome::BothBad)) => Said::BothBad,
        (None, None, Some(Outcome::CannotJudge)) => Said::CannotJudge,
        (None, None, Some(Outcome::Prefer) | None) => Said::Nothing,
    }
}

/// A judgement of an item as other formats carry it. The models are those that the record names: the
/// item may have come in first with a file that names none.
pub fn judged(item: &Item, record: &Record) -> Judged {
    let answer = |candidate: &Candidate| Answer {
        text: candidate.text.clone(),
        model: Some(policy(candidate, record).to_owned()),
    };
    Judged {
        prompt: item.prompt.text.clone(),
        prompt_id: Some(item.prompt.id.clone()),
        answers: item.candidates.iter().map(answer).collect(),
        shown: shown(item, record),
        said: said(item, record),
        annotator: Some(record.annotator.clone()),
        by_program: record.is_simulated(),
        source: Some(item.batch.clone()),
        note: record.note.clone(),
        active_ms: record.time.map(|time| time.active_ms),
        besides: besides(record),
    }
}

/// The policy that gave an answer, as the record says it.
pub fn policy<'a>(candidate: &'a Candidate, record: &'a Record) -> &'a str {
    let recorded = record.candidate(&candidate.id);
    recorded.map_or(&candidate.policy, |recorded| &recorded.policy)
}

/// What a record holds besides a judgement.
fn besides(record: &Record) -> Vec<Detail> {
    let all = [
        (Detail::Aspects, !record.aspects.is_empty()),
        (Detail::Flags, !record.flags.is_empty()),
        (Detail::Reason, record.reason.is_some()),
        (Detail::Origin, record.origin.is_some()),
        (Detail::Round, record.round.is_some()),
    ];
    let there = all.into_iter().filter(|(_, there)| *there);
    there.map(|(detail, _)| detail).collect()
}
