//! Layers below the first adapter are run once for a rollout: the numbers are those of running them every time.

use rlhf::model::Decoder;
use rlhf::model::lora::Layers;
use rlhf::policy::actor_critic::Critic;

use crate::golden_model::{lora, stir};
use crate::golden_ppo::Case;

/// Adapters that do something in the last layer; those below, if there are any, do nothing and have no gradient: A = B = 0.
fn adapt(decoder: &mut Decoder, layers: Layers, seed: u64) {
    decoder.attach_lora(&lora(layers), seed).unwrap();
    let last = format!(".{}.", decoder.blocks.len() - 1);
    for projection in decoder.projections() {
        if projection.name.contains(&last) {
            stir(projection, seed);
        } else if let Some(adapter) = &mut projection.lora {
            adapter.a = adapter.a.zeros_like();
        }
    }
}

/// The golden update's episodes, with adapters over one trunk that policy, reference and critic share.
fn case(layers: &Layers) -> Case {
    let mut case = Case::on(&rlhf::device::cpu().device);
    case.model.policy.pack();
    case.reference = case.model.policy.base();
    let Critic::Separate(critic) = &mut case.model.critic else {
        panic!("the critic is separate")
    };
    critic.decoder = case.model.policy.base();
    adapt(&mut critic.decoder, layers.clone(), 2);
    adapt(&mut case.model.policy, layers.clone(), 1);
    case
}

#[test]
fn what_is_kept_of_constant_layers_changes_no_number() {
    let (mut kept, mut whole) = (case(&Layers::Last(1)), case(&Layers::All));
    let layers = kept.model.policy.blocks.len();
    assert_eq!(kept.model.policy.constant_layers(), layers - 1);
    assert!(kept.reference.shares(&kept.model.policy, layers - 1));
    assert_eq!(whole.model.policy.constant_layers(), 0);

    let (measured, expected) = (kept.measured(), whole.measured());
    assert!(measured.residuals.iter().all(|row| !row.is_empty()));
    assert!(expected.residuals.iter().all(Vec::is_empty));
    assert_eq!(measured.logprobs, expected.logprobs);
    assert_eq!(measured.ref_logprobs, expected.ref_logprobs);
    assert_eq!(measured.values, expected.values);
    assert_ne!(measured.logprobs, measured.ref_logprobs);

    let (reports, expected) = (kept.updates(2, 4), whole.updates(2, 4));
    for (report, expected) in reports.iter().zip(&expected) {
        assert_eq!(report.policy_loss, expected.policy_loss);
        assert_eq!(report.value_loss, expected.value_loss);
        assert!((report.grad_norm - expected.grad_norm).abs() < 1e-6 * expected.grad_norm);
        assert!(report.applied && report.grad_norm > 0.0);
    }
    assert_eq!(kept.measured().logprobs, whole.measured().logprobs);
}

#[test]
fn a_trunk_that_is_trained_or_another_one_is_not_shared() {
    let kept = case(&Layers::Last(1));
    let other = case(&Layers::Last(1));
    assert!(!other.reference.shares(&kept.model.policy, 1));
    assert!(!kept.reference.shares(&kept.model.policy, 0));
    let mut all = case(&Layers::All);
    assert!(!all.reference.shares(&all.model.policy, 1));
    all.model.policy.frozen = false;
    assert_eq!(all.model.policy.constant_layers(), 0);
}

#[test]
fn more_layers_than_there_are_is_an_error_that_names_the_setting() {
    let mut decoder = case(&Layers::All).reference;
    let error = decoder.attach_lora(&lora(Layers::Last(9)), 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "adapters are wanted in 9 layers, but the model has 3; lower lora_num_layers"
    );
}
