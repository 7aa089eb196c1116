//! Prompt files: JSONL rows `{"id"?: string, "prompt": string | [{"role", "content"}, …]}`.
//!
//! Other keys are ignored, so a preference file or a TRL prompt-only file is a prompt file too.

use super::item::{Message, Prompt, PromptText};
use super::lines::RowError;
use super::rows::Rows;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Why a prompt file is not usable.
#[derive(Debug, thiserror::Error)]
pub enum PromptsError {
    /// A bad row, with file and line.
    #[error(transparent)]
    Row(#[from] RowError),
    /// No row at all.
    #[error(
        "{path}: no prompts; write one JSON object per line, for example \
         {{\"prompt\": \"Why is the sky blue?\"}}",
        path = .0.display()
    )]
    Empty(PathBuf),
}

#[derive(Deserialize)]
struct PromptRow {
    id: Option<String>,
    prompt: TextOrMessages,
}

/// A prompt as other tools write it: the JSON type says which it is.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "\"prompt\" must be a string or a list of {\"role\": …, \"content\": …}"
)]
pub(super) enum TextOrMessages {
    Text(String),
    Messages(Vec<Message>),
}

impl From<TextOrMessages> for PromptText {
    fn from(prompt: TextOrMessages) -> Self {
        match prompt {
            TextOrMessages::Text(text) => Self::Text(text),
            TextOrMessages::Messages(messages) => Self::Messages(messages),
        }
    }
}

/// Reads a prompt file (`.jsonl` or `.jsonl.gz`) in file order.
///
/// # Errors
/// [`PromptsError`]: malformed row, empty prompt, an id used for two prompts, or an empty file.
pub fn read_prompts(path: &Path) -> Result<Vec<Prompt>, PromptsError> {
    let mut lines = Rows::open(path)?;
    let mut prompts = Vec::new();
    let mut seen: HashMap<String, usize> = HashMap::new();
    while let Some(row) = lines.next_row()? {
        let PromptRow { id, prompt } = row.parse()?;
        let named = id.is_some();
        let prompt = Prompt::new(id, prompt.into()).map_err(|error| row.error(error))?;
        if named && let Some(line) = seen.insert(prompt.id.clone(), row.line) {
            return Err(row
                .error(format!("id {:?} is already on line {line}", prompt.id))
                .into());
        }
        prompts.push(prompt);
    }
    if prompts.is_empty() {
        return Err(PromptsError::Empty(path.to_owned()));
    }
    Ok(prompts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Prompt>, PromptsError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("p.jsonl");
        std::fs::write(&path, text).unwrap();
        read_prompts(&path)
    }

    #[test]
    fn text_and_messages_are_read() {
        let prompts = read(concat!(
            "{\"id\": \"a\", \"prompt\": \"Hi\", \"split\": \"train\"}\n",
            "{\"prompt\": [{\"role\": \"user\", \"content\": \"Hi\"}]}\n",
        ))
        .unwrap();
        assert_eq!(prompts[0].id, "a");
        assert_eq!(prompts[0].text, PromptText::Text("Hi".into()));
        let message = Message {
            role: "user".into(),
            content: "Hi".into(),
        };
        assert_eq!(prompts[1].text, PromptText::Messages(vec![message]));
        assert_eq!(prompts[1].id, prompts[1].sha256.short());
    }

    #[test]
    fn bad_rows_say_where_and_why() {
        let error = |text: &str| read(text).unwrap_err().to_string();
        assert!(error("").contains("p.jsonl: no prompts"));
        assert!(error("\n\n").contains("p.jsonl: no prompts"));
        assert!(error("{\"prompt\": \" \"}").ends_with("p.jsonl:1: the prompt is empty"));
        assert!(error("{\"prompt\": []}").ends_with("p.jsonl:1: the prompt is empty"));
        assert!(error("{\"prompt\": 3}").contains("p.jsonl:1: \"prompt\" must be a string or"));
        assert!(error("{\"text\": \"x\"}").contains("p.jsonl:1: missing field `prompt`"));
        let twice = "{\"id\":\"a\",\"prompt\":\"x\"}\n{\"id\":\"a\",\"prompt\":\"y\"}";
        assert!(error(twice).ends_with("p.jsonl:2: id \"a\" is already on line 1"));
    }
}
