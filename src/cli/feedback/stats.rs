//! `rlhf feedback stats`: counts, win rates, habits and agreement.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use color_eyre::Result;

use super::{print, project};
use crate::feedback::labels::Labels;
use crate::feedback::report::{PolicyPair, Report, Share, Tally};

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
