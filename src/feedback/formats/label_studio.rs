//! Label Studio: tasks to be judged, and tasks with the result of a `Pairwise` tag.
//! <https://labelstud.io/guide/task_format>, <https://labelstud.io/tags/pairwise>
//!
//! `data` holds the prompt as `prompt` (and a conversation also as `messages`) and two answers: the
//! fields that `to_name` names, else `answer1` and `answer2`. What Label Studio has no place for
//! stands in `data`, which it keeps as it is: `annotator`, `model1`, `model2`. The strength is a
//! `rating` result, the comment a `textarea`. Each annotation is a judgement; cancelled ones and
//! ones without a pairwise result are none.

use super::judged::{Answer, Found, Judged, Said};
use super::value::{Object, as_object, field, has, messages, name_if, object, text};
use crate::feedback::item::PromptText;
use serde_json::{Map, Value, json};

/// True if the row is one.
pub fn is(row: &Object) -> bool {
    field(row, "data").is_some_and(Value::is_object)
}

/// Reads a task: its judgements, or its answers if nobody has judged them.
pub fn read(row: &Object) -> Result<Found, String> {
    let data = object(row, "data")?;
    let none = Vec::new();
    let annotations = field(row, "annotations")
        .and_then(Value::as_array)
        .unwrap_or(&none);
    let mut found = Found::default();
    for annotation in annotations {
        let annotation = as_object(annotation).ok_or("`annotations` must be a list of objects")?;
        match judgement(data, annotation)? {
            Some(judged) => found.judged.push(judged),
            None => found.left_out += 1,
        }
    }
    if annotations.is_empty() {
        found.judged.push(task(data, None)?);
    }
    Ok(found)
}

fn judgement(data: &Object, annotation: &Object) -> Result<Option<Judged>, String> {
    if annotation.get("was_cancelled") == Some(&Value::Bool(true)) {
        return Ok(None);
    }
    let none = Vec::new();
    let results = field(annotation, "result")
        .and_then(Value::as_array)
        .unwrap_or(&none);
    let of_type = |kind: &str| {
        let mut results = results.iter().filter_map(as_object);
        results.find(|result| result.get("type").and_then(Value::as_str) == Some(kind))
    };
    let Some(pairwise) = of_type("pairwise") else {
        return Ok(None);
    };
    let mut judged = task(data, field(pairwise, "to_name").and_then(Value::as_str))?;
    let winner = match text(object(pairwise, "value")?, "selected")?.as_str() {
        "left" => 0,
        "right" => 1,
        other => {
            return Err(format!(
                "`selected` must be \"left\" or \"right\", found {other:?}"
            ));
        }
    };
    let value = |kind, name: &str| of_type(kind)?.get("value")?.get(name);
    let strength = value("rating", "rating").and_then(Value::as_u64);
    let strength = strength.filter(|rating| (1..=4).contains(rating));
    judged.said = Said::Prefer {
        winner,
        strength: strength.map(|strength| strength as u8),
    };
    judged.note = value("textarea", "text").and_then(|text| match text {
        Value::Array(lines) => {
            let lines: Vec<_> = lines.iter().filter_map(Value::as_str).collect();
            Some(lines.join("\n"))
        }
        other => other.as_str().map(str::to_owned),
    });
    judged.annotator = annotator(annotation).or_else(|| name_if(data, "annotator"));
    let seconds = field(annotation, "lead_time").and_then(Value::as_f64);
    judged.active_ms = seconds
        .filter(|s| *s >= 0.0)
        .map(|s| (s * 1000.0).round() as u64);
    Ok(Some(judged))
}

/// Who annotated: an id, or an object with one. The address beside it is nobody's business.
fn annotator(annotation: &Object) -> Option<String> {
    match field(annotation, "completed_by")? {
        Value::Object(person) => name_if(person, "id"),
        _ => name_if(annotation, "completed_by"),
    }
}

fn task(data: &Object, to_name: Option<&str>) -> Result<Judged, String> {
    let prompt = match field(data, "messages") {
        Some(list) => PromptText::Messages(messages(list, "data.messages")?),
        None => super::value::prompt(data, "prompt")?,
    };
    let named: Vec<&str> = to_name
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .collect();
    let keys = match named[..] {
        [a, b] if has(data, &[a, b]) => [a, b],
        _ => ["answer1", "answer2"],
    };
    let model = |name| name_if(data, name);
    let answers = [(keys[0], "model1"), (keys[1], "model2")];
    let mut judged = Judged::new(prompt, []);
    for (key, name) in answers {
        judged.answers.push(Answer {
            text: text(data, key)?,
            model: model(name),
        });
    }
    Ok(judged)
}

/// Writes two answers as a task to be judged.
pub fn write_task(judged: &Judged) -> Option<Value> {
    let [a, b] = &judged.answers[..] else {
        return None;
    };
    let mut data = Map::new();
    data.insert("prompt".into(), judged.prompt.plain().into());
    if let PromptText::Messages(messages) = &judged.prompt {
        data.insert("messages".into(), json!(messages));
    }
    data.insert("answer1".into(), a.text.as_str().into());
    data.insert("answer2".into(), b.text.as_str().into());
    for (name, model) in [("model1", &a.model), ("model2", &b.model)] {
        if let Some(model) = model {
            data.insert(name.into(), model.as_str().into());
        }
    }
    Some(json!({"data": data}))
}

/// Writes a preference as a task with one annotation; `answer1` stood on the left.
pub fn write(judged: &Judged) -> Option<Value> {
    let Said::Prefer { winner, strength } = judged.said else {
        return None;
    };
    let (mut standing, mut winner) = (judged.clone(), winner);
    if judged.shown == [1, 0] {
        standing.answers.reverse();
        winner = 1 - winner;
    }
    let mut task = write_task(&standing)?;
    if let Some(annotator) = &judged.annotator {
        task["data"]["annotator"] = annotator.as_str().into();
    }
    let result = |name: &str, kind: &str, value: Value| json!({"from_name": name, "to_name": "answer1,answer2", "type": kind, "value": value});
    let selected = ["left", "right"][winner];
    let mut results = vec![result(
        "comparison",
        "pairwise",
        json!({"selected": selected}),
    )];
    if let Some(strength) = strength {
        results.push(result("strength", "rating", json!({"rating": strength})));
    }
    if let Some(note) = &judged.note {
        results.push(result("note", "textarea", json!({"text": [note]})));
    }
    let mut annotation = json!({"was_cancelled": false, "result": results});
    if let Some(ms) = judged.active_ms {
        annotation["lead_time"] = (ms as f64 / 1000.0).into();
    }
    task["annotations"] = json!([annotation]);
    Some(task)
}
