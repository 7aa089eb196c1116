//! One row of a preference file: TRL's three forms and hh-rlhf's transcripts.

use super::PreferencePair;
use crate::feedback::item::{Message, PromptText};
use crate::feedback::lines::{Row, RowError};
use crate::feedback::prompts::TextOrMessages;
use serde::Deserialize;

/// What precedes a person's turn in hh-rlhf.
pub(in crate::feedback) const HUMAN: &str = "\n\nHuman:";
/// What precedes an assistant's turn in hh-rlhf.
pub(in crate::feedback) const ASSISTANT: &str = "\n\nAssistant:";

#[derive(Deserialize)]
struct PairRow {
    prompt: Option<TextOrMessages>,
    chosen: Answer,
    rejected: Answer,
    source: Option<serde_json::Value>,
}

/// An answer as other tools write it.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "`chosen` and `rejected` must be strings, or lists of {\"role\": …, \"content\": …}"
)]
enum Answer {
    Text(String),
    Messages(Vec<Message>),
}

/// Prompt, chosen, rejected.
pub(in crate::feedback) type Parts = (PromptText, String, String);

/// Reads one row; its keys tell the format (see [`super`]).
///
/// # Errors
/// [`RowError::Bad`] with the reason.
pub(super) fn parse(row: &Row) -> Result<PreferencePair, RowError> {
    let PairRow {
        prompt,
        chosen,
        rejected,
        source,
    } = row.parse()?;
    let parts = match (prompt.map(PromptText::from), chosen, rejected) {
        (Some(PromptText::Text(prompt)), Answer::Text(chosen), Answer::Text(rejected)) => {
            Ok((PromptText::Text(prompt), chosen, rejected))
        }
        (Some(PromptText::Messages(prompt)), Answer::Messages(a), Answer::Messages(b)) => {
            conversation(prompt, &a, &b)
        }
        (None, Answer::Messages(a), Answer::Messages(b)) => {
            let shared = a.iter().zip(&b).take_while(|(a, b)| a == b).count();
            conversation(a[..shared].to_vec(), &a[shared..], &b[shared..])
        }
        (None, Answer::Text(a), Answer::Text(b)) if a.starts_with(HUMAN) => transcript(&a, &b),
        (None, Answer::Text(a), Answer::Text(b)) => shared_beginning(&a, &b),
        _ => Err("`prompt`, `chosen` and `rejected` must be all text or all lists of messages"),
    };
    let (prompt, chosen, rejected) = parts.map_err(|reason| row.error(reason))?;
    if prompt.is_empty() {
        return Err(row.error("the prompt is empty"));
    }
    Ok(PreferencePair {
        prompt,
        chosen,
        rejected,
        tie: false,
        strength: None,
        annotator: None,
        source: source.and_then(|source| source.as_str().map(str::to_owned)),
        origin: format!("{}:{}", row.path.display(), row.line),
    })
}

fn conversation(
    prompt: Vec<Message>,
    chosen: &[Message],
    rejected: &[Message],
) -> Result<Parts, &'static str> {
    let answer = |messages: &[Message]| match messages {
        [message] if message.role == "assistant" => Ok(message.content.clone()),
        _ => Err("after the prompt, `chosen` and `rejected` must be one assistant message each"),
    };
    let (chosen, rejected) = (answer(chosen)?, answer(rejected)?);
    Ok((PromptText::Messages(prompt), chosen, rejected))
}

/// TRL's implicit prompt (`extract_prompt`): the common prefix without a space at its end.
fn shared_beginning(chosen: &str, rejected: &str) -> Result<Parts, &'static str> {
    let shared = common_prefix(chosen, rejected);
    let prompt = shared.strip_suffix(' ').unwrap_or(shared);
    if prompt.is_empty() {
        return Err("there is no `prompt`, and `chosen` and `rejected` do not begin alike");
    }
    let rest = |text: &str| text[prompt.len()..].to_owned();
    Ok((
        PromptText::Text(prompt.into()),
        rest(chosen),
        rest(rejected),
    ))
}

/// Splits two hh-rlhf transcripts at their last shared turn of the assistant.
pub(in crate::feedback) fn transcript(chosen: &str, rejected: &str) -> Result<Parts, &'static str> {
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

/// True if the text holds a marker of hh-rlhf.
pub(in crate::feedback) fn has_turn(text: &str) -> bool {
    text.contains(HUMAN) || text.contains(ASSISTANT)
}

/// True if a marker is not followed by a space: the transcript was put together by other rules.
fn has_other_speaker(prompt: &str) -> bool {
    let odd = |text: &str| !text.is_empty() && !text.starts_with(' ');
    [HUMAN, ASSISTANT]
        .iter()
        .any(|marker| prompt.split(marker).skip(1).any(odd))
}

fn common_prefix<'a>(a: &'a str, b: &str) -> &'a str {
    let bytes = a.bytes().zip(b.bytes());
    let shared = bytes.take_while(|(a, b)| a == b).count();
    &a[..a.floor_char_boundary(shared)]
}
