//! Batched decoding with a key-value cache.
//!
//! Prompts are left-padded, so that every row's next token stands in the same column. Requests with the same prompt are
//! computed once up to their first token; rows that have finished leave the batch. Requests are grouped by length, which
//! changes nothing but the speed: each has random numbers of its own, and padding is masked.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::model::workers::{side_by_side, workers};
use crate::model::{Decoder, Parameters};

use super::network::Network;
use super::sampler::{Sampler, SamplerConfig, SamplerError, stream};

/// Rows decoded together unless the caller knows better.
pub const DEFAULT_BATCH_SIZE: usize = 32;

/// Parameters up to which several batches are decoded side by side, a core each. The weights of a larger model don't stay in
/// the cores' caches, and one batch that reads them once on all cores is faster.
const SIDE_BY_SIDE: usize = 1 << 24;

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
    check(decoder, requests)?;
    if let Some(completions) = super::cpu::generate(decoder, requests, settings, listener) {
        return completions;
    }
    let workers = match decoder.clone().count() {
        (_, parameters) if parameters > SIDE_BY_SIDE => 1,
        _ => workers(&decoder.embedding.device()),
    };
    let batch_size = settings.batch_size.div_ceil(workers).max(1);
    let network = Network::new(
        decoder,
        batch_size.min(requests.len()),
        settings.sampler.max_new_tokens,
    );
    let mut order: Vec<usize> = (0..requests.len()).collect();
    order.sort_by_key(|&i| (requests[i].prompt.len(), &requests[i].prompt)); // equal prompts side by side
    let groups: Vec<&[usize]> = order.chunks(batch_size).collect();
    let results = Mutex::new(Results {
        listener,
        done: vec![None; requests.len()],
        finished: 0,
    });
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let worker = |_: &[()]| -> Result<(), GenerateError> {
        let mut run = Run {
            decoder,
            network: &network,
            requests,
            settings,
            sampler: Sampler::new(settings.sampler)?,
            results: &results,
        };
        while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
            // Another worker's error ends the job; the answers so far are of no use then.
            if failed.load(Ordering::Relaxed) {
                break;
            }
            run.decode(group)
                .inspect_err(|_| failed.store(true, Ordering::Relaxed))?;
        }
        Ok(())
    };
    let lanes: Vec<&[()]> = vec![&[]; workers];
    for outcome in side_by_side(&lanes, worker) {
        outcome?;
    }
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(results.done.into_iter().flatten().collect())
}

fn check(decoder: &Decoder, requests: &[Request]) -> Result<(), GenerateError> {
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

/// A response in the making.
struct Row {
    request: usize,
    rng: ChaCha8Rng,
    budget: usize,
    ids: Vec<u32>,
    logprobs: Vec<f32>,
}

/// What all workers add to.
struct Results<'l> {
    listener: &'l mut dyn Listener,
    done: Vec<Option<Completion>>,
    finished: usize,
}

/// One worker's means.
struct Run<'a, 'l> {
    decoder: &'a Decoder,
    network: &'a Network<'a>,
    requests: &'a [Request],
    settings: Settings<'a>,
    sampler: Sampler,
    results: &'a Mutex<Results<'l>>,
}

impl Run<'_, '_> {
    /// Decodes one batch to its end.
    fn decode(&mut self, group: &[usize]) -> Result<(), GenerateError> {
        let mut rows: Vec<Row> = group.iter().map(|&request| self.row(request)).collect();
        let (prompts, prompt_of) = self.distinct_prompts(group);
        let budget = rows.iter().map(|row| row.budget).max().unwrap_or(0);
        let (mut cache, logits) = self.network.prefill(&prompts, budget);
        let live = self.draw(&mut rows, &logits, &prompt_of)?;
        let live: Vec<usize> = live.into_iter().map(|row| prompt_of[row]).collect();
        self.network.keep(&mut cache, &live);
        while !rows.is_empty() {
            if lock(self.results).listener.stop() {
                return Err(GenerateError::Stopped);
            }
            let last = rows
                .iter()
                .filter_map(|row| row.ids.last().copied())
                .collect();
            let logits = self.network.step(last, &mut cache);
            let own: Vec<usize> = (0..rows.len()).collect();
            let live = self.draw(&mut rows, &logits, &own)?;
            self.network.keep(&mut cache, &live);
        }
        Ok(())
    }

    fn row(&self, request: usize) -> Row {
        let Request {
            prompt,
            key,
            sample,
        } = &self.requests[request];
        let room = self.decoder.config.max_position_embeddings - prompt.len();
        let SamplerConfig {
            seed,
            max_new_tokens,
            ..
        } = *self.settings.sampler;
        let (budget, rng) = (room.min(max_new_tokens), stream(seed, *key, *sample));
        Row {
            request,
            rng,
            budget,
            ids: Vec::new(),
            logprobs: Vec::new(),
        }
    }

    /// The different prompts of a group, equal ones standing side by side, and which of them each row has.
    fn distinct_prompts(&self, group: &[usize]) -> (Vec<&'_ [u32]>, Vec<usize>) {
        let mut prompts: Vec<&[u32]> = Vec::new();
        let mut prompt_of = Vec::with_capacity(group.len());
        for &request in group {
            let prompt = self.requests[request].prompt.as_slice();
            if prompts.last() != Some(&prompt) {
                prompts.push(prompt);
            }
            prompt_of.push(prompts.len() - 1);
        }
        (prompts, prompt_of)
    }

    /// Draws each row's next token from the given row of `logits`, takes out the rows that are complete, and returns the
    /// indices of those that remain.
    fn draw(
        &mut self,
        rows: &mut Vec<Row>,
        logits: &[f32],
        from: &[usize],
    ) -> Result<Vec<usize>, GenerateError> {
        let vocabulary = self.decoder.config.vocab_size;
        let mut live = Vec::with_capacity(rows.len());
        for (index, mut row) in std::mem::take(rows).into_iter().enumerate() {
            let drawn = self
                .sampler
                .draw(&logits[span(from[index], vocabulary)], &mut row.rng)?;
            row.ids.push(drawn.id);
            row.logprobs.push(drawn.logprob);
            let mut results = lock(self.results);
            // Another worker's token may have been the last that the listener wanted.
            if results.listener.stop() {
                return Err(GenerateError::Stopped);
            }
            results.listener.token(row.request, drawn.id);
            if self.settings.stop_ids.contains(&drawn.id) {
                results.complete(row, FinishReason::Stop);
            } else if row.ids.len() == row.budget {
                results.complete(row, FinishReason::Length);
            } else {
                rows.push(row);
                live.push(index);
            }
        }
        Ok(live)
    }
}

fn lock<'m, 'l>(results: &'m Mutex<Results<'l>>) -> MutexGuard<'m, Results<'l>> {
    results.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Results<'_> {
    fn complete(&mut self, row: Row, finish_reason: FinishReason) {
        let Row {
            request,
            ids,
            logprobs,
            ..
        } = row;
        self.done[request] = Some(Completion {
            ids,
            logprobs,
            finish_reason,
        });
        self.finished += 1;
        let total = self.done.len();
        self.listener.finished(self.finished, total);
    }
}

fn span(row: usize, width: usize) -> Range<usize> {
    row * width..(row + 1) * width
}
