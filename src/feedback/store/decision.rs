//! What a caller says about an item; [`super::session`] makes the record.

use crate::feedback::item::Item;
use crate::feedback::record::{
    Display, Header, Kind, Origin, Outcome, Purpose, Record, Scale, Time,
};
use std::collections::BTreeMap;
use ulid::Ulid;

/// What was put to the annotator.
#[derive(Debug, Clone)]
pub struct Shown<'a> {
    /// The item.
    pub item: &'a Item,
    /// 0 for the first time this annotator sees it.
    pub slot: u8,
    /// What the judgement is for.
    pub purpose: Purpose,
    /// How it comes about.
    pub origin: Origin,
    /// What was on the screen; `None` only for imports.
    pub display: Option<Display>,
    /// Where the time went.
    pub time: Option<Time>,
}

impl Shown<'_> {
    /// The beginning of a record about it.
    pub(super) fn record(&self, kind: Kind, header: Header) -> Record {
        let mut record = Record::new(kind, header).about(self.item, self.slot);
        record.purpose = Some(self.purpose);
        record.origin = Some(self.origin);
        record.display.clone_from(&self.display);
        record.time = self.time;
        record
    }
}

/// The decision itself. A winner is a candidate id, never a side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// One candidate is better.
    Prefer {
        /// Its id.
        winner: String,
        /// 1 barely … 4 much; `None` on a binary scale.
        strength: Option<u8>,
    },
    /// All candidates in groups of equals, best first.
    Ranking(Vec<Vec<String>>),
    /// Equally good.
    Tie,
    /// None is acceptable.
    BothBad,
    /// Cannot tell; the decision's `reason` says why.
    CannotJudge,
}

impl Verdict {
    /// The outcome that stands in the record.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Ranking(groups) if groups.len() == 1 => Outcome::Tie,
            Self::Prefer { .. } | Self::Ranking(_) => Outcome::Prefer,
            Self::Tie => Outcome::Tie,
            Self::BothBad => Outcome::BothBad,
            Self::CannotJudge => Outcome::CannotJudge,
        }
    }
}

/// A verdict with everything the annotator said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// The answers that were possible.
    pub scale: Scale,
    /// −4..4 per aspect; positive favours the first canonical candidate.
    pub aspects: BTreeMap<String, i8>,
    /// Marks such as `unsafe`.
    pub flags: Vec<String>,
    /// Comment.
    pub note: Option<String>,
    /// Why it cannot be judged.
    pub reason: Option<String>,
    /// The judgement that this one edits.
    pub edits: Option<Ulid>,
    /// The judgements of others that this one settles (origin `adjudication` only).
    pub adjudicates: Vec<Ulid>,
}

impl Decision {
    /// A verdict and nothing else.
    pub fn new(verdict: Verdict, scale: Scale) -> Self {
        Self {
            verdict,
            scale,
            aspects: BTreeMap::new(),
            flags: Vec::new(),
            note: None,
            reason: None,
            edits: None,
            adjudicates: Vec::new(),
        }
    }
}

impl Decision {
    /// Fills in the decision fields of a record.
    pub(super) fn write_to(self, record: &mut Record) {
        record.outcome = Some(self.verdict.outcome());
        match self.verdict {
            Verdict::Prefer { winner, strength } => {
                record.winner = Some(winner);
                record.strength = strength;
            }
            Verdict::Ranking(groups) => {
                record.winner = sole_winner(&groups);
                record.ranking = Some(groups);
            }
            Verdict::Tie | Verdict::BothBad | Verdict::CannotJudge => {}
        }
        record.scale = Some(self.scale);
        record.aspects = self.aspects;
        record.flags = self.flags;
        record.note = self.note;
        record.reason = self.reason;
        record.supersedes = self.edits;
        record.adjudicates = self.adjudicates;
    }
}

/// What is said about an item that is skipped or deferred.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Aside {
    /// Why.
    pub reason: Option<String>,
    /// Marks such as `unsafe`.
    pub flags: Vec<String>,
    /// Comment.
    pub note: Option<String>,
}

fn sole_winner(groups: &[Vec<String>]) -> Option<String> {
    match groups {
        [best, _, ..] if best.len() == 1 => best.first().cloned(),
        _ => None,
    }
}
