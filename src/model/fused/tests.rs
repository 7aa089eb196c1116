//! Every operation against the plain one that burn differentiates: forward and every gradient.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use crate::kernels::MatmulPrecision;
use crate::model::linear::{Layout, Linear};
use crate::model::lora::Lora;
use crate::model::norm::Norm;
use crate::model::tokens::indices;

/// Numbers in ±1 that differ.
pub(super) fn numbers<const D: usize>(
    shape: [usize; D],
    seed: usize,
    device: &Device,
) -> Tensor<D> {
    let count = shape.iter().product();
    let number = |i: usize| ((i * 7919 + seed * 104_729) % 2003) as f32 / 1001.0 - 1.0;
    let values: Vec<f32> = (0..count).map(number).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Largest difference over the largest number.
pub(super) fn assert_near<const D: usize>(found: Tensor<D>, plain: Tensor<D>, tolerance: f32) {
    assert_eq!(found.dims(), plain.dims());
    let (found, plain) = (found.into_data(), plain.into_data());
    let largest = plain.iter::<f32>().fold(0.0, |a: f32, b| a.max(b.abs()));
    for (found, plain) in found.iter::<f32>().zip(plain.iter::<f32>()) {
        let difference = (found - plain).abs();
        assert!(
            difference <= tolerance * largest,
            "{found} for {plain}, of {largest}"
        );
    }
}

type Forward = fn(&Linear, Tensor<2>) -> Tensor<2>;

/// y = xW + b + s·(xA)B in burn's operations.
fn burn_s(linear: &Linear, x: Tensor<2>) -> Tensor<2> {
    let y = match linear.layout {
        Layout::OutIn => x.clone().matmul(linear.dense().transpose()),
        Layout::InOut => x.clone().matmul(linear.dense()),
    };
    let y = match &linear.bias {
        Some(bias) => y + bias.clone().unsqueeze(),
        None => y,
    };
    match &linear.lora {
        Some(lora) => y + lora.forward(x),
        None => y,
    }
}

#[test]
fn a_frozen_product_has_the_plain_results_and_gradients() {
    let device = crate::device::cpu().device;
    for (rows, inputs, outputs) in [(1, 3, 17), (9, 33, 20), (100, 64, 48)] {
        for (layout, biased, rank) in [
            (Layout::OutIn, false, 0),
            (Layout::OutIn, true, 2),
            (Layout::InOut, true, 0),
            (Layout::InOut, false, 17),
        ] {
            let shape = match layout {
                Layout::OutIn => [outputs, inputs],
                Layout::InOut => [inputs, outputs],
            };
            let mut packed = Linear {
                name: String::from("p"),
                weight: Some(numbers(shape, 1, &device)),
                bias: biased.then(|| numbers([outputs], 2, &device)),
                layout,
                lora: (rank > 0).then(|| Lora {
                    a: numbers([rank, inputs], 3, &device),
                    b: numbers([outputs, rank], 4, &device),
                    scale: 0.7,
                }),
                packed: None,
                precision: MatmulPrecision::F32,
            };
            let plain = packed.clone();
            packed.pack();
            assert!(packed.weight.is_none() && packed.widths() == plain.widths());
            assert_near(packed.dense(), plain.dense(), 0.0);
            let x = numbers([rows, inputs], 5, &device);
            assert_near(packed.forward(x.clone()), burn_s(&plain, x.clone()), 1e-6);
            let gradients = |linear: &Linear, forward: Forward| {
                let mut linear = linear.clone();
                linear.weight = linear.weight.map(Tensor::autodiff);
                linear.bias = linear.bias.map(Tensor::autodiff);
                if let Some(lora) = &mut linear.lora {
                    lora.a = lora.a.clone().autodiff().require_grad();
                    lora.b = lora.b.clone().autodiff().require_grad();
                }
                let x = x.clone().autodiff().require_grad();
                let weights = numbers([rows, outputs], 6, &device).autodiff();
                let gradients = (forward(&linear, x.clone()) * weights).sum().backward();
                let of_lora = linear.lora.map(|lora| {
                    [
                        lora.a.grad(&gradients).unwrap(),
                        lora.b.grad(&gradients).unwrap(),
                    ]
                });
                (x.grad(&gradients).unwrap(), of_lora)
            };
            let found = gradients(&packed, Linear::forward);
            let plain = gradients(&plain, burn_s);
            assert_near(found.0, plain.0, 1e-6);
            for (found, plain) in found
                .1
                .into_iter()
                .flatten()
                .zip(plain.1.into_iter().flatten())
            {
                assert_near(found, plain, 2e-6);
            }
        }
    }
}

#[test]
fn the_first_layer_s_input_needs_no_gradient() {
    let device = crate::device::cpu().device;
    let mut linear = Linear {
        name: String::from("p"),
        weight: Some(numbers([5, 4], 1, &device)),
        bias: None,
        layout: Layout::OutIn,
        lora: None,
        packed: None,
        precision: MatmulPrecision::F32,
    };
    linear.pack();
    let y = linear.forward(numbers([3, 4], 2, &device).autodiff());
    let scale = Tensor::<1>::from_floats([2.0], &device)
        .autodiff()
        .require_grad();
    let gradients = (y.sum() * scale.clone()).backward();
    let expected = linear.forward(numbers([3, 4], 2, &device)).sum();
    assert_near(scale.grad(&gradients).unwrap(), expected, 1e-6);
}

/// The gradients of Σ y·weights for tracked copies of `inputs`.
fn gradients<const N: usize>(
    inputs: &[Tensor<2>; N],
    forward: impl Fn([Tensor<2>; N]) -> Tensor<2>,
) -> (Tensor<2>, [Tensor<2>; N]) {
    let inputs = inputs.clone().map(|input| input.autodiff().require_grad());
    let y = forward(inputs.clone());
    let weights = numbers(y.dims(), 9, &y.device().clone()).inner().autodiff();
    let gradients = (y.clone() * weights).sum().backward();
    (
        y.inner(),
        inputs.map(|input| input.grad(&gradients).unwrap()),
    )
}

#[test]
fn a_trained_product_has_the_plain_results_and_gradients() {
    let device = crate::device::cpu().device;
    for (rows, inputs, outputs) in [(1, 3, 17), (9, 33, 20), (70, 64, 48)] {
        let x = numbers([rows, inputs], 1, &device);
        let inputs_out = [x.clone(), numbers([inputs, outputs], 2, &device)];
        let out_inputs = [x, numbers([outputs, inputs], 3, &device)];
        for (layout, inputs) in [(Layout::InOut, inputs_out), (Layout::OutIn, out_inputs)] {
            let fused = |[x, weight]: [Tensor<2>; 2]| {
                super::dense_linear(x, weight, layout, MatmulPrecision::F32)
            };
            let plain = |[x, weight]: [Tensor<2>; 2]| match layout {
                Layout::InOut => x.matmul(weight),
                Layout::OutIn => x.matmul(weight.transpose()),
            };
            let (y, found) = gradients(&inputs, fused);
            let (plain_y, plain) = gradients(&inputs, plain);
            assert_near(y, plain_y, 1e-6);
            for (found, plain) in found.into_iter().zip(plain) {
                assert_near(found, plain, 2e-6);
            }
        }
    }
}

/// −1, 0 and 1: bf16 holds them, and sums of up to 256 of them, so that rounding changes nothing.
fn signs<const D: usize>(shape: [usize; D], seed: usize, device: &Device) -> Tensor<D> {
    let count = shape.iter().product();
    let sign = |i: usize| ((i * 7919 + seed * 104_729) % 31 % 3) as f32 - 1.0;
    let values: Vec<f32> = (0..count).map(sign).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// The products of a projection of 40 to 50 numbers, forward and back: y, ∂x, and ∂A and ∂B or ∂W.
fn products(layout: Layout, adapted: bool, precision: MatmulPrecision) -> [Tensor<2>; 4] {
    let device = crate::device::cpu().device;
    let (shape, _) = layout.stored(40, 50);
    let mut linear = Linear {
        name: String::new(),
        weight: Some(signs(shape, 1, &device)),
        bias: Some(signs([50], 2, &device)),
        layout,
        lora: None,
        packed: None,
        precision,
    };
    let leaf = |tensor: Tensor<2>| tensor.autodiff().require_grad();
    linear.bias = linear.bias.map(Tensor::autodiff);
    let trained = if adapted {
        linear.pack();
        let (a, b) = (signs([3, 40], 3, &device), signs([50, 3], 4, &device));
        let lora = Lora {
            a: leaf(a),
            b: leaf(b),
            scale: 0.5,
        };
        let trained = [lora.a.clone(), lora.b.clone()];
        linear.lora = Some(lora);
        trained
    } else {
        let weight = linear.weight.take().map(leaf).unwrap();
        linear.weight = Some(weight.clone());
        [weight.clone(), weight]
    };
    let x = leaf(signs([20, 40], 5, &device));
    let y = linear.forward(x.clone());
    let gradients = (y.clone() * signs([20, 50], 6, &device).autodiff())
        .sum()
        .backward();
    let [first, second] = trained.map(|tensor| tensor.grad(&gradients).unwrap());
    [y.inner(), x.grad(&gradients).unwrap(), first, second]
}

#[test]
fn factors_that_bf16_holds_have_the_products_of_f32() {
    for layout in [Layout::OutIn, Layout::InOut] {
        for adapted in [true, false] {
            let found = products(layout, adapted, MatmulPrecision::Bf16);
            let expected = products(layout, adapted, MatmulPrecision::F32);
            for (found, expected) in found.into_iter().zip(expected) {
                assert_near(found, expected, 0.0);
            }
        }
    }
}

#[test]
fn a_trained_weight_is_rounded_for_its_products_only() {
    let device = crate::device::cpu().device;
    let weight = Tensor::<2>::from_floats([[1.0 + 1.0 / 512.0]], &device);
    let x = Tensor::<2>::from_floats([[3.0]], &device);
    for (precision, y) in [
        (MatmulPrecision::F32, 3.0 + 3.0 / 512.0),
        (MatmulPrecision::Bf16, 3.0),
    ] {
        let found = super::dense_linear(x.clone(), weight.clone(), Layout::OutIn, precision);
        assert_eq!(found.into_scalar::<f32>(), y);
    }
}

#[test]
fn a_norm_has_the_plain_results_and_gradients() {
    let device = crate::device::cpu().device;
    for (rows, width) in [(1, 3), (5, 16), (7, 37)] {
        let inputs = [
            numbers([rows, width], 1, &device),
            numbers([1, width], 2, &device),
        ];
        let norm = |weight: Tensor<2>| Norm {
            name: String::new(),
            weight: weight.squeeze_dim(0),
            bias: None,
            epsilon: 1e-3,
        };
        let (y, found) = gradients(&inputs, |[x, weight]| norm(weight).forward(x));
        let (plain_y, plain) = gradients(&inputs, |[x, weight]| norm(weight).plain(x));
        assert_near(y, plain_y, 1e-6);
        for (found, plain) in found.into_iter().zip(plain) {
            assert_near(found, plain, 2e-6);
        }
    }
}

#[test]
fn a_gated_activation_has_the_plain_results_and_gradients() {
    let device = crate::device::cpu().device;
    for shape in [[1, 1], [3, 16], [5, 39]] {
        let inputs = [1, 2].map(|seed| numbers(shape, seed, &device).mul_scalar(6.0));
        let (y, found) = gradients(&inputs, |[gate, up]| super::gated(gate, up));
        let plain = |[gate, up]: [Tensor<2>; 2]| burn::tensor::activation::silu(gate) * up;
        let (plain_y, plain) = gradients(&inputs, plain);
        assert_near(y, plain_y, 1e-6);
        for (found, plain) in found.into_iter().zip(plain) {
            assert_near(found, plain, 2e-6);
        }
    }
}

#[test]
fn rows_picked_out_more_than_once_have_the_plain_results_and_gradients() {
    let device = crate::device::cpu().device;
    let places = [4_usize, 0, 4, 2, 4];
    let table = numbers([6, 5], 1, &device);
    let weights = numbers([places.len(), 5], 2, &device);
    let of = |pick: &dyn Fn(Tensor<2>) -> Tensor<2>| {
        let table = table.clone().autodiff().require_grad();
        let rows = pick(table.clone());
        let gradients = (rows.clone() * weights.clone().autodiff()).sum().backward();
        (rows.inner(), table.grad(&gradients).unwrap())
    };
    let found = of(&|table| super::gather(table, &Arc::new(places.to_vec())));
    let plain = of(&|table| table.select(0, indices(places.into_iter(), &device)));
    assert_near(found.0, plain.0, 0.0);
    assert_near(found.1, plain.1, 0.0);
}
