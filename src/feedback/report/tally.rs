//! Counts and habits of one annotator or of a group.

use super::Share;
use super::votes::Vote;
use crate::feedback::record::{Kind, Outcome, Record};
use crate::stats::Interval;
use crate::stats::binomial::fair_coin_p;
use crate::stats::normal::Z;
use serde::Serialize;

/// Labels of one annotator or of a group.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Tally {
    /// All judgements: the sum of the next four.
    pub judgements: usize,
    /// One answer was better, or a ranking was given.
    pub prefer: usize,
    /// Equally good.
    pub tie: usize,
    /// None was acceptable.
    pub both_bad: usize,
    /// The annotator could not tell.
    pub cannot_judge: usize,
    /// Judgements that settled a disagreement of others; they are among the above.
    pub adjudications: usize,
    /// Skipped. What was deferred comes again and is not counted.
    pub skipped: usize,
    /// How often the left one of two answers on a screen won: near 0.5 without a habit.
    pub left: Option<Share>,
    /// Probability that a fair coin is as far from one half as that (exact, two-sided).
    pub left_p: Option<f64>,
    /// Median time at work per judgement on a screen, in milliseconds.
    pub median_active_ms: Option<f64>,
    /// Its interval by ranks: the values at n/2 ± 0.98 √n of the sorted ones (binomial, for many).
    pub median_active_interval: Option<Interval>,
    /// Judgements whose time at work is known.
    pub timed: usize,
    /// Judgements per hour at work, on a screen.
    pub per_active_hour: Option<f64>,
}

impl Tally {
    /// Counts `votes`.
    pub fn new(votes: &[&Vote]) -> Self {
        let judged: Vec<&Vote> = votes.iter().copied().filter(|v| v.is_judgement()).collect();
        let own: Vec<&Vote> = judged.iter().copied().filter(|v| v.is_own()).collect();
        let count = |outcome| {
            let is = |r: &Record| r.outcome == Some(outcome);
            judged.iter().filter(|v| is(v.record)).count()
        };
        let sides = || own.iter().filter_map(|vote| vote.left_won());
        let mut active: Vec<f64> = own.iter().filter_map(|vote| vote.active_ms()).collect();
        let hours = active.iter().sum::<f64>() / 3.6e6;
        let left = sides().filter(|left| *left).count();
        let n = sides().count();
        Self {
            judgements: judged.len(),
            prefer: count(Outcome::Prefer),
            tie: count(Outcome::Tie),
            both_bad: count(Outcome::BothBad),
            cannot_judge: count(Outcome::CannotJudge),
            adjudications: judged.len() - own.len(),
            skipped: votes.iter().filter(|v| v.record.kind == Kind::Skip).count(),
            left: Share::new(left as f64, n),
            left_p: (n > 0).then(|| fair_coin_p(left, n)),
            per_active_hour: (hours > 0.0).then(|| active.len() as f64 / hours),
            timed: active.len(),
            median_active_interval: median_interval(&mut active),
            median_active_ms: median(active),
        }
    }
}

/// The middle value, or the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    let n = values.len();
    let (lower, &mut upper, _) =
        (n > 0).then(|| values.select_nth_unstable_by(n / 2, f64::total_cmp))?;
    if n % 2 == 1 {
        return Some(upper);
    }
    let below = lower.iter().copied().max_by(f64::total_cmp)?;
    Some(f64::midpoint(below, upper))
}

/// The values at n/2 ± z √n / 2 of the sorted ones; `None` with fewer than six, where 95 % are out of
/// reach (Conover 1999, "Practical Nonparametric Statistics", section 3.2).
fn median_interval(values: &mut [f64]) -> Option<Interval> {
    let (n, reach) = (values.len() as f64, Z * (values.len() as f64).sqrt() / 2.0);
    if n < 6.0 {
        return None;
    }
    let mut at = |rank: f64| {
        let last = values.len() - 1;
        *values
            .select_nth_unstable_by((rank as usize).min(last), f64::total_cmp)
            .1
    };
    // Ranks count from 1.
    Some(Interval {
        low: at(((n / 2.0 - reach).ceil() - 1.0).max(0.0)),
        high: at((n / 2.0 + reach).ceil() - 1.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_the_median_goes_by_rank() {
        // Conover: n = 16, r* = 8 − 1.96·2 = 4.08 and s* = 11.92: the 5th and the 12th value.
        let mut values: Vec<f64> = (1..=16).rev().map(f64::from).collect();
        let interval = median_interval(&mut values).unwrap();
        assert_eq!((interval.low, interval.high), (5.0, 12.0));
        assert_eq!(median_interval(&mut [1.0; 5]), None);
        let six = median_interval(&mut [6.0, 5.0, 4.0, 3.0, 2.0, 1.0]).unwrap();
        assert_eq!((six.low, six.high), (1.0, 6.0));
    }

    #[test]
    fn the_median_lies_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0]), Some(3.0));
        assert_eq!(median(vec![9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(vec![9.0, 1.0, 5.0, 6.0]), Some(5.5));
    }
}
