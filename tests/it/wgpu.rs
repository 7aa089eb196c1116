//! The GPU path computes what the CPU computes: one forward pass, one gradient, one PPO update, some answers of llama-tiny.
//!
//! Kernels are compiled and tuned on first use, a minute's work in software: one small case, on purpose. Without an
//! adapter the test says so and passes, unless `RLHF_REQUIRE_WGPU` is set.

use std::sync::OnceLock;

use burn::tensor::{Device, Tensor};
use rlhf::device::{DeviceChoice, cpu};
use rlhf::generate::{Completion, FinishReason, Request, SamplerConfig, Settings, generate};
use rlhf::model::{GradientMap, LanguageModel, TokenBatch};
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
fn gradients(case: &Case) -> GradientMap {
    let rows: [&[u32]; 2] = [&[1, 5, 9, 2, 7, 3], &[4, 8, 6]];
    let tokens = TokenBatch::right_padded(&rows, 0, 0);
    let at = vec![0, 1, 2, 3, 4, 6, 7];
    let labels = at.iter().map(|i| tokens.ids[i + 1]).collect();
    let targets = Targets { at, labels };
    let loss = |_, logprobs: Tensor<1>, _| logprobs.ones_like() * (-1.0 / 7.0);
    lm_head::gradients(&case.model.policy, &tokens, &targets, 1.0, loss)
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
fn gradients_close(ours: &GradientMap, golden: &GradientMap) {
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
            norm(&difference) <= TOLERANCE * norm(&b),
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

    gradients_close(&gradients(&ours), &gradients(&golden));

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

/// Ten samples of three prompts, in batches of which some rows end early and others leave the cache.
fn answers(name: &str, device: &Device, sampler: &SamplerConfig) -> Vec<Completion> {
    let prompts: [&[u32]; 3] = [&[5, 17, 80, 33], &[9], &[61, 62, 63, 64, 65, 66, 67]];
    let request = |index: usize| Request {
        prompt: prompts[index % 3].to_vec(),
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
    let model = LanguageModel::load(&fixture(name), device).unwrap();
    generate(&model.decoder, &requests, settings, &mut ()).unwrap()
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
        let ours = answers(name, &device, &sampler);
        let expected = answers(name, &cpu().device, &sampler);
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
