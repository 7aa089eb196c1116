//! What the sampler knows of the answers it has drawn, so that the policy doesn't read them once more before it learns from them.
//!
//! PPO's ratio is that to the policy which drew the tokens (Schulman et al. 2017, arXiv:1707.06347, eq. 6), and the CPU's decoder has
//! that policy's log-probabilities, entropies and hidden states in hand: the same distribution (the whole one at the job's temperature,
//! whatever top-k and top-p cut off) from the same weights. The states are those that tokens are drawn from, so a value head on
//! them says the value before each token, as the trainer's pass would. Other decoders keep nothing; then the trainer's own forward
//! pass says all of it, see [`measure`](super::experience::measure).

use burn::tensor::{Device, Tensor};

use crate::model::tokens::tensor_of;

use super::experience::Rows;
use super::lm_head::TargetLogprobs;
use super::rollout::Episode;

/// Of every episode of a rollout.
#[derive(Debug, Clone, Default)]
pub struct Behaviour {
    /// log π(a|s).
    logprobs: Rows,
    /// Entropy of π(·|s).
    entropies: Rows,
    /// The hidden states that the tokens were drawn from, `[tokens · hidden]`.
    states: Rows,
}

impl Behaviour {
    /// Takes it out of the episodes; none if the sampler hasn't kept it of all.
    pub fn take(episodes: &mut [Episode<'_>]) -> Option<Self> {
        let mut behaviour = Self::default();
        for episode in episodes {
            let trace = episode.trace.take()?;
            behaviour.logprobs.push(episode.sampler_logprobs.clone());
            behaviour.entropies.push(trace.entropies);
            behaviour.states.push(trace.states);
        }
        Some(behaviour)
    }

    /// Of some episodes: all their tokens' log-probabilities, and the states `[tokens, hidden]`.
    pub fn of(&self, rows: &[usize], device: &Device) -> (TargetLogprobs, Tensor<2>) {
        let joined = |of: &Rows| -> Vec<f32> {
            let values = rows.iter().flat_map(|&row| &of[row]);
            values.copied().collect()
        };
        let known = TargetLogprobs {
            logprobs: joined(&self.logprobs),
            entropies: joined(&self.entropies),
        };
        let states = joined(&self.states);
        let tokens = known.logprobs.len();
        let shape = [tokens, states.len() / tokens.max(1)];
        (known, tensor_of(states, shape, device))
    }
}
