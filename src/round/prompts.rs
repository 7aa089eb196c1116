//! Prompts between their files and the models.

use std::path::Path;

use crate::feedback::item::{self, PromptText};
use crate::feedback::prompts::{PromptsError, read_prompts};
use crate::model::PromptInput;
use crate::model::chat_template::Message;

/// A prompt as a model reads it.
pub fn prompt_input(prompt: &PromptText) -> PromptInput {
    match prompt {
        PromptText::Text(text) => PromptInput::Text(text.clone()),
        PromptText::Messages(messages) => {
            let message = |m: &item::Message| Message::new(&m.role, &m.content);
            PromptInput::Messages(messages.iter().map(message).collect())
        }
    }
}

/// What the person asked: the text of a plain prompt, the last user turn of a conversation.
pub fn request(prompt: &PromptInput) -> &str {
    match prompt {
        PromptInput::Text(text) => text,
        PromptInput::Messages(messages) => {
            messages.iter().rev().find(|m| m.role == "user").map_or("", |m| m.content.as_str())
        }
    }
}

/// Reads a prompt file as (id, prompt).
pub fn read(path: &Path) -> Result<Vec<(String, PromptInput)>, PromptsError> {
    let prompts = read_prompts(path)?;
    Ok(prompts.into_iter().map(|p| (p.id.clone(), prompt_input(&p.text))).collect())
}
