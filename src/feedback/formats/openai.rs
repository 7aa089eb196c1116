//! OpenAI preference fine-tuning, also read by Together and Fireworks.
//! <https://platform.openai.com/docs/guides/direct-preference-optimization>

use super::judged::{Judged, message};
use super::value::{Object, conversation, has, list, messages, need, object, reply};
use crate::feedback::item::PromptText;
use serde_json::{Value, json};

/// True if the row is one.
pub fn is(row: &Object) -> bool {
    has(row, &["preferred_output"]) || has(row, &["non_preferred_output"])
}

/// Reads a row.
pub fn read(row: &Object) -> Result<Judged, String> {
    let input = object(row, "input")?;
    if input
        .get("tools")
        .and_then(Value::as_array)
        .is_some_and(|tools| !tools.is_empty())
    {
        return Err("`input.tools` is not empty; answers that call tools are not supported".into());
    }
    let prompt = messages(need(input, "messages")?, "input.messages")?;
    let output = |name: &str| {
        list(row, name)?;
        reply(&messages(need(row, name)?, name)?, name)
    };
    let (chosen, rejected) = (output("preferred_output")?, output("non_preferred_output")?);
    Ok(Judged::pair(PromptText::Messages(prompt), chosen, rejected))
}

/// Writes a pair whose prompt is a conversation.
pub fn write(judged: &Judged) -> Option<Value> {
    let messages = conversation(&judged.prompt)?;
    let (chosen, rejected) = judged.decided()?;
    let output = |text: &str| json!([message("assistant", text)]);
    Some(json!({
        "input": {"messages": messages, "tools": [], "parallel_tool_calls": true},
        "preferred_output": output(chosen),
        "non_preferred_output": output(rejected),
    }))
}
