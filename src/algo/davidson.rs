//! The reward model's loss on pairs that may be ties.
//!
//! Davidson 1970, "On extending the Bradley-Terry model to accommodate ties in paired comparison
//! experiments": P(a) : P(tie) : P(b) = e^{d/2} : ν : e^{−d/2}, d = r_a − r_b.

use burn::tensor::{Int, Tensor, activation::log_softmax};

/// log P of the three outcomes of each pair: a wins, tie, b wins.
///
/// # Shapes
/// `a`, `b`: `[pairs]`; `log_nu` (how likely ties are, learnt with the scores): `[1]`; the result:
/// `[pairs, 3]`.
/// # Units
/// Scores in reward-model units, the result in nats.
/// # Panics
/// If the shapes differ.
pub fn log_probabilities(a: Tensor<1>, b: Tensor<1>, log_nu: Tensor<1>) -> Tensor<2> {
    let half = (a - b) * 0.5;
    let tie = log_nu.expand(half.dims());
    log_softmax(Tensor::stack(vec![half.clone(), tie, -half], 1), 1)
}

/// Of each pair, −log P(outcome), the outcome being 0 (a wins), 1 (tie) or 2 (b wins).
///
/// # Shapes
/// `outcomes` and the result: `[pairs]`; the rest as in [`log_probabilities`].
/// # Panics
/// If the shapes differ, or an outcome is none of the three.
pub fn losses(
    a: Tensor<1>,
    b: Tensor<1>,
    log_nu: Tensor<1>,
    outcomes: Tensor<1, Int>,
) -> Tensor<1> {
    let of_outcomes = log_probabilities(a, b, log_nu).gather(1, outcomes.unsqueeze_dim::<2>(1));
    -of_outcomes.squeeze_dim::<1>(1)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData, Tolerance};

    use super::*;

    /// `design/algorithms.md` item 10, ν = 1.
    #[test]
    fn outcome_probabilities_of_known_differences() {
        let device = Device::flex();
        let a = Tensor::<1>::from_floats([3.0, 1.0], &device);
        let b = Tensor::<1>::from_floats([3.0, 0.0], &device);
        let probabilities = log_probabilities(a, b, Tensor::zeros([1], &device)).exp();
        let third = 1.0_f32 / 3.0;
        probabilities.into_data().assert_approx_eq::<f32>(
            &TensorData::from([[third, third, third], [0.506_48, 0.307_20, 0.186_32]]),
            Tolerance::absolute(1e-5),
        );
    }
}
