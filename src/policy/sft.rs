//! Supervised fine-tuning: next-token loss on completions.
//!
//! L = −Σ log p(token) / number of learnt tokens, over the whole update: microbatches are weighted by their tokens, so that
//! gradient accumulation changes nothing (TRL pull 2617).

use std::collections::BTreeMap;
use std::time::Instant;

use burn::tensor::Tensor;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use thiserror::Error;

use crate::algo::adamw::AdamWError;
use crate::algo::schedule::Schedule;
use crate::model::optimizer::Optimizer;
use crate::model::workers::{share_out, workers};
use crate::model::{Decoder, GradientMap, TokenBatch};
use crate::run::control::{Observer, StopFlag};
use crate::run::metrics::{MetricsError, MetricsLog};

use super::config::SftConfig;
use super::lm_head::{self, Targets};
use super::sft_data::Example;

/// Why training can't go on.
#[derive(Debug, Error)]
pub enum SftError {
    /// Loss or gradient stayed non-finite.
    #[error(
        "{0} updates in a row had a non-finite loss or gradient; lower learning_rate or max_grad_norm and start again from the last checkpoint"
    )]
    Diverged(usize),
    /// Too few rows.
    #[error(
        "no training rows are left after holding out {held_out} for evaluation; add rows or set eval_fraction = 0"
    )]
    NoRows {
        /// Rows held out.
        held_out: usize,
    },
    /// Metrics can't be written.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A checkpoint doesn't fit.
    #[error(transparent)]
    Optimizer(#[from] AdamWError),
    /// A checkpoint can't be written.
    #[error(transparent)]
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
    #[serde(skip_serializing_if = "Option::is_none")]
    eval_loss: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    eval_perplexity: Option<f64>,
    seconds: f64,
    tokens_per_second: f64,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Updates done.
    pub updates: usize,
    /// Mean held-out loss at the best evaluation, in nats per token.
    pub eval_loss: Option<f64>,
    /// Stopped by Ctrl-C.
    pub interrupted: bool,
    /// Stopped because the held-out loss no longer improved.
    pub early_stopped: bool,
}

/// Rows to learn from and rows to check with.
#[derive(Debug, Clone)]
pub struct Split {
    /// Training rows.
    pub train: Vec<Example>,
    /// Held-out rows; no prompt is on both sides.
    pub held_out: Vec<Example>,
}

/// Holds out about `fraction` of the prompts.
pub fn split(examples: Vec<Example>, fraction: f64, seed: u64) -> Split {
    let mut keys: Vec<&str> = examples.iter().map(|e| e.key.as_str()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let count = (keys.len() as f64 * fraction).round() as usize;
    let side: BTreeMap<String, bool> = keys
        .into_iter()
        .enumerate()
        .map(|(i, key)| (key.to_owned(), i < count))
        .collect();
    let (held_out, train) = examples.into_iter().partition(|e| side[&e.key]);
    Split { train, held_out }
}

/// What a training job is watched and stopped by, and where it writes.
pub struct Job<'a> {
    /// Progress.
    pub observer: &'a mut dyn Observer,
    /// Ctrl-C.
    pub stop: &'a StopFlag,
    /// `metrics.jsonl`.
    pub metrics: &'a mut MetricsLog,
    /// Called every `save_steps` updates and at the end with the step, the weights and the optimiser.
    pub save: &'a mut dyn FnMut(
        usize,
        &Decoder,
        &Optimizer,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>>,
}

