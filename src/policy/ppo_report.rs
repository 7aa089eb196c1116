//! What a PPO step logs: one row of `metrics.jsonl`, documented in [`metric_table`](crate::run::metric_table).

use std::time::Duration;

use serde::Serialize;

use crate::algo::kl::KlEstimator;
use crate::algo::ppo_stats::{PolicyStats, ValueStats};

use super::experience::{Experience, Measured, Rows};
use super::ppo::{Ppo, sequence_kl};
use super::rollout::Episode;
use super::update::UpdateReport;

/// Seconds of the parts of a step.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    rollout: f64,
    scoring: f64,
    update: f64,
}

impl Timing {
    /// From the time at the end of each part.
    pub fn new(rollout: Duration, scoring: Duration, update: Duration) -> Self {
        let seconds = |from: Duration, to: Duration| to.saturating_sub(from).as_secs_f64();
        Self {
            rollout: rollout.as_secs_f64(),
            scoring: seconds(rollout, scoring),
            update: seconds(scoring, update),
        }
    }
}

/// A row of `metrics.jsonl`.
#[derive(Debug, Clone, Default, Serialize)]
#[allow(
    missing_docs,
    reason = "every field is documented in run::metric_table, which `rlhf explain` prints"
)]
pub struct StepReport {
    pub step: usize,
    pub episodes: usize,
    pub learning_rate: f64,
    pub grad_norm: f64,
    pub nonfinite_steps: usize,
    pub tokens: usize,
    pub score_mean: f64,
    pub score_std: f64,
    pub reward_mean: f64,
    pub kl_penalty_mean: f64,
    pub kl: f64,
    pub kl_per_token: f64,
    pub kl_k2: f64,
    pub kl_k3: f64,
    pub kl_estimator: &'static str,
    pub kl_coef: f64,
    pub entropy: f64,
    pub sampler_mismatch: f64,
    pub off_policy_sampling: bool,
    pub policy_loss: f64,
    pub value_loss: f64,
    pub clip_fraction: f64,
    pub value_clip_fraction: f64,
    pub approx_kl: f64,
    pub ratio_mean: f64,
    pub ratio_var: f64,
    pub explained_variance: Option<f64>,
    pub advantage_std: f64,
    pub return_mean: f64,
    pub value_mean: f64,
    pub updates: usize,
    pub response_length: f64,
    pub missing_eos_share: f64,
    pub distinct_2: f64,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub evaluation: Option<Evaluation>,
    pub seconds_rollout: f64,
    pub seconds_scoring: f64,
    pub seconds_update: f64,
    pub seconds: f64,
    pub tokens_per_second: f64,
}

/// What the policy does on held-out prompts.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[allow(missing_docs, reason = "as for StepReport")]
pub struct Evaluation {
    pub eval_score: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eval_gold_score: Option<f64>,
    pub eval_kl: f64,
    pub eval_response_length: f64,
    pub eval_distinct_2: f64,
}

