//! Known answers and repeats, mixed into the queue.
//!
//! An item with a known answer ([`crate::feedback::known`]) tells how careful an annotator is; an item
//! shown again with its sides swapped tells how consistent. Both look like any other item. Whether
//! one follows an item is a draw of that item's own (by hash), so that the mixture is the same after a
//! restart.

use super::Task;
use super::order::{Choice, key, mix, uniform};
use crate::feedback::item::Item;
use crate::feedback::record::{Kind, Purpose};
use crate::feedback::store::history::History;
use std::collections::{HashSet, VecDeque};

/// How many other tasks lie between an item and its repeat, at least. A repeat for which there is no
/// room any more is left out: an item that one still remembers measures memory.
pub const REPEAT_GAP: usize = 20;

/// What is mixed in, and how much of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Checks {
    /// Ids of the items with a known answer. They come as checks only.
    pub known: HashSet<String>,
    /// Known answers per ordinary item, 0..1.
    pub gold_share: f64,
    /// Share of the ordinary items that come a second time, 0..1.
    pub repeat_share: f64,
}

impl Checks {
    /// Mixes checks into `tasks`, which are all tasks of the annotator, answered or not. What could
    /// not be mixed in yet stays with the mixer.
    pub(super) fn mix<'a>(
        &'a self,
        tasks: Vec<Task>,
        items: &[Item],
        history: &History,
        seed: u64,
    ) -> (Vec<Task>, Mixer<'a>) {
        let is_known = |index: &usize| self.known.contains(&items[*index].id);
        let mut mixer = Mixer {
            checks: self,
            seed,
            known: VecDeque::new(),
            again: VecDeque::new(),
            laid: tasks.len(),
        };
        if self.gold_share <= 0.0 && self.repeat_share <= 0.0 {
            return (tasks, mixer);
        }
        let mut known: Vec<usize> = (0..items.len()).filter(is_known).collect();
        known.sort_by_cached_key(|&index| key(seed, &history.annotator, &items[index].id));
        (mixer.known, mixer.laid) = (known.into(), 0);
        let mut mixed = Vec::with_capacity(tasks.len());
        for task in tasks {
            mixer.lay(task, &items[task.index].id, history, &mut mixed);
        }
        (mixed, mixer)
    }
}

/// The mixture so far: it goes on as more items are made.
#[derive(Debug)]
pub struct Mixer<'a> {
    checks: &'a Checks,
    seed: u64,
    /// The known answers that are left; indices.
    known: VecDeque<usize>,
    /// Repeats, and how many tasks have to lie before each.
    again: VecDeque<(usize, Task)>,
    /// How many tasks were laid.
    laid: usize,
}

impl Mixer<'_> {
    /// An item that was just made, and the checks that come after it; `id` is the item's.
    pub fn follow(&mut self, task: Task, id: &str, history: &History) -> Vec<Task> {
        let mut tasks = Vec::new();
        self.lay(task, id, history, &mut tasks);
        tasks
    }

    fn lay(&mut self, task: Task, id: &str, history: &History, tasks: &mut Vec<Task>) {
        let before = tasks.len();
        tasks.push(task);
        let draw = mix(key(self.seed, &history.annotator, id) ^ u64::from(b'c'));
        if uniform(mix(draw)) < self.checks.repeat_share && may_come_again(history, id) {
            let due = self.laid + 1 + REPEAT_GAP;
            self.again.push_back((due, repeat(task)));
        }
        if uniform(draw) < self.checks.gold_share {
            tasks.extend(self.known.pop_front().map(gold));
        }
        self.laid += tasks.len() - before;
        let due = self.again.front().is_some_and(|(due, _)| *due <= self.laid);
        if due && let Some((_, task)) = self.again.pop_front() {
            tasks.push(task);
            self.laid += 1;
        }
    }
}

/// What was skipped or put off is not asked again.
fn may_come_again(history: &History, item: &str) -> bool {
    let event = history.effective(item, 0);
    event.is_none_or(|event| event.kind == Kind::Judgement)
}

fn repeat(task: Task) -> Task {
    Task {
        slot: 1,
        purpose: Purpose::Repeat,
        ..task
    }
}

fn gold(index: usize) -> Task {
    Task {
        index,
        slot: 0,
        purpose: Purpose::Gold,
        choice: Choice::Listed,
    }
}