/// Trains `decoder` in place, after the `done` updates of an earlier sitting. After early stopping it has the weights of the best
/// evaluation.
pub fn train(
    decoder: &mut Decoder,
    optimizer: &mut Optimizer,
    done: usize,
    data: &Split,
    config: &SftConfig,
    job: &mut Job<'_>,
) -> Result<Outcome, SftError> {
    if data.train.is_empty() {
        return Err(SftError::NoRows {
            held_out: data.held_out.len(),
        });
    }
    let per_update = config.per_device_train_batch_size * config.gradient_accumulation_steps;
    let per_epoch = data.train.len().div_ceil(per_update);
    let all = (per_epoch as f64 * config.num_train_epochs).ceil() as usize;
    let total = if config.max_steps > 0 {
        config.max_steps
    } else {
        all
    };
    let schedule = Schedule {
        learning_rate: config.learning_rate,
        warmup_updates: config.warmup(total),
        total_updates: total,
        decay: config.lr_scheduler_type.into(),
    };
    let mut order = Vec::new();
    let mut best = Best::new(config.early_stopping_patience);
    let (mut nonfinite, mut in_a_row) = (0, 0);
    let mut outcome = Outcome {
        updates: 0,
        eval_loss: None,
        interrupted: false,
        early_stopped: false,
    };
    for step in done + 1..=total {
        let started = Instant::now();
        let epoch = (step - 1) / per_epoch;
        if order.is_empty() || (step - 1) % per_epoch == 0 {
            order = batches(&data.train, per_update, config.seed, epoch);
        }
        let rows: Vec<&Example> = order[(step - 1) % per_epoch]
            .iter()
            .map(|&i| &data.train[i])
            .collect();
        let (loss, tokens, gradients) =
            loss_and_gradients(decoder, &rows, config.per_device_train_batch_size);
        let learning_rate = schedule.at(step - 1);
        let update = optimizer.step(decoder, gradients, learning_rate);
        let failed = !update.applied || !loss.is_finite();
        in_a_row = if failed { in_a_row + 1 } else { 0 };
        nonfinite += usize::from(failed);
        if in_a_row >= config.max_nonfinite_steps {
            return Err(SftError::Diverged(in_a_row));
        }
        outcome.updates = step;
        outcome.interrupted = job.stop.is_set();
        let last = step == total || outcome.interrupted;
        let due = config.eval_steps > 0 && step.is_multiple_of(config.eval_steps);
        let eval_loss = ((due || last) && !data.held_out.is_empty())
            .then(|| mean_loss(decoder, &data.held_out, config.per_device_train_batch_size));
        if let Some(loss) = eval_loss {
            outcome.early_stopped = best.see(loss, decoder);
        }
        let seconds = started.elapsed().as_secs_f64();
        if last || eval_loss.is_some() || step.is_multiple_of(config.logging_steps) {
            let row = Row {
                step,
                epoch: step as f64 / per_epoch as f64,
                learning_rate,
                grad_norm: update.grad_norm,
                nonfinite_steps: nonfinite,
                tokens,
                loss,
                eval_loss,
                eval_perplexity: eval_loss.map(f64::exp),
                seconds,
                tokens_per_second: tokens as f64 / seconds,
            };
            job.metrics.append(&row)?;
        }
        job.observer.step(
            step,
            total,
            &[("loss", loss), ("tok/s", tokens as f64 / seconds)],
        );
        let end = last || outcome.early_stopped;
        if end || (config.save_steps > 0 && step.is_multiple_of(config.save_steps)) {
            (job.save)(step, decoder, optimizer).map_err(SftError::Checkpoint)?;
        }
        if end {
            break;
        }
    }
    if let Some((loss, weights)) = best.kept {
        outcome.eval_loss = Some(loss);
        if outcome.early_stopped {
            *decoder = weights;
        }
    }
    Ok(outcome)
}

/// The best evaluation so far.
struct Best {
    patience: usize,
    without_improvement: usize,
    kept: Option<(f64, Decoder)>,
}

impl Best {
    fn new(patience: usize) -> Self {
        Self {
            patience,
            without_improvement: 0,
            kept: None,
        }
    }

