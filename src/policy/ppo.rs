//! Proximal policy optimisation from a reward model. This is THE page: [`Ppo::step`] is the whole algorithm.
//!
//! Schulman et al. 2017, arXiv:1707.06347; for language models Ziegler et al. 2019, arXiv:1909.08593, and Stiennon et al. 2020,
//! arXiv:2009.01325; details as in Huang et al. 2024, arXiv:2403.17031. Departures:
//!
//! 1. Losses are sums over real tokens, so microbatches add up exactly.
//! 2. On the CPU old log-probabilities, and the states under a value head on the policy, are the sampler's, as eq. 6 of Schulman et al.
//!    has it; elsewhere the trainer's forward pass says them. The difference of the two is measured in every step.
//! 3. A non-finite loss or gradient skips its update, and after several in a row the job goes back to its last checkpoint.

use std::time::Instant;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::algo::kl::{KlController, KlEstimator};
use crate::algo::ppo::PolicyClip;
use crate::algo::rewards::MissingEos;
use crate::algo::schedule::Schedule;
use crate::generate::engine::Listener;
use crate::model::optimizer::Optimizer;
use crate::model::{Decoder, Scorer, Tokenizer};
use crate::run::nonfinite::NonFinite;

use super::actor_critic::ActorCritic;
use super::behaviour::Behaviour;
use super::config::{self, PpoConfig};
use super::experience::{Experience, Measured, Shaping, measure};
use super::ppo_report::{StepReport, Timing};
use super::rollout::{Episode, Prompt, RolloutError, Sampling, prompts_of_step, rollout};
use super::update::{Batch, LossConfig, UpdateReport, update};

/// A PPO job: networks, optimiser and controller.
#[derive(Debug)]
pub struct Ppo<'a> {
    /// Hyperparameters.
    pub config: &'a PpoConfig,
    /// Trained.
    pub model: ActorCritic,
    /// The frozen start of the policy.
    pub reference: Decoder,
    /// Moments.
    pub optimizer: Optimizer,
    /// β.
    pub controller: KlController,
    /// Steps done.
    pub step: usize,
    /// Updates skipped.
    pub nonfinite: NonFinite,
}

/// What a step uses but doesn't change.
pub struct World<'a> {
    /// Of the policy.
    pub tokenizer: &'a Tokenizer,
    /// Training prompts.
    pub prompts: &'a [Prompt],
    /// How answers are drawn.
    pub sampling: &'a Sampling,
    /// The reward model.
    pub scorer: &'a dyn Scorer,
}

impl<'a> Ppo<'a> {
    /// A job at its start.
    pub fn new(config: &'a PpoConfig, model: ActorCritic, reference: Decoder) -> Self {
        let kl_coef = config.kl_coef;
        let controller = match config.kl_controller {
            config::KlController::Fixed => KlController::Fixed { kl_coef },
            config::KlController::Adaptive => KlController::Adaptive {
                kl_coef,
                target: config.kl_target,
                horizon: config.kl_horizon,
            },
        };
        let optimizer = Optimizer::new(config.adamw(), config.max_grad_norm);
        Self {
            config,
            model,
            reference,
            optimizer,
            controller,
            step: 0,
            nonfinite: NonFinite::default(),
        }
    }

