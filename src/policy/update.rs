//! One optimiser step of PPO on one minibatch, a microbatch at a time.
//!
//! Losses are sums over real tokens divided by the minibatch's token count, so the result doesn't depend on the microbatch size.

use burn::tensor::{Bool, Device, Tensor, TensorData};

use crate::algo::ppo::{PolicyBatch, PolicyClip, ValueBatch, policy_loss, value_loss};
use crate::algo::ppo_stats::{PolicyStats, ValueStats};
use crate::model::optimizer::{Optimizer, Update};
use crate::model::transformer::Underway;
use crate::model::workers::share_out_turns;
use crate::model::{GradientMap, Parameters, TokenBatch};

use super::actor_critic::{ActorCritic, Critic, POLICY};
use super::experience::{EpisodeTokens, Experience, Measured, pack};
use super::kept;
use super::lm_head::{HeadPass, Targets};

/// Coefficients of the losses.
#[derive(Debug, Clone, Copy)]
pub struct LossConfig {
    /// Clip range of the ratio, dual clip.
    pub clip: PolicyClip,
    /// Clip range of the value.
    pub cliprange_value: f64,
    /// Weight of the value loss.
    pub vf_coef: f64,
    /// Sampling temperature: it divides the logits here as in the rollout.
    pub temperature: f64,
    /// Episodes in a forward pass.
    pub microbatch: usize,
}

/// A rollout with everything that the losses need.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// Tokens.
    pub episodes: &'a [EpisodeTokens],
    /// Old log-probabilities and values.
    pub measured: &'a Measured,
    /// Advantages and returns.
    pub experience: &'a Experience,
}

impl Batch<'_> {
    fn pack(&self, rows: &[usize]) -> (TokenBatch, Targets) {
        let episodes: Vec<&EpisodeTokens> = rows.iter().map(|&row| &self.episodes[row]).collect();
        pack(&episodes)
    }
}

/// What one optimiser step did.
#[derive(Debug, Clone, Copy)]
pub struct UpdateReport {
    /// Before the step.
    pub policy_loss: f64,
    /// Before the step, without its coefficient.
    pub value_loss: f64,
    /// Of policy and critic together, before clipping.
    pub grad_norm: f64,
    /// False if loss or gradient was not finite; then nothing was changed.
    pub applied: bool,
    /// Ratios, clip fraction, approximate KL.
    pub policy: PolicyStats,
    /// Value clip fraction, explained variance.
    pub value: ValueStats,
}

/// One step of the optimiser on the episodes `rows`.
pub fn update(
    model: &mut ActorCritic,
    optimizer: &mut Optimizer,
    batch: Batch<'_>,
    rows: &[usize],
    losses: &LossConfig,
    learning_rate: f64,
) -> UpdateReport {
    let tokens: usize = rows
        .iter()
        .map(|&row| batch.episodes[row].response.len())
        .sum();
    let length = |row: &usize| batch.episodes[*row].tokens();
    let mut sorted = rows.to_vec();
    sorted.sort_by_key(length);
    let minibatch = Minibatch {
        model,
        batch,
        losses,
        denominator: tokens as f64,
    };
    let mut total = Part::default();
    for rows in sorted.chunks(losses.microbatch) {
        // One network after the other: each worker holds activations and gradients of one only.
        for part in [Minibatch::policy_part, Minibatch::critic_part] {
            let part = |rows: &[usize]| part(&minibatch, rows);
            let policy = &model.policy;
            total.add(share_out_turns(policy, rows, length, part, Part::add));
        }
    }
    let Part { sums, gradients } = total;
    let finite = sums.policy_loss.is_finite() && sums.value_loss.is_finite();
    let step = if finite {
        optimizer.step(model, gradients, learning_rate)
    } else {
        Update::SKIPPED
    };
    UpdateReport {
        policy_loss: sums.policy_loss,
        value_loss: sums.value_loss,
        grad_norm: step.grad_norm,
        applied: step.applied,
        policy: sums.policy,
        value: sums.value,
    }
}

/// What some episodes contribute to a minibatch.
#[derive(Default)]
struct Part {
    sums: Sums,
    gradients: GradientMap,
}

impl Part {
    fn add(&mut self, other: Self) {
        self.sums.add(&other.sums);
        self.gradients.accumulate(other.gradients);
    }
}

#[derive(Default)]
struct Sums {
    policy_loss: f64,
    value_loss: f64,
    policy: PolicyStats,
    value: ValueStats,
}

impl Sums {
    fn add(&mut self, other: &Sums) {
        self.policy_loss += other.policy_loss;
        self.value_loss += other.value_loss;
        self.policy.merge(&other.policy);
        self.value.merge(&other.value);
    }
}

/// What the contributions of episodes to a minibatch depend on.
struct Minibatch<'a> {
    model: &'a ActorCritic,
    batch: Batch<'a>,
    losses: &'a LossConfig,
    denominator: f64, // its tokens
}

