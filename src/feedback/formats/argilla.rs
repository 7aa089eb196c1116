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
//! first that is there. A response is the name of the best answer, `tie`, or a ranking: names best
//! first, or `{"value", "rank"}`. The answers are, of these the first that are two or more: the fields
//! that are named like one in responses but for their number or letter; the fields that a response
//! ranks; a field and another whose name has `rejected` for its `chosen`; fields that are named like
//! each other; and all others, if they are two or responses name each. The first question whose responses name them counts, and of it the
//! submitted ones; drafts, discarded ones and answers to other questions are left out and counted,
//! suggestions (which programs make) are not read.

use super::judged::{Found, Judged, Said};
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
pub fn read(row: &Object) -> Result<Found, String> {
    let fields = super::value::object(row, "fields")?;
    let questions = field(row, "responses").and_then(as_object);
    let questions = questions.into_iter().flat_map(Object::values);
    record(fields, questions.map(responses_of).collect())
}

/// Reads a row of the old layout.
pub fn read_legacy(row: &Object) -> Result<Found, String> {
    let is_field = |name: &str, value: &Value| {
        let text = value.is_string() || PROMPTS.contains(&name) && value.is_array();
        text && !ABOUT.contains(&name) && !name.ends_with("-suggestion")
    };
    let fields = row.iter().filter(|(name, value)| is_field(name, value));
    let fields = fields
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    record(&fields, row.values().map(responses_of).collect())
}

/// What one user said.
struct Response<'a> {
    value: &'a Value,
    user: Option<String>,
    is_submitted: bool,
}

/// The responses in a question's list. Parquet may turn the list of objects into an
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
        let response = |(i, (value, user)): (usize, (_, &Value))| Response {
            value,
            user: name(user),
            is_submitted: is_submitted(statuses.and_then(|s| s.get(i))),
        };
        return each.map(response).collect();
    }
    let objects = value.as_array().into_iter().flatten().filter_map(as_object);
    let response = |o| {
        Some(Response {
            value: field(o, "value")?,
            user: name_if(o, "user_id"),
            is_submitted: is_submitted(field(o, "status")),
        })
    };
    objects.filter(is_response).filter_map(response).collect()
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

impl<'a> Response<'a> {
    /// The answers that it names, if that is what it does.
    fn names(&self) -> Vec<&'a str> {
        match self.value {
            Value::Array(list) => list.iter().filter_map(entry_name).collect(),
            value => value.as_str().into_iter().collect(),
        }
    }
}

fn entry_name(entry: &Value) -> Option<&str> {
    entry.as_str().or_else(|| entry.get("value")?.as_str())
}

/// A name without the number or letter at its end: what the names of a record's answers share.
fn stem(name: &str) -> &str {
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let separators = ['-', '_', ' ', '.'];
    let letter = name.rsplit_once(separators);
    let stem = letter.filter(|(_, end)| end.len() <= 1);
    stem.map_or(name, |(stem, _)| stem)
}

/// The fields that hold answers, given the names that each response has for some of them.
fn answers<'a>(fields: &'a Object, said: &[Vec<&str>]) -> Vec<(&'a str, String)> {
    let others: Vec<(&str, String)> = fields
        .iter()
        .filter(|(name, _)| !PROMPTS.contains(&name.as_str()))
        .filter_map(|(name, text)| Some((name.as_str(), text.as_str()?.to_owned())))
        .collect();
    let alike = |of: &str| {
        let alike = others.iter().filter(|(name, _)| stem(name) == stem(of));
        alike.cloned().collect::<Vec<_>>()
    };
    let is_field = |name: &&&str| others.iter().any(|(other, _)| other == *name);
    let named = said.iter().flatten().find(is_field).copied();
    let of_responses = named.into_iter().map(alike);
    let of_fields = others.iter().map(|(name, _)| alike(name));
    let of_rankings = said.iter().map(|names| {
        let ranked = others.iter().filter(|(name, _)| names.contains(name));
        ranked.cloned().collect()
    });
    let mut groups = of_responses
        .chain(of_rankings)
        .chain([chosen_and_rejected(&others)])
        .chain(of_fields);
    let found = groups.find(|group| group.len() > 1);
    found.unwrap_or(others)
}

