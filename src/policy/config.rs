//! Hyperparameters of supervised fine-tuning and of PPO, under TRL's names.
//!
//! Defaults are TRL's unless the comment says otherwise. Every field is a key of `[sft]` or `[ppo]` in
//! `rlhf.toml` and a flag; its comment is the flag's help. The files that a job learns from are settings, so that its
//! `config.toml` repeats it; the code beside this file gets their contents and never opens them.

use std::path::PathBuf;

use crate::algo::adamw::{AdamWConfig, EpsilonPlacement};
use crate::model::LoraConfig;
use crate::model::lora::Layers;
use crate::model::weights::SaveDtype;
use crate::run::optimizer::{AdamEpsilonPlacement, LrSchedulerType, warmup_updates};
use crate::run::settings::{InvalidSetting, check, choices, settings};

settings! {
    /// Supervised fine-tuning: next-token loss on completions.
    pub struct SftConfig in "sft", validated by check_values {
        /// Training rows, JSONL.
        pub data: Option<PathBuf> = None,
        /// Held-out rows, JSONL, instead of a share of the training rows.
        pub eval_data: Option<PathBuf> = None,
        /// Start from random weights; the model's folder needs no weights.
        pub from_scratch: bool = false,
        /// Number format of the result. Weights are trained in f32 whatever it is.
        pub dtype: SaveDtype = SaveDtype::F32,
        /// Round the factors of products with weights to bf16, as PyTorch's autocast does: up to twice as fast on an AMD CPU with AVX512-BF16 or one with AMX. Weights,
        /// gradients and sums stay in f32. On a GPU that lacks bf16 it changes nothing.
        pub bf16: bool = false,
        /// Peak learning rate of AdamW. Full fine-tuning: 2e-5; with LoRA about ten times more.
        pub learning_rate: f64 = 2e-5,
        /// Course of the learning rate after warm-up.
        pub lr_scheduler_type: LrSchedulerType = LrSchedulerType::Linear,
        /// Updates over which the learning rate rises from 0 to its peak.
        pub warmup_steps: usize = 0,
        /// The same as a share of all updates, in [0, 1]; used when `warmup_steps` is 0.
        pub warmup_ratio: f64 = 0.0,
        /// Passes over the training rows; may be fractional.
        pub num_train_epochs: f64 = 3.0,
        /// Stop after this many updates, whatever `num_train_epochs` says; 0 = no limit.
        pub max_steps: usize = 0,
        /// Rows per forward and backward pass (the microbatch).
        pub per_device_train_batch_size: usize = 8,
        /// Microbatches per update, weighted by their token counts.
        pub gradient_accumulation_steps: usize = 1,
        /// Tokens per row; the rest is cut off at the end and counted.
        pub max_length: usize = 1024,
        /// Train on completions and assistant turns only, not on prompts. Rows of plain text are trained whole.
        pub completion_only_loss: bool = true,
        /// First-moment decay of AdamW.
        pub adam_beta1: f64 = 0.9,
        /// Second-moment decay of AdamW.
        pub adam_beta2: f64 = 0.999,
        /// ε of AdamW.
        pub adam_epsilon: f64 = 1e-8,
        /// Decoupled weight decay of AdamW (norms, biases and embeddings are exempt).
        pub weight_decay: f64 = 0.0,
        /// Global gradient norm above which gradients are scaled down; 0 = no clipping.
        pub max_grad_norm: f64 = 1.0,
        /// Share of rows held out for perplexity, in [0, 1); split by prompt.
        pub eval_fraction: f64 = 0.05,
        /// Updates between evaluations on held-out rows; 0 = only at the end.
        pub eval_steps: usize = 100,
        /// Stop after this many evaluations in a row without improvement; 0 = never.
        pub early_stopping_patience: usize = 0,
        /// Updates between rows of metrics.jsonl.
        pub logging_steps: usize = 1,
        /// Updates between checkpoints; 0 = only at the end.
        pub save_steps: usize = 500,
        /// Checkpoints kept, the newest; 0 = all.
        pub save_total_limit: usize = 2,
        /// Give up after this many updates in a row with a non-finite loss or gradient.
        pub max_nonfinite_steps: usize = 5,
        /// Train low-rank adapters (LoRA) instead of all weights.
        pub use_peft: bool = false,
        /// Rank of the adapters.
        pub lora_r: usize = 16,
        /// Scale of the adapters: their output is multiplied by lora_alpha / lora_r.
        pub lora_alpha: f64 = 32.0,
        /// Linear layers that get an adapter, by name; `all-linear` = all in the blocks.
        pub lora_target_modules: Vec<String> = vec!["all-linear".to_owned()],
        /// How many of the last layers get adapters; 0 = all. What lies below them is constant, so PPO runs it once for a rollout.
        pub lora_num_layers: usize = 0,
        /// Seed of everything random: initial weights, split, order.
        pub seed: u64 = 42,
    }
}

