//! Supervised fine-tuning: next-token loss on completions.
//!
//! L = −Σ log p(token) / number of learnt tokens, over the whole update: microbatches are weighted by their tokens, so that
//! gradient accumulation changes nothing (TRL pull 2617).

use std::collections::BTreeMap;
use std::error::Error;
use std::time::Instant;

use burn::tensor::Tensor;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde::Serialize;
use thiserror::Error as ThisError;

use crate::algo::schedule::Schedule;
use crate::model::optimizer::{Optimizer, Update};
use crate::model::precision;
use crate::model::weights::WeightsError;
use crate::model::workers::{share_out, share_out_turns};
use crate::model::{Decoder, GradientMap, TokenBatch};
use crate::run::control::{Observer, StopFlag};
use crate::run::metrics::{MetricsError, MetricsLog};

use super::config::SftConfig;
use super::lm_head::{self, Targets};
use super::sft_data::Example;
use super::sft_state::State;

/// Why training can't go on.
#[derive(Debug, ThisError)]
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
    /// A checkpoint can't be written.
    #[error(transparent)]
    Checkpoint(Box<dyn Error + Send + Sync>),
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

/// Writes a checkpoint: standing, weights, optimiser.
pub type Save<'a> =
    dyn FnMut(&State, &Decoder, &Optimizer) -> Result<(), Box<dyn Error + Send + Sync>> + 'a;

/// What a training job is watched and stopped by, and where it writes.
pub struct Job<'a> {
    /// Progress.
    pub observer: &'a mut dyn Observer,
    /// Ctrl-C.
    pub stop: &'a StopFlag,
    /// `metrics.jsonl`.
    pub metrics: &'a mut MetricsLog,
    /// Called every `save_steps` updates and at the end.
    pub save: &'a mut Save<'a>,
}

/// Makes a loaded decoder ready to be trained as `config` says.
///
/// # Errors
/// If adapters find no place.
pub fn prepare(decoder: &mut Decoder, config: &SftConfig) -> Result<(), WeightsError> {
    let precision = precision::of_products(config.bf16);
    decoder.prepare(config.lora().as_ref(), config.seed, precision)
}

/// Trains `decoder` in place, from `state` on. After early stopping it has the weights of the best evaluation.
pub fn train(
    decoder: &mut Decoder,
    optimizer: &mut Optimizer,
    mut state: State,
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
    let mut interrupted = false;
    let mut early_stopped = state.exhausted(config.early_stopping_patience);
    while state.step < total && !interrupted && !early_stopped {
        let started = Instant::now();
        let (epoch, index) = (state.step / per_epoch, state.step % per_epoch);
        if order.is_empty() || index == 0 {
            order = batches(&data.train, per_update, config.seed, epoch);
        }
        let rows: Vec<&Example> = order[index].iter().map(|&i| &data.train[i]).collect();
        let (loss, tokens, gradients) =
            loss_and_gradients(decoder, &rows, config.per_device_train_batch_size);
        let learning_rate = schedule.at(state.step);
        let update = if loss.is_finite() {
            optimizer.step(decoder, gradients, learning_rate)
        } else {
            Update::SKIPPED
        };
        state.step += 1;
        state.nonfinite.count(update.applied);
        if state.nonfinite.in_a_row >= config.max_nonfinite_steps {
            return Err(SftError::Diverged(state.nonfinite.in_a_row));
        }
        interrupted = job.stop.is_set();
        // An interruption adds no evaluation and no row: the resumed run must be the uninterrupted one.
        let every =
            |steps: usize| steps > 0 && (state.step == total || state.step.is_multiple_of(steps));
        let due = state.step == total || every(config.eval_steps);
        let eval_loss = (due && !data.held_out.is_empty())
            .then(|| mean_loss(decoder, &data.held_out, config.per_device_train_batch_size));
        let (log, save) = (every(config.logging_steps), every(config.save_steps));
        if let Some(loss) = eval_loss {
            state.see(loss, decoder);
            early_stopped = state.exhausted(config.early_stopping_patience);
        }
        let seconds = started.elapsed().as_secs_f64();
        if log || eval_loss.is_some() {
            job.metrics.append(&Row {
                step: state.step,
                epoch: state.step as f64 / per_epoch as f64,
                learning_rate,
                grad_norm: update.grad_norm,
                nonfinite_steps: state.nonfinite.total,
                tokens,
                loss,
                eval_loss,
                eval_perplexity: eval_loss.map(f64::exp),
                seconds,
                tokens_per_second: tokens as f64 / seconds,
            })?;
        }
        let shown = [("loss", loss), ("tok/s", tokens as f64 / seconds)];
        job.observer.step(state.step, total, &shown);
        if save || state.step == total || interrupted || early_stopped {
            (job.save)(&state, decoder, optimizer).map_err(SftError::Checkpoint)?;
        }
    }
    let outcome = Outcome {
        updates: state.step,
        eval_loss: state.best.as_ref().map(|best| best.value),
        interrupted,
        early_stopped,
    };
    if let Some(best) = state.best.filter(|_| early_stopped) {
        *decoder = best.policy;
    }
    Ok(outcome)
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
    let part = |rows: &[&Example]| part_of_loss(decoder, rows, learnt);
    let add = |sum: &mut (f64, GradientMap), part: (f64, GradientMap)| {
        sum.0 += part.0;
        sum.1.accumulate(part.1);
    };
    let mut total = Default::default();
    for rows in rows.chunks(microbatch) {
        let length = |row: &&Example| row.ids.len();
        add(
            &mut total,
            share_out_turns(decoder, rows, length, part, add),
        );
    }
    (total.0, tokens, total.1)
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
    let device = decoder.embedding.device();
    for rows in sorted.chunks(microbatch) {
        let known = share_out(
            &device,
            rows,
            |row| row.ids.len(),
            |rows| {
                let (batch, targets) = pack(rows);
                let states = targets.states(decoder.hidden(&batch));
                lm_head::logprobs(decoder, &states, &targets.labels, 1.0).logprobs
            },
        );
        for logprob in known.into_iter().flatten() {
            total -= f64::from(logprob);
            count += 1;
        }
    }
    total / count.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::LanguageModel;

    #[test]
    fn a_job_computes_in_its_precision() {
        let device = crate::device::cpu().device;
        for (bf16, use_peft) in [(true, true), (true, false), (false, false)] {
            let config = SftConfig {
                bf16,
                use_peft,
                ..SftConfig::default()
            };
            let mut decoder = LanguageModel::embedded(&device).unwrap().decoder;
            prepare(&mut decoder, &config).unwrap();
            assert_eq!(decoder.has_lora(), use_peft);
            let expected = [precision::of_products(bf16); 4 * 7 + 1];
            assert_eq!(precision::every(&decoder), expected);
        }
    }
}
