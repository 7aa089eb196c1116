//! How long a job on the CPU will take, told before it starts.
//!
//! Most of it is products, so the time is arithmetic over the speed of products, and something for the rest. A token is multiplied by
//! every number of the layers on its way forward: two operations each, a product and a sum. Its gradient takes two more on the way back, and
//! the number's own gradient two more if it is trained. Attention counts as numbers that are trained: as many as a layer's queries are wide,
//! times the tokens of a row (half of them are in the past, each is met twice). Layers that never change have no way back.
//!
//! The speed is measured in the moment, so the estimate holds while the machine stays as busy as it is; told and found are compared by
//! `rlhf bench`.

use crate::kernels::{
    MatmulPrecision, has_matrix_unit, product_flops_per_second, vector_flops_per_second,
};

use super::linear::Linear;
use super::transformer::{Block, Decoder};

/// Rows that are decoded in the time of one: reading the weights takes as long.
const ROWS_AT_ONCE: f64 = 6.0;
/// What is not a product grows with a layer's width, where products grow with its square. In a layer of this width it takes as long as the
/// products do that vectors make in f32: 160 was found with SmolLM2 on a Zen 4 (the rest is 2.7 s of 12.5 in f32, 2.8 of 8.0 in bf16), 320 to 370
/// on a Xeon with half the memory's speed; this lies between.
const WIDTH_OF_EQUAL_PARTS: f64 = 260.0;

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
        Self {
            below: sum(below, &all),
            frozen,
            trained: sum(above, &all) - frozen,
            head: (decoder.config.vocab_size * decoder.config.hidden_size) as f64,
            head_is_trained: decoder.trains_head(),
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

    /// Operations that take as long as decoding `tokens`, `rows` at a time.
    pub fn decoding(&self, tokens: f64, rows: usize) -> f64 {
        let waiting = (ROWS_AT_ONCE / rows.max(1) as f64).max(1.0);
        waiting * (self.forward(tokens) + self.logits(tokens))
    }
}

fn dense(block: &Block) -> usize {
    let numbers = block.linears().map(Linear::widths);
    numbers.map(|[inputs, outputs]| inputs * outputs).sum()
}

fn adapters(block: &Block) -> usize {
    let all = block.linears().filter_map(|linear| linear.lora.as_ref());
    all.map(|lora| lora.a.shape().num_elements() + lora.b.shape().num_elements())
        .sum()
}

/// What a step of a job does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepWork {
    /// Multiplications and additions of its products.
    pub operations: f64,
    /// The width of the layers that do most of it.
    pub hidden: usize,
}

/// Seconds that `work` takes at the speed that the machine has now, which is measured.
pub fn seconds(work: StepWork, precision: MatmulPrecision) -> f64 {
    let of_vectors = vector_flops_per_second();
    let speed = match precision {
        MatmulPrecision::F32 if !has_matrix_unit() => of_vectors,
        _ => product_flops_per_second(precision),
    };
    seconds_at(work, speed, of_vectors)
}

fn seconds_at(work: StepWork, speed: f64, of_vectors: f64) -> f64 {
    let rest = WIDTH_OF_EQUAL_PARTS / work.hidden.max(1) as f64;
    work.operations * (1.0 / speed + rest / of_vectors)
}

/// What a job of `steps` steps of `work` takes, in words.
pub fn told(work: StepWork, precision: MatmulPrecision, steps: usize) -> String {
    in_words(seconds(work, precision), steps)
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
    fn a_single_row_is_decoded_in_the_time_of_six() {
        let work = embedded(None);
        let token = 2.0 * (4.0 * (DENSE + ATTENTION) + HEAD);
        assert_eq!(work.decoding(64.0, 64), 64.0 * token);
        assert_eq!(work.decoding(64.0, 3), 2.0 * 64.0 * token);
        assert_eq!(work.decoding(64.0, 1), 6.0 * 64.0 * token);
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
    fn what_is_not_a_product_takes_as_long_in_any_precision() {
        let work = |hidden| StepWork {
            operations: 2.3e12,
            hidden,
        };
        assert_eq!(seconds_at(work(260), 2.3e11, 2.3e11), 10.0 + 10.0);
        assert_eq!(seconds_at(work(520), 2.3e11, 2.3e11), 10.0 + 5.0);
        assert_eq!(seconds_at(work(520), 9.2e11, 2.3e11), 2.5 + 5.0);
        for precision in [MatmulPrecision::F32, MatmulPrecision::Bf16] {
            let of = |operations| StepWork {
                operations,
                ..work(260)
            };
            let (little, more) = (seconds(of(1e9), precision), seconds(of(1e12), precision));
            assert!(
                little > 0.0 && little < more && more.is_finite(),
                "{little} {more}"
            );
        }
    }
}