impl SftConfig {
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
            adam_beta1, (0.0..1.0).contains(&self.adam_beta1), "in [0, 1)";
            adam_beta2, (0.0..1.0).contains(&self.adam_beta2), "in [0, 1)";
            adam_epsilon, self.adam_epsilon > 0.0, "positive";
            weight_decay, self.weight_decay >= 0.0, "0 or more";
            max_grad_norm, self.max_grad_norm >= 0.0, "0 or more";
            eval_fraction, (0.0..1.0).contains(&self.eval_fraction), "in [0, 1)";
            logging_steps, self.logging_steps > 0, "at least 1";
            max_nonfinite_steps, self.max_nonfinite_steps > 0, "at least 1";
            lora_r, self.lora_r > 0, "at least 1";
            lora_alpha, self.lora_alpha > 0.0, "positive";
            lora_target_modules, !self.lora_target_modules.is_empty(), "at least one name";
        }
        Ok(())
    }
}

choices! {
    /// How the KL coefficient moves between steps.
    pub enum KlController {
        /// Stays at `kl_coef`.
        Fixed = "fixed",
        /// Follows `kl_target` (Ziegler et al. 2019, algorithms item 20).
        Adaptive = "adaptive",
    }
}

choices! {
    /// Estimator of the KL divergence in the per-token reward, on d = logp − logp_ref.
    pub enum KlEstimator {
        /// d: unbiased.
        K1 = "k1",
        /// e^{−d} − 1 + d: unbiased, never negative.
        K3 = "k3",
    }
}

choices! {
    /// Where the value function lives.
    pub enum Critic {
        /// A model of its own.
        Separate = "separate",
        /// A value head on the policy's trunk.
        Shared = "shared",
    }
}

choices! {
    /// What the value function starts from.
    pub enum CriticInit {
        /// The reward model's trunk and head (a separate critic) or head (a shared one).
        Reward = "reward",
        /// The policy's trunk and a head of zeros.
        Zero = "zero",
    }
}

