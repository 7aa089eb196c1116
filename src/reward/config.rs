//! Hyperparameters of reward-model training, under TRL's names.
//!
//! Every field is a key of `[reward]` in `rlhf.toml` and a flag; its comment is the flag's help. The files of judgements are
//! settings, so that a run's `config.toml` repeats it; the code beside this file gets their contents and never opens them.

use std::path::PathBuf;

use crate::algo::adamw::{AdamWConfig, EpsilonPlacement};
use crate::model::LoraConfig;
use crate::model::lora::Layers;
use crate::model::weights::SaveDtype;
use crate::run::optimizer::{LrSchedulerType, warmup_updates};
use crate::run::settings::{InvalidSetting, check, settings};

settings! {
    /// Training a reward model on judgements (Bradley–Terry).
    pub struct RewardConfig in "reward", validated by check_values {
        /// Judgements to learn from: files of pairs, or project directories; without any, those of this project. Of a project, a
        /// program's judgements count only where no person judged.
        pub data: Vec<PathBuf> = Vec::new(),
        /// Judgements to check with, instead of a share of those to learn from.
        pub eval_data: Vec<PathBuf> = Vec::new(),
        /// Learn from the first N pairs only.
        pub max_train_pairs: Option<usize> = None,
        /// Number format of the result. Weights are trained in f32 whatever it is.
        pub dtype: SaveDtype = SaveDtype::F32,
        /// Round the factors of products with weights to bf16, as PyTorch's autocast does: up to twice as fast on an AMD CPU with AVX512-BF16 or one with AMX. Weights,
        /// gradients and sums stay in f32. On a GPU that lacks bf16 it changes nothing.
        pub bf16: bool = false,
        /// Peak learning rate of AdamW. With LoRA: 1e-4; full fine-tuning: about 1e-5.
        pub learning_rate: f64 = 1e-4,
        /// Course of the learning rate after warm-up.
        pub lr_scheduler_type: LrSchedulerType = LrSchedulerType::Linear,
        /// Updates over which the learning rate rises from 0 to its peak.
        pub warmup_steps: usize = 0,
        /// The same as a share of all updates, in [0, 1]; used when `warmup_steps` is 0.
        pub warmup_ratio: f64 = 0.0,
        /// Passes over the judgements; may be fractional. More than one tends to overfit (TRL: 3).
        pub num_train_epochs: f64 = 1.0,
        /// Pairs per forward and backward pass (the microbatch); pairs of one prompt stay in one update if they fit.
        pub per_device_train_batch_size: usize = 8,
        /// Microbatches per update.
        pub gradient_accumulation_steps: usize = 1,
        /// Tokens of prompt and response together; longer pairs are dropped and counted.
        pub max_length: usize = 1024,
        /// Weight of (r_w + r_l)² in the loss, which keeps scores near 0 (arXiv:2312.09244 eq. 2); 0.01 is usual.
        pub center_rewards_coefficient: Option<f64> = None,
        /// Scale scores to mean 0 and variance 1 on reference samples after training (Ziegler et al. 2019).
        pub normalize: bool = true,
        /// First-moment decay of AdamW.
        pub adam_beta1: f64 = 0.9,
        /// Second-moment decay of AdamW.
        pub adam_beta2: f64 = 0.999,
        /// ε of AdamW. TRL: 1e-8; published reward models: 1e-5.
        pub adam_epsilon: f64 = 1e-5,
        /// Decoupled weight decay of AdamW (norms, biases and embeddings are exempt).
        pub weight_decay: f64 = 0.0,
        /// Global gradient norm above which gradients are scaled down; 0 = no clipping.
        pub max_grad_norm: f64 = 1.0,
        /// Share of prompts whose judgements are held out for accuracy, in [0, 1).
        pub eval_fraction: f64 = 0.1,
        /// Updates between evaluations on held-out judgements; 0 = only at the end.
        pub eval_steps: usize = 0,
        /// Updates between rows of metrics.jsonl.
        pub logging_steps: usize = 1,
        /// Updates between checkpoints; 0 = only at the end.
        pub save_steps: usize = 500,
        /// Checkpoints kept, the newest; 0 = all.
        pub save_total_limit: usize = 2,
        /// Give up after this many updates in a row with a non-finite loss or gradient.
        pub max_nonfinite_steps: usize = 5,
        /// Train low-rank adapters (LoRA) and the head instead of all weights.
        pub use_peft: bool = false,
        /// Rank of the adapters.
        pub lora_r: usize = 16,
        /// Scale of the adapters: their output is multiplied by lora_alpha / lora_r.
        pub lora_alpha: f64 = 32.0,
        /// Linear layers that get an adapter, by name; `all-linear` = all in the blocks.
        pub lora_target_modules: Vec<String> = vec!["all-linear".to_owned()],
        /// How many of the last layers get adapters; 0 = all. What lies below them is constant, so PPO runs it once for a rollout.
        pub lora_num_layers: usize = 0,
        /// Seed of everything random: the head, the split, the order.
        pub seed: u64 = 42,
    }
}

