//! `rlhf reward train|eval|score`.

use std::fmt::Write as _;
use std::io::{self, Write as _, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use color_eyre::Result;
use color_eyre::eyre::{OptionExt, bail};
use serde_json::json;

use crate::cli::job::{JobArgs, conclude};
use crate::cli::models;
use crate::cli::progress::Progress;
use crate::device::DeviceChoice;
use crate::feedback::item::MAX_ROW_BYTES;
use crate::feedback::labels::Folders;
use crate::feedback::lines::{Lines, jsonl_files};
use crate::feedback::pairs;
use crate::feedback::store;
use crate::model::weights::SaveDtype;
use crate::model::{ModelError, ModelText};
use crate::reward::config::RewardConfig;
use crate::reward::dataset::{Dataset, tokenise};
use crate::reward::job::{self, Data, HeldOut, Place};
use crate::reward::model::RewardModel;
use crate::reward::report::{Accuracy, IntervalMethod, Report, evaluate};
use crate::reward::scoring::score_rows;
use crate::run::control::StopFlag;
use crate::run::{Input, Observer as _, RunDirectory};

/// Arguments of `rlhf reward`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rlhf reward train --model embedded                                learn from this project's judgements
  rlhf reward eval --model runs/reward-001 --data test.jsonl        how often it agrees with people
  rlhf reward score --model runs/reward-001 --data answers.jsonl    a score for each answer")]
pub struct RewardArgs {
    #[command(subcommand)]
    command: RewardCommand,
}

#[derive(Debug, Subcommand)]
enum RewardCommand {
    /// Train a reward model on judgements
    Train(Box<TrainArgs>),
    /// Compare a reward model with judgements
    Eval(EvalArgs),
    /// Score answers
    Score(ScoreArgs),
}

/// Arguments of `rlhf reward train`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rlhf reward train --model embedded
  rlhf reward train --model HuggingFaceTB/SmolLM2-135M-Instruct --data pairs.jsonl --use-peft --out runs/rm
  rlhf reward train --model FOLDER --data train.jsonl --eval-data test.jsonl --center-rewards-coefficient 0.01
  rlhf reward train --resume runs/reward-001 --data pairs.jsonl

--data takes files of preference pairs (TRL's and hh-rlhf's formats, see rlhf feedback import) and project directories. The
result is a Hugging Face sequence classifier, runs/reward-<n>/model; how good it is, in runs/reward-<n>/reward_report.json.")]
pub struct TrainArgs {
    #[command(flatten)]
    job: JobArgs<RewardConfig>,

    /// Judgements to learn from: files of pairs, or project directories [default: this project]
    #[arg(long, value_name = "FILE", num_args = 1..)]
    data: Vec<PathBuf>,

    /// Judgements to check with, instead of a share of --data
    #[arg(long, value_name = "FILE", num_args = 1..)]
    eval_data: Vec<PathBuf>,

    /// Learn from the first N pairs only
    #[arg(long, value_name = "N")]
    max_train_pairs: Option<usize>,

    /// Number format of the result: f32, f16 or bf16
    #[arg(long, value_name = "DTYPE", default_value = "f32")]
    dtype: SaveDtype,
}

/// Arguments of `rlhf reward eval`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rlhf reward eval --model runs/reward-001 --data test.jsonl
  rlhf reward eval --model runs/reward-001 --data a.jsonl b.jsonl --json
  rlhf reward eval --model ORG/REWARD-MODEL --data my-project

The interval has 95 % coverage: Wilson's where every prompt has one pair, otherwise by resampling whole prompts. \"longer wins\"
is what preferring the longer answer would reach: a reward model that isn't better may have learnt just that.")]
pub struct EvalArgs {
    /// Reward model: a folder, a run, or a hub id (ORG/NAME)
    #[arg(long, value_name = "MODEL")]
    model: String,

    /// Judgements: files of pairs, or project directories
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    data: Vec<PathBuf>,

    /// Leave out pairs with more tokens than this in prompt and response [default: the model's context]
    #[arg(long, value_name = "N")]
    max_length: Option<usize>,

    /// Print one JSON object a file
    #[arg(long)]
    json: bool,

    /// Where to compute: auto, cpu, wgpu, wgpu:N, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: DeviceChoice,
}

/// Arguments of `rlhf reward score`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rlhf reward score --model runs/reward-001 --data answers.jsonl > scored.jsonl
  echo '{\"prompt\": \"The sky is\", \"response\": \" blue.\"}' | rlhf reward score --model runs/reward-001

Rows are {\"prompt\", \"response\"} (or \"completion\"), text or messages. Each comes back with \"score\", which has mean 0 and
variance 1 on training responses, and \"raw_score\", which is what transformers computes.")]
pub struct ScoreArgs {
    /// Reward model: a folder, a run, or a hub id (ORG/NAME)
    #[arg(long, value_name = "MODEL")]
    model: String,

