//! `rlhf sample`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use color_eyre::Result;
use color_eyre::eyre::OptionExt;
use serde_json::json;

use crate::cli::job::JobArgs;
use crate::device;
use crate::feedback::item::append_batch;
use crate::feedback::prompts::read_prompts;
use crate::generate::engine::Listener;
use crate::round::config::SampleConfig;
use crate::round::sample::{Batch, sample};
use crate::run::Observer;
use crate::tui::text::sanitise;

/// Arguments of `rlhf sample`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rlhf sample --model HuggingFaceTB/SmolLM2-135M-Instruct --prompts prompts/general.jsonl --max-new-tokens 96
  rlhf sample --model runs/ppo-001 --prompts prompts/general.jsonl --candidates 4 --batch round-2 --round 2

Answers that equal another of their prompt but for white space are dropped and counted. Then: rlhf label")]
pub struct SampleArgs {
    #[command(flatten)]
    job: JobArgs<SampleConfig>,

    /// Prompts to answer, JSONL
    #[arg(long, value_name = "FILE", required_unless_present = "dry_run")]
    prompts: Option<PathBuf>,

    /// Name of the batch: the items go to samples/BATCH.jsonl
    #[arg(long, value_name = "NAME", default_value = "batch-1")]
    batch: String,

    /// Round of the loop that the items belong to
    #[arg(long, value_name = "N", default_value_t = 0)]
    round: u32,

    /// Answer only the first N prompts
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

/// Runs `rlhf sample`.
pub fn run(args: SampleArgs) -> Result<ExitCode> {
    let Some(job) = args.job.resolve()? else {
        return Ok(ExitCode::SUCCESS);
    };
    let name = job
        .project
        .model
        .as_deref()
        .ok_or_eyre("which model? pass --model, or set it in [project] of rlhf.toml")?;
    let path = args
        .prompts
        .as_ref()
        .ok_or_eyre("which prompts? pass --prompts FILE")?;
    let mut prompts = read_prompts(path)?;
    prompts.truncate(args.limit.unwrap_or(usize::MAX));
    let opener = args.job.opener();
    let chosen = opener.device(job.project.device.parse()?)?;
    opener.tell_bf16(job.settings.bf16, &chosen.device);
    let model = opener.open(name, &chosen.device)?;
    let batch = Batch {
        name: &args.batch,
        round: args.round,
        policy: name,
    };
    let mut progress = args.job.progress(1);
    if !device::is_cpu(&chosen.device) {
        progress.compiling();
    }
    let sampled = sample(
        &model,
        &prompts,
        &job.settings,
        &batch,
        &mut Responses {
            observer: &mut progress,
        },
    )?;
    let file = append_batch(&args.job.dir.join("samples"), &args.batch, &sampled.items)?;
    let (items, duplicates, too_few) = (sampled.items.len(), sampled.duplicates, sampled.too_few);
    if args.job.json {
        println!(
            "{}",
            json!({"items": items, "duplicates": duplicates, "too_few": too_few, "file": file})
        );
    } else if !args.job.quiet {
        println!(
            "{items} items in {} ({duplicates} duplicate answers dropped, {too_few} prompts left with fewer than two)",
            sanitise(&file.display().to_string())
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows decoding as steps of one job.
pub struct Responses<'a> {
    /// Where progress is shown.
    pub observer: &'a mut dyn Observer,
}

impl Listener for Responses<'_> {
    fn finished(&mut self, done: usize, total: usize) {
        self.observer.step(done, total, &[]);
    }
}
