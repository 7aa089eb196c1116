//! The sections of `rlhf.toml`, and the settings of those whose code takes plain arguments.

use crate::config::trl::{NO_DPO, suggestion};
use crate::policy::config::{PpoConfig, SftConfig};
use crate::reward::config::RewardConfig;
use crate::round::config::SampleConfig;
use crate::run::settings::{Field, InvalidSetting, Settings, check, settings};

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
    }
}

impl LabelConfig {
    #[allow(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "the signature that settings! calls"
    )]
    fn check_values(&self) -> Result<(), InvalidSetting> {
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