impl RewardConfig {
    /// Moments, ε and weight decay of the optimiser.
    pub fn adamw(&self) -> AdamWConfig {
        AdamWConfig {
            beta1: self.adam_beta1,
            beta2: self.adam_beta2,
            epsilon: self.adam_epsilon,
            epsilon_placement: EpsilonPlacement::PyTorch,
            weight_decay: self.weight_decay,
        }
    }

    /// The adapters to train, or `None` for full fine-tuning.
    pub fn lora(&self) -> Option<LoraConfig> {
        self.use_peft.then(|| LoraConfig {
            r: self.lora_r,
            alpha: self.lora_alpha,
            target_modules: self.lora_target_modules.clone(),
            layers: Layers::last(self.lora_num_layers),
        })
    }

    /// Updates of warm-up in a job of `total` updates.
    pub fn warmup(&self, total: usize) -> usize {
        warmup_updates(self.warmup_steps, self.warmup_ratio, total)
    }

    fn check_values(&self) -> Result<(), InvalidSetting> {
        check! { self:
            learning_rate, self.learning_rate > 0.0 && self.learning_rate.is_finite(), "a positive number";
            warmup_ratio, (0.0..=1.0).contains(&self.warmup_ratio), "between 0 and 1";
            num_train_epochs, self.num_train_epochs > 0.0, "positive";
            per_device_train_batch_size, self.per_device_train_batch_size > 0, "at least 1";
            gradient_accumulation_steps, self.gradient_accumulation_steps > 0, "at least 1";
            max_length, self.max_length > 1, "at least 2 tokens";
            center_rewards_coefficient, self.center_rewards_coefficient.is_none_or(|v| v >= 0.0), "0 or more";
            adam_beta1, (0.0..1.0).contains(&self.adam_beta1), "in [0, 1)";
            adam_beta2, (0.0..1.0).contains(&self.adam_beta2), "in [0, 1)";
            adam_epsilon, self.adam_epsilon > 0.0, "positive";
            weight_decay, self.weight_decay >= 0.0, "0 or more";
            max_grad_norm, self.max_grad_norm >= 0.0, "0 or more";
            eval_fraction, (0.0..1.0).contains(&self.eval_fraction), "in [0, 1)";
            logging_steps, self.logging_steps > 0, "at least 1";
            max_nonfinite_steps, self.max_nonfinite_steps > 0, "at least 1";
            max_train_pairs, self.max_train_pairs.is_none_or(|n| n > 0), "at least 1";
            lora_r, self.lora_r > 0, "at least 1";
            lora_alpha, self.lora_alpha > 0.0, "positive";
            lora_target_modules, !self.lora_target_modules.is_empty(), "at least one name";
        }
        Ok(())
    }
}
