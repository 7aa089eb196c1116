//! The whole loop on the embedded model, in a project directory that the other commands continue.
//!
//! `rlhf demo` calls these steps in order, lets a person label in between, and trains as `rlhf reward train` and `rlhf ppo` do.

use std::path::{Path, PathBuf};

use serde_json::json;
use thiserror::Error;

use crate::feedback::gold;
use crate::feedback::item::{Item, SamplesError, append_batch};
use crate::feedback::prompts::{PromptsError, read_prompts};
use crate::generate::engine::Listener;
use crate::model::{LanguageModel, ModelError};
use crate::policy::config::PpoConfig;
use crate::policy::rollout::{RolloutError, tokenise};
use crate::reward::model::{RewardError, RewardModel};
use crate::run::atomic::{WriteError, write_atomic};

use super::compare::{Comparison, Setup, compare};
use super::config::SampleConfig;
use super::improve::{ImproveError, sampling};
use super::prompts;
use super::sample::{Batch, SampleError, sample};

/// Of a project: prompts that nothing learns from. Their judgements test the reward model, their answers compare the policies.
const HELD_OUT_PROMPTS: &str = "prompts/world_heldout.jsonl";
/// Name of the batch to be judged.
pub const BATCH: &str = "round-0";

const FILES: [(&str, &str); 5] = [
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
    (
        "prompts/world_validation.jsonl",
        include_str!("../../../prompts/world_validation.jsonl"),
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
    Write(#[from] WriteError),
    Prompts(#[from] PromptsError),
    Samples(#[from] SamplesError),
    Sample(#[from] SampleError),
    Reward(#[from] RewardError),
    Model(#[from] ModelError),
    Rollout(#[from] RolloutError),
    Sampling(#[from] ImproveError),
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
    let prompts = read_prompts(&dir.join("prompts/world_train.jsonl"))?;
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
    let prompts = read_prompts(&dir.join(HELD_OUT_PROMPTS))?;
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

/// Old and new policy on held-out prompts, judged blind by the gold scorer; written to `rounds/0/report.json`.
pub fn compare_policies(
    dir: &Path,
    before: &LanguageModel,
    after: &LanguageModel,
    reward: &RewardModel,
    config: &PpoConfig,
) -> Result<Comparison, DemoError> {
    let held_out = prompts::read(&dir.join(HELD_OUT_PROMPTS))?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, File, Overrides};
    use crate::run::settings::Settings;

    fn settings<S: Settings>(dir: &Path) -> S {
        let file = File::of_project(dir).unwrap();
        config::resolve(&file, &Overrides::default()).unwrap()
    }

    #[test]
    fn the_project_names_prompts_that_it_has_and_no_prompt_twice() {
        let dir = tempfile::tempdir().unwrap();
        create(dir.path()).unwrap();
        let ppo: PpoConfig = settings(dir.path());
        let files = [
            ppo.prompts.unwrap(),
            ppo.eval_prompts_file.unwrap(),
            dir.path().join(HELD_OUT_PROMPTS),
        ];
        let read = files.map(|file| read_prompts(&file).unwrap());
        assert_eq!(read.each_ref().map(Vec::len), [2000, 100, 600]);
        let different: std::collections::HashSet<String> =
            read.iter().flatten().map(|p| p.text.plain()).collect();
        assert_eq!(different.len(), 2700);
    }

    #[test]
    fn a_folder_in_use_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("notes"), "mine").unwrap();
        assert!(matches!(create(dir.path()), Err(DemoError::NotEmpty(_))));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
