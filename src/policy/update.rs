//! One optimiser step of PPO on one minibatch, a microbatch at a time.
//!
//! Losses are sums over real tokens divided by the minibatch's token count, so the result doesn't depend on the microbatch size.

use burn::tensor::{Bool, Device, Tensor, TensorData};

use crate::algo::ppo::{PolicyBatch, PolicyClip, ValueBatch, policy_loss, value_loss};
use crate::algo::ppo_stats::{PolicyStats, ValueStats};
use crate::model::optimizer::{Optimizer, Update};
use crate::model::workers::share_out_turns;
use crate::model::{GradientMap, Parameters};

use super::actor_critic::{ActorCritic, POLICY};
use super::experience::{EpisodeTokens, Experience, Measured, pack};
use super::kept;
use super::lm_head::HeadPass;

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
    let part = |rows: &[usize]| part_of_update(model, batch, rows, losses, tokens as f64);
    let mut total = Part::default();
    for rows in sorted.chunks(losses.microbatch) {
        total.add(share_out_turns(
            &model.policy,
            rows,
            length,
            part,
            Part::add,
        ));
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

/// What the episodes `rows` contribute to a minibatch of `denominator` tokens.
fn part_of_update(
    model: &ActorCritic,
    batch: Batch<'_>,
    rows: &[usize],
    losses: &LossConfig,
    denominator: f64,
) -> Part {
    let mut sums = Sums::default();
    let episodes: Vec<&EpisodeTokens> = rows.iter().map(|&row| &batch.episodes[row]).collect();
    let (tokens, targets) = pack(&episodes);
    let flat = |from: &[Vec<f32>]| -> Vec<f32> {
        rows.iter().flat_map(|&row| from[row].clone()).collect()
    };
    let old_logprobs = flat(&batch.measured.logprobs);
    let advantages = flat(&batch.experience.advantages);

    let mut tracked = model.tracked();
    let policy = &tracked.policy;
    let device = policy.embedding.device();
    let begun = match model.policy.constant_layers() {
        0 => policy.begin(&tokens, 0),
        constant => {
            let kept = rows
                .iter()
                .map(|&row| batch.measured.residuals[row].as_slice());
            kept::resume(
                kept,
                constant,
                &tokens,
                policy.config.hidden_size,
                &model.policy.embedding.device(),
            )
        }
    };
    let states = targets.states(policy.finish(begun.clone(), &tokens));
    let pass = HeadPass::new(
        &model.policy,
        &states,
        &targets,
        losses.temperature,
        |range, logprobs, _| {
            let device = logprobs.device();
            let logprobs = logprobs.autodiff().require_grad();
            let of = |values: &[f32], device: &Device| line(&values[range.clone()], device);
            let part = |logprobs: Tensor<2>, device: &Device| PolicyBatch {
                old_logprobs: of(&old_logprobs, device),
                advantages: of(&advantages, device),
                response_mask: all_real(range.len(), device),
                logprobs,
            };
            let tracked = part(logprobs.clone().unsqueeze(), &logprobs.device());
            let loss = policy_loss(tracked, losses.clip, denominator);
            sums.policy_loss += scalar(&loss);
            let plain = part(logprobs.clone().inner().unsqueeze(), &device);
            sums.policy
                .merge(&PolicyStats::measure(plain, losses.clip.range));
            let mut gradients = loss.backward();
            logprobs
                .grad_remove(&mut gradients)
                .unwrap_or_else(|| logprobs.inner().zeros_like())
        },
    );

    let values: Tensor<2> = tracked
        .values(&begun, &tokens, &targets, states.clone())
        .unsqueeze();
    let values = ValueBatch {
        old_values: line(&flat(&batch.measured.values), &device),
        returns: line(&flat(&batch.experience.returns), &device),
        response_mask: all_real(targets.at.len(), &device),
        values,
    };
    sums.value
        .merge(&ValueStats::measure(values.clone(), losses.cliprange_value));
    let value_loss = value_loss(values, losses.cliprange_value, denominator);
    sums.value_loss += scalar(&value_loss);
    let total = pass.surrogate(states) + value_loss * losses.vf_coef;
    let mut gradients = tracked.gradients(total.backward());
    pass.add_head_gradient(&model.policy, POLICY, &mut gradients);
    Part { sums, gradients }
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
