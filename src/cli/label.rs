//! `rlhf label`: compare pairs of answers in the terminal.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{ArgAction, Args, ValueEnum};
use color_eyre::eyre::{WrapErr, bail};

use crate::config::{self, LabelConfig, Overrides};
use crate::feedback::digest::Sha256;
use crate::feedback::item::{self, Item};
use crate::feedback::record::{QUESTION, SIM_PREFIX, Scale};
use crate::feedback::sim::Simulated;
use crate::feedback::store::session::Session;
use crate::feedback::store::stamps::Stamps;
use crate::feedback::{answers, gold};
use crate::run::atomic::write_atomic;
use crate::tui::label::header::duration;
use crate::tui::label::state::{Ending, Guidelines, Setup};
use crate::tui::label::{self, Job, LabelError, Report};

const EXAMPLES: &str = "\
Examples:
  rlhf label                                   judge what `rlhf sample` made in this project
  rlhf label --batch round-0 --annotator mia   one batch, under a name
  rlhf label answers.jsonl                     compare answers from anywhere; rows such as
                                               {\"prompt\": \"Why?\", \"responses\": [\"one\", \"two\"]}
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
    /// Answers that are possible
    #[arg(long, value_enum, default_value_t = ScaleArg::Nine)]
    pub scale: ScaleArg,
    /// A digit judges at once; with `false` it selects and Enter judges
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    pub auto_commit: bool,
    /// Do not show judgements per minute and the remaining time
    #[arg(long)]
    pub hide_rate: bool,
    /// Seed of the order of pairs and of their sides [default: from rlhf.toml, else 42]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
}

/// The scales a pair can be judged on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ScaleArg {
    /// A or B is better, or a tie
    Binary,
    /// Three strengths per side and a tie
    #[value(name = "7")]
    Seven,
    /// Four strengths per side and a tie
    #[value(name = "9")]
    Nine,
}

impl From<ScaleArg> for Scale {
    fn from(scale: ScaleArg) -> Self {
        match scale {
            ScaleArg::Binary => Self::Binary,
            ScaleArg::Seven => Self::Seven,
            ScaleArg::Nine => Self::Nine,
        }
    }
}

/// Opens the labelling screen, or lets a simulated annotator judge.
///
/// # Errors
/// Samples or judgements that cannot be read or written, by file and line.
pub fn run(args: &LabelArgs) -> color_eyre::Result<ExitCode> {
    let mut flags = Overrides::default();
    if let Some(seed) = args.seed {
        flags.push("seed", &seed.to_string());
    }
    let settings: LabelConfig = config::resolve(&config::File::of_project(&args.dir)?, &flags)?;
    let simulated = args
        .annotator
        .as_deref()
        .is_some_and(|name| name.starts_with(SIM_PREFIX));
    if !simulated && !crate::tui::terminal::is_interactive() {
        eprintln!("error: {}", LabelError::NoTerminal);
        return Ok(ExitCode::from(2));
    }
    let items = items(args)?;
    match args.annotator.as_deref() {
        Some(name) if simulated => simulate(args, name, &items, settings.seed),
        name => {
            let annotator = name.map_or_else(remembered_annotator, |name| Ok(name.to_owned()))?;
            judge(args, annotator, &items, settings.seed)
        }
    }
}

/// The items to judge: of a file of answers, of one batch, or of the whole project.
fn items(args: &LabelArgs) -> color_eyre::Result<Vec<Item>> {
    let samples = args.dir.join("samples");
    let items = match (&args.file, &args.batch) {
        (Some(file), _) => import(file, &samples)?,
        (None, Some(batch)) => read_batch(&samples, batch)?,
        (None, None) => item::read_all(&samples)?,
    };
    if items.is_empty() {
        bail!(
            "{} has nothing to judge; make pairs with `rlhf sample`, or name a file of answers: \
             rlhf label answers.jsonl",
            samples.display()
        );
    }
    Ok(items)
}

