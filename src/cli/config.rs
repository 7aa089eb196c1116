//! `rlhf config [SECTION]…`: the resolved configuration with every setting explained.

use std::fmt::Write as _;
use std::io::{Write as _, stdout};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use color_eyre::Result;

use crate::cli::flags::doc_with_choices;
use crate::config::{
    self, ConfigError, File, LabelConfig, Overrides, ProjectConfig, SECTIONS, SampleConfig,
};
use crate::policy::config::{PpoConfig, SftConfig};
use crate::reward::config::RewardConfig;
use crate::run::settings::Field;

/// Arguments of `rlhf config`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rlhf config > rlhf.toml      start a project's configuration
  rlhf config ppo              the settings of PPO as this project has them")]
pub struct ConfigArgs {
    /// Sections to print; all if none is named
    #[arg(value_name = "SECTION", value_parser = ["project", "sft", "sample", "label", "reward", "ppo"])]
    sections: Vec<String>,

    /// Project directory, with rlhf.toml
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

/// Prints the sections.
pub fn run(args: ConfigArgs) -> Result<ExitCode> {
    let file = File::of_project(&args.dir)?;
    let mut text = String::new();
    for (section, fields) in SECTIONS {
        if args.sections.is_empty() || args.sections.iter().any(|name| name == section) {
            explained(&mut text, &resolved(section, &file)?, fields);
        }
    }
    stdout().write_all(text.trim_start().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn resolved(section: &str, file: &File) -> Result<String, ConfigError> {
    let none = Overrides::default();
    match section {
        "project" => config::to_toml(&config::resolve::<ProjectConfig>(file, &none)?),
        "sft" => config::to_toml(&config::resolve::<SftConfig>(file, &none)?),
        "sample" => config::to_toml(&config::resolve::<SampleConfig>(file, &none)?),
        "label" => config::to_toml(&config::resolve::<LabelConfig>(file, &none)?),
        "reward" => config::to_toml(&config::resolve::<RewardConfig>(file, &none)?),
        _ => config::to_toml(&config::resolve::<PpoConfig>(file, &none)?),
    }
}

/// Puts each setting's explanation above its line; the first line is the section's name.
fn explained(text: &mut String, toml: &str, fields: &[Field]) {
    for (n, line) in toml.lines().enumerate() {
        if let Some(field) = n.checked_sub(1).and_then(|n| fields.get(n)) {
            let _ = writeln!(text, "# {}", doc_with_choices(field));
        } else {
            text.push('\n');
        }
        let _ = writeln!(text, "{line}");
    }
}
