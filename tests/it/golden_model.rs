//! The decoder computes what transformers and PEFT compute.
//!
//! Every folder under `tests/fixtures/models` holds weights and an `expected.json` made by `make_models.py` with PyTorch.

use std::path::{Path, PathBuf};

use burn::tensor::{Tensor, TensorData};
use rlhf::device;
use rlhf::model::attention::KvCache;
use rlhf::model::language_model::load_scalar_model;
use rlhf::model::lora::{Layers, Lora, uniform};
use rlhf::model::weights::{TensorSource, WeightFiles};
use rlhf::model::{Decoder, LanguageModel, Linear, LoraConfig, TokenBatch};
use serde::Deserialize;

const LANGUAGE_MODELS: [&str; 12] = [
    "gpt2-tiny",
    "gpt2-bare-tiny",
    "llama-tiny",
    "llama-sharded-tiny",
    "llama-f16-tiny",
    "llama-bf16-tiny",
    "llama-linear-rope-tiny",
    "llama3-rope-tiny",
    "mistral-tiny",
    "mistral-window-tiny",
    "qwen2-tiny",
    "qwen3-tiny",
];

#[derive(Deserialize)]
pub struct Expected {
    pub input_ids: Vec<Vec<u32>>,
    pub attention_mask: Vec<Vec<u8>>,
    position_ids: Vec<Vec<usize>>,
    pub logits_f32: Vec<Vec<Vec<f32>>>,
    pub greedy_ids: Vec<u32>,
    greedy_step_logits_first8: Vec<Vec<f32>>,
}

#[derive(Deserialize)]
struct ExpectedScores {
    input_ids: Vec<Vec<u32>>,
    score_positions: Vec<usize>,
    scores_f32: Vec<f32>,
}

pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/models")
        .join(name)
}

