//! How far one annotator's judgements can be relied on. Nothing here removes a label: weigh or
//! exclude at export, and record the rule.

use super::tally::median;
use super::votes::{CHOICES, Vote, Votes};
use super::{Expected, Share};
use crate::feedback::record::{Purpose, Record};
use crate::stats::Interval;
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
    /// How often the second judgement was the first (A, tie or B, in canonical order); a ranking
    /// counts as the pairs that it implies.
    pub same: Share,
    /// On how many of them the sides were swapped the second time.
    pub swapped: usize,
}

/// Agreement of one with the others.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Peer {
    /// Judgements that others made of the same two answers.
    pub n: usize,
    /// Share of them that chose the same.
    pub share: f64,
    /// Pairs of answers that others judged too.
    pub units: usize,
    /// Wilson's interval of the share, a pair of answers counting as one observation however many
    /// others judged it.
    #[serde(flatten)]
    pub interval: Interval,
}

impl Peer {
    fn new(n: usize, same: usize, units: usize) -> Option<Self> {
        let share = same as f64 / n as f64;
        let interval = Share::new(share * units as f64, units)?.interval();
        Some(Self {
            n,
            share,
            units,
            interval,
        })
    }
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

/// How often each choice was made on each pair of answers, people and programs apart.
#[derive(Debug)]
pub struct Peers<'a> {
    votes: &'a Votes<'a>,
    /// By [`Duel::unit`](super::votes::Duel::unit), people first.
    counts: Vec<[[usize; CHOICES]; 2]>,
}

impl<'a> Peers<'a> {
    /// Counts first judgements; rankings by the pairs that they imply.
    pub fn new(votes: &'a Votes<'a>) -> Self {
        let mut counts = vec![[[0; CHOICES]; 2]; votes.units()];
        for vote in votes.all.iter().filter(|vote| vote.is_first()) {
            let group = usize::from(vote.record.is_simulated());
            for duel in votes.duels(vote) {
                counts[duel.unit][group][duel.choice] += 1;
            }
        }
        Self { votes, counts }
    }

    fn with(&self, votes: &[&Vote]) -> Option<Peer> {
        let (mut n, mut same, mut units) = (0, 0, 0);
        for vote in votes.iter().filter(|vote| vote.is_first()) {
            let group = usize::from(vote.record.is_simulated());
            for duel in self.votes.duels(vote) {
                let counts = self.counts[duel.unit][group];
                let others = counts.iter().sum::<usize>() - 1;
                n += others;
                same += counts[duel.choice] - 1;
                units += usize::from(others > 0);
            }
        }
        Peer::new(n, same, units)
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
            repeats: repeats(peers.votes, &own),
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

fn repeats(votes: &Votes, own: &[&Vote]) -> Option<Repeats> {
    let mut first = HashMap::new();
    for vote in own.iter().filter(|vote| vote.is_first()) {
        let duels = votes.duels(vote).iter();
        first.extend(duels.map(|duel| (duel.unit, (duel.choice, vote.first_left))));
    }
    let again = own
        .iter()
        .filter(|v| v.record.purpose == Some(Purpose::Repeat));
    let again = again.flat_map(|vote| votes.duels(vote).iter().map(move |duel| (vote, duel)));
    let both = again.filter_map(|(vote, duel)| {
        let (choice, first_left) = first.get(&duel.unit)?;
        Some((*choice == duel.choice, *first_left != vote.first_left))
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
