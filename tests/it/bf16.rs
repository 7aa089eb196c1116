//! Products in bf16 change what a model says and learns by little.
//!
//! bf16 keeps eight bits of a factor, so that each is off by 0.2 % at most. These models of random weights show means of 0.01 to 0.05 nats
//! and cosines of 0.994; the bounds leave room for other seeds.

use rlhf::kernels::MatmulPrecision;
use rlhf::model::lora::Layers;
use rlhf::model::{Decoder, Parameters};
use rlhf::policy::actor_critic::{ActorCritic, Critic};
use rlhf::policy::experience::{Rows, measure};

use crate::behaviour::{
    Kind, TEMPERATURE, Twice, Weights, first_update, networks, prompts, sampling,
};
use crate::generate::FAMILIES;

fn round_products(model: &mut ActorCritic, reference: &mut Decoder) {
    model.policy.set_matmul_precision(MatmulPrecision::Bf16);
    reference.set_matmul_precision(MatmulPrecision::Bf16);
    if let Critic::Separate(critic) = &mut model.critic {
        critic.decoder.set_matmul_precision(MatmulPrecision::Bf16);
    }
}

/// The same rollout in both precisions, drawn in f32.
fn in_both(name: &str, kind: Kind) -> [Twice; 2] {
    let (model, reference) = networks(name, kind);
    let prompts = prompts(&model.policy);
    let exact = Twice::new(model.clone(), &reference, &prompts, &sampling(true));
    let (mut model, mut reference) = (model, reference);
    round_products(&mut model, &mut reference);
    let own = measure(&model, &reference, &exact.tokens, None, TEMPERATURE, 3);
    let mut rounded = exact.clone();
    (rounded.model, rounded.own) = (model, own);
    [exact, rounded]
}

/// Mean and largest difference.
fn apart(a: &Rows, b: &Rows) -> [f32; 2] {
    let pairs = a.iter().flatten().zip(b.iter().flatten());
    let differences: Vec<f32> = pairs.map(|(a, b)| (a - b).abs()).collect();
    let largest = differences.iter().copied().fold(0.0, f32::max);
    let mean = differences.iter().sum::<f32>() / differences.len() as f32;
    [mean, largest]
}

#[test]
fn log_probabilities_and_values_stay_near_those_in_f32() {
    let kinds = FAMILIES.map(|name| (name, Kind::Full));
    let adapted = [("llama-tiny", Kind::Lora(Layers::All))];
    for (name, kind) in kinds.into_iter().chain(adapted) {
        let [exact, rounded] = in_both(name, kind.clone());
        for (what, exact, rounded) in [
            ("logprobs", &exact.own.logprobs, &rounded.own.logprobs),
            (
                "reference",
                &exact.own.ref_logprobs,
                &rounded.own.ref_logprobs,
            ),
            ("entropies", &exact.own.entropies, &rounded.own.entropies),
            ("values", &exact.own.values, &rounded.own.values),
        ] {
            let [mean, largest] = apart(exact, rounded);
            assert!(mean > 1e-4, "{name} {kind:?} {what}: in f32, {mean}");
            assert!(
                mean < 0.1 && largest < 0.5,
                "{name} {kind:?} {what}: {mean}, {largest}"
            );
        }
    }
}

#[test]
fn the_first_update_points_where_that_in_f32_does() {
    for kind in [Kind::Lora(Layers::All), Kind::Full, Kind::FullSeparate] {
        let [exact, rounded] = in_both("llama-tiny", kind.clone());
        let mut before = Weights(Vec::new());
        exact.model.clone().visit(&mut before);
        let moved = |twice: &Twice| -> Vec<f64> {
            let (report, after) = first_update(twice, &twice.own);
            assert!(report.applied);
            let both = after.iter().flatten().zip(before.0.iter().flatten());
            both.map(|(after, before)| f64::from(after - before))
                .collect()
        };
        let (exact, rounded) = (moved(&exact), moved(&rounded));
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let length = |a: &[f64]| dot(a, a).sqrt();
        let cosine = dot(&exact, &rounded) / length(&exact) / length(&rounded);
        let longer = length(&rounded) / length(&exact);
        assert!(cosine < 0.9999, "{kind:?}: in f32, {cosine}");
        assert!(cosine > 0.98, "{kind:?}: {cosine}");
        assert!((longer - 1.0).abs() < 0.05, "{kind:?}: {longer}");
    }
}

#[test]
fn the_sampler_draws_in_bf16_what_the_trainer_scores_in_bf16() {
    for name in FAMILIES {
        let (mut model, mut reference) = networks(name, Kind::Full);
        round_products(&mut model, &mut reference);
        let prompts = prompts(&model.policy);
        let Twice { told, own, .. } = Twice::new(model, &reference, &prompts, &sampling(true));
        let [mean, _] = apart(&told.logprobs, &own.logprobs);
        assert!(mean < 1e-3, "{name}: {mean}");
    }
}
