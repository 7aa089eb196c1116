//! `rlhf feedback import`: a preference file of another tool becomes items and judgements.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use color_eyre::Result;

use super::print;
use crate::feedback::import::{Imported, Target, import};
use crate::feedback::item::batch_name;
use crate::feedback::store::stamps::Stamps;
use crate::tui::text::sanitise;

const IMPORT_EXAMPLES: &str = "\
Examples:
  rlhf feedback import pairs.jsonl
  rlhf feedback import harmless-base.jsonl.gz --batch hh --annotator anthropic --skip-bad

Rows may be TRL preference, {\"prompt\", \"chosen\", \"rejected\"} with text or messages, the prompt
optional; or hh-rlhf, {\"chosen\", \"rejected\"} with transcripts. The text goes to samples/, the
judgements to feedback/. Importing a file again adds nothing.";

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

/// Runs the command.
///
/// # Errors
/// Files that cannot be read or written, by file and line.
pub fn run(args: &ImportArgs) -> Result<ExitCode> {
    let batch = args.batch.clone().unwrap_or_else(|| batch_name(&args.file));
    let target = Target {
        dir: &args.dir,
        batch: &batch,
        annotator: &args.annotator,
        skip_bad: args.skip_bad,
    };
    let imported = import(&args.file, &target, Stamps::system())?;
    for error in &imported.skipped {
        eprintln!("skipped: {}", sanitise(&error.to_string()));
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
