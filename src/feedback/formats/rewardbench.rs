//! RewardBench and RewardBench 2.
//! Lambert et al. 2024, arXiv:2403.13787; Malik et al. 2025, arXiv:2506.01937.
//!
//! A row of RewardBench 2 says that each of `chosen` is better than each of `rejected`, and nothing
//! about the rejected among themselves. It becomes one best-of-n judgement per chosen answer, against
//! at most eight rejected ones at a time. Where several are chosen (subset Ties) they are equals,
//! nine at a time.

use super::judged::{Answer, Judged, Said};
use super::value::{Object, field, has, name_if, need, strings, text};
use crate::feedback::item::{MAX_CANDIDATES, PromptText};
use serde_json::Value;

/// True if the row is one of the first.
pub fn is(row: &Object) -> bool {
    has(row, &["prompt", "chosen_model", "rejected_model"])
        && field(row, "chosen").is_some_and(Value::is_string)
}

/// True if the row is one of the second.
pub fn is_2(row: &Object) -> bool {
    has(row, &["prompt", "num_correct"]) && field(row, "chosen").is_some_and(Value::is_array)
}

/// Reads a row of the first.
pub fn read(row: &Object) -> Result<Judged, String> {
    let prompt = PromptText::Text(text(row, "prompt")?);
    let models = [name_if(row, "chosen_model"), name_if(row, "rejected_model")];
    let pair = Judged::pair(prompt, text(row, "chosen")?, text(row, "rejected")?).by(models);
    Ok(named(pair, row))
}

/// Reads a row of the second.
pub fn read_2(row: &Object) -> Result<Vec<Judged>, String> {
    let prompt = PromptText::Text(text(row, "prompt")?);
    let chosen = strings(need(row, "chosen")?, "chosen")?;
    let rejected = strings(need(row, "rejected")?, "rejected")?;
    if chosen.is_empty() || rejected.is_empty() {
        return Err("`chosen` and `rejected` must not be empty".into());
    }
    let judged = |answers: Vec<&String>, said| {
        let mut judged = Judged::new(prompt.clone(), answers.into_iter().cloned());
        judged.said = said;
        named(judged, row)
    };
    let best = || Said::Prefer {
        winner: 0,
        strength: None,
    };
    let mut all = Vec::new();
    for winner in &chosen {
        for others in rejected.chunks(MAX_CANDIDATES - 1) {
            let answers = std::iter::once(winner).chain(others).collect();
            all.push(judged(answers, best()));
        }
    }
    let equals = chosen
        .chunks(MAX_CANDIDATES)
        .filter(|equals| equals.len() > 1);
    all.extend(equals.map(|equals| judged(equals.iter().collect(), Said::Tie)));
    Ok(models(all, row))
}

/// Version 2 may name its models, in the order of the answers' own columns.
fn models(mut all: Vec<Judged>, row: &Object) -> Vec<Judged> {
    let name = |model: Option<&Value>| model.and_then(Value::as_str).map(str::to_owned);
    let columns = [("chosen", "chosen_model"), ("rejected", "rejected_model")];
    for (texts, names) in columns {
        let (texts, names) = (field(row, texts), field(row, names));
        let Some((texts, names)) = texts
            .and_then(Value::as_array)
            .zip(names.and_then(Value::as_array))
        else {
            continue;
        };
        let find = |answer: &Answer| {
            let place = texts
                .iter()
                .position(|text| text.as_str() == Some(&answer.text));
            name(place.and_then(|place| names.get(place)))
        };
        for answer in all.iter_mut().flat_map(|judged| &mut judged.answers) {
            answer.model = answer.model.take().or_else(|| find(answer));
        }
    }
    all
}

fn named(mut judged: Judged, row: &Object) -> Judged {
    judged.source = name_if(row, "subset");
    judged.prompt_id = name_if(row, "id");
    judged
}
