//! TRL preference: prompt explicit or implicit, standard (text) or conversational (messages), with
//! a margin or without. <https://huggingface.co/docs/trl/dataset_formats>
//!
//! | row | prompt |
//! |---|---|
//! | `{"prompt", "chosen", "rejected"}` | explicit: all text, or all lists of messages |
//! | `{"chosen", "rejected"}`, lists | the messages that both begin with |
//! | `{"chosen", "rejected"}`, text | what both begin with (`extract_prompt`) |
//! | the same, beginning with `"\n\nHuman:"` | see [`super::hh`] |
//! | text prompt, lists | the messages that both begin with, if the prompt is among them (UltraFeedback binarized) |
//!
//! `margin` is the strength: a whole number 1 barely … 4 much; 0, or any other number, says none.
//! `source` is kept; other keys are ignored.

use super::hh;
use super::judged::{Judged, Said, message};
use super::value::{Object, field, has, messages, prompt, reply, text};
use crate::feedback::item::{Message, PromptText};
use serde_json::{Value, json};

/// Prompt, chosen, rejected.
pub type Parts = (PromptText, String, String);

/// How a row is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The prompt has its own key.
    Explicit,
    /// Chosen and rejected begin with the prompt.
    Implicit,
    /// Explicit, and the strength as `margin`.
    Margin,
}

/// True if the row is one.
pub fn is(row: &Object) -> bool {
    has(row, &["chosen"]) || has(row, &["rejected"])
}

/// Reads a row.
pub fn read(row: &Object) -> Result<Judged, String> {
    let (asked, chosen, rejected) = parts(row)?;
    let mut judged = Judged::pair(asked, chosen, rejected);
    judged.source = field(row, "source")
        .and_then(Value::as_str)
        .map(str::to_owned);
    let margin = field(row, "margin").and_then(Value::as_f64);
    let strength = margin.filter(|margin| [1.0, 2.0, 3.0, 4.0].contains(margin));
    judged.said = Said::Prefer {
        winner: 0,
        strength: strength.map(|strength| strength as u8),
    };
    Ok(judged)
}

fn parts(row: &Object) -> Result<Parts, String> {
    let (chosen, rejected) = (answer(row, "chosen")?, answer(row, "rejected")?);
    let asked = field(row, "prompt").map(|_| prompt(row, "prompt"));
    match (asked.transpose()?, chosen, rejected) {
        (Some(PromptText::Text(asked)), PromptText::Text(a), PromptText::Text(b)) => {
            Ok((PromptText::Text(asked), a, b))
        }
        (Some(PromptText::Messages(asked)), PromptText::Messages(a), PromptText::Messages(b)) => {
            replies(asked, &a, &b)
        }
        (None, PromptText::Messages(a), PromptText::Messages(b)) => shared_messages(&a, &b),
        (Some(PromptText::Text(asked)), PromptText::Messages(a), PromptText::Messages(b))
            if a.iter().zip(&b).any(|(a, b)| a == b && a.content == asked) =>
        {
            shared_messages(&a, &b)
        }
        (None, PromptText::Text(a), PromptText::Text(b)) if a.starts_with(hh::HUMAN) => {
            hh::transcript(&a, &b).map_err(str::to_owned)
        }
        (None, PromptText::Text(a), PromptText::Text(b)) => shared_beginning(&a, &b),
        _ => Err(
            "`prompt`, `chosen` and `rejected` must be all text or all lists of messages".into(),
        ),
    }
}

fn answer(row: &Object, name: &str) -> Result<PromptText, String> {
    match field(row, name) {
        Some(Value::String(_)) => text(row, name).map(PromptText::Text),
        Some(list @ Value::Array(_)) => messages(list, name).map(PromptText::Messages),
        None => Err(format!("missing field `{name}`")),
        Some(_) => Err(
            "`chosen` and `rejected` must be strings, or lists of {\"role\": …, \"content\": …}"
                .into(),
        ),
    }
}

fn shared_messages(a: &[Message], b: &[Message]) -> Result<Parts, String> {
    let shared = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    replies(a[..shared].to_vec(), &a[shared..], &b[shared..])
}

fn replies(asked: Vec<Message>, a: &[Message], b: &[Message]) -> Result<Parts, String> {
    let one = |messages: &[Message]| {
        reply(messages, "").map_err(|_| {
            "after the prompt, `chosen` and `rejected` must be one assistant message each"
                .to_owned()
        })
    };
    Ok((PromptText::Messages(asked), one(a)?, one(b)?))
}

/// TRL's implicit prompt (`extract_prompt`): the common prefix without a space at its end.
fn shared_beginning(chosen: &str, rejected: &str) -> Result<Parts, String> {
    let shared = hh::common_prefix(chosen, rejected);
    let prompt = shared.strip_suffix(' ').unwrap_or(shared);
    if prompt.is_empty() {
        return Err("there is no `prompt`, and `chosen` and `rejected` do not begin alike".into());
    }
    let rest = |text: &str| text[prompt.len()..].to_owned();
    Ok((
        PromptText::Text(prompt.into()),
        rest(chosen),
        rest(rejected),
    ))
}

/// Writes a pair whose prompt is text.
pub fn write(judged: &Judged, form: Form) -> Option<Value> {
    let PromptText::Text(prompt) = &judged.prompt else {
        return None;
    };
    let (chosen, rejected) = judged.decided()?;
    let after = |answer: &str| format!("{prompt}{answer}");
    Some(match form {
        Form::Explicit => json!({"prompt": prompt, "chosen": chosen, "rejected": rejected}),
        Form::Implicit => json!({"chosen": after(chosen), "rejected": after(rejected)}),
        Form::Margin => {
            let margin = f64::from(judged.strength().unwrap_or(0));
            json!({"prompt": prompt, "chosen": chosen, "rejected": rejected, "margin": margin})
        }
    })
}

/// Writes a pair whose prompt is a conversation.
pub fn write_conversational(judged: &Judged, form: Form) -> Option<Value> {
    let PromptText::Messages(prompt) = &judged.prompt else {
        return None;
    };
    let (chosen, rejected) = judged.decided()?;
    let answer = |text: &str| vec![message("assistant", text)];
    let after = |text: &str| [prompt.clone(), answer(text)].concat();
    let (a, b) = (answer(chosen), answer(rejected));
    Some(match form {
        Form::Explicit => json!({"prompt": prompt, "chosen": a, "rejected": b}),
        Form::Implicit => json!({"chosen": after(chosen), "rejected": after(rejected)}),
        Form::Margin => {
            let margin = f64::from(judged.strength().unwrap_or(0));
            json!({"prompt": prompt, "chosen": a, "rejected": b, "margin": margin})
        }
    })
}
