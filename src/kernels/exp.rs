//! The exponential function, many numbers at a time.

use super::isa::{Isa, Work, dispatch};
use super::panels::WIDTH;

/// Below this the result is 0: e^x would be subnormal.
const LOW: f32 = -87.33;
/// Above this the result stays what it is here, 1.6e38: nothing that uses it can tell.
const HIGH: f32 = 88.0;
/// Adding it leaves a number's whole part in the lowest bits of the sum.
const WHOLE: f32 = 12_582_912.0;
// ln 2 in two parts, of which the first has trailing zeros: n times it is exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// e^x within 1e-7 of its value: Cody and Waite's reduction x = n ln 2 + r, |r| ≤ ln 2 / 2, and the polynomial of Moshier's
/// Cephes library (`expf`) for e^r. NaN stays NaN.
#[inline(always)]
pub(super) fn exp<I: Isa>(x: f32) -> f32 {
    let bounded = if x < LOW { LOW } else { x };
    let bounded = if bounded > HIGH { HIGH } else { bounded };
    let shifted = I::fused(bounded, std::f32::consts::LOG2_E, WHOLE);
    let whole = shifted - WHOLE;
    let r = I::fused(whole, -LN_2_HIGH, bounded);
    let r = I::fused(whole, -LN_2_LOW, r);
    let p = I::fused(1.987_569_1e-4, r, 1.398_2e-3);
    let p = I::fused(p, r, 8.333_452e-3);
    let p = I::fused(p, r, 4.166_579_6e-2);
    let p = I::fused(p, r, 1.666_666_5e-1);
    let p = I::fused(p, r, 0.5);
    let p = I::fused(p, r * r, r + 1.0);
    // 2^n: the whole part, moved into the exponent's bits.
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
    if x < LOW { 0.0 } else { p * power }
}

/// e^((z − minus) · times) of every number, and their sum.
///
/// # Panics
/// If the slices differ in length.
pub fn exponentials(z: &[f32], minus: f32, times: f32, into: &mut [f32]) -> f64 {
    assert_eq!(z.len(), into.len());
    let mut total = 0.0;
    dispatch(Exponentials {
        z,
        minus,
        times,
        into,
        total: &mut total,
    });
    total
}

struct Exponentials<'a> {
    z: &'a [f32],
    minus: f32,
    times: f32,
    into: &'a mut [f32],
    total: &'a mut f64,
}

impl Work for Exponentials<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        for (into, z) in self.into.iter_mut().zip(self.z) {
            *into = exp::<I>((z - self.minus) * self.times);
        }
        let mut sums = [0.0; WIDTH];
        let chunks = self.into.chunks_exact(WIDTH);
        let rest: f64 = chunks.remainder().iter().copied().map(f64::from).sum();
        for chunk in chunks {
            for (sum, &value) in sums.iter_mut().zip(chunk) {
                *sum += f64::from(value);
            }
        }
        *self.total = sums.iter().sum::<f64>() + rest;
    }
}

/// The largest of some numbers, NaN left out; −∞ if there is none.
pub fn largest(z: &[f32]) -> f32 {
    let mut largest = f32::NEG_INFINITY;
    dispatch(Largest {
        z,
        largest: &mut largest,
    });
    largest
}

struct Largest<'a> {
    z: &'a [f32],
    largest: &'a mut f32,
}

impl Work for Largest<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let larger = |a: f32, b: f32| if b > a { b } else { a };
        let mut most = [f32::NEG_INFINITY; 4 * WIDTH];
        let chunks = self.z.chunks_exact(4 * WIDTH);
        let rest = chunks.remainder();
        for chunk in chunks {
            for (most, &value) in most.iter_mut().zip(chunk) {
                *most = larger(*most, value);
            }
        }
        let all = most.iter().chain(rest);
        *self.largest = all.fold(f32::NEG_INFINITY, |a, &b| larger(a, b));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_right_to_the_last_digits() {
        let z: Vec<f32> = (-8700..=8800).map(|i| i as f32 / 100.0).collect();
        let mut e = vec![0.0; z.len()];
        exponentials(&z, 0.0, 1.0, &mut e);
        for (z, e) in z.iter().zip(e) {
            let exact = f64::from(*z).exp();
            assert!(
                (f64::from(e) / exact - 1.0).abs() < 1.5e-7,
                "exp({z}) = {e}"
            );
        }
    }

    #[test]
    fn the_ends_are_zero_large_and_nan() {
        let mut e = [1.0; 5];
        let z = [f32::NEG_INFINITY, -88.0, 0.0, f32::INFINITY, f32::NAN];
        exponentials(&z, 0.0, 1.0, &mut e);
        assert_eq!(e[..3], [0.0, 0.0, 1.0]);
        assert!(e[3] > 1e38 && e[4].is_nan());
    }

    #[test]
    fn temperature_and_maximum_are_applied_first() {
        let mut e = [0.0; 2];
        exponentials(&[3.0, 1.0], 3.0, 0.5, &mut e);
        assert_eq!(e[0], 1.0);
        assert!((e[1] - (-1.0_f32).exp()).abs() < 1e-7);
    }
    #[test]
    fn the_sum_and_the_largest_are_those_of_all_numbers() {
        for count in [0, 1, 15, 16, 100, 300] {
            let z: Vec<f32> = (0..count).map(|i| ((i * 37) % 101) as f32 / 10.0).collect();
            let mut e = vec![0.0; count];
            let total = exponentials(&z, 10.0, 1.0, &mut e);
            let exact: f64 = e.iter().copied().map(f64::from).sum();
            assert!((total - exact).abs() < 1e-9);
            let sorted = z.iter().copied().max_by(f32::total_cmp);
            assert_eq!(largest(&z), sorted.unwrap_or(f32::NEG_INFINITY));
        }
        assert_eq!(largest(&[f32::NAN, 2.0, f32::NAN, -1.0]), 2.0);
        assert_eq!(largest(&[f32::NAN; 70]), f32::NEG_INFINITY);
    }
}
