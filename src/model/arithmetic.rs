//! How long a job on the CPU will take, told before it starts.
//!
//! Most of it is products, so the time is arithmetic over the speed of products, and something for the rest, which waits for memory; so does
//! decoding, where the weights are read for a few rows. A token is multiplied by every number of the layers on its way forward: two operations
//! each, a product and a sum. Its gradient takes two more on the way back, and the number's own gradient two more if it is trained. Attention
//! counts as numbers that are trained: as many as a layer's queries are wide, times the tokens of a row (half of them are in the past, each is met
//! twice). Layers that never change have no way back.
//!
//! The speeds are measured in the moment, so the estimate holds while the machine stays as busy as it is; told and found are compared by
//! `rlhf bench`.

use crate::kernels::{MatmulPrecision, Precision, bytes_per_second, product_flops_per_second};

use super::footprint::Footprint;
use super::linear::Linear;
use super::transformer::{Block, Decoder};

/// What is not a product grows with a layer's width, where products grow with its square: so many bytes to and from memory for each operation of
/// a product, over the width. PPO on SmolLM2 leaves 35 in f32, on a Zen 4 (2.7 s of 12.5, 50 GB/s) as on a Xeon (4.6 s of 9.1, 29.5 GB/s), and some
/// 25 in bf16.
const BYTES_BESIDE: f64 = 28.0;
/// Bytes by which the memory's speed is measured at most, while a job waits.
const STREAMED: usize = 256 << 20;

/// Numbers of a network that each token is multiplied by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenWork {
    /// In the lower layers that never change.
    below: f64,
    /// In the others: frozen weights.
    frozen: f64,
    /// In the others: trained weights, and attention.
    trained: f64,
    /// In the language-model head.
    head: f64,
    head_is_trained: bool,
    /// Bytes of the weights that a pass with logits reads.
    bytes: usize,
    largest: Largest,
}

impl TokenWork {
    /// Of the layers of `decoder` and the language-model head over them, in rows of `length` tokens.
    pub fn of(decoder: &Decoder, length: usize) -> Self {
        let (below, above) = decoder.blocks.split_at(decoder.constant_layers());
        let attention = |block: &Block| block.attention.output.widths()[0] * length;
        let all = |block: &Block| dense(block) + adapters(block) + attention(block);
        let sum = |blocks: &[Block], of: &dyn Fn(&Block) -> usize| {
            blocks.iter().map(of).sum::<usize>() as f64
        };
        let frozen = if decoder.frozen {
            sum(above, &dense)
        } else {
            0.0
        };
        let linears = || decoder.blocks.iter().flat_map(Block::linears);
        let bytes = |linear: &Linear| numbers(linear) * linear.kept().bytes();
        Self {
            below: sum(below, &all),
            frozen,
            trained: sum(above, &all) - frozen,
            head: (decoder.config.vocab_size * decoder.config.hidden_size) as f64,
            head_is_trained: decoder.trains_head(),
            bytes: linears().map(bytes).sum::<usize>() + decoder.head_table().bytes(),
            largest: Largest::of(linears()),
        }
    }

    /// Operations of a forward pass over `tokens`.
    pub fn forward(&self, tokens: f64) -> f64 {
        2.0 * self.below * tokens + self.forward_above(tokens)
    }

    /// The same where the output of the layers that never change is known.
    pub fn forward_above(&self, tokens: f64) -> f64 {
        2.0 * (self.frozen + self.trained) * tokens
    }

    /// Operations of a forward and a backward pass over `tokens`, from the layers that never change on.
    pub fn learning(&self, tokens: f64) -> f64 {
        (4.0 * self.frozen + 6.0 * self.trained) * tokens
    }

    /// Operations of the logits of `tokens`.
    pub fn logits(&self, tokens: f64) -> f64 {
        2.0 * self.head * tokens
    }

    /// The same with their backward pass.
    pub fn learning_logits(&self, tokens: f64) -> f64 {
        let each = if self.head_is_trained { 6.0 } else { 4.0 };
        each * self.head * tokens
    }

    /// Decoding `rows` answers of `length` side by side.
    pub fn decoding(&self, rows: usize, length: usize) -> Decoding {
        let tokens = (rows * length) as f64;
        Decoding {
            operations: self.forward(tokens) + self.logits(tokens),
            bytes: self.bytes as f64 * length as f64,
        }
    }

