//! The two forward passes of decoding: over prompts, and over one new token of every row.

use burn::tensor::{Device, Int, Tensor};

use crate::model::attention::KvCache;
use crate::model::tokens::indices;
use crate::model::{Decoder, TokenBatch};

/// A decoder as decoding uses it. Logits stay on its device.
pub(super) struct Network<'a> {
    decoder: &'a Decoder,
    device: Device,
}

impl<'a> Network<'a> {
    pub(super) fn new(decoder: &'a Decoder) -> Self {
        let device = decoder.embedding.device();
        Self { decoder, device }
    }

    /// Runs the prompts, left-padded, into a cache that they fill. Returns it with the logits of each prompt's first new
    /// token, `[prompts, vocabulary]`.
    pub(super) fn prefill(&self, prompts: &[&[u32]]) -> (KvCache, Tensor<2>) {
        let tokens = TokenBatch::left_padded(prompts, 0, 0);
        let (batch, time) = (tokens.batch, tokens.time);
        let mut cache = KvCache::new(&self.decoder.config, batch, time, &self.device);
        let hidden = self.decoder.extend(&tokens, &mut cache);
        let last = self.indices((1..=batch).map(|row| row * time - 1));
        (cache, self.decoder.logits(hidden.select(0, last)))
    }

    /// Runs one more token of every row; where `real` is false the row is over, and what comes of it means nothing. Returns
    /// the logits of the tokens after them, `[rows, vocabulary]`.
    pub(super) fn step(&self, ids: Vec<u32>, real: Vec<bool>, cache: &mut KvCache) -> Tensor<2> {
        let tokens = TokenBatch {
            batch: ids.len(),
            time: 1,
            ids,
            mask: real,
        };
        self.decoder.logits(self.decoder.extend(&tokens, cache))
    }

    /// The given rows of `logits`; a row may be repeated.
    pub(super) fn rows(&self, logits: Tensor<2>, rows: &[usize]) -> Tensor<2> {
        logits.select(0, self.indices(rows.iter().copied()))
    }

    /// Makes `rows` the cache's rows, with room for `capacity` tokens of each; a row may be left out, or repeated.
    pub(super) fn keep(&self, cache: &mut KvCache, rows: &[usize], capacity: usize) {
        if !rows.is_empty() {
            cache.keep_rows(rows, capacity, &self.device);
        }
    }

    fn indices(&self, rows: impl Iterator<Item = usize>) -> Tensor<1, Int> {
        indices(rows, &self.device)
    }
}
