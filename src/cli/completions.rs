//! `rlhf completions SHELL`: a completion script on standard output.

use std::io::{Write as _, stdout};
use std::process::ExitCode;

use clap::Args;
use clap_complete::Shell;
use color_eyre::Result;

/// Arguments of `rlhf completions`.
#[derive(Debug, Args)]
#[command(after_help = "Example:
  rlhf completions bash > ~/.local/share/bash-completion/completions/rlhf")]
pub struct CompletionsArgs {
    /// Shell that is to complete commands and flags
    shell: Shell,
}

/// Prints the script.
pub fn run(args: CompletionsArgs) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "rlhf", &mut script);
    stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
