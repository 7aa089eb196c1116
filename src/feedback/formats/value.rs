//! Looking into rows: fields by name, with errors that say what was expected.

use super::judged::message;
use crate::feedback::item::{Message, PromptText};
use serde_json::{Map, Value};

/// One row: a JSON object.
pub type Object = Map<String, Value>;

/// The field, unless it is missing or null (as Parquet writes what is missing).
pub fn field<'a>(row: &'a Object, name: &str) -> Option<&'a Value> {
    row.get(name).filter(|value| !value.is_null())
}

/// True if the row has all of these fields.
pub fn has(row: &Object, names: &[&str]) -> bool {
    names.iter().all(|name| field(row, name).is_some())
}

/// The field, which must be there.
pub fn need<'a>(row: &'a Object, name: &str) -> Result<&'a Value, String> {
    field(row, name).ok_or_else(|| format!("missing field `{name}`"))
}

/// A string that must be there.
pub fn text(row: &Object, name: &str) -> Result<String, String> {
    let value = need(row, name)?;
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| format!("`{name}` must be a string, found {}", kind(value)))
}

/// A string that may be missing.
pub fn text_if(row: &Object, name: &str) -> Result<Option<String>, String> {
    match field(row, name) {
        None => Ok(None),
        Some(_) => text(row, name).map(Some),
    }
}

/// A name that may be missing: a string, or a number as some tools count their users.
pub fn name_if(row: &Object, name: &str) -> Option<String> {
    match field(row, name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A list that must be there.
pub fn list<'a>(row: &'a Object, name: &str) -> Result<&'a Vec<Value>, String> {
    let value = need(row, name)?;
    let list = value.as_array();
    list.ok_or_else(|| format!("`{name}` must be a list, found {}", kind(value)))
}

/// An object that must be there.
pub fn object<'a>(row: &'a Object, name: &str) -> Result<&'a Object, String> {
    let value = need(row, name)?;
    as_object(value).ok_or_else(|| format!("`{name}` must be an object, found {}", kind(value)))
}

/// The value as an object.
pub fn as_object(value: &Value) -> Option<&Object> {
    value.as_object()
}

/// Strings of a list.
pub fn strings(value: &Value, name: &str) -> Result<Vec<String>, String> {
    let strings = value.as_array().and_then(|list| {
        let texts = list.iter().map(|text| text.as_str().map(str::to_owned));
        texts.collect::<Option<Vec<_>>>()
    });
    strings.ok_or_else(|| format!("`{name}` must be a list of strings"))
}

/// Messages of a list.
pub fn messages(value: &Value, name: &str) -> Result<Vec<Message>, String> {
    let one = |value: &Value| {
        let text = |key| value.get(key)?.as_str();
        Some(message(text("role")?, text("content")?))
    };
    let all = value.as_array().map(|list| list.iter().map(one));
    let all = all.and_then(Iterator::collect::<Option<Vec<_>>>);
    all.ok_or_else(|| format!("`{name}` must be a list of {{\"role\": …, \"content\": …}}"))
}

/// A prompt: text or messages, as its JSON type says.
pub fn prompt(row: &Object, name: &str) -> Result<PromptText, String> {
    match need(row, name)? {
        Value::String(text) => Ok(PromptText::Text(text.clone())),
        value @ Value::Array(_) => messages(value, name).map(PromptText::Messages),
        other => Err(format!(
            "`{name}` must be a string or a list of messages, found {}",
            kind(other)
        )),
    }
}

/// The text of the one assistant message that an answer is.
pub fn reply(messages: &[Message], name: &str) -> Result<String, String> {
    match messages {
        [message] if message.role == "assistant" => Ok(message.content.clone()),
        _ => Err(format!("`{name}` must be one assistant message")),
    }
}

/// A prompt that is a conversation, for formats that know no other.
pub fn conversation(prompt: &PromptText) -> Option<&Vec<Message>> {
    match prompt {
        PromptText::Messages(messages) => Some(messages),
        PromptText::Text(_) => None,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
