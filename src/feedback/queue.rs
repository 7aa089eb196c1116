//! Which item comes next, and which answer stands on which side.
//!
//! | file | what |
//! |---|---|
//! | `sides` | left and right, duplicates, one pair of several answers |
//! | [`order`] | random, round-robin over prompts, most informative first; the random share |
//! | [`roster`] | which items are whose, without anybody to ask |
//! | [`checks`] | known answers and repeats, mixed in |
//!
//! Everything random follows from a seed by SHA-256, not from a generator with state: the same item
//! looks the same after a restart, on another machine, and in whatever order items come. The queue is
//! laid out over all items, answered ones included, and what is answered is then left out: what
//! comes next does not depend on when one stopped.

pub mod checks;
pub mod order;
pub mod roster;
mod sides;
#[cfg(test)]
pub(crate) mod tests;

use self::checks::{Checks, Mixer};
use self::order::{Choice, Order, on_all_cores};
use self::roster::Roster;
use super::item::Item;
use super::record::{Kind, Purpose};
use super::store::StoreError;
use super::store::history::{Event, History};
use super::store::progress::progress;
use std::collections::{HashMap, HashSet, VecDeque};
use std::path::Path;
use ulid::Ulid;

pub use sides::{draw_pair, drop_duplicates, side_order};

/// What decides which items an annotator gets, and in which order.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Seed of the order, of the sides and of everything mixed in.
    pub seed: u64,
    /// The order of the items.
    pub order: Order,
    /// Known answers and repeats.
    pub checks: Checks,
    /// Who shares the work.
    pub roster: Roster,
    /// Ids of the items that are this annotator's ([`Plan::divided`]); `None` for all of them.
    pub duty: Option<HashSet<String>>,
    /// How many judgements a day to aim at.
    pub target: Option<Target>,
    /// Instead of labelling: the items in dispute, and the judgements that a decision settles.
    pub disputes: Option<Disputes>,
}

/// Items in dispute: by item id, the ids of the judgements that a decision settles.
pub type Disputes = HashMap<String, Vec<Ulid>>;

/// A daily target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Judgements a day.
    pub per_day: usize,
    /// When the annotator's day began, in milliseconds since 1970.
    pub day_began_ms: u64,
}

impl Target {
    /// Whether an event with this id belongs to the day.
    pub fn counts(&self, id: Ulid) -> bool {
        id.timestamp_ms() >= self.day_began_ms
    }
}

/// How much of a daily target is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Today {
    /// Judgements since the day began.
    pub done: usize,
    /// What to aim at.
    pub target: Target,
}

impl Today {
    /// Whether the target is reached.
    pub fn is_reached(&self) -> bool {
        self.done >= self.target.per_day
    }
}

impl Plan {
    /// Every item once, in random order.
    pub fn seeded(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    /// The plan with the part of the work that falls to the owner of `history`, by what everybody
    /// in `feedback` has done at `now_ms`. Reads nothing if there is nothing to divide.
    ///
    /// # Errors
    /// [`StoreError`] if others' files cannot be read.
    pub fn divided(
        &self,
        feedback: &Path,
        items: &[Item],
        history: &History,
        now_ms: u64,
    ) -> Result<Self, StoreError> {
        let mut plan = self.clone();
        let annotator = &history.annotator;
        if self.disputes.is_none() && self.roster.divides(annotator) {
            let progress = progress(feedback, history)?;
            let roster = &self.roster;
            plan.duty = Some(roster.duty(items, annotator, &progress, self.seed, now_ms));
        }
        Ok(plan)
    }

    /// The mixture of checks as it stands after the tasks for `items`: for items that are made while
    /// their annotator judges.
    pub fn mixer(&self, items: &[Item], history: &History) -> Mixer<'_> {
        laid_out(items, history, self).1
    }

    /// What the owner of `history` has done today, if there is a target.
    pub fn today(&self, history: &History) -> Option<Today> {
        let target = self.target?;
        let judged = history
            .all_effective()
            .filter(|e| e.kind == Kind::Judgement);
        let done = judged.filter(|event| target.counts(event.id)).count();
        Some(Today { done, target })
    }
}

/// One item to be judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Task {
    /// Index into the items the queue was made from.
    pub index: usize,
    /// 0 for the first time this annotator sees the item.
    pub slot: u8,
    /// What the judgement is for.
    pub purpose: Purpose,
    /// Why it comes when it comes.
    pub choice: Choice,
}

