//! `rlhf feedback stats`: counts, win rates, ratings, agreement, habits and quality.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use color_eyre::Result;

use super::{print, project, title};
use crate::cli::label::screen::theme_of;
use crate::feedback::report::Report;
use crate::stats::power::labels_needed;
use crate::tui::stats::{self, StatsError, rows};
use crate::tui::terminal;

const STATS_EXAMPLES: &str = "\
Examples:
  rlhf feedback stats                       everything as text, charts included
  rlhf feedback stats --watch               a screen that follows the labelling
  rlhf feedback stats --dir my-project --json
  rlhf feedback stats --win-rate 0.58       how many more labels would show a win rate of 58 %

Intervals have 95 % coverage. People and simulated annotators are never counted together.";

/// A win rate that somebody wants to show.
#[derive(Debug, Clone, Copy, Args)]
pub struct Question {
    /// Also say how many decisive labels it takes to show this true win rate, from 0 to 1
    #[arg(long, value_name = "SHARE", value_parser = win_rate)]
    pub win_rate: Option<f64>,
}

impl Question {
    /// Puts it to a report.
    pub fn put_to(self, report: &mut Report) {
        if let Some(win_rate) = self.win_rate {
            report.ask(win_rate);
        }
    }
}

fn win_rate(text: &str) -> Result<f64, String> {
    let share = text.parse().ok();
    let known = share.filter(|share| labels_needed(*share).is_some());
    known.ok_or_else(|| "expected a share from 0 to 1 that is not 0.5, such as 0.58".to_owned())
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
    /// Open the statistics screen, which counts again when judgements are added
    #[arg(long, conflicts_with = "json")]
    pub watch: bool,
    /// A win rate in question
    #[command(flatten)]
    pub question: Question,
}

/// Runs the command.
///
/// # Errors
/// Files that cannot be read or written, by file and line.
pub fn run(args: &StatsArgs) -> Result<ExitCode> {
    let folders = project(&args.dir)?;
    if args.watch {
        let theme = theme_of(&args.dir)?;
        let title = title(&args.dir);
        return match stats::run(title, &folders, args.question.win_rate, theme) {
            Err(error @ StatsError::NoTerminal) => {
                eprintln!("error: {error}");
                Ok(ExitCode::from(2))
            }
            done => Ok(done.map(|()| ExitCode::SUCCESS)?),
        };
    }
    let mut report = Report::read(&folders)?;
    args.question.put_to(&mut report);
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
