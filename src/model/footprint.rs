//! How much memory a job on the CPU will need at most, told before it starts.
//!
//! The sum of five terms, each an upper bound of what is alive at the worst moment, the backward pass of an update:
//!
//! | term | bytes |
//! |---|---|
//! | weights | those in memory, counted once however many models share them: 4 a number, 2 where bf16 loses nothing |
//! | training | 4 for each trained number, times its moments (2); the gradients of networks that are done (1), and of the network at hand, for each worker, its own sum and the gradient of the part at hand (2, or 1 where a worker has a single part) |
//! | activations | 4 for each number that the backward pass reads again: a token and trained layer has 4 hidden + 2 queries + 2 keys + 3 inner + 9 ranks (1 inner and half a gate less without a gate) |
//! | logits | 4 for each number of a chunk of the head, times 3: the logits, their softmax and its gradient; 6 more where a matrix unit multiplies the gradient's parts |
//! | program | what the process holds besides: code, tokenizer, caches |
//!
//! Activations and logits count for every worker. Memory grows with the tokens that are taken through the network at a time, not with
//! tokens × vocabulary: the head's chunks have a size of their own.
//!
//! Told and found, on 2 cores, in MiB (`VmHWM`); `rlhf bench` shows both for its own work:
//!
//! | job | told | found |
//! |---|---|---|
//! | PPO iteration of `rlhf bench`, SmolLM2-135M in f32, LoRA of rank 16 | 1252 | 1208 |
//! | reward step of `rlhf bench`, the same model | 1233 | 1164 |
//! | `rlhf ppo`, a step of 8 answers of 64 tokens, 1.2 B numbers (the shape of Llama 3.2 1B) in bf16, LoRA, a reward model of that size with weights of its own | 6220 | 6090 |
//! | `rlhf reward train`, 4 pairs at a time, the same model | 3232 | 3171 |

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use burn::tensor::Tensor;

use crate::kernels::{Panels, has_matrix_unit};

use super::attention::QueryKeyValue;
use super::linear::{Layout, Linear};
use super::parameters::{Parameters, Visitor};
use super::transformer::{Block, Decoder, Mlp};
use super::workers::{turns, workers};

/// What a process holds before any model.
const PROGRAM: usize = 70 << 20;
/// Of AdamW.
const MOMENTS: usize = 2;
/// Copies of a chunk of logits that are alive together.
const CHUNKS: usize = 3;
/// Bytes of a number in three parts of bf16.
const PARTS: usize = 6;

/// Weights in memory, each counted once.
#[derive(Debug, Default)]
pub struct Held {
    seen: BTreeSet<usize>,
    bytes: usize,
}

impl Held {
    /// Counts a decoder's weights that have not been counted yet.
    #[must_use]
    pub fn and(mut self, decoder: &Decoder) -> Self {
        let mut decoder = decoder.clone();
        decoder.frozen = true; // so that what is packed stays packed
        decoder.visit(&mut self);
        self
    }
}

impl Visitor for Held {
    fn visit<const D: usize>(&mut self, _: &str, _: bool, tensor: &mut Tensor<D>) {
        self.bytes += 4 * tensor.dims().iter().product::<usize>();
    }

    fn visit_packed(&mut self, _: &str, panels: &Arc<Panels>, _: Layout) {
        if self.seen.insert(Arc::as_ptr(panels).addr()) {
            self.bytes += panels.bytes();
        }
    }
}

/// Rows that are taken through the network and back together.
#[derive(Debug, Clone, Copy)]
pub struct Microbatch {
    /// Rows; the workers share them.
    pub rows: usize,
    /// Tokens of the longest.
    pub length: usize,
    /// Logits that a worker makes of a row.
    pub logits: usize,
    /// Most logits that a worker makes at a time.
    pub chunk: usize,
}

/// Bytes, term by term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Footprint {
    /// Weights.
    pub weights: usize,
    /// Trained numbers with their moments and gradients.
    pub training: usize,
    /// What the backward pass reads again.
    pub activations: usize,
    /// A chunk of the head.
    pub logits: usize,
    /// The rest.
    pub program: usize,
}

impl Footprint {
    /// For a job that trains `trained` numbers of `decoder` (and perhaps of others like it).
    pub fn new(held: &Held, trained: usize, decoder: &Decoder, batch: Microbatch) -> Self {
        let device = decoder.embedding.device();
        let (most, tokens) = turns(decoder, &device);
        let workers = workers(&device).min(most).min(batch.rows.max(1));
        let share = batch.rows.div_ceil(workers);
        let rows = share.div_ceil((share * batch.length).div_ceil(tokens).max(1));
        let gradients = if rows < share { 2 } else { 1 };
        let at_hand = decoder.clone().count().0;
        let kept = rows * batch.length * numbers_kept(decoder);
        let logits = batch.chunk.min(rows * batch.logits);
        let parts = if has_matrix_unit() { PARTS } else { 0 };
        Self {
            weights: held.bytes,
            training: 4
                * (trained * MOMENTS
                    + trained.saturating_sub(at_hand)
                    + at_hand * workers * gradients),
            activations: 4 * workers * kept,
            logits: workers * logits * (4 * CHUNKS + parts),
            program: PROGRAM,
        }
    }

