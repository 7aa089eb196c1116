//! `rlhf feedback import|export|check|stats`: judgements from and for other tools, and what they say.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use color_eyre::Result;
use color_eyre::eyre::{WrapErr, bail};
use serde::Serialize;

use crate::feedback::check::{Checked, check};
use crate::feedback::export::{self, Format};
use crate::feedback::import::{Imported, Target, import};
use crate::feedback::item::batch_name;
use crate::feedback::labels::{Folders, Labels};
use crate::feedback::pairs::{Dropped, of_project};
use crate::feedback::record::SIM_PREFIX;
use crate::feedback::report::{PolicyPair, Report, Share, Tally};
use crate::feedback::store::stamps::Stamps;
use crate::run::atomic::write_atomic;

const EXAMPLES: &str = "\
Examples:
  rlhf feedback stats                                  what the judgements of this project say
  rlhf feedback import hh.jsonl.gz --annotator hh      judgements from elsewhere
  rlhf feedback export --format trl > pairs.jsonl      judgements for another tool
  rlhf feedback check                                  is every file sound?";

const IMPORT_EXAMPLES: &str = "\
Examples:
  rlhf feedback import pairs.jsonl
  rlhf feedback import harmless-base.jsonl.gz --batch hh --annotator anthropic --skip-bad

Rows may be TRL preference, {\"prompt\", \"chosen\", \"rejected\"} with text or messages, the prompt
optional; or hh-rlhf, {\"chosen\", \"rejected\"} with transcripts. The text goes to samples/, the
judgements to feedback/. Importing a file again adds nothing.";

const EXPORT_EXAMPLES: &str = "\
Examples:
  rlhf feedback export --format trl > pairs.jsonl
  rlhf feedback export --format hh --annotator mia --annotator tom --out mia-and-tom.jsonl

Formats have no place for ties, both bad, strength or who judged: what is dropped is counted.";

const CHECK_EXAMPLES: &str = "\
Example:
  rlhf feedback check --dir my-project

Exit code 1 if anything is wrong. Lines that a crash cut off are listed; they are no fault.";

const STATS_EXAMPLES: &str = "\
Examples:
  rlhf feedback stats
  rlhf feedback stats --dir my-project --json";

/// Arguments of `rlhf feedback`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true, subcommand_required = true)]
pub struct FeedbackArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: FeedbackCommand,
}

/// The commands below `rlhf feedback`.
#[derive(Debug, Subcommand)]
pub enum FeedbackCommand {
    /// Read a preference file of another tool into a project
    Import(ImportArgs),
    /// Write the judgements of a project in another tool's format
    Export(ExportArgs),
    /// Check every file of samples and judgements
    Check(CheckArgs),
    /// Count judgements, win rates, habits and agreement
    Stats(StatsArgs),
}

/// Arguments of `rlhf feedback import`.
#[derive(Debug, Args)]
#[command(after_help = IMPORT_EXAMPLES)]
pub struct ImportArgs {
    /// Preference file: .jsonl or .jsonl.gz
    pub file: PathBuf,
    /// Project directory; made if missing
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// Name of the file in samples/ [default: the file's name]
    #[arg(long, value_name = "NAME")]
    pub batch: Option<String>,
    /// Who judged
    #[arg(long, value_name = "NAME", default_value = "import")]
    pub annotator: String,
    /// Leave bad rows out and count them
    #[arg(long)]
    pub skip_bad: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `rlhf feedback export`.
#[derive(Debug, Args)]
#[command(after_help = EXPORT_EXAMPLES)]
pub struct ExportArgs {
    /// Project directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// Format of the rows
    #[arg(long, value_enum)]
    pub format: FormatArg,
    /// File to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Only judgements of this annotator; may be given several times
    #[arg(long, value_name = "NAME")]
    pub annotator: Vec<String>,
    /// Print the counts as one JSON object
    #[arg(long, requires = "out")]
    pub json: bool,
}

/// A format of another tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// TRL preference, standard: prompts that are text
    Trl,
    /// TRL preference, conversational: prompts that are messages
    TrlConversational,
    /// hh-rlhf: two transcripts
    Hh,
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Trl => Self::Trl,
            FormatArg::TrlConversational => Self::TrlConversational,
            FormatArg::Hh => Self::Hh,
        }
    }
}

