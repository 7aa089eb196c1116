//! Norms, rotations and activations of a row.

use super::exp::exp;
use super::isa::{Isa, Work, dispatch};
use super::panels::WIDTH;

/// Zhang & Sennrich 2019, eq. 4: y = x / √(mean(x²) + ε) · weight.
///
/// # Panics
/// If the slices differ in length.
pub fn rms_norm(x: &[f32], weight: &[f32], epsilon: f32, y: &mut [f32]) {
    dispatch(Normalise {
        x,
        weight,
        bias: None,
        epsilon,
        y,
    });
}

/// Ba et al. 2016, eq. 4: y = (x − mean) / √(variance + ε) · weight + bias, with the population variance.
///
/// # Panics
/// If the slices differ in length.
pub fn layer_norm(x: &[f32], weight: &[f32], bias: &[f32], epsilon: f32, y: &mut [f32]) {
    dispatch(Normalise {
        x,
        weight,
        bias: Some(bias),
        epsilon,
        y,
    });
}

struct Normalise<'a> {
    x: &'a [f32],
    weight: &'a [f32],
    bias: Option<&'a [f32]>,
    epsilon: f32,
    y: &'a mut [f32],
}

impl Work for Normalise<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let (x, y) = (self.x, self.y);
        assert!(x.len() == y.len() && x.len() == self.weight.len());
        let width = x.len() as f32;
        let mean = match self.bias {
            Some(_) => sum::<I>(x, |value| value) / width,
            None => 0.0,
        };
        let squares = sum::<I>(x, |value| (value - mean) * (value - mean));
        let scale = (squares / width + self.epsilon).sqrt().recip();
        for ((y, x), weight) in y.iter_mut().zip(x).zip(self.weight) {
            *y = (x - mean) * scale * weight;
        }
        for (y, bias) in y.iter_mut().zip(self.bias.unwrap_or_default()) {
            *y += bias;
        }
    }
}

/// Σ f(x), in sixteen sums side by side.
#[inline(always)]
pub(super) fn sum<I: Isa>(x: &[f32], f: impl Fn(f32) -> f32) -> f32 {
    let mut sums = [0.0; WIDTH];
    let chunks = x.chunks_exact(WIDTH);
    let rest: f32 = chunks.remainder().iter().map(|&value| f(value)).sum();
    for chunk in chunks {
        for (sum, &value) in sums.iter_mut().zip(chunk) {
            *sum += f(value);
        }
    }
    sums.iter().sum::<f32>() + rest
}

/// Rotates one head by the angles of its position: the pairs are (i, i + d/2).
///
/// # Panics
/// Unless there are as many angles as pairs.
pub fn rotate(head: &mut [f32], cos: &[f32], sin: &[f32]) {
    let (first, second) = head.split_at_mut(cos.len());
    assert!(first.len() == second.len() && cos.len() == sin.len());
    let pairs = first.iter_mut().zip(second);
    for ((first, second), (cos, sin)) in pairs.zip(cos.iter().zip(sin)) {
        (*first, *second) = (*first * cos - *second * sin, *second * cos + *first * sin);
    }
}

/// gate ← silu(gate) · up, with silu(x) = x / (1 + e^−x): Shazeer 2020, arXiv:2002.05202.
///
/// # Panics
/// If the slices differ in length.
pub fn swiglu(gate: &mut [f32], up: &[f32]) {
    assert_eq!(gate.len(), up.len());
    dispatch(SwiGlu { gate, up });
}

struct SwiGlu<'a> {
    gate: &'a mut [f32],
    up: &'a [f32],
}

impl Work for SwiGlu<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        for (gate, up) in self.gate.iter_mut().zip(self.up) {
            *gate = *gate / (1.0 + exp::<I>(-*gate)) * up;
        }
    }
}

/// x ← ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))): Hendrycks & Gimpel 2016, the form that GPT-2 uses.
pub fn gelu_tanh(x: &mut [f32]) {
    dispatch(GeluTanh(x));
}

struct GeluTanh<'a>(&'a mut [f32]);

impl Work for GeluTanh<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        const TWICE_ROOT: f32 = 1.595_769; // 2 √(2/π)
        for x in self.0 {
            let cubic = I::fused(0.044_715 * *x * *x, *x, *x);
            // ½ (1 + tanh(y)) = 1 / (1 + e^(−2y))
            *x /= 1.0 + exp::<I>(-TWICE_ROOT * cubic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_close(left: &[f32], right: &[f32]) {
        assert_eq!(left.len(), right.len());
        for (left, right) in left.iter().zip(right) {
            assert!((left - right).abs() < 1e-6, "{left} {right}");
        }
    }

    #[test]
    fn norms_are_those_of_the_papers() {
        let mut y = [0.0; 2];
        rms_norm(&[3.0, 4.0], &[1.0, 2.0], 0.0, &mut y);
        assert_close(&y, &[0.848_528_1, 2.262_741_7]); // 3 / √12.5, 2 · 4 / √12.5
        layer_norm(&[3.0, 5.0], &[1.0, 2.0], &[10.0, 20.0], 0.0, &mut y);
        assert_close(&y, &[9.0, 22.0]);
    }

    #[test]
    fn a_norm_sums_a_row_of_any_width() {
        for width in [1, 15, 16, 17, 40] {
            let x: Vec<f32> = (1..=width).map(|i| i as f32).collect();
            let mut y = vec![0.0; width];
            rms_norm(&x, &vec![1.0; width], 0.0, &mut y);
            let mean = y.iter().map(|y| y * y).sum::<f32>() / width as f32;
            assert_close(&[mean], &[1.0]);
        }
    }

    #[test]
    fn a_quarter_turn_swaps_the_halves() {
        let mut head = [1.0, 2.0, 3.0, 4.0];
        rotate(&mut head, &[0.0, 1.0], &[1.0, 0.0]);
        assert_eq!(head, [-3.0, 2.0, 1.0, 4.0]);
    }

    #[test]
    fn activations_have_their_known_values() {
        let mut gate = [0.0, 1.0, -2.0];
        swiglu(&mut gate, &[5.0, 2.0, 1.0]);
        assert_close(&gate, &[0.0, 1.462_117_2, -0.238_405_84]);
        let mut x = [0.0, 1.0, -1.0];
        gelu_tanh(&mut x);
        assert_close(&x, &[0.0, 0.841_192, -0.158_808]);
    }
}
