//! The boundary between a policy and whatever scores its responses.
//!
//! Policy and reward model may have different tokenizers, so the boundary is text; when the tokenizers are the same the
//! sampled ids pass unchanged.

use std::error::Error;

use super::chat_template::Message;

/// A prompt as its author wrote it, before any chat template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromptInput {
    /// Plain text, continued by the model as it stands.
    Text(String),
    /// A conversation, rendered by each model's own chat template.
    Messages(Vec<Message>),
}

/// One response to be scored.
#[derive(Debug, Clone, Copy)]
pub struct ScoreRequest<'a> {
    /// The prompt.
    pub prompt: &'a PromptInput,
    /// The response's text, without its end token.
    pub response: &'a str,
    /// The policy's tokens of the prompt.
    pub prompt_ids: &'a [u32],
    /// The policy's tokens of the response, without its end token.
    pub response_ids: &'a [u32],
}

/// Gives each response one score.
pub trait Scorer {
    /// Scores in the order of `requests`; `tokenizer_sha256` identifies the tokenizer of the ids.
    ///
    /// # Errors
    /// If a text can't be tokenised or is longer than the scorer's context.
    fn score(
        &self,
        tokenizer_sha256: &str,
        requests: &[ScoreRequest<'_>],
    ) -> Result<Vec<f64>, Box<dyn Error + Send + Sync>>;
}