impl Minibatch<'_> {
    /// What the episodes `rows` contribute by the policy, and by the critic if it is a head on it.
    fn policy_part(&self, rows: &[usize]) -> Part {
        let Self {
            model,
            batch,
            losses,
            denominator,
        } = *self;
        let mut sums = Sums::default();
        let (tokens, targets) = batch.pack(rows);
        let mut tracked = model.tracked();
        let begun = self.begin(&tracked, rows, &tokens);
        let states = targets.states(tracked.policy.finish(begun, &tokens));
        let old_logprobs = flat(&batch.measured.logprobs, rows);
        let advantages = flat(&batch.experience.advantages, rows);
        let pass = HeadPass::new(
            &model.policy,
            &states,
            &targets,
            losses.temperature,
            |range, logprobs, _| {
                let old = [&old_logprobs[range.clone()], &advantages[range]];
                sums.add_policy(logprobs, old, losses.clip, denominator)
            },
        );
        let mut loss = pass.surrogate(states.clone());
        if let Critic::Shared(head) = &tracked.critic {
            let values = head.forward(states);
            loss = loss + sums.add_values(values, batch, rows, losses, denominator);
        }
        let mut gradients = tracked.gradients(loss.backward());
        pass.add_head_gradient(&model.policy, POLICY, &mut gradients);
        Part { sums, gradients }
    }

    /// The same by a critic that is a network of its own.
    fn critic_part(&self, rows: &[usize]) -> Part {
        let Self {
            model,
            batch,
            losses,
            denominator,
        } = *self;
        let mut sums = Sums::default();
        let mut tracked = model.tracked();
        let Critic::Separate(critic) = &tracked.critic else {
            return Part::default();
        };
        let (tokens, targets) = batch.pack(rows);
        let begun = self.begin(&tracked, rows, &tokens);
        let values = tracked.values_of(critic, &begun, &tokens, &targets);
        let loss = sums.add_values(values, batch, rows, losses, denominator);
        let gradients = tracked.gradients(loss.backward());
        Part { sums, gradients }
    }

    /// The policy's pass up to its first trained layer: what the rollout has kept of it, or its first step.
    fn begin(&self, tracked: &ActorCritic, rows: &[usize], tokens: &TokenBatch) -> Underway {
        let policy = &self.model.policy;
        let constant = policy.constant_layers();
        if constant == 0 {
            return tracked.policy.begin(tokens, 0);
        }
        let residuals = &self.batch.measured.residuals;
        let kept = rows.iter().map(|&row| residuals[row].as_slice());
        let (hidden, device) = (policy.config.hidden_size, policy.embedding.device());
        kept::resume(kept, constant, tokens, hidden, &device)
    }
}

impl Sums {
    /// Adds some tokens' policy loss and returns its gradient with respect to their log-probabilities.
    fn add_policy(
        &mut self,
        logprobs: Tensor<1>,
        [old_logprobs, advantages]: [&[f32]; 2],
        clip: PolicyClip,
        denominator: f64,
    ) -> Tensor<1> {
        let device = logprobs.device();
        let part = |logprobs: Tensor<1>, device: &Device| PolicyBatch {
            old_logprobs: line(old_logprobs, device),
            advantages: line(advantages, device),
            response_mask: all_real(old_logprobs.len(), device),
            logprobs: logprobs.unsqueeze(),
        };
        let plain = part(logprobs.clone(), &device);
        self.policy.merge(&PolicyStats::measure(plain, clip.range));
        let logprobs = logprobs.autodiff().require_grad();
        let tracked = part(logprobs.clone(), &logprobs.device());
        let loss = policy_loss(tracked, clip, denominator);
        self.policy_loss += scalar(&loss);
        let gradient = logprobs.grad_remove(&mut loss.backward());
        gradient.unwrap_or_else(|| logprobs.inner().zeros_like())
    }

    /// Adds some tokens' value loss and returns it times its coefficient.
    fn add_values(
        &mut self,
        values: Tensor<1>,
        batch: Batch<'_>,
        rows: &[usize],
        losses: &LossConfig,
        denominator: f64,
    ) -> Tensor<1> {
        let device = values.device();
        let returns = flat(&batch.experience.returns, rows);
        let batch = ValueBatch {
            old_values: line(&flat(&batch.measured.values, rows), &device),
            returns: line(&returns, &device),
            response_mask: all_real(returns.len(), &device),
            values: values.unsqueeze(),
        };
        let range = losses.cliprange_value;
        self.value.merge(&ValueStats::measure(batch.clone(), range));
        let loss = value_loss(batch, range, denominator);
        self.value_loss += scalar(&loss);
        loss * losses.vf_coef
    }
}

fn flat(from: &[Vec<f32>], rows: &[usize]) -> Vec<f32> {
    rows.iter().flat_map(|&row| from[row].clone()).collect()
}

fn line(values: &[f32], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(values.to_vec(), [1, values.len()]), device)
}

fn all_real(count: usize, device: &Device) -> Tensor<2, Bool> {
    Tensor::full([1, count], true, device)
}

fn scalar(value: &Tensor<1>) -> f64 {
    f64::from(value.clone().into_scalar::<f32>())
}
