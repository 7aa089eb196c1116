//! The sections of `rlhf.toml`, and the settings of those whose code takes plain arguments.

use std::path::PathBuf;

use crate::config::trl::{NO_DPO, suggestion};
use crate::feedback::queue::order::Strategy;
use crate::feedback::record::check::is_annotator_name;
use crate::policy::config::{PpoConfig, SftConfig};
use crate::reward::config::RewardConfig;
use crate::round::config::SampleConfig;
use crate::run::settings::{Field, InvalidSetting, Kind, Settings, Value, check, settings};

/// Every section with its settings, in the order of the pipeline.
pub const SECTIONS: &[(&str, &[Field])] = &[
    (ProjectConfig::SECTION, ProjectConfig::FIELDS),
    (SftConfig::SECTION, SftConfig::FIELDS),
    (SampleConfig::SECTION, SampleConfig::FIELDS),
    (LabelConfig::SECTION, LabelConfig::FIELDS),
    (RewardConfig::SECTION, RewardConfig::FIELDS),
    (PpoConfig::SECTION, PpoConfig::FIELDS),
];

settings! {
    /// What all commands of a project share.
    pub struct ProjectConfig in "project", validated by check_values {
        /// Model to start from: a folder, `embedded`, or a hub id such as HuggingFaceTB/SmolLM2-135M-Instruct.
        pub model: Option<String> = None,
        /// Reward model: a folder.
        pub reward_model: Option<String> = None,
        /// Where to compute: auto, cpu, wgpu, wgpu:N, cuda or cuda:N; auto = a GPU if there is one, else the CPU.
        pub device: String = "auto".to_owned(),
    }
}

impl ProjectConfig {
    fn check_values(&self) -> Result<(), InvalidSetting> {
        check! { self: device, !self.device.is_empty(), "auto, cpu, wgpu[:n] or cuda[:n]"; }
        Ok(())
    }
}

settings! {
    /// Judging pairs of responses.
    pub struct LabelConfig in "label", validated by check_values {
        /// Seed of the order of pairs and of their sides, together with item and annotator.
        pub seed: u64 = 42,
        /// Who judges; empty = whoever comes, and everybody judges everything.
        pub annotators: Vec<String> = vec![],
        /// How many of them judge each item.
        pub overlap: usize = 1,
        /// Hours of silence after which an annotator's items go to others; 0 = never.
        pub reassign_after: u64 = 72,
        /// Order of the items: random, round-robin over prompts, or informative = highest score first.
        pub order: Strategy = Strategy::Random,
        /// JSONL of {"item": id, "score": number} for the informative order; else the score in the samples.
        pub scores: Option<PathBuf> = None,
        /// Share of the items in random order, whatever the order, so that win rates stay estimable.
        pub random_share: f64 = 0.2,
        /// Items of gold/*.jsonl, whose answer is known, per ordinary item.
        pub gold_share: f64 = 0.05,
        /// Share of the items that come a second time with their sides swapped.
        pub repeat_share: f64 = 0.04,
        /// Judgements per annotator and day to aim at; 0 = none.
        pub daily_target: usize = 0,
    }
}

impl Value for Strategy {
    const KIND: Kind = Kind::Choice(&["random", "round-robin", "informative"]);
}

impl LabelConfig {
    fn check_values(&self) -> Result<(), InvalidSetting> {
        check! { self:
            overlap, self.overlap > 0, "at least 1";
            random_share, (0.0..=1.0).contains(&self.random_share), "between 0 and 1";
            gold_share, (0.0..=0.5).contains(&self.gold_share), "between 0 and 0.5";
            repeat_share, (0.0..=0.5).contains(&self.repeat_share), "between 0 and 0.5";
        }
        let sound = |name: &String| is_annotator_name(name);
        check! { self: annotators, self.annotators.iter().all(sound), "names of letters, digits, '.', '_' and '-'"; }
        Ok(())
    }
}

/// The settings of a section, if there is such a section.
pub fn fields(section: &str) -> Option<&'static [Field]> {
    SECTIONS
        .iter()
        .find(|(name, _)| *name == section)
        .map(|(_, fields)| *fields)
}

/// What to say about a section that does not exist; begins with "; " or is empty.
pub fn section_hint(name: &str) -> String {
    if name == "dpo" {
        return format!("; {NO_DPO}");
    }
    suggestion(name, SECTIONS.iter().map(|(section, _)| *section))
}