    /// Rows to score, JSONL; - for standard input
    #[arg(long, value_name = "FILE", default_value = "-")]
    data: PathBuf,

    /// Where to compute: auto, cpu, wgpu, wgpu:N, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value_t)]
    device: DeviceChoice,
}

/// Runs `rlhf reward`.
pub fn run(args: RewardArgs) -> Result<ExitCode> {
    match args.command {
        RewardCommand::Train(args) => train(&args),
        RewardCommand::Eval(args) => eval(&args),
        RewardCommand::Score(args) => score(&args),
    }
}

fn train(args: &TrainArgs) -> Result<ExitCode> {
    let Some(job) = args.job.resolve()? else {
        return Ok(ExitCode::SUCCESS);
    };
    let config = &job.settings;
    let name = job
        .project
        .model
        .as_deref()
        .ok_or_eyre("which model? pass --model, or set it in [project] of rlhf.toml")?;
    let sources = match args.data.as_slice() {
        [] => std::slice::from_ref(&args.job.dir),
        files => files,
    };
    let chosen = models::device(job.project.device.parse()?)?;
    let mut model = start(name, config.seed, &chosen.device)?;
    let data = read(args, sources, config, &model)?;
    let mut progress = args.job.progress(config.logging_steps);
    progress.note(&data_summary(&data));
    let inputs = inputs(sources.iter().chain(&args.eval_data))?;
    if let Some(run) = &job.resume {
        check_same(&RunDirectory::open(run)?, &inputs)?;
    }
    let parent = model.text.folder().map(Path::to_owned);
    let run = job.open_run(
        "reward",
        config.seed,
        &chosen.name,
        parent.as_deref(),
        &inputs,
    )?;
    let place = Place {
        run: &run,
        resume: job.resume.is_some(),
        dtype: args.dtype,
    };
    let stop = StopFlag::on_ctrl_c();
    let result = job::run(&mut model, &data, config, &place, &mut progress, &stop);
    let reports = match &result {
        Ok(Some(report)) => report.held_out.clone(),
        _ => Vec::new(),
    };
    let interrupted = result.map(|report| report.is_none());
    let code = conclude(&run, interrupted.map_err(Into::into))?;
    tell(&mut progress, args.job.json, &reports, &run, code);
    Ok(code)
}

/// A reward model to continue, or a new one on a language model's trunk.
fn start(name: &str, seed: u64, device: &burn::tensor::Device) -> Result<RewardModel> {
    match models::open(name, device) {
        Ok(base) => Ok(RewardModel::on(base, seed)?),
        Err(error) => match error.downcast_ref() {
            Some(ModelError::IsClassifier(_)) => models::open_reward_model(name, device),
            _ => Err(error),
        },
    }
}

