//! `rlhf reward train|eval|score`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, Write as _, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use color_eyre::Result;
use color_eyre::eyre::OptionExt;
use serde_json::json;

use crate::cli::job::{Job, JobArgs, conclude, exit_code, from_here, how_to_go_on};
use crate::cli::models::Opener;
use crate::cli::progress::Progress;
use crate::device::DeviceChoice;
use crate::feedback::item::MAX_ROW_BYTES;
use crate::feedback::labels::Folders;
use crate::feedback::lines::{Lines, jsonl_files};
use crate::feedback::pairs;
use crate::feedback::store;
use crate::model::{ModelError, ModelText};
use crate::reward::config::RewardConfig;
use crate::reward::dataset::{Dataset, tokenise};
use crate::reward::job::{self, Data, HeldOut, Place};
use crate::reward::model::RewardModel;
use crate::reward::report::{Accuracy, IntervalMethod, Report, TrainingReport, evaluate};
use crate::reward::scoring::score_rows;
use crate::run::control::StopFlag;
use crate::run::{Observer as _, RunDirectory};

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
  rlhf reward train --resume runs/reward-001

--data takes files of preference pairs in any format that rlhf feedback import reads, and project directories. The
result is a Hugging Face sequence classifier, runs/reward-<n>/model; how good it is, in runs/reward-<n>/reward_report.json.
Adapters (--use-peft) are merged there, and in runs/reward-<n>/adapter by themselves, as PEFT has them.")]
pub struct TrainArgs {
    #[command(flatten)]
    job: JobArgs<RewardConfig>,
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
    let Some(mut job) = args.job.resolve()? else {
        return Ok(ExitCode::SUCCESS);
    };
    if job.settings.data.is_empty() {
        job.settings.data = vec![std::path::absolute(&args.job.dir)?];
    }
    let mut progress = args.job.progress(job.settings.logging_steps);
    let stop = StopFlag::on_ctrl_c();
    let trained = learn(&job, args.job.opener(), &mut progress, &stop)?;
    tell(&mut progress, args.job.json, &trained);
    Ok(exit_code(trained.report.is_none()))
}

/// What [`learn`] made.
pub struct Trained {
    /// Where it is.
    pub run: RunDirectory,
    /// The reward model.
    pub model: RewardModel,
    /// How good it is; `None` if Ctrl-C stopped the training.
    pub report: Option<TrainingReport>,
}

/// Trains a reward model on the judgements that `job` names.
pub fn learn(
    job: &Job<RewardConfig>,
    opener: Opener,
    progress: &mut Progress,
    stop: &StopFlag,
) -> Result<Trained> {
    let config = &job.settings;
    let name = job
        .project
        .model
        .as_deref()
        .ok_or_eyre("which model? pass --model, or set it in [project] of rlhf.toml")?;
    let chosen = opener.device(job.project.device.parse()?)?;
    let mut model = start(opener, name, config.seed, &chosen.device)?;
    let data = read(config, &model)?;
    progress.note(&data_summary(&data));
    let inputs = inputs(config.data.iter().chain(&config.eval_data))?;
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
    };
    let result = job::run(&mut model, &data, config, &place, progress, stop);
    let report = conclude(&run, result, Option::is_none)?;
    Ok(Trained { run, model, report })
}

/// A reward model to continue, or a new one on a language model's trunk.
fn start(
    opener: Opener,
    name: &str,
    seed: u64,
    device: &burn::tensor::Device,
) -> Result<RewardModel> {
    match opener.open(name, device) {
        Ok(base) => Ok(RewardModel::on(base, seed)?),
        Err(error) => match error.downcast_ref() {
            Some(ModelError::IsClassifier(_)) => opener.open_reward_model(name, device),
            _ => Err(error),
        },
    }
}

fn read(config: &RewardConfig, model: &RewardModel) -> Result<Data> {
    let context = model.network.decoder.config.max_position_embeddings;
    let limit = config.max_length.min(context);
    let mut all = Dataset::default();
    for source in &config.data {
        let part = dataset(source, &model.text, limit)?;
        all.pairs.extend(part.pairs);
        all.too_long += part.too_long;
    }
    let held_out = names(&config.eval_data)
        .into_iter()
        .zip(&config.eval_data)
        .map(|(name, path)| {
            Ok(HeldOut {
                name,
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
        .truncate(config.max_train_pairs.unwrap_or(usize::MAX));
    Ok(data)
}

/// What the report calls files: their names, or their whole paths where two have one name. The current directory, which is
/// another one when a run is resumed, plays no part.
fn names(paths: &[PathBuf]) -> Vec<String> {
    let name = |path: &PathBuf| Some(path.file_name()?.to_string_lossy().into_owned());
    let different: BTreeSet<_> = paths.iter().map(name).collect();
    let short = different.len() == paths.len();
    let names = paths.iter().map(|path| {
        name(path)
            .filter(|_| short)
            .unwrap_or_else(|| path.display().to_string())
    });
    names.collect()
}

fn dataset(path: &Path, text: &ModelText, limit: usize) -> Result<Dataset> {
    Ok(tokenise(&pairs::read(from_here(path))?, text, limit)?)
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

fn tell(progress: &mut Progress, json: bool, trained: &Trained) {
    let Some(report) = &trained.report else {
        let how = how_to_go_on("reward train", &trained.run);
        return progress.note(&format!("stopped; {how}"));
    };
    for report in &report.held_out {
        if json {
            let _ = writeln!(stdout(), "{}", json!({"event": "report", "report": report}));
        } else {
            progress.note(describe(report).trim_end());
        }
    }
    progress.note(&format!("reward model: {}", trained.run.model().display()));
}

fn eval(args: &EvalArgs) -> Result<ExitCode> {
    let opener = Opener::default();
    let device = opener.device(args.device)?.device;
    let model = opener.open_reward_model(&args.model, &device)?;
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
    let opener = Opener::default();
    let device = opener.device(args.device)?.device;
    let model = opener.open_reward_model(&args.model, &device)?;
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

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Reward {
        #[command(flatten)]
        args: TrainArgs,
    }

    #[test]
    fn one_flag_takes_several_files_and_may_be_repeated() {
        let line = [
            "reward",
            "--data",
            "/a",
            "/b",
            "--data",
            "/c",
            "--eval-data",
            "/d",
        ];
        let job = Reward::parse_from(line)
            .args
            .job
            .resolve()
            .unwrap()
            .unwrap();
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(job.settings.data, paths(&["/a", "/b", "/c"]));
        assert_eq!(job.settings.eval_data, paths(&["/d"]));
    }

    #[test]
    fn the_report_calls_files_by_name_unless_two_are_alike() {
        let named = |paths: &[&str]| names(&paths.iter().map(PathBuf::from).collect::<Vec<_>>());
        assert_eq!(named(&["/a/x.jsonl", "/b/y.jsonl"]), ["x.jsonl", "y.jsonl"]);
        assert_eq!(
            named(&["/a/x.jsonl", "/b/x.jsonl"]),
            ["/a/x.jsonl", "/b/x.jsonl"]
        );
    }
}
