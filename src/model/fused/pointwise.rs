//! RMSNorm and the gated activation.

use burn::tensor::Tensor;

use super::{Rule, Values, apply};
use crate::kernels;

/// [`Norm`](crate::model::norm::Norm) without bias.
///
/// # Shapes
/// `x` and the result: `[n, width]`; `weight`: `[width]`.
pub fn rms_norm(x: Tensor<2>, weight: Tensor<1>, epsilon: f64) -> Tensor<2> {
    let shape = x.dims();
    let epsilon = epsilon as f32;
    apply([x.into(), weight.into()], |[x, weight]| {
        let mut y = vec![0.0; shape[0] * shape[1]];
        let (from, weights) = (x.as_slice(), weight.as_slice());
        for (x, y) in from.chunks(shape[1]).zip(y.chunks_mut(shape[1])) {
            kernels::rms_norm(x, weights, epsilon, y);
        }
        (Values::new(y, &shape), NormRule { x, weight, epsilon })
    })
}

#[derive(Debug, Clone)]
struct NormRule {
    x: Values,
    weight: Values,
    epsilon: f32,
}

impl Rule<2> for NormRule {
    fn gradients(&self, dy: Values, wanted: [bool; 2]) -> [Option<Values>; 2] {
        let (x, weight) = (self.x.as_slice(), self.weight.as_slice());
        let width = weight.len();
        let mut dx = vec![0.0; x.len()];
        let mut dweight = wanted[1].then(|| vec![0.0; width]);
        let rows = x.chunks(width).zip(dy.as_slice().chunks(width));
        for ((x, dy), dx) in rows.zip(dx.chunks_mut(width)) {
            kernels::rms_norm_gradient(x, weight, self.epsilon, dy, dx, dweight.as_deref_mut());
        }
        let dx = wanted[0].then(|| Values::new(dx, &[x.len() / width, width]));
        [dx, dweight.map(|dweight| Values::new(dweight, &[width]))]
    }
}

/// silu(gate) · up.
///
/// # Shapes
/// All `[n, width]`.
pub fn gated(gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    let shape = gate.dims();
    apply([gate.into(), up.into()], |[gate, up]| {
        let mut y = gate.as_slice().to_vec();
        kernels::swiglu(&mut y, up.as_slice());
        (Values::new(y, &shape), GatedRule { gate, up, shape })
    })
}

#[derive(Debug, Clone)]
struct GatedRule {
    gate: Values,
    up: Values,
    shape: [usize; 2],
}

impl Rule<2> for GatedRule {
    fn gradients(&self, dy: Values, wanted: [bool; 2]) -> [Option<Values>; 2] {
        let (gate, up) = (self.gate.as_slice(), self.up.as_slice());
        let gradients = kernels::swiglu_gradient(gate, up, dy.as_slice());
        let [dgate, dup] = gradients.map(|values| Values::new(values, &self.shape));
        [wanted[0].then_some(dgate), wanted[1].then_some(dup)]
    }
}
