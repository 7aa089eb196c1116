//! Answers to be judged, from any system: `{"prompt", "responses", "models"?, "id"?}`, which
//! `rlhf label FILE` reads too.

use super::judged::Judged;
use super::value::{Object, field, has, name_if, need, prompt, strings};
use crate::feedback::item::MAX_CANDIDATES;

/// True if the row is one.
pub fn is(row: &Object) -> bool {
    has(row, &["prompt", "responses"])
}

/// Reads a row.
pub fn read(row: &Object) -> Result<Judged, String> {
    let responses = strings(need(row, "responses")?, "responses")?;
    if !(2..=MAX_CANDIDATES).contains(&responses.len()) {
        return Err(format!(
            "expected 2 to 9 `responses`, found {}",
            responses.len()
        ));
    }
    let models = field(row, "models").map(|models| strings(models, "models"));
    let models = models.transpose()?.unwrap_or_default();
    if !models.is_empty() && models.len() != responses.len() {
        let (models, responses) = (models.len(), responses.len());
        return Err(format!("{models} models for {responses} responses"));
    }
    let mut judged = Judged::new(prompt(row, "prompt")?, responses);
    judged = judged.by(models.into_iter().map(Some));
    judged.prompt_id = name_if(row, "id");
    Ok(judged)
}
