//! `rlhf feedback export`: the judgements of a project in another tool's format.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use color_eyre::Result;
use color_eyre::eyre::{WrapErr, bail};

use super::{print, project};
use crate::feedback::export::aggregate::Aggregate;
use crate::feedback::export::filter::{Filter, Labellers};
use crate::feedback::export::manifest::{Manifest, inputs};
use crate::feedback::export::{Exported, Options, Ties, export, write_file};
use crate::feedback::formats::OutFormat;
use crate::feedback::ledger::{Ledger, Room};
use crate::run::atomic::write_atomic;
use crate::tui::text::sanitise;

const EXPORT_EXAMPLES: &str = "\
Examples:
  rlhf feedback export --format trl > pairs.jsonl
  rlhf feedback export --format hh --annotator mia --annotator tom --out mia-and-tom.jsonl.gz
  rlhf feedback export --format openai --people-only --aggregate majority --out dpo.jsonl
  rlhf feedback export --format nemo --ties keep --out ranks.jsonl
  rlhf feedback export --format native --out everything.jsonl

Formats: native (everything, read back by rlhf feedback import); trl, trl-implicit, trl-margin and
trl-conversational, trl-conversational-implicit, trl-conversational-margin; unpaired, unpaired-conversational
(KTO); hh; openai; nemo; alpaca, sharegpt; label-studio, label-studio-tasks; prompts, prompts-conversational;
sft, sft-conversational. Formats are for prompts that are text or for conversations; a row that a
format would change is left out.

--aggregate majority and mean count people only, if any of them judged: a program never outvotes them.
Name annotators to count just those, or give --with-simulated. What was imported counts as its people's,
under whose names it came in; what another program judged has a name that begins with sim: (UltraFeedback's
ratings are sim:gpt-4's).

With --out, FILE.manifest.json beside it holds filters, counts by reason, and hashes of all files.
--out writes JSON lines, a JSON array for .json, and gzip for .gz.";

/// Arguments of `rlhf feedback export`.
#[derive(Debug, Args)]
#[command(after_help = EXPORT_EXAMPLES)]
pub struct ExportArgs {
    /// Project directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// Format of the rows
    #[arg(long, value_name = "FORMAT", value_parser = out_format)]
    pub format: OutFormat,
    /// File to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Only judgements of this annotator; may be given several times
    #[arg(long, value_name = "NAME")]
    pub annotator: Vec<String>,
    /// Only items of this batch; may be given several times
    #[arg(long, value_name = "NAME")]
    pub batch: Vec<String>,
    /// Only items of this round; may be given several times
    #[arg(long, value_name = "N")]
    pub round: Vec<u32>,
    /// Only items with an answer of this policy; may be given several times
    #[arg(long, value_name = "NAME")]
    pub policy: Vec<String>,
    /// Only judgements of people
    #[arg(long, conflicts_with = "simulated_only")]
    pub people_only: bool,
    /// Only judgements of simulated annotators
    #[arg(long)]
    pub simulated_only: bool,
    /// Majority and mean count people and simulated annotators alike
    #[arg(long, conflicts_with_all = ["people_only", "simulated_only"])]
    pub with_simulated: bool,
    /// What becomes of several judgements of one item
    #[arg(long, value_enum, default_value = "all")]
    pub aggregate: AggregateArg,
    /// What becomes of ties [default: keep where the format has ties, else drop]
    #[arg(long, value_enum)]
    pub ties: Option<TiesArg>,
    /// Print the counts as one JSON object
    #[arg(long, requires = "out")]
    pub json: bool,
}

/// What becomes of several judgements of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AggregateArg {
    /// Each is a row
    All,
    /// What strictly most say; both bad is a vote
    Majority,
    /// The sign of the mean strength; unknown strengths count 2, ties 0
    Mean,
}

/// What becomes of ties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TiesArg {
    /// Left out and counted
    Drop,
    /// Both directions: each answer wins once
    Half,
    /// Written as ties: formats native and nemo
    Keep,
}