settings! {
    /// Proximal policy optimisation against a reward model.
    pub struct PpoConfig in "ppo", validated by check_values {
        /// Prompts to train on, JSONL.
        pub prompts: Option<PathBuf> = None,
        /// Held-out prompts, JSONL, instead of a share of the prompts to train on.
        pub eval_prompts_file: Option<PathBuf> = None,
        /// Peak learning rate of AdamW. Full fine-tuning: 3e-6; with LoRA about ten times more.
        pub learning_rate: f64 = 3e-6,
        /// Course of the learning rate after warm-up.
        pub lr_scheduler_type: LrSchedulerType = LrSchedulerType::Linear,
        /// Updates over which the learning rate rises from 0 to its peak.
        pub warmup_steps: usize = 0,
        /// First-moment decay of AdamW.
        pub adam_beta1: f64 = 0.9,
        /// Second-moment decay of AdamW.
        pub adam_beta2: f64 = 0.999,
        /// ε of AdamW. TRL: 1e-8; published PPO for language models: 1e-5.
        pub adam_epsilon: f64 = 1e-5,
        /// Where AdamW adds ε: as PyTorch or as TensorFlow 1 does.
        pub adam_epsilon_placement: AdamEpsilonPlacement = AdamEpsilonPlacement::Pytorch,
        /// Decoupled weight decay of AdamW (norms, biases and embeddings are exempt).
        pub weight_decay: f64 = 0.0,
        /// Global gradient norm above which gradients are scaled down; 0 = no clipping.
        pub max_grad_norm: f64 = 1.0,
        /// Passes over each rollout.
        pub num_ppo_epochs: usize = 4,
        /// Minibatches (updates) per epoch; must divide `batch_size`.
        pub num_mini_batches: usize = 1,
        /// Episodes per forward and backward pass (the microbatch); results do not depend on it.
        pub per_device_train_batch_size: usize = 8,
        /// Episodes per step (one rollout).
        pub batch_size: usize = 64,
        /// Episodes in the whole job; steps = total_episodes / batch_size, rounded up.
        pub total_episodes: usize = 2560,
        /// Most new tokens in a response.
        pub response_length: usize = 53,
        /// Sampling temperature; it applies to every log-probability of the job.
        pub temperature: f64 = 0.7,
        /// Nucleus sampling in the rollout; anything but 1 is off-policy, see `allow_off_policy_sampling`.
        pub top_p: f64 = 1.0,
        /// Top-k sampling in the rollout, 0 = off; anything else is off-policy, see `allow_off_policy_sampling`.
        pub top_k: usize = 0,
        /// Allow `top_p` < 1 or `top_k` > 0, which make the importance ratios wrong; the log says so.
        pub allow_off_policy_sampling: bool = false,
        /// Text of a token that ends the part of a response which is scored; `eos` = the model's end-of-sequence token.
        pub stop_token: Option<String> = None,
        /// Subtracted from the score of a response that did not end by itself, as TRL does.
        pub missing_eos_penalty: Option<f64> = None,
        /// Replaces the score of a response that did not end by itself, as Ziegler et al. 2019 do.
        pub missing_eos_score: Option<f64> = None,
        /// β: weight of the KL divergence from the reference in the reward.
        pub kl_coef: f64 = 0.05,
        /// Whether β stays fixed or follows `kl_target`.
        pub kl_controller: KlController = KlController::Fixed,
        /// KL per sequence, in nats, that the adaptive controller aims at.
        pub kl_target: f64 = 6.0,
        /// Episodes over which the adaptive controller corrects.
        pub kl_horizon: f64 = 10_000.0,
        /// Estimator of the per-token KL in the reward.
        pub kl_estimator: KlEstimator = KlEstimator::K1,
        /// Stop the job when the held-out KL per sequence exceeds this many nats.
        pub kl_budget_nats: Option<f64> = None,
        /// Discount factor γ, in [0, 1].
        pub gamma: f64 = 1.0,
        /// λ of generalised advantage estimation, in [0, 1]. Take 1 if the critic explains little: the score comes at an answer's end, and
        /// with less its first words hardly hear of it.
        pub lam: f64 = 0.95,
        /// Clip range of the probability ratio: 1 ± cliprange.
        pub cliprange: f64 = 0.2,
        /// Weight of the value loss.
        pub vf_coef: f64 = 0.1,
        /// Clip range of the value function around its old values.
        pub cliprange_value: f64 = 0.2,
        /// Divide rewards by their standard deviation (the mean is kept).
        pub whiten_rewards: bool = false,
        /// Shift and scale advantages to mean 0 and variance 1 over real tokens.
        pub whiten_advantages: bool = true,
        /// Stop the epochs of a step when the approximate KL from the rollout policy exceeds this many nats per token.
        pub target_kl: Option<f64> = None,
        /// Lower bound c > 1 of the surrogate for negative advantages (dual-clip PPO, arXiv:1912.09729).
        pub dual_clip: Option<f64> = None,
        /// Clip scores to ± this before they become rewards.
        pub reward_clip: Option<f64> = None,
        /// Value function as a model of its own or as a head on the policy's trunk.
        pub critic: Critic = Critic::Separate,
        /// Start of the value function: the reward model or zero.
        pub critic_init: CriticInit = CriticInit::Reward,
        /// Round the factors of products with weights to bf16, as PyTorch's autocast does: up to twice as fast on an AMD CPU with AVX512-BF16 or one with AMX. Weights,
        /// gradients and sums stay in f32. For policy, reference, critic and reward model alike. A GPU that lacks bf16 draws answers in f16 and does
        /// all else in f32.
        pub bf16: bool = false,
        /// Train low-rank adapters (LoRA); policy, reference and shared critic then share one frozen trunk.
        pub use_peft: bool = false,
        /// Rank of the adapters.
        pub lora_r: usize = 16,
        /// Scale of the adapters: their output is multiplied by lora_alpha / lora_r.
        pub lora_alpha: f64 = 32.0,
        /// Linear layers that get an adapter, by name; `all-linear` = all in the blocks.
        pub lora_target_modules: Vec<String> = vec!["all-linear".to_owned()],
        /// How many of the last layers get adapters; 0 = all. What lies below them is constant, so PPO runs it once for a rollout.
        pub lora_num_layers: usize = 0,
        /// Steps between evaluations on held-out prompts; 0 = only at the end.
        pub eval_steps: usize = 5,
        /// Held-out prompts per evaluation, always the same ones.
        pub eval_prompts: usize = 64,
        /// Steps between checkpoints; 0 = only at the end.
        pub save_steps: usize = 10,
        /// Checkpoints kept, the newest (and the best); 0 = all.
        pub save_total_limit: usize = 2,
        /// Steps between lines of progress; metrics.jsonl always has one row per step.
        pub logging_steps: usize = 1,
        /// Roll back to the last good checkpoint after this many steps in a row with a non-finite loss or gradient.
        pub max_nonfinite_steps: usize = 3,
        /// Seed of everything random: sampling, minibatches, new weights.
        pub seed: u64 = 42,
    }
}

