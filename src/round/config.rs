//! How answers to be judged are drawn.

use crate::run::settings::{InvalidSetting, check, settings};

settings! {
    /// Sampling of responses to be judged.
    pub struct SampleConfig in "sample", validated by check_values {
        /// Responses per prompt, 2 to 9.
        pub candidates: usize = 2,
        /// Most new tokens in a response.
        pub max_new_tokens: usize = 128,
        /// Sampling temperature; 0 = greedy.
        pub temperature: f64 = 1.0,
        /// Nucleus sampling: the smallest set of tokens with this probability; 1 = off.
        pub top_p: f64 = 1.0,
        /// Sample among this many most probable tokens; 0 = off.
        pub top_k: usize = 0,
        /// Rows per batch.
        pub batch_size: usize = 32,
        /// Round the factors of products with weights to bf16, as PyTorch's autocast does: up to twice as fast on an AMD CPU with AVX512-BF16 or one with AMX.
        /// On a GPU that lacks bf16: to f16.
        pub bf16: bool = false,
        /// Seed of every draw, together with prompt and sample number.
        pub seed: u64 = 42,
    }
}

impl SampleConfig {
    fn check_values(&self) -> Result<(), InvalidSetting> {
        check! { self:
            candidates, (2..=9).contains(&self.candidates), "between 2 and 9";
            max_new_tokens, self.max_new_tokens > 0, "at least 1";
            temperature, self.temperature >= 0.0 && self.temperature.is_finite(), "0 or more";
            top_p, self.top_p > 0.0 && self.top_p <= 1.0, "in (0, 1]";
            batch_size, self.batch_size > 0, "at least 1";
        }
        Ok(())
    }
}
