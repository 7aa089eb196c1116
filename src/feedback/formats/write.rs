//! The formats that can be written, and what each of them carries.

use super::judged::{Judged, Said};
use super::trl::Form;
use super::{
    InFormat, hh, label_studio, llama_factory, nemo, openai, row_of, texts, trl, unpaired,
};
use serde_json::Value;

/// A format that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OutFormat {
    /// Ours: items and records in full.
    Native,
    /// TRL, standard, explicit prompt.
    Trl,
    /// TRL, standard, implicit prompt.
    TrlImplicit,
    /// TRL, standard, with the strength as margin.
    TrlMargin,
    /// TRL, conversational, explicit prompt.
    TrlConversational,
    /// TRL, conversational, implicit prompt.
    TrlConversationalImplicit,
    /// TRL, conversational, with the strength as margin.
    TrlConversationalMargin,
    /// TRL unpaired (KTO), standard.
    Unpaired,
    /// TRL unpaired (KTO), conversational.
    UnpairedConversational,
    /// hh-rlhf transcripts.
    Hh,
    /// OpenAI preference fine-tuning.
    OpenAi,
    /// NeMo-RL rank lists.
    Nemo,
    /// LLaMA-Factory alpaca.
    Alpaca,
    /// LLaMA-Factory sharegpt.
    ShareGpt,
    /// Label Studio tasks with their result.
    LabelStudio,
    /// Label Studio tasks to be judged.
    LabelStudioTasks,
    /// TRL prompt-only, standard.
    Prompts,
    /// TRL prompt-only, conversational.
    PromptsConversational,
    /// TRL SFT, prompt and completion: the answers that nothing beats.
    Sft,
    /// TRL SFT, messages.
    SftConversational,
}

impl serde::Serialize for OutFormat {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// Something that a judgement may have and a format may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Detail {
    /// Who judged.
    Annotator,
    /// How much better.
    Strength,
    /// The comment.
    Note,
    /// The time it took.
    Time,
    /// Which model gave which answer.
    Models,
    /// Scores by aspect.
    Aspects,
    /// Marks such as `unsafe`.
    Flags,
    /// Why it could not be judged, or was skipped.
    Reason,
    /// How the judgement came about.
    Origin,
    /// Round of the loop.
    Round,
}

