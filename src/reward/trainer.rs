//! Training a reward model on decisive judgements.
//!
//! Bradley–Terry: L = mean of −log σ(r_w − r_l) over the pairs of an update, plus c·(r_w + r_l)² if centring is asked for
//! (Bradley & Terry 1952; Christiano et al. 2017, eq. 1; Eisenstein et al. 2023, arXiv:2312.09244, eq. 2). Winner and loser of a
//! pair are always in one forward pass. No dropout; learning rate to 0; one epoch by default, since a second overfits.

use std::time::Instant;

use burn::tensor::Tensor;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use thiserror::Error;

use crate::algo::bradley_terry;
use crate::algo::schedule::Schedule;
use crate::model::optimizer::Optimizer;
use crate::model::{GradientMap, Parameters, ScalarModel, TokenBatch};
use crate::run::control::{Observer, StopFlag};
use crate::run::metrics::{MetricsError, MetricsLog};

use super::config::RewardConfig;
use super::dataset::Pair;
use super::model::{RewardError, raw_scores};

/// Why training can't go on.
#[derive(Debug, Error)]
pub enum TrainError {
    /// Loss or gradient stayed non-finite.
    #[error("{0} updates in a row had a non-finite loss or gradient; lower learning_rate or max_grad_norm and start again")]
    Diverged(usize),
    /// Nothing to learn from.
    #[error("no training pairs: {too_long} were longer than max_length, {ties} were ties, {held_out} are held out; give more data or raise max_length")]
    NoPairs {
        /// Left out for length.
        too_long: usize,
        /// Left out as ties.
        ties: usize,
        /// Held out.
        held_out: usize,
    },
    /// Scoring the held-out pairs.
    #[error(transparent)]
    Reward(#[from] RewardError),
    /// Metrics can't be written.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A checkpoint can't be written.
    #[error("checkpoint: {0}")]
    Checkpoint(Box<dyn std::error::Error + Send + Sync>),
}

/// A row of `metrics.jsonl`.
#[derive(Debug, Clone, Default, Serialize)]
struct Row {
    step: usize,
    epoch: f64,
    learning_rate: f64,
    grad_norm: f64,
    nonfinite_steps: usize,
    tokens: usize,
    loss: f64,
    accuracy: f64,
    margin: f64,
    score_mean: f64,
    score_std: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    eval_loss: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eval_accuracy: Option<f64>,
    seconds: f64,
    tokens_per_second: f64,
}

/// Held-out accuracy after so many labels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CurvePoint {
    /// Training pairs seen.
    pub labels: usize,
    /// Share of held-out pairs with r_w > r_l, ties half.
    pub accuracy: f64,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Updates done.
    pub updates: usize,
    /// Held-out accuracy over the number of labels seen.
    pub learning_curve: Vec<CurvePoint>,
    /// Stopped by Ctrl-C.
    pub interrupted: bool,
}

/// Writes a checkpoint: step, weights, optimiser.
pub type Save<'a> = dyn FnMut(usize, &ScalarModel, &Optimizer) -> Result<(), Box<dyn std::error::Error + Send + Sync>> + 'a;

/// What a training job is watched and stopped by, and where it writes.
pub struct Job<'a> {
    /// Progress.
    pub observer: &'a mut dyn Observer,
    /// Ctrl-C.
    pub stop: &'a StopFlag,
    /// `metrics.jsonl`.
    pub metrics: &'a mut MetricsLog,
    /// Called every `save_steps` updates and at an interruption.
    pub save: &'a mut Save<'a>,
}

