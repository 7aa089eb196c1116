//! Which item comes next, and which answer stands on which side.
//!
//! Everything random follows from a seed by SHA-256, not from a generator with state: the same item
//! looks the same after a restart, on another machine, and in whatever order items come.

use super::digest::Sha256;
use super::item::{Candidate, Item};
use super::record::Kind;
use super::store::history::History;
use std::collections::{HashSet, VecDeque};

/// The order of the answers on the screen, from left to right, and the seed it follows from.
///
/// The seed is the first eight bytes of SHA-256 over (`seed`, item id, annotator, `slot`); the
/// candidates are sorted by SHA-256 over (that seed, candidate id). Both can be checked later from
/// the record alone.
pub fn side_order(item: &Item, annotator: &str, slot: u8, seed: u64) -> (u64, Vec<String>) {
    let parts = [
        &seed.to_le_bytes()[..],
        item.id.as_bytes(),
        annotator.as_bytes(),
        &[slot],
    ];
    let order_seed = Sha256::of_parts(parts).seed();
    let mut order: Vec<_> = item
        .candidates
        .iter()
        .map(|candidate| candidate.id.clone())
        .collect();
    order.sort_by_cached_key(|id| Sha256::of_parts([&order_seed.to_le_bytes()[..], id.as_bytes()]));
    (order_seed, order)
}

/// Drops answers that equal an earlier one but for white space; returns what is left, in order, and
/// how many were dropped.
pub fn drop_duplicates(candidates: Vec<Candidate>) -> (Vec<Candidate>, usize) {
    let before = candidates.len();
    let mut seen = HashSet::new();
    let fresh = |candidate: &Candidate| {
        let words: Vec<_> = candidate
            .text
            .split_whitespace()
            .map(str::to_owned)
            .collect();
        seen.insert(words)
    };
    let kept: Vec<_> = candidates.into_iter().filter(fresh).collect();
    let dropped = before - kept.len();
    (kept, dropped)
}

/// Two of K answers, every pair equally likely, in their canonical order. The pair follows from
/// `seed` and the answers; `None` if there are fewer than two.
pub fn draw_pair(candidates: &[Candidate], seed: u64) -> Option<[&Candidate; 2]> {
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by_cached_key(|&index| {
        let (sha, index) = (candidates[index].sha256.to_string(), index as u64);
        Sha256::of_parts([
            &seed.to_le_bytes()[..],
            sha.as_bytes(),
            &index.to_le_bytes(),
        ])
    });
    let [a, b, ..] = order[..] else { return None };
    Some([&candidates[a.min(b)], &candidates[a.max(b)]])
}

/// One item to be judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task {
    /// Index into the items the queue was made from.
    pub index: usize,
    /// 0 for the first time this annotator sees the item.
    pub slot: u8,
}

/// What an annotator still has to do, next first.
#[derive(Debug, Clone)]
pub struct Queue {
    tasks: VecDeque<Task>,
    total: usize,
}

impl Queue {
    /// The items that `history` has neither judged nor skipped: first those never answered, in an
    /// order that is random and each annotator's own, then the deferred ones, in the order in which
    /// they were deferred.
    pub fn new(items: &[Item], history: &History, seed: u64) -> Self {
        let event = |index: &usize| history.effective(&items[*index].id, 0);
        let all = 0..items.len();
        let mut fresh: Vec<_> = all.clone().filter(|index| event(index).is_none()).collect();
        fresh.sort_by_cached_key(|&index| {
            let (item, annotator) = (&items[index].id, &history.annotator);
            let parts = [
                &seed.to_le_bytes()[..],
                annotator.as_bytes(),
                item.as_bytes(),
            ];
            Sha256::of_parts(parts)
        });
        let is_deferred = |index: &usize| event(index).is_some_and(|e| e.kind == Kind::Defer);
        let mut deferred: Vec<_> = all.filter(is_deferred).collect();
        deferred.sort_by_key(|index| event(index).map(|e| (e.file, e.line)));
        let tasks = fresh
            .into_iter()
            .chain(deferred)
            .map(|index| Task { index, slot: 0 });
        Self {
            tasks: tasks.collect(),
            total: items.len(),
        }
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

    /// How many items there are in all.
    pub fn total(&self) -> usize {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feedback::item::{Prompt, PromptText, Selector};

    fn item(n: usize) -> Item {
        let prompt = Prompt::new(None, PromptText::Text(format!("question {n}"))).unwrap();
        let candidates = ["yes", "no"]
            .map(|a| Candidate::new(format!("{a} {n}"), "p"))
            .to_vec();
        let selector = Selector {
            name: "all".into(),
            score: None,
            seed: 0,
        };
        Item::new("b", 0, prompt, candidates, selector).unwrap()
    }

    #[test]
    fn sides_are_fixed_by_the_seed_and_fair_over_items() {
        let first_left = (0..1000).filter(|&n| {
            let item = item(n);
            let (seed, order) = side_order(&item, "ann", 0, 7);
            assert_eq!((seed, order.clone()), side_order(&item, "ann", 0, 7));
            order[0] == item.candidates[0].id
        });
        let first_left = first_left.count();
        // Four standard deviations of a fair coin: 500 ± 63.
        assert!((437..=563).contains(&first_left), "{first_left}");
    }

    #[test]
    fn seed_item_annotator_and_slot_all_matter() {
        let order_seed = |n, annotator, slot, seed| side_order(&item(n), annotator, slot, seed).0;
        let seeds = HashSet::from([
            order_seed(0, "ann", 0, 7),
            order_seed(1, "ann", 0, 7),
            order_seed(0, "bob", 0, 7),
            order_seed(0, "ann", 1, 7),
            order_seed(0, "ann", 0, 8),
        ]);
        assert_eq!(seeds.len(), 5);
    }

    #[test]
    fn answers_that_differ_in_white_space_only_are_one() {
        let texts = ["a b", " a\n b ", "ab", "a b c", "a b"];
        let candidates = texts.map(|text| Candidate::new(text.into(), "p")).to_vec();
        let (kept, dropped) = drop_duplicates(candidates);
        let kept: Vec<_> = kept
            .iter()
            .map(|candidate| candidate.text.as_str())
            .collect();
        assert_eq!((kept.as_slice(), dropped), (&["a b", "ab", "a b c"][..], 2));
    }

    #[test]
    fn every_pair_of_four_is_drawn_about_equally_often() {
        let four = ["a", "b", "c", "d"].map(|text| Candidate::new(text.into(), "p"));
        let mut counts = std::collections::BTreeMap::new();
        for seed in 0..6000 {
            let [a, b] = draw_pair(&four, seed).unwrap();
            assert!(a.text < b.text);
            *counts
                .entry((a.text.clone(), b.text.clone()))
                .or_insert(0_u32) += 1;
        }
        // Four standard deviations of Binomial(6000, 1/6): 1000 ± 116.
        assert_eq!(counts.len(), 6);
        assert!(
            counts.values().all(|count| (884..=1116).contains(count)),
            "{counts:?}"
        );
        assert!(draw_pair(&four[..1], 0).is_none());
    }
}