    /// In words, with what to do if the machine has not got it; the weights are there already.
    pub fn told(&self, available: Option<u64>) -> String {
        let more = self.beside_weights() as u64;
        match available.filter(|&available| available < more) {
            Some(available) => format!(
                "{self}; only {} MB are left: lower per_device_train_batch_size, train adapters (use_peft) or close other programs",
                available >> 20
            ),
            None => self.to_string(),
        }
    }

    /// All but the weights.
    pub fn beside_weights(&self) -> usize {
        self.total() - self.weights
    }

    /// All of it.
    pub fn total(&self) -> usize {
        self.weights + self.training + self.activations + self.logits + self.program
    }
}

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = |bytes: usize| bytes >> 20;
        write!(
            f,
            "memory: about {} MB at most (weights {}, training {}, activations {}, logits {}, program {})",
            megabytes(self.total()),
            megabytes(self.weights),
            megabytes(self.training),
            megabytes(self.activations),
            megabytes(self.logits),
            megabytes(self.program),
        )
    }
}

/// Numbers that the layers above the constant ones keep of a token for their backward pass.
fn numbers_kept(decoder: &Decoder) -> usize {
    let constant = decoder.constant_layers();
    let blocks = decoder.blocks[constant..].iter();
    let of_block = |block: &Block| {
        let attention = &block.attention;
        let outputs = |linear: &Linear| linear.widths()[1];
        let inputs: usize = match &attention.qkv {
            QueryKeyValue::Split(projections) => projections.iter().map(outputs).sum(),
            QueryKeyValue::Fused(projection) => outputs(projection),
        };
        let [attended, hidden] = attention.output.widths();
        let inner = match &block.mlp {
            Mlp::Gated { projections, .. } => 3 * outputs(&projections[0]),
            Mlp::Plain { projections, .. } => 2 * outputs(&projections[0]),
        };
        4 * hidden + inputs + attended + inner + ranks(block)
    };
    blocks.map(of_block).sum()
}

fn ranks(block: &Block) -> usize {
    let rank = |linear: &Linear| linear.lora.as_ref().map_or(0, |lora| lora.a.dims()[0]);
    block.linears().map(rank).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device;
    use crate::model::{LanguageModel, LoraConfig};

    /// By hand, from the sizes in `embedded/config.json`: 4 layers, hidden 192, inner 512, vocabulary 2048, f16 that bf16 can't hold.
    #[test]
    fn the_terms_are_those_of_the_embedded_model() {
        let device = device::cpu().device;
        let mut decoder = LanguageModel::embedded(&device).unwrap().decoder;
        let lora = LoraConfig {
            r: 8,
            alpha: 16.0,
            target_modules: vec!["all-linear".to_owned()],
            layers: crate::model::lora::Layers::All,
        };
        decoder.attach_lora(&lora, 0).unwrap();
        let trained = decoder.count().0;
        assert_eq!(trained, 4 * 8 * (4 * (192 + 192) + 3 * (192 + 512)));
        let batch = Microbatch {
            rows: 1,
            length: 64,
            logits: 64 * 2048,
            chunk: 1000,
        };
        let twice = Held::default().and(&decoder).and(&decoder.base());
        let once = Held::default().and(&decoder);
        let norms = 4 * 9 * 192;
        let found = Footprint::new(&once, trained, &decoder, batch);
        assert_eq!(
            twice.bytes,
            found.weights + norms,
            "what is packed is shared"
        );
        let packed = 4 * (2048 * 192 + 4 * (4 * 192 * 192 + 3 * 192 * 512));
        assert_eq!(found.weights, packed + norms + 4 * trained);
        assert_eq!(found.training, 4 * trained * (2 + 1));
        let kept = 4 * (4 * 192 + 4 * 192 + 3 * 512 + 7 * 8);
        assert_eq!((found.activations, kept), (4 * 64 * kept, 12_512));
        let parts = if has_matrix_unit() { 6 } else { 0 };
        assert_eq!(found.logits, 1000 * (4 * 3 + parts));
    }

    #[test]
    fn what_is_missing_is_told() {
        let footprint = Footprint {
            weights: 500 << 20,
            training: 100 << 20,
            activations: 200 << 20,
            logits: 50 << 20,
            program: 50 << 20,
        };
        let text = "memory: about 900 MB at most (weights 500, training 100, activations 200, logits 50, program 50)";
        assert_eq!(footprint.told(Some(400 << 20)), text);
        assert_eq!(footprint.told(None), text);
        let short = footprint.told(Some(399 << 20));
        assert!(short.starts_with(text) && short.contains("; only 399 MB are left: lower "));
    }
}