impl Detail {
    /// All of them, with their names.
    pub const ALL: [(Self, &'static str); 10] = [
        (Self::Annotator, "annotator"),
        (Self::Strength, "strength"),
        (Self::Note, "note"),
        (Self::Time, "time"),
        (Self::Models, "models"),
        (Self::Aspects, "aspects"),
        (Self::Flags, "flags"),
        (Self::Reason, "reason"),
        (Self::Origin, "origin"),
        (Self::Round, "round"),
    ];

    /// True if the judgement has it.
    pub fn is_in(self, judged: &Judged) -> bool {
        match self {
            Self::Annotator => judged.annotator.is_some(),
            Self::Strength => judged.strength().is_some(),
            Self::Note => judged.note.is_some(),
            Self::Time => judged.active_ms.is_some(),
            Self::Models => judged.answers.iter().any(|answer| answer.model.is_some()),
            Self::Aspects | Self::Flags | Self::Reason | Self::Origin | Self::Round => {
                judged.besides.contains(&self)
            }
        }
    }
}

impl OutFormat {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::Native,
        Self::Trl,
        Self::TrlImplicit,
        Self::TrlMargin,
        Self::TrlConversational,
        Self::TrlConversationalImplicit,
        Self::TrlConversationalMargin,
        Self::Unpaired,
        Self::UnpairedConversational,
        Self::Hh,
        Self::OpenAi,
        Self::Nemo,
        Self::Alpaca,
        Self::ShareGpt,
        Self::LabelStudio,
        Self::LabelStudioTasks,
        Self::Prompts,
        Self::PromptsConversational,
        Self::Sft,
        Self::SftConversational,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Trl => "trl",
            Self::TrlImplicit => "trl-implicit",
            Self::TrlMargin => "trl-margin",
            Self::TrlConversational => "trl-conversational",
            Self::TrlConversationalImplicit => "trl-conversational-implicit",
            Self::TrlConversationalMargin => "trl-conversational-margin",
            Self::Unpaired => "unpaired",
            Self::UnpairedConversational => "unpaired-conversational",
            Self::Hh => "hh",
            Self::OpenAi => "openai",
            Self::Nemo => "nemo",
            Self::Alpaca => "alpaca",
            Self::ShareGpt => "sharegpt",
            Self::LabelStudio => "label-studio",
            Self::LabelStudioTasks => "label-studio-tasks",
            Self::Prompts => "prompts",
            Self::PromptsConversational => "prompts-conversational",
            Self::Sft => "sft",
            Self::SftConversational => "sft-conversational",
        }
    }

    /// True if a row can say that answers are equally good.
    pub fn has_ties(self) -> bool {
        matches!(self, Self::Native | Self::Nemo)
    }

    /// True if a row is about all answers of a ranking, not about two of them.
    pub fn is_listwise(self) -> bool {
        matches!(
            self,
            Self::Native | Self::Nemo | Self::Sft | Self::SftConversational
        )
    }

    /// True if rows are about prompts or tasks, whatever was judged: each is written once.
    pub fn is_unjudged(self) -> bool {
        matches!(
            self,
            Self::Prompts | Self::PromptsConversational | Self::LabelStudioTasks
        )
    }

    /// True if rows carry this.
    pub fn carries(self, detail: Detail) -> bool {
        match self {
            Self::Native => true,
            Self::LabelStudio => {
                use Detail::{Annotator, Models, Note, Strength, Time};
                matches!(detail, Annotator | Strength | Note | Time | Models)
            }
            _ if self.has_margin() => detail == Detail::Strength,
            Self::LabelStudioTasks => detail == Detail::Models,
            _ => false,
        }
    }

    /// True if rows give a strength as a number, which is 0 where it is unknown.
    pub fn has_margin(self) -> bool {
        matches!(self, Self::TrlMargin | Self::TrlConversationalMargin)
    }

    /// The format that reads these rows; `None` for rows without judgements.
    pub fn reader(self) -> Option<InFormat> {
        Some(match self {
            Self::Native => InFormat::Native,
            Self::Trl
            | Self::TrlImplicit
            | Self::TrlMargin
            | Self::TrlConversational
            | Self::TrlConversationalImplicit
            | Self::TrlConversationalMargin => InFormat::Trl,
            Self::Unpaired | Self::UnpairedConversational => InFormat::Unpaired,
            Self::Hh => InFormat::Hh,
            Self::OpenAi => InFormat::OpenAi,
            Self::Nemo => InFormat::Nemo,
            Self::Alpaca => InFormat::Alpaca,
            Self::ShareGpt => InFormat::ShareGpt,
            Self::LabelStudio | Self::LabelStudioTasks => InFormat::LabelStudio,
            Self::Prompts | Self::PromptsConversational | Self::Sft | Self::SftConversational => {
                return None;
            }
        })
    }

    /// The rows that say what `judged` says; `None` if the format would change or lose it.
    pub fn write(self, judged: &Judged) -> Option<Vec<Value>> {
        let one = |row: Option<Value>| row.map(|row| vec![row]);
        let is_text = matches!(judged.prompt, crate::feedback::item::PromptText::Text(_));
        let rows = match self {
            // Needs the record itself: see `Native`.
            Self::Native => None,
            Self::Trl => one(trl::write(judged, Form::Explicit)),
            Self::TrlImplicit => one(trl::write(judged, Form::Implicit)),
            Self::TrlMargin => one(trl::write(judged, Form::Margin)),
            Self::TrlConversational => one(trl::write_conversational(judged, Form::Explicit)),
            Self::TrlConversationalImplicit => {
                one(trl::write_conversational(judged, Form::Implicit))
            }
            Self::TrlConversationalMargin => one(trl::write_conversational(judged, Form::Margin)),
            Self::Unpaired => is_text.then(|| unpaired::write(judged))?,
            Self::UnpairedConversational => (!is_text).then(|| unpaired::write(judged))?,
            // The writer checks itself: a conversation comes back as its transcript.
            Self::Hh => return one(hh::write(judged)),
            Self::OpenAi => one(openai::write(judged)),
            Self::Nemo => one(nemo::write(judged)),
            Self::Alpaca => one(llama_factory::write_alpaca(judged)),
            Self::ShareGpt => one(llama_factory::write_sharegpt(judged)),
            Self::LabelStudio => one(label_studio::write(judged)),
            Self::LabelStudioTasks => one(label_studio::write_task(judged)),
            Self::Prompts => one(texts::write_prompt(judged, false)),
            Self::PromptsConversational => one(texts::write_prompt(judged, true)),
            Self::Sft => texts::write_sft(judged, false),
            Self::SftConversational => texts::write_sft(judged, true),
        }?;
        self.reads_back(&rows, judged).then_some(rows)
    }

    /// True if reading the rows gives what was written, as far as the format says anything.
    fn reads_back(self, rows: &[Value], judged: &Judged) -> bool {
        let Some(format) = self.reader() else {
            return true;
        };
        let mut objects = rows.iter().cloned().map(row_of);
        if format == InFormat::Unpaired {
            let halves = objects.map(|row| unpaired::read(&row?));
            let prompts = halves.map(|half| half.map(|half| half.prompt));
            return prompts
                .into_iter()
                .all(|prompt| prompt.as_ref() == Ok(&judged.prompt));
        }
        let detected = InFormat::of;
        let back = objects.next().and_then(Result::ok);
        // An implicit prompt that begins like a transcript would be taken for one.
        let Some(row) = back.filter(|row| detected(row) == Ok(format)) else {
            return false;
        };
        let Ok(read) = format.read(row) else {
            return false;
        };
        let [read] = &read.judged[..] else {
            return false;
        };
        let unjudged = self.is_unjudged();
        read.prompt == judged.prompt && (unjudged || meaning(read) == meaning(judged))
    }
}

/// What a judgement says, in terms of the texts, whatever their order.
fn meaning(judged: &Judged) -> (Vec<(&str, &str, bool)>, bool) {
    let text = |index: usize| judged.answers[index].text.as_str();
    let mut all: Vec<_> = judged
        .comparisons()
        .into_iter()
        .map(|(a, b, tie)| {
            let (a, b) = (text(a), text(b));
            if tie && a > b {
                (b, a, tie)
            } else {
                (a, b, tie)
            }
        })
        .collect();
    all.sort_unstable();
    (all, matches!(judged.said, Said::BothBad))
}
