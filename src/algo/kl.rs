//! How far the policy is from its reference: per-token estimators of the KL divergence, and the
//! controllers of its coefficient β.

use burn::tensor::Tensor;

/// A per-token estimator of KL(policy ‖ reference) from d = log π(a) − log π_ref(a), a drawn from π.
///
/// J. Schulman, "Approximating KL divergence", 2020, <http://joschu.net/blog/kl-approx.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KlEstimator {
    /// d: unbiased, may be negative. The one that PPO's reward uses.
    K1,
    /// d²/2: biased, low variance, never negative.
    K2,
    /// e^(−d) − 1 + d: unbiased, never negative.
    K3,
}

impl KlEstimator {
    /// The estimate at every token.
    ///
    /// # Shapes
    /// `log_ratio` and the result are the same.
    /// # Units
    /// Nats.
    pub fn estimate<const D: usize>(self, log_ratio: Tensor<D>) -> Tensor<D> {
        match self {
            Self::K1 => log_ratio,
            Self::K2 => log_ratio.square() * 0.5,
            Self::K3 => expm1(-log_ratio.clone()) + log_ratio,
        }
    }

    /// The name under which logs and configuration know the estimator.
    pub fn name(self) -> &'static str {
        match self {
            Self::K1 => "k1",
            Self::K2 => "k2",
            Self::K3 => "k3",
        }
    }
}

/// eˣ − 1 = tanh(x/2)·(eˣ + 1), which keeps its digits near 0, where eˣ − 1 in f32 loses them.
fn expm1<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    (x.clone() * 0.5).tanh() * (x.exp() + 1.0)
}

/// Largest relative error that the adaptive controller reacts to.
const MAX_RELATIVE_ERROR: f64 = 0.2;

/// The KL coefficient β and the rule that changes it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KlController {
    /// β never changes.
    Fixed {
        /// β.
        kl_coef: f64,
    },
    /// β follows a target: e = clip(KL/target − 1, ±0.2), β ← β·(1 + e·n/horizon).
    ///
    /// Ziegler et al. 2019, arXiv:1909.08593, section 2.2.
    Adaptive {
        /// β now.
        kl_coef: f64,
        /// The KL per sequence to hold, in nats.
        target: f64,
        /// In episodes: how slowly β moves.
        horizon: f64,
    },
}

impl KlController {
    /// β for the next rollout.
    pub fn kl_coef(&self) -> f64 {
        match *self {
            Self::Fixed { kl_coef } | Self::Adaptive { kl_coef, .. } => kl_coef,
        }
    }

    /// Takes in one step's measurement.
    ///
    /// # Units
    /// `kl_nats`: mean over sequences of the summed k1; `episodes`: sequences in this step.
    pub fn update(&mut self, kl_nats: f64, episodes: usize) {
        if let Self::Adaptive {
            kl_coef,
            target,
            horizon,
        } = self
        {
            let error = (kl_nats / *target - 1.0).clamp(-MAX_RELATIVE_ERROR, MAX_RELATIVE_ERROR);
            *kl_coef *= 1.0 + error * episodes as f64 / *horizon;
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn mean_of(estimator: KlEstimator, log_ratio: &[f32]) -> f32 {
        let log_ratio = Tensor::<1>::from_floats(log_ratio, &Device::flex());
        estimator.estimate(log_ratio).mean().into_scalar()
    }

    /// `design/algorithms.md` item 19.
    #[test]
    fn the_three_estimators_on_known_numbers() {
        let d = [0.1, -0.2, 0.05];
        assert!((mean_of(KlEstimator::K1, &d) - -0.016_667).abs() < 1e-6);
        assert!((mean_of(KlEstimator::K2, &d) - 0.008_75).abs() < 1e-6);
        assert!((mean_of(KlEstimator::K3, &d) - 0.009_157).abs() < 1e-6);
    }

    /// e^(−d) − 1 + d at d = 1e-3 is 4.998e-7; the plain formula in f32 is off by several per cent.
    #[test]
    fn k3_keeps_its_digits_for_small_ratios() {
        let got = mean_of(KlEstimator::K3, &[1e-3]);
        assert!((got / 4.998_334e-7 - 1.0).abs() < 1e-3, "{got}");
    }

    /// `design/algorithms.md` item 20.
    #[test]
    fn adaptive_coefficient_on_known_numbers() {
        for (kl, expected) in [(3.0, 0.148_464), (6.0, 0.15), (9.0, 0.151_536)] {
            let mut controller = KlController::Adaptive {
                kl_coef: 0.15,
                target: 6.0,
                horizon: 10_000.0,
            };
            controller.update(kl, 512);
            assert!((controller.kl_coef() - expected).abs() < 1e-12, "KL {kl}");
        }
    }

    #[test]
    fn fixed_coefficient_stays() {
        let mut controller = KlController::Fixed { kl_coef: 0.05 };
        controller.update(100.0, 512);
        assert_eq!(controller.kl_coef(), 0.05);
    }
}
