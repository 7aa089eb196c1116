//! The clipped losses of proximal policy optimisation.
//!
//! Schulman et al. 2017, arXiv:1707.06347, eq. 7 (policy) and section 5 (value); the clipped value
//! loss and its ½ are those of openai/lm-human-preferences. Departures:
//!
//! 1. Losses are sums over real tokens divided by a denominator that the caller gives. With the
//!    token count of the whole minibatch there, microbatches of any size add up to the minibatch.
//! 2. Where both branches of a maximum are equal the unclipped one is taken, so that the gradient at
//!    ratio 1, where every update starts, is exactly −A.

use burn::tensor::{Bool, Tensor};

use super::masked;

/// What the policy loss of some response tokens is computed from. Every tensor is `[batch, time]`.
#[derive(Clone, Debug)]
pub struct PolicyBatch {
    /// log π(a|s) of the policy being trained; the gradient flows here.
    pub logprobs: Tensor<2>,
    /// The same at rollout time.
    pub old_logprobs: Tensor<2>,
    /// Whitened advantages.
    pub advantages: Tensor<2>,
    /// True at response tokens.
    pub response_mask: Tensor<2, Bool>,
}

/// Where the ratio of new to old probability stops counting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PolicyClip {
    /// ε: the ratio is clipped to 1 ± ε.
    pub range: f64,
    /// c > 1: at a negative advantage the loss is at most −c·A (Ye et al. 2020, arXiv:1912.09729,
    /// eq. 5). `None`: no upper bound, as in plain PPO.
    pub dual: Option<f64>,
}

/// The two branches of the policy's maximum, before masking.
pub(super) struct PolicySurrogates {
    /// −A·ρ.
    pub unclipped: Tensor<2>,
    /// −A·clip(ρ, 1 ± ε).
    pub clipped: Tensor<2>,
}

impl PolicySurrogates {
    pub(super) fn new(batch: PolicyBatch, range: f64) -> Self {
        let log_ratio = batch.logprobs - batch.old_logprobs;
        // A pad's ratio could overflow, and infinity times a zero mask is NaN.
        let ratio = masked::zero_pads(log_ratio, &batch.response_mask).exp();
        Self {
            unclipped: -batch.advantages.clone() * ratio.clone(),
            clipped: -batch.advantages * ratio.clamp(1.0 - range, 1.0 + range),
        }
    }

    /// True where clipping decides the loss.
    pub(super) fn is_clipped(&self) -> Tensor<2, Bool> {
        self.clipped.clone().greater(self.unclipped.clone())
    }
}

/// Σ max(−A·ρ, −A·clip(ρ, 1 ± ε)) / denominator over the real tokens, ρ = exp(logp − logp_old).
///
/// Schulman et al. 2017, arXiv:1707.06347, eq. 7, with the sign turned to a loss.
///
/// # Shapes
/// The result is `[1]`.
/// # Units
/// `denominator`: real tokens of the whole minibatch.
/// # Panics
/// If the shapes in `batch` differ.
pub fn policy_loss(batch: PolicyBatch, clip: PolicyClip, denominator: f64) -> Tensor<1> {
    let advantages = batch.advantages.clone();
    let mask = batch.response_mask.clone();
    let surrogates = PolicySurrogates::new(batch, clip.range);
    let is_clipped = surrogates.is_clipped();
    let mut losses = surrogates
        .unclipped
        .mask_where(is_clipped, surrogates.clipped);
    if let Some(bound) = clip.dual {
        let ceiling = -advantages.clone() * bound;
        let above = losses.clone().greater(ceiling.clone());
        losses = losses.mask_where(above.bool_and(advantages.lower_scalar(0.0)), ceiling);
    }
    masked::sum(losses, &mask) / denominator
}

/// What the value loss of some response tokens is computed from. Every tensor is `[batch, time]`.
#[derive(Clone, Debug)]
pub struct ValueBatch {
    /// V of the critic being trained; the gradient flows here.
    pub values: Tensor<2>,
    /// The same at rollout time.
    pub old_values: Tensor<2>,
    /// Targets, from [`super::gae::estimate`].
    pub returns: Tensor<2>,
    /// True at response tokens.
    pub response_mask: Tensor<2, Bool>,
}

/// Squared errors of the value and of the value clipped to its old self.
pub(super) struct ValueErrors {
    /// (V − R)².
    pub unclipped: Tensor<2>,
    /// (V_old + clip(V − V_old, ±ε) − R)².
    pub clipped: Tensor<2>,
}

