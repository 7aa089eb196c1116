//! The reward of every response token: the KL penalty everywhere, the score at the end.
//!
//! Stiennon et al. 2020, arXiv:2009.01325, section 3.4: R(x, y) = r(x, y) − β·log(π(y|x)/π_ref(y|x)).

use burn::tensor::{Bool, Tensor};

use super::masked;

/// What becomes of the score of a response that was cut off before it ended with EOS.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MissingEos {
    /// It stays.
    Keep,
    /// This much is subtracted (TRL's `missing_eos_penalty`).
    Penalty(f64),
    /// It is replaced by this (Ziegler et al. 2019, arXiv:1909.08593).
    Score(f64),
}

/// Scores after the rule for responses without EOS.
///
/// # Shapes
/// `scores`, `finished` (true where the response ended with EOS) and the result: `[batch]`.
/// # Units
/// Reward-model units.
pub fn adjust_scores(scores: Tensor<1>, finished: &Tensor<1, Bool>, rule: MissingEos) -> Tensor<1> {
    let adjusted = match rule {
        MissingEos::Keep => return scores,
        MissingEos::Penalty(penalty) => scores.clone() - penalty,
        MissingEos::Score(score) => scores.full_like(score),
    };
    adjusted.mask_where(finished.clone(), scores)
}

/// r_t = −β·kl_t, and the score added at the last response token.
///
/// `kl` is the per-token estimate of [`super::kl::KlEstimator`]; PPO takes k1 = logp − logp_ref. A
/// row without any real token has no place for its score and gets none.
///
/// # Shapes
/// `kl`, `response_mask` and the result: `[batch, time]`; `scores`: `[batch]`.
/// # Units
/// Rewards and scores in reward-model units, `kl` in nats, β in reward-model units per nat.
/// # Panics
/// If the shapes differ.
pub fn token_rewards(
    kl: Tensor<2>,
    scores: Tensor<1>,
    response_mask: &Tensor<2, Bool>,
    kl_coef: f64,
) -> Tensor<2> {
    let penalties = masked::zero_pads(kl * -kl_coef, response_mask);
    let scores = scores.unsqueeze_dim::<2>(1).expand(penalties.dims());
    penalties + masked::zero_pads(scores, &masked::last_real(response_mask))
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tolerance};

    use super::*;

    #[test]
    fn the_score_lands_on_the_last_real_token() {
        let device = Device::flex();
        let mask = [[true, true, true], [true, false, false]];
        let kl = Tensor::<2>::from_floats([[0.1, -0.2, 0.3], [0.4, f32::NAN, 7.0]], &device);
        let scores = Tensor::<1>::from_floats([2.0, -1.0], &device);
        let rewards = token_rewards(kl, scores, &Tensor::from_bool(mask, &device), 0.5);
        let expected = Tensor::<2>::from_floats([[-0.05, 0.1, 1.85], [-1.2, 0.0, 0.0]], &device);
        rewards
            .into_data()
            .assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-6));
    }

    #[test]
    fn the_three_rules_for_a_missing_eos() {
        let device = Device::flex();
        let finished = Tensor::<1, Bool>::from_bool([true, false], &device);
        for (rule, expected) in [
            (MissingEos::Keep, [0.5, 0.25]),
            (MissingEos::Penalty(1.0), [0.5, -0.75]),
            (MissingEos::Score(-1.0), [0.5, -1.0]),
        ] {
            let scores = Tensor::<1>::from_floats([0.5, 0.25], &device);
            let got: Vec<f32> = adjust_scores(scores, &finished, rule)
                .try_into_vec_as()
                .unwrap();
            assert_eq!(got, expected, "{rule:?}");
        }
    }
}
