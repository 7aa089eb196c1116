//! What one rollout teaches: log-probabilities, values, rewards, advantages, for every response token.
//!
//! Everything is kept as ragged rows on the host, one per episode, real tokens only; pads exist only inside a forward pass.

use burn::tensor::{Bool, Device, Tensor, TensorData};

use crate::algo::kl::KlEstimator;
use crate::algo::rewards::{MissingEos, adjust_scores, token_rewards};
use crate::algo::{gae, masked};
use crate::model::workers::share_out;
use crate::model::{Decoder, TokenBatch};

use super::actor_critic::ActorCritic;
use super::behaviour::Behaviour;
use super::kept;
use super::lm_head::{self, TargetLogprobs, Targets};

/// Ragged rows, one per episode.
pub type Rows = Vec<Vec<f32>>;

/// The tokens of an episode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpisodeTokens {
    /// Prompt.
    pub prompt: Vec<u32>,
    /// Response, its end token included if there is one. Never empty.
    pub response: Vec<u32>,
    /// Ended by itself.
    pub finished: bool,
}

/// What the networks say about the response tokens of a rollout, before any update.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    /// log π(a|s) by the policy that drew the tokens.
    pub logprobs: Rows,
    /// log π_ref(a|s).
    pub ref_logprobs: Rows,
    /// V(s).
    pub values: Rows,
    /// Entropy of π(·|s).
    pub entropies: Rows,
    /// The policy's residual stream at its first trained layer, `[tokens · hidden]` of each episode; empty rows where every layer is trained.
    pub residuals: Rows,
    /// Log-probabilities and entropies are the sampler's, and so are the states under a value head on the policy.
    pub by_sampler: bool,
}

impl EpisodeTokens {
    /// Tokens of prompt and response together.
    pub fn tokens(&self) -> usize {
        self.prompt.len() + self.response.len()
    }
}

impl Measured {
    fn extend(&mut self, other: Self) {
        self.logprobs.extend(other.logprobs);
        self.ref_logprobs.extend(other.ref_logprobs);
        self.values.extend(other.values);
        self.entropies.extend(other.entropies);
        self.residuals.extend(other.residuals);
        self.by_sampler = other.by_sampler;
    }

    /// Undoes a sort: row `i` goes to place `order[i]`.
    fn unsorted(self, order: &[usize]) -> Self {
        let unsorted = |rows: Rows| {
            let mut placed = vec![Vec::new(); rows.len()];
            for (row, &place) in rows.into_iter().zip(order) {
                placed[place] = row;
            }
            placed
        };
        Self {
            logprobs: unsorted(self.logprobs),
            ref_logprobs: unsorted(self.ref_logprobs),
            values: unsorted(self.values),
            entropies: unsorted(self.entropies),
            residuals: unsorted(self.residuals),
            by_sampler: self.by_sampler,
        }
    }
}

/// How scores and log-ratios become advantages.
#[derive(Debug, Clone, Copy)]
pub struct Shaping {
    /// β.
    pub kl_coef: f64,
    /// Per-token KL estimator.
    pub kl_estimator: KlEstimator,
    /// For responses that didn't end by themselves.
    pub missing_eos: MissingEos,
    /// Scores are clipped to ± this.
    pub reward_clip: Option<f64>,
    /// Divide rewards by their deviation.
    pub whiten_rewards: bool,
    /// Whiten advantages.
    pub whiten_advantages: bool,
    /// γ.
    pub gamma: f64,
    /// λ.
    pub lam: f64,
}

/// What the epochs learn from.
#[derive(Debug, Clone, Default)]
pub struct Experience {
    /// Reward of each token.
    pub rewards: Rows,
    /// Advantages before whitening.
    pub raw_advantages: Rows,
    /// What the policy loss uses.
    pub advantages: Rows,
    /// What the critic learns.
    pub returns: Rows,
}

/// A right-padded microbatch and where its response tokens are predicted.
pub fn pack(episodes: &[&EpisodeTokens]) -> (TokenBatch, Targets) {
    let rows: Vec<Vec<u32>> = episodes
        .iter()
        .map(|e| [e.prompt.as_slice(), &e.response].concat())
        .collect();
    let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
    let tokens = TokenBatch::right_padded(&rows, 0, 0);
    let mut targets = Targets {
        at: Vec::new(),
        labels: Vec::new(),
    };
    for (row, episode) in episodes.iter().enumerate() {
        let first = row * tokens.time + episode.prompt.len() - 1;
        targets.at.extend(first..first + episode.response.len());
        targets.labels.extend(&episode.response);
    }
    (tokens, targets)
}

/// Forward passes of policy, reference and critic over a rollout, `microbatch` episodes at a time; not of the policy's trained layers where
/// the sampler has told what they would say.
pub fn measure(
    model: &ActorCritic,
    reference: &Decoder,
    episodes: &[EpisodeTokens],
    behaviour: Option<&Behaviour>,
    temperature: f64,
    microbatch: usize,
) -> Measured {
    let device = reference.embedding.device();
    let mut order: Vec<usize> = (0..episodes.len()).collect();
    order.sort_by_key(|&row| episodes[row].tokens());
    let tokens = |row: &usize| episodes[*row].tokens();
    let part = |part: &[usize]| {
        let episodes: Vec<&EpisodeTokens> = part.iter().map(|&row| &episodes[row]).collect();
        let told = behaviour.map(|behaviour| behaviour.of(part, &device));
        measure_part(model, reference, &episodes, told, temperature)
    };
    let mut measured = Measured::default();
    for chunk in order.chunks(microbatch) {
        for other in share_out(&device, chunk, tokens, part) {
            measured.extend(other);
        }
    }
    measured.unsorted(&order)
}

