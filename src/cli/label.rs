//! `rlhf label`: compare pairs of answers in the terminal.

mod annotator;
mod items;
mod live;
mod moderate;
mod plan;
pub mod screen;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use color_eyre::eyre::{WrapErr, bail};

use crate::cli::flags::Flags;
use crate::config::{self, LabelConfig};
use crate::feedback::digest::Sha256;
use crate::feedback::gold;
use crate::feedback::item::Item;
use crate::feedback::queue::order::Strategy;
use crate::feedback::queue::{Plan, Queue};
use crate::feedback::record::SIM_PREFIX;
use crate::feedback::sim::Simulated;
use crate::feedback::store::session::Session;
use crate::feedback::store::stamps::Stamps;
use crate::tui::label::header::duration;
use crate::tui::label::state::{Ending, Guidelines, Setup};
use crate::tui::label::{self, Job, LabelError, Report, Supply};
use crate::tui::text::sanitise;

use self::live::LiveArgs;

const EXAMPLES: &str = "\
Examples:
  rlhf label                                   judge what `rlhf sample` made in this project
  rlhf label --batch round-0 --annotator mia   one batch, under a name
  rlhf label answers.jsonl                     compare answers from anywhere; rows such as
                                               {\"prompt\": \"Why?\", \"responses\": [\"one\", \"two\"]}
  rlhf label --live --model embedded --prompts prompts/general.jsonl
                                               judge answers as they are written
  rlhf label --order informative --scores scores.jsonl
                                               most informative first; a fifth stays random
  rlhf label --scale 7 --aspects clear,correct seven grades; two aspects of the project's own
  rlhf label --theme light --keys undo=z       colours and keys as you like them
  rlhf label --adjudicate                      settle the items on which people disagree
  rlhf label --review mia                      go through what mia judged
  rlhf label --annotator sim:gold:noise=0.25   let a program judge (its records say so)

Press ? on the screen for the keys. Every judgement is on disk before the next pair
appears; quit with q and run the same command to go on.";

/// Arguments of `rlhf label`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct LabelArgs {
    /// JSONL file of answers to compare; its rows are copied to samples/ first
    #[arg(conflicts_with = "batch")]
    pub file: Option<PathBuf>,
    /// Project directory
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub dir: PathBuf,
    /// Judge only samples/NAME.jsonl [default: all batches]
    #[arg(long, value_name = "NAME")]
    pub batch: Option<String>,
    /// Who judges: a pseudonym, or sim:gold[:noise=P] [default: yours, asked once]
    #[arg(long, value_name = "NAME")]
    pub annotator: Option<String>,
    /// Settle the items on which people disagree, without seeing who said what
    #[arg(long, conflicts_with_all = ["file", "review"])]
    pub adjudicate: bool,
    /// Go through another annotator's judgements and settle them
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    pub review: Option<String>,
    #[command(flatten)]
    live: LiveArgs,
    #[command(flatten)]
    flags: Flags<LabelConfig>,
}

/// Opens the labelling screen, or lets a simulated annotator judge.
///
/// # Errors
/// Samples or judgements that cannot be read or written, by file and line.
pub fn run(args: &LabelArgs) -> color_eyre::Result<ExitCode> {
    let file = config::File::of_project(&args.dir)?;
    let settings: LabelConfig = config::resolve(&file, args.flags.overrides())?;
    let settings = screen::personal(settings, args.flags.overrides())?;
    let named = args.annotator.as_deref();
    let simulated = named.filter(|name| name.starts_with(SIM_PREFIX));
    if simulated.is_none() && !crate::tui::terminal::is_interactive() {
        eprintln!("error: {}", LabelError::NoTerminal);
        return Ok(ExitCode::from(2));
    }
    if simulated.is_some() && (args.is_moderation() || args.live.live) {
        bail!("a simulated annotator cannot adjudicate, review or judge live; use a person's name");
    }
    let annotator = named.map_or_else(annotator::remembered, |name| Ok(name.to_owned()))?;
    if args.is_moderation() {
        let (items, plan) = moderate::work(args, settings.seed)?;
        let code = judge(args, annotator.clone(), &items, (&settings, &plan), None)?;
        moderate::print_upheld(args, &annotator)?;
        return Ok(code);
    }
    plan::roster(&settings).admit(&annotator)?;
    if args.live.live {
        return judge_live(args, annotator, &settings);
    }
    let mut items = items::items(args)?;
    let plan = plan::of_project(&settings, &args.dir, &mut items)?;
    match simulated {
        Some(name) => simulate(args, name, &items, &plan),
        None => judge(args, annotator, &items, (&settings, &plan), None),
    }
}