/// Trains `network` in place. `training` must not be empty.
pub fn train(
    network: &mut ScalarModel,
    training: &[Pair],
    held_out: &[Pair],
    config: &RewardConfig,
    job: &mut Job<'_>,
) -> Result<Outcome, TrainError> {
    let per_update = config.per_device_train_batch_size * config.gradient_accumulation_steps;
    let per_epoch = training.len().div_ceil(per_update);
    let total = ((per_epoch as f64 * config.num_train_epochs).ceil() as usize).max(1);
    let schedule = Schedule {
        learning_rate: config.learning_rate,
        warmup_updates: config.warmup(total),
        total_updates: total,
        decay: config.lr_scheduler_type.into(),
    };
    let mut optimizer = Optimizer::new(config.adamw(), config.max_grad_norm);
    let mut outcome = Outcome { updates: 0, learning_curve: Vec::new(), interrupted: false };
    let (mut order, mut nonfinite, mut in_a_row) = (Vec::new(), 0, 0);
    for step in 1..=total {
        let started = Instant::now();
        let epoch = (step - 1) / per_epoch;
        if (step - 1) % per_epoch == 0 {
            order = batches(training, per_update, config.seed, epoch);
        }
        let pairs: Vec<&Pair> = order[(step - 1) % per_epoch].iter().map(|&i| &training[i]).collect();
        let pass = loss_and_gradients(network, &pairs, config);
        let learning_rate = schedule.at(step - 1);
        let update = optimizer.step(network, pass.gradients, learning_rate);
        let failed = !update.applied || !pass.loss.is_finite();
        in_a_row = if failed { in_a_row + 1 } else { 0 };
        nonfinite += usize::from(failed);
        if in_a_row >= config.max_nonfinite_steps {
            return Err(TrainError::Diverged(in_a_row));
        }
        outcome.updates = step;
        outcome.interrupted = job.stop.is_set();
        let due = config.eval_steps > 0 && step.is_multiple_of(config.eval_steps) && step < total;
        let held = if due && !held_out.is_empty() { Some(evaluate(network, held_out)?) } else { None };
        if let Some(held) = held {
            let labels = (step * per_update).min(training.len());
            outcome.learning_curve.push(CurvePoint { labels, accuracy: held.accuracy });
        }
        let seconds = started.elapsed().as_secs_f64();
        let tokens: usize = pairs.iter().map(|p| p.winner.len() + p.loser.len()).sum();
        let scores = Scores::of(&pass.winners, &pass.losers);
        if step.is_multiple_of(config.logging_steps) || step == total || held.is_some() {
            job.metrics.append(&Row {
                step,
                epoch: step as f64 / per_epoch as f64,
                learning_rate,
                grad_norm: update.grad_norm,
                nonfinite_steps: nonfinite,
                tokens,
                loss: pass.loss,
                accuracy: scores.accuracy,
                margin: scores.margin,
                score_mean: scores.mean,
                score_std: scores.deviation,
                eval_loss: held.map(|h| h.loss),
                eval_accuracy: held.map(|h| h.accuracy),
                seconds,
                tokens_per_second: tokens as f64 / seconds,
            })?;
        }
        job.observer.step(step, total, &[("loss", pass.loss), ("accuracy", scores.accuracy)]);
        if outcome.interrupted || (config.save_steps > 0 && step.is_multiple_of(config.save_steps)) {
            (job.save)(step, network, &optimizer).map_err(TrainError::Checkpoint)?;
        }
        if outcome.interrupted {
            break;
        }
    }
    Ok(outcome)
}

/// Pairs of each update of an epoch: shuffled, with pairs of like length together so that little is padding.
fn batches(pairs: &[Pair], size: usize, seed: u64, epoch: usize) -> Vec<Vec<usize>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_add(1 + epoch as u64));
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    order.shuffle(&mut rng);
    for pool in order.chunks_mut(size * 8) {
        pool.sort_by_key(|&i| pairs[i].winner.len().max(pairs[i].loser.len()));
    }
    let mut batches: Vec<Vec<usize>> = order.chunks(size).map(<[usize]>::to_vec).collect();
    batches.shuffle(&mut rng);
    batches
}

/// One update's loss, scores and gradients.
struct Pass {
    loss: f64,
    winners: Vec<f64>,
    losers: Vec<f64>,
    gradients: GradientMap,
}

