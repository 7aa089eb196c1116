//! Formats without judgements: prompts alone, and good answers to imitate (TRL prompt-only and SFT).
//! Export writes them; `rlhf sample` and `rlhf sft` read them.

use super::judged::{Judged, Said, message};
use super::value::{Object, has};
use crate::feedback::item::PromptText;
use serde_json::{Value, json};

/// True for TRL's prompt-only rows.
pub fn is_prompt(row: &Object) -> bool {
    has(row, &["prompt"])
}

/// True for TRL's rows for supervised fine-tuning.
pub fn is_sft(row: &Object) -> bool {
    has(row, &["messages"]) || has(row, &["prompt", "completion"]) || has(row, &["text"])
}

/// Writes a prompt that is text, or one that is a conversation.
pub fn write_prompt(judged: &Judged, conversational: bool) -> Option<Value> {
    match &judged.prompt {
        PromptText::Text(text) if !conversational => Some(json!({"prompt": text})),
        PromptText::Messages(messages) if conversational => Some(json!({"prompt": messages})),
        _ => None,
    }
}

/// Writes the answers that nothing beats, one row each.
pub fn write_sft(judged: &Judged, conversational: bool) -> Option<Vec<Value>> {
    let best: Vec<usize> = match &judged.said {
        Said::Prefer { winner, .. } => vec![*winner],
        Said::Ranking(groups) => groups.first()?.clone(),
        _ => return None,
    };
    let texts = best
        .iter()
        .map(|&index| judged.answers[index].text.as_str());
    let row = |text: &str| match &judged.prompt {
        PromptText::Text(prompt) if !conversational => {
            Some(json!({"prompt": prompt, "completion": text}))
        }
        PromptText::Messages(prompt) if conversational => {
            let messages = [prompt.clone(), vec![message("assistant", text)]].concat();
            Some(json!({"messages": messages}))
        }
        _ => None,
    };
    texts.map(row).collect()
}
