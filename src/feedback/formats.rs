//! The interchange formats: one file each, its reader beside its writer.
//!
//! A row of any format becomes [`Judged`] values, and a [`Judged`] becomes rows of any format that can
//! carry it. Reading and writing are pure; [`super::rows`] finds the rows in files,
//! [`super::judgements`] puts the two together.
//!
//! No format but our own carries everything. A writer refuses what it would change: each row it makes
//! is read back and compared, so that export and import agree.

pub mod answers;
pub mod arena;
pub mod argilla;
pub mod hh;
pub mod judged;
pub mod label_studio;
pub mod llama_factory;
pub mod lm_human_preferences;
pub mod native;
pub mod nemo;
pub mod openai;
pub mod rewardbench;
pub mod summarize;
pub mod texts;
pub mod trl;
pub mod ultrafeedback;
pub mod unpaired;
pub mod value;

mod write;

pub use write::{Detail, OutFormat};

use judged::{Found, Judged};
use serde_json::Value;
use value::Object;

/// A format that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InFormat {
    /// Ours: items and records.
    Native,
    /// OpenAI preference fine-tuning.
    OpenAi,
    /// UltraFeedback.
    UltraFeedback,
    /// NeMo-RL rank lists.
    Nemo,
    /// summarize-from-feedback comparisons.
    Summarize,
    /// lm-human-preferences.
    LmHumanPreferences,
    /// Chatbot-Arena-55k.
    Arena,
    /// Label Studio tasks.
    LabelStudio,
    /// Argilla 2 records.
    Argilla,
    /// Argilla's older flat columns.
    ArgillaLegacy,
    /// RewardBench 2.
    RewardBench2,
    /// RewardBench.
    RewardBench,
    /// LLaMA-Factory sharegpt.
    ShareGpt,
    /// LLaMA-Factory alpaca.
    Alpaca,
    /// axolotl.
    Axolotl,
    /// TRL unpaired (KTO).
    Unpaired,
    /// Answers to be judged.
    Answers,
    /// hh-rlhf transcripts.
    Hh,
    /// TRL preference, and DeepSpeed-Chat, whose rows look the same.
    Trl,
}

/// How a row of a format is told and read.
struct Known {
    format: InFormat,
    name: &'static str,
    is: fn(&Object) -> bool,
    /// What a row looks like, for errors.
    example: &'static str,
}

/// In the order in which they are tried: what is most particular first.
const KNOWN: [Known; 19] = [
    known(
        InFormat::Native,
        "native",
        native::is,
        r#"{"rlhf": 1, "item", "record"}"#,
    ),
    known(
        InFormat::OpenAi,
        "openai",
        openai::is,
        r#"{"input": {"messages"}, "preferred_output", "non_preferred_output"}"#,
    ),
    known(
        InFormat::UltraFeedback,
        "ultrafeedback",
        ultrafeedback::is,
        r#"{"instruction", "completions": [{"response", "annotations"}]}"#,
    ),
    known(
        InFormat::Nemo,
        "nemo",
        nemo::is,
        r#"{"context", "completions": [{"rank", "completion"}]}"#,
    ),
    known(
        InFormat::Summarize,
        "summarize",
        summarize::is,
        r#"{"info", "summaries": [{"text"}, {"text"}], "choice"}"#,
    ),
    known(
        InFormat::LmHumanPreferences,
        "lm-human-preferences",
        lm_human_preferences::is,
        r#"{"query": [ids], "sample0": [ids], "sample1": [ids], "best": 0}"#,
    ),
    known(
        InFormat::Arena,
        "arena",
        arena::is,
        "prompt, response_a, response_b, winner_model_a, winner_model_b, winner_tie",
    ),
    known(
        InFormat::LabelStudio,
        "label-studio",
        label_studio::is,
        r#"{"data": {"prompt", "answer1", "answer2"}, "annotations"}"#,
    ),
    known(
        InFormat::Argilla,
        "argilla",
        argilla::is,
        r#"{"fields": {"prompt", …}, "responses"}"#,
    ),
    known(
        InFormat::ArgillaLegacy,
        "argilla-legacy",
        argilla::is_legacy,
        r#"{"prompt", …, "QUESTION": [{"user_id", "value", "status"}]}"#,
    ),
    known(
        InFormat::RewardBench2,
        "rewardbench2",
        rewardbench::is_2,
        r#"{"prompt", "chosen": [..], "rejected": [..], "num_correct"}"#,
    ),
    known(
        InFormat::RewardBench,
        "rewardbench",
        rewardbench::is,
        r#"{"prompt", "chosen", "chosen_model", "rejected", "rejected_model"}"#,
    ),
    known(
        InFormat::ShareGpt,
        "sharegpt",
        llama_factory::is_sharegpt,
        r#"{"conversations": [{"from", "value"}], "chosen", "rejected"}"#,
    ),
    known(
        InFormat::Alpaca,
        "alpaca",
        llama_factory::is_alpaca,
        r#"{"instruction", "input", "chosen", "rejected"}"#,
    ),
    known(
        InFormat::Axolotl,
        "axolotl",
        llama_factory::is_axolotl,
        r#"{"system", "input", "chosen", "rejected"}"#,
    ),
    known(
        InFormat::Unpaired,
        "unpaired",
        unpaired::is,
        r#"{"prompt", "completion", "label": true}"#,
    ),
    known(
        InFormat::Answers,
        "answers",
        answers::is,
        r#"{"prompt", "responses": [..]}"#,
    ),
    known(
        InFormat::Hh,
        "hh",
        hh::is,
        r#"{"chosen": "\n\nHuman: …\n\nAssistant: …", "rejected": …}"#,
    ),
    known(
        InFormat::Trl,
        "trl",
        trl::is,
        r#"{"prompt", "chosen", "rejected"}"#,
    ),
];

