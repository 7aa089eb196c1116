//! The work of a session: what is left, what is done, how it ended.

use std::rc::Rc;

use ulid::Ulid;

use super::draft::Look;
use super::history::Entry;
use super::pair::Pair;
use super::remarks::Remarks;
use super::scale::Decision;
use super::unsaved::Unsaved;
use super::view::View;
use crate::feedback::queue::{Target, Today};
use crate::feedback::store::begun::Begun;

/// The work, once nobody else has it open.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Desk {
    /// What is left to judge, in order.
    pub pairs: Vec<Pair>,
    /// The last decisions of earlier sessions, oldest first: undo reaches back to them.
    pub earlier: Vec<Done>,
    /// How many pairs were done before those.
    pub judged: usize,
    /// These guidelines were shown to this annotator before.
    pub guidelines_read: bool,
    /// What the annotator should know about the files, if anything.
    pub notice: String,
    /// What is done of the day's target, if there is one.
    pub today: Option<Today>,
    /// What was begun in earlier sessions and not saved.
    pub begun: Vec<Unsaved>,
    /// The same for other work of this annotator: it is kept for that.
    pub begun_elsewhere: Vec<Begun>,
    /// More pairs are being made and come as [`super::update::Event::Supply`].
    pub more: bool,
}

/// Why the screen was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The annotator quit; there is more to judge.
    Quit,
    /// Everything is judged.
    BatchDone,
    /// The simulated labeller is to judge the rest.
    HandOver,
    /// Another session of this annotator took over.
    TakenOver,
    /// A judgement could not be written; says why.
    WriteFailed(String),
    /// Somebody else has the annotator's judgements open; says who.
    Locked(String),
}

/// A decision that is on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// About what.
    pub pair: Rc<Pair>,
    /// The id of its record.
    pub id: Ulid,
    /// What was decided.
    pub decision: Decision,
    /// What was said beside it.
    pub remarks: Remarks,
    /// The judgement that it edits.
    pub edits: Option<Ulid>,
    /// The pair had been decided before: it was opened from the history.
    pub revision: bool,
    /// How it was looked at; `None` for what no screen recorded.
    pub look: Option<Look>,
}

impl Done {
    /// Whether a pair of the queue is done by it.
    pub(super) fn counts(&self) -> bool {
        !self.revision && self.decision != Decision::Defer
    }

    /// Whether the day's target has one more judgement by it.
    pub(super) fn adds_to(&self, target: Target) -> bool {
        let judged = !matches!(self.decision, Decision::Skip(_) | Decision::Defer);
        let edits_today = self.edits.is_some_and(|id| target.counts(id));
        judged && target.counts(self.id) && !edits_today
    }
}

/// A judgement of the history that is open to be changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Revision {
    /// The judgement.
    pub entry: Entry,
    /// What was begun on the pair at the head of the queue.
    pub aside: (View, Remarks, Option<Decision>),
}
