//! The order of the items.
//!
//! Whoever judges the most informative items first judges a biased sample, and win rates computed
//! from it are wrong. So a share of the items, drawn at random before anything is ordered, keeps its
//! random order and is spread evenly through the queue; judgements of these carry the selector
//! `random`, and every prefix of the queue holds a fair sample of the whole.

use super::Task;
use crate::cores::cores;
use crate::feedback::digest::Sha256;
use crate::feedback::item::{Item, Selector};
use crate::feedback::record::Purpose;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::panic::resume_unwind;
use std::thread;

/// How items are put in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// At random, each annotator in an order of their own.
    #[default]
    Random,
    /// One item of every prompt, then the second of every prompt, and so on.
    RoundRobin,
    /// By score, highest first.
    Informative,
    /// As they are listed, for items that are judged as they are made: no choice of a project.
    #[serde(skip)]
    Listed,
}

/// A strategy with what it needs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Order {
    /// The strategy.
    pub strategy: Strategy,
    /// Share of the items in random order whatever the strategy, 0..=1.
    pub random_share: f64,
    /// Scores by item id. Items that are not there count with the score of their selector; items
    /// with no score at all come last.
    pub scores: HashMap<String, f64>,
}

/// Why a task comes when it comes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Choice {
    /// The order is random, and nothing was selected here.
    Listed,
    /// It belongs to the random share.
    Random,
    /// By round-robin over prompts.
    RoundRobin,
    /// By its score, if it has one.
    Informative(Option<f64>),
}

impl Choice {
    /// What the record says. A choice that was not made here leaves the item's own selector.
    pub fn selector(self, item: &Item, seed: u64) -> Selector {
        let (name, score) = match self {
            Self::Listed => return item.selector.clone(),
            Self::Random => ("random", None),
            Self::RoundRobin => ("round-robin", None),
            Self::Informative(score) => ("informative", score),
        };
        Selector {
            name: name.to_owned(),
            score,
            seed,
        }
    }
}

impl Order {
    /// The items at `indices` as first-time tasks, in order. Where an item stands follows from the
    /// seed, the annotator, and the items and scores there are; never from what was judged.
    pub fn arrange(
        &self,
        items: &[Item],
        indices: Vec<usize>,
        annotator: &str,
        seed: u64,
    ) -> Vec<Task> {
        if self.strategy == Strategy::Listed {
            let tasks = indices.into_iter();
            return tasks.map(|index| task(index, Choice::Listed)).collect();
        }
        let key_of = |&index: &usize| (key(seed, annotator, &items[index].id), index);
        let mut shuffled = parts_on_all_cores(&indices, |part| {
            let mut part: Vec<_> = part.iter().map(key_of).collect();
            part.sort_unstable();
            part
        });
        #[expect(clippy::stable_sort_primitive, reason = "it merges sorted parts")]
        shuffled.sort();
        if self.strategy == Strategy::Random {
            let tasks = shuffled.into_iter();
            return tasks
                .map(|(_, index)| task(index, Choice::Listed))
                .collect();
        }
        let is_random = |&(key, _): &(u64, usize)| uniform(mix(key)) < self.random_share;
        let (random, chosen): (Vec<_>, Vec<_>) = shuffled.into_iter().partition(is_random);
        let random = random.into_iter().map(|(_, i)| task(i, Choice::Random));
        let chosen = chosen.into_iter().map(|(_, index)| index).collect();
        let chosen = match self.strategy {
            Strategy::RoundRobin => round_robin(items, chosen, annotator, seed),
            _ => self.by_score(items, chosen),
        };
        spread(random.collect(), chosen)
    }

    fn by_score(&self, items: &[Item], indices: Vec<usize>) -> Vec<Task> {
        let score = |index: usize| {
            let item = &items[index];
            let given = self.scores.get(&item.id).copied();
            given.or(item.selector.score)
        };
        let mut scored: Vec<_> = indices.into_iter().map(|i| (score(i), i)).collect();
        // Stable: equal scores keep their random order. `None` is less than any score.
        scored.sort_by(|a, b| {
            let order = |score: Option<f64>| score.unwrap_or(f64::NEG_INFINITY);
            order(b.0).total_cmp(&order(a.0))
        });
        let tasks = scored.into_iter();
        tasks
            .map(|(score, index)| task(index, Choice::Informative(score)))
            .collect()
    }
}

/// What `f` makes of each of many numbers, in order.
pub(super) fn on_all_cores<T: Send>(all: &[usize], f: impl Fn(&usize) -> T + Sync) -> Vec<T> {
    parts_on_all_cores(all, |part| part.iter().map(&f).collect())
}

/// What `f` makes of each part of many numbers, one after the other.
fn parts_on_all_cores<T: Send>(all: &[usize], f: impl Fn(&[usize]) -> Vec<T> + Sync) -> Vec<T> {
    const WORTH_A_THREAD: usize = 10_000;
    let cores = cores();
    let share = all.len().div_ceil(cores).max(WORTH_A_THREAD);
    let f = &f;
    thread::scope(|scope| {
        let (first, others) = all.split_at(share.min(all.len()));
        let others = others.chunks(share);
        let others: Vec<_> = others.map(|part| scope.spawn(move || f(part))).collect();
        let mut made = f(first);
        for other in others {
            made.append(&mut other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        made
    })
}

fn task(index: usize, choice: Choice) -> Task {
    Task {
        index,
        slot: 0,
        purpose: Purpose::Train,
        choice,
    }
}

/// The first of every prompt in a random order of prompts, then the second of every prompt, …
fn round_robin(items: &[Item], indices: Vec<usize>, annotator: &str, seed: u64) -> Vec<Task> {
    let mut seen: HashMap<&str, (usize, u64)> = HashMap::new();
    let mut placed = Vec::with_capacity(indices.len());
    for index in indices {
        let prompt = items[index].prompt.id.as_str();
        let entry = seen.entry(prompt);
        let (turn, place) = entry.or_insert_with(|| (0, key(seed, annotator, prompt)));
        placed.push((*turn, *place, index));
        *turn += 1;
    }
    placed.sort_unstable();
    let tasks = placed.into_iter();
    tasks
        .map(|(_, _, index)| task(index, Choice::RoundRobin))
        .collect()
}

/// Merges two lists so that both run through the whole evenly.
fn spread(a: Vec<Task>, b: Vec<Task>) -> Vec<Task> {
    let place = |n: usize| move |(i, task): (usize, Task)| ((i as f64 + 0.5) / n as f64, task);
    let (na, nb) = (a.len(), b.len());
    let a = a.into_iter().enumerate().map(place(na));
    let mut all: Vec<_> = a.chain(b.into_iter().enumerate().map(place(nb))).collect();
    all.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    all.into_iter().map(|(_, task)| task).collect()
}

/// The random number that an annotator has for a name: SHA-256 over (seed, annotator, name).
pub(super) fn key(seed: u64, annotator: &str, name: &str) -> u64 {
    let parts = [
        &seed.to_le_bytes()[..],
        annotator.as_bytes(),
        name.as_bytes(),
    ];
    Sha256::of_parts(parts).seed()
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014): turns a random number into another one
/// that looks independent of it, in a few instructions.
pub(super) fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The first 53 bits as a number in [0, 1).
pub(super) fn uniform(number: u64) -> f64 {
    (number >> 11) as f64 / (1_u64 << 53) as f64
}
