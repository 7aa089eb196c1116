//! The command line: one file per subcommand, each turning arguments into one library call and printing the result.
//!
//! To add a command, write `cli/<name>.rs` with `<Name>Args` (its `after_help` is an example) and `run(args) -> Result<ExitCode>`, and
//! add it to `Command`, with its description, and to `dispatch`. The pipeline's commands are listed first by
//! `rlhf --help`, in the order of `PIPELINE`; all others follow under *More*.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 130 stopped by Ctrl-C.

pub mod bench;
pub mod completions;
pub mod config;
pub mod demo;
pub mod demo_report;
pub mod explain;
pub mod feedback;
pub mod flags;
pub mod generate;
pub mod inspect;
pub mod job;
pub mod label;
pub mod models;
pub mod ppo;
pub mod progress;
pub mod reports;
pub mod reward;
pub mod sample;
pub mod sft;
mod warm_up;

use std::error::Error;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use color_eyre::{Report, Result};

use crate::config::{ConfigError, trl};
use crate::run::memory;
use crate::tui::text::sanitise;

/// Exit code after wrong usage or configuration.
pub const USAGE: u8 = 2;
/// Exit code after Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// The commands of the pipeline, in its order.
const PIPELINE: &[&str] = &["demo", "sft", "sample", "label", "reward", "ppo"];

/// Reinforcement learning from human feedback: compare a model's answers, train a reward model on your judgements,
/// improve the model with PPO, repeat.
#[derive(Debug, Parser)]
#[command(
    name = "rlhf",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(after_help = "Examples:
  rlhf config > rlhf.toml        a configuration file with every setting explained
  rlhf explain kl_coef           what a setting or a logged metric means")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The whole loop on the model inside this program, in three minutes
    Demo(demo::DemoArgs),
    /// Draw answers to prompts, to be judged
    Sample(sample::SampleArgs),
    /// Train a reward model on judgements, check it, score with it
    Reward(reward::RewardArgs),
    /// Improve a policy against a reward model, close to where it started
    Ppo(ppo::PpoArgs),
    /// Fine-tune a model on texts, or train one from scratch
    Sft(sft::SftArgs),
    /// Compare pairs of answers in the terminal
    Label(label::LabelArgs),
    /// Exchange judgements with other tools, check and count them
    Feedback(feedback::FeedbackArgs),
    /// Continue a prompt, or answer a message
    Generate(generate::GenerateArgs),
    /// Show what a model thinks of a text, token by token
    Inspect(inspect::InspectArgs),
    /// Measure how fast a model samples, scores and learns here
    Bench(bench::BenchArgs),
    /// Print the configuration, every setting explained
    Config(config::ConfigArgs),
    /// Explain a setting or a logged metric; without a name, list the metrics
    Explain(explain::ExplainArgs),
    /// Print a completion script for your shell
    Completions(completions::CompletionsArgs),
}

fn dispatch(command: Command) -> Result<ExitCode> {
    match command {
        Command::Demo(args) => demo::run(args),
        Command::Sample(args) => sample::run(args),
        Command::Reward(args) => reward::run(args),
        Command::Ppo(args) => ppo::run(args),
        Command::Sft(args) => sft::run(args),
        Command::Label(args) => label::run(&args),
        Command::Feedback(args) => feedback::run(args),
        Command::Generate(args) => generate::run(&args),
        Command::Inspect(args) => inspect::run(&args),
        Command::Bench(args) => bench::run(args),
        Command::Config(args) => config::run(args),
        Command::Explain(args) => explain::run(args),
        Command::Completions(args) => completions::run(args),
    }
}

/// Parses `arguments` (the program's name first), runs the command and prints what went wrong.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    memory::share_heap(); // before any thread starts
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let parsed = command()
        .try_get_matches_from(&arguments)
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|error| explain_trl_flag(error, &arguments));
    match parsed {
        Ok(cli) => dispatch(cli.command).unwrap_or_else(|report| fail(&report)),
        Err(error) => {
            // Nobody is left to read a message that cannot be printed.
            let _ = error.print();
            ExitCode::from(error.exit_code() as u8)
        }
    }
}

