//! `rlhf bench`: how fast a model samples, scores and learns on this machine.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use color_eyre::Result;
use color_eyre::eyre::{WrapErr, bail};

use crate::device::DeviceChoice;
use crate::model::LanguageModel;
use crate::round::bench::{Figure, Plan, Report, Work, bench};
use crate::run::atomic::{parent, write_atomic};
use crate::tui::text::sanitise;

use super::models::Opener;
use super::progress::Progress;

const EXAMPLES: &str = "\
Examples:
  rlhf bench                                              the model inside this program
  rlhf bench --model ./smollm2 --what sampling --batch 1,8,32
  rlhf bench --model ./llama-1b --from-scratch --what ppo --repeats 1    a size to be tried, without its weights
  rlhf bench --model ./smollm2 --what reward --pair-lengths 96,80,64,70
  rlhf bench --model ./smollm2 --what growth --repeats 3
  rlhf bench --model ./smollm2 --what ppo --full --save before.json
  rlhf bench --model ./smollm2 --what ppo --full --against before.json
  rlhf bench --model ./smollm2 --what ppo --full --bf16 --against before.json";

/// Arguments of `rlhf bench`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BenchArgs {
    /// Model: a folder, embedded, or a hub id (ORG/NAME)
    #[arg(long, value_name = "MODEL", default_value = "embedded")]
    pub model: String,
    /// Random weights: the model's folder needs only config.json and the tokenizer's files
    #[arg(long)]
    pub from_scratch: bool,
    /// What to measure
    #[arg(
        long,
        value_name = "WORK",
        value_delimiter = ',',
        default_values = ["sampling", "scoring", "reward", "ppo"]
    )]
    pub what: Vec<What>,
    /// Rows sampled together; several figures for several numbers
    #[arg(long, value_name = "ROWS", value_delimiter = ',', default_values_t = [1, 8, 32])]
    pub batch: Vec<usize>,
    /// Take the most probable token instead of drawing one
    #[arg(long)]
    pub greedy: bool,
    /// Tokens of a reward step's answers, prompts included: winner and loser of every pair in turn
    #[arg(long, value_name = "TOKENS", value_delimiter = ',', default_values_t = [128; 8])]
    pub pair_lengths: Vec<usize>,
    /// Measure training of all weights too, not only of LoRA adapters
    #[arg(long)]
    pub full: bool,
    /// Put PPO's adapters in this many of the last layers; 0 = all
    #[arg(long, value_name = "LAYERS", default_value_t = 0)]
    pub lora_num_layers: usize,
    /// With --full: leave out LoRA adapters
    #[arg(long, requires = "full")]
    pub no_lora: bool,
    /// Round the factors of products with weights to bf16, as PyTorch's autocast does: up to twice as fast on an AMD CPU with AVX512-BF16 or one with AMX.
    /// A GPU that lacks bf16 takes f16 for sampling and f32 for the rest
    #[arg(long)]
    pub bf16: bool,
    /// Runs of each kind, after those to warm up; the median counts
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub repeats: usize,
    /// Runs of each kind that don't count, before those that do
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub warm_up: usize,
    /// Compare with a report that `--save` wrote
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// Write the report, for `--against`
    #[arg(long, value_name = "FILE")]
    pub save: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
    /// Say nothing but the result
    #[arg(long, short)]
    pub quiet: bool,
    /// Where to compute: auto, cpu, wgpu, wgpu:N, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", default_value_t)]
    pub device: DeviceChoice,
}

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// 64 new tokens after prompts of 32
    Sampling,
    /// Scores of 8 rows of 96 tokens
    Scoring,
    /// An update of a reward model on 4 pairs of 128 tokens, or of --pair-lengths
    Reward,
    /// A PPO iteration: 8 prompts, 64 new tokens, 4 epochs
    Ppo,
    /// Sampling with 1, 2, 4 … 64 rows, and a forward and backward pass over 64, 128 … 1024 tokens: seconds and memory should
    /// grow no faster than the work
    Growth,
}

impl From<What> for Work {
    fn from(what: What) -> Self {
        match what {
            What::Sampling => Self::Sampling,
            What::Scoring => Self::Scoring,
            What::Reward => Self::Reward,
            What::Ppo => Self::Ppo,
            What::Growth => Self::Growth,
        }
    }
}

