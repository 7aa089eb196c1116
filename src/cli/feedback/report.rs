//! `rlhf feedback report`: the labelling campaign as one HTML file.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use color_eyre::Result;
use serde::Serialize;

use super::{print, project};
use crate::feedback::digest::Sha256;
use crate::feedback::labels::Folders;
use crate::feedback::report::Report;
use crate::feedback::report::dispute::disputes;
use crate::feedback::report::page::{About, Source, page};
use crate::feedback::report::votes::Votes;
use crate::feedback::store::stamps::Stamps;
use crate::run::atomic::write_atomic;

const REPORT_EXAMPLES: &str = "\
Examples:
  rlhf feedback report --out report.html
  rlhf feedback report --dir my-project --out campaign.html --examples 20 --names

The file needs nothing else: charts are inside it, and it has no scripts. It holds the texts of
the examples, so share it as you would share the samples.";

/// Arguments of `rlhf feedback report`.
#[derive(Debug, Args)]
#[command(after_help = REPORT_EXAMPLES)]
pub struct ReportArgs {
    /// Project directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// File to write
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    pub out: PathBuf,
    /// Title of the page [default: the project's folder]
    #[arg(long, value_name = "TEXT")]
    pub title: Option<String>,
    /// Items to show on which annotators disagree most
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub examples: usize,
    /// Call annotators by their names instead of numbers
    #[arg(long)]
    pub names: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What `rlhf feedback report --json` prints.
#[derive(Debug, Serialize)]
struct Written {
    out: PathBuf,
    bytes: usize,
    judgements: usize,
    examples: usize,
    sources: Vec<Source>,
}

/// Runs the command.
///
/// # Errors
/// Files that cannot be read or written, by file and line.
pub fn run(args: &ReportArgs) -> Result<ExitCode> {
    let folders = project(&args.dir)?;
    let sources = sources(&folders)?;
    let (labels, report) = Report::read(&folders)?;
    let disputes = disputes(&Votes::new(&labels), args.examples);
    let about = About {
        title: args.title.clone().unwrap_or_else(|| title(&args.dir)),
        written: Stamps::system().now(),
        sources,
        names: args.names,
    };
    let html = page(&report, &disputes, &about);
    write_atomic(&args.out, html.as_bytes())?;
    let written = Written {
        out: args.out.clone(),
        bytes: html.len(),
        judgements: report.people.tally.judgements + report.simulated.tally.judgements,
        examples: disputes.len(),
        sources: about.sources,
    };
    print(args.json, &written, || {
        format!(
            "{}: {} judgements, {} examples of disagreement, {} KB\n",
            written.out.display(),
            written.judgements,
            written.examples,
            written.bytes.div_ceil(1024)
        )
    })
}

/// The folder's name, also where the folder is `.`.
fn title(dir: &Path) -> String {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let name = dir
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "labels".into())
}

/// The files that the report follows from, with their hashes. They are hashed before they are read,
/// so what is added meanwhile is on the page at most, and never behind its back.
fn sources(folders: &Folders) -> Result<Vec<Source>> {
    let project = folders.samples.parent().unwrap_or(Path::new(""));
    let mut sources = Vec::new();
    for path in folders.files()? {
        let bytes = std::fs::read(&path)?;
        let below = path.strip_prefix(project).unwrap_or(&path);
        let parts = below.iter().map(OsStr::to_string_lossy);
        sources.push(Source {
            path: parts.collect::<Vec<_>>().join("/"),
            bytes: bytes.len() as u64,
            sha256: Sha256::of(&bytes),
        });
    }
    Ok(sources)
}