/// Says that Ctrl-C was heard; called from the signal handler.
pub fn announce_stop() {
    eprintln!("\nstopping after this step, with a checkpoint; press Ctrl-C again to stop at once");
}

/// The whole tree of commands: `_` works like `-` in every flag, and the pipeline comes first in the help.
pub fn command() -> clap::Command {
    let command = with_underscores(Cli::command());
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n{}\n{}{{after-help}}",
        listing(&command),
        heading(&command, "Options:") + "\n{options}",
    );
    command.help_template(template)
}

fn with_underscores(command: clap::Command) -> clap::Command {
    command
        .mut_args(
            |arg| match arg.get_long().filter(|long| long.contains('-')) {
                Some(long) => {
                    let alias = long.replace('-', "_");
                    arg.alias(alias)
                }
                None => arg,
            },
        )
        .mut_subcommands(with_underscores)
}

/// The commands with their one-line descriptions, the pipeline's first.
fn listing(command: &clap::Command) -> String {
    let mut all: Vec<&clap::Command> = command.get_subcommands().collect();
    let position = |c: &clap::Command| PIPELINE.iter().position(|name| *name == c.get_name());
    all.sort_by_key(|c| position(c).unwrap_or(PIPELINE.len()));
    let literal = command.get_styles().get_literal();
    let mut text = String::new();
    for (title, in_pipeline) in [("The pipeline, in its order:", true), ("More:", false)] {
        let members: Vec<_> = all
            .iter()
            .filter(|c| position(c).is_some() == in_pipeline)
            .collect();
        if !members.is_empty() {
            let _ = write!(text, "\n{}\n", heading(command, title));
        }
        for member in members {
            let about = member
                .get_about()
                .map(ToString::to_string)
                .unwrap_or_default();
            let _ = writeln!(
                text,
                "  {literal}{:<13}{literal:#}{about}",
                member.get_name()
            );
        }
    }
    text
}

fn heading(command: &clap::Command, title: &str) -> String {
    let style = command.get_styles().get_header();
    format!("{style}{title}{style:#}")
}

/// Answers an unknown flag that TRL has with our equivalent.
fn explain_trl_flag(error: clap::Error, arguments: &[OsString]) -> clap::Error {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let name = flag.trim_start_matches('-').replace('-', "_");
    let is_section = |argument: &&str| ["sft", "reward", "ppo"].contains(argument);
    let section = arguments
        .iter()
        .filter_map(|a| a.to_str())
        .find(is_section)
        .unwrap_or("");
    match trl::advice(section, &name) {
        Some(advice) if error.kind() == ErrorKind::UnknownArgument => {
            let message = format!("unknown flag {flag} (TRL's); {advice}\n");
            clap::Error::raw(ErrorKind::UnknownArgument, message)
        }
        _ => error,
    }
}

/// Prints an error once, with its causes, and chooses the exit code. An error quotes files and their
/// names, so what a terminal would obey is made visible.
pub fn fail(report: &Report) -> ExitCode {
    let broken_pipe = |e: &io::Error| e.kind() == io::ErrorKind::BrokenPipe;
    if report
        .chain()
        .filter_map(|e| e.downcast_ref())
        .any(broken_pipe)
    {
        return ExitCode::SUCCESS; // The reader, such as `head`, has seen enough.
    }
    eprintln!("error: {}", sanitise(&message(report)));
    let usage = report.chain().any(<dyn Error>::is::<ConfigError>);
    if usage {
        ExitCode::from(USAGE)
    } else {
        ExitCode::FAILURE
    }
}

/// The error and its causes, one per line; a cause that the line before already tells is left out.
fn message(report: &Report) -> String {
    let mut text = report.to_string();
    for cause in report.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            let _ = write!(text, "\n  because: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn an_error_is_told_once_with_its_causes() {
        let report = Report::new(io::Error::other("disk full"))
            .wrap_err("cannot write /x: disk full")
            .wrap_err("the run failed");
        assert_eq!(
            message(&report),
            "the run failed\n  because: cannot write /x: disk full"
        );
    }
}
