//! Argilla: `records.to_list()` of version 2, and the flat columns of older datasets on the hub.
//! <https://docs.argilla.io/latest/how_to_guides/import_export/>
//!
//! ```json
//! {"fields": {"prompt": "…", "response-1": "…", "response-2": "…"},
//!  "responses": {"preference": [{"value": "response-1", "user_id": "…", "status": "submitted"}]}}
//! {"prompt": "…", "response-1": "…", "response-2": "…",
//!  "preference": [{"user_id": "…", "value": ["response-2", "response-1"], "status": "submitted"}]}
//! ```
//!
//! The prompt is the field `prompt`, `instruction`, `question`, `input`, `context` or `text`, the
//! first that is there; the answers are the other fields, in their order. A response is the name of
//! the best answer, `tie`, or a ranking: names best first, or `{"value", "rank"}`. Submitted
//! responses count; drafts, discarded ones, answers to other questions and suggestions (which
//! programs make) do not.

use super::judged::{Judged, Said};
use super::value::{Object, as_object, field, messages, name_if};
use crate::feedback::item::{MAX_CANDIDATES, PromptText};
use serde_json::Value;
use std::collections::BTreeMap;

const PROMPTS: [&str; 6] = [
    "prompt",
    "instruction",
    "question",
    "input",
    "context",
    "text",
];
/// Columns of the old layout that are about the record, not part of it.
const ABOUT: [&str; 6] = [
    "id",
    "external_id",
    "metadata",
    "status",
    "split",
    "vectors",
];

/// True for records of version 2.
pub fn is(row: &Object) -> bool {
    field(row, "fields").is_some_and(Value::is_object)
}

/// True for the old layout: some column holds responses of users.
pub fn is_legacy(row: &Object) -> bool {
    row.values().any(|value| !responses_of(value).is_empty())
}

/// Reads a record of version 2.
pub fn read(row: &Object) -> Result<Vec<Judged>, String> {
    let fields = super::value::object(row, "fields")?;
    let questions = field(row, "responses").and_then(as_object);
    let responses = questions
        .into_iter()
        .flat_map(|q| q.values().flat_map(responses_of));
    record(fields, responses.collect())
}

/// Reads a row of the old layout.
pub fn read_legacy(row: &Object) -> Result<Vec<Judged>, String> {
    let is_field = |name: &str, value: &Value| {
        let text = value.is_string() || PROMPTS.contains(&name) && value.is_array();
        text && !ABOUT.contains(&name) && !name.ends_with("-suggestion")
    };
    let fields = row.iter().filter(|(name, value)| is_field(name, value));
    let fields = fields
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    record(&fields, row.values().flat_map(responses_of).collect())
}

/// What one user said.
struct Response<'a> {
    value: &'a Value,
    user: Option<String>,
}

/// The submitted responses in a question's list. Parquet may turn the list of objects into an
/// object of lists.
fn responses_of(value: &Value) -> Vec<Response<'_>> {
    let is_response = |o: &&Object| o.contains_key("user_id") && o.contains_key("value");
    if let Some(columns) = as_object(value).filter(is_response) {
        let column = |name| columns.get(name).and_then(Value::as_array);
        let (Some(users), Some(values)) = (column("user_id"), column("value")) else {
            return Vec::new();
        };
        let statuses = column("status");
        let each = values.iter().zip(users).enumerate();
        let submitted = each.filter(|(i, _)| is_submitted(statuses.and_then(|s| s.get(*i))));
        let response = |(_, (value, user)): (usize, (_, &Value))| Response {
            value,
            user: name(user),
        };
        return submitted.map(response).collect();
    }
    let objects = value.as_array().into_iter().flatten().filter_map(as_object);
    let responses = objects
        .filter(is_response)
        .filter(|o| is_submitted(field(o, "status")));
    let response = |o| {
        Some(Response {
            value: field(o, "value")?,
            user: name_if(o, "user_id"),
        })
    };
    responses.filter_map(response).collect()
}

fn name(value: &Value) -> Option<String> {
    value
        .as_str()
        .map(str::to_owned)
        .or_else(|| value.as_i64().map(|n| n.to_string()))
}

fn is_submitted(status: Option<&Value>) -> bool {
    status
        .and_then(Value::as_str)
        .is_none_or(|status| status == "submitted")
}

fn record(fields: &Object, responses: Vec<Response>) -> Result<Vec<Judged>, String> {
    let asked = PROMPTS.iter().find(|name| field(fields, name).is_some());
    let asked = *asked.ok_or_else(|| format!("no field is the prompt: {}", PROMPTS.join(", ")))?;
    let prompt = match &fields[asked] {
        Value::Array(_) => PromptText::Messages(messages(&fields[asked], asked)?),
        _ => PromptText::Text(super::value::text(fields, asked)?),
    };
    let answers = fields
        .iter()
        .filter(|(name, value)| *name != asked && value.is_string());
    let (names, texts): (Vec<&str>, Vec<String>) = answers
        .map(|(name, text)| (name.as_str(), text.as_str().unwrap_or_default().to_owned()))
        .unzip();
    if !(2..=MAX_CANDIDATES).contains(&names.len()) {
        let found = names.len();
        return Err(format!(
            "expected 2 to 9 fields with answers beside `{asked}`, found {found}"
        ));
    }
    let judged = Judged::new(prompt, texts);
    let mut all = Vec::new();
    for response in &responses {
        if let Some(said) = said(response.value, &names)? {
            all.push(Judged {
                said,
                annotator: response.user.clone(),
                ..judged.clone()
            });
        }
    }
    if responses.is_empty() {
        all.push(judged);
    }
    Ok(all)
}

/// What a response says about the answers; `None` for the answer to another question.
fn said(value: &Value, names: &[&str]) -> Result<Option<Said>, String> {
    let place = |name: &str| names.iter().position(|other| *other == name);
    match value {
        Value::String(text) => Ok(match (place(text), text.to_lowercase().as_str()) {
            (Some(winner), _) => Some(Said::Prefer {
                winner,
                strength: None,
            }),
            (None, "tie" | "equal" | "both") => Some(Said::Tie),
            _ => None,
        }),
        Value::Array(list) => {
            let mut ranks: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
            for (index, entry) in list.iter().enumerate() {
                let entry_name = entry.as_str().or_else(|| entry.get("value")?.as_str());
                let Some(answer) = entry_name.and_then(place) else {
                    return Ok(None);
                };
                let rank = entry.get("rank").and_then(Value::as_i64);
                ranks
                    .entry(rank.unwrap_or(index as i64))
                    .or_default()
                    .push(answer);
            }
            ranking(ranks.into_values().collect(), names.len())
        }
        _ => Ok(None),
    }
}

fn ranking(groups: Vec<Vec<usize>>, n: usize) -> Result<Option<Said>, String> {
    let mut all: Vec<usize> = groups.iter().flatten().copied().collect();
    all.sort_unstable();
    if all.is_empty() {
        return Ok(None);
    }
    if all != (0..n).collect::<Vec<_>>() {
        return Err("a ranking must name every answer once".into());
    }
    Ok(Some(match &groups[..] {
        [_] => Said::Tie,
        [best, _] if n == 2 => Said::Prefer {
            winner: best[0],
            strength: None,
        },
        _ => Said::Ranking(groups),
    }))
}
