//! LLaMA-Factory's preference rows, alpaca and sharegpt, and axolotl's `{"system", "input"}`.
//! <https://github.com/hiyouga/LLaMA-Factory/blob/main/data/README.md>
//!
//! All three are turns of a chat. `instruction` and `input` are one user message, joined by a
//! newline; `history` holds earlier turns, `[[user, assistant], …]`.

use super::judged::{Judged, message};
use super::value::{Object, as_object, conversation, field, has, list, need, text, text_if};
use crate::feedback::item::{Message, PromptText};
use serde_json::{Value, json};

/// True for alpaca.
pub fn is_alpaca(row: &Object) -> bool {
    has(row, &["instruction", "chosen", "rejected"])
}

/// True for sharegpt.
pub fn is_sharegpt(row: &Object) -> bool {
    has(row, &["conversations", "chosen", "rejected"])
}

/// True for axolotl.
pub fn is_axolotl(row: &Object) -> bool {
    has(row, &["input", "chosen", "rejected"]) && field(row, "prompt").is_none()
}

/// Reads alpaca.
pub fn read_alpaca(row: &Object) -> Result<Judged, String> {
    let asked = [Some(text(row, "instruction")?), text_if(row, "input")?];
    let asked: Vec<String> = asked
        .into_iter()
        .flatten()
        .filter(|t| !t.is_empty())
        .collect();
    let mut prompt = system(row)?;
    if let Some(history) = field(row, "history").and_then(Value::as_array) {
        for turn in history {
            let turn = super::value::strings(turn, "history")?;
            let [user, assistant] = &turn[..] else {
                return Err("`history` must be a list of [user, assistant]".into());
            };
            prompt.extend([message("user", user), message("assistant", assistant)]);
        }
    }
    prompt.push(message("user", asked.join("\n")));
    answered(row, prompt)
}

/// Reads axolotl.
pub fn read_axolotl(row: &Object) -> Result<Judged, String> {
    let mut prompt = system(row)?;
    prompt.push(message("user", text(row, "input")?));
    answered(row, prompt)
}

fn system(row: &Object) -> Result<Vec<Message>, String> {
    let system = text_if(row, "system")?.filter(|text| !text.is_empty());
    Ok(system
        .map(|text| message("system", text))
        .into_iter()
        .collect())
}

fn answered(row: &Object, prompt: Vec<Message>) -> Result<Judged, String> {
    let (chosen, rejected) = (text(row, "chosen")?, text(row, "rejected")?);
    Ok(Judged::pair(PromptText::Messages(prompt), chosen, rejected))
}

/// Reads sharegpt.
pub fn read_sharegpt(row: &Object) -> Result<Judged, String> {
    let mut prompt = system(row)?;
    for turn in list(row, "conversations")? {
        prompt.push(said(turn, "conversations")?);
    }
    let answer = |name: &str| {
        let turn = said(need(row, name)?, name)?;
        let is_answer = turn.role == "assistant";
        let wrong = || format!("`{name}` must be from \"gpt\"");
        is_answer.then_some(turn.content).ok_or_else(wrong)
    };
    let (chosen, rejected) = (answer("chosen")?, answer("rejected")?);
    Ok(Judged::pair(PromptText::Messages(prompt), chosen, rejected))
}

fn said(turn: &Value, name: &str) -> Result<Message, String> {
    let wrong = || format!("`{name}` must hold {{\"from\": …, \"value\": …}}");
    let turn = as_object(turn).ok_or_else(wrong)?;
    let role = match text(turn, "from").map_err(|_| wrong())?.as_str() {
        "human" | "user" => "user",
        "gpt" | "assistant" => "assistant",
        "system" => "system",
        other => return Err(format!("`{name}`: unknown speaker {other:?}")),
    };
    Ok(message(role, text(turn, "value").map_err(|_| wrong())?))
}

/// Writes alpaca: an optional system message, then turns of user and assistant.
pub fn write_alpaca(judged: &Judged) -> Option<Value> {
    let (chosen, rejected) = judged.decided()?;
    let (system, turns) = split(conversation(&judged.prompt)?);
    let (last, earlier) = turns.split_last()?;
    let history = earlier.chunks(2).map(|turn| match turn {
        [user, answer] if user.role == "user" && answer.role == "assistant" => {
            Some([user.content.as_str(), answer.content.as_str()])
        }
        _ => None,
    });
    let history = history.collect::<Option<Vec<_>>>()?;
    if last.role != "user" {
        return None;
    }
    Some(json!({
        "instruction": last.content, "input": "", "system": system, "history": history,
        "chosen": chosen, "rejected": rejected,
    }))
}

/// Writes sharegpt.
pub fn write_sharegpt(judged: &Judged) -> Option<Value> {
    let (chosen, rejected) = judged.decided()?;
    let (system, turns) = split(conversation(&judged.prompt)?);
    let turn = |message: &Message| match message.role.as_str() {
        "user" => Some(json!({"from": "human", "value": message.content})),
        "assistant" => Some(json!({"from": "gpt", "value": message.content})),
        _ => None,
    };
    let turns = turns.iter().map(turn).collect::<Option<Vec<_>>>()?;
    let answer = |text: &str| json!({"from": "gpt", "value": text});
    Some(json!({
        "conversations": turns, "system": system,
        "chosen": answer(chosen), "rejected": answer(rejected),
    }))
}

/// The system message, empty without one, and the rest.
fn split(messages: &[Message]) -> (&str, &[Message]) {
    match messages {
        [first, rest @ ..] if first.role == "system" => (&first.content, rest),
        all => ("", all),
    }
}
