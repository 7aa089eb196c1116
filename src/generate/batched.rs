//! Decoding with burn's tensors, for GPUs: fixed batches over one key-value cache.
//!
//! Prompts are left-padded, so that every row's next token stands in the same column. Requests with the same prompt are
//! computed once up to their first token; rows that have finished leave the batch. Requests are grouped by length, which
//! changes nothing but the speed: padding is masked.

use std::ops::Range;

use rand_chacha::ChaCha8Rng;

use crate::model::Decoder;

use super::engine::{Completion, FinishReason, GenerateError, Listener, Request, Settings, check};
use super::network::Network;
use super::sampler::{Sampler, SamplerConfig, stream};

/// As [`generate`](super::generate), on any device.
///
/// # Errors
/// As there.
pub fn generate(
    decoder: &Decoder,
    requests: &[Request],
    settings: Settings<'_>,
    listener: &mut dyn Listener,
) -> Result<Vec<Completion>, GenerateError> {
    check(decoder, requests)?;
    let mut order: Vec<usize> = (0..requests.len()).collect();
    order.sort_by_key(|&i| (requests[i].prompt.len(), &requests[i].prompt)); // equal prompts side by side
    let mut run = Run {
        network: Network::new(decoder),
        requests,
        settings,
        context: decoder.config.max_position_embeddings,
        vocabulary: decoder.config.vocab_size,
        sampler: Sampler::new(settings.sampler)?,
        listener,
        done: vec![None; requests.len()],
        finished: 0,
    };
    for group in order.chunks(settings.batch_size.max(1)) {
        run.decode(group)?;
    }
    Ok(run.done.into_iter().flatten().collect())
}

/// A response in the making.
struct Row {
    request: usize,
    rng: ChaCha8Rng,
    budget: usize,
    ids: Vec<u32>,
    logprobs: Vec<f32>,
}

/// One batch after the other.
struct Run<'a> {
    network: Network<'a>,
    requests: &'a [Request],
    settings: Settings<'a>,
    context: usize,
    vocabulary: usize,
    sampler: Sampler,
    listener: &'a mut dyn Listener,
    done: Vec<Option<Completion>>,
    finished: usize,
}

impl Run<'_> {
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
            if self.listener.stop() {
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
        let room = self.context - prompt.len();
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
        let vocabulary = self.vocabulary;
        let mut live = Vec::with_capacity(rows.len());
        for (index, mut row) in std::mem::take(rows).into_iter().enumerate() {
            let drawn = self
                .sampler
                .draw(&logits[span(from[index], vocabulary)], &mut row.rng)?;
            row.ids.push(drawn.id);
            row.logprobs.push(drawn.logprob);
            // This token may have been the last that the listener wanted.
            if self.listener.stop() {
                return Err(GenerateError::Stopped);
            }
            self.listener.token(row.request, drawn.id);
            if self.settings.stop_ids.contains(&drawn.id) {
                self.complete(row, FinishReason::Stop);
            } else if row.ids.len() == row.budget {
                self.complete(row, FinishReason::Length);
            } else {
                rows.push(row);
                live.push(index);
            }
        }
        Ok(live)
    }

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
            trace: None,
        });
        self.finished += 1;
        let total = self.done.len();
        self.listener.finished(self.finished, total);
    }
}

fn span(row: usize, width: usize) -> Range<usize> {
    row * width..(row + 1) * width
}
