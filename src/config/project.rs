//! The sections of `rlhf.toml`, and the settings of those whose code takes plain arguments.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::config::trl::{NO_DPO, suggestion};
use crate::feedback::queue::order::Strategy;
use crate::feedback::record::check::is_annotator_name;
use crate::policy::config::{PpoConfig, SftConfig};
use crate::reward::config::RewardConfig;
use crate::round::config::SampleConfig;
use crate::run::settings::{
    Field, InvalidSetting, Kind, Settings, Value, check, choices, settings,
};

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
        /// Answers that are possible for a pair: 9 and 7 have four and three strengths a side, binary has none; all have a tie.
        pub scale: PairScale = PairScale::Nine,
        /// A digit judges at once; false = it selects and Enter judges.
        pub auto_commit: bool = true,
        /// Aspects that can be judged one by one, at most nine.
        pub aspects: Vec<String> = words(&["helpful", "honest", "harmless"]),
        /// Flags that can be set on a judgement, at most nine.
        pub flags: Vec<String> = words(&["unsafe", "off-topic", "personal-data", "wrong-language", "broken"]),
        /// Colours: terminal = its own sixteen, dark, light, high-contrast, or colour-blind; NO_COLOR wins.
        pub theme: ThemeName = ThemeName::Terminal,
        /// Clicks focus an answer and the wheel scrolls; false leaves the mouse to the terminal.
        pub mouse: bool = true,
        /// Show judgements per minute and the remaining time.
        pub show_rate: bool = true,
        /// Keys moved: a table of action = "keys", such as undo = "z Ctrl-U"; : on the screen lists the actions.
        pub keys: BTreeMap<String, String> = BTreeMap::new(),
    }
}

choices! {
    /// The answers that are possible for a pair.
    pub enum PairScale {
        /// Four strengths per side and a tie.
        Nine = "9",
        /// Three strengths per side and a tie.
        Seven = "7",
        /// A or B is better, or a tie.
        Binary = "binary",
    }
}

choices! {
    /// The colours of the screens.
    pub enum ThemeName {
        /// The terminal's own sixteen colours.
        Terminal = "terminal",
        /// For dark backgrounds.
        Dark = "dark",
        /// For light backgrounds.
        Light = "light",
        /// As much contrast as there is.
        HighContrast = "high-contrast",
        /// Colours that stay apart for every common kind of colour blindness.
        ColourBlind = "colour-blind",
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// Whether names fit a list with nine digit keys: none empty, none twice.
fn are_marks(names: &[String]) -> bool {
    let sound =
        |(place, name): (usize, &String)| !name.trim().is_empty() && !names[..place].contains(name);
    names.len() <= 9 && names.iter().enumerate().all(sound)
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
        check! { self:
            aspects, are_marks(&self.aspects), "at most nine different names";
            flags, are_marks(&self.flags), "at most nine different names";
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