impl PpoConfig {
    /// Moments, ε and weight decay of the optimiser.
    pub fn adamw(&self) -> AdamWConfig {
        AdamWConfig {
            beta1: self.adam_beta1,
            beta2: self.adam_beta2,
            epsilon: self.adam_epsilon,
            epsilon_placement: self.adam_epsilon_placement.into(),
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

    /// Steps of the whole job: one rollout of `batch_size` episodes each.
    pub fn steps(&self) -> usize {
        self.total_episodes.div_ceil(self.batch_size)
    }

    /// Optimiser updates of the whole job.
    pub fn updates(&self) -> usize {
        self.steps() * self.num_ppo_epochs * self.num_mini_batches
    }

    fn check_values(&self) -> Result<(), InvalidSetting> {
        self.check_optimisation()?;
        self.check_sampling()?;
        check! { self:
            kl_coef, self.kl_coef >= 0.0, "0 or more";
            kl_target, self.kl_target > 0.0, "positive";
            kl_horizon, self.kl_horizon > 0.0, "positive";
            kl_budget_nats, self.kl_budget_nats.is_none_or(|v| v > 0.0), "positive";
            gamma, (0.0..=1.0).contains(&self.gamma), "between 0 and 1";
            lam, (0.0..=1.0).contains(&self.lam), "between 0 and 1";
            cliprange, self.cliprange > 0.0, "positive";
            cliprange_value, self.cliprange_value > 0.0, "positive";
            vf_coef, self.vf_coef >= 0.0, "0 or more";
            target_kl, self.target_kl.is_none_or(|v| v > 0.0), "positive";
            dual_clip, self.dual_clip.is_none_or(|v| v > 1.0), "more than 1";
            reward_clip, self.reward_clip.is_none_or(|v| v > 0.0), "positive";
            lora_r, self.lora_r > 0, "at least 1";
            lora_alpha, self.lora_alpha > 0.0, "positive";
            lora_target_modules, !self.lora_target_modules.is_empty(), "at least one name";
            logging_steps, self.logging_steps > 0, "at least 1";
            max_nonfinite_steps, self.max_nonfinite_steps > 0, "at least 1";
        }
        Ok(())
    }

    fn check_optimisation(&self) -> Result<(), InvalidSetting> {
        check! { self:
            learning_rate, self.learning_rate > 0.0 && self.learning_rate.is_finite(), "a positive number";
            adam_beta1, (0.0..1.0).contains(&self.adam_beta1), "in [0, 1)";
            adam_beta2, (0.0..1.0).contains(&self.adam_beta2), "in [0, 1)";
            adam_epsilon, self.adam_epsilon > 0.0, "positive";
            weight_decay, self.weight_decay >= 0.0, "0 or more";
            max_grad_norm, self.max_grad_norm >= 0.0, "0 or more";
            num_ppo_epochs, self.num_ppo_epochs > 0, "at least 1";
            num_mini_batches, self.num_mini_batches > 0, "at least 1";
            per_device_train_batch_size, self.per_device_train_batch_size > 0, "at least 1";
            batch_size, self.batch_size > 0, "at least 1";
            batch_size, self.batch_size.is_multiple_of(self.num_mini_batches),
                "a multiple of num_mini_batches";
            total_episodes, self.total_episodes > 0, "at least 1";
        }
        Ok(())
    }

    fn check_sampling(&self) -> Result<(), InvalidSetting> {
        let allowed = self.allow_off_policy_sampling;
        check! { self:
            response_length, self.response_length > 0, "at least 1 token";
            temperature, self.temperature > 0.0 && self.temperature.is_finite(),
                "positive (PPO cannot learn from greedy responses)";
            top_p, self.top_p > 0.0 && self.top_p <= 1.0, "in (0, 1]";
            top_p, allowed || self.top_p >= 1.0,
                "1, since PPO's ratios assume the full distribution (allow_off_policy_sampling = true overrides)";
            top_k, allowed || self.top_k == 0,
                "0, since PPO's ratios assume the full distribution (allow_off_policy_sampling = true overrides)";
            missing_eos_penalty, self.missing_eos_penalty.is_none_or(|v| v > 0.0), "positive (it is subtracted)";
            missing_eos_score, self.missing_eos_score.is_none() || self.missing_eos_penalty.is_none(),
                "absent when missing_eos_penalty is set: choose one";
        }
        Ok(())
    }
}
