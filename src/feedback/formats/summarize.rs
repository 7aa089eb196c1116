//! OpenAI's summarize-from-feedback, comparisons.
//! Stiennon et al. 2020, arXiv:2009.01325; <https://huggingface.co/datasets/openai/summarize_from_feedback>.
//!
//! The prompt is the one the models saw (`SUBREDDIT: … TITLE: … POST: … TL;DR:`), or the article of
//! the news part. `extra.confidence` is 1..9 from left to right, 5 the middle: its distance from the
//! middle is the strength, unless it contradicts `choice`, which counts.

use super::judged::{Answer, Judged, Said};
use super::value::{Object, as_object, field, has, list, name_if, need, object, text, text_if};
use crate::feedback::item::PromptText;
use serde_json::Value;

/// True if the row is one.
pub fn is(row: &Object) -> bool {
    has(row, &["summaries", "choice"])
}

/// Reads a row.
pub fn read(row: &Object) -> Result<Judged, String> {
    let mut answers = Vec::new();
    for summary in list(row, "summaries")? {
        let summary = as_object(summary).ok_or("`summaries` must be a list of objects")?;
        answers.push(Answer {
            text: text(summary, "text")?,
            model: name_if(summary, "policy"),
        });
    }
    if answers.len() != 2 {
        return Err(format!("expected two `summaries`, found {}", answers.len()));
    }
    let choice = need(row, "choice")?.as_u64().filter(|&choice| choice < 2);
    let winner = choice.ok_or("`choice` must be 0 or 1")? as usize;
    let info = object(row, "info")?;
    let mut judged = Judged::new(PromptText::Text(prompt(info)?), []);
    judged.answers = answers;
    judged.said = Said::Prefer {
        winner,
        strength: strength(row, winner),
    };
    judged.annotator = name_if(row, "worker");
    judged.source = name_if(row, "batch");
    judged.note = text_if(row, "note")?.filter(|note| !note.trim().is_empty());
    Ok(judged)
}

fn prompt(info: &Object) -> Result<String, String> {
    if let Some(article) = text_if(info, "article")? {
        return Ok(format!("Article:\n\n{article}\n\nTL;DR:"));
    }
    let post = text(info, "post")?;
    let line = |name: &str, text: Option<String>| {
        text.map_or_else(String::new, |text| format!("{name}: {text}\n\n"))
    };
    let subreddit = text_if(info, "subreddit")?.map(|name| format!("r/{name}"));
    let head = line("SUBREDDIT", subreddit) + &line("TITLE", text_if(info, "title")?);
    Ok(format!("{head}POST: {post}\n\nTL;DR:"))
}

fn strength(row: &Object, winner: usize) -> Option<u8> {
    let extra = field(row, "extra")?.as_object()?;
    let confidence = field(extra, "confidence").and_then(Value::as_i64)?;
    let right = confidence - 5;
    let agrees = (right > 0) == (winner == 1);
    (agrees && (1..=9).contains(&confidence) && right != 0).then_some(right.unsigned_abs() as u8)
}
