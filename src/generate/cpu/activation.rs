//! The non-linearity between a layer's inner projections and the outer one.

use crate::kernels::{gelu_tanh, swiglu};
use crate::model::config::Activation;

/// gate ← activation(gate), times `up` if there is one.
pub(super) fn activate(activation: Activation, gate: &mut [f32], up: Option<&[f32]>) {
    match (activation, up) {
        (Activation::Silu, Some(up)) => return swiglu(gate, up),
        (Activation::Silu, None) => swiglu(gate, &vec![1.0; gate.len()]),
        (Activation::GeluTanh, _) => gelu_tanh(gate),
        (Activation::Gelu, _) => gate.iter_mut().for_each(|x| *x = gelu(*x)),
        (Activation::Relu, _) => gate.iter_mut().for_each(|x| *x = x.max(0.0)),
    }
    let up = up.unwrap_or_default();
    gate.iter_mut().zip(up).for_each(|(gate, up)| *gate *= up);
}

/// x Φ(x): Hendrycks & Gimpel 2016, arXiv:1606.08415.
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2))
}
