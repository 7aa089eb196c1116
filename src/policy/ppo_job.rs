//! A PPO job from start to end: steps, held-out evaluations, samples, checkpoints, stopping.

use std::error::Error;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use thiserror::Error as ThisError;

use crate::algo::kl::KlController;
use crate::generate::engine::Listener;
use crate::model::{precision, training_state};
use crate::run::Checkpoint;
use crate::run::control::{Observer, StopFlag};
use crate::run::exact;
use crate::run::metrics::{MetricsError, MetricsLog};
use crate::run::nonfinite::NonFinite;

use super::behaviour::Behaviour;
use super::best::Best;
use super::experience::measure;
use super::ppo::{Ppo, World, sequence_kl};
use super::ppo_report::Evaluation;
use super::rollout::{Episode, Prompt, RolloutError, rollout};

/// The draw of held-out answers: apart from every training step's.
const EVALUATION_SAMPLE: u64 = 1 << 40;

/// Nats a token between sampler and trainer, whose sums are in another order.
const F32_MISMATCH: f64 = 1e-4;
/// The same where what differs a little may be rounded to different factors of the next product. It grows with the layers: 1e-4 over the 4 of
/// the embedded model, 1.2e-2 over the 30 of SmolLM2-135M.
const BF16_MISMATCH: f64 = 5e-2;

/// Why a job can't go on.
#[derive(Debug, ThisError)]
pub enum PpoError {
    /// Sampling or scoring.
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    /// Metrics can't be written.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// Samples can't be written.
    #[error("samples.jsonl: {0}")]
    Samples(#[from] io::Error),
    /// A checkpoint.
    #[error("checkpoint: {0}")]
    Checkpoint(Box<dyn Error + Send + Sync>),
    /// Going back didn't help.
    #[error(
        "step {step}: {in_a_row} updates in a row had a non-finite loss or gradient, and there is no good checkpoint to go back to; lower learning_rate"
    )]
    Diverged {
        /// Step.
        step: usize,
        /// Skipped updates.
        in_a_row: usize,
    },
}

/// An independent judge of held-out answers.
pub type Gold<'a> = dyn Fn(&Episode<'_>) -> f64 + 'a;

/// What a job is watched, stopped and measured by, and where it writes.
pub struct Job<'a> {
    /// Progress.
    pub observer: &'a mut dyn Observer,
    /// Ctrl-C.
    pub stop: &'a StopFlag,
    /// `metrics.jsonl`.
    pub metrics: &'a mut MetricsLog,
    /// `samples.jsonl`.
    pub samples: &'a mut dyn Write,
    /// Held-out prompts, always the same.
    pub held_out: &'a [Prompt],
    /// Judges held-out answers for the log; PPO never sees it.
    pub gold: Option<&'a Gold<'a>>,
    /// Writes a checkpoint with [`save`].
    pub save: &'a mut dyn FnMut(&mut Ppo<'_>, &Outcome) -> Result<(), Box<dyn Error + Send + Sync>>,
    /// Goes back to the last good checkpoint with [`load`]; false if there is none.
    pub roll_back: &'a mut dyn FnMut(&mut Ppo<'_>) -> Result<bool, Box<dyn Error + Send + Sync>>,
}

/// How a job ended, or stands.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// Steps done, all sittings together.
    pub steps: usize,
    /// Stopped by Ctrl-C.
    pub interrupted: bool,
    /// The held-out KL went beyond `kl_budget_nats`.
    pub over_budget: bool,
    /// Before the first update of this sitting.
    pub before: Option<Evaluation>,
    /// The last one.
    pub after: Option<Evaluation>,
    /// The best held-out score within the KL budget, of all sittings, and its policy.
    pub best: Option<Best>,
}

/// What the evaluations of earlier sittings have shown.
#[derive(Debug, Clone, Default)]
pub struct Earlier {
    /// See [`Outcome::best`].
    pub best: Option<Best>,
    /// See [`Outcome::over_budget`]: then the job is at its end.
    pub over_budget: bool,
}

/// A row of `samples.jsonl`.
#[derive(Debug, Serialize)]
struct SampleRow<'a> {
    step: usize,
    held_out: bool,
    prompt_id: &'a str,
    response: &'a str,
    score: f64,
    kl: Option<f64>,
    n_tokens: usize,
    finished: bool,
}

