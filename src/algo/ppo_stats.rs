//! What is logged about a PPO update: masked sums that add up over microbatches.
//!
//! Peers that averaged over pads understated the approximate KL 1.8 times; here every statistic is a
//! sum over real tokens, merged over microbatches, and divided once at the end.

use burn::tensor::{Bool, Tensor};

use super::ppo::{PolicyBatch, PolicySurrogates, ValueBatch, ValueErrors};

/// The policy's side of an update. `Default` is the measurement of no tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PolicyStats {
    tokens: f64,
    clipped: f64,
    absolute_log_ratios: f64,
    half_squared_log_ratios: f64,
    /// Of ρ − 1, which keeps its digits where ρ ≈ 1.
    ratio_offsets: f64,
    squared_ratio_offsets: f64,
    ratio_max: f64,
}

impl PolicyStats {
    /// Measures one microbatch; `clip_range` is the loss's.
    ///
    /// # Panics
    /// If the shapes in `batch` differ.
    pub fn measure(batch: PolicyBatch, clip_range: f64) -> Self {
        let mask = flags(batch.response_mask.clone());
        let log_ratios = floats(batch.logprobs.clone() - batch.old_logprobs.clone());
        let clipped = flags(PolicySurrogates::new(batch, clip_range).is_clipped());
        let mut stats = Self::default();
        for ((real, log_ratio), clipped) in mask.into_iter().zip(log_ratios).zip(clipped) {
            if real {
                stats.add(log_ratio, clipped);
            }
        }
        stats
    }

    fn add(&mut self, log_ratio: f64, clipped: bool) {
        let offset = log_ratio.exp_m1();
        self.tokens += 1.0;
        self.clipped += f64::from(u8::from(clipped));
        self.absolute_log_ratios += log_ratio.abs();
        self.half_squared_log_ratios += log_ratio * log_ratio / 2.0;
        self.ratio_offsets += offset;
        self.squared_ratio_offsets += offset * offset;
        self.ratio_max = self.ratio_max.max(1.0 + offset);
    }

    /// Takes in another microbatch.
    pub fn merge(&mut self, other: &Self) {
        self.tokens += other.tokens;
        self.clipped += other.clipped;
        self.absolute_log_ratios += other.absolute_log_ratios;
        self.half_squared_log_ratios += other.half_squared_log_ratios;
        self.ratio_offsets += other.ratio_offsets;
        self.squared_ratio_offsets += other.squared_ratio_offsets;
        self.ratio_max = self.ratio_max.max(other.ratio_max);
    }

    /// Real tokens measured.
    pub fn tokens(&self) -> f64 {
        self.tokens
    }

    /// Share of tokens where clipping decided the loss, in [0, 1]. Healthy: below 0.2.
    pub fn clip_fraction(&self) -> f64 {
        self.clipped / self.tokens
    }

    /// Mean of |logp − logp_old|, in nats. Before the first step of an iteration the two differ by their kernels only.
    pub fn mean_absolute_log_ratio(&self) -> f64 {
        self.absolute_log_ratios / self.tokens
    }

    /// Mean of (logp − logp_old)²/2, the estimator k2 of KL(old ‖ new), in nats per token.
    pub fn approx_kl(&self) -> f64 {
        self.half_squared_log_ratios / self.tokens
    }

    /// Mean of ρ = π/π_old. Healthy: 1 within a few per cent.
    pub fn ratio_mean(&self) -> f64 {
        1.0 + self.ratio_offsets / self.tokens
    }

    /// Population variance of ρ.
    pub fn ratio_variance(&self) -> f64 {
        variance(self.tokens, self.ratio_offsets, self.squared_ratio_offsets)
    }

    /// Largest ρ; 0 when nothing was measured.
    pub fn ratio_max(&self) -> f64 {
        self.ratio_max
    }
}

/// The critic's side of an update. `Default` is the measurement of no tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ValueStats {
    tokens: f64,
    clipped: f64,
    returns: f64,
    squared_returns: f64,
    residuals: f64,
    squared_residuals: f64,
}

impl ValueStats {
    /// Measures one microbatch; `clip_range` is the loss's.
    ///
    /// # Panics
    /// If the shapes in `batch` differ.
    pub fn measure(batch: ValueBatch, clip_range: f64) -> Self {
        let mask = flags(batch.response_mask.clone());
        let returns = floats(batch.returns.clone());
        let values = floats(batch.values.clone());
        let clipped = flags(ValueErrors::new(batch, clip_range).is_clipped());
        let mut stats = Self::default();
        let tokens = mask
            .into_iter()
            .zip(returns.into_iter().zip(values))
            .zip(clipped);
        for ((real, (target, value)), clipped) in tokens {
            if real {
                stats.add(target, value, clipped);
            }
        }
        stats
    }

