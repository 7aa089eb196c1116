//! `rlhf feedback check`: is every file of samples and judgements sound?

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use color_eyre::Result;

use super::{print, project};
use crate::feedback::check::{Checked, check};

const CHECK_EXAMPLES: &str = "\
Example:
  rlhf feedback check --dir my-project

Exit code 1 if anything is wrong. Lines that a crash cut off are listed; they are no fault.";

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

/// Runs the command.
///
/// # Errors
/// Files that cannot be read or written, by file and line.
pub fn run(args: &CheckArgs) -> Result<ExitCode> {
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
    text + match (checked.problems.len(), checked.torn.len()) {
        (0, 0) => "Everything is sound.\n",
        (0, _) => {
            "All other lines are sound. What a line cut off would have said was not saved: judge it \
             again.\n"
        }
        _ => "Session files are never edited: restore what is damaged from a copy.\n",
    }
}
