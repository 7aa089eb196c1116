//! `rlhf sft`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use color_eyre::Result;
use color_eyre::eyre::{OptionExt, bail};

use crate::cli::job::{JobArgs, conclude, exit_code, from_here, how_to_go_on};
use crate::device;
use crate::model::footprint::{Footprint, Held, Microbatch};
use crate::model::optimizer::Optimizer;
use crate::model::precision;
use crate::model::{Decoder, LanguageModel, Parameters};
use crate::policy::config::SftConfig;
use crate::policy::lm_head::CHUNK_ELEMENTS;
use crate::policy::sft::{self, Job, Split};
use crate::policy::sft_data::{self, Example};
use crate::policy::sft_state::State;
use crate::run::control::StopFlag;
use crate::run::{Checkpoints, MetricsLog, Observer as _, RunDirectory, memory};

/// Arguments of `rlhf sft`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rlhf sft --model HuggingFaceTB/SmolLM2-135M-Instruct --data chats.jsonl --use-peft
  rlhf sft --model FOLDER --from-scratch --data corpus.jsonl --learning-rate 1e-3 --num-train-epochs 2
  rlhf sft --resume runs/sft-001

Rows of --data: {\"text\"}, {\"prompt\", \"completion\"} or {\"messages\"}. --from-scratch needs only config.json and
tokenizer files in FOLDER. The result is a Hugging Face folder, runs/sft-<n>/model.")]
pub struct SftArgs {
    #[command(flatten)]
    job: JobArgs<SftConfig>,
}

/// Runs `rlhf sft`.
pub fn run(args: SftArgs) -> Result<ExitCode> {
    let Some(job) = args.job.resolve()? else {
        return Ok(ExitCode::SUCCESS);
    };
    let config = &job.settings;
    let name = job
        .project
        .model
        .as_deref()
        .ok_or_eyre("which model? pass --model, or set it in [project] of rlhf.toml")?;
    let data = config
        .data
        .as_deref()
        .ok_or_eyre("which rows? pass --data, or set `data` in [sft] of rlhf.toml")?;
    let opener = args.job.opener();
    let chosen = opener.device(job.project.device.parse()?)?;
    let device = chosen.device;
    let mut model = if config.from_scratch {
        opener.open_from_scratch(name, config.seed, &device)?
    } else {
        opener.open(name, &device)?
    };
    sft::prepare(&mut model.decoder, config)?;
    let (split, cut) = read(config, from_here(data), &model)?;
    let mut progress = args.job.progress(config.logging_steps);
    progress.note(&format!(
        "{} training rows, {} held out, {cut} cut at max_length",
        split.train.len(),
        split.held_out.len()
    ));
    if let Some(remark) = precision::remark(config.bf16, &device) {
        progress.note(remark);
    }
    if device::is_cpu(&device) {
        let footprint = footprint(&mut model.decoder, &split.train, config);
        progress.note(&footprint.told(memory::available()));
    } else {
        progress.compiling();
    }
    let inputs: Vec<PathBuf> = [&config.data, &config.eval_data]
        .into_iter()
        .flatten()
        .cloned()
        .collect();
    let run = job.open_run(
        "sft",
        config.seed,
        &chosen.name,
        model.text.folder(),
        &inputs,
    )?;
    let result = (|| -> Result<sft::Outcome> {
        let checkpoints = Checkpoints::new(run.checkpoints(), config.save_total_limit);
        let mut optimizer = Optimizer::new(config.adamw(), config.max_grad_norm);
        let mut state = State::default();
        if job.resume.is_some()
            && let Some(checkpoint) = checkpoints.latest()?
        {
            checkpoint.verify()?;
            state = State::load(&checkpoint.path, &mut model.decoder, &mut optimizer)?;
        }
        let mut metrics = MetricsLog::resume(&run.metrics(), state.step)?;
        let mut save = |state: &State, decoder: &_, optimizer: &_| {
            let previous = checkpoints.latest()?;
            checkpoints.save(state.step, None, |folder| {
                state.save(folder, decoder, optimizer, previous.as_ref())
            })?;
            Ok(())
        };
        let stop = StopFlag::on_ctrl_c();
        let mut parts = Job {
            observer: &mut progress,
            stop: &stop,
            metrics: &mut metrics,
            save: &mut save,
        };
        let outcome = sft::train(
            &mut model.decoder,
            &mut optimizer,
            state,
            &split,
            config,
            &mut parts,
        )?;
        if !outcome.interrupted {
            model.save(&run.model(), config.dtype)?;
        }
        Ok(outcome)
    })();
    let outcome = conclude(&run, result, |outcome| outcome.interrupted)?;
    progress.note(&summary(&outcome, &run));
    Ok(exit_code(outcome.interrupted))
}

/// The memory that an update needs at most, on the CPU.
fn footprint(decoder: &mut Decoder, rows: &[Example], config: &SftConfig) -> Footprint {
    let length = rows.iter().map(|row| row.ids.len()).max().unwrap_or(0);
    let batch = Microbatch {
        rows: config.per_device_train_batch_size.min(rows.len()),
        length,
        logits: length * decoder.config.vocab_size,
        chunk: CHUNK_ELEMENTS,
    };
    let trained = decoder.count().0;
    Footprint::new(&Held::default().and(decoder), trained, decoder, batch)
}

fn read(config: &SftConfig, data: &Path, model: &LanguageModel) -> Result<(Split, usize)> {
    let rows = sft_data::read(data, &model.text, config.completion_only_loss)?;
    let mut split = match &config.eval_data {
        Some(path) => Split {
            train: rows,
            held_out: sft_data::read(from_here(path), &model.text, config.completion_only_loss)?,
        },
        None => sft::split(rows, config.eval_fraction, config.seed),
    };
    let limit = config
        .max_length
        .min(model.decoder.config.max_position_embeddings);
    let all = split.train.iter_mut().chain(&mut split.held_out);
    let cut = all
        .map(|row| row.truncate(limit))
        .filter(|&cut| cut)
        .count();
    if split
        .train
        .iter()
        .all(|row| !row.learnt.iter().skip(1).any(|&l| l))
    {
        bail!(
            "{}: no token is left to learn; raise max_length above the prompts' lengths",
            data.display()
        );
    }
    Ok((split, cut))
}

fn summary(outcome: &sft::Outcome, run: &RunDirectory) -> String {
    let held_out = match outcome.eval_loss {
        Some(loss) => format!(
            "held-out perplexity {:.3} (loss {loss:.4} nats per token), ",
            loss.exp()
        ),
        None => String::new(),
    };
    let updates = outcome.updates;
    if outcome.interrupted {
        let go_on = how_to_go_on("sft", run);
        return format!("interrupted after {updates} updates; {held_out}{go_on}");
    }
    let model = run.model();
    format!(
        "done in {updates} updates, {held_out}model in {}",
        model.display()
    )
}