    /// A step of so many operations with this network, after answers were decoded.
    pub fn step(&self, operations: f64, decoding: Decoding) -> StepWork {
        StepWork {
            operations,
            decoding,
            largest: self.largest,
        }
    }
}

fn numbers(linear: &Linear) -> usize {
    linear.widths().iter().product()
}

fn dense(block: &Block) -> usize {
    block.linears().map(numbers).sum()
}

fn adapters(block: &Block) -> usize {
    let all = block.linears().filter_map(|linear| linear.lora.as_ref());
    all.map(|lora| lora.a.shape().num_elements() + lora.b.shape().num_elements())
        .sum()
}

/// The largest weight of a layer, for which the speed of products is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Largest {
    /// Inputs and outputs.
    widths: [usize; 2],
    kept: Precision,
}

impl Largest {
    fn of<'a>(linears: impl Iterator<Item = &'a Linear>) -> Self {
        let largest = linears.max_by_key(|linear| numbers(linear));
        largest.map_or(
            Self {
                widths: [1, 1],
                kept: Precision::F32,
            },
            |linear| Self {
                widths: linear.widths(),
                kept: linear.kept(),
            },
        )
    }
}

/// What drawing answers takes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Decoding {
    /// Multiplications and additions.
    operations: f64,
    /// Bytes of weights that are read.
    bytes: f64,
}

/// What a step of a job does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepWork {
    /// Multiplications and additions of its products, those of decoding apart.
    pub operations: f64,
    decoding: Decoding,
    largest: Largest,
}

/// What the machine does in a second.
#[derive(Debug, Clone, Copy)]
struct Speeds {
    /// Multiplications and additions in products.
    operations: f64,
    /// Bytes from memory.
    bytes: f64,
}

/// Seconds that `work` takes at the speed that the machine has now, which is measured in the memory that the job will need besides its weights:
/// to tell its time it takes no more.
pub fn seconds(work: StepWork, precision: MatmulPrecision, footprint: &Footprint) -> f64 {
    let Largest { widths, kept } = work.largest;
    let speeds = Speeds {
        operations: product_flops_per_second(precision, widths, kept),
        bytes: bytes_per_second(footprint.beside_weights().min(STREAMED)),
    };
    seconds_at(work, speeds)
}

fn seconds_at(work: StepWork, speeds: Speeds) -> f64 {
    let Decoding { operations, bytes } = work.decoding;
    let [inputs, outputs] = work.largest.widths;
    let beside = BYTES_BESIDE / inputs.min(outputs) as f64 / speeds.bytes;
    let of = |operations: f64| operations * (1.0 / speeds.operations + beside);
    of(work.operations) + of(operations).max(bytes / speeds.bytes)
}

/// What a job of `steps` steps of `work` takes, in words.
pub fn told(
    work: StepWork,
    precision: MatmulPrecision,
    footprint: &Footprint,
    steps: usize,
) -> String {
    in_words(seconds(work, precision, footprint), steps)
}

fn in_words(seconds: f64, steps: usize) -> String {
    format!(
        "time: about {} a step, {} for {steps} steps, with the machine as busy as it is now",
        rounded(seconds),
        rounded(seconds * steps as f64)
    )
}

