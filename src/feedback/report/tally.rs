//! Counts and habits of one annotator or of a group.

use super::Share;
use super::votes::Vote;
use crate::feedback::record::{Outcome, Record};
use crate::stats::binomial::fair_coin_p;
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
    /// Skipped or deferred, not judged.
    pub skipped: usize,
    /// How often the left one of two answers on a screen won: near 0.5 without a habit.
    pub left: Option<Share>,
    /// Probability that a fair coin is as far from one half as that (exact, two-sided).
    pub left_p: Option<f64>,
    /// Median time at work per judgement on a screen, in milliseconds.
    pub median_active_ms: Option<f64>,
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
        let active: Vec<f64> = own.iter().filter_map(|vote| vote.active_ms()).collect();
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
            skipped: votes.len() - judged.len(),
            left: Share::new(left as f64, n),
            left_p: (n > 0).then(|| fair_coin_p(left, n)),
            per_active_hour: (hours > 0.0).then(|| active.len() as f64 / hours),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_lies_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0]), Some(3.0));
        assert_eq!(median(vec![9.0, 1.0, 5.0]), Some(5.0));
        assert_eq!(median(vec![9.0, 1.0, 5.0, 6.0]), Some(5.5));
    }
}
