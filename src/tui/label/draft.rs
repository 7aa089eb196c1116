//! What is to be written: everything that the screen knows about a decision, as data.

use std::rc::Rc;

use ulid::Ulid;

use super::scale::Decision;
use super::state::{Pair, Remarks};
use crate::feedback::record::{Display, Kind, Layout, Origin, Scale, Time};
use crate::feedback::store::StoreError;
use crate::feedback::store::decision::{self, Aside, Verdict};
use crate::feedback::store::session::Session;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// The pair was judged, skipped or deferred.
    Decide(Decision),
    /// The record with this id is taken back.
    Retract(Ulid),
}

/// How a pair was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Look {
    /// How it stood on the screen.
    pub display: Display,
    /// How long it took.
    pub time: Time,
}

impl Look {
    /// This look after an earlier one whose judgement was taken back, and `changed` or made again:
    /// the times add up, and what was seen stays seen.
    #[must_use]
    pub fn after(mut self, earlier: &Self, changed: bool) -> Self {
        let (now, before) = (self.time, earlier.time);
        self.time = Time {
            shown_ms: before.shown_ms + now.shown_ms,
            active_ms: before.active_ms + now.active_ms,
            first_key_ms: before.first_key_ms.or(now.first_key_ms),
            changes: before.changes + now.changes + u32::from(changed),
        };
        for (id, seen) in &mut self.display.viewed {
            let before = earlier.display.viewed.get(id).copied();
            *seen = seen.max(before.unwrap_or(0.0));
        }
        self
    }
}

/// One event to be written. The store adds its id, its number and the time of day.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// What happened.
    pub act: Act,
    /// About what.
    pub pair: Rc<Pair>,
    /// How it stood on the screen.
    pub display: Display,
    /// How long it took.
    pub time: Time,
    /// The answers that were possible.
    pub scale: Scale,
    /// What was said beside it.
    pub remarks: Remarks,
    /// The judgement that it edits.
    pub edits: Option<Ulid>,
    /// The pair had been decided before.
    pub revision: bool,
}

/// What was on the screen while `pair` was judged; `seen` is the share of each answer, A first.
pub fn display(pair: &Pair, size: (u16, u16), layout: Layout, seen: &[f64]) -> Display {
    let order: Vec<String> = (0..pair.answers())
        .map(|side| pair.answer(side).id.clone())
        .collect();
    // Thousandths: more digits would claim a precision that rows of text do not have.
    let shares = seen.iter().map(|share| (share * 1000.0).round() / 1000.0);
    Display {
        viewed: order.iter().cloned().zip(shares).collect(),
        order,
        order_seed: pair.order_seed,
        blind: true,
        size: Some([size.0, size.1]),
        layout,
    }
}

impl Draft {
    /// Writes it; it is on disk when this returns the id of the record that was made or taken back.
    ///
    /// # Errors
    /// What the store reports; nothing may be shown as saved then.
    pub fn save(&self, session: &mut Session) -> Result<Ulid, StoreError> {
        let shown = decision::Shown {
            item: &self.pair.item,
            slot: self.pair.slot,
            purpose: self.pair.purpose,
            origin: Origin::Screen,
            display: Some(self.display.clone()),
            time: Some(self.time),
        };
        let aside = |reason: Option<&str>| Aside {
            reason: reason.map(str::to_owned),
            flags: self.remarks.flags.clone(),
            note: self.remarks.recorded_note(),
        };
        match self.act {
            Act::Retract(id) => session.retract(id).map(|_| id),
            Act::Decide(Decision::Skip(reason)) => {
                session.put_aside(Kind::Skip, &shown, aside(Some(reason.id)))
            }
            Act::Decide(Decision::Defer) => session.put_aside(Kind::Defer, &shown, aside(None)),
            Act::Decide(decision) => session.judge(&shown, self.judgement(decision)),
        }
    }

    /// The decision as the record states it: the winner is an answer, never a side.
    fn judgement(&self, decision: Decision) -> decision::Decision {
        let id = |side: usize| self.pair.answer(side).id.clone();
        let verdict = match decision {
            Decision::Prefer { side, strength } => Verdict::Prefer {
                winner: id(side),
                strength,
            },
            Decision::Rank(ranks) => {
                let groups = ranks.groups().into_iter();
                Verdict::Ranking(groups.map(|g| g.into_iter().map(id).collect()).collect())
            }
            Decision::Tie => Verdict::Tie,
            Decision::BothBad => Verdict::BothBad,
            Decision::CannotJudge(_) | Decision::Skip(_) | Decision::Defer => Verdict::CannotJudge,
        };
        let mut judgement = decision::Decision::new(verdict, self.scale);
        if let Decision::CannotJudge(reason) = decision {
            judgement.reason = Some(reason.id.to_owned());
        }
        judgement.note = self.remarks.recorded_note();
        judgement.flags.clone_from(&self.remarks.flags);
        judgement.aspects = self.remarks.recorded_aspects(&self.pair);
        judgement.edits = self.edits;
        judgement
    }
}
