//! Gradients of norms and activations of a row.

use std::mem::MaybeUninit;

use super::exp::exp;
use super::isa::{Isa, Work, dispatch};
use super::panels::WIDTH;
use super::pointwise::sum;
use super::shared::filled;

/// Gradients of [`rms_norm`](super::rms_norm): ∂x = s(∂y·w) − x·s³·mean(∂y·w·x) with s = 1/√(mean(x²) + ε), and ∂w += ∂y·x·s when it
/// is wanted.
///
/// # Panics
/// If the slices differ in length.
pub fn rms_norm_gradient(
    x: &[f32],
    weight: &[f32],
    epsilon: f32,
    dy: &[f32],
    dx: &mut [f32],
    dweight: Option<&mut [f32]>,
) {
    assert!(x.len() == weight.len() && x.len() == dy.len() && x.len() == dx.len());
    dispatch(NormGradient {
        x,
        weight,
        epsilon,
        dy,
        dx,
        dweight,
    });
}

struct NormGradient<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    epsilon: f32,
    dy: &'a [f32],
    dx: &'a mut [f32],
    dweight: Option<&'a mut [f32]>,
}

impl Work for NormGradient<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let (x, dx) = (self.x, self.dx);
        let width = x.len() as f32;
        let squares = sum::<I>(x, |value| value * value);
        let scale = (squares / width + self.epsilon).sqrt().recip();
        for ((dx, dy), weight) in dx.iter_mut().zip(self.dy).zip(self.weight) {
            *dx = dy * weight;
        }
        let mut products = [0.0; WIDTH];
        for (x, dx) in x.chunks(WIDTH).zip(dx.chunks(WIDTH)) {
            for ((product, x), dx) in products.iter_mut().zip(x).zip(dx) {
                *product = I::fused(*x, *dx, *product);
            }
        }
        let back = products.iter().sum::<f32>() / width * scale * scale;
        for (dx, x) in dx.iter_mut().zip(x) {
            *dx = (*dx - x * back) * scale;
        }
        let Some(dweight) = self.dweight else { return };
        for ((dweight, dy), x) in dweight.iter_mut().zip(self.dy).zip(x) {
            *dweight += dy * x * scale;
        }
    }
}

/// Gradients of y = silu(gate)·up, [`swiglu`](super::swiglu): ∂gate = ∂y·up·σ(1 + gate(1 − σ)) and ∂up = ∂y·silu(gate).
///
/// # Panics
/// If the slices differ in length.
pub fn swiglu_gradient(gate: &[f32], up: &[f32], dy: &[f32]) -> [Vec<f32>; 2] {
    assert!(gate.len() == up.len() && gate.len() == dy.len());
    let mut dup = Vec::new();
    // SAFETY: both have as many numbers as the others, and all are set.
    #[allow(unsafe_code)]
    let dgate = unsafe {
        filled(gate.len(), |dgate| {
            dup = filled(gate.len(), |dup| {
                dispatch(SwiGluGradient {
                    gate,
                    up,
                    dy,
                    dgate,
                    dup,
                });
            });
        })
    };
    [dgate, dup]
}

struct SwiGluGradient<'a> {
    gate: &'a [f32],
    up: &'a [f32],
    dy: &'a [f32],
    dgate: &'a mut [MaybeUninit<f32>],
    dup: &'a mut [MaybeUninit<f32>],
}

impl Work for SwiGluGradient<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let into = self.dgate.iter_mut().zip(self.dup);
        let from = self.gate.iter().zip(self.up).zip(self.dy);
        for ((dgate, dup), ((gate, up), dy)) in into.zip(from) {
            let sigmoid = 1.0 / (1.0 + exp::<I>(-gate));
            dup.write(dy * gate * sigmoid);
            dgate.write(dy * up * sigmoid * (1.0 + gate * (1.0 - sigmoid)));
        }
    }
}
