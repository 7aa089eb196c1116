//! `rlhf ppo`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use color_eyre::Result;
use color_eyre::eyre::OptionExt;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::cli::job::{JobArgs, conclude};
use crate::cli::models;
use crate::model::PromptInput;
use crate::policy::config::PpoConfig;
use crate::policy::ppo_job::Outcome;
use crate::round::improve::{Inputs, improve};
use crate::round::prompts;
use crate::run::Observer as _;
use crate::run::control::StopFlag;

/// Arguments of `rlhf ppo`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rlhf ppo --model HuggingFaceTB/SmolLM2-135M-Instruct --reward-model runs/reward-001 --prompts prompts/general.jsonl \\
      --use-peft --critic shared --learning-rate 1e-4
  rlhf ppo --model embedded --reward-model rlhf-demo/runs/reward-001 --prompts prompts/world_train.jsonl
  rlhf ppo --resume runs/ppo-001 --prompts prompts/general.jsonl

The reference is the model as it starts. Prompts: JSONL rows {\"prompt\": text or messages, \"id\"?}. Without
--eval-prompts-file, eval_prompts of them are held out. The policy with the best held-out score is written to
runs/ppo-<n>/model, a Hugging Face folder. What a logged metric means: rlhf explain NAME.")]
pub struct PpoArgs {
    #[command(flatten)]
    job: JobArgs<PpoConfig>,

    /// Reward model: a folder, or the run that trained it
    #[arg(long, value_name = "MODEL")]
    reward_model: Option<String>,

    /// Prompts to train on, JSONL
    #[arg(long, value_name = "FILE", required_unless_present = "dry_run")]
    prompts: Option<PathBuf>,

    /// Held-out prompts, JSONL, instead of a share of --prompts
    #[arg(long, value_name = "FILE")]
    eval_prompts_file: Option<PathBuf>,
}

/// Runs `rlhf ppo`.
pub fn run(args: PpoArgs) -> Result<ExitCode> {
    let Some(job) = args.job.resolve()? else {
        return Ok(ExitCode::SUCCESS);
    };
    let config = &job.settings;
    let model = job
        .project
        .model
        .as_deref()
        .ok_or_eyre("which policy? pass --model, or set it in [project] of rlhf.toml")?;
    let reward = args
        .reward_model
        .as_deref()
        .or(job.project.reward_model.as_deref());
    let reward = reward.ok_or_eyre(
        "which reward model? pass --reward-model, or set it in [project] of rlhf.toml",
    )?;
    let path = args
        .prompts
        .as_ref()
        .ok_or_eyre("which prompts? pass --prompts FILE")?;
    let (training, held_out) = split(&args, path, config)?;
    let chosen = models::device(job.project.device.parse()?)?;
    let policy = models::open(model, &chosen.device)?;
    let reward = models::open_reward_model(reward, &chosen.device)?;
    let mut inputs = vec![path.clone()];
    inputs.extend(args.eval_prompts_file.clone());
    inputs.extend(reward.text.folder().map(std::path::Path::to_owned));
    let run = job.open_run(
        "ppo",
        config.seed,
        &chosen.name,
        policy.text.folder(),
        &inputs,
    )?;
    let mut progress = args.job.progress(config.logging_steps);
    progress.note(&format!(
        "{} training prompts, {} held out; run in {}",
        training.len(),
        held_out.len(),
        run.path().display()
    ));
    let inputs = Inputs {
        policy,
        reward: &reward,
        prompts: training,
        held_out,
        gold: None,
    };
    let stop = StopFlag::on_ctrl_c();
    let result = improve(
        inputs,
        config,
        &run,
        job.resume.is_some(),
        &mut progress,
        &stop,
    );
    let summary = result
        .as_ref()
        .ok()
        .map(|outcome| summary(outcome, &run.model()));
    let code = conclude(
        &run,
        result
            .map(|outcome| outcome.interrupted)
            .map_err(Into::into),
    )?;
    if let Some(summary) = summary {
        progress.note(&summary);
    }
    Ok(code)
}

type Prompts = Vec<(String, PromptInput)>;

/// Training and held-out prompts.
fn split(args: &PpoArgs, path: &std::path::Path, config: &PpoConfig) -> Result<(Prompts, Prompts)> {
    let mut all = prompts::read(path)?;
    if let Some(path) = &args.eval_prompts_file {
        let mut held_out = prompts::read(path)?;
        held_out.truncate(config.eval_prompts);
        return Ok((all, held_out));
    }
    all.shuffle(&mut ChaCha8Rng::seed_from_u64(config.seed));
    let count = config.eval_prompts.min(all.len() / 2);
    let training = all.split_off(count);
    Ok((training, all))
}

fn summary(outcome: &Outcome, model: &std::path::Path) -> String {
    let end = if outcome.interrupted {
        "interrupted after"
    } else if outcome.over_budget {
        "stopped at the KL budget after"
    } else {
        "done in"
    };
    let mut text = format!("{end} {} steps", outcome.steps);
    if let (Some(before), Some(after)) = (&outcome.before, &outcome.after) {
        let _ = write!(
            text,
            "\nheld out: score {:.3} → {:.3}, KL {:.2} nats, length {:.1} → {:.1}, distinct-2 {:.3} → {:.3}",
            before.eval_score,
            after.eval_score,
            after.eval_kl,
            before.eval_response_length,
            after.eval_response_length,
            before.eval_distinct_2,
            after.eval_distinct_2,
        );
    }
    if let Some(best) = &outcome.best {
        let _ = write!(
            text,
            "\nbest held-out score {:.3} at step {}: written to {}",
            best.value,
            best.step,
            model.display()
        );
    }
    text
}
