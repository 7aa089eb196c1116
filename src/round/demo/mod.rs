//! The whole loop on the embedded model, in a project directory that the other commands continue.
//!
//! The steps are functions; `rlhf demo` calls them in order and lets a person label in between.

use std::path::{Path, PathBuf};

use serde_json::json;
use thiserror::Error;

use crate::feedback::gold;
use crate::feedback::item::{Item, SamplesError, append_batch};
use crate::feedback::pairs::{PairsError, PreferencePair, read};
use crate::feedback::prompts::{PromptsError, read_prompts};
use crate::generate::engine::Listener;
use crate::model::{LanguageModel, ModelError};
use crate::policy::config::PpoConfig;
use crate::policy::ppo_job::Outcome;
use crate::policy::rollout::{Episode, RolloutError, tokenise};
use crate::reward::config::RewardConfig;
use crate::reward::dataset::{Dataset, tokenise as tokenise_pairs};
use crate::reward::job::{self, Data, HeldOut, JobError, Place};
use crate::reward::model::{RewardError, RewardModel};
use crate::reward::report::Report;
use crate::run::RunDirectory;
use crate::run::atomic::{WriteError, write_atomic};
use crate::run::control::{Observer, StopFlag};

use super::compare::{Comparison, Setup, compare};
use super::config::SampleConfig;
use super::improve::{ImproveError, Inputs, improve, sampling};
use super::prompts::{self, request};
use super::sample::{Batch, SampleError, sample};

/// Prompts that are answered twice and judged.
pub const JUDGED_PROMPTS: usize = 2000;
/// Held-out prompts: their judgements test the reward model, their answers compare the policies.
pub const HELD_OUT_PROMPTS: usize = 300;
/// Name of the batch to be judged.
pub const BATCH: &str = "round-0";

const FILES: [(&str, &str); 4] = [
    ("rlhf.toml", include_str!("rlhf.toml")),
    ("guidelines.md", include_str!("guidelines.md")),
    (
        "prompts/world_train.jsonl",
        include_str!("../../../prompts/world_train.jsonl"),
    ),
    (
        "prompts/world_heldout.jsonl",
        include_str!("../../../prompts/world_heldout.jsonl"),
    ),
];