fn out_format(name: &str) -> Result<OutFormat, String> {
    let found = OutFormat::ALL
        .into_iter()
        .find(|format| format.name() == name);
    found.ok_or_else(|| {
        let names = OutFormat::ALL.map(OutFormat::name);
        format!("expected one of {}", names.join(", "))
    })
}

fn options(args: &ExportArgs) -> Options {
    let mut options = Options::new(args.format);
    options.filters = Filter {
        annotators: args.annotator.clone(),
        batches: args.batch.clone(),
        rounds: args.round.clone(),
        policies: args.policy.clone(),
        labellers: labellers(args),
    };
    options.aggregate = match args.aggregate {
        AggregateArg::All => Aggregate::All,
        AggregateArg::Majority => Aggregate::Majority,
        AggregateArg::Mean => Aggregate::Mean,
    };
    options.ties = match args.ties {
        None => options.ties,
        Some(TiesArg::Drop) => Ties::Drop,
        Some(TiesArg::Half) => Ties::Half,
        Some(TiesArg::Keep) => Ties::Keep,
    };
    options
}

fn labellers(args: &ExportArgs) -> Labellers {
    let named = args.with_simulated || !args.annotator.is_empty();
    match (args.people_only, args.simulated_only, args.aggregate) {
        (true, ..) => Labellers::People,
        (_, true, _) => Labellers::Simulated,
        (.., AggregateArg::Majority | AggregateArg::Mean) if !named => Labellers::PeopleFirst,
        _ => Labellers::All,
    }
}

/// Runs the command.
///
/// # Errors
/// Files that cannot be read or written, by file and line; options that contradict each other.
pub fn run(args: &ExportArgs) -> Result<ExitCode> {
    let options = options(args);
    options.check()?;
    let folders = project(&args.dir)?;
    let inputs = match args.out {
        Some(_) => inputs(&folders)?,
        None => Vec::new(),
    };
    let room = args.out.as_deref().map_or_else(Room::system, Room::beside);
    let ledger = Ledger::within(&folders, &room)?;
    for name in &args.annotator {
        if !ledger.has(name) {
            bail!("{} has no judgements by {name:?}", args.dir.display());
        }
    }
    let Some(path) = &args.out else {
        let mut out = io::BufWriter::new(io::stdout().lock());
        let exported = export(&ledger, &options, &mut |row| writeln!(out, "{row}"))?;
        out.flush()?;
        eprint!("{}", sanitise(&export_text(&exported)));
        return Ok(ExitCode::SUCCESS);
    };
    let exported = write_file(path, |take| export(&ledger, &options, take))?;
    let manifest = Manifest::new(path, inputs, options, exported)?;
    let text = serde_json::to_vec_pretty(&manifest).wrap_err("cannot write JSON")?;
    write_atomic(&Manifest::path_of(path), &text)?;
    print(args.json, &manifest.exported, || {
        export_text(&manifest.exported)
    })
}

fn export_text(exported: &Exported) -> String {
    let Exported {
        rows,
        simulated,
        filtered_out,
        counted,
        dropped,
        not_carried,
        ..
    } = exported;
    let mut text = format!("{rows} rows written; {dropped}.\n");
    if *filtered_out > 0 {
        let _ = writeln!(text, "{filtered_out} judgements did not pass the filters.");
    }
    if *counted == Labellers::People {
        text += "Only people's judgements count here; --with-simulated counts all.\n";
    }
    if *simulated > 0 {
        let _ = writeln!(
            text,
            "{simulated} judgements were made by simulated annotators."
        );
    }
    if !not_carried.is_empty() {
        let parts = not_carried
            .iter()
            .map(|(what, count)| format!("{what} of {count}"));
        let parts: Vec<String> = parts.collect();
        let _ = writeln!(text, "Not carried by this format: {}.", parts.join(", "));
    }
    text
}
