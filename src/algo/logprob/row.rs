//! Softmax over one row of logits in the CPU's memory, in as few passes as there can be.
//!
//! A vocabulary of 49 152 words makes the exponential the second most expensive thing in PPO after
//! the matrix products. The loops here run over [`LANES`] independent sums, which the compiler turns
//! into SIMD instructions.

/// Independent running sums.
const LANES: usize = 16;

/// Elements after which the f32 sums are emptied into f64.
const BLOCK: usize = 1024;

/// Below this e^x is 0 in f32 (but for subnormal numbers).
const SMALLEST_EXPONENT: f32 = -87.0;

/// What is known about one row z at label a and temperature T.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// log softmax(z/T)\[a\].
    pub logprob: f32,
    /// −Σ p·log p.
    pub entropy: f32,
    /// log Σ exp(z/T).
    pub log_normaliser: f32,
}

/// Log-probability, entropy and normaliser in two passes. A NaN in the row makes all three NaN.
///
/// # Panics
/// If the label is outside the row.
pub(super) fn forward(row: &[f32], label: usize, temperature: f64) -> Row {
    let scale = (1.0 / temperature) as f32;
    let largest = largest(row);
    let (mut total, mut expected) = (0.0, 0.0);
    for block in row.chunks(BLOCK) {
        let (weights, products) = weigh(block, largest, scale);
        total += weights;
        expected += products;
    }
    let log_total = total.ln();
    Row {
        logprob: (f64::from((row[label] - largest) * scale) - log_total) as f32,
        entropy: (log_total - expected / total) as f32,
        log_normaliser: (f64::from(largest * scale) + log_total) as f32,
    }
}

/// Replaces the row z by the gradient g·(1\[j = a\] − p_j)/T in one pass.
///
/// # Panics
/// If the label is outside the row.
pub(super) fn backward(
    row: &mut [f32],
    label: usize,
    temperature: f64,
    log_normaliser: f32,
    gradient: f32,
) {
    let scale = (1.0 / temperature) as f32;
    let gradient = gradient * scale;
    for logit in row.iter_mut() {
        *logit = -gradient * exp(*logit * scale - log_normaliser);
    }
    row[label] += gradient;
}

fn largest(row: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (pieces, rest) = row.as_chunks::<LANES>();
    for piece in pieces {
        for (lane, &logit) in lanes.iter_mut().zip(piece) {
            *lane = larger(*lane, logit);
        }
    }
    lanes
        .into_iter()
        .chain(rest.iter().copied())
        .fold(f32::NEG_INFINITY, larger)
}

/// Σ e^x and Σ x·e^x over a block, x = (z − largest)·scale.
fn weigh(block: &[f32], largest: f32, scale: f32) -> (f64, f64) {
    let (mut weights, mut products) = ([0.0_f32; LANES], [0.0_f32; LANES]);
    let (pieces, rest) = block.as_chunks::<LANES>();
    for piece in pieces {
        for lane in 0..LANES {
            let x = at_least_smallest((piece[lane] - largest) * scale);
            let weight = exp(x);
            weights[lane] += weight;
            products[lane] += weight * x;
        }
    }
    for (lane, logit) in rest.iter().enumerate() {
        let x = at_least_smallest((logit - largest) * scale);
        let weight = exp(x);
        weights[lane] += weight;
        products[lane] += weight * x;
    }
    let sum = |lanes: [f32; LANES]| lanes.into_iter().map(f64::from).sum();
    (sum(weights), sum(products))
}

/// Unlike `f32::max` this keeps a NaN, which must not be mistaken for a small number.
#[inline]
fn at_least_smallest(x: f32) -> f32 {
    if x < SMALLEST_EXPONENT {
        SMALLEST_EXPONENT
    } else {
        x
    }
}

/// e^x for x ≤ 88 to about one unit in the last place, without branches: x = k·ln 2 + r, and the
/// polynomial of Cephes' `expf` (S. Moshier, 1989) for e^r.
#[inline]
fn exp(x: f32) -> f32 {
    /// 1.5·2²³: adding it rounds to the nearest integer, which then stands in the low bits.
    const ROUNDER: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 355.0 / 512.0;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let x = at_least_smallest(x);
    let rounded = x * std::f32::consts::LOG2_E + ROUNDER;
    let k = rounded - ROUNDER;
    let r = x - k * LN_2_HIGH - k * LN_2_LOW;
    let mut y = 1.987_569_1e-4;
    for coefficient in [
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ] {
        y = y * r + coefficient;
    }
    let power = rounded
        .to_bits()
        .wrapping_sub(ROUNDER.to_bits())
        .wrapping_add(127)
        << 23;
    (y * r * r + r + 1.0) * f32::from_bits(power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_good_to_two_units_in_the_last_place() {
        for step in 0..=100_000 {
            let x = -86.9 + step as f32 * 1e-3;
            let expected = f64::from(x).exp();
            let error = (f64::from(exp(x)) / expected - 1.0).abs();
            assert!(
                error < 2.0 * f64::from(f32::EPSILON),
                "e^{x} is off by {error}"
            );
        }
        assert_eq!(exp(0.0), 1.0);
        assert!(exp(f32::NEG_INFINITY) < 2e-38);
        assert!(exp(f32::NAN).is_nan());
    }

    /// 4 099 logits, no multiple of any block, against the definition in f64.
    #[test]
    fn a_long_row_against_the_definition() {
        let row: Vec<f32> = (0..4099)
            .map(|i| ((i * 37) % 211) as f32 * 0.1 - 9.0)
            .collect();
        for temperature in [0.7, 1.0, 3.0] {
            let tempered: Vec<f64> = row.iter().map(|&z| f64::from(z) / temperature).collect();
            let total: f64 = tempered.iter().map(|z| z.exp()).sum();
            let expected: f64 = tempered.iter().map(|z| z.exp() / total * z).sum();
            let got = forward(&row, 17, temperature);
            let near = |got: f32, expected: f64| (f64::from(got) - expected).abs() < 4e-6;
            assert!(near(got.logprob, tempered[17] - total.ln()), "{got:?}");
            assert!(near(got.entropy, total.ln() - expected), "{got:?}");
            assert!(near(got.log_normaliser, total.ln()), "{got:?}");

            let mut gradient = row.clone();
            backward(&mut gradient, 17, temperature, got.log_normaliser, 0.5);
            for (j, gradient) in gradient.into_iter().enumerate() {
                let onehot = if j == 17 { 1.0 } else { 0.0 };
                let expected = 0.5 * (onehot - tempered[j].exp() / total) / temperature;
                assert!(
                    near(gradient, expected),
                    "word {j}: {gradient}, expected {expected}"
                );
            }
        }
    }

    #[test]
    fn impossible_words_are_fine_and_nan_is_not_hidden() {
        let got = forward(&[0.0, f32::NEG_INFINITY, 0.0], 0, 1.0);
        assert!((got.entropy - 2.0_f32.ln()).abs() < 1e-6 && got.logprob == -(2.0_f32.ln()));
        assert!(forward(&[0.0, f32::NAN, 0.0], 0, 1.0).logprob.is_nan());
    }
}