/// What an annotator still has to do, next first.
#[derive(Debug, Clone)]
pub struct Queue {
    tasks: VecDeque<Task>,
    total: usize,
}

impl Queue {
    /// The tasks of `plan` that `history` has neither judged nor skipped: first those never answered,
    /// then the deferred ones, in the order in which they were deferred.
    pub fn new(items: &[Item], history: &History, plan: &Plan) -> Self {
        let all = match &plan.disputes {
            Some(disputes) => in_dispute(items, history, disputes, plan.seed),
            None => laid_out(items, history, plan).0,
        };
        // Tasks come in random order: what lies side by side in memory is looked up side by side.
        let indices: Vec<usize> = (0..items.len()).collect();
        let firsts = on_all_cores(&indices, |&index| history.effective(&items[index].id, 0));
        let event = |task: &Task| match task.slot {
            0 => firsts[task.index],
            slot => history.effective(&items[task.index].id, slot),
        };
        let total = all.len();
        let is_deferred = |event: &Event| event.kind == Kind::Defer;
        let (mut tasks, mut deferred) = (VecDeque::new(), Vec::new());
        for task in all {
            match event(&task) {
                None => tasks.push_back(task),
                Some(event) if is_deferred(event) => {
                    deferred.push((event.id, task));
                }
                Some(_) => {}
            }
        }
        // Sessions on two machines can overlap: ids rise with time, lines of one file only.
        deferred.sort_by_key(|(id, _)| *id);
        tasks.extend(deferred.into_iter().map(|(_, task)| task));
        Self { tasks, total }
    }

    /// The task at hand.
    pub fn current(&self) -> Option<Task> {
        self.tasks.front().copied()
    }

    /// The current task was judged or skipped.
    pub fn finish(&mut self) {
        self.tasks.pop_front();
    }

    /// The current task goes to the end.
    pub fn defer(&mut self) {
        let task = self.tasks.pop_front();
        self.tasks.extend(task);
    }

    /// A task comes (back) to the front: after undo, or to edit an earlier judgement.
    pub fn bring(&mut self, task: Task) {
        self.tasks.retain(|&other| other != task);
        self.tasks.push_front(task);
    }

    /// How many tasks are left.
    pub fn left(&self) -> usize {
        self.tasks.len()
    }

    /// How many tasks there are in all, answered ones included.
    pub fn total(&self) -> usize {
        self.total
    }
}

/// Every task of an annotator, answered or not, and what is still to be mixed in.
fn laid_out<'a>(items: &[Item], history: &History, plan: &'a Plan) -> (Vec<Task>, Mixer<'a>) {
    let is_known = |index: usize| plan.checks.known.contains(&items[index].id);
    let is_mine = |index: usize| {
        let id = &items[index].id;
        let duty = plan.duty.as_ref();
        duty.is_none_or(|duty| duty.contains(id)) || history.effective(id, 0).is_some()
    };
    let ordinary: Vec<usize> = (0..items.len()).filter(|&index| !is_known(index)).collect();
    let mut tasks = plan
        .order
        .arrange(items, ordinary, &history.annotator, plan.seed);
    tasks.retain(|task| is_mine(task.index));
    plan.checks.mix(tasks, items, history, plan.seed)
}

/// The items in dispute, in random order. An adjudicator who judged the item before sees it in a new
/// slot, so that the earlier judgement stays. One who skipped it as an adjudicator is not asked again.
fn in_dispute(items: &[Item], history: &History, disputes: &Disputes, seed: u64) -> Vec<Task> {
    let disputed = |&index: &usize| disputes.contains_key(&items[index].id);
    let open: Vec<usize> = (0..items.len()).filter(disputed).collect();
    let mut tasks = Order::default().arrange(items, open, &history.annotator, seed);
    for task in &mut tasks {
        let id = &items[task.index].id;
        let taken = |slot: u8| {
            let event = history.effective(id, slot);
            event.is_some_and(|event| match event.kind {
                Kind::Defer => false,
                Kind::Skip => event.purpose != Some(Purpose::Adjudication),
                _ => true,
            })
        };
        task.slot = (0..u8::MAX).find(|&slot| !taken(slot)).unwrap_or(u8::MAX);
        task.purpose = Purpose::Adjudication;
    }
    tasks
}