/// The first field with `chosen` in its name, and the one with `rejected` in that place.
fn chosen_and_rejected<'a>(fields: &[(&'a str, String)]) -> Vec<(&'a str, String)> {
    let pair = |chosen: &(&'a str, String)| {
        let name = chosen.0.replacen("chosen", "rejected", 1);
        let rejected = fields.iter().find(|(other, _)| *other == name)?;
        (chosen.0 != name).then(|| vec![chosen.clone(), rejected.clone()])
    };
    fields.iter().find_map(pair).unwrap_or_default()
}

/// Whether fields are answers for sure: named alike, or each named by some response. `source` and the
/// like stand beside answers, too.
fn are_answers(names: &[&str], said: &[Vec<&str>]) -> bool {
    let is_said = |name: &&str| said.iter().flatten().any(|said| said == name);
    let mut names_and_first = names.iter().map(|name| (name, names[0]));
    names_and_first.all(|(name, first)| stem(name) == stem(first) || is_said(name))
}

fn record(fields: &Object, questions: Vec<Vec<Response>>) -> Result<Found, String> {
    let asked = PROMPTS.iter().find(|name| field(fields, name).is_some());
    let asked = *asked.ok_or_else(|| format!("no field is the prompt: {}", PROMPTS.join(", ")))?;
    let prompt = match &fields[asked] {
        Value::Array(_) => PromptText::Messages(messages(&fields[asked], asked)?),
        _ => PromptText::Text(super::value::text(fields, asked)?),
    };
    let responses = questions.iter().flatten();
    let said_names: Vec<Vec<&str>> = responses.map(Response::names).collect();
    let (names, texts): (Vec<&str>, Vec<String>) = answers(fields, &said_names).into_iter().unzip();
    if !(2..=MAX_CANDIDATES).contains(&names.len()) {
        let found = names.len();
        return Err(format!(
            "expected 2 to 9 fields with answers beside `{asked}`, found {found}"
        ));
    }
    if names.len() > 2 && !are_answers(&names, &said_names) {
        return Err(format!(
            "which of the fields {names:?} are answers? Name them alike (response-1, response-2), or \
             chosen and rejected"
        ));
    }
    let judged = Judged::new(prompt, texts);
    let total: usize = questions.iter().map(Vec::len).sum();
    if total == 0 {
        return Ok(judged.into());
    }
    let mut all = Vec::new();
    let responses = question_about(&questions, &names).into_iter().flatten();
    for response in responses.filter(|response| response.is_submitted) {
        if let Some(said) = said(response.value, &names)? {
            all.push(Judged {
                said,
                annotator: response.user.clone(),
                ..judged.clone()
            });
        }
    }
    let left_out = total - all.len();
    let mut responses = questions.iter().flatten();
    if !responses.any(|response| response.is_submitted) {
        all.push(judged);
    }
    Ok(Found {
        judged: all,
        left_out,
    })
}

/// The first question whose responses name answers, else the first that has a tie.
fn question_about<'a, 'b>(
    questions: &'a [Vec<Response<'b>>],
    names: &[&str],
) -> Option<&'a Vec<Response<'b>>> {
    let names_one = |response: &Response| response.names().iter().any(|name| names.contains(name));
    let says = |response: &Response| matches!(said(response.value, names), Ok(Some(_)));
    let mut all = questions.iter();
    all.find(|question| question.iter().any(names_one))
        .or_else(|| {
            let mut all = questions.iter();
            all.find(|question| question.iter().any(says))
        })
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
                let Some(answer) = entry_name(entry).and_then(place) else {
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
