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
    /// Mixes checks into `tasks`, which are all tasks of the annotator, answered or not.
    pub(super) fn mix(
        &self,
        tasks: Vec<Task>,
        items: &[Item],
        history: &History,
        seed: u64,
    ) -> Vec<Task> {
        if self.gold_share <= 0.0 && self.repeat_share <= 0.0 {
            return tasks;
        }
        let mut known = self.shuffled(items, &history.annotator, seed);
        let mut mixed = Vec::with_capacity(tasks.len());
        let mut again: VecDeque<(usize, Task)> = VecDeque::new();
        for task in tasks {
            let id = &items[task.index].id;
            let draw = mix(key(seed, &history.annotator, id) ^ u64::from(b'c'));
            mixed.push(task);
            if uniform(mix(draw)) < self.repeat_share && may_come_again(history, id) {
                again.push_back((mixed.len() + REPEAT_GAP, repeat(task)));
            }
            if uniform(draw) < self.gold_share {
                mixed.extend(known.pop_front().map(gold));
            }
            let due = again.front().is_some_and(|(due, _)| *due <= mixed.len());
            if due && let Some((_, task)) = again.pop_front() {
                mixed.push(task);
            }
        }
        mixed
    }

    fn shuffled(&self, items: &[Item], annotator: &str, seed: u64) -> VecDeque<usize> {
        let is_known = |index: &usize| self.known.contains(&items[*index].id);
        let mut known: Vec<usize> = (0..items.len()).filter(is_known).collect();
        known.sort_by_cached_key(|&index| key(seed, annotator, &items[index].id));
        known.into()
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
