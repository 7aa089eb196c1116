//! How time grows with the rows that are sampled together, and memory with the tokens that are learnt from together.

use burn::tensor::Tensor;

use crate::model::TokenBatch;
use crate::policy::config::PpoConfig;
use crate::policy::lm_head::{self, Targets};

use super::work::tokens;
use super::{Bench, BenchError, Expected};

/// Rows sampled together: a step should take as long for many as for one until arithmetic is the limit.
const ROWS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
/// Rows learnt from together: memory should grow by the same for each, whatever the vocabulary.
const LEARNT_ROWS: [usize; 5] = [1, 2, 4, 8, 16];
const ROW_TOKENS: usize = 64;

impl Bench<'_> {
    pub(super) fn growth(&mut self) -> Result<(), BenchError> {
        self.sampling(&ROWS)?;
        let mut decoder = self.model.decoder.base();
        let config = PpoConfig {
            use_peft: true,
            ..PpoConfig::default()
        };
        if let Some(lora) = config.lora() {
            decoder.attach_lora(&lora, 0)?;
        }
        for rows in LEARNT_ROWS {
            let all: Vec<Vec<u32>> = (0..rows)
                .map(|row| tokens(&decoder, row, ROW_TOKENS))
                .collect();
            let all: Vec<&[u32]> = all.iter().map(Vec::as_slice).collect();
            let batch = TokenBatch::right_padded(&all, 0, 0);
            let targets = Targets {
                at: (0..batch.ids.len() - 1).collect(),
                labels: batch.ids[1..].to_vec(),
            };
            let count = batch.ids.len();
            let name = format!("forward and backward, {count} tokens");
            self.measure(&name, count, Expected::default(), || {
                let loss = |_, logprobs: Tensor<1>, _| logprobs.ones_like();
                lm_head::gradients(&decoder, &batch, &targets, 1.0, loss);
                Ok(Vec::new())
            })?;
        }
        Ok(())
    }
}
