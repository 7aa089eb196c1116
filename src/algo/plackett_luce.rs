//! The reward model's loss on rankings of more than two answers.

use burn::tensor::Tensor;

/// Of each ranking, −log P(ranking): Σ_i (log Σ_{j ≥ i} e^{s_j} − s_i) with the best answer first.
///
/// Plackett 1975, Luce 1959; at k = 2 it is the Bradley–Terry loss.
///
/// # Shapes
/// `scores_best_first`: `[rankings, k]`; the result: `[rankings]`.
/// # Units
/// Scores in reward-model units, losses in nats.
pub fn losses(scores_best_first: Tensor<2>) -> Tensor<1> {
    let [rankings, k] = scores_best_first.dims();
    // The shift cancels out of every term; without it e^s could overflow.
    let largest = scores_best_first.clone().detach().max_dim(1);
    let scores = scores_best_first - largest;
    let mut losses = Tensor::zeros_like(&scores.clone().narrow(1, 0, 1));
    for place in 0..k.saturating_sub(1) {
        let rest = scores.clone().narrow(1, place, k - place);
        losses = losses + rest.exp().sum_dim(1).log() - scores.clone().narrow(1, place, 1);
    }
    losses.reshape([rankings])
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    /// `design/algorithms.md` item 9: scores 2, 1, 0 in that order; and far apart, finite.
    #[test]
    fn loss_of_a_known_ranking() {
        let scores =
            Tensor::<2>::from_floats([[2.0, 1.0, 0.0], [0.0, 100.0, 0.0]], &Device::flex());
        let got: Vec<f32> = losses(scores).try_into_vec_as().unwrap();
        assert!(
            (got[0] - 0.720_868).abs() < 1e-5 && (got[1] - 100.0).abs() < 1e-4,
            "{got:?}"
        );
    }
}
