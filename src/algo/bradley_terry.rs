//! The reward model's loss on pairs: the answer that people preferred should score higher.

use burn::tensor::{Tensor, activation::log_sigmoid};

/// Of each pair, −log σ(r_w − r_l − m): Bradley & Terry 1952 with a margin m.
///
/// Ouyang et al. 2022, arXiv:2203.02155, eq. 1; the margin is that of Touvron et al. 2023,
/// arXiv:2307.09288, eq. 2 (zeros for none).
///
/// # Shapes
/// `winners`, `losers`, `margins` and the result: `[pairs]`.
/// # Units
/// Scores and margins in reward-model units, losses in nats.
/// # Panics
/// If the shapes differ.
pub fn losses(winners: Tensor<1>, losers: Tensor<1>, margins: Tensor<1>) -> Tensor<1> {
    -log_sigmoid(winners - losers - margins)
}

/// Of each pair, (r_w + r_l)²: times a small coefficient it keeps scores centred on 0.
///
/// Eisenstein et al. 2023, arXiv:2312.09244, eq. 2 (TRL's `center_rewards_coefficient`).
///
/// # Shapes
/// `winners`, `losers` and the result: `[pairs]`.
/// # Panics
/// If the shapes differ.
pub fn centring(winners: Tensor<1>, losers: Tensor<1>) -> Tensor<1> {
    (winners + losers).square()
}

#[cfg(test)]
mod tests {
    use std::f32::consts::LN_2;

    use burn::tensor::Device;

    use super::*;

    fn losses_at(differences: &[f32], margin: f32) -> Vec<f32> {
        let winners = Tensor::<1>::from_floats(differences, &Device::flex());
        let losers = winners.zeros_like();
        let margins = winners.full_like(margin);
        losses(winners, losers, margins).try_into_vec_as().unwrap()
    }

    /// `design/algorithms.md` item 8.
    #[test]
    fn loss_of_known_differences() {
        let got = losses_at(&[0.0, 0.5, 1.0, 2.0], 0.0);
        for (got, expected) in got.iter().zip([LN_2, 0.474_077, 0.313_262, 0.126_928]) {
            assert!((got - expected).abs() < 1e-6, "{got} against {expected}");
        }
        assert_eq!(losses_at(&[2.0], 1.0), losses_at(&[1.0], 0.0));
    }

    #[test]
    fn far_from_zero_the_loss_stays_finite() {
        assert_eq!(losses_at(&[-1000.0, 1000.0], 0.0), [1000.0, 0.0]);
    }
}