/// `0.3 s`, `16 s`, `12 min`, `3.5 h`.
fn rounded(seconds: f64) -> String {
    match seconds {
        ..9.95 => format!("{seconds:.1} s"),
        ..99.5 => format!("{seconds:.0} s"),
        ..5970.0 => format!("{:.0} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device;
    use crate::model::lora::Layers;
    use crate::model::{LanguageModel, LoraConfig};

    /// A layer of the embedded model, from `embedded/config.json`: hidden 192, inner 512; with adapters of rank 8; and its attention over 50 tokens.
    const DENSE: f64 = (4 * 192 * 192 + 3 * 192 * 512) as f64;
    const ADAPTERS: f64 = (8 * (4 * (192 + 192) + 3 * (192 + 512))) as f64;
    const ATTENTION: f64 = (192 * 50) as f64;
    const HEAD: f64 = (2048 * 192) as f64;

    fn embedded(layers: Option<Layers>) -> TokenWork {
        let mut decoder = LanguageModel::embedded(&device::cpu().device)
            .unwrap()
            .decoder;
        if let Some(layers) = layers {
            let lora = LoraConfig {
                r: 8,
                alpha: 16.0,
                target_modules: vec!["all-linear".to_owned()],
                layers,
            };
            decoder.attach_lora(&lora, 0).unwrap();
        }
        TokenWork::of(&decoder, 50)
    }

    #[test]
    fn a_frozen_number_costs_four_operations_and_a_trained_one_six() {
        let work = embedded(Some(Layers::All));
        let layer = 4.0 * DENSE + 6.0 * (ADAPTERS + ATTENTION);
        assert_eq!(work.learning(10.0), 10.0 * 4.0 * layer);
        assert_eq!(work.learning_logits(3.0), 3.0 * 4.0 * HEAD);
        let all = embedded(None);
        assert_eq!(all.learning(10.0), 10.0 * 4.0 * 6.0 * (DENSE + ATTENTION));
        assert_eq!(all.learning_logits(3.0), 3.0 * 6.0 * HEAD);
    }

    #[test]
    fn layers_below_the_adapters_have_no_way_back() {
        let work = embedded(Some(Layers::Last(1)));
        let forward = 2.0 * (DENSE + ATTENTION);
        let layer = 4.0 * DENSE + 6.0 * (ADAPTERS + ATTENTION);
        assert_eq!(work.learning(7.0), 7.0 * layer);
        assert_eq!(work.forward_above(7.0), 7.0 * (forward + 2.0 * ADAPTERS));
        assert_eq!(
            work.forward(7.0),
            work.forward_above(7.0) + 7.0 * 3.0 * forward
        );
    }

    #[test]
    fn decoding_reads_all_weights_for_each_token() {
        let work = embedded(None);
        let token = 2.0 * (4.0 * (DENSE + ATTENTION) + HEAD);
        let decoding = work.decoding(3, 64);
        assert_eq!(decoding.operations, 3.0 * 64.0 * token);
        // As much as it has in f32, or half of that where it is kept in bf16.
        let bytes = decoding.bytes / 64.0 / (4.0 * DENSE + HEAD);
        assert!(bytes == 4.0 || bytes == 2.0, "{bytes} bytes a number");
    }

    #[test]
    fn times_are_rounded_as_people_say_them() {
        let said = [0.26, 15.9, 99.7, 5400.0, 12_600.0].map(rounded);
        assert_eq!(said, ["0.3 s", "16 s", "2 min", "90 min", "3.5 h"]);
        assert_eq!(
            in_words(16.2, 30),
            "time: about 16 s a step, 8 min for 30 steps, with the machine as busy as it is now"
        );
    }

    #[test]
    fn what_is_not_a_product_and_decoding_wait_for_memory() {
        let work = |width, bytes| StepWork {
            operations: 1e12,
            decoding: Decoding {
                operations: 1e11,
                bytes,
            },
            largest: Largest {
                widths: [4 * width, width],
                kept: Precision::F32,
            },
        };
        let at = |operations, bytes| Speeds { operations, bytes };
        let found = [
            seconds_at(work(280, 0.0), at(2e11, 2e10)),
            seconds_at(work(560, 0.0), at(2e11, 2e10)),
            seconds_at(work(560, 0.0), at(8e11, 2e10)),
            // Decoding takes 0.75 s of these, or as long as its weights are read.
            seconds_at(work(560, 1e10), at(2e11, 2e10)),
            seconds_at(work(560, 4e10), at(2e11, 2e10)),
        ];
        // Products of the step and of decoding, and what comes beside them.
        let expected = [5.5 + 5.5, 5.5 + 2.75, 1.375 + 2.75, 7.5 + 0.75, 7.5 + 2.0];
        for (found, expected) in found.into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-9, "{found} for {expected}");
        }
    }

    #[test]
    fn more_work_takes_longer_in_every_precision() {
        let (work, footprint) = (embedded(None), Footprint::default());
        for precision in [MatmulPrecision::F32, MatmulPrecision::Bf16] {
            let of = |operations| {
                let work = work.step(operations, Decoding::default());
                seconds(work, precision, &footprint)
            };
            let (little, more) = (of(1e9), of(1e12));
            assert!(
                little > 0.0 && little < more && more.is_finite(),
                "{little} {more}"
            );
        }
    }
}