impl StepReport {
    /// Gathers the figures of a step.
    pub fn new(
        ppo: &Ppo<'_>,
        episodes: &[Episode<'_>],
        measured: &Measured,
        experience: &Experience,
        updates: &[UpdateReport],
        timing: Timing,
    ) -> Self {
        let (mut policy, mut value) = (PolicyStats::default(), ValueStats::default());
        for update in updates {
            policy.merge(&update.policy);
            value.merge(&update.value);
        }
        let scores: Vec<f64> = episodes.iter().map(|e| e.score).collect();
        let rewards = mean(
            experience
                .rewards
                .iter()
                .map(|r| r.iter().map(|&x| f64::from(x)).sum()),
        );
        let tokens: usize = episodes.iter().map(|e| e.tokens.response.len()).sum();
        let kl = mean(sequence_kl(measured));
        let seconds = timing.rollout + timing.scoring + timing.update;
        let count = episodes.len() as f64;
        Self {
            step: ppo.step,
            episodes: ppo.step * ppo.config.batch_size,
            learning_rate: ppo.learning_rate(updates.len().saturating_sub(1)),
            grad_norm: mean(updates.iter().map(|u| u.grad_norm)),
            nonfinite_steps: ppo.nonfinite.total,
            tokens,
            score_mean: mean(scores.iter().copied()),
            score_std: deviation(&scores),
            reward_mean: rewards,
            kl_penalty_mean: kl_penalty(ppo, measured),
            kl,
            kl_per_token: kl * count / tokens.max(1) as f64,
            kl_k2: sequence_estimate(measured, |d| d * d / 2.0),
            kl_k3: sequence_estimate(measured, |d| (-d).exp_m1() + d),
            kl_estimator: match ppo.config.kl_estimator {
                super::config::KlEstimator::K1 => KlEstimator::K1.name(),
                super::config::KlEstimator::K3 => KlEstimator::K3.name(),
            },
            kl_coef: ppo.controller.kl_coef(),
            entropy: token_mean(&measured.entropies),
            sampler_mismatch: sampler_mismatch(episodes, measured, updates),
            off_policy_sampling: ppo.config.top_p < 1.0 || ppo.config.top_k > 0,
            policy_loss: mean(updates.iter().map(|u| u.policy_loss)),
            value_loss: mean(updates.iter().map(|u| u.value_loss)),
            clip_fraction: policy.clip_fraction(),
            value_clip_fraction: value.clip_fraction(),
            approx_kl: policy.approx_kl(),
            ratio_mean: policy.ratio_mean(),
            ratio_var: policy.ratio_variance(),
            explained_variance: explained_variance(&experience.returns, &measured.values),
            advantage_std: deviation(&flat(&experience.raw_advantages)),
            return_mean: token_mean(&experience.returns),
            value_mean: token_mean(&measured.values),
            updates: updates.len(),
            response_length: tokens as f64 / count,
            missing_eos_share: episodes.iter().filter(|e| !e.tokens.finished).count() as f64
                / count,
            distinct_2: distinct_2(episodes),
            evaluation: None,
            seconds_rollout: timing.rollout,
            seconds_scoring: timing.scoring,
            seconds_update: timing.update,
            seconds,
            tokens_per_second: tokens as f64 / seconds,
        }
    }
}

impl Evaluation {
    /// Gathers the figures of an evaluation.
    pub fn new(
        episodes: &[Episode<'_>],
        measured: &Measured,
        gold: Option<&dyn Fn(&Episode<'_>) -> f64>,
    ) -> Self {
        Self {
            eval_score: mean(episodes.iter().map(|e| e.score)),
            eval_gold_score: gold.map(|gold| mean(episodes.iter().map(gold))),
            eval_kl: mean(sequence_kl(measured)),
            eval_response_length: mean(episodes.iter().map(|e| e.tokens.response.len() as f64)),
            eval_distinct_2: distinct_2(episodes),
        }
    }
}

fn distinct_2(episodes: &[Episode<'_>]) -> f64 {
    let texts: Vec<&str> = episodes.iter().map(|e| e.response.as_str()).collect();
    crate::stats::distinct::distinct_n(&texts, 2)
}

fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) = values
        .into_iter()
        .fold((0.0, 0_usize), |(s, n), v| (s + v, n + 1));
    sum / count.max(1) as f64
}

fn deviation(values: &[f64]) -> f64 {
    let centre = mean(values.iter().copied());
    mean(values.iter().map(|v| (v - centre).powi(2))).sqrt()
}

fn flat(rows: &Rows) -> Vec<f64> {
    rows.iter().flatten().map(|&x| f64::from(x)).collect()
}

fn token_mean(rows: &Rows) -> f64 {
    mean(flat(rows))
}

fn log_ratios(measured: &Measured) -> impl Iterator<Item = Vec<f64>> + '_ {
    let row =
        |(p, r): (&Vec<f32>, &Vec<f32>)| p.iter().zip(r).map(|(p, r)| f64::from(p - r)).collect();
    measured
        .logprobs
        .iter()
        .zip(&measured.ref_logprobs)
        .map(row)
}

fn sequence_estimate(measured: &Measured, estimate: impl Fn(f64) -> f64) -> f64 {
    mean(log_ratios(measured).map(|row| row.into_iter().map(&estimate).sum()))
}

fn kl_penalty(ppo: &Ppo<'_>, measured: &Measured) -> f64 {
    let nats = match ppo.config.kl_estimator {
        super::config::KlEstimator::K1 => sequence_estimate(measured, |d| d),
        super::config::KlEstimator::K3 => sequence_estimate(measured, |d| (-d).exp_m1() + d),
    };
    -ppo.controller.kl_coef() * nats
}

/// Mean |log-probability by the sampler − by the trainer|, in nats. Where a rollout has the sampler's only, the trainer's are those of the
/// first minibatch of the first epoch, the one forward pass that comes before any weight has changed: the whole rollout if
/// `num_mini_batches` is 1.
fn sampler_mismatch(
    episodes: &[Episode<'_>],
    measured: &Measured,
    updates: &[UpdateReport],
) -> f64 {
    if measured.by_sampler {
        return mean(
            updates
                .first()
                .map(|first| first.policy.mean_absolute_log_ratio()),
        );
    }
    let pairs = episodes.iter().zip(&measured.logprobs);
    mean(pairs.flat_map(|(episode, row)| {
        episode
            .sampler_logprobs
            .iter()
            .zip(row)
            .map(|(a, b)| f64::from((a - b).abs()))
            .collect::<Vec<_>>()
    }))
}

/// 1 − Var(R − V)/Var(R) over tokens; none when all returns are equal.
fn explained_variance(returns: &Rows, values: &Rows) -> Option<f64> {
    let (returns, values) = (flat(returns), flat(values));
    let residuals: Vec<f64> = returns.iter().zip(&values).map(|(r, v)| r - v).collect();
    let total = deviation(&returns).powi(2);
    (total > 0.0).then(|| 1.0 - deviation(&residuals).powi(2) / total)
}
