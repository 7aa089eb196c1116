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
        for (share, forward) in shares.iter().zip(&forwards) {
            let of_share = share.iter().zip(forward.scores());
            of_share.for_each(|(&row, score)| scores[row] = score);
        }
        let (loss, slopes) = loss_and_slopes(&scores, total, config, &device);
        let tasks: Vec<(&Forward, Vec<f32>)> = shares
            .iter()
            .zip(&forwards)
            .map(|(share, forward)| (forward, share.iter().map(|&row| slopes[row]).collect()))
            .collect();
        let tasks: Vec<&[_]> = tasks.chunks(1).collect();
        let backward = |tasks: &[(&Forward, Vec<f32>)]| -> Vec<GradientMap> {
            tasks
                .iter()
                .map(|(forward, slopes)| forward.backward(slopes))
                .collect()
        };
        let gradients = side_by_side(&tasks, backward);
        gradients
            .into_iter()
            .flatten()
            .for_each(|part| self.gradients.accumulate(part));
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
    tracked: ScalarModel,
    scores: Tensor<1>,
}

impl Forward {
    fn of(network: &ScalarModel, rows: &[&[u32]], share: &[usize]) -> Self {
        let rows: Vec<&[u32]> = share.iter().map(|&row| rows[row]).collect();
        let tokens = TokenBatch::right_padded(&rows, 0, 0);
        let tracked = network.tracked();
        let scores = tracked.at(&tokens, &tokens.last_real());
        Self { tracked, scores }
    }

    fn scores(&self) -> Vec<f32> {
        self.scores.to_data().iter::<f32>().collect()
    }

    /// The gradients, given the loss's with respect to the scores.
    fn backward(&self, slopes: &[f32]) -> GradientMap {
        let slopes = Tensor::from_floats(slopes, &self.scores.device());
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
