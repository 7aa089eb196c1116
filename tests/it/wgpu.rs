//! The GPU path computes what the CPU computes: one forward pass, one gradient, one PPO update, some answers of llama-tiny.
//!
//! Kernels are compiled and tuned on first use, a minute's work in software: one small case, on purpose. Without an
//! adapter the test says so and passes, unless `RLHF_REQUIRE_WGPU` is set.

use std::sync::OnceLock;

use burn::tensor::{DType, Device, FloatDType, Tensor};
use rlhf::device::{DeviceChoice, cpu};
use rlhf::generate::{Completion, FinishReason, Request, SamplerConfig, Settings, generate};
use rlhf::kernels::MatmulPrecision;
use rlhf::model::lora::Layers;
use rlhf::model::optimizer::Optimizer;
use rlhf::model::precision::{Halves, product};
use rlhf::model::{Decoder, GradientMap, LanguageModel, LoraConfig, TokenBatch};
use rlhf::policy::config::SftConfig;
use rlhf::policy::experience::Rows;
use rlhf::policy::lm_head::{self, Targets};

use crate::golden_model::fixture;
use crate::golden_ppo::Case;

const TOLERANCE: f64 = 1e-3;

/// The GPU, which a process opens once, or why there is none.
fn gpu() -> Option<Device> {
    static GPU: OnceLock<Option<Device>> = OnceLock::new();
    GPU.get_or_init(open_gpu).clone()
}

fn open_gpu() -> Option<Device> {
    match DeviceChoice::Wgpu(0).open() {
        Ok(chosen) => {
            println!("{}", chosen.name);
            Some(chosen.device)
        }
        Err(error) => {
            let required = std::env::var_os("RLHF_REQUIRE_WGPU").is_some();
            assert!(!required, "{error}");
            println!("not checked: {error}");
            None
        }
    }
}

/// The next-token loss of a right-padded batch.
fn gradients(policy: &Decoder) -> GradientMap {
    let rows: [&[u32]; 2] = [&[1, 5, 9, 2, 7, 3], &[4, 8, 6]];
    let tokens = TokenBatch::right_padded(&rows, 0, 0);
    let at = vec![0, 1, 2, 3, 4, 6, 7];
    let labels = at.iter().map(|i| tokens.ids[i + 1]).collect();
    let targets = Targets { at, labels };
    let loss = |_, logprobs: Tensor<1>, _| logprobs.ones_like() * (-1.0 / 7.0);
    lm_head::gradients(policy, &tokens, &targets, 1.0, loss)
}

#[track_caller]
fn rows_close(what: &str, ours: &Rows, golden: &Rows) {
    let pairs = ours.iter().flatten().zip(golden.iter().flatten());
    let worst = pairs
        .map(|(a, b)| f64::from(a - b).abs())
        .fold(0.0, f64::max);
    assert!(worst <= TOLERANCE, "{what}: off by {worst}");
    println!("{what}: off by at most {worst:e}");
}

/// ‖a − b‖ ≤ tolerance · ‖b‖ for each parameter.
#[track_caller]
fn gradients_close(ours: &GradientMap, golden: &GradientMap, tolerance: f64) {
    assert_eq!(
        ours.0.keys().collect::<Vec<_>>(),
        golden.0.keys().collect::<Vec<_>>()
    );
    for (name, golden) in &golden.0 {
        let numbers = |tensor: &Tensor<1>| tensor.to_data().iter::<f64>().collect::<Vec<f64>>();
        let (a, b) = (numbers(&ours.0[name]), numbers(golden));
        let norm = |x: &[f64]| x.iter().map(|x| x * x).sum::<f64>().sqrt();
        let difference: Vec<f64> = a.iter().zip(&b).map(|(a, b)| a - b).collect();
        assert!(norm(&b) > 0.0, "{name} has no gradient");
        assert!(
            norm(&difference) <= tolerance * norm(&b),
            "{name}: off by {} of {}",
            norm(&difference),
            norm(&b)
        );
    }
}

#[test]
fn an_adapter_that_is_not_there_is_an_error() {
    let error = DeviceChoice::Wgpu(99).open().unwrap_err().to_string();
    assert!(error.starts_with("--device wgpu:99: no such adapter ("));
    assert!(
        error.ends_with("use --device cpu or --device auto"),
        "{error}"
    );
}

