//! `rlhf feedback import`: a file of another tool becomes items and judgements.

use std::fmt::Write as _;
use std::io::{IsTerminal, stderr};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use color_eyre::Result;
use color_eyre::eyre::bail;
use indicatif::{ProgressBar, ProgressStyle};

use super::print;
use crate::cli::models::Opener;
use crate::feedback::formats::InFormat;
use crate::feedback::formats::lm_human_preferences::Decoder;
use crate::feedback::import::{Imported, Target, import};
use crate::feedback::item::{ItemError, batch_name, is_safe_name};
use crate::feedback::store::stamps::Stamps;
use crate::model::tokenizer::Tokenizer;
use crate::tui::text::sanitise;

const IMPORT_EXAMPLES: &str = "\
Examples:
  rlhf feedback import pairs.jsonl
  rlhf feedback import harmless-base.jsonl.gz --batch hh --annotator anthropic --skip-bad
  rlhf feedback import train-00000.parquet --format ultrafeedback --dir my-project
  rlhf feedback import label-studio-export.json
  rlhf feedback import offline_5k.json --tokenizer openai-community/gpt2

Files: .jsonl, .json (an array), .csv, also compressed (.gz, .zst), and .parquet (zstd, snappy, gzip,
brotli, LZ4), of any size: memory does not grow with them. The first row tells the format: preference pairs
of TRL (explicit, implicit, with margin, conversational, unpaired), hh-rlhf, OpenAI, NeMo-RL, LLaMA-Factory
(alpaca, sharegpt), axolotl and DeepSpeed-Chat; UltraFeedback, RewardBench 1 and 2, summarize-from-feedback,
lm-human-preferences (token ids: give --tokenizer), Chatbot-Arena-55k; Label Studio, Argilla; answers to be
judged; and native, which rlhf feedback export writes.

The text goes to samples/, the judgements to feedback/. Annotators keep the names that the rows give them,
made safe as folder names. What a program judged comes in under a name that begins with sim:, such as
sim:gpt-4 for UltraFeedback, and never counts among people.

The file is read twice, first to check it: nothing is written of a file that cannot be brought in. Importing
a file again adds nothing, and completes an import that was interrupted.";

/// Arguments of `rlhf feedback import`.
#[derive(Debug, Args)]
#[command(after_help = IMPORT_EXAMPLES)]
pub struct ImportArgs {
    /// File of judgements
    pub file: PathBuf,
    /// Project directory; made if missing
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// Format of the rows [default: the first row tells]
    #[arg(long, value_name = "FORMAT", value_parser = in_format)]
    pub format: Option<InFormat>,
    /// Name of the file in samples/ [default: the file's name]
    #[arg(long, value_name = "NAME")]
    pub batch: Option<String>,
    /// Who judged, whatever the rows say [default: the rows' own names, else `import`]
    #[arg(long, value_name = "NAME")]
    pub annotator: Option<String>,
    /// Leave bad rows out and count them
    #[arg(long)]
    pub skip_bad: bool,
    /// Tokenizer of rows that hold token ids (lm-human-preferences): a folder with tokenizer.json, the
    /// file itself, or a model on the hub
    #[arg(long, value_name = "MODEL")]
    pub tokenizer: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

fn in_format(name: &str) -> Result<InFormat, String> {
    let mut all = InFormat::all();
    let found = all.find(|(_, known)| *known == name);
    found.map(|(format, _)| format).ok_or_else(|| {
        let names: Vec<&str> = InFormat::all().map(|(_, name)| name).collect();
        format!("expected one of {}", names.join(", "))
    })
}

/// Runs the command.
///
/// # Errors
/// Files that cannot be read or written, by file and line.
pub fn run(args: &ImportArgs) -> Result<ExitCode> {
    let batch = args.batch.clone().unwrap_or_else(|| batch_name(&args.file));
    if !is_safe_name(&batch) {
        let error = ItemError::BatchName(batch);
        bail!("{error}; name the file in samples/ with --batch NAME");
    }
    let quiet = args.json;
    let tokenizer = args.tokenizer.as_deref();
    let tokenizer = tokenizer.map(|name| Opener { quiet }.tokenizer(name));
    let tokenizer = tokenizer.transpose()?;
    let decode = |ids: &[u32]| decode(tokenizer.as_ref(), ids);
    let target = Target {
        dir: &args.dir,
        batch: &batch,
        annotator: args.annotator.as_deref(),
        format: args.format,
        skip_bad: args.skip_bad,
        decoder: tokenizer.is_some().then_some(Decoder(&decode)),
    };
    let bar = bar();
    let mut progress = |part: f64| bar.set_position((part * 1000.0) as u64);
    let imported = import(&args.file, &target, &mut Stamps::system, &mut progress);
    bar.finish_and_clear();
    let imported = imported?;
    for error in &imported.skipped {
        eprintln!("skipped: {}", sanitise(&error.to_string()));
    }
    if imported.bad_rows > imported.skipped.len() {
        let more = imported.bad_rows - imported.skipped.len();
        eprintln!("skipped: {more} more bad rows");
    }
    print(args.json, &imported, || import_text(&imported, &batch))
}

/// The text of token ids, all of which must be of this tokenizer's vocabulary: ids of another one would
/// be read as other words.
fn decode(tokenizer: Option<&Tokenizer>, ids: &[u32]) -> Result<String, String> {
    let tokenizer = tokenizer.ok_or("there is no tokenizer")?;
    let size = tokenizer.vocab_size();
    if let Some(id) = ids.iter().find(|&&id| id as usize >= size) {
        return Err(format!(
            "token {id} is not in the tokenizer's vocabulary of {size}; give the tokenizer that the \
             ids are from with --tokenizer"
        ));
    }
    let text = tokenizer.decode(ids, true);
    text.map_err(|error| error.to_string())
}

/// A bar with the time left, on a terminal.
fn bar() -> ProgressBar {
    if !stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template("importing [{bar:30}] {percent} % {elapsed}, {eta} left");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(1000).with_style(style.progress_chars("##-"))
}

fn import_text(imported: &Imported, batch: &str) -> String {
    let Imported {
        format,
        rows,
        new_items,
        judgements,
        ..
    } = imported;
    // Our own rows say which batches they belong to.
    let place = match *format {
        "native" => "samples/".to_owned(),
        _ => format!("samples/{batch}.jsonl"),
    };
    let mut text = format!(
        "{rows} rows of format {format} read: {new_items} new items in {place}, {judgements} new \
         judgements"
    );
    let names: Vec<&str> = imported.annotators.keys().map(String::as_str).collect();
    match names[..] {
        [] => {}
        [name] => {
            let _ = write!(text, " by {name}");
        }
        _ => {
            let _ = write!(text, " by {} annotators", names.len());
        }
    }
    text += ".\n";
    let rest = [
        (imported.already_there, "judgements were there already"),
        (
            imported.conflicting,
            "judgements contradict those of the same annotator that are there, and were left out",
        ),
        (imported.duplicates, "had equal answers"),
        (
            imported.left_out,
            "parts of rows were left out: drafts, cancelled or discarded judgements, answers to \
             other questions, unrated or equal answers",
        ),
        (imported.unjudged, "items are not judged yet"),
        (imported.alone, "rows had no counterpart of the other label"),
        (imported.bad_rows, "bad rows were skipped"),
    ];
    for (count, what) in rest.into_iter().filter(|(count, _)| *count > 0) {
        let _ = writeln!(text, "{count} {what}.");
    }
    text
}