fn measure_part(
    model: &ActorCritic,
    reference: &Decoder,
    episodes: &[&EpisodeTokens],
    told: Option<(TargetLogprobs, Tensor<2>)>,
    temperature: f64,
) -> Measured {
    let (tokens, targets) = pack(episodes);
    let by_sampler = told.is_some();
    let constant = model.policy.constant_layers();
    let pass = model.policy.begin(&tokens, constant);
    let (known, states) = told.unwrap_or_else(|| {
        let states = targets.states(model.policy.finish(pass.clone(), &tokens));
        let logprobs = lm_head::logprobs(&model.policy, &states, &targets.labels, temperature);
        (logprobs, states)
    });
    let values = model.values(&pass, &tokens, &targets, states).into_data();
    let ref_hidden = if reference.shares(&model.policy, constant) {
        reference.finish(pass.clone(), &tokens)
    } else {
        reference.hidden(&tokens)
    };
    let ref_states = targets.states(ref_hidden);
    let of_reference = lm_head::logprobs(reference, &ref_states, &targets.labels, temperature);
    let lengths: Vec<usize> = episodes.iter().map(|e| e.response.len()).collect();
    Measured {
        logprobs: rows(&known.logprobs, &lengths),
        ref_logprobs: rows(&of_reference.logprobs, &lengths),
        values: rows(&values.iter::<f32>().collect::<Vec<_>>(), &lengths),
        entropies: rows(&known.entropies, &lengths),
        residuals: kept::keep(&pass, &tokens),
        by_sampler,
    }
}

fn rows(flat: &[f32], lengths: &[usize]) -> Rows {
    let mut rest = flat;
    lengths
        .iter()
        .map(|&length| {
            let (row, after) = rest.split_at(length);
            rest = after;
            row.to_vec()
        })
        .collect()
}

impl Experience {
    /// Scores → per-token rewards → (whitened) → advantages and returns → (whitened).
    pub fn new(measured: &Measured, scores: &[f64], finished: &[bool], shaping: Shaping) -> Self {
        let device = crate::device::cpu().device;
        let grid = Grid::new(&measured.logprobs, &device);
        let kl = shaping
            .kl_estimator
            .estimate(grid.tensor(&measured.logprobs) - grid.tensor(&measured.ref_logprobs));
        let clip = shaping.reward_clip.unwrap_or(f64::INFINITY);
        let scores: Vec<f32> = scores.iter().map(|s| s.clamp(-clip, clip) as f32).collect();
        let scores = Tensor::<1>::from_floats(scores.as_slice(), &device);
        let finished = Tensor::<1, Bool>::from_data(TensorData::from(finished), &device);
        let scores = adjust_scores(scores, &finished, shaping.missing_eos);
        let mut rewards = token_rewards(kl, scores, &grid.mask, shaping.kl_coef);
        if shaping.whiten_rewards {
            rewards = masked::whiten(rewards, &grid.mask, false);
        }
        let values = grid.tensor(&measured.values);
        let estimate = gae::estimate(
            rewards.clone(),
            values,
            &grid.mask,
            shaping.gamma,
            shaping.lam,
        );
        let advantages = if shaping.whiten_advantages {
            masked::whiten(estimate.advantages.clone(), &grid.mask, true)
        } else {
            estimate.advantages.clone()
        };
        Self {
            rewards: grid.rows(rewards),
            raw_advantages: grid.rows(estimate.advantages),
            advantages: grid.rows(advantages),
            returns: grid.rows(estimate.returns),
        }
    }
}

/// Between ragged rows and padded `[batch, time]` tensors.
struct Grid {
    lengths: Vec<usize>,
    time: usize,
    mask: Tensor<2, Bool>,
    device: Device,
}

impl Grid {
    fn new(like: &Rows, device: &Device) -> Self {
        let lengths: Vec<usize> = like.iter().map(Vec::len).collect();
        let time = lengths.iter().copied().max().unwrap_or(0);
        let mask: Vec<bool> = lengths
            .iter()
            .flat_map(|&n| (0..time).map(move |t| t < n))
            .collect();
        let mask = Tensor::from_data(TensorData::new(mask, [lengths.len(), time]), device);
        Self {
            lengths,
            time,
            mask,
            device: device.clone(),
        }
    }

    fn tensor(&self, rows: &Rows) -> Tensor<2> {
        let padded = |row: &Vec<f32>| {
            let mut row = row.clone();
            row.resize(self.time, 0.0);
            row
        };
        let values: Vec<f32> = rows.iter().flat_map(padded).collect();
        Tensor::from_data(
            TensorData::new(values, [self.lengths.len(), self.time]),
            &self.device,
        )
    }

    fn rows(&self, tensor: Tensor<2>) -> Rows {
        let values: Vec<f32> = tensor.into_data().iter::<f32>().collect();
        let row =
            |(index, &length): (usize, &usize)| values[index * self.time..][..length].to_vec();
        self.lengths.iter().enumerate().map(row).collect()
    }
}
