//! `rlhf feedback stats`: counts, win rates, habits and agreement.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use color_eyre::Result;

use super::{print, project};
use crate::feedback::labels::Labels;
use crate::feedback::report::{Expected, Report};

const STATS_EXAMPLES: &str = "\
Examples:
  rlhf feedback stats
  rlhf feedback stats --dir my-project --json";

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
pub fn run(args: &StatsArgs) -> Result<ExitCode> {
    let report = Report::new(&Labels::read(&project(&args.dir)?)?, &Expected::new());
    print(args.json, &report, || String::new())
}
