//! The two forward passes of decoding: over prompts, and over one new token of every row.

use burn::tensor::{Device, Tensor};

use crate::model::attention::KvCache;
use crate::model::tokens::indices;
use crate::model::{Decoder, TokenBatch};

/// A decoder as decoding uses it.
pub(super) struct Network<'a> {
    decoder: &'a Decoder,
    device: Device,
}

impl<'a> Network<'a> {
    pub(super) fn new(decoder: &'a Decoder) -> Self {
        let device = decoder.embedding.device();
        Self { decoder, device }
    }

    /// Runs the prompts, left-padded, into a new cache with room for `budget` more tokens of each. Returns the logits of
    /// each prompt's first new token, `[prompts · vocabulary]`.
    pub(super) fn prefill(&self, prompts: &[&[u32]], budget: usize) -> (KvCache, Vec<f32>) {
        let tokens = TokenBatch::left_padded(prompts, 0, 0);
        let capacity = tokens.time + budget;
        let mut cache = KvCache::new(&self.decoder.config, tokens.batch, capacity, &self.device);
        let hidden = self.decoder.extend(&tokens, &mut cache);
        let last = (1..=tokens.batch).map(|row| row * tokens.time - 1);
        let logits = self.logits(hidden.select(0, indices(last, &self.device)));
        (cache, logits)
    }

    /// Runs one more token of every row. Returns the logits of the tokens after them, `[rows · vocabulary]`.
    pub(super) fn step(&self, ids: Vec<u32>, cache: &mut KvCache) -> Vec<f32> {
        let (mask, batch) = (vec![true; ids.len()], ids.len());
        let hidden = self.decoder.extend(
            &TokenBatch {
                ids,
                mask,
                batch,
                time: 1,
            },
            cache,
        );
        self.logits(hidden)
    }

    /// Makes `rows` the cache's rows; a row may be left out, or repeated.
    pub(super) fn keep(&self, cache: &mut KvCache, rows: &[usize]) {
        let all = rows.len() == cache.tokens.batch;
        if !(all && rows.iter().enumerate().all(|(index, &row)| index == row)) {
            cache.keep_rows(rows, &self.device);
        }
    }

    /// Logits of hidden states `[n, hidden]`, on the host.
    fn logits(&self, hidden: Tensor<2>) -> Vec<f32> {
        let logits = self.decoder.logits(hidden);
        logits
            .into_data()
            .convert::<f32>()
            .try_into_vec()
            .unwrap_or_default()
    }
}
