//! An update with weight decay and a zero gradient: what shrinks by lr·λ, and what stays as it is to the bit.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use rlhf::algo::adamw::{AdamWConfig, EpsilonPlacement};
use rlhf::device;
use rlhf::model::language_model::load_scalar_model;
use rlhf::model::lora::Layers;
use rlhf::model::optimizer::{Optimizer, Update};
use rlhf::model::parameters::Visitor;
use rlhf::model::{GradientMap, LoraConfig, Parameters};

use crate::golden_model::{fixture, load};

/// Sets every number to 1.
struct Fill;

impl Visitor for Fill {
    fn visit<const D: usize>(&mut self, _name: &str, _trained: bool, tensor: &mut Tensor<D>) {
        *tensor = tensor.ones_like();
    }
}

/// The one value of each tensor, by name.
#[derive(Default)]
struct Values(BTreeMap<String, f32>);

impl Visitor for Values {
    fn visit<const D: usize>(&mut self, name: &str, _trained: bool, tensor: &mut Tensor<D>) {
        let values: Vec<f32> = tensor.to_data().iter().collect();
        assert!(values.iter().all(|value| *value == values[0]), "{name}");
        self.0.insert(name.to_owned(), values[0]);
    }
}

/// Names of the tensors of `model` that one update at lr = λ = ½ multiplies by ¾, numbers of layers left out; all others must keep
/// their ones.
fn shrunk(mut model: impl Parameters) -> Vec<String> {
    model.visit(&mut Fill);
    let config = AdamWConfig {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        epsilon_placement: EpsilonPlacement::PyTorch,
        weight_decay: 0.5,
    };
    let update = Optimizer::new(config, 1.0).step(&mut model, GradientMap::default(), 0.5);
    let expected = Update {
        grad_norm: 0.0,
        applied: true,
    };
    assert_eq!(update, expected);
    let mut values = Values::default();
    model.visit(&mut values);
    let mut shrunk: Vec<String> = Vec::new();
    for (name, value) in values.0 {
        assert!(value == 0.75 || value == 1.0, "{name}: {value}");
        if value == 0.75 {
            shrunk.push(
                name.replace(|c: char| c.is_ascii_digit(), "")
                    .replace("..", "."),
            );
        }
    }
    shrunk.sort();
    shrunk.dedup();
    shrunk
}

fn projections(prefix: &str, names: &[&str]) -> Vec<String> {
    names
        .iter()
        .map(|name| format!("{prefix}{name}.weight"))
        .collect()
}

const LLAMA: [&str; 7] = [
    "mlp.down_proj",
    "mlp.gate_proj",
    "mlp.up_proj",
    "self_attn.k_proj",
    "self_attn.o_proj",
    "self_attn.q_proj",
    "self_attn.v_proj",
];

#[test]
fn of_each_architecture_the_projections_and_an_untied_head_decay() {
    let gpt = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"];
    let gpt2 = shrunk(load(&fixture("gpt2-tiny")));
    assert_eq!(gpt2, projections("transformer.h.", &gpt));
    for (name, tied) in [
        ("llama-tiny", true),
        ("mistral-tiny", false),
        ("qwen2-tiny", false),
        ("qwen3-tiny", true),
    ] {
        let head = (!tied).then(|| "lm_head.weight".to_owned());
        let expected: Vec<String> = head
            .into_iter()
            .chain(projections("model.layers.", &LLAMA))
            .collect();
        assert_eq!(shrunk(load(&fixture(name))), expected, "{name}");
    }
}

#[test]
fn a_score_head_decays() {
    let (model, _) =
        load_scalar_model(&fixture("llama-score-tiny"), &device::cpu().device).unwrap();
    let mut expected = projections("model.layers.", &LLAMA);
    expected.push("score.weight".to_owned());
    assert_eq!(shrunk(model), expected);
}

#[test]
fn both_matrices_of_an_adapter_decay_and_the_frozen_weights_do_not() {
    let mut model = load(&fixture("qwen2-tiny"));
    let lora = LoraConfig {
        r: 2,
        alpha: 4.0,
        target_modules: vec!["q_proj".to_owned()],
        layers: Layers::All,
    };
    model.attach_lora(&lora, 1).unwrap();
    let expected =
        ["lora_A", "lora_B"].map(|m| format!("model.layers.self_attn.q_proj.{m}.weight"));
    assert_eq!(shrunk(model), expected);
}