fn read_batch(samples: &Path, batch: &str) -> color_eyre::Result<Vec<Item>> {
    let path = samples.join(format!("{batch}.jsonl"));
    if !path.exists() {
        bail!(
            "there is no {}; a batch is the name of a file in samples/ without .jsonl",
            path.display()
        );
    }
    Ok(item::read_batch(&path)?)
}

/// Copies the rows of a file of answers to `samples/`, where text lives, and returns them.
fn import(file: &Path, samples: &Path) -> color_eyre::Result<Vec<Item>> {
    let batch = item::batch_name(file);
    let answers = answers::read(file, &batch)?;
    if answers.duplicates > 0 {
        let (dropped, rows) = (answers.duplicates, answers.too_few);
        eprintln!(
            "note: {dropped} duplicate answers dropped, {rows} rows without two answers left out"
        );
    }
    answers::add_new(samples, &batch, &answers.items)?;
    Ok(answers.items)
}

/// The name in the user's configuration, asked for once, so that resuming finds it.
fn remembered_annotator() -> color_eyre::Result<String> {
    let folder = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".config")));
    let Some(folder) = folder else {
        bail!("no home directory to remember your name in; say --annotator NAME");
    };
    let path = folder.join("rlhf").join("annotator");
    if let Ok(name) = std::fs::read_to_string(&path) {
        return Ok(name.trim().to_owned());
    }
    let name = ask_annotator()?;
    crate::feedback::store::annotator_folder(Path::new(""), &name)?;
    let folder = folder.join("rlhf");
    std::fs::create_dir_all(&folder)
        .wrap_err_with(|| format!("cannot make {}; say --annotator NAME", folder.display()))?;
    write_atomic(&path, format!("{name}\n").as_bytes())?;
    Ok(name)
}

fn ask_annotator() -> color_eyre::Result<String> {
    let seed = Sha256::of(Stamps::system().id_after(ulid::Ulid::nil()).to_string()).to_string();
    let suggestion = format!("ann_{}", &seed[..4]);
    println!("Judgements are signed with a pseudonym, which is asked once and kept for next time.");
    print!("Your name for judgements [{suggestion}]: ");
    std::io::stdout().flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    let name = line.trim();
    Ok(if name.is_empty() {
        suggestion
    } else {
        name.to_owned()
    })
}

fn simulate(
    args: &LabelArgs,
    name: &str,
    items: &[Item],
    seed: u64,
) -> color_eyre::Result<ExitCode> {
    let simulated: Simulated = name.parse()?;
    let session = Session::open(&args.dir.join("feedback"), name, Stamps::system())?;
    let mut session = session.synced_on_close();
    let judged = simulated.annotate(&mut session, items, seed, gold::score)?;
    session.close()?;
    println!(
        "{name}, a simulated annotator, judged {judged} of {} items; its records are marked as \
         simulated.",
        items.len()
    );
    Ok(ExitCode::SUCCESS)
}

fn judge(
    args: &LabelArgs,
    annotator: String,
    items: &[Item],
    seed: u64,
) -> color_eyre::Result<ExitCode> {
    let setup = Setup {
        annotator,
        scale: args.scale.into(),
        auto_commit: args.auto_commit,
        show_rate: !args.hide_rate,
        question: QUESTION.to_owned(),
        guidelines: guidelines(&args.dir)?,
        hand_over: None,
    };
    let feedback = args.dir.join("feedback");
    let report = label::run(&Job {
        feedback: &feedback,
        items,
        seed,
        setup,
    })?;
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
    if report.not_pairs > 0 {
        println!(
            "{} items with more than two answers were left out.",
            report.not_pairs
        );
    }
    match &report.ending {
        Ending::WriteFailed(error) => {
            eprintln!("error: the last judgement was NOT saved: {error}");
            ExitCode::FAILURE
        }
        Ending::Locked(holder) => {
            eprintln!("error: {holder}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

fn what_is_left(report: &Report) -> String {
    match report.left.len() {
        0 => "Nothing is left.".to_owned(),
        left => format!("{left} left; run the same command to go on."),
    }
}
