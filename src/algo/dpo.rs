//! Learning from pairs without a reward model: DPO and two of its kin.

use burn::tensor::{Tensor, activation::log_sigmoid};

/// How the implicit reward margin h = (log π/π_ref)(chosen) − (log π/π_ref)(rejected) is judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PreferenceLoss {
    /// −(1−ε)·log σ(βh) − ε·log σ(−βh). Rafailov et al. 2023, arXiv:2305.18290, eq. 7; with
    /// `label_smoothing` ε > 0 conservative DPO (E. Mitchell 2023): labels are wrong that often.
    Dpo {
        /// ε in [0, 0.5).
        label_smoothing: f64,
    },
    /// (h − 1/(2β))². Azar et al. 2023, arXiv:2310.12036, eq. 17.
    Ipo,
}

/// Summed log-probabilities of the two responses of each pair. Every tensor is `[pairs]`.
#[derive(Clone, Debug)]
pub struct PairLogprobs {
    /// Of the preferred response under the policy; the gradient flows here and below.
    pub policy_chosen: Tensor<1>,
    /// Of the other response under the policy.
    pub policy_rejected: Tensor<1>,
    /// Of the preferred response under the reference.
    pub ref_chosen: Tensor<1>,
    /// Of the other response under the reference.
    pub ref_rejected: Tensor<1>,
}

/// The loss of each pair.
///
/// # Shapes
/// The result is `[pairs]`.
/// # Units
/// `beta`: reward units per nat; the loss of [`PreferenceLoss::Dpo`] in nats.
/// # Panics
/// If the shapes in `pairs` differ.
pub fn losses(pairs: PairLogprobs, beta: f64, loss: PreferenceLoss) -> Tensor<1> {
    let chosen = pairs.policy_chosen - pairs.ref_chosen;
    let margin = chosen - (pairs.policy_rejected - pairs.ref_rejected);
    match loss {
        PreferenceLoss::Dpo { label_smoothing } => {
            let reward = margin * beta;
            let right = log_sigmoid(reward.clone()) * (1.0 - label_smoothing);
            -(right + log_sigmoid(-reward) * label_smoothing)
        }
        PreferenceLoss::Ipo => (margin - 1.0 / (2.0 * beta)).square(),
    }
}
