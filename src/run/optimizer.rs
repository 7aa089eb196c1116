//! Choices that every training job has in common: schedule and AdamW.
//!
//! Plain values without tensors, so that the three trainers name them alike and `run` stays free of burn.

use crate::run::settings::choices;

choices! {
    /// Course of the learning rate after the warm-up.
    pub enum LrSchedulerType {
        /// Falls linearly to 0 at the last update.
        Linear = "linear",
        /// Half a cosine from the peak to 0.
        Cosine = "cosine",
        /// Stays at its peak.
        Constant = "constant",
    }
}

choices! {
    /// Where AdamW adds ε; it changes the first updates of PPO visibly (algorithms item 24).
    pub enum AdamEpsilonPlacement {
        /// `m̂ / (√v̂ + ε)`, as in PyTorch and the paper.
        Pytorch = "pytorch",
        /// `α·√(1−β₂ᵗ)/(1−β₁ᵗ) · m / (√v + ε)`, as in TensorFlow 1 and OpenAI's 2019 code.
        Tensorflow = "tensorflow",
    }
}

/// Updates of warm-up in a job of `total` updates: `steps` if positive, otherwise `ratio·total`
/// rounded up (as transformers does).
pub fn warmup_updates(steps: usize, ratio: f64, total: usize) -> usize {
    if steps > 0 {
        steps
    } else {
        (ratio * total as f64).ceil() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::warmup_updates;

    #[test]
    fn steps_win_over_ratio_and_ratios_round_up() {
        assert_eq!(warmup_updates(7, 0.5, 100), 7);
        assert_eq!(warmup_updates(0, 0.03, 101), 4);
        assert_eq!(warmup_updates(0, 0.0, 101), 0);
    }
}