#[test]
fn forward_gradient_and_ppo_update_agree_with_the_cpu() {
    let Some(device) = gpu() else { return };
    let (mut ours, mut golden) = (Case::on(&device), Case::on(&cpu().device));

    let (before, expected) = (ours.measured(), golden.measured());
    rows_close("logprobs", &before.logprobs, &expected.logprobs);
    rows_close("ref_logprobs", &before.ref_logprobs, &expected.ref_logprobs);
    rows_close("values", &before.values, &expected.values);

    gradients_close(
        &gradients(&ours.model.policy),
        &gradients(&golden.model.policy),
        TOLERANCE,
    );

    let report = |case: &mut Case| {
        let report = case.updates(1, 4).remove(0);
        assert!(report.applied);
        [report.policy_loss, report.value_loss, report.grad_norm]
    };
    for (ours, golden) in report(&mut ours).into_iter().zip(report(&mut golden)) {
        assert!(
            (ours - golden).abs() <= TOLERANCE * (1.0 + golden.abs()),
            "{ours} {golden}"
        );
    }
    let (after, expected_after) = (ours.measured(), golden.measured());
    rows_close("logprobs after", &after.logprobs, &expected_after.logprobs);
    rows_close("values after", &after.values, &expected_after.values);
    let moved = |rows: &Rows, from: &Rows| {
        let pairs = rows.iter().flatten().zip(from.iter().flatten());
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    let moved = moved(&expected_after.logprobs, &expected.logprobs);
    assert!(f64::from(moved) > 3.0 * TOLERANCE, "moved only by {moved}");
}

const PROMPTS: [&[u32]; 3] = [&[5, 17, 80, 33], &[9], &[61, 62, 63, 64, 65, 66, 67]];

/// Ten samples of three prompts, in batches of which some rows end early and others leave the cache.
fn answers(decoder: &Decoder, sampler: &SamplerConfig) -> Vec<Completion> {
    let request = |index: usize| Request {
        prompt: PROMPTS[index % 3].to_vec(),
        key: (index % 3) as u64,
        sample: (index / 3) as u64,
    };
    let requests: Vec<Request> = (0..10).map(request).collect();
    let settings = Settings {
        sampler,
        stop_ids: &[7, 8, 9, 10, 11, 12],
        batch_size: 6,
        trace: false,
    };
    generate(decoder, &requests, settings, &mut ()).unwrap()
}

fn load(name: &str, device: &Device) -> Decoder {
    LanguageModel::load(&fixture(name), device).unwrap().decoder
}

#[test]
fn a_seed_gives_the_answers_of_the_cpu() {
    let Some(device) = gpu() else { return };
    for (name, top_k, top_p) in [("llama-tiny", 0, 1.0), ("gpt2-tiny", 20, 0.9)] {
        let sampler = SamplerConfig {
            temperature: 0.8,
            top_k,
            top_p,
            max_new_tokens: 12,
            seed: 3,
            ..SamplerConfig::default()
        };
        let ours = answers(&load(name, &device), &sampler);
        let expected = answers(&load(name, &cpu().device), &sampler);
        let stopped = |c: &&Completion| c.finish_reason == FinishReason::Stop;
        let early = expected.iter().filter(stopped).count();
        assert!((1..10).contains(&early), "{name}: {early} of 10 end early");
        for (ours, expected) in ours.iter().zip(&expected) {
            assert_eq!(ours.ids, expected.ids, "{name}");
            assert_eq!(ours.finish_reason, expected.finish_reason, "{name}");
            for (a, b) in ours.logprobs.iter().zip(&expected.logprobs) {
                assert!(f64::from(a - b).abs() < TOLERANCE, "{name}: {a} {b}");
            }
        }
    }
}

/// f16 holds 1 + 2⁻¹⁰ and, of numbers near 4096, every fourth. Added up in f16, 4096 terms of it lose that bit from 2 on.
#[test]
fn products_in_a_half_add_up_in_f32_and_have_gradients() {
    let Some(device) = gpu() else { return };
    let Some(half) = Halves::of(&device).drawing else {
        println!("not checked: this adapter has no half");
        return;
    };
    let term = if half == FloatDType::F16 {
        1.0 + 1.0 / 1024.0
    } else {
        1.0 + 1.0 / 128.0
    };
    for rows in [1, 48] {
        let full = |shape: [usize; 2], value| Tensor::<2>::full(shape, value, &device).autodiff();
        let x = full([rows, 4096], term).require_grad();
        let weight = full([4096, 32], 1.0).require_grad();
        let y = product(x.clone(), weight.clone(), Some(half));
        let gradients = y.clone().sum().backward();
        for (what, found, expected) in [
            ("y", y.inner(), 4096.0 * term),
            ("x", x.grad(&gradients).unwrap(), 32.0),
            (
                "weight",
                weight.grad(&gradients).unwrap(),
                term * rows as f32,
            ),
        ] {
            assert_eq!(found.dtype(), DType::F32);
            let found: Vec<f32> = found.into_data().iter().collect();
            // A sum is rounded once, at the end.
            let ulp = if half == FloatDType::F16 {
                1.0 / 2048.0
            } else {
                1.0 / 256.0
            };
            let most = if what == "y" { 0.0 } else { expected * ulp };
            let near = |&found: &f32| (found - expected).abs() <= most;
            assert!(
                found.iter().all(near),
                "{what} of {rows}: {} {expected}",
                found[0]
            );
        }
    }
}

/// What f16 keeps of a factor is eight times as exact as what bf16 keeps, so the bounds are an eighth of those in bf16.rs.
#[test]
fn answers_drawn_in_a_half_have_nearly_the_probabilities_that_the_cpu_gives_them() {
    let Some(device) = gpu() else { return };
    let Some(half) = Halves::of(&device).drawing else {
        println!("not checked: this adapter has no half");
        return;
    };
    let coarser = if half == FloatDType::F16 { 1.0 } else { 8.0 };
    for name in ["llama-tiny", "gpt2-tiny"] {
        let mut policy = load(name, &device);
        policy.set_matmul_precision(MatmulPrecision::Bf16);
        let mut sampler = policy.sampler();
        let dtypes = |decoder: &mut Decoder| -> Vec<DType> {
            let weights = decoder.projections().into_iter();
            weights
                .filter_map(|p| Some(p.weight.as_ref()?.dtype()))
                .collect()
        };
        let (narrow, kept) = (dtypes(&mut sampler), dtypes(&mut policy));
        assert!(
            narrow.iter().all(|&dtype| dtype == half.into()),
            "{narrow:?}"
        );
        assert!(kept.iter().all(|&dtype| dtype == DType::F32), "{kept:?}");

        let config = SamplerConfig {
            max_new_tokens: 12,
            seed: 3,
            ..SamplerConfig::default()
        };
        let trusted = load(name, &cpu().device);
        let mut apart = Vec::new();
        for (index, answer) in answers(&sampler, &config).iter().enumerate() {
            let prompt = PROMPTS[index % 3];
            let ids = [prompt, &answer.ids].concat();
            let at = (prompt.len() - 1..ids.len() - 1).collect();
            let labels = answer.ids.clone();
            let targets = Targets { at, labels };
            let hidden = trusted.hidden(&TokenBatch::right_padded(&[&ids], 0, 0));
            let states = targets.states(hidden);
            let known = lm_head::logprobs(&trusted, &states, &targets.labels, 1.0);
            let pairs = answer.logprobs.iter().zip(&known.logprobs);
            apart.extend(pairs.map(|(ours, known)| (ours - known).abs()));
        }
        let mean = apart.iter().sum::<f32>() / apart.len() as f32;
        let largest = apart.iter().copied().fold(0.0, f32::max);
        println!("{name}, {half:?}: off by {mean:e} in the mean, {largest:e} at most");
        assert!(mean > 1e-5, "{name}: in f32, {mean}");
        assert!(mean < coarser * 0.1 / 8.0, "{name}: {mean}");
        assert!(largest < coarser * 0.5 / 8.0, "{name}: {largest}");
    }
}

fn adapters() -> LoraConfig {
    LoraConfig {
        r: 4,
        alpha: 8.0,
        target_modules: vec!["all-linear".to_owned()],
        layers: Layers::All,
    }
}

/// An adapter that changes weights by less than a half tells apart: in the sum of both it would be lost.
#[test]
fn answers_drawn_in_a_half_heed_an_adapter_of_little_weight() {
    let Some(device) = gpu() else { return };
    let mut policy = load("llama-tiny", &device);
    let precision = MatmulPrecision::Bf16;
    policy.prepare(Some(&adapters()), 1, precision).unwrap();
    let config = SamplerConfig {
        max_new_tokens: 6,
        greedy: true,
        ..SamplerConfig::default()
    };
    let before = answers(&policy.sampler(), &config);
    for projection in policy.projections() {
        if let Some(lora) = &mut projection.lora {
            lora.b = lora.b.full_like(1e-5);
        }
    }
    let mut sampler = policy.sampler();
    let after = answers(&sampler, &config);
    let logprob = |answers: &[Completion]| answers[0].logprobs[0];
    assert_ne!(logprob(&before), logprob(&after));
    let kept = sampler.projections().iter().all(|p| p.lora.is_some());
    assert_eq!(kept, Halves::of(&device).drawing.is_some());
}

#[test]
fn adapters_learn_with_bf16_what_they_learn_on_the_cpu() {
    let Some(device) = gpu() else { return };
    let trained = |device: &Device, precision| {
        let mut decoder = load("llama-tiny", device);
        decoder.prepare(Some(&adapters()), 1, precision).unwrap();
        let mut optimizer = Optimizer::new(SftConfig::default().adamw(), 1.0);
        let first = gradients(&decoder);
        assert!(optimizer.step(&mut decoder, first, 1e-2).applied);
        decoder // its B's are not zero any more
    };
    let ours = trained(&device, MatmulPrecision::Bf16);
    let golden = trained(&cpu().device, MatmulPrecision::F32);
    // In f32 where the adapter has f16 only; rounded to bf16, gradients turn by less than the 0.11 that a cosine of 0.994 is.
    let training = Halves::of(&device).training;
    let tolerance = if training.is_none() { 5e-3 } else { 0.2 };
    gradients_close(&gradients(&ours), &gradients(&golden), tolerance);
}
