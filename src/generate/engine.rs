//! Many responses at once: what is asked for, what comes back, and which decoder does it.
//!
//! On the CPU it is our own (`generate::cpu`), elsewhere burn's tensors, in batches ([`batched`]). Requests
//! depend on each other in nothing: each has random numbers of its own.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::device;
use crate::model::Decoder;

use super::sampler::{SamplerConfig, SamplerError};
use super::{batched, cpu};

/// Rows decoded together unless the caller knows better.
pub const DEFAULT_BATCH_SIZE: usize = 32;

/// Why decoding fails.
#[derive(Debug, Error)]
pub enum GenerateError {
    /// Nothing to continue.
    #[error(
        "prompt {0} is empty; a model needs at least one token to continue (pass its beginning-of-sequence token)"
    )]
    EmptyPrompt(usize),
    /// No room for an answer.
    #[error(
        "prompt {request} has {tokens} tokens, but the model's context is {context} tokens with the answer; shorten the prompt"
    )]
    PromptTooLong {
        /// Index of the request.
        request: usize,
        /// Its length.
        tokens: usize,
        /// `max_position_embeddings`.
        context: usize,
    },
    /// An id that the model has no embedding for.
    #[error("token id {id} is outside the vocabulary of {vocab_size} (ids 0 to {})", vocab_size - 1)]
    OutsideVocabulary {
        /// The id.
        id: u32,
        /// Rows of the embedding.
        vocab_size: usize,
    },
    /// Nothing to read.
    #[error("there are no tokens to read; pass a text or ids that are not empty")]
    NoTokens,
    /// More tokens than the model has positions.
    #[error("the text has {tokens} tokens, but the model's context is {context}; shorten it")]
    TextTooLong {
        /// Its length.
        tokens: usize,
        /// `max_position_embeddings`.
        context: usize,
    },
    /// Sampler settings, or an output that is no distribution.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
    /// The system gives no threads.
    #[error("no threads to decode with: {0}; see `ulimit -u`")]
    Threads(#[from] std::io::Error),
    /// The listener asked to stop.
    #[error("generation was stopped")]
    Stopped,
}

/// One response wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The prompt's tokens.
    pub prompt: Vec<u32>,
    /// Identifies the prompt's random numbers: its index, or [`prompt_key`].
    pub key: u64,
    /// Which of the prompt's responses this is.
    pub sample: u64,
}

/// A key made of the tokens themselves: the first 64 bits of their SHA-256.
pub fn prompt_key(ids: &[u32]) -> u64 {
    let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    let digest = Sha256::digest(bytes);
    digest
        .iter()
        .take(8)
        .fold(0, |key, &byte| key << 8 | u64::from(byte))
}

/// Why a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// With a stop token.
    Stop,
    /// At `max_new_tokens` or at the end of the context.
    Length,
}

/// One response.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// Its tokens, with the stop token if one was drawn.
    pub ids: Vec<u32>,
    /// Log-probability of each, in nats, in the whole distribution at the sampler's temperature.
    pub logprobs: Vec<f32>,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// If it was asked for, and the decoder keeps one: the CPU's does.
    pub trace: Option<Trace>,
}

/// What a decoder knows of each token that it draws, beside the log-probability.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trace {
    /// Entropy of the distribution that `logprobs` are of, in nats.
    pub entropies: Vec<f32>,
    /// The hidden state after the final norm that the token was drawn from, `[tokens · hidden]`.
    pub states: Vec<f32>,
}

/// Hears what is drawn, from any thread. Every method may be left out.
pub trait Listener: Send {
    /// `id` was drawn for the request at index `request`.
    fn token(&mut self, request: usize, id: u32) {
        let _ = (request, id);
    }

    /// `done` of `total` responses are complete.
    fn finished(&mut self, done: usize, total: usize) {
        let _ = (done, total);
    }

    /// Asked before every step and every token: give up?
    fn stop(&self) -> bool {
        false
    }
}

/// Listens to nothing.
impl Listener for () {}

/// What stays the same for all requests.
#[derive(Debug, Clone, Copy)]
pub struct Settings<'a> {
    /// How tokens are drawn.
    pub sampler: &'a SamplerConfig,
    /// Tokens that end a response.
    pub stop_ids: &'a [u32],
    /// Most rows decoded together; memory for keys and values grows with it. 0 is taken as 1.
    pub batch_size: usize,
    /// Keep a [`Trace`] of every response: 4 · hidden bytes a token.
    pub trace: bool,
}

/// Decodes all requests; the responses are in the order of the requests.
///
/// # Errors
/// For a prompt that is empty, too long or outside the vocabulary, for unusable sampler settings, for NaN in the model's
/// output, and when the listener stops it.
pub fn generate(
    decoder: &Decoder,
    requests: &[Request],
    settings: Settings<'_>,
    listener: &mut dyn Listener,
) -> Result<Vec<Completion>, GenerateError> {
    if device::is_cpu(&decoder.embedding.device()) {
        cpu::generate(decoder, requests, settings, listener)
    } else {
        batched::generate(decoder, requests, settings, listener)
    }
}

/// Draws two tokens of the first batch and forgets them. On a GPU this compiles the kernels for these shapes; on the CPU, which
/// has nothing to compile, nothing is done.
///
/// # Errors
/// As [`generate`].
pub fn warm_up(
    decoder: &Decoder,
    requests: &[Request],
    settings: Settings<'_>,
) -> Result<(), GenerateError> {
    if device::is_cpu(&decoder.embedding.device()) {
        return Ok(());
    }
    let sampler = SamplerConfig {
        max_new_tokens: settings.sampler.max_new_tokens.min(2),
        ..settings.sampler.clone()
    };
    let settings = Settings {
        sampler: &sampler,
        stop_ids: &[],
        ..settings
    };
    let first = requests.len().min(settings.batch_size.max(1));
    generate(decoder, &requests[..first], settings, &mut ())?;
    Ok(())
}

pub(super) fn check(decoder: &Decoder, requests: &[Request]) -> Result<(), GenerateError> {
    let context = decoder.config.max_position_embeddings;
    for (request, Request { prompt, .. }) in requests.iter().enumerate() {
        if prompt.is_empty() {
            return Err(GenerateError::EmptyPrompt(request));
        }
        if prompt.len() >= context {
            return Err(GenerateError::PromptTooLong {
                request,
                tokens: prompt.len(),
                context,
            });
        }
        check_vocabulary(decoder, prompt)?;
    }
    Ok(())
}

/// Every id must have an embedding.
///
/// # Errors
/// [`GenerateError::OutsideVocabulary`] for the first that has none.
pub fn check_vocabulary(decoder: &Decoder, ids: &[u32]) -> Result<(), GenerateError> {
    let vocab_size = decoder.config.vocab_size;
    match ids.iter().find(|&&id| id as usize >= vocab_size) {
        Some(&id) => Err(GenerateError::OutsideVocabulary { id, vocab_size }),
        None => Ok(()),
    }
}