/// Arguments of `rlhf feedback check`.
#[derive(Debug, Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub struct CheckArgs {
    /// Project directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `rlhf feedback stats`.
#[derive(Debug, Args)]
#[command(after_help = STATS_EXAMPLES)]
pub struct StatsArgs {
    /// Project directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
///
/// # Errors
/// Files that cannot be read or written, by file and line.
pub fn run(args: FeedbackArgs) -> Result<ExitCode> {
    match args.command {
        FeedbackCommand::Import(args) => run_import(&args),
        FeedbackCommand::Export(args) => run_export(&args),
        FeedbackCommand::Check(args) => run_check(&args),
        FeedbackCommand::Stats(args) => run_stats(&args),
    }
}

fn run_import(args: &ImportArgs) -> Result<ExitCode> {
    let batch = args.batch.clone().unwrap_or_else(|| batch_name(&args.file));
    let target = Target {
        dir: &args.dir,
        batch: &batch,
        annotator: &args.annotator,
        skip_bad: args.skip_bad,
    };
    let imported = import(&args.file, &target, Stamps::system())?;
    for error in &imported.skipped {
        eprintln!("skipped: {error}");
    }
    print(args.json, &imported, || import_text(&imported, &target))
}

fn import_text(imported: &Imported, target: &Target) -> String {
    let Imported {
        rows,
        new_items,
        judgements,
        already_there,
        duplicates,
        skipped,
    } = imported;
    let Target {
        batch, annotator, ..
    } = target;
    format!(
        "{rows} pairs read: {new_items} new items in samples/{batch}.jsonl, {judgements} new \
         judgements by {annotator}.\n\
         {already_there} were there already, {duplicates} had two equal answers, {} bad rows were \
         skipped.\n",
        skipped.len()
    )
}

/// What `rlhf feedback export --json` prints.
#[derive(Debug, Serialize)]
struct Exported {
    rows: usize,
    /// Pairs that simulated annotators judged, ties included.
    simulated: usize,
    dropped: Dropped,
}

fn run_export(args: &ExportArgs) -> Result<ExitCode> {
    let labels = Labels::read(&project(&args.dir)?)?;
    for name in &args.annotator {
        if !labels
            .labels
            .iter()
            .any(|label| label.record.annotator == *name)
        {
            bail!("{} has no judgements by {name:?}", args.dir.display());
        }
    }
    let (pairs, mut dropped) = of_project(&labels, &args.annotator);
    let by_program =
        |name: &Option<String>| name.as_ref().is_some_and(|n| n.starts_with(SIM_PREFIX));
    let simulated = pairs
        .iter()
        .filter(|pair| by_program(&pair.annotator))
        .count();
    let rows = export::rows(&pairs, args.format.into(), &mut dropped);
    let exported = Exported {
        rows: rows.len(),
        simulated,
        dropped,
    };
    let text = rows.concat();
    let summary = export_text(&exported);
    if let Some(path) = &args.out {
        write_atomic(path, text.as_bytes())?;
        return print(args.json, &exported, || summary);
    }
    io::stdout().write_all(text.as_bytes())?;
    eprint!("{summary}");
    Ok(ExitCode::SUCCESS)
}

fn export_text(exported: &Exported) -> String {
    let Exported {
        rows,
        simulated,
        dropped,
    } = exported;
    let mut text = format!("{rows} rows written; {dropped}.\n");
    if *simulated > 0 {
        let _ = writeln!(
            text,
            "{simulated} pairs were judged by simulated annotators."
        );
    }
    text
}

fn run_check(args: &CheckArgs) -> Result<ExitCode> {
    let checked = check(&project(&args.dir)?);
    let sound = checked.problems.is_empty();
    print(args.json, &checked, || check_text(&checked))?;
    Ok(if sound {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn check_text(checked: &Checked) -> String {
    let mut text = format!(
        "samples/   {} batches, {} items\nfeedback/  {} annotators, {} sessions, {} events, {} \
         judgements that count\n",
        checked.batches,
        checked.items,
        checked.annotators,
        checked.sessions,
        checked.events,
        checked.judgements
    );
    for torn in &checked.torn {
        let _ = writeln!(text, "cut off by a crash: {torn}");
    }
    for problem in &checked.problems {
        let _ = writeln!(text, "problem: {problem}");
    }
    text + match checked.problems.len() {
        0 => "Everything is sound.\n",
        _ => "Session files are never edited: restore what is damaged from a copy.\n",
    }
}

fn run_stats(args: &StatsArgs) -> Result<ExitCode> {
    let report = Report::new(&Labels::read(&project(&args.dir)?)?);
    print(args.json, &report, || stats_text(&report))
}

fn stats_text(report: &Report) -> String {
    let mut text = format!("{} of {} items judged\n", report.judged_items, report.items);
    let groups = [("People", &report.people), ("Simulated", &report.simulated)];
    for (name, tally) in groups {
        if tally.judgements + tally.skipped > 0 {
            let _ = write!(text, "\n{name}\n{}", tally_text(tally));
            tally
                .policies
                .iter()
                .for_each(|pair| text += &policy_text(pair));
        }
    }
    if let Some(agreement) = &report.agreement {
        let alpha = agreement
            .alpha
            .map_or("undefined".into(), |a| format!("{a:.3}"));
        let (units, raw) = (agreement.units, percent(agreement.raw));
        let _ = writeln!(
            text,
            "\nAgreement of people on {units} items: {raw}, Krippendorff's α {alpha}"
        );
    }
    if report.annotators.len() > 1 {
        for (name, tally) in &report.annotators {
            let _ = write!(text, "\n{name}\n{}", tally_text(tally));
        }
    }
    text
}

fn tally_text(tally: &Tally) -> String {
    let mut text = format!(
        "  {} judgements: {} prefer, {} tie, {} both bad, {} cannot judge; {} skipped\n",
        tally.judgements,
        tally.prefer,
        tally.tie,
        tally.both_bad,
        tally.cannot_judge,
        tally.skipped
    );
    if let Some(left) = &tally.left {
        let _ = writeln!(text, "  the left answer won {}", share_text(left));
    }
    if let Some(longer) = tally.longer {
        let _ = writeln!(text, "  the longer answer won {}", percent(longer));
    }
    if let Some(median) = tally.median_active_ms {
        let _ = writeln!(text, "  median time {:.1} s", median / 1000.0);
    }
    text
}

fn policy_text(pair: &PolicyPair) -> String {
    let PolicyPair {
        policy,
        against,
        wins,
        losses,
        ties,
        both_bad,
        ..
    } = pair;
    let share = |share: &Option<Share>| share.as_ref().map_or("none".into(), share_text);
    format!(
        "  {policy} against {against}: {wins} won, {losses} lost, {ties} ties, {both_bad} both bad\n    \
         wins among decisive {}; ties as half {}\n",
        share(&pair.win_rate),
        share(&pair.ties_as_half)
    )
}

fn share_text(share: &Share) -> String {
    let (low, high) = (percent(share.low), percent(share.high));
    format!("{} of {} [{low}, {high}]", percent(share.share), share.n)
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// The folders of a project that has at least one of them.
fn project(dir: &Path) -> Result<Folders> {
    let folders = Folders::of(dir);
    if !folders.samples.is_dir() && !folders.feedback.is_dir() {
        bail!(
            "{} has neither samples/ nor feedback/; name a project with --dir, or make one: \
             rlhf sample, rlhf feedback import",
            dir.display()
        );
    }
    Ok(folders)
}

fn print(json: bool, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<ExitCode> {
    let text = if json {
        serde_json::to_string(value).wrap_err("cannot write JSON")? + "\n"
    } else {
        text()
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
