//! How far one annotator's judgements can be relied on. Nothing here removes a label: weigh or
//! exclude at export, and record the rule.

use super::tally::median;
use super::votes::{CHOICES, Vote, Votes};
use super::{Expected, Share};
use crate::feedback::record::{Purpose, Record};
use serde::Serialize;
use std::collections::HashMap;

/// Judgements per block of [`Quality::blocks`].
pub const BLOCK: usize = 50;

/// Checks of one annotator.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Quality {
    /// Judgements of gold items, whether the right answer is at hand or not.
    pub gold_judged: usize,
    /// How often the right answer was given, where it is at hand.
    pub gold: Option<Share>,
    /// Pairs that were shown twice.
    pub repeats: Option<Repeats>,
    /// Agreement with others of the same kind (people with people) on common items.
    pub with_others: Option<Peer>,
    /// The course of the work, [`BLOCK`] judgements at a time, without those of an unknown time.
    pub blocks: Vec<Block>,
}

/// Self-agreement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Repeats {
    /// How often the second judgement was the first (A, tie or B, in canonical order).
    pub same: Share,
    /// On how many of them the sides were swapped the second time.
    pub swapped: usize,
}

/// Agreement of one with the others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Peer {
    /// Judgements that others made of the same items.
    pub n: usize,
    /// Share of them that chose the same.
    pub share: f64,
}

/// A stretch of work.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Block {
    /// Number of its first judgement, from 1.
    pub from: usize,
    /// Judgements in it: [`BLOCK`], or fewer in the last one.
    pub judgements: usize,
    /// Median time at work in milliseconds.
    pub median_active_ms: Option<f64>,
    /// How often the left answer won.
    pub left: Option<Share>,
    /// Share of ties.
    pub ties: f64,
    /// Agreement with others.
    pub with_others: Option<f64>,
}

/// How often each choice was made on each item, people and programs apart.
#[derive(Debug)]
pub struct Peers {
    /// By item, people first.
    counts: Vec<[[usize; CHOICES]; 2]>,
}

impl Peers {
    /// Counts first judgements.
    pub fn new(votes: &Votes) -> Self {
        let items = votes
            .all
            .iter()
            .map(|vote| vote.item + 1)
            .max()
            .unwrap_or(0);
        let mut counts = vec![[[0; CHOICES]; 2]; items];
        for vote in votes.all.iter().filter(|vote| vote.is_first()) {
            if let Some(choice) = vote.choice {
                counts[vote.item][usize::from(vote.record.is_simulated())][choice] += 1;
            }
        }
        Self { counts }
    }

    /// Others who judged this item, and those of them who chose the same.
    fn of(&self, vote: &Vote) -> Option<(usize, usize)> {
        let choice = vote.choice.filter(|_| vote.is_first())?;
        let counts = self.counts[vote.item][usize::from(vote.record.is_simulated())];
        Some((counts.iter().sum::<usize>() - 1, counts[choice] - 1))
    }

    fn with(&self, votes: &[&Vote]) -> Option<Peer> {
        let each = votes.iter().filter_map(|vote| self.of(vote));
        let (n, same) = each.fold((0, 0), |(n, s), (others, same)| (n + others, s + same));
        (n > 0).then(|| Peer {
            n,
            share: same as f64 / n as f64,
        })
    }
}

impl Quality {
    /// Checks the votes of one annotator, given in the order they were made.
    pub fn new(votes: &[&Vote], peers: &Peers, expected: &Expected) -> Self {
        let own: Vec<&Vote> = votes.iter().copied().filter(|v| v.is_own()).collect();
        let gold = || {
            own.iter()
                .filter(|v| v.record.purpose == Some(Purpose::Gold))
        };
        let timed: Vec<&Vote> = own.iter().copied().filter(|v| v.has_time()).collect();
        let each = timed.chunks(BLOCK).enumerate();
        Self {
            gold_judged: gold().count(),
            gold: Share::of(gold().filter_map(|vote| is_right(vote.record, expected))),
            repeats: repeats(&own),
            with_others: peers.with(&own),
            blocks: each
                .map(|(at, votes)| Block::new(at * BLOCK + 1, votes, peers))
                .collect(),
        }
    }
}

/// Whether a judgement gave the right answer; `None` if that is not at hand.
fn is_right(record: &Record, expected: &Expected) -> Option<bool> {
    let expected = expected.get(record.item.as_ref()?)?;
    Some(expected.is_met(record.outcome?, record.winner.as_deref()))
}

fn repeats(own: &[&Vote]) -> Option<Repeats> {
    let first: HashMap<usize, &Vote> = own
        .iter()
        .filter(|vote| vote.is_first())
        .map(|vote| (vote.item, *vote))
        .collect();
    let again = own
        .iter()
        .filter(|v| v.record.purpose == Some(Purpose::Repeat));
    let both = again.filter_map(|again| {
        let first = first.get(&again.item)?;
        let same = first.choice? == again.choice?;
        Some((same, first.first_left != again.first_left))
    });
    let both: Vec<(bool, bool)> = both.collect();
    Some(Repeats {
        same: Share::of(both.iter().map(|(same, _)| *same))?,
        swapped: both.iter().filter(|(_, swapped)| *swapped).count(),
    })
}

impl Block {
    fn new(from: usize, votes: &[&Vote], peers: &Peers) -> Self {
        let ties = votes
            .iter()
            .filter(|vote| vote.choice == Some(super::votes::TIE))
            .count();
        Self {
            from,
            judgements: votes.len(),
            median_active_ms: median(votes.iter().filter_map(|v| v.active_ms()).collect()),
            left: Share::of(votes.iter().filter_map(|vote| vote.left_won())),
            ties: ties as f64 / votes.len() as f64,
            with_others: peers.with(votes).map(|peer| peer.share),
        }
    }
}