impl ValueErrors {
    pub(super) fn new(batch: ValueBatch, range: f64) -> Self {
        let moved = (batch.values.clone() - batch.old_values.clone()).clamp(-range, range);
        Self {
            clipped: (batch.old_values + moved - batch.returns.clone()).square(),
            unclipped: (batch.values - batch.returns).square(),
        }
    }

    /// True where clipping decides the loss.
    pub(super) fn is_clipped(&self) -> Tensor<2, Bool> {
        self.clipped.clone().greater(self.unclipped.clone())
    }
}

/// Σ ½·max((V − R)², (V_old + clip(V − V_old, ±ε) − R)²) / denominator over the real tokens.
///
/// The caller multiplies by its `vf_coef`. As `ppo2` of openai/baselines and
/// openai/lm-human-preferences do; the paper's own L^VF (eq. 9) is the unclipped square.
///
/// # Shapes
/// The result is `[1]`.
/// # Units
/// Reward-model units, squared. `denominator`: real tokens of the whole minibatch.
/// # Panics
/// If the shapes in `batch` differ.
pub fn value_loss(batch: ValueBatch, clip_range: f64, denominator: f64) -> Tensor<1> {
    let mask = batch.response_mask.clone();
    let errors = ValueErrors::new(batch, clip_range);
    let is_clipped = errors.is_clipped();
    let worst = errors.unclipped.mask_where(is_clipped, errors.clipped);
    masked::sum(worst, &mask) * 0.5 / denominator
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn batch(ratio: f32, advantage: f32) -> PolicyBatch {
        let device = Device::flex();
        PolicyBatch {
            logprobs: Tensor::from_floats([[ratio.ln(), 50.0]], &device),
            old_logprobs: Tensor::from_floats([[0.0, -50.0]], &device),
            advantages: Tensor::from_floats([[advantage, 1.0]], &device),
            response_mask: Tensor::from_bool([[true, false]], &device),
        }
    }

    /// The six cases of arXiv:1707.06347 figure 1, and the dual clip below them. The second token is
    /// a pad whose ratio overflows.
    #[test]
    fn clipping_case_by_case() {
        let plain = PolicyClip {
            range: 0.2,
            dual: None,
        };
        let dual = PolicyClip {
            range: 0.2,
            dual: Some(3.0),
        };
        for (ratio, advantage, clip, expected) in [
            (1.0, 2.0, plain, -2.0),
            (1.5, 2.0, plain, -2.4),
            (0.5, 2.0, plain, -1.0),
            (1.0, -2.0, plain, 2.0),
            (1.5, -2.0, plain, 3.0),
            (0.5, -2.0, plain, 1.6),
            (5.0, -2.0, plain, 10.0),
            (5.0, -2.0, dual, 6.0),
            (2.0, -2.0, dual, 4.0),
            (5.0, 2.0, dual, -2.4),
        ] {
            let loss: f32 = policy_loss(batch(ratio, advantage), clip, 1.0).into_scalar();
            assert!(
                (loss - expected).abs() < 1e-5,
                "ratio {ratio}, A {advantage}: {loss}"
            );
        }
    }

    #[test]
    fn the_gradient_at_ratio_one_is_minus_the_advantage() {
        let device = Device::flex().autodiff();
        let logprobs = Tensor::<2>::from_floats([[-1.5, -0.25]], &device).require_grad();
        let batch = PolicyBatch {
            logprobs: logprobs.clone(),
            old_logprobs: Tensor::from_floats([[-1.5, -0.25]], &device),
            advantages: Tensor::from_floats([[0.75, -2.0]], &device),
            response_mask: Tensor::full([1, 2], true, &device),
        };
        let loss = policy_loss(
            batch,
            PolicyClip {
                range: 0.2,
                dual: None,
            },
            2.0,
        );
        let gradient: Vec<f32> = logprobs
            .grad(&loss.backward())
            .unwrap()
            .try_into_vec_as()
            .unwrap();
        assert_eq!(gradient, [-0.375, 1.0]);
    }

    #[test]
    fn value_loss_takes_the_worse_of_the_two_errors() {
        let device = Device::flex();
        for (value, old, target, expected) in [
            (1.1, 1.0, 2.0, 0.405),
            (2.0, 1.0, 2.0, 0.32),
            (0.0, 1.0, 2.0, 2.0),
        ] {
            let batch = ValueBatch {
                values: Tensor::from_floats([[value]], &device),
                old_values: Tensor::from_floats([[old]], &device),
                returns: Tensor::from_floats([[target]], &device),
                response_mask: Tensor::full([1, 1], true, &device),
            };
            let loss: f32 = value_loss(batch, 0.2, 1.0).into_scalar();
            assert!((loss - expected).abs() < 1e-6, "V {value}: {loss}");
        }
    }
}
