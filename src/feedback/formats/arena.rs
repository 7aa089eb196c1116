//! Chatbot-Arena-55k (`lmsys/lmsys-arena-human-preference-55k`): CSV with ties.
//! <https://huggingface.co/datasets/lmsys/lmsys-arena-human-preference-55k>
//!
//! `prompt` and the responses are lists written as JSON, one entry per turn. Where the answers
//! differ before their last turn no one prompt is answered twice; such a row becomes one pair whose
//! prompt is the first turn and whose answers hold the rest of each conversation as a transcript.

use super::hh::{ASSISTANT, HUMAN};
use super::judged::{Judged, Said, message};
use super::value::{Object, has, name_if, need};
use crate::feedback::item::PromptText;
use crate::feedback::lines::from_json;
use serde_json::Value;

/// True if the row is one.
pub fn is(row: &Object) -> bool {
    has(row, &["winner_model_a", "winner_model_b", "winner_tie"])
}

/// Reads a row.
pub fn read(row: &Object) -> Result<Judged, String> {
    let (prompts, a, b) = (
        turns(row, "prompt")?,
        turns(row, "response_a")?,
        turns(row, "response_b")?,
    );
    let n = prompts.len();
    if n == 0 || a.len() != n || b.len() != n {
        return Err("`prompt`, `response_a` and `response_b` must have equally many turns".into());
    }
    let shared = (0..n - 1).all(|turn| a[turn] == b[turn]);
    let asked = if shared { n } else { 1 };
    let mut messages = Vec::new();
    for turn in 0..asked {
        messages.push(message("user", &prompts[turn]));
        if turn + 1 < asked {
            messages.push(message("assistant", &a[turn]));
        }
    }
    let answer = |said: &[String]| rest(&prompts[asked..], &said[asked - 1..]);
    let prompt = PromptText::Messages(messages);
    let models = [name_if(row, "model_a"), name_if(row, "model_b")];
    let mut judged = Judged::new(prompt, [answer(&a), answer(&b)]).by(models);
    judged.said = winner(row)?;
    Ok(judged)
}

/// The answer, with the turns that follow it in this conversation only.
fn rest(prompts: &[String], answers: &[String]) -> String {
    let mut text = answers.first().cloned().unwrap_or_default();
    for (prompt, answer) in prompts.iter().zip(&answers[1..]) {
        text = format!("{text}{HUMAN} {prompt}{ASSISTANT} {answer}");
    }
    text
}

/// The turns of a column. An answer that was not given is null, and empty here.
fn turns(row: &Object, name: &str) -> Result<Vec<String>, String> {
    let wrong = || format!("`{name}` must be a list of strings, written as JSON");
    let value = match need(row, name)? {
        Value::String(text) => from_json(text).map_err(|_| wrong())?,
        value => value.clone(),
    };
    let turn = |turn: &Value| match turn {
        Value::Null => Some(String::new()),
        other => other.as_str().map(str::to_owned),
    };
    let turns = value.as_array().map(|list| list.iter().map(turn));
    turns.and_then(Iterator::collect).ok_or_else(wrong)
}

fn winner(row: &Object) -> Result<Said, String> {
    let columns = ["winner_model_a", "winner_model_b", "winner_tie"];
    let is_one = |name: &&str| match need(row, name) {
        Ok(Value::String(text)) => text.trim() == "1",
        Ok(value) => value.as_i64() == Some(1) || value.as_bool() == Some(true),
        Err(_) => false,
    };
    let prefer = |winner| Said::Prefer {
        winner,
        strength: None,
    };
    match columns.each_ref().map(is_one) {
        [true, false, false] => Ok(prefer(0)),
        [false, true, false] => Ok(prefer(1)),
        [false, false, true] => Ok(Said::Tie),
        _ => Err("one of `winner_model_a`, `winner_model_b`, `winner_tie` must be 1".into()),
    }
}
