//! `rlhf feedback export`: the judgements of a project in another tool's format.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use color_eyre::Result;
use color_eyre::eyre::bail;
use serde::Serialize;

use super::{print, project};
use crate::feedback::export::{self, Format};
use crate::feedback::labels::Labels;
use crate::feedback::pairs::{Dropped, of_project};
use crate::feedback::record::SIM_PREFIX;
use crate::run::atomic::write_atomic;
use crate::tui::text::sanitise;

const EXPORT_EXAMPLES: &str = "\
Examples:
  rlhf feedback export --format trl > pairs.jsonl
  rlhf feedback export --format hh --annotator mia --annotator tom --out mia-and-tom.jsonl

Formats have no place for ties, both bad, strength or who judged: what is dropped is counted.";

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

/// What `rlhf feedback export --json` prints.
#[derive(Debug, Serialize)]
struct Exported {
    rows: usize,
    /// Pairs that simulated annotators judged, ties included.
    simulated: usize,
    dropped: Dropped,
}

/// Runs the command.
///
/// # Errors
/// Files that cannot be read or written, by file and line.
pub fn run(args: &ExportArgs) -> Result<ExitCode> {
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
    eprint!("{}", sanitise(&summary));
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
