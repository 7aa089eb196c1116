//! `rlhf explain [NAME]`: what a setting or a logged metric means.

use std::fmt::Write as _;
use std::io::{Write as _, stdout};
use std::process::ExitCode;

use clap::Args;
use color_eyre::Result;

use crate::cli::USAGE;
use crate::cli::flags::doc_with_choices;
use crate::config::{SECTIONS, trl};
use crate::run::metric_table::METRICS;
use crate::run::settings::Field;

/// Arguments of `rlhf explain`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  rlhf explain clip_fraction
  rlhf explain label             every setting of a section")]
pub struct ExplainArgs {
    /// Setting or section of rlhf.toml, or field of metrics.jsonl
    name: Option<String>,
}

/// Prints the explanation.
pub fn run(args: ExplainArgs) -> Result<ExitCode> {
    let text = match &args.name {
        None => metrics(),
        Some(name) => explanation(&name.trim_start_matches('-').replace('-', "_")),
    };
    if text.is_empty() {
        let names = SECTIONS
            .iter()
            .flat_map(|(_, fields)| fields.iter().map(|f| f.name));
        let names = names.chain(METRICS.iter().map(|m| m.name));
        let name = args.name.unwrap_or_default();
        eprintln!(
            "error: no setting or metric is called `{name}`{}",
            trl::suggestion(&name, names)
        );
        return Ok(ExitCode::from(USAGE));
    }
    stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn explanation(name: &str) -> String {
    let mut text = String::new();
    for (section, fields) in SECTIONS {
        let asked = |field: &&Field| field.name == name || *section == name;
        for field in fields.iter().filter(asked) {
            let _ = writeln!(
                text,
                "[{section}] {}: {}",
                field.name,
                doc_with_choices(field)
            );
        }
    }
    for metric in METRICS.iter().filter(|metric| metric.name == name) {
        let _ = writeln!(
            text,
            "metric {name} ({}): {}",
            metric.kinds.join(", "),
            metric.formula
        );
        let _ = writeln!(text, "  healthy: {}", metric.healthy);
    }
    for section in ["sft", "reward", "ppo"] {
        if let Some(advice) = trl::advice(section, name) {
            let _ = writeln!(text, "TRL's {name}, in [{section}]: {advice}");
        }
    }
    text
}

fn metrics() -> String {
    let mut text = "Fields of metrics.jsonl:\n".to_owned();
    for metric in METRICS {
        let _ = writeln!(
            text,
            "\n{} ({})\n  {}",
            metric.name,
            metric.kinds.join(", "),
            metric.formula
        );
        let _ = writeln!(text, "  healthy: {}", metric.healthy);
    }
    text
}
