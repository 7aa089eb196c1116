use burn::tensor::{Device, TensorData, Tolerance};

use super::*;

fn config(epsilon_placement: EpsilonPlacement) -> AdamWConfig {
    AdamWConfig {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-5,
        epsilon_placement,
        weight_decay: 0.0,
    }
}

fn device() -> Device {
    Device::flex()
}

fn ramp(elements: usize, scale: f32) -> Tensor<1> {
    let numbers: Vec<f32> = (0..elements)
        .map(|i| ((i % 97) as f32 - 48.0) * scale)
        .collect();
    Tensor::from_data(TensorData::new(numbers, [elements]), &device())
}

/// The first update of a gradient g is lr·g/(|g| + ε) under PyTorch's placement, and
/// lr·g/(|g| + ε/√0.001) under TensorFlow's: at g = ε = 1e-5, ½ and 1/32.6 of the learning rate.
#[test]
fn the_two_placements_of_epsilon_differ_on_small_gradients() {
    for (placement, expected) in [
        (EpsilonPlacement::PyTorch, 0.5),
        (EpsilonPlacement::TensorFlow, 0.030_653),
    ] {
        let mut optimiser = AdamW::new(config(placement));
        optimiser.begin_update(1.0);
        let gradient = Tensor::<1>::from_floats([1e-5], &device());
        let moved = optimiser
            .step("w", gradient.zeros_like(), gradient, 1.0)
            .into_scalar::<f32>();
        assert!((moved + expected).abs() < 1e-5, "{placement:?}: {moved}");
    }
}

#[test]
fn one_pass_on_the_host_equals_tensor_operations() {
    let elements = 300_001;
    let mut optimiser = AdamW::new(AdamWConfig {
        weight_decay: 0.1,
        ..config(EpsilonPlacement::TensorFlow)
    });
    optimiser.begin_update(0.5);
    optimiser.begin_update(0.5);
    let coefficients = optimiser.coefficients(1e-2);
    let operands = || Operands {
        parameter: ramp(elements, 0.1),
        gradient: ramp(elements, -0.03),
        exp_avg: ramp(elements, 0.02),
        exp_avg_sq: ramp(elements, 0.01).square(),
    };
    let fused = coefficients.apply_on_host(operands());
    let plain = coefficients.apply_by_tensors(operands());
    for (fused, plain) in [
        (fused.parameter, plain.parameter),
        (fused.exp_avg, plain.exp_avg),
        (fused.exp_avg_sq, plain.exp_avg_sq),
    ] {
        let near = Tolerance::<f32>::rel_abs(1e-6, 1e-7);
        fused.into_data().assert_approx_eq(&plain.into_data(), near);
    }
}

#[test]
fn the_gradient_scale_is_a_scaled_gradient() {
    let stepped = |scale: f64, gradient: f32| {
        let mut optimiser = AdamW::new(config(EpsilonPlacement::PyTorch));
        optimiser.begin_update(scale);
        optimiser
            .step("w", ramp(5, 1.0), ramp(5, gradient), 1e-3)
            .into_data()
    };
    stepped(0.25, 4e-4).assert_eq(&stepped(1.0, 1e-4), true);
}

fn trained() -> (AdamW, Vec<(String, Vec<usize>)>) {
    let mut optimiser = AdamW::new(config(EpsilonPlacement::PyTorch));
    for _ in 0..3 {
        optimiser.begin_update(1.0);
        let matrix = ramp(6, 1.0).reshape([2, 3]);
        optimiser.step("layers.0.weight", matrix.clone(), matrix, 1e-3);
        optimiser.step("bias", ramp(4, 1.0), ramp(4, 0.1), 1e-3);
    }
    let parameters = vec![
        ("layers.0.weight".to_owned(), vec![2, 3]),
        ("bias".to_owned(), vec![4]),
    ];
    (optimiser, parameters)
}

#[test]
fn a_restored_optimiser_goes_on_as_if_never_stopped() {
    let (mut original, parameters) = trained();
    let state = original.export();
    assert_eq!(state.updates, 3);
    let names: Vec<_> = state
        .tensors
        .iter()
        .map(|tensor| tensor.name.as_str())
        .collect();
    let expected = [
        "bias.exp_avg",
        "bias.exp_avg_sq",
        "layers.0.weight.exp_avg",
        "layers.0.weight.exp_avg_sq",
    ];
    assert_eq!(names, expected);
    let mut restored = AdamW::restore(
        config(EpsilonPlacement::PyTorch),
        state,
        &parameters,
        &device(),
    )
    .unwrap();
    let next = |optimiser: &mut AdamW| {
        optimiser.begin_update(1.0);
        let matrix = ramp(6, 0.5).reshape([2, 3]);
        optimiser
            .step("layers.0.weight", matrix.clone(), matrix, 1e-3)
            .into_data()
    };
    next(&mut restored).assert_eq(&next(&mut original), true);
}

#[test]
fn a_state_of_other_parameters_is_refused() {
    let restore = |state, parameters: &[(String, Vec<usize>)]| {
        AdamW::restore(
            config(EpsilonPlacement::PyTorch),
            state,
            parameters,
            &device(),
        )
        .map(|_| ())
        .unwrap_err()
        .to_string()
    };
    let (optimiser, parameters) = trained();
    let state = optimiser.export();

    let mut more = parameters.clone();
    more.push(("new".to_owned(), vec![1]));
    assert!(restore(state.clone(), &more).contains("no `new.exp_avg`"));

    assert!(restore(state.clone(), &parameters[..1]).contains("holds `bias.exp_avg`"));

    let mut reshaped = parameters.clone();
    reshaped[0].1 = vec![3, 2];
    let message = restore(state.clone(), &reshaped);
    assert!(
        message.contains("shape [2, 3], the parameter has [3, 2]"),
        "{message}"
    );

    let mut damaged = state;
    damaged.tensors[0].values.pop();
    assert!(restore(damaged, &parameters).contains("3 numbers where its shape needs 4"));
}

#[test]
fn a_state_from_before_the_first_update_is_empty_and_restores() {
    let (_, parameters) = trained();
    let fresh = AdamW::new(config(EpsilonPlacement::PyTorch)).export();
    assert_eq!(fresh, AdamWState::default());
    let restored = AdamW::restore(
        config(EpsilonPlacement::PyTorch),
        fresh,
        &parameters,
        &device(),
    )
    .unwrap();
    assert_eq!(restored.updates(), 0);
}
