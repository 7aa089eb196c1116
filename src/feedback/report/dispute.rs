//! The items on which annotators disagree most: what to talk about, and what to adjudicate.

use super::votes::{FIRST, SECOND, Vote, Votes};
use crate::feedback::item::Item;
use std::collections::BTreeMap;

/// An item that was judged differently.
#[derive(Debug)]
pub struct Dispute<'a> {
    /// The item; without its texts where the labels were read without them.
    pub item: &'a Item,
    /// The first judgements of it, by annotator name.
    pub votes: Vec<Vote<'a>>,
    /// Mean distance of two judgements: in grades where both were graded, else 4 between A and B
    /// and 2 between either and a tie. That of two rankings is the mean over the pairs of answers
    /// that both compare.
    pub distance: f64,
}

/// The `most` items with the largest distance. Those of people; those of programs only where no two
/// people disagree.
///
/// Items with the same distance come by how many judged them, then in the order of the samples.
pub fn disputes<'a>(votes: &Votes<'a>, most: usize) -> Vec<Dispute<'a>> {
    let mut found = of_group(votes, false);
    if found.is_empty() {
        found = of_group(votes, true);
    }
    found.truncate(most);
    found
}

fn of_group<'a>(votes: &Votes<'a>, simulated: bool) -> Vec<Dispute<'a>> {
    let mut by_item: BTreeMap<usize, Vec<Vote>> = BTreeMap::new();
    let mine = |vote: &&Vote| vote.is_first() && vote.record.is_simulated() == simulated;
    let said = |vote: &&Vote| !votes.duels(vote).is_empty();
    for vote in votes.all.iter().filter(mine).filter(said) {
        by_item.entry(vote.item).or_default().push(*vote);
    }
    let dispute = |given: Vec<Vote<'a>>| Dispute {
        item: votes.item(&given[0]),
        distance: mean_distance(votes, &given),
        votes: given,
    };
    let mut found: Vec<Dispute> = by_item
        .into_values()
        .map(dispute)
        .filter(|dispute| dispute.distance > 0.0)
        .collect();
    found.sort_by(|a, b| {
        let by_distance = b.distance.total_cmp(&a.distance);
        by_distance.then(b.votes.len().cmp(&a.votes.len()))
    });
    found
}

fn mean_distance(votes: &Votes, given: &[Vote]) -> f64 {
    let (mut sum, mut pairs) = (0.0, 0);
    for (at, a) in given.iter().enumerate() {
        for b in &given[at + 1..] {
            sum += distance(votes, a, b);
            pairs += 1;
        }
    }
    sum / f64::from(pairs.max(1))
}

fn distance(votes: &Votes, a: &Vote, b: &Vote) -> f64 {
    // The same choice with another strength is no dispute.
    if let (false, Some(a), Some(b)) = (a.choice == b.choice, a.grade, b.grade) {
        return a.abs_diff(b) as f64;
    }
    let place = |choice: usize| match choice {
        FIRST => 2.0,
        SECOND => -2.0,
        _ => 0.0,
    };
    let of_b: BTreeMap<usize, usize> = votes.duels(b).iter().map(|d| (d.unit, d.choice)).collect();
    let common = votes.duels(a).iter().filter_map(|duel| {
        let other = of_b.get(&duel.unit)?;
        Some(f64::abs(place(duel.choice) - place(*other)))
    });
    let (sum, n) = common.fold((0.0, 0), |(sum, n), distance| (sum + distance, n + 1));
    sum / f64::from(n.max(1))
}
