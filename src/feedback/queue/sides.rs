//! Which answer stands on which side, which answers are one and the same, and which pair is drawn.

use crate::feedback::digest::Sha256;
use crate::feedback::item::{Candidate, Item};
use std::collections::HashSet;

/// The order of the answers on the screen, from left to right, and the seed it follows from.
///
/// The seed is the first eight bytes of SHA-256 over (`seed`, item id, annotator); the candidates
/// are sorted by SHA-256 over (that seed, candidate id). Repeats show the sides swapped: in an odd
/// `slot` the order is the reverse of that of slot 0. All of it can be checked later from the record
/// alone.
pub fn side_order(item: &Item, annotator: &str, slot: u8, seed: u64) -> (u64, Vec<String>) {
    let parts = [
        &seed.to_le_bytes()[..],
        item.id.as_bytes(),
        annotator.as_bytes(),
        &[0],
    ];
    let order_seed = Sha256::of_parts(parts).seed();
    let mut order: Vec<_> = item
        .candidates
        .iter()
        .map(|candidate| candidate.id.clone())
        .collect();
    order.sort_by_cached_key(|id| Sha256::of_parts([&order_seed.to_le_bytes()[..], id.as_bytes()]));
    if slot % 2 == 1 {
        order.reverse();
    }
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