const fn known(
    format: InFormat,
    name: &'static str,
    is: fn(&Object) -> bool,
    example: &'static str,
) -> Known {
    Known {
        format,
        name,
        is,
        example,
    }
}

impl InFormat {
    /// All of them, with their names.
    pub fn all() -> impl Iterator<Item = (Self, &'static str)> {
        KNOWN.iter().map(|known| (known.format, known.name))
    }

    fn known(self) -> &'static Known {
        let mut all = KNOWN.iter();
        all.find(|known| known.format == self).unwrap_or(&KNOWN[0])
    }

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        self.known().name
    }

    /// What a row looks like.
    pub fn example(self) -> &'static str {
        self.known().example
    }

    /// The format that a row has.
    ///
    /// # Errors
    /// What was expected, and what to do with a file that holds no judgements.
    pub fn of(row: &Object) -> Result<Self, String> {
        if let Some(known) = KNOWN.iter().find(|known| (known.is)(row)) {
            return Ok(known.format);
        }
        if texts::is_sft(row) {
            return Err(
                "the row has an answer and no judgement; fine-tune on such a file with \
                        `rlhf sft --data FILE`"
                    .into(),
            );
        }
        if texts::is_prompt(row) {
            return Err(
                "the row has a prompt and no answers; put such a file into prompts/ and \
                        draw answers with `rlhf sample`"
                    .into(),
            );
        }
        let keys: Vec<&str> = row.keys().map(String::as_str).take(12).collect();
        let examples: Vec<String> = KNOWN
            .iter()
            .map(|known| format!("  {:<21}{}", known.name, known.example))
            .collect();
        Err(format!(
            "the row fits no format; its keys are {keys:?}. Expected one of\n{}",
            examples.join("\n")
        ))
    }

    /// Reads a row; [`InFormat::Unpaired`] says nothing about a single row, see
    /// [`unpaired::Matcher`], and [`InFormat::LmHumanPreferences`] needs a decoder.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(self, row: Object) -> Result<Found, String> {
        let one = |judged: Result<Judged, String>| judged.map(Found::from);
        match self {
            Self::Native => Native::read(row).map(|native| native.judged().into()),
            Self::OpenAi => one(openai::read(&row)),
            Self::UltraFeedback => ultrafeedback::read(&row),
            Self::Nemo => one(nemo::read(&row)),
            Self::Summarize => one(summarize::read(&row)),
            Self::LmHumanPreferences => one(lm_human_preferences::read(&row, None)),
            Self::Arena => one(arena::read(&row)),
            Self::LabelStudio => label_studio::read(&row),
            Self::Argilla => argilla::read(&row),
            Self::ArgillaLegacy => argilla::read_legacy(&row),
            Self::RewardBench2 => rewardbench::read_2(&row).map(Found::from),
            Self::RewardBench => one(rewardbench::read(&row)),
            Self::ShareGpt => one(llama_factory::read_sharegpt(&row)),
            Self::Alpaca => one(llama_factory::read_alpaca(&row)),
            Self::Axolotl => one(llama_factory::read_axolotl(&row)),
            Self::Unpaired => unpaired::read(&row).map(|_| Found::default()),
            Self::Answers => one(answers::read(&row)),
            Self::Hh => one(hh::read(&row)),
            Self::Trl => one(trl::read(&row)),
        }
    }
}

use native::Native;

/// The value as a row.
///
/// # Errors
/// It is no object.
pub fn row_of(value: Value) -> Result<Object, String> {
    match value {
        Value::Object(row) => Ok(row),
        _ => Err("expected a JSON object".into()),
    }
}
