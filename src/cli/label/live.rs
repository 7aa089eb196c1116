//! `rlhf label --live`: answers are written while the person judges.

use std::path::{Path, PathBuf};

use clap::Args;
use color_eyre::eyre::OptionExt;

use super::LabelArgs;
use super::items::refuse_gold;
use crate::cli::models::Opener;
use crate::config::{self, Overrides, ProjectConfig};
use crate::feedback::item::{Item, ItemError, is_safe_name, read_batch};
use crate::feedback::prompts::read_prompts;
use crate::round::config::SampleConfig;
use crate::round::live::Source;

/// Arguments of live sampling.
#[derive(Debug, Args)]
pub struct LiveArgs {
    /// Draw the next answers from the current policy while you judge, as [sample] of rlhf.toml says
    #[arg(long, requires = "prompts", conflicts_with_all = ["file", "adjudicate", "review"])]
    pub live: bool,
    /// Prompts to answer, JSONL
    #[arg(long, value_name = "FILE", requires = "live")]
    pub prompts: Option<PathBuf>,
    /// Policy: a folder, `embedded`, or a hub id [default: that of the project]
    #[arg(long, value_name = "MODEL", requires = "live")]
    pub model: Option<String>,
    /// Where to compute: auto, cpu, wgpu, wgpu:N, cuda or cuda:N
    #[arg(long, value_name = "DEVICE", requires = "live")]
    pub device: Option<String>,
    /// How many pairs to prepare in advance
    #[arg(long, value_name = "N", default_value_t = 8, requires = "live")]
    pub ahead: usize,
    /// Round of the loop that the pairs belong to
    #[arg(long, value_name = "N", default_value_t = 0, requires = "live")]
    pub round: u32,
}

/// What was sampled for this annotator before, and where more comes from. Each annotator has a batch
/// unless one is named, so that nobody waits for the answers of another.
///
/// # Errors
/// A name that no batch may have; a model or prompts that cannot be read.
pub fn open(args: &LabelArgs, annotator: &str) -> color_eyre::Result<(Vec<Item>, Source)> {
    let live = &args.live;
    let samples = args.dir.join("samples");
    let named = args.batch.clone();
    let batch = named.unwrap_or_else(|| format!("live-{}", annotator.replace(':', "-")));
    refuse_gold(&batch)?;
    if !is_safe_name(&batch) {
        return Err(ItemError::BatchName(batch).into());
    }
    let path = samples.join(format!("{batch}.jsonl"));
    let items = if path.exists() {
        read_batch(&path)?
    } else {
        Vec::new()
    };
    let file = live.prompts.as_deref().unwrap_or(Path::new(""));
    let prompts = read_prompts(file)?;
    let (config, project) = settings(args)?;
    let name = project
        .model
        .ok_or_eyre("which model? pass --model, or set it in [project] of rlhf.toml")?;
    let opener = Opener { quiet: false };
    let chosen = opener.device(project.device.parse()?)?;
    let source = Source {
        model: opener.open(&name, &chosen.device)?,
        prompts,
        known: items.iter().map(|item| item.id.clone()).collect(),
        config,
        batch,
        round: live.round,
        policy: name,
        samples,
    };
    Ok((items, source))
}

fn settings(args: &LabelArgs) -> color_eyre::Result<(SampleConfig, ProjectConfig)> {
    let file = config::File::of_project(&args.dir)?;
    let mut flags = Overrides::default();
    for (key, value) in [("model", &args.live.model), ("device", &args.live.device)] {
        if let Some(value) = value {
            flags.push(key, value);
        }
    }
    Ok((
        config::resolve(&file, &Overrides::default())?,
        config::resolve(&file, &flags)?,
    ))
}
