//! Training a reward model on decisive judgements.
//!
//! Bradley–Terry: L = mean of −log σ(r_w − r_l) over the pairs of an update, plus c·(r_w + r_l)² if centring is asked for
//! (Bradley & Terry 1952; Christiano et al. 2017, eq. 1; Eisenstein et al. 2023, arXiv:2312.09244, eq. 2). No dropout; learning rate to 0; one epoch by default, since a second overfits.

use std::error::Error;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use thiserror::Error as ThisError;

use crate::algo::schedule::Schedule;
use crate::model::ScalarModel;
use crate::model::optimizer::{Optimizer, Update};
use crate::run::control::{Observer, StopFlag};
use crate::run::metrics::{MetricsError, MetricsLog};
use crate::run::nonfinite::NonFinite;

use super::batches::plan;
use super::config::RewardConfig;
use super::dataset::{Pair, sample};
use super::evaluation::{HeldOut, Scores, evaluate};
use super::model::RewardError;
use super::pass::{Pass, loss_and_gradients};

/// Held-out pairs that an evaluation during training looks at, at most; the report at the end looks at all.
const EVALUATION_PAIRS: usize = 200;

/// Why training can't go on.
#[derive(Debug, ThisError)]
pub enum TrainError {
    /// Loss or gradient stayed non-finite.
    #[error(
        "{0} updates in a row had a non-finite loss or gradient; lower learning_rate or max_grad_norm and start again"
    )]
    Diverged(usize),
    /// Nothing to learn from.
    #[error(
        "no training pairs are left: {ties} are ties, which Bradley–Terry can't learn from, and {held_out} are held out; give more \
         data, raise max_length or lower eval_fraction"
    )]
    NoPairs {
        /// Left out as ties.
        ties: usize,
        /// Held out.
        held_out: usize,
    },
    /// A resumed job has other data.
    #[error(
        "the job was started on {before} training pairs and would go on with {now}; pass the same data and limits as then"
    )]
    OtherPairs {
        /// In the checkpoint.
        before: usize,
        /// Now.
        now: usize,
    },
    /// Scoring the held-out pairs.
    #[error(transparent)]
    Reward(#[from] RewardError),
    /// Metrics can't be written.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// A checkpoint can't be written.
    #[error("checkpoint: {0}")]
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
    accuracy: f64,
    margin: f64,
    score_mean: f64,
    score_std: f64,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    held_out: Option<HeldOut>,
    seconds: f64,
    tokens_per_second: f64,
}

/// Held-out accuracy after so many labels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Training pairs seen.
    pub labels: usize,
    /// Held-out pairs looked at.
    pub n: usize,
    /// How many of them had r_w > r_l, equal scores half.
    pub correct: f64,
}

impl CurvePoint {
    /// Share of held-out pairs with r_w > r_l, equal scores half.
    pub fn accuracy(&self) -> f64 {
        self.correct / self.n as f64
    }
}

/// Where a job stands: what a checkpoint holds beside weights and moments.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Updates done.
    pub step: usize,
    /// Decisive training pairs; 0 before the first update.
    pub pairs: usize,
    /// Pairs seen, those of earlier epochs included.
    pub seen: usize,
    /// Updates skipped.
    #[serde(flatten)]
    pub nonfinite: NonFinite,
    /// Held-out accuracy over the number of labels seen.
    pub learning_curve: Vec<CurvePoint>,
}

/// How a job ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// At the end.
    pub state: State,
    /// Stopped by Ctrl-C.
    pub interrupted: bool,
}

/// Writes a checkpoint: standing, weights, optimiser.
pub type Save<'a> =
    dyn FnMut(&State, &ScalarModel, &Optimizer) -> Result<(), Box<dyn Error + Send + Sync>> + 'a;

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

