//! Around the engine: a prompt's text to tokens, an answer's tokens to text.

use thiserror::Error;

use crate::model::tokenizer::TokenizerError;
use crate::model::{LanguageModel, ModelError, PromptInput, Tokenizer};

use super::engine::{Completion, FinishReason, GenerateError};

/// Why a prompt has no answer.
#[derive(Debug, Error)]
pub enum AnswerError {
    /// Decoding.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// Tokens to text.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// Text to tokens.
    #[error("prompt {id}: {source}")]
    Prompt {
        /// The prompt's id.
        id: String,
        /// What went wrong.
        source: ModelError,
    },
}

/// Tokens of the prompt called `id`.
pub fn prompt_ids(
    model: &LanguageModel,
    id: &str,
    prompt: &PromptInput,
) -> Result<Vec<u32>, AnswerError> {
    let ids = model.prompt_ids(prompt);
    ids.map_err(|source| AnswerError::Prompt {
        id: id.to_owned(),
        source,
    })
}

impl Completion {
    /// Did it end by itself, with a stop token?
    pub fn stopped(&self) -> bool {
        self.finish_reason == FinishReason::Stop
    }

    /// Its text, without the stop token.
    pub fn text(&self, tokenizer: &Tokenizer) -> Result<String, AnswerError> {
        let kept = self.ids.len() - usize::from(self.stopped());
        Ok(tokenizer.decode(&self.ids[..kept], true)?)
    }
}
