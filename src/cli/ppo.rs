//! `rlhf ppo`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use color_eyre::Result;
use color_eyre::eyre::OptionExt;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::cli::job::{Job, JobArgs, conclude, exit_code, from_here, how_to_go_on};
use crate::cli::models::Opener;
use crate::cli::progress::Progress;
use crate::model::PromptInput;
use crate::policy::config::PpoConfig;
use crate::policy::ppo_job::{Gold, Outcome};
use crate::round::improve::{Inputs, improve};
use crate::round::prompts;
use crate::run::control::StopFlag;
use crate::run::{Observer as _, RunDirectory};

/// Arguments of `rlhf ppo`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rlhf ppo --model HuggingFaceTB/SmolLM2-135M-Instruct --reward-model runs/reward-001 --prompts prompts/general.jsonl \\
      --use-peft --critic shared --learning-rate 1e-4
  rlhf ppo --model embedded --reward-model rlhf-demo/runs/reward-001 --prompts prompts/world_train.jsonl
  rlhf ppo --resume runs/ppo-001

The reference is the model as it starts. Prompts: JSONL rows {\"prompt\": text or messages, \"id\"?}. Without
--eval-prompts-file, eval_prompts of them are held out. The policy with the best held-out score is written to
runs/ppo-<n>/model, a Hugging Face folder. What a logged metric means: rlhf explain NAME.")]
pub struct PpoArgs {
    #[command(flatten)]
    job: JobArgs<PpoConfig>,

    /// Reward model: a folder, or the run that trained it
    #[arg(long, value_name = "MODEL")]
    reward_model: Option<String>,
}

/// Runs `rlhf ppo`.
pub fn run(args: PpoArgs) -> Result<ExitCode> {
    let project = [("reward_model", &args.reward_model)];
    let Some(job) = args.job.resolve_with(&project)? else {
        return Ok(ExitCode::SUCCESS);
    };
    let mut progress = args.job.progress(job.settings.logging_steps);
    let stop = StopFlag::on_ctrl_c();
    let (run, outcome) = train(&job, args.job.opener(), None, &mut progress, &stop)?;
    progress.note(&summary(&outcome, &run));
    Ok(exit_code(outcome.interrupted))
}

/// Improves the policy that `job` names. `gold` judges held-out answers, too, where there is such a judge.
pub fn train(
    job: &Job<PpoConfig>,
    opener: Opener,
    gold: Option<&Gold<'_>>,
    progress: &mut Progress,
    stop: &StopFlag,
) -> Result<(RunDirectory, Outcome)> {
    let config = &job.settings;
    let model = job
        .project
        .model
        .as_deref()
        .ok_or_eyre("which policy? pass --model, or set it in [project] of rlhf.toml")?;
    let reward = job.project.reward_model.as_deref().ok_or_eyre(
        "which reward model? pass --reward-model, or set it in [project] of rlhf.toml",
    )?;
    let path = config
        .prompts
        .as_deref()
        .ok_or_eyre("which prompts? pass --prompts, or set `prompts` in [ppo] of rlhf.toml")?;
    let (training, held_out) = split(from_here(path), config)?;
    let chosen = opener.device(job.project.device.parse()?)?;
    let policy = opener.open(model, &chosen.device)?;
    let reward = opener.open_reward_model_beside(reward, &policy, &chosen.device)?;
    let mut inputs = vec![path.to_owned()];
    inputs.extend(config.eval_prompts_file.clone());
    inputs.extend(reward.text.folder().map(Path::to_owned));
    let run = job.open_run(
        "ppo",
        config.seed,
        &chosen.name,
        policy.text.folder(),
        &inputs,
    )?;
    progress.note(&format!(
        "{} training prompts, {} held out; run in {}",
        training.len(),
        held_out.len(),
        run.path().display()
    ));
    let inputs = Inputs {
        policy,
        reward,
        prompts: training,
        held_out,
        gold,
    };
    let result = improve(inputs, config, &run, job.resume.is_some(), progress, stop);
    let outcome = conclude(&run, result, |outcome| outcome.interrupted)?;
    Ok((run, outcome))
}

type Prompts = Vec<(String, PromptInput)>;

/// Training and held-out prompts.
fn split(path: &Path, config: &PpoConfig) -> Result<(Prompts, Prompts)> {
    let mut all = prompts::read(path)?;
    if let Some(path) = &config.eval_prompts_file {
        let mut held_out = prompts::read(from_here(path))?;
        held_out.truncate(config.eval_prompts);
        return Ok((all, held_out));
    }
    all.shuffle(&mut ChaCha8Rng::seed_from_u64(config.seed));
    let count = config.eval_prompts.min(all.len() / 2);
    let training = all.split_off(count);
    Ok((training, all))
}

fn summary(outcome: &Outcome, run: &RunDirectory) -> String {
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
            run.model().display()
        );
    }
    if outcome.interrupted {
        let _ = write!(text, "\n{}", how_to_go_on("ppo", run));
    }
    text
}