/// Runs `rlhf bench`.
///
/// # Errors
/// If the model or the report to compare with can't be used.
pub fn run(args: BenchArgs) -> Result<ExitCode> {
    if args.batch.contains(&0) || args.repeats == 0 {
        bail!("--batch and --repeats must be at least 1");
    }
    check_pairs(&args.pair_lengths)?;
    let before = args.against.as_ref().map(read).transpose()?;
    args.save.as_deref().map_or(Ok(()), check_folder)?;
    let opener = Opener { quiet: args.quiet };
    let device = opener.device(args.device)?;
    opener.tell_bf16(args.bf16, &device.device);
    let model = if args.from_scratch {
        opener.open_from_scratch(&args.model, 0, &device.device)?
    } else {
        opener.open(&args.model, &device.device)?
    };
    if args.what.contains(&What::Reward) {
        check_context(&args.pair_lengths, &model)?;
    }
    let plan = Plan {
        work: args.what.iter().map(|&what| what.into()).collect(),
        batches: args.batch,
        greedy: args.greedy,
        pair_lengths: args.pair_lengths,
        lora: !args.no_lora,
        full: args.full,
        lora_num_layers: args.lora_num_layers,
        bf16: args.bf16,
        warm_up: args.warm_up,
        repeats: args.repeats,
    };
    let names = [args.model.as_str(), device.name.as_str()];
    let mut progress = Progress::new(false, args.quiet, 1);
    let report = bench(model, names, &plan, &device.device, &mut progress)?;
    drop(progress);
    let json = serde_json::to_string_pretty(&report)? + "\n";
    if args.json {
        print!("{json}");
    } else {
        print!("{}", table(&report, before.as_ref()));
    }
    if let Some(path) = &args.save {
        write_atomic(path, json.as_bytes()).wrap_err_with(|| saving(path))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Before minutes of measuring, not after.
fn check_folder(path: &Path) -> Result<()> {
    if path.is_dir() || !parent(path).is_dir() {
        bail!("{}: give a file in a folder that exists", saving(path));
    }
    Ok(())
}

fn saving(path: &Path) -> String {
    format!("--save {}", sanitise(&path.to_string_lossy()))
}

fn check_context(lengths: &[usize], model: &LanguageModel) -> Result<()> {
    let context = model.decoder.config.max_position_embeddings;
    if let Some(long) = lengths.iter().find(|&&length| length > context) {
        bail!(
            "--pair-lengths: an answer of {long} tokens is longer than the model's context of {context}; give at most that"
        );
    }
    Ok(())
}

fn check_pairs(lengths: &[usize]) -> Result<()> {
    if lengths.len() % 2 == 1 || lengths.contains(&0) {
        bail!(
            "--pair-lengths needs a winner's and a loser's tokens for every pair, each at least 1, such as 96,80,64,70 for two pairs"
        );
    }
    Ok(())
}

fn read(path: &PathBuf) -> Result<Report> {
    let shown = sanitise(&path.to_string_lossy());
    let text = std::fs::read_to_string(path).wrap_err_with(|| format!("--against {shown}"))?;
    serde_json::from_str(&text).wrap_err_with(|| {
        format!("--against {shown} is no report of rlhf bench; write one with --save FILE")
    })
}

fn table(report: &Report, before: Option<&Report>) -> String {
    let mut text = String::new();
    let millions = report.parameters as f64 / 1e6;
    let model = sanitise(&report.model);
    let _ = writeln!(
        text,
        "{model}, {millions:.1} M parameters, on {}{}",
        report.device,
        if report.bf16 {
            ", products in bf16"
        } else {
            ""
        }
    );
    if let Some(machine) = report.machine {
        let _ = writeln!(
            text,
            "this machine: {} cores, {:.0} GFLOP/s in {}, {:.1} GB/s from memory",
            machine.cores,
            machine.flops_per_second / 1e9,
            if report.bf16 { "bf16" } else { "f32" },
            machine.memory_bytes_per_second / 1e9
        );
    }
    let widest = report
        .figures
        .iter()
        .map(|figure| figure.name.chars().count());
    let width = widest.max().unwrap_or(0).max(32);
    let _ = writeln!(
        text,
        "\n{:width$}  {:>9}  {:>8}  {:>9}  {:>8}  {:>9}  {:>8}{}",
        "",
        "seconds",
        "expected",
        "tokens/s",
        "of limit",
        "peak MB",
        "expected",
        if before.is_some() {
            "    before   faster"
        } else {
            ""
        }
    );
    for figure in &report.figures {
        let _ = write!(
            text,
            "{:width$}  {:>9.3}  {:>8}  {:>9.1}  {:>8}  {:>9}  {:>8}",
            figure.name,
            figure.seconds,
            figure
                .expected_seconds
                .map_or_else(String::new, |seconds| format!("{seconds:.3}")),
            figure.tokens_per_second,
            figure
                .share
                .map_or_else(String::new, |share| format!("{:.0} %", 100.0 * share)),
            megabytes(figure.peak_bytes),
            megabytes(figure.expected_bytes),
        );
        if let Some(old) = before.and_then(|report| find(report, &figure.name)) {
            let faster = old.seconds / figure.seconds;
            let _ = write!(text, "  {:>8.3}  {faster:>6.2}×", old.seconds);
        }
        text.push('\n');
        for (part, seconds) in &figure.parts {
            let _ = writeln!(text, "  {part:<inner$}  {seconds:>9.3}", inner = width - 2);
        }
    }
    text
}

fn megabytes(bytes: Option<u64>) -> String {
    bytes.map_or_else(String::new, |bytes| (bytes >> 20).to_string())
}

fn find<'r>(report: &'r Report, name: &str) -> Option<&'r Figure> {
    report.figures.iter().find(|figure| figure.name == name)
}
