//! Forward and backward through a reward model: loss, scores and gradients of an update.
//!
//! A pair's loss needs both of its scores, but its two answers may be with different workers: the scores of a group come together before
//! any of their gradients goes back, so the workers share the tokens evenly however few pairs there are.

use burn::tensor::{Device, Tensor};

use crate::algo::bradley_terry;
use crate::model::workers::{in_turns, side_by_side, spread};
use crate::model::{GradientMap, Parameters, ScalarModel, TokenBatch};

use super::config::RewardConfig;
use super::dataset::Pair;

/// Loss, scores and gradients of an update, or of some of its pairs.
#[derive(Debug, Default)]
pub struct Pass {
    /// Before the update.
    pub loss: f64,
    /// Scores of the preferred responses.
    pub winners: Vec<f64>,
    /// Scores of the others.
    pub losers: Vec<f64>,
    /// By tensor.
    pub gradients: GradientMap,
}

/// Of `pairs`, all in one update.
pub(super) fn loss_and_gradients(
    network: &ScalarModel,
    pairs: &[&Pair],
    config: &RewardConfig,
) -> Pass {
    let length = |pair: &&Pair| pair.winner.len() + pair.loser.len();
    let mut sorted = pairs.to_vec();
    sorted.sort_by_key(length);
    let mut pass = Pass::default();
    for microbatch in sorted.chunks(config.per_device_train_batch_size) {
        for group in in_turns(&network.decoder, microbatch, length) {
            pass.add(network, group, pairs.len(), config);
        }
    }
    pass
}

impl Pass {
    /// Adds what `pairs` contribute to an update on `total` pairs.
    fn add(&mut self, network: &ScalarModel, pairs: &[&Pair], total: usize, config: &RewardConfig) {
        let winners = pairs.iter().map(|pair| pair.winner.as_slice());
        let losers = pairs.iter().map(|pair| pair.loser.as_slice());
        let rows: Vec<&[u32]> = winners.chain(losers).collect();
        let device = network.decoder.embedding.device();
        let shares = spread(&network.decoder, &rows, |row| row.len());
        let shares: Vec<&[usize]> = shares.iter().map(Vec::as_slice).collect();
        let forwards = side_by_side(&shares, |share| Forward::of(network, &rows, share));
        let mut scores = vec![0.0; rows.len()];
        for forward in &forwards {
            for (&row, score) in forward.rows.iter().zip(forward.scores()) {
                scores[row] = score;
            }
        }
        let (loss, slopes) = loss_and_slopes(&scores, total, config, &device);
        let forwards: Vec<&[Forward]> = forwards.chunks(1).collect();
        let backward = |forwards: &[Forward]| -> Vec<GradientMap> {
            let of_one = |forward: &Forward| forward.backward(&slopes);
            forwards.iter().map(of_one).collect()
        };
        for gradients in side_by_side(&forwards, backward).into_iter().flatten() {
            self.gradients.accumulate(gradients);
        }
        self.loss += loss;
        let (winners, losers) = scores.split_at(pairs.len());
        self.winners
            .extend(winners.iter().map(|&score| f64::from(score)));
        self.losers
            .extend(losers.iter().map(|&score| f64::from(score)));
    }
}

/// One worker's rows on their way through the network.
struct Forward {
    /// Their numbers among all.
    rows: Vec<usize>,
    tracked: ScalarModel,
    scores: Tensor<1>,
}

impl Forward {
    fn of(network: &ScalarModel, rows: &[&[u32]], share: &[usize]) -> Self {
        let own: Vec<&[u32]> = share.iter().map(|&row| rows[row]).collect();
        let tokens = TokenBatch::right_padded(&own, 0, 0);
        let tracked = network.tracked();
        let scores = tracked.at(&tokens, &tokens.last_real());
        Self {
            rows: share.to_vec(),
            tracked,
            scores,
        }
    }

    fn scores(&self) -> Vec<f32> {
        self.scores.to_data().iter::<f32>().collect()
    }

    /// The gradients, given the loss's with respect to all scores.
    fn backward(&self, slopes: &[f32]) -> GradientMap {
        let slopes: Vec<f32> = self.rows.iter().map(|&row| slopes[row]).collect();
        let slopes = Tensor::from_floats(slopes.as_slice(), &self.scores.device());
        let loss = (self.scores.clone() * slopes).sum();
        self.tracked.clone().gradients(loss.backward())
    }
}

/// The loss of winners' and losers' scores, divided by `total`, and its gradient with respect to each.
fn loss_and_slopes(
    scores: &[f32],
    total: usize,
    config: &RewardConfig,
    device: &Device,
) -> (f64, Vec<f32>) {
    let scores = Tensor::<1>::from_floats(scores, device)
        .autodiff()
        .require_grad();
    let count = scores.dims()[0] / 2;
    let winners = scores.clone().narrow(0, 0, count);
    let losers = scores.clone().narrow(0, count, count);
    let mut losses = bradley_terry::losses(winners.clone(), losers.clone(), winners.zeros_like());
    if let Some(coefficient) = config.center_rewards_coefficient {
        losses = losses + bradley_terry::centring(winners, losers) * coefficient;
    }
    let loss = losses.sum() / total as f64;
    let gradients = loss.backward();
    let slopes = scores
        .grad(&gradients)
        .map(|slopes| slopes.into_data().iter::<f32>().collect());
    (
        f64::from(loss.into_scalar::<f32>()),
        slopes.unwrap_or_default(),
    )
}
