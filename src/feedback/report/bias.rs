//! What standing on the left, and being longer, are worth to an answer.

use super::Share;
use super::outcome::covariates;
use super::votes::{Duel, Vote, Votes};
use crate::stats::Interval;
use crate::stats::length::{Correlation, correlation, longer_wins};
use crate::stats::rating::{Estimate, Ratings, rate};
use serde::Serialize;
use std::collections::BTreeSet;

/// Habits of a group. All `None` without comparisons.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Bias {
    /// Log odds that an answer gains by standing on the left, policies and lengths being equal
    /// (γ in a Bradley–Terry model); needs judgements on a screen.
    pub side: Option<Effect>,
    /// Log odds gained per unit of (length − other's) / sum of both, policies and sides being
    /// equal.
    pub length: Option<Effect>,
    /// How often the longer of two answers won, in characters; equal lengths count half.
    pub longer: Option<f64>,
    /// The same with an interval, pairs of equal length left out.
    pub longer_of_unequal: Option<Share>,
    /// Pearson's correlation of (length − other's) / sum of both with the verdict: 1 for the better
    /// answer, −1 for the worse one, 0 for a tie. Every comparison counts the same, whatever its scale.
    pub length_correlation: Option<Correlation>,
    /// The same with the grade, −4..4, for the verdict, where a strength was asked for.
    pub length_grade_correlation: Option<Correlation>,
}

/// What something is worth, in log odds, with its error by prompt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Effect {
    /// Comparisons behind it, ties among them.
    pub n: usize,
    /// The value and its error.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// 95 % interval; absent with fewer than two prompts.
    #[serde(flatten)]
    pub interval: Option<Interval>,
}

impl Effect {
    fn new(n: usize, estimate: Estimate) -> Self {
        Self {
            n,
            estimate,
            interval: estimate.interval(),
        }
    }
}

impl Bias {
    /// Measures the habits of `group`, on its own judgements.
    pub fn new(votes: &Votes, group: &[&Vote]) -> Self {
        let own = group.iter().filter(|vote| vote.is_own());
        let duels: Vec<Duel> = own.flat_map(|vote| votes.duels(vote)).copied().collect();
        let decisive = || duels.iter().filter(|duel| !duel.tie);
        let longer = longer_wins(decisive().map(|duel| (duel.length * 1e9) as i64));
        let unequal = decisive().filter(|duel| duel.length != 0.0);
        // Two answers of one policy say nothing about policies, and all about sides and lengths.
        let apart = duels
            .iter()
            .filter(|duel| duel.policies[0] != duel.policies[1]);
        let met: BTreeSet<usize> = apart.flat_map(|duel| duel.policies).collect();
        let policies: Vec<usize> = met.into_iter().collect();
        // A policy that met only itself cancels out: any number does.
        let number = |policy: usize| Some(policies.binary_search(&policy).unwrap_or_default());
        let comparisons: Vec<_> = duels.iter().filter_map(|d| d.comparison(number)).collect();
        let wanted = covariates(&duels);
        // Where policies fall apart into groups that never met, this says nothing either.
        let ratings = (wanted.side || wanted.length)
            .then(|| rate(&comparisons, policies.len().max(1), 0, wanted).ok())
            .flatten();
        let compared: Vec<_> = duels.iter().map(Duel::compared).collect();
        let graded: Vec<_> = duels.iter().filter_map(Duel::graded).collect();
        let sided = duels.iter().filter(|duel| duel.side != 0.0).count();
        let effect = |n: usize, of: fn(&Ratings) -> Option<Estimate>| {
            Some(Effect::new(n, of(ratings.as_ref()?)?))
        };
        Self {
            side: effect(sided, Ratings::side),
            length: effect(duels.len(), Ratings::length),
            longer: (!longer.is_nan()).then_some(longer),
            longer_of_unequal: Share::of(unequal.map(|duel| duel.length > 0.0)),
            length_correlation: correlation(&compared),
            length_grade_correlation: correlation(&graded),
        }
    }
}