/// Runs the job to its end, from step `ppo.step` on. A resumed job ends with the policy of one that was never stopped.
pub fn train(
    ppo: &mut Ppo<'_>,
    earlier: Earlier,
    world: &World<'_>,
    job: &mut Job<'_>,
) -> Result<Outcome, PpoError> {
    let total = ppo.config.steps();
    // A resumed job's rows of this step are in the file, if it was one of evaluation.
    let first = evaluate(ppo, world, job, ppo.step == 0)?;
    let mut outcome = Outcome {
        steps: ppo.step,
        before: first.clone(),
        after: first,
        interrupted: false,
        over_budget: earlier.over_budget,
        best: earlier.best,
    };
    while ppo.step < total && !outcome.interrupted && !outcome.over_budget {
        let (mut report, episodes) = ppo.step(
            world,
            &mut Decoding {
                observer: job.observer,
            },
        )?;
        write_samples(job.samples, ppo.step, false, &episodes, None)?;
        let every = ppo.config.eval_steps;
        outcome.interrupted = job.stop.is_set();
        // An interruption adds no evaluation, or the resumed job could end with another policy than the uninterrupted one.
        if ppo.step >= total || (every > 0 && ppo.step.is_multiple_of(every)) {
            report.evaluation = evaluate(ppo, world, job, true)?;
            outcome.see(ppo, report.evaluation.clone());
        }
        job.metrics.append(&report)?;
        let shown = [
            ("score", report.score_mean),
            ("kl", report.kl),
            ("length", report.response_length),
            ("s", report.seconds),
        ];
        job.observer.step(ppo.step, total, &shown);
        let bf16 = precision::is_used(ppo.config.bf16, &ppo.reference.embedding.device());
        warn(&report, bf16, job.observer);
        outcome.steps = ppo.step;
        if ppo.nonfinite.in_a_row >= ppo.config.max_nonfinite_steps {
            let (step, in_a_row) = (ppo.step, ppo.nonfinite.in_a_row);
            if !(job.roll_back)(ppo).map_err(PpoError::Checkpoint)? {
                return Err(PpoError::Diverged { step, in_a_row });
            }
            // The weights of an earlier step go on with fresh prompts: the same ones would only fail again.
            job.observer.note(&format!("step {step}: {in_a_row} non-finite updates in a row; back to the weights of step {}", ppo.step));
            (ppo.step, ppo.nonfinite.in_a_row) = (step, 0);
        }
        let end = ppo.step >= total || outcome.interrupted || outcome.over_budget;
        let save_steps = ppo.config.save_steps;
        if end || (save_steps > 0 && ppo.step.is_multiple_of(save_steps)) {
            (job.save)(ppo, &outcome).map_err(PpoError::Checkpoint)?;
        }
    }
    Ok(outcome)
}

impl Outcome {
    fn see(&mut self, ppo: &Ppo<'_>, evaluation: Option<Evaluation>) {
        let Some(evaluation) = evaluation else { return };
        let budget = ppo.config.kl_budget_nats.unwrap_or(f64::INFINITY);
        self.over_budget = evaluation.eval_kl > budget;
        let score = evaluation.eval_score;
        let better = |best: &Best| score > best.value;
        if score.is_finite() && !self.over_budget && self.best.as_ref().is_none_or(better) {
            self.best = Some(Best {
                step: ppo.step,
                value: score,
                policy: ppo.model.policy.clone(),
            });
        }
        self.after = Some(evaluation);
    }
}