/// Trains `network` in place, from `state` on, on the decisive ones of `training`; `held_out` is looked at every `eval_steps`.
pub fn train(
    network: &mut ScalarModel,
    optimizer: &mut Optimizer,
    mut state: State,
    training: &[Pair],
    held_out: &[Pair],
    config: &RewardConfig,
    job: &mut Job<'_>,
) -> Result<Outcome, TrainError> {
    let decisive: Vec<&Pair> = training.iter().filter(|pair| !pair.tie).collect();
    if decisive.is_empty() {
        return Err(TrainError::NoPairs {
            ties: training.len(),
            held_out: held_out.len(),
        });
    }
    if state.step > 0 && state.pairs != decisive.len() {
        return Err(TrainError::OtherPairs {
            before: state.pairs,
            now: decisive.len(),
        });
    }
    state.pairs = decisive.len();
    let held_out: Vec<&Pair> = sample(held_out, EVALUATION_PAIRS, config.seed)
        .into_iter()
        .filter(|pair| !pair.tie)
        .collect();
    let per_update = config.per_device_train_batch_size * config.gradient_accumulation_steps;
    let plan = plan(&decisive, per_update, config.num_train_epochs, config.seed);
    let total = plan.len();
    let schedule = Schedule {
        learning_rate: config.learning_rate,
        warmup_updates: config.warmup(total),
        total_updates: total,
        decay: config.lr_scheduler_type.into(),
    };
    let mut interrupted = false;
    for batch in plan.iter().skip(state.step) {
        let started = Instant::now();
        let pairs: Vec<&Pair> = batch.iter().map(|&index| decisive[index]).collect();
        let learning_rate = schedule.at(state.step);
        let (pass, update) = update(network, optimizer, &pairs, config, learning_rate);
        state.step += 1;
        state.seen += pairs.len();
        state.nonfinite.count(update.applied);
        if state.nonfinite.in_a_row >= config.max_nonfinite_steps {
            return Err(TrainError::Diverged(state.nonfinite.in_a_row));
        }
        interrupted = job.stop.is_set();
        // An interruption adds no evaluation and no row: the resumed run must be the uninterrupted one.
        let every =
            |steps: usize| steps > 0 && (state.step == total || state.step.is_multiple_of(steps));
        let due = every(config.eval_steps);
        let held = if due && !held_out.is_empty() {
            Some(evaluate(network, &held_out)?)
        } else {
            None
        };
        if let Some(held) = held {
            state.learning_curve.push(CurvePoint {
                labels: state.seen.min(decisive.len()),
                n: held_out.len(),
                correct: held.correct,
            });
        }
        let seconds = started.elapsed().as_secs_f64();
        let tokens: usize = pairs.iter().map(|p| p.winner.len() + p.loser.len()).sum();
        let scores = Scores::of(&pass.winners, &pass.losers);
        if held.is_some() || every(config.logging_steps) {
            job.metrics.append(&Row {
                step: state.step,
                epoch: state.seen as f64 / decisive.len() as f64,
                learning_rate,
                grad_norm: update.grad_norm,
                nonfinite_steps: state.nonfinite.total,
                tokens,
                loss: pass.loss,
                accuracy: scores.correct / pairs.len() as f64,
                margin: scores.margin,
                score_mean: scores.mean,
                score_std: scores.deviation,
                held_out: held,
                seconds,
                tokens_per_second: tokens as f64 / seconds,
            })?;
        }
        let shown = [("loss", pass.loss), ("margin", scores.margin)];
        job.observer.step(state.step, total, &shown);
        if interrupted || state.step == total || every(config.save_steps) {
            (job.save)(&state, network, optimizer).map_err(TrainError::Checkpoint)?;
        }
        if interrupted {
            break;
        }
    }
    Ok(Outcome { state, interrupted })
}

/// One step of the optimiser on `pairs`, as many as the configuration has in an update.
pub fn update(
    network: &mut ScalarModel,
    optimizer: &mut Optimizer,
    pairs: &[&Pair],
    config: &RewardConfig,
    learning_rate: f64,
) -> (Pass, Update) {
    let mut pass = loss_and_gradients(network, pairs, config);
    let gradients = std::mem::take(&mut pass.gradients);
    let update = if pass.loss.is_finite() {
        optimizer.step(network, gradients, learning_rate)
    } else {
        Update::SKIPPED
    };
    (pass, update)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_a_row_is_documented() {
        let held_out = HeldOut {
            correct: 1.0,
            eval_loss: 1.0,
            eval_accuracy: 1.0,
            eval_length_baseline: 0.5,
        };
        let row = Row {
            held_out: Some(held_out),
            ..Row::default()
        };
        let unknown = crate::run::metrics::undocumented("reward", &row);
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
