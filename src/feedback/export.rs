//! Preference pairs as the rows of other tools.
//!
//! No other format carries ties, both-bad, annotators, strength or time: what is dropped on the way
//! is counted, and a pair that a format would change is left out of it.

use super::item::{Message, PromptText};
use super::pairs::row::{ASSISTANT, HUMAN, has_turn, transcript};
use super::pairs::{Dropped, PreferencePair};
use serde_json::json;
use std::fmt::Write;

/// A format of another tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// TRL preference, standard: prompt and answers are text.
    Trl,
    /// TRL preference, conversational: prompt and answers are lists of messages.
    TrlConversational,
    /// hh-rlhf: two transcripts.
    Hh,
}

/// The pairs as lines of JSON; what is dropped is added to `dropped`.
pub fn rows(pairs: &[PreferencePair], format: Format, dropped: &mut Dropped) -> Vec<String> {
    let mut rows = Vec::new();
    for pair in pairs {
        if pair.tie {
            dropped.ties += 1;
            continue;
        }
        match row(pair, format) {
            Some(row) => rows.push(format!("{row}\n")),
            None => dropped.not_expressible += 1,
        }
    }
    rows
}

fn row(pair: &PreferencePair, format: Format) -> Option<serde_json::Value> {
    let PreferencePair {
        prompt,
        chosen,
        rejected,
        ..
    } = pair;
    match (format, prompt) {
        (Format::Trl, PromptText::Text(prompt)) => {
            Some(json!({"prompt": prompt, "chosen": chosen, "rejected": rejected}))
        }
        (Format::TrlConversational, PromptText::Messages(prompt)) => {
            let answer = |text: &str| json!([{"role": "assistant", "content": text}]);
            let (chosen, rejected) = (answer(chosen), answer(rejected));
            Some(json!({"prompt": prompt, "chosen": chosen, "rejected": rejected}))
        }
        (Format::Hh, PromptText::Text(prompt)) => transcripts(prompt, chosen, rejected),
        (Format::Hh, PromptText::Messages(prompt)) => {
            let spaced = |text: &str| format!(" {text}");
            transcripts(&as_transcript(prompt)?, &spaced(chosen), &spaced(rejected))
        }
        _ => None,
    }
}

/// The row, if reading it gives back exactly these three texts.
fn transcripts(prompt: &str, chosen: &str, rejected: &str) -> Option<serde_json::Value> {
    let (a, b) = (format!("{prompt}{chosen}"), format!("{prompt}{rejected}"));
    let (read, a_read, b_read) = transcript(&a, &b).ok()?;
    let same = read == PromptText::Text(prompt.into()) && a_read == chosen && b_read == rejected;
    (same && prompt.starts_with(HUMAN)).then(|| json!({"chosen": a, "rejected": b}))
}

/// A conversation of a user and an assistant, up to where the assistant answers.
fn as_transcript(prompt: &[Message]) -> Option<String> {
    let mut text = String::new();
    for (index, message) in prompt.iter().enumerate() {
        let (role, marker) = [("user", HUMAN), ("assistant", ASSISTANT)][index % 2];
        if message.role != role || has_turn(&message.content) {
            return None;
        }
        let _ = write!(text, "{marker} {}", message.content);
    }
    (prompt.len() % 2 == 1).then(|| text + ASSISTANT)
}