    /// True if training should stop.
    fn see(&mut self, loss: f64, decoder: &Decoder) -> bool {
        if self.kept.as_ref().is_none_or(|(best, _)| loss < *best) {
            self.kept = Some((loss, decoder.clone()));
            self.without_improvement = 0;
        } else {
            self.without_improvement += 1;
        }
        self.patience > 0 && self.without_improvement >= self.patience
    }
}

/// The rows of each update of an epoch: shuffled, but rows of like length together, so that little is padding.
fn batches(rows: &[Example], size: usize, seed: u64, epoch: usize) -> Vec<Vec<usize>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_add(1 + epoch as u64));
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.shuffle(&mut rng);
    for pool in order.chunks_mut(size * 32) {
        pool.sort_by_key(|&i| rows[i].ids.len());
    }
    let mut batches: Vec<Vec<usize>> = order.chunks(size).map(<[usize]>::to_vec).collect();
    batches.shuffle(&mut rng);
    batches
}

fn loss_and_gradients(
    decoder: &Decoder,
    rows: &[&Example],
    microbatch: usize,
) -> (f64, usize, GradientMap) {
    let learnt = rows.iter().map(|row| targets_of(row)).sum::<usize>().max(1) as f64;
    let tokens = rows.iter().map(|row| row.ids.len()).sum();
    let workers = workers(&decoder.embedding.device());
    let mut gradients = GradientMap::default();
    let mut loss = 0.0;
    for rows in rows.chunks(microbatch) {
        for (part, of_part) in share_out(rows, workers, |rows| part_of_loss(decoder, rows, learnt))
        {
            loss += part;
            gradients.accumulate(of_part);
        }
    }
    (loss, tokens, gradients)
}

/// What `rows` contribute to the loss over `learnt` tokens.
fn part_of_loss(decoder: &Decoder, rows: &[&Example], learnt: f64) -> (f64, GradientMap) {
    let (batch, targets) = pack(rows);
    if targets.at.is_empty() {
        return (0.0, GradientMap::default());
    }
    let mut total = 0.0;
    let loss = |_, logprobs: Tensor<1>, _| {
        total -= logprobs.clone().sum().into_scalar::<f32>() as f64;
        logprobs.ones_like() * (-1.0 / learnt)
    };
    let gradients = lm_head::gradients(decoder, &batch, &targets, 1.0, loss);
    (total / learnt, gradients)
}

fn targets_of(row: &Example) -> usize {
    row.learnt.iter().skip(1).filter(|&&learnt| learnt).count()
}

/// Right-padded rows, and for each learnt token the position before it.
fn pack(rows: &[&Example]) -> (TokenBatch, Targets) {
    let ids: Vec<&[u32]> = rows.iter().map(|row| row.ids.as_slice()).collect();
    let batch = TokenBatch::right_padded(&ids, 0, 0);
    let mut targets = Targets {
        at: Vec::new(),
        labels: Vec::new(),
    };
    for (index, row) in rows.iter().enumerate() {
        for position in (1..row.ids.len()).filter(|&p| row.learnt[p]) {
            targets.at.push(index * batch.time + position - 1);
            targets.labels.push(row.ids[position]);
        }
    }
    (batch, targets)
}

/// Mean −log p per learnt token, in nats; its exponential is the perplexity.
pub fn mean_loss(decoder: &Decoder, rows: &[Example], microbatch: usize) -> f64 {
    let mut sorted: Vec<&Example> = rows.iter().collect();
    sorted.sort_by_key(|row| row.ids.len());
    let (mut total, mut count) = (0.0, 0_usize);
    let workers = workers(&decoder.embedding.device());
    for rows in sorted.chunks(microbatch) {
        let known = share_out(rows, workers, |rows| {
            let (batch, targets) = pack(rows);
            let states = lm_head::target_states(decoder, &batch, &targets);
            lm_head::logprobs(decoder, &states, &targets.labels, 1.0).logprobs
        });
        for logprob in known.into_iter().flatten() {
            total -= f64::from(logprob);
            count += 1;
        }
    }
    total / count.max(1) as f64
}