    /// One rollout and its epochs.
    pub fn step<'w>(
        &mut self,
        world: &World<'w>,
        listener: &mut dyn Listener,
    ) -> Result<(StepReport, Vec<Episode<'w>>), RolloutError> {
        let config = self.config;
        let started = Instant::now();
        self.step += 1;

        // 1. Sample answers to this step's prompts, and score them.
        let prompts = prompts_of_step(world.prompts, config.batch_size, self.step, config.seed);
        let sampler = self.model.policy.sampler();
        let sample = self.step as u64;
        let mut episodes = rollout(
            &sampler,
            world.tokenizer,
            &prompts,
            world.sampling,
            sample,
            world.scorer,
            listener,
        )?;
        drop(sampler);
        let sampled = started.elapsed();

        // 2. Log-probabilities of policy and reference, and values, before any update: the policy's as the sampler knows them.
        let tokens: Vec<_> = episodes.iter().map(|e| e.tokens.clone()).collect();
        let microbatch = config.per_device_train_batch_size;
        let measured = measure(
            &self.model,
            &self.reference,
            &tokens,
            Behaviour::take(&mut episodes).as_ref(),
            config.temperature,
            microbatch,
        );

        // 3. Rewards: −β·KL at every token and the score at the last; then advantages and returns.
        let scores: Vec<f64> = episodes.iter().map(|e| e.score).collect();
        let finished: Vec<bool> = tokens.iter().map(|t| t.finished).collect();
        let experience = Experience::new(&measured, &scores, &finished, self.shaping());
        let measured_at = started.elapsed();

        // 4. Epochs of shuffled minibatches.
        let batch = Batch {
            episodes: &tokens,
            measured: &measured,
            experience: &experience,
        };
        let updates = self.epochs(batch);

        // 5. Move β; report.
        let timing = Timing::new(sampled, measured_at, started.elapsed());
        let report = StepReport::new(self, &episodes, &measured, &experience, &updates, timing);
        self.controller.update(report.kl, episodes.len());
        Ok((report, episodes))
    }

    fn epochs(&mut self, batch: Batch<'_>) -> Vec<UpdateReport> {
        let config = self.config;
        let losses = LossConfig {
            clip: PolicyClip {
                range: config.cliprange,
                dual: config.dual_clip,
            },
            cliprange_value: config.cliprange_value,
            vf_coef: config.vf_coef,
            temperature: config.temperature,
            microbatch: config.per_device_train_batch_size,
        };
        let minibatch = config.batch_size / config.num_mini_batches;
        let mut reports = Vec::new();
        for epoch in 0..config.num_ppo_epochs {
            for rows in self.order(batch.episodes.len(), epoch).chunks(minibatch) {
                let learning_rate = self.learning_rate(reports.len());
                let report = update(
                    &mut self.model,
                    &mut self.optimizer,
                    batch,
                    rows,
                    &losses,
                    learning_rate,
                );
                self.nonfinite.count(report.applied);
                reports.push(report);
                if config
                    .target_kl
                    .is_some_and(|limit| report.policy.approx_kl() > limit)
                {
                    return reports;
                }
            }
        }
        reports
    }

    /// The order of the episodes in an epoch.
    fn order(&self, episodes: usize, epoch: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..episodes).collect();
        let stream = (self.step as u64) << 16 | epoch as u64;
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(
            self.config.seed ^ stream.rotate_left(32),
        ));
        order
    }

    /// Of the `index`-th update of this step.
    pub fn learning_rate(&self, index: usize) -> f64 {
        let config = self.config;
        let schedule = Schedule {
            learning_rate: config.learning_rate,
            warmup_updates: config.warmup_steps,
            total_updates: config.updates(),
            decay: config.lr_scheduler_type.into(),
        };
        let per_step = config.num_ppo_epochs * config.num_mini_batches;
        schedule.at((self.step - 1) * per_step + index)
    }

    fn shaping(&self) -> Shaping {
        let config = self.config;
        Shaping {
            kl_coef: self.controller.kl_coef(),
            kl_estimator: match config.kl_estimator {
                config::KlEstimator::K1 => KlEstimator::K1,
                config::KlEstimator::K3 => KlEstimator::K3,
            },
            missing_eos: match (config.missing_eos_penalty, config.missing_eos_score) {
                (Some(penalty), _) => MissingEos::Penalty(penalty),
                (None, Some(score)) => MissingEos::Score(score),
                (None, None) => MissingEos::Keep,
            },
            reward_clip: config.reward_clip,
            whiten_rewards: config.whiten_rewards,
            whiten_advantages: config.whiten_advantages,
            gamma: config.gamma,
            lam: config.lam,
        }
    }
}

/// Log-ratio of policy to reference, summed over each response: KL per sequence by the k1 estimator, in nats.
pub fn sequence_kl(measured: &Measured) -> Vec<f64> {
    let row = |(p, r): (&Vec<f32>, &Vec<f32>)| p.iter().zip(r).map(|(p, r)| f64::from(p - r)).sum();
    measured
        .logprobs
        .iter()
        .zip(&measured.ref_logprobs)
        .map(row)
        .collect()
}
