//! Rows for supervised fine-tuning: plain text, prompt and completion, or a conversation.
//!
//! TRL's formats: `{"text"}`, `{"prompt", "completion"}`, `{"messages"}`. Prompt and completion are tokenised apart and
//! concatenated, as the policy will see them when it generates; labels include the end-of-sequence token (TRL pull 3091).

use std::path::{Path, PathBuf};

use serde_json::Value;
use thiserror::Error;

use crate::model::chat_template::{ChatTemplateError, Message};
use crate::model::tokenizer::TokenizerError;
use crate::model::{ModelError, ModelText, PromptInput};

/// Why rows can't be used.
#[derive(Debug, Error)]
pub enum SftDataError {
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// File.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A row that can't be read.
    #[error("{path}:{line}: {reason}")]
    Row {
        /// File.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// Expected and found.
        reason: String,
    },
    /// No rows at all.
    #[error(
        "{0}: no rows; expected JSONL with \"text\", \"prompt\" and \"completion\", or \"messages\""
    )]
    Empty(PathBuf),
    /// No tokenizer.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// One tokenised row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Prompt and completion.
    pub ids: Vec<u32>,
    /// True on tokens that are learnt.
    pub learnt: Vec<bool>,
    /// Rows with one key stay on one side of the split: the prompt, or the whole text.
    pub key: String,
}

impl Example {
    fn new(key: &str) -> Self {
        Self {
            ids: Vec::new(),
            learnt: Vec::new(),
            key: key.to_owned(),
        }
    }

    fn push(&mut self, ids: &[u32], learnt: bool) {
        self.ids.extend(ids);
        self.learnt.resize(self.ids.len(), learnt);
    }

    /// Cuts the end off; true if there was something to cut.
    pub fn truncate(&mut self, max_length: usize) -> bool {
        let cut = self.ids.len() > max_length;
        self.ids.truncate(max_length);
        self.learnt.truncate(max_length);
        cut
    }
}

/// Reads and tokenises a JSONL file. With `completion_only`, prompts are context and not learnt.
pub fn read(
    path: &Path,
    text: &ModelText,
    completion_only: bool,
) -> Result<Vec<Example>, SftDataError> {
    let io = |source| SftDataError::Io {
        path: path.to_owned(),
        source,
    };
    let content = std::fs::read(path).map_err(io)?;
    let mut examples = Vec::new();
    for (index, line) in content.split(|&b| b == b'\n').enumerate() {
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        let fail = |reason| SftDataError::Row {
            path: path.to_owned(),
            line: index + 1,
            reason,
        };
        let row: Value =
            serde_json::from_slice(line).map_err(|e| fail(format!("not JSON: {e}")))?;
        let mut example = tokenise(&row, text).map_err(|error| match error {
            RowError::Model(error) => error.into(),
            RowError::Row(reason) => fail(reason),
        })?;
        if !completion_only {
            example.learnt.fill(true);
        }
        examples.push(example);
    }
    if examples.is_empty() {
        return Err(SftDataError::Empty(path.to_owned()));
    }
    Ok(examples)
}

enum RowError {
    Model(ModelError),
    Row(String),
}

impl From<TokenizerError> for RowError {
    fn from(error: TokenizerError) -> Self {
        Self::Row(error.to_string())
    }
}

impl From<ChatTemplateError> for RowError {
    fn from(error: ChatTemplateError) -> Self {
        Self::Row(error.to_string())
    }
}

fn tokenise(row: &Value, text: &ModelText) -> Result<Example, RowError> {
    let tokenizer = text.tokenizer().map_err(RowError::Model)?;
    if let Some(content) = row.get("text").and_then(Value::as_str) {
        let mut example = Example::new(content);
        example.push(&tokenizer.encode(content)?, true);
        example.push(&[tokenizer.eos_id()?], true);
        return Ok(example);
    }
    match (
        row.get("prompt"),
        row.get("completion"),
        row.get("messages"),
    ) {
        (Some(Value::String(prompt)), Some(Value::String(completion)), _) => {
            let mut example = Example::new(prompt);
            let prompt = PromptInput::Text(prompt.clone());
            example.push(&text.prompt_ids(&prompt).map_err(RowError::Model)?, false);
            example.push(&tokenizer.encode(completion)?, true);
            example.push(&[tokenizer.eos_id()?], true);
            Ok(example)
        }
        (Some(prompt @ Value::Array(_)), Some(completion @ Value::Array(_)), _) => {
            conversation([messages(prompt)?, messages(completion)?].concat(), text)
        }
        (_, _, Some(turns)) => conversation(messages(turns)?, text),
        _ => {
            let keys: Vec<&String> = row
                .as_object()
                .map(|o| o.keys().collect())
                .unwrap_or_default();
            let reason = format!(
                "expected \"text\", \"prompt\" and \"completion\", or \"messages\"; found keys {keys:?}"
            );
            Err(RowError::Row(reason))
        }
    }
}

fn messages(value: &Value) -> Result<Vec<Message>, RowError> {
    serde_json::from_value(value.clone())
        .map_err(|e| RowError::Row(format!("expected a list of {{\"role\", \"content\"}}: {e}")))
}

/// Each assistant turn is rendered up to where it starts and to where it ends; what lies between is learnt.
fn conversation(turns: Vec<Message>, text: &ModelText) -> Result<Example, RowError> {
    let tokenizer = text.tokenizer().map_err(RowError::Model)?;
    let template = text
        .chat_template
        .as_ref()
        .ok_or_else(|| RowError::Row("\"messages\" need a chat template, and this model has none; use \"prompt\" and \"completion\"".to_owned()))?;
    let key = turns
        .iter()
        .find(|t| t.role == "user")
        .map_or("", |t| t.content.as_str());
    let mut example = Example::new(key);
    let mut done = String::new();
    for (index, _) in turns
        .iter()
        .enumerate()
        .filter(|(_, turn)| turn.role == "assistant")
    {
        let start = template.render(&turns[..index], true)?;
        let end = template.render(&turns[..=index], false)?;
        let (Some(prompt), Some(completion)) =
            (start.strip_prefix(&done), end.strip_prefix(&start))
        else {
            let reason = "the chat template rewrites earlier turns, so prompt and completion can't be told apart; pass \"prompt\" and \"completion\" as strings";
            return Err(RowError::Row(reason.to_owned()));
        };
        example.push(&tokenizer.encode(prompt)?, false);
        example.push(&tokenizer.encode(completion)?, true);
        done = end;
    }
    if example.ids.is_empty() {
        return Err(RowError::Row("no assistant turn to learn from".to_owned()));
    }
    Ok(example)
}