fn read(
    args: &TrainArgs,
    sources: &[PathBuf],
    config: &RewardConfig,
    model: &RewardModel,
) -> Result<Data> {
    let context = model.network.decoder.config.max_position_embeddings;
    let limit = config.max_length.min(context);
    let mut all = Dataset::default();
    for source in sources {
        let part = dataset(source, &model.text, limit)?;
        all.pairs.extend(part.pairs);
        all.too_long += part.too_long;
    }
    let held_out = args
        .eval_data
        .iter()
        .map(|path| {
            Ok(HeldOut {
                name: path.display().to_string(),
                dataset: dataset(path, &model.text, limit)?,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    let mut data = if held_out.is_empty() {
        Data::split(all, config.eval_fraction, config.seed)
    } else {
        Data::against(all, held_out)
    };
    data.training
        .truncate(args.max_train_pairs.unwrap_or(usize::MAX));
    Ok(data)
}

fn dataset(path: &Path, text: &ModelText, limit: usize) -> Result<Dataset> {
    Ok(tokenise(&pairs::read(path)?, text, limit)?)
}

/// The files that a run's record names: of a project, everything that its pairs are made from.
fn inputs<'a>(sources: impl Iterator<Item = &'a PathBuf>) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for source in sources {
        if !source.is_dir() {
            files.push(source.clone());
            continue;
        }
        let Folders { samples, feedback } = Folders::of(source);
        files.extend(jsonl_files(&samples)?);
        for annotator in store::annotators(&feedback)? {
            files.extend(jsonl_files(&store::annotator_folder(
                &feedback, &annotator,
            )?)?);
        }
    }
    Ok(files)
}

/// A resumed run must go on with the files that it was started with.
fn check_same(run: &RunDirectory, inputs: &[PathBuf]) -> Result<()> {
    let before = run.provenance()?.inputs;
    let now = inputs
        .iter()
        .map(|path| Input::read(path))
        .collect::<Result<Vec<_>, _>>()?;
    let hashes = |inputs: &[Input]| inputs.iter().map(|i| i.sha256.clone()).collect::<Vec<_>>();
    if hashes(&before) != hashes(&now) {
        let names: Vec<_> = before
            .iter()
            .map(|i| i.path.display().to_string())
            .collect();
        bail!(
            "{} was started with other data, or its data have changed: it read {}; pass the same --data and --eval-data",
            run.path().display(),
            names.join(", ")
        );
    }
    Ok(())
}

fn data_summary(data: &Data) -> String {
    let held_out: usize = data.held_out.iter().map(|h| h.dataset.pairs.len()).sum();
    let ties = data.training.iter().filter(|pair| pair.tie).count();
    let mut text = format!(
        "{} training pairs, {held_out} held out; left out: {} too long, {ties} ties",
        data.training.len() - ties,
        data.too_long
    );
    let shared = data.shared_prompts();
    if shared > 0 {
        let _ = write!(
            text,
            "\nwarning: {shared} held-out pairs have a prompt that is learnt from, too; their accuracy says little about new prompts"
        );
    }
    text
}

fn tell(
    progress: &mut Progress,
    json: bool,
    reports: &[Report],
    run: &RunDirectory,
    code: ExitCode,
) {
    for report in reports {
        if json {
            let _ = writeln!(stdout(), "{}", json!({"event": "report", "report": report}));
        } else {
            progress.note(describe(report).trim_end());
        }
    }
    if code == ExitCode::SUCCESS {
        progress.note(&format!("reward model: {}", run.model().display()));
    } else {
        let path = run.path().display();
        progress.note(&format!(
            "stopped; to go on: rlhf reward train --resume {path}"
        ));
    }
}

fn eval(args: &EvalArgs) -> Result<ExitCode> {
    let device = models::device(args.device)?.device;
    let model = models::open_reward_model(&args.model, &device)?;
    let context = model.network.decoder.config.max_position_embeddings;
    let limit = args.max_length.unwrap_or(context).min(context);
    for path in &args.data {
        let dataset = dataset(path, &model.text, limit)?;
        let name = path.display().to_string();
        // JSON goes to standard output, progress to standard error.
        let mut progress = Progress::new(false, args.json, 1);
        let report = evaluate(&model.network, &name, &dataset, &mut progress)?;
        drop(progress);
        if args.json {
            writeln!(stdout(), "{}", json!(report))?;
        } else {
            write!(stdout(), "{}", describe(&report))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A report as a person reads it.
fn describe(report: &Report) -> String {
    let mut text = format!("{}\n", report.file);
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<20}{value}");
    };
    line("accuracy", share(&report.overall));
    line("longer wins", format!("{:.3}", report.length_baseline));
    if report.ties > 0 {
        let value = format!(
            "{:.3} over {} pairs and {} ties (|difference| ≤ {:.3} is a tie)",
            report.tie_aware_accuracy, report.overall.n, report.ties, report.tie_threshold
        );
        line("with ties", value);
    }
    line("mean margin", format!("{:.3}", report.mean_margin));
    line("calibration error", format!("{:.3}", report.ece));
    let left_out = format!(
        "{} too long, {} equal scores",
        report.too_long, report.equal_scores
    );
    line("left out", left_out);
    for (title, groups) in [
        ("source", &report.by_source),
        ("annotator", &report.by_annotator),
    ] {
        // A single group would repeat the first line.
        for (name, accuracy) in groups.iter().filter(|_| groups.len() > 1) {
            line(title, format!("{}  {name}", share(accuracy)));
        }
    }
    text
}

fn share(accuracy: &Accuracy) -> String {
    let Accuracy {
        n,
        prompts,
        accuracy,
        accuracy_low,
        accuracy_high,
        interval,
    } = accuracy;
    let pairs = match interval {
        IntervalMethod::Wilson => format!("{n} pairs"),
        IntervalMethod::PromptBootstrap if *prompts < 20 => {
            format!("{n} pairs of only {prompts} prompts: the interval is too narrow")
        }
        IntervalMethod::PromptBootstrap => format!("{n} pairs of {prompts} prompts"),
    };
    format!("{accuracy:.3} [{accuracy_low:.3}, {accuracy_high:.3}]  {pairs}")
}

fn score(args: &ScoreArgs) -> Result<ExitCode> {
    let device = models::device(args.device)?.device;
    let model = models::open_reward_model(&args.model, &device)?;
    let stdin = Path::new("/dev/stdin");
    let path = if args.data == Path::new("-") {
        stdin
    } else {
        &args.data
    };
    let mut lines = Lines::open(path, MAX_ROW_BYTES)?;
    let mut out = stdout().lock();
    let print = |row: serde_json::Map<_, _>| -> io::Result<()> {
        serde_json::to_writer(&mut out, &row)?;
        out.write_all(b"\n")
    };
    score_rows(&model, &mut lines, print)?;
    Ok(ExitCode::SUCCESS)
}