fn loss_and_gradients(network: &ScalarModel, pairs: &[&Pair], config: &RewardConfig) -> Pass {
    let mut pass = Pass { loss: 0.0, winners: Vec::new(), losers: Vec::new(), gradients: GradientMap::default() };
    for microbatch in pairs.chunks(config.per_device_train_batch_size) {
        let count = microbatch.len();
        let rows: Vec<&[u32]> = microbatch
            .iter()
            .map(|p| p.winner.as_slice())
            .chain(microbatch.iter().map(|p| p.loser.as_slice()))
            .collect();
        let tokens = TokenBatch::right_padded(&rows, 0, 0);
        let mut tracked = network.tracked();
        let scores = tracked.at(&tokens, &tokens.last_real());
        let (winners, losers) = (scores.clone().narrow(0, 0, count), scores.narrow(0, count, count));
        let margins = winners.zeros_like();
        let mut losses = bradley_terry::losses(winners.clone(), losers.clone(), margins);
        if let Some(coefficient) = config.center_rewards_coefficient {
            losses = losses + bradley_terry::centring(winners.clone(), losers.clone()) * coefficient;
        }
        let loss = losses.sum() / pairs.len() as f64;
        pass.loss += f64::from(loss.clone().into_scalar::<f32>());
        pass.winners.extend(host(winners));
        pass.losers.extend(host(losers));
        pass.gradients.accumulate(tracked.gradients(loss.backward()));
    }
    pass
}

fn host(values: Tensor<1>) -> Vec<f64> {
    values.into_data().iter::<f64>().collect()
}

/// What scores say about their pairs.
struct Scores {
    accuracy: f64,
    margin: f64,
    mean: f64,
    deviation: f64,
}

impl Scores {
    fn of(winners: &[f64], losers: &[f64]) -> Self {
        let pairs = winners.len().max(1) as f64;
        let all = || winners.iter().chain(losers);
        let mean = all().sum::<f64>() / (2.0 * pairs);
        let variance = all().map(|s| (s - mean).powi(2)).sum::<f64>() / (2.0 * pairs);
        Self {
            accuracy: winners.iter().zip(losers).map(|(w, l)| credit(*w, *l)).sum::<f64>() / pairs,
            margin: winners.iter().zip(losers).map(|(w, l)| w - l).sum::<f64>() / pairs,
            mean,
            deviation: variance.sqrt(),
        }
    }
}

/// 1 if the winner scores higher, ½ for equal scores.
pub fn credit(winner: f64, loser: f64) -> f64 {
    if winner > loser {
        1.0
    } else if winner == loser {
        0.5
    } else {
        0.0
    }
}

/// Loss and accuracy on held-out pairs.
#[derive(Debug, Clone, Copy)]
struct HeldOut {
    loss: f64,
    accuracy: f64,
}

fn evaluate(network: &ScalarModel, pairs: &[Pair]) -> Result<HeldOut, TrainError> {
    let (winners, losers) = pair_scores(network, pairs)?;
    let count = pairs.len() as f64;
    let loss = |(w, l): (&f64, &f64)| (1.0 + (l - w).exp()).ln();
    Ok(HeldOut {
        loss: winners.iter().zip(&losers).map(loss).sum::<f64>() / count,
        accuracy: Scores::of(&winners, &losers).accuracy,
    })
}

/// Raw scores of winners and losers.
pub fn pair_scores(network: &ScalarModel, pairs: &[Pair]) -> Result<(Vec<f64>, Vec<f64>), RewardError> {
    let rows: Vec<Vec<u32>> =
        pairs.iter().map(|p| p.winner.clone()).chain(pairs.iter().map(|p| p.loser.clone())).collect();
    let mut scores = raw_scores(network, &rows)?;
    let losers = scores.split_off(pairs.len());
    Ok((scores, losers))
}