impl LabelArgs {
    fn is_moderation(&self) -> bool {
        self.adjudicate || self.review.is_some()
    }
}

/// The pairs of a live batch are its annotator's alone; checks are mixed into what was left over.
fn judge_live(
    args: &LabelArgs,
    annotator: String,
    settings: &LabelConfig,
) -> color_eyre::Result<ExitCode> {
    let (mut items, source) = live::open(args, &annotator)?;
    let mut plan = plan::of_project(settings, &args.dir, &mut items)?;
    plan.roster.annotators.clear();
    // As they came, so that one goes on at the pair at which one stopped.
    plan.order.strategy = Strategy::Listed;
    let ahead = args.live.ahead;
    let supply: Supply = Box::new(move || source.start(ahead));
    judge(args, annotator, &items, (settings, &plan), Some(supply))
}

fn simulate(
    args: &LabelArgs,
    name: &str,
    items: &[Item],
    plan: &Plan,
) -> color_eyre::Result<ExitCode> {
    let simulated: Simulated = name.parse()?;
    let feedback = args.dir.join("feedback");
    let session = Session::open(&feedback, name, Stamps::system())?;
    let mut session = session.synced_on_close();
    let now_ms = u64::try_from(Stamps::system().now().0).unwrap_or(0);
    let plan = plan.divided(&feedback, items, session.history(), now_ms)?;
    let total = Queue::new(items, session.history(), &plan).total();
    let judged = simulated.annotate(&mut session, items, &plan, gold::score)?;
    session.close()?;
    println!(
        "{name}, a simulated annotator, judged {judged} of {total} items; its records are marked as \
         simulated."
    );
    Ok(ExitCode::SUCCESS)
}

fn judge(
    args: &LabelArgs,
    annotator: String,
    items: &[Item],
    (settings, plan): (&LabelConfig, &Plan),
    supply: Option<Supply>,
) -> color_eyre::Result<ExitCode> {
    let setup = Setup {
        role: moderate::role(args),
        ..screen::setup(annotator, &args.dir, settings)?
    };
    let feedback = args.dir.join("feedback");
    let job = Job {
        feedback: &feedback,
        items,
        plan,
        setup,
    };
    let report = label::run_supplied(&job, supply)?;
    Ok(print_report(&report))
}

/// The project's `guidelines.md`, if there is one.
///
/// # Errors
/// If it is there and cannot be read.
pub fn guidelines(dir: &Path) -> color_eyre::Result<Option<Guidelines>> {
    let path = dir.join("guidelines.md");
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path)
        .wrap_err_with(|| format!("cannot read {}", path.display()))?;
    Ok(Some(Guidelines {
        sha256: Sha256::of(&text),
        text,
    }))
}

/// Says what was done and what is left.
pub fn print_report(report: &Report) -> ExitCode {
    let time = duration(report.active_ms as f64 / 1000.0);
    println!("{} in {time}. {}", report.counts, what_is_left(report));
    if let Some(reason) = &report.supply_failed {
        eprintln!("error: no more answers could be written: {reason}");
    }
    match &report.ending {
        Ending::WriteFailed(error) => {
            eprintln!(
                "error: the last judgement was NOT saved: {}",
                sanitise(error)
            );
            ExitCode::FAILURE
        }
        Ending::TakenOver => {
            println!(
                "Another session of this annotator took over; everything judged here is saved."
            );
            ExitCode::SUCCESS
        }
        Ending::Locked(holder) => {
            let holder = sanitise(holder);
            eprintln!("error: {holder}; quit that session first, or use another --annotator");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

fn what_is_left(report: &Report) -> String {
    match (report.left.len(), &report.ending) {
        (0, _) => "Nothing is left.".to_owned(),
        (left, Ending::HandOver) => format!("{left} left to the simulated labeller."),
        (left, _) => format!("{left} left; run the same command to go on."),
    }
}
