//! `rlhf feedback`: judgements from and for other tools, and what they say.

mod check;
mod export;
mod import;
mod report;
mod stats;

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use color_eyre::Result;
use color_eyre::eyre::{WrapErr, bail};
use serde::Serialize;

use crate::feedback::labels::Folders;
use crate::tui::text::sanitise;

const EXAMPLES: &str = "\
Examples:
  rlhf feedback stats                                  what the judgements of this project say
  rlhf feedback import hh.jsonl.gz --annotator hh      judgements from elsewhere
  rlhf feedback export --format trl > pairs.jsonl      judgements for another tool
  rlhf feedback report --out report.html               the campaign as one page, for a paper
  rlhf feedback check                                  is every file sound?";

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
    Import(import::ImportArgs),
    /// Write the judgements of a project in another tool's format
    Export(export::ExportArgs),
    /// Check every file of samples and judgements
    Check(check::CheckArgs),
    /// Count judgements, win rates, habits and agreement
    Stats(stats::StatsArgs),
    /// Write the labelling campaign as one HTML file
    Report(report::ReportArgs),
}

/// Runs the command.
///
/// # Errors
/// Files that cannot be read or written, by file and line.
pub fn run(args: FeedbackArgs) -> Result<ExitCode> {
    match args.command {
        FeedbackCommand::Import(args) => import::run(&args),
        FeedbackCommand::Export(args) => export::run(&args),
        FeedbackCommand::Check(args) => check::run(&args),
        FeedbackCommand::Stats(args) => stats::run(&args),
        FeedbackCommand::Report(args) => report::run(&args),
    }
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

/// The folder's name, also where the folder is `.`.
fn title(dir: &Path) -> String {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let name = dir
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "labels".into())
}

/// Prints a report as JSON, or as text for people: names and errors come from files, so the text is
/// sanitised wherever it goes, because a log is read on a terminal too.
fn print(json: bool, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<ExitCode> {
    let text = if json {
        serde_json::to_string(value).wrap_err("cannot write JSON")? + "\n"
    } else {
        sanitise(&text())
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
