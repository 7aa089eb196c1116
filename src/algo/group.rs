//! Advantages from several responses to one prompt, without a critic.

use burn::tensor::Tensor;

/// Added to the standard deviation, as TRL does.
const DEVIATION_EPSILON: f64 = 1e-4;

/// REINFORCE leave-one-out: each score less the mean of its siblings' scores.
///
/// Ahmadian et al. 2024, arXiv:2402.14740, section 3.2; with k responses that is k/(k−1) times the
/// score less the mean of all.
///
/// # Shapes
/// `scores` and the result: `[prompts, k]`, k ≥ 2.
/// # Units
/// Reward-model units.
pub fn rloo(scores: Tensor<2>) -> Tensor<2> {
    let k = scores.dims()[1] as f64;
    let mean = scores.clone().mean_dim(1);
    (scores - mean) * (k / (k - 1.0))
}

/// GRPO: scores standardised within their group, (s − mean)/(std + 1e-4), std of the sample.
///
/// Shao et al. 2024, arXiv:2402.03300, section 4.1.2.
///
/// # Shapes
/// `scores` and the result: `[prompts, k]`, k ≥ 2.
/// # Units
/// Dimensionless.
pub fn grpo(scores: Tensor<2>) -> Tensor<2> {
    let deviation = scores.clone().var(1).sqrt() + DEVIATION_EPSILON;
    let mean = scores.clone().mean_dim(1);
    (scores - mean) / deviation
}
