//! `rlhf feedback stats`: counts, win rates, ratings, agreement, habits and quality.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use color_eyre::Result;

use super::{print, project};
use crate::cli::label::screen::theme_of;
use crate::feedback::report::Report;
use crate::tui::stats::{self, StatsError, rows};
use crate::tui::terminal;

const STATS_EXAMPLES: &str = "\
Examples:
  rlhf feedback stats                       everything as text, charts included
  rlhf feedback stats --watch               a screen that follows the labelling
  rlhf feedback stats --dir my-project --json

Intervals have 95 % coverage. People and simulated annotators are never counted together.";

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
    /// Open the statistics screen, which counts again when judgements are added
    #[arg(long, conflicts_with = "json")]
    pub watch: bool,
}

/// Runs the command.
///
/// # Errors
/// Files that cannot be read or written, by file and line.
pub fn run(args: &StatsArgs) -> Result<ExitCode> {
    let folders = project(&args.dir)?;
    if args.watch {
        let theme = theme_of(&args.dir)?;
        return match stats::run(args.dir.display().to_string(), &folders, theme) {
            Err(error @ StatsError::NoTerminal) => {
                eprintln!("error: {error}");
                Ok(ExitCode::from(2))
            }
            done => Ok(done.map(|()| ExitCode::SUCCESS)?),
        };
    }
    let (_, report) = Report::read(&folders)?;
    print(args.json, &report, || {
        stats_text(&report, terminal::columns())
    })
}

/// Every page of the statistics screen, one after the other.
fn stats_text(report: &Report, width: usize) -> String {
    let pages = [
        rows::overview,
        rows::policies,
        rows::agreement,
        rows::habits,
        rows::pace,
        rows::annotators,
    ];
    let pages = pages.map(|page| page(report, width));
    let texts = pages.iter().filter(|page| !page.is_empty()).map(|page| {
        let lines: Vec<&str> = page.iter().map(|row| row.text.trim_end()).collect();
        lines.join("\n") + "\n"
    });
    texts.collect::<Vec<_>>().join("\n")
}
