//! A whole training job: train, normalise, save, report. Everything of `rlhf reward train` but its arguments.

use std::collections::BTreeSet;
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error as ThisError;

use crate::device;
use crate::model::Parameters;
use crate::model::arithmetic::{self, Decoding, StepWork, TokenWork};
use crate::model::footprint::{Footprint, Held, Microbatch};
use crate::model::optimizer::Optimizer;
use crate::model::precision;
use crate::model::training_state::{self, StateError};
use crate::model::weights::WeightsError;
use crate::run::RunDirectory;
use crate::run::atomic::{WriteError, write_atomic};
use crate::run::checkpoint::{Checkpoint, CheckpointError, Checkpoints};
use crate::run::control::{Observer, StopFlag};
use crate::run::memory;
use crate::run::metrics::{MetricsError, MetricsLog};

use super::config::RewardConfig;
use super::dataset::{Dataset, Pair, sample, split};
use super::model::{RewardError, RewardModel, Scale, raw_scores};
use super::report::{TrainingReport, evaluate};
use super::trainer::{self, Job, Outcome, State, TrainError};

/// Name of the report in a run's folder.
pub const REPORT: &str = "reward_report.json";
/// What a checkpoint holds beside weights and moments.
const STATE: &str = "trainer.json";
/// Training pairs whose responses the scale of the scores is measured on, at most.
const REFERENCE_PAIRS: usize = 128;