fn read<T: for<'a> Deserialize<'a>>(name: &str) -> T {
    let bytes = std::fs::read(fixture(name).join("expected.json")).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

pub fn expected(name: &str) -> Expected {
    read(name)
}

pub fn load(folder: &Path) -> Decoder {
    LanguageModel::load(folder, &device::cpu().device)
        .unwrap()
        .decoder
}

/// Adapters of rank 3 on every projection of `layers`.
pub fn lora(layers: Layers) -> LoraConfig {
    LoraConfig {
        r: 3,
        alpha: 6.0,
        target_modules: vec!["all-linear".to_owned()],
        layers,
    }
}

/// Makes a new adapter do something: its B is no longer 0.
pub fn stir(projection: &mut Linear, seed: u64) {
    let adapter = projection.lora.as_mut().unwrap();
    let [rows, columns] = adapter.b.dims();
    let values = uniform(rows * columns, 0.2, seed, &projection.name);
    let b = Tensor::<1>::from_floats(values.as_slice(), &adapter.b.device());
    adapter.b = b.reshape([rows, columns]);
}

/// `[batch · time][vocabulary]`.
pub fn logits(decoder: &Decoder, tokens: &TokenBatch) -> Vec<Vec<f32>> {
    rows(
        decoder
            .hidden(tokens)
            .matmul(decoder.head_weight().transpose()),
    )
}

fn rows(matrix: Tensor<2>) -> Vec<Vec<f32>> {
    let width = matrix.dims()[1];
    let values: Vec<f32> = matrix.into_data().iter().collect();
    values.chunks(width).map(<[f32]>::to_vec).collect()
}

fn batch(expected: &Expected) -> TokenBatch {
    TokenBatch {
        ids: expected.input_ids.concat(),
        mask: expected
            .attention_mask
            .concat()
            .iter()
            .map(|&m| m == 1)
            .collect(),
        batch: expected.input_ids.len(),
        time: expected.input_ids[0].len(),
    }
}

fn largest_difference(ours: &[f32], theirs: &[f32]) -> f32 {
    assert_eq!(ours.len(), theirs.len());
    ours.iter()
        .zip(theirs)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

fn assert_same_logits(name: &str, decoder: &Decoder, expected: &Expected) {
    let tokens = batch(expected);
    let ours = logits(decoder, &tokens);
    let theirs = expected.logits_f32.concat();
    let mut compared = 0;
    for (index, _) in tokens.mask.iter().enumerate().filter(|(_, real)| **real) {
        let difference = largest_difference(&ours[index], &theirs[index]);
        assert!(
            difference < 1e-4,
            "{name}, flat position {index}: logits differ by {difference}"
        );
        compared += 1;
    }
    assert_eq!(compared, 32, "13 + 8 + 11 real tokens");
}

/// Greedy decoding through the cache, one token at a time, compared with full forward passes of transformers.
fn assert_same_greedy_steps(name: &str, decoder: &Decoder, expected: &Expected) {
    let device = device::cpu().device;
    let prompt = expected.input_ids[0].as_slice();
    let mut cache = KvCache::new(&decoder.config, 1, expected.greedy_ids.len(), &device);
    let mut next = TokenBatch::left_padded(&[prompt], 0, 0);
    for (step, first8) in expected.greedy_step_logits_first8.iter().enumerate() {
        let hidden = decoder.extend(&next, &mut cache);
        let logits = rows(hidden.matmul(decoder.head_weight().transpose()))
            .pop()
            .unwrap();
        let difference = largest_difference(&logits[..8], first8);
        assert!(
            difference < 1e-4,
            "{name}, step {step}: logits differ by {difference}"
        );
        let best = (0..logits.len())
            .max_by(|&a, &b| logits[a].total_cmp(&logits[b]))
            .unwrap();
        assert_eq!(
            best as u32,
            expected.greedy_ids[prompt.len() + step],
            "{name}, step {step}"
        );
        next = TokenBatch::left_padded(&[&[best as u32]], 0, 0);
    }
}

#[test]
fn logits_of_left_padded_batches_are_those_of_transformers() {
    for name in LANGUAGE_MODELS {
        assert_same_logits(name, &load(&fixture(name)), &expected(name));
    }
}

#[test]
fn cached_decoding_computes_what_full_forward_passes_compute() {
    for name in LANGUAGE_MODELS {
        assert_same_greedy_steps(name, &load(&fixture(name)), &expected(name));
    }
}

#[test]
fn the_config_spelling_of_transformers_4_means_the_same() {
    let mut tried = 0;
    for name in LANGUAGE_MODELS {
        let old = fixture(name).join("config_old.json");
        if !old.exists() {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        for entry in std::fs::read_dir(fixture(name)).unwrap() {
            let path = entry.unwrap().path();
            std::fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
        }
        std::fs::copy(old, folder.path().join("config.json")).unwrap();
        assert_same_logits(name, &load(folder.path()), &expected(name));
        tried += 1;
    }
    assert_eq!(tried, 7);
}

#[test]
fn position_ids_count_the_real_tokens() {
    let expected = expected("llama-tiny");
    let tokens = batch(&expected);
    let theirs = expected.position_ids.concat();
    let ours = tokens.positions();
    for index in (0..ours.len()).filter(|&i| tokens.mask[i]) {
        assert_eq!(ours[index], theirs[index]);
    }
}

#[test]
fn more_left_padding_changes_no_log_probability() {
    for name in LANGUAGE_MODELS {
        let decoder = load(&fixture(name));
        let expected = expected(name);
        let prompt = expected.input_ids[0].as_slice();
        let plain = logits(&decoder, &TokenBatch::left_padded(&[prompt], 0, 0));
        for pad in [1, 7, 32] {
            let padded = logits(
                &decoder,
                &TokenBatch::left_padded(&[prompt], 0, prompt.len() + pad),
            );
            for (index, &next) in prompt[1..].iter().enumerate() {
                let difference =
                    (logprob(&padded[pad + index], next) - logprob(&plain[index], next)).abs();
                assert!(
                    difference < 1e-5,
                    "{name}: {pad} pads change a log-probability by {difference}"
                );
            }
        }
    }
}

/// log p of one token, in f64.
pub fn logprob(logits: &[f32], token: u32) -> f64 {
    let sum: f64 = logits.iter().map(|&z| f64::from(z).exp()).sum();
    f64::from(logits[token as usize]) - sum.ln()
}

/// Both the adapter beside its frozen base and the merged weights, against PEFT.
#[test]
fn adapters_compute_what_peft_computes() {
    for (name, base, projections) in [
        ("llama-lora-tiny", "llama-tiny", 21),
        ("gpt2-lora-tiny", "gpt2-tiny", 8),
    ] {
        let mut decoder = load(&fixture(base));
        assert_eq!(put_adapters(&mut decoder, &fixture(name)), projections);
        let expected = expected(name);
        assert_same_logits(name, &decoder, &expected);
        assert_same_greedy_steps(name, &decoder, &expected);
        assert_same_logits(name, &decoder.merged(), &expected);
        assert_same_logits(base, &decoder.base(), &self::expected(base));
    }
}

fn put_adapters(decoder: &mut Decoder, folder: &Path) -> usize {
    let config: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("adapter_config.json")).unwrap())
            .unwrap();
    let rank = config["r"].as_u64().unwrap() as usize;
    let scale = config["lora_alpha"].as_f64().unwrap() / rank as f64;
    let files = WeightFiles::open_file(&folder.join("adapter_model.safetensors")).unwrap();
    let mut attached = 0;
    for projection in decoder.projections() {
        let [inputs, outputs] = projection.widths();
        let take = |part: &str, shape: [usize; 2]| {
            let values = files
                .take(
                    &format!("base_model.model.{}.{part}.weight", projection.name),
                    &shape,
                )
                .unwrap();
            Tensor::<2>::from_data(TensorData::new(values, shape), &device::cpu().device)
        };
        let (a, b) = (
            take("lora_A", [rank, inputs]),
            take("lora_B", [outputs, rank]),
        );
        projection.lora = Some(Lora { a, b, scale });
        attached += 1;
    }
    attached
}

#[test]
fn scores_of_right_padded_batches_are_those_of_transformers() {
    for name in ["llama-score-tiny", "gpt2-score-tiny"] {
        let (model, _) = load_scalar_model(&fixture(name), &device::cpu().device).unwrap();
        let expected: ExpectedScores = read(name);
        let rows: Vec<&[u32]> = expected
            .input_ids
            .iter()
            .zip(&expected.score_positions)
            .map(|(row, last)| &row[..=*last])
            .collect();
        let tokens = TokenBatch::right_padded(&rows, 0, 0);
        let scores: Vec<f32> = model
            .at(&tokens, &tokens.last_real())
            .into_data()
            .iter()
            .collect();
        let difference = largest_difference(&scores, &expected.scores_f32);
        assert!(difference < 1e-4, "{name}: scores differ by {difference}");
    }
}
