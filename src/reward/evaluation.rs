//! What a reward model's scores say about pairs whose winner is known.

use serde::Serialize;

use crate::model::ScalarModel;
use crate::stats::length::longer_wins;

use super::dataset::Pair;
use super::model::{RewardError, raw_scores};

/// What scores say about their pairs.
pub struct Scores {
    /// Pairs with r_w > r_l, equal scores half.
    pub correct: f64,
    /// Mean of r_w − r_l.
    pub margin: f64,
    /// Of all scores.
    pub mean: f64,
    /// Of all scores, without Bessel's correction.
    pub deviation: f64,
}

impl Scores {
    /// Of winners and losers, pair by pair.
    pub fn of(winners: &[f64], losers: &[f64]) -> Self {
        let pairs = winners.len().max(1) as f64;
        let all = || winners.iter().chain(losers);
        let margins = || winners.iter().zip(losers).map(|(w, l)| w - l);
        let mean = all().sum::<f64>() / (2.0 * pairs);
        let variance = all().map(|s| (s - mean).powi(2)).sum::<f64>() / (2.0 * pairs);
        Self {
            correct: margins().map(credit).sum(),
            margin: margins().sum::<f64>() / pairs,
            mean,
            deviation: variance.sqrt(),
        }
    }
}

/// 1 for r_w > r_l, ½ for equal scores.
pub fn credit(margin: f64) -> f64 {
    if margin > 0.0 {
        1.0
    } else if margin == 0.0 {
        0.5
    } else {
        0.0
    }
}

/// Loss and accuracy on held-out pairs.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct HeldOut {
    /// Pairs with r_w > r_l, equal scores half.
    #[serde(skip)]
    pub correct: f64,
    /// Mean of −log σ(r_w − r_l).
    pub eval_loss: f64,
    /// Share of pairs with r_w > r_l, equal scores half.
    pub eval_accuracy: f64,
    /// The same if the longer answer always won.
    pub eval_length_baseline: f64,
}

/// Scores `pairs`, which must be decisive.
///
/// # Errors
/// If they can't be scored.
pub fn evaluate(network: &ScalarModel, pairs: &[&Pair]) -> Result<HeldOut, RewardError> {
    let (winners, losers) = pair_scores(network, pairs)?;
    let count = pairs.len() as f64;
    let correct = Scores::of(&winners, &losers).correct;
    let margins = winners.iter().zip(&losers).map(|(w, l)| w - l);
    Ok(HeldOut {
        correct,
        eval_loss: margins.map(|margin| softplus(-margin)).sum::<f64>() / count,
        eval_accuracy: correct / count,
        eval_length_baseline: longer_wins(pairs.iter().map(|pair| pair.length_difference)),
    })
}

/// log(1 + eˣ) without overflow.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// Raw scores of winners and losers.
pub fn pair_scores(
    network: &ScalarModel,
    pairs: &[&Pair],
) -> Result<(Vec<f64>, Vec<f64>), RewardError> {
    let winners = pairs.iter().map(|pair| pair.winner.clone());
    let losers = pairs.iter().map(|pair| pair.loser.clone());
    let mut scores = raw_scores(network, &winners.chain(losers).collect::<Vec<_>>())?;
    let losers = scores.split_off(pairs.len());
    Ok((scores, losers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_are_half_right() {
        let scores = Scores::of(&[1.0, 2.0, -1.0, 5.0], &[0.0, 2.0, 0.0, 1.0]);
        assert_eq!(scores.correct, 2.5);
        assert_eq!((scores.margin, scores.mean), (1.0, 1.25));
        assert_eq!(scores.deviation, 2.9375_f64.sqrt());
    }

    #[test]
    fn the_held_out_loss_does_not_overflow() {
        assert_eq!(softplus(1000.0), 1000.0);
        assert_eq!(softplus(-1000.0), 0.0);
        assert!((softplus(0.0) - std::f64::consts::LN_2).abs() < 1e-15);
    }
}