/// Answers the held-out prompts, with rows in `samples.jsonl` if `record`, and measures them; none without held-out prompts.
fn evaluate(
    ppo: &Ppo<'_>,
    world: &World<'_>,
    job: &mut Job<'_>,
    record: bool,
) -> Result<Option<Evaluation>, PpoError> {
    if job.held_out.is_empty() {
        return Ok(None);
    }
    let prompts: Vec<&Prompt> = job.held_out.iter().collect();
    let policy = ppo.model.policy.sampler();
    let mut listener = Decoding {
        observer: job.observer,
    };
    let (tokenizer, sampling, scorer) = (world.tokenizer, world.sampling, world.scorer);
    let mut episodes = rollout(
        &policy,
        tokenizer,
        &prompts,
        sampling,
        EVALUATION_SAMPLE,
        scorer,
        &mut listener,
    )?;
    let tokens: Vec<_> = episodes.iter().map(|e| e.tokens.clone()).collect();
    let (temperature, microbatch) = (
        ppo.config.temperature,
        ppo.config.per_device_train_batch_size,
    );
    let measured = measure(
        &ppo.model,
        &ppo.reference,
        &tokens,
        Behaviour::take(&mut episodes).as_ref(),
        temperature,
        microbatch,
    );
    if record {
        let kl = sequence_kl(&measured);
        write_samples(job.samples, ppo.step, true, &episodes, Some(&kl))?;
    }
    Ok(Some(Evaluation::new(&episodes, &measured, job.gold)))
}

fn write_samples(
    file: &mut dyn Write,
    step: usize,
    held_out: bool,
    episodes: &[Episode<'_>],
    kl: Option<&[f64]>,
) -> io::Result<()> {
    for (index, episode) in episodes.iter().enumerate() {
        let row = SampleRow {
            step,
            held_out,
            prompt_id: &episode.prompt.id,
            response: &episode.response,
            score: episode.score,
            kl: kl.map(|kl| kl[index]),
            n_tokens: episode.tokens.response.len(),
            finished: episode.tokens.finished,
        };
        serde_json::to_writer(&mut *file, &row)?;
        file.write_all(b"\n")?;
    }
    file.flush()
}

fn warn(report: &super::ppo_report::StepReport, bf16: bool, observer: &mut dyn Observer) {
    let expected = if bf16 { BF16_MISMATCH } else { F32_MISMATCH };
    if report.missing_eos_share > 0.5 {
        let share = 100.0 * report.missing_eos_share;
        observer.note(&format!("step {}: {share:.0} % of the responses did not end by themselves; raise response_length", report.step));
    }
    if report.sampler_mismatch > expected {
        let nats = report.sampler_mismatch;
        observer.note(&format!("step {}: sampler and trainer differ by {nats:.1e} nats per token (expected at most {expected:e})", report.step));
    }
}

/// Shows sampling as a phase of the step.
struct Decoding<'a> {
    observer: &'a mut dyn Observer,
}

impl Listener for Decoding<'_> {
    fn finished(&mut self, done: usize, total: usize) {
        self.observer.phase("responses", done, total);
    }
}

/// The part of a checkpoint that is not tensors.
#[derive(Debug, Serialize, Deserialize)]
struct JobState {
    step: usize,
    #[serde(with = "exact")]
    kl_coef: f64,
    #[serde(flatten)]
    nonfinite: NonFinite,
    over_budget: bool,
}

const JOB_STATE: &str = "ppo.json";

/// Writes networks, optimiser, controller and the best policy into a checkpoint's folder; `previous` is the checkpoint before.
pub fn save(
    folder: &Path,
    ppo: &mut Ppo<'_>,
    outcome: &Outcome,
    previous: Option<&Checkpoint>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    training_state::save(folder, &mut ppo.model, &ppo.optimizer)?;
    if let Some(best) = &outcome.best {
        best.save(folder, previous)?;
    }
    let state = JobState {
        step: ppo.step,
        kl_coef: ppo.controller.kl_coef(),
        nonfinite: ppo.nonfinite,
        over_budget: outcome.over_budget,
    };
    std::fs::write(folder.join(JOB_STATE), serde_json::to_vec_pretty(&state)?)?;
    Ok(())
}

/// Takes up what [`save`] wrote.
pub fn load(folder: &Path, ppo: &mut Ppo<'_>) -> Result<Earlier, Box<dyn Error + Send + Sync>> {
    let state: JobState = serde_json::from_slice(&std::fs::read(folder.join(JOB_STATE))?)?;
    training_state::load(folder, &mut ppo.model, &mut ppo.optimizer)?;
    (ppo.step, ppo.nonfinite) = (state.step, state.nonfinite);
    match &mut ppo.controller {
        KlController::Fixed { kl_coef } | KlController::Adaptive { kl_coef, .. } => {
            *kl_coef = state.kl_coef;
        }
    }
    Ok(Earlier {
        best: Best::load(folder, &ppo.model.policy)?,
        over_budget: state.over_budget,
    })
}
