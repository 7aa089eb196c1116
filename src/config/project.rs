//! The sections of `rlhf.toml`, and the settings of those whose code takes plain arguments.

use crate::config::trl::{NO_DPO, suggestion};
use crate::policy::config::{PpoConfig, SftConfig};
use crate::reward::config::RewardConfig;
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
        /// Where to compute: auto, cpu, wgpu[:n] or cuda[:n]; auto = a GPU if there is one, else the CPU.
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
    /// Sampling of responses to be judged.
    pub struct SampleConfig in "sample", validated by check_values {
        /// Responses per prompt, 2 to 9.
        pub candidates: usize = 2,
        /// Most new tokens in a response.
        pub max_new_tokens: usize = 128,
        /// Sampling temperature; 0 = greedy.
        pub temperature: f64 = 1.0,
        /// Nucleus sampling: the smallest set of tokens with this probability; 1 = off.
        pub top_p: f64 = 1.0,
        /// Sample among this many most probable tokens; 0 = off.
        pub top_k: usize = 0,
        /// Rows per batch.
        pub batch_size: usize = 32,
        /// Seed of every draw, together with prompt and sample number.
        pub seed: u64 = 42,
    }
}

impl SampleConfig {
    fn check_values(&self) -> Result<(), InvalidSetting> {
        check! { self:
            candidates, (2..=9).contains(&self.candidates), "between 2 and 9";
            max_new_tokens, self.max_new_tokens > 0, "at least 1";
            temperature, self.temperature >= 0.0 && self.temperature.is_finite(), "0 or more";
            top_p, self.top_p > 0.0 && self.top_p <= 1.0, "in (0, 1]";
            batch_size, self.batch_size > 0, "at least 1";
        }
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
