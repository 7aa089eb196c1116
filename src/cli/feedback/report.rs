//! `rlhf feedback report`: the labelling campaign as one HTML file.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use color_eyre::Result;
use serde::Serialize;

use super::stats::Question;
use super::{print, project};
use crate::feedback::item::read_some;
use crate::feedback::labels::{Folders, Labels};
use crate::feedback::report::Report;
use crate::feedback::report::dispute::disputes;
use crate::feedback::report::page::{About, Source, page};
use crate::feedback::report::votes::Votes;
use crate::feedback::store::stamps::Stamps;
use crate::run::atomic::write_atomic;
use crate::run::hash::contents;

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
    /// A win rate in question
    #[command(flatten)]
    pub question: Question,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// What `rlhf feedback report --json` prints: nothing in it depends on where the project lies.
#[derive(Debug, Serialize)]
struct Written {
    /// Below the project, or the file's name where it is elsewhere.
    out: String,
    bytes: usize,
    /// Judgements of people, and of programs.
    people: usize,
    simulated: usize,
    examples: usize,
    /// As on the page: annotators by number unless `--names`.
    sources: Vec<Source>,
}

/// Runs the command.
///
/// # Errors
/// Files that cannot be read or written, by file and line.
pub fn run(args: &ReportArgs) -> Result<ExitCode> {
    let folders = project(&args.dir)?;
    let sources = sources(&folders)?;
    let labels = Labels::without_texts(&folders)?;
    let mut report = Report::of(&labels, &folders)?;
    args.question.put_to(&mut report);
    let mut disputes = disputes(&Votes::new(&labels), args.examples);
    let items = disputes.iter().map(|dispute| dispute.item);
    let texts = read_some(&folders.samples, &items.collect::<Vec<_>>())?;
    for (dispute, item) in disputes.iter_mut().zip(&texts) {
        dispute.item = item;
    }
    let about = About {
        title: args
            .title
            .clone()
            .unwrap_or_else(|| super::title(&args.dir)),
        written: Stamps::system().now(),
        sources,
        names: args.names,
    };
    let html = page(&report, &disputes, &about);
    write_atomic(&args.out, html.as_bytes())?;
    let written = Written {
        out: place(&args.out, &folders),
        bytes: html.len(),
        people: report.people.tally.judgements,
        simulated: report.simulated.tally.judgements,
        examples: disputes.len(),
        sources: about.shown_sources(&report),
    };
    print(args.json, &written, || written_text(&args.out, &written))
}

fn written_text(out: &Path, written: &Written) -> String {
    let programs = match written.simulated {
        0 => String::new(),
        n => format!(" and {n} by programs"),
    };
    format!(
        "{}: {} judgements by people{programs}, {} examples of disagreement, {} KB\n",
        out.display(),
        written.people,
        written.examples,
        written.bytes.div_ceil(1024)
    )
}

/// Where a file that exists lies: its path below the project, else its name.
fn place(file: &Path, folders: &Folders) -> String {
    let absolute = |path: &Path| path.canonicalize().ok();
    let project = folders.samples.parent().unwrap_or(Path::new(""));
    let project = absolute(&Path::new(".").join(project));
    let below = absolute(file)
        .zip(project)
        .and_then(|(file, project)| Some(slashed(file.strip_prefix(project).ok()?)));
    let name = || file.file_name().unwrap_or_default().to_string_lossy();
    below.unwrap_or_else(|| name().into_owned())
}

/// A path in the same form on every system.
fn slashed(path: &Path) -> String {
    let parts: Vec<_> = path.iter().map(OsStr::to_string_lossy).collect();
    parts.join("/")
}

/// The files that the report follows from, with their hashes. They are hashed before they are read,
/// so what is added meanwhile is on the page at most, and never behind its back.
fn sources(folders: &Folders) -> Result<Vec<Source>> {
    let project = folders.samples.parent().unwrap_or(Path::new(""));
    let mut sources = Vec::new();
    for path in folders.files()? {
        let (sha256, bytes) = contents([&path])?;
        let below = path.strip_prefix(project).unwrap_or(&path);
        sources.push(Source {
            path: slashed(below),
            bytes,
            sha256: sha256.parse()?,
        });
    }
    Ok(sources)
}