    fn add(&mut self, target: f64, value: f64, clipped: bool) {
        let residual = target - value;
        self.tokens += 1.0;
        self.clipped += f64::from(u8::from(clipped));
        self.returns += target;
        self.squared_returns += target * target;
        self.residuals += residual;
        self.squared_residuals += residual * residual;
    }

    /// Takes in another microbatch.
    pub fn merge(&mut self, other: &Self) {
        self.tokens += other.tokens;
        self.clipped += other.clipped;
        self.returns += other.returns;
        self.squared_returns += other.squared_returns;
        self.residuals += other.residuals;
        self.squared_residuals += other.squared_residuals;
    }

    /// Share of tokens where clipping decided the loss, in [0, 1].
    pub fn clip_fraction(&self) -> f64 {
        self.clipped / self.tokens
    }

    /// 1 − Var(R − V)/Var(R): 1 for a perfect critic, 0 for a constant one, negative for a worse
    /// one; NaN when every return is the same.
    pub fn explained_variance(&self) -> f64 {
        let unexplained = variance(self.tokens, self.residuals, self.squared_residuals);
        let total = variance(self.tokens, self.returns, self.squared_returns);
        if total > 0.0 {
            1.0 - unexplained / total
        } else {
            f64::NAN
        }
    }
}

/// Population variance from a count, Σx and Σx².
fn variance(count: f64, sum: f64, sum_of_squares: f64) -> f64 {
    let mean = sum / count;
    (sum_of_squares / count - mean * mean).max(0.0)
}

fn floats(tensor: Tensor<2>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn flags(tensor: Tensor<2, Bool>) -> Vec<bool> {
    tensor.into_data().iter::<bool>().collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn policy(ratios: [f32; 4], mask: [bool; 4]) -> PolicyStats {
        let device = Device::flex();
        let batch = PolicyBatch {
            logprobs: Tensor::from_floats([ratios.map(f32::ln)], &device),
            old_logprobs: Tensor::zeros([1, 4], &device),
            advantages: Tensor::from_floats([[1.0, 1.0, -1.0, 1.0]], &device),
            response_mask: Tensor::from_bool([mask], &device),
        };
        PolicyStats::measure(batch, 0.2)
    }

    /// Ratios 1.5 (A > 0: clipped), 0.5 (A > 0: not), 1.5 (A < 0: not); the pad's 9 does not count.
    #[test]
    fn policy_statistics_see_real_tokens_only() {
        let stats = policy([1.5, 0.5, 1.5, 9.0], [true, true, true, false]);
        assert_eq!(stats.tokens(), 3.0);
        assert!((stats.clip_fraction() - 1.0 / 3.0).abs() < 1e-12);
        assert!((stats.ratio_mean() - 3.5 / 3.0).abs() < 1e-6);
        assert!((stats.ratio_variance() - 2.0 / 9.0).abs() < 1e-6);
        assert!((stats.ratio_max() - 1.5).abs() < 1e-6);
        let k2 = (1.5_f64.ln().powi(2) + 0.5_f64.ln().powi(2) / 2.0) / 3.0;
        assert!((stats.approx_kl() - k2).abs() < 1e-7);
    }

    #[test]
    fn merged_microbatches_are_the_whole() {
        let ratios = [1.5, 0.5, 1.1, 0.9];
        let whole = policy(ratios, [true; 4]);
        let mut merged = policy(ratios, [true, true, false, false]);
        merged.merge(&policy(ratios, [false, false, true, true]));
        for (merged, whole) in [
            (merged.tokens(), whole.tokens()),
            (merged.clip_fraction(), whole.clip_fraction()),
            (merged.approx_kl(), whole.approx_kl()),
            (merged.ratio_mean(), whole.ratio_mean()),
            (merged.ratio_variance(), whole.ratio_variance()),
            (merged.ratio_max(), whole.ratio_max()),
        ] {
            assert!((merged - whole).abs() < 1e-12, "{merged} against {whole}");
        }
    }

    #[test]
    fn explained_variance_of_good_and_bad_critics() {
        let device = Device::flex();
        let explained = |values: [f32; 3]| {
            let values = Tensor::<2>::from_floats([values], &device);
            let batch = ValueBatch {
                old_values: values.clone(),
                values,
                returns: Tensor::from_floats([[1.0, 2.0, 3.0]], &device),
                response_mask: Tensor::full([1, 3], true, &device),
            };
            ValueStats::measure(batch, 0.2).explained_variance()
        };
        assert!((explained([1.0, 2.0, 3.0]) - 1.0).abs() < 1e-12);
        assert!((explained([7.0, 7.0, 7.0]) - 0.0).abs() < 1e-12);
        assert!((explained([3.0, 2.0, 1.0]) + 3.0).abs() < 1e-12);
    }
}
