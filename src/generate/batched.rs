//! Decoding with burn's tensors, for GPUs: fixed batches over one key-value cache.
//!
//! Prompts are left-padded, so that every row's next token stands in the same column. Requests with the same prompt are
//! computed once up to their first token. A step sends the last tokens and one random number a row to the device and reads
//! the drawn ids and their log-probabilities back; nothing else is read. A row that has finished idles until half of the
//! rows have: taking rows out copies the cache. Requests are grouped by length, which changes nothing but the speed: padding
//! is masked.

use burn::tensor::Tensor;
use rand_chacha::ChaCha8Rng;

use crate::model::Decoder;

use super::device_sampler::DeviceSampler;
use super::engine::{Completion, FinishReason, GenerateError, Listener, Request, Settings, check};
use super::network::Network;
use super::sampler::{Drawn, SamplerConfig, not_finite, stream, unit};

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
    settings.sampler.validate()?;
    let mut run = Run {
        network: Network::new(decoder),
        requests,
        settings,
        context: decoder.config.max_position_embeddings,
        sampler: DeviceSampler::new(settings.sampler),
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
    sampler: DeviceSampler<'a>,
    listener: &'a mut dyn Listener,
    done: Vec<Option<Completion>>,
    finished: usize,
}

impl Run<'_> {
    /// Decodes one batch to its end.
    fn decode(&mut self, group: &[usize]) -> Result<(), GenerateError> {
        let mut rows: Vec<Option<Row>> = group.iter().map(|&i| Some(self.row(i))).collect();
        let (prompts, prompt_of) = self.distinct_prompts(group);
        let budget = rows.iter().flatten().map(|row| row.budget).max();
        let (mut cache, logits) = self.network.prefill(&prompts);
        let capacity = cache.tokens.time + budget.unwrap_or(0);
        self.draw(&mut rows, self.network.rows(logits, &prompt_of))?;
        let live = take_out_finished(&mut rows).into_iter();
        let live: Vec<usize> = live.map(|row| prompt_of[row]).collect();
        self.network.keep(&mut cache, &live, capacity);
        while !rows.is_empty() {
            if self.listener.stop() {
                return Err(GenerateError::Stopped);
            }
            let logits = self.network.step(last(&rows), real(&rows), &mut cache);
            self.draw(&mut rows, logits)?;
            if 2 * rows.iter().flatten().count() <= rows.len() {
                let live = take_out_finished(&mut rows);
                self.network.keep(&mut cache, &live, capacity);
            }
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

    /// Draws the next token of every row that is not finished, from its row of `logits`.
    fn draw(&mut self, rows: &mut [Option<Row>], logits: Tensor<2>) -> Result<(), GenerateError> {
        let greedy = self.settings.sampler.greedy;
        let number = |slot: &mut Option<Row>| match slot {
            Some(row) if !greedy => unit(&mut row.rng),
            _ => 0.0,
        };
        let uniforms: Vec<f64> = rows.iter_mut().map(number).collect();
        let drawn = self.sampler.draw(logits.clone(), &uniforms);
        for (index, (slot, drawn)) in rows.iter_mut().zip(drawn).enumerate() {
            if let Some(row) = slot.take() {
                if !drawn.logprob.is_finite() {
                    let row = logits.narrow(0, index, 1).into_data();
                    return Err(not_finite(&row.iter::<f32>().collect::<Vec<_>>()).into());
                }
                *slot = self.append(row, drawn)?;
            }
        }
        Ok(())
    }

    /// Appends a token to its row, which is returned unless it is complete.
    fn append(&mut self, mut row: Row, drawn: Drawn) -> Result<Option<Row>, GenerateError> {
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
            return Ok(Some(row));
        }
        Ok(None)
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

/// The last token of every row; any token for one that is finished.
fn last(rows: &[Option<Row>]) -> Vec<u32> {
    let last = |slot: &Option<Row>| slot.as_ref()?.ids.last().copied();
    rows.iter().map(|slot| last(slot).unwrap_or(0)).collect()
}

/// Which rows are not finished.
fn real(rows: &[Option<Row>]) -> Vec<bool> {
    rows.iter().map(Option::is_some).collect()
}

/// Takes out the finished rows and returns the former indices of those that remain.
fn take_out_finished(rows: &mut Vec<Option<Row>>) -> Vec<usize> {
    let live = (0..rows.len()).filter(|&index| rows[index].is_some());
    let live = live.collect();
    rows.retain(Option::is_some);
    live
}