/// Why a step of the demo fails.
#[derive(Debug, Error)]
#[error(transparent)]
#[allow(missing_docs, reason = "each says what its source says")]
pub enum DemoError {
    /// The folder is in use.
    #[error("{0} is there already and not empty; pass another --dir, or remove it")]
    NotEmpty(PathBuf),
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        path: PathBuf,
        source: std::io::Error,
    },
    /// No judgement can be learnt from.
    #[error(
        "no pair was judged better or worse, so there is nothing to learn from; label some, or hand over with the key that the screen shows"
    )]
    NoJudgements,
    Write(#[from] WriteError),
    Prompts(#[from] PromptsError),
    Samples(#[from] SamplesError),
    Sample(#[from] SampleError),
    Pairs(#[from] PairsError),
    Reward(#[from] RewardError),
    Job(#[from] JobError),
    Model(#[from] ModelError),
    Rollout(#[from] RolloutError),
    Improve(#[from] ImproveError),
}

/// Writes the project's files into an absent or empty folder.
pub fn create(dir: &Path) -> Result<(), DemoError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| DemoError::Io { path, source }
    };
    if dir.exists() && std::fs::read_dir(dir).map_err(io(dir))?.next().is_some() {
        return Err(DemoError::NotEmpty(dir.to_owned()));
    }
    for folder in ["prompts", "samples", "feedback", "rounds/0"] {
        let path = dir.join(folder);
        std::fs::create_dir_all(&path).map_err(io(&path))?;
    }
    for (name, text) in FILES {
        write_atomic(&dir.join(name), text.as_bytes())?;
    }
    Ok(())
}

/// Two answers to each prompt, as a batch to be judged.
pub fn sample_pairs(
    dir: &Path,
    model: &LanguageModel,
    config: &SampleConfig,
    listener: &mut dyn Listener,
) -> Result<Vec<Item>, DemoError> {
    let mut prompts = read_prompts(&dir.join("prompts/world_train.jsonl"))?;
    prompts.truncate(JUDGED_PROMPTS);
    let batch = Batch {
        name: BATCH,
        round: 0,
        policy: "embedded",
    };
    let sampled = sample(model, &prompts, config, &batch, listener)?;
    append_batch(&dir.join("samples"), BATCH, &sampled.items)?;
    Ok(sampled.items)
}

/// Judgements of the gold scorer on held-out prompts, without noise, written as TRL preference pairs to `rounds/0/heldout.jsonl`.
/// Pairs that it finds equally good are left out.
pub fn held_out_judgements(
    dir: &Path,
    model: &LanguageModel,
    config: &SampleConfig,
    listener: &mut dyn Listener,
) -> Result<PathBuf, DemoError> {
    let mut prompts = read_prompts(&dir.join("prompts/world_heldout.jsonl"))?;
    prompts.truncate(HELD_OUT_PROMPTS);
    let batch = Batch {
        name: "heldout",
        round: 0,
        policy: "embedded",
    };
    let sampled = sample(model, &prompts, config, &batch, listener)?;
    let mut rows = Vec::new();
    for item in &sampled.items {
        let [a, b] = [&item.candidates[0].text, &item.candidates[1].text];
        let asked = item.prompt.text.plain();
        let difference = gold::score(&asked, a) - gold::score(&asked, b);
        if difference.abs() < gold::TIE_MARGIN {
            continue;
        }
        let [chosen, rejected] = if difference > 0.0 { [a, b] } else { [b, a] };
        let turn = |role: &str, content: &str| json!([{"role": role, "content": content}]);
        let row = json!({
            "prompt": turn("user", &asked),
            "chosen": turn("assistant", chosen),
            "rejected": turn("assistant", rejected),
        });
        rows.push(row.to_string() + "\n");
    }
    let path = dir.join("rounds/0/heldout.jsonl");
    write_atomic(&path, rows.concat().as_bytes())?;
    Ok(path)
}

/// Trains a reward model on the project's judgements; `None` if Ctrl-C stopped it.
pub fn train_reward_model(
    dir: &Path,
    base: LanguageModel,
    held_out: &Path,
    config: &RewardConfig,
    run: &RunDirectory,
    observer: &mut dyn Observer,
    stop: &StopFlag,
) -> Result<Option<(RewardModel, Report)>, DemoError> {
    let mut model = RewardModel::on(base, config.seed)?;
    let dataset = |judgements: &[PreferencePair]| -> Result<Dataset, DemoError> {
        Ok(tokenise_pairs(judgements, &model.text, config.max_length)?)
    };
    let training = dataset(&read(dir)?)?;
    if training.pairs.iter().all(|pair| pair.tie) {
        return Err(DemoError::NoJudgements);
    }
    let held_out = HeldOut {
        name: "held-out prompts".to_owned(),
        dataset: dataset(&read(held_out)?)?,
    };
    let data = Data::against(training, vec![held_out]);
    let place = Place { run, resume: false };
    let Some(mut report) = job::run(&mut model, &data, config, &place, observer, stop)? else {
        return Ok(None);
    };
    Ok(report.held_out.pop().map(|report| (model, report)))
}

/// Improves the policy against the reward model.
pub fn improve_policy(
    dir: &Path,
    policy: LanguageModel,
    reward: &RewardModel,
    config: &PpoConfig,
    run: &RunDirectory,
    observer: &mut dyn Observer,
    stop: &StopFlag,
) -> Result<Outcome, DemoError> {
    let training = prompts::read(&dir.join("prompts/world_train.jsonl"))?;
    let mut held_out = prompts::read(&dir.join("prompts/world_heldout.jsonl"))?;
    // The first held-out prompts compare the policies at the end; the evaluations on the way see others.
    held_out.drain(..HELD_OUT_PROMPTS.min(held_out.len()));
    held_out.truncate(config.eval_prompts);
    let judge =
        |episode: &Episode<'_>| gold::score(request(&episode.prompt.input), &episode.response);
    let inputs = Inputs {
        policy,
        reward,
        prompts: training,
        held_out,
        gold: Some(&judge),
    };
    Ok(improve(inputs, config, run, false, observer, stop)?)
}

/// Old and new policy on held-out prompts, judged blind by the gold scorer; written to `rounds/0/report.json`.
pub fn compare_policies(
    dir: &Path,
    before: &LanguageModel,
    after: &LanguageModel,
    reward: &RewardModel,
    config: &PpoConfig,
) -> Result<Comparison, DemoError> {
    let mut held_out = prompts::read(&dir.join("prompts/world_heldout.jsonl"))?;
    held_out.truncate(HELD_OUT_PROMPTS);
    let held_out = tokenise(&held_out, before)?;
    let sampling = sampling(config, before.text.tokenizer()?)?;
    let setup = Setup {
        before: &before.decoder,
        after: &after.decoder,
        text: &before.text,
        sampling: &sampling,
        scorer: reward,
        judge: &gold::score,
        tie_margin: gold::TIE_MARGIN,
    };
    let comparison = compare(&setup, &held_out)?;
    let bytes = serde_json::to_vec_pretty(&comparison).unwrap_or_default();
    write_atomic(&dir.join("rounds/0/report.json"), &bytes)?;
    Ok(comparison)
}
