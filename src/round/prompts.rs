//! Prompts between their files and the models.

use std::path::Path;

use crate::feedback::prompts::{PromptsError, read_prompts};
use crate::model::PromptInput;
use crate::reward::dataset::prompt_input;

/// What the person asked: the text of a plain prompt, the last user turn of a conversation.
pub fn request(prompt: &PromptInput) -> &str {
    match prompt {
        PromptInput::Text(text) => text,
        PromptInput::Messages(messages) => messages
            .iter()
            .rev()
            .find(|m| m.role == "user")
            .map_or("", |m| m.content.as_str()),
    }
}

/// Reads a prompt file as (id, prompt).
pub fn read(path: &Path) -> Result<Vec<(String, PromptInput)>, PromptsError> {
    let prompts = read_prompts(path)?;
    Ok(prompts
        .into_iter()
        .map(|p| (p.id.clone(), prompt_input(&p.text)))
        .collect())
}