/// Why there is no trained reward model.
#[derive(Debug, ThisError)]
pub enum JobError {
    /// Training.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Scoring or saving.
    #[error(transparent)]
    Reward(#[from] RewardError),
    /// Adapters.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Finding a checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A checkpoint that doesn't fit.
    #[error("{path}: the checkpoint doesn't fit this job: {source}", path = path.display())]
    State {
        /// Its folder.
        path: PathBuf,
        /// What is wrong.
        source: Box<dyn Error + Send + Sync>,
    },
    /// `metrics.jsonl`.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// The report.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Judgements to check with.
#[derive(Debug, Clone)]
pub struct HeldOut {
    /// File name, or what else says where they are from.
    pub name: String,
    /// See [`Data::shared_prompts`].
    pub dataset: Dataset,
}

/// Judgements to learn from and to check with.
#[derive(Debug, Clone)]
pub struct Data {
    /// To learn from; ties are ignored.
    pub training: Vec<Pair>,
    /// Training judgements that were left out for their length.
    pub too_long: usize,
    /// To check with.
    pub held_out: Vec<HeldOut>,
}

impl Data {
    /// Holds out about `fraction` of the judgements, by whole prompts.
    pub fn split(dataset: Dataset, fraction: f64, seed: u64) -> Self {
        let (training, held_out) = split(dataset.pairs, fraction, seed);
        let held_out = HeldOut {
            name: "held-out prompts".to_owned(),
            dataset: Dataset {
                pairs: held_out,
                too_long: 0,
            },
        };
        Self {
            training,
            too_long: dataset.too_long,
            held_out: Some(held_out)
                .filter(|held_out| !held_out.dataset.pairs.is_empty())
                .into_iter()
                .collect(),
        }
    }

    /// Learns from all of `dataset` and checks with judgements from elsewhere.
    pub fn against(dataset: Dataset, held_out: Vec<HeldOut>) -> Self {
        Self {
            training: dataset.pairs,
            too_long: dataset.too_long,
            held_out,
        }
    }

    /// Held-out judgements whose prompt is learnt from, too.
    pub fn shared_prompts(&self) -> usize {
        let learnt: BTreeSet<&str> = self.training.iter().map(|p| p.prompt.as_str()).collect();
        let held_out = self.held_out.iter().flat_map(|h| &h.dataset.pairs);
        held_out
            .filter(|pair| learnt.contains(pair.prompt.as_str()))
            .count()
    }
}

/// Where a job writes, and whether it goes on from a checkpoint there.
#[derive(Debug)]
pub struct Place<'a> {
    /// The run's folder.
    pub run: &'a RunDirectory,
    /// Continue from the last checkpoint, if there is one.
    pub resume: bool,
}

/// Trains `model` and writes metrics, checkpoints, `model/` and `reward_report.json`. Returns `None` if Ctrl-C stopped it.
///
/// A resumed job ends with the same bytes as one that was never stopped.
pub fn run(
    model: &mut RewardModel,
    data: &Data,
    config: &RewardConfig,
    place: &Place<'_>,
    observer: &mut dyn Observer,
    stop: &StopFlag,
) -> Result<Option<TrainingReport>, JobError> {
    prepare(model, config)?;
    let device = model.network.decoder.embedding.device();
    if let Some(remark) = precision::remark(config.bf16, &device) {
        observer.note(remark);
    }
    if device::is_cpu(&device) {
        let footprint = footprint(model, &data.training, config);
        observer.note(&footprint.told(memory::available()));
        let (work, updates) = expected(model, &data.training, config);
        let precision = precision::of_products(config.bf16);
        observer.note(&arithmetic::told(work, precision, &footprint, updates));
    } else {
        observer.compiling();
    }
    let checkpoints = Checkpoints::new(place.run.checkpoints(), config.save_total_limit);
    let mut optimizer = Optimizer::new(config.adamw(), config.max_grad_norm);
    let state = match checkpoints.latest()?.filter(|_| place.resume) {
        Some(checkpoint) => restore(&checkpoint, model, &mut optimizer)?,
        None => State::default(),
    };
    let mut metrics = MetricsLog::resume(&place.run.metrics(), state.step)?;
    let mut save = |state: &State, network: &_, optimizer: &_| {
        checkpoints.save(state.step, None, |folder| {
            write_state(folder, state, network, optimizer)
        })?;
        Ok(())
    };
    let mut job = Job {
        observer,
        stop,
        metrics: &mut metrics,
        save: &mut save,
    };
    let held_out: Vec<Pair> = data
        .held_out
        .iter()
        .flat_map(|held_out| held_out.dataset.pairs.iter().cloned())
        .collect();
    let outcome = trainer::train(
        &mut model.network,
        &mut optimizer,
        state,
        &data.training,
        &held_out,
        config,
        &mut job,
    )?;
    if outcome.interrupted {
        return Ok(None);
    }
    drop(optimizer); // Its moments are as large as what was trained; scoring can use the memory.
    model.scale = if config.normalize {
        reference_scale(model, &data.training, config.seed)?
    } else {
        Scale::default()
    };
    model.save(&place.run.model(), config.dtype)?;
    let report = report(model, data, outcome, observer)?;
    let bytes = serde_json::to_vec_pretty(&report).unwrap_or_default();
    write_atomic(&place.run.path().join(REPORT), &bytes)?;
    Ok(Some(report))
}

/// Makes a loaded or new model ready to be trained as `config` says.
///
/// # Errors
/// If adapters find no place.
pub fn prepare(model: &mut RewardModel, config: &RewardConfig) -> Result<(), WeightsError> {
    let decoder = &mut model.network.decoder;
    let precision = precision::of_products(config.bf16);
    decoder.prepare(config.lora().as_ref(), config.seed, precision)
}

/// The memory that an update needs at most, on the CPU.
pub fn footprint(model: &mut RewardModel, pairs: &[Pair], config: &RewardConfig) -> Footprint {
    let longest = pairs.iter().map(|p| p.winner.len() + p.loser.len());
    let batch = Microbatch {
        rows: config.per_device_train_batch_size.min(pairs.len()),
        length: longest.max().unwrap_or(0),
        logits: 0,
        chunk: 0,
    };
    let trained = model.network.count().0;
    let decoder = &model.network.decoder;
    Footprint::new(&Held::default().and(decoder), trained, decoder, batch)
}

/// The work of an update, and how many updates the job has. Held-out pairs are not counted.
fn expected(model: &RewardModel, pairs: &[Pair], config: &RewardConfig) -> (StepWork, usize) {
    let decisive: Vec<&Pair> = pairs.iter().filter(|pair| !pair.tie).collect();
    let together = config.per_device_train_batch_size * config.gradient_accumulation_steps;
    let updates = (decisive.len() as f64 * config.num_train_epochs / together as f64).ceil();
    let share = together as f64 / decisive.len().max(1) as f64;
    let mut update = work(model, &decisive);
    update.operations *= share.min(1.0);
    (update, updates as usize)
}

/// The work of an update on `pairs`.
pub fn work(model: &RewardModel, pairs: &[&Pair]) -> StepWork {
    let both = |pair: &&Pair| pair.winner.len() + pair.loser.len();
    let tokens: usize = pairs.iter().map(both).sum();
    let length = tokens / (2 * pairs.len()).max(1);
    let decoder = &model.network.decoder;
    let (of_token, tokens) = (TokenWork::of(decoder, length), tokens as f64);
    let below = of_token.forward(tokens) - of_token.forward_above(tokens);
    of_token.step(below + of_token.learning(tokens), Decoding::default())
}

/// Normalises scores on training responses.
fn reference_scale(
    model: &RewardModel,
    training: &[Pair],
    seed: u64,
) -> Result<Scale, RewardError> {
    let pairs = sample(training, REFERENCE_PAIRS, seed);
    let rows: Vec<Vec<u32>> = pairs
        .iter()
        .flat_map(|pair| [pair.winner.clone(), pair.loser.clone()])
        .collect();
    Ok(Scale::normalising(&raw_scores(&model.network, &rows)?))
}

fn report(
    model: &RewardModel,
    data: &Data,
    outcome: Outcome,
    observer: &mut dyn Observer,
) -> Result<TrainingReport, RewardError> {
    let ties = data.training.iter().filter(|pair| pair.tie).count();
    let held_out = data
        .held_out
        .iter()
        .map(|h| evaluate(&model.network, &h.name, &h.dataset, observer))
        .collect::<Result<_, _>>()?;
    Ok(TrainingReport {
        v: 1,
        training_pairs: data.training.len() - ties,
        training_ties: ties,
        too_long: data.too_long,
        updates: outcome.state.step,
        learning_curve: outcome.state.learning_curve,
        held_out,
    })
}

fn write_state(
    folder: &Path,
    state: &State,
    network: &crate::model::ScalarModel,
    optimizer: &Optimizer,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    training_state::save(folder, &mut network.clone(), optimizer)?;
    std::fs::write(folder.join(STATE), serde_json::to_vec(state)?)?;
    Ok(())
}

fn restore(
    checkpoint: &Checkpoint,
    model: &mut RewardModel,
    optimizer: &mut Optimizer,
) -> Result<State, JobError> {
    checkpoint.verify()?;
    let misfit = |source: Box<dyn Error + Send + Sync>| JobError::State {
        path: checkpoint.path.clone(),
        source,
    };
    let load = training_state::load(&checkpoint.path, &mut model.network, optimizer);
    load.map_err(|error: StateError| misfit(error.into()))?;
    let bytes = std::fs::read(checkpoint.file(STATE));
    let bytes = bytes.map_err(|error: io::Error| misfit(error.into()))?;
    serde_json::from_slice(&bytes).map_err(|error| misfit(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::LanguageModel;

    #[test]
    fn a_job_computes_in_its_precision() {
        let device = device::cpu().device;
        for (bf16, use_peft) in [(true, true), (true, false), (false, true)] {
            let config = RewardConfig {
                bf16,
                use_peft,
                ..RewardConfig::default()
            };
            let base = LanguageModel::embedded(&device).unwrap();
            let mut model = RewardModel::on(base, 3).unwrap();
            prepare(&mut model, &config).unwrap();
            let decoder = &model.network.decoder;
            assert_eq!(decoder.has_lora(), use_peft);
            let expected = [precision::of_products(bf16); 4 * 7 + 1];
            assert_eq!(precision::every(decoder), expected);
        }
    }
}
