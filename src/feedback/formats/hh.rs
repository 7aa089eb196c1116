//! Anthropic's hh-rlhf: two transcripts with turns `"\n\nHuman: "` and `"\n\nAssistant: "`.
//! The prompt is all up to the last shared `"\n\nAssistant:"`.
//! Bai et al. 2022, arXiv:2204.05862; <https://huggingface.co/datasets/Anthropic/hh-rlhf>.

use super::judged::Judged;
use super::trl::Parts;
use super::value::{Object, field, text};
use crate::feedback::item::{Message, PromptText};
use serde_json::{Value, json};
use std::fmt::Write;

/// What precedes a person's turn.
pub const HUMAN: &str = "\n\nHuman:";
/// What precedes an assistant's turn.
pub const ASSISTANT: &str = "\n\nAssistant:";

/// True if the row is one.
pub fn is(row: &Object) -> bool {
    let chosen = field(row, "chosen").and_then(Value::as_str);
    field(row, "prompt").is_none() && chosen.is_some_and(|text| text.starts_with(HUMAN))
}

/// Reads a row.
pub fn read(row: &Object) -> Result<Judged, String> {
    let (prompt, chosen, rejected) = transcript(&text(row, "chosen")?, &text(row, "rejected")?)?;
    Ok(Judged::pair(prompt, chosen, rejected))
}

/// Writes a pair, if its prompt is a transcript or a conversation of a user and an assistant.
pub fn write(judged: &Judged) -> Option<Value> {
    let (chosen, rejected) = judged.decided()?;
    match &judged.prompt {
        PromptText::Text(prompt) => transcripts(prompt, chosen, rejected),
        PromptText::Messages(prompt) => {
            let spaced = |text: &str| format!(" {text}");
            transcripts(&as_transcript(prompt)?, &spaced(chosen), &spaced(rejected))
        }
    }
}

/// The row, if reading it gives back exactly these three texts.
fn transcripts(prompt: &str, chosen: &str, rejected: &str) -> Option<Value> {
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

/// Splits two transcripts at their last shared turn of the assistant.
pub fn transcript(chosen: &str, rejected: &str) -> Result<Parts, &'static str> {
    let shared = common_prefix(chosen, rejected);
    let Some(start) = shared.rfind(ASSISTANT) else {
        return Err("the transcripts share no turn of the assistant (\"\\n\\nAssistant:\")");
    };
    let prompt = &shared[..start + ASSISTANT.len()];
    if has_other_speaker(prompt) {
        return Err("every turn must begin with \"\\n\\nHuman: \" or \"\\n\\nAssistant: \"");
    }
    let (chosen, rejected) = (&chosen[prompt.len()..], &rejected[prompt.len()..]);
    if [chosen, rejected].into_iter().any(has_turn) {
        return Err("the transcripts differ before their last turn; only the last may differ");
    }
    let prompt = PromptText::Text(prompt.into());
    Ok((prompt, chosen.into(), rejected.into()))
}

/// True if the text holds a marker.
fn has_turn(text: &str) -> bool {
    text.contains(HUMAN) || text.contains(ASSISTANT)
}

/// True if a marker is not followed by a space: the transcript was put together by other rules.
fn has_other_speaker(prompt: &str) -> bool {
    let odd = |text: &str| !text.is_empty() && !text.starts_with(' ');
    [HUMAN, ASSISTANT]
        .iter()
        .any(|marker| prompt.split(marker).skip(1).any(odd))
}

/// The longest text that both begin with.
pub fn common_prefix<'a>(a: &'a str, b: &str) -> &'a str {
    let bytes = a.bytes().zip(b.bytes());
    let shared = bytes.take_while(|(a, b)| a == b).count();
    &a[..a.floor_char_boundary(shared)]
}
