//! From one row of logits to one token and its log-probability.
//!
//! Temperature, then top-k, then top-p, with the meaning they have in transformers' logits processors. The
//! log-probability is always that of the *whole* distribution at this temperature, whatever was cut off: it is what
//! PPO's trainer computes for the same token.

use std::cmp::Ordering;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::kernels::{exponentials, largest};

/// Why a token can't be drawn.
#[derive(Debug, Error, PartialEq)]
pub enum SamplerError {
    /// A setting outside its range.
    #[error("{setting}: {reason}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// Expected and found.
        reason: String,
    },
    /// The model's output is not a distribution.
    #[error(
        "the logit of token {id} is {value}: the model's weights are damaged, its training diverged, or its activations are too large for f16 (bf16 on a GPU)"
    )]
    NotFinite {
        /// The first such token.
        id: usize,
        /// NaN or ±infinity.
        value: f32,
    },
}

/// How responses are drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SamplerConfig {
    /// Logits are divided by this; above 0.
    pub temperature: f64,
    /// The smallest set of most probable tokens with at least this mass is kept; in (0, 1], 1 keeps all.
    pub top_p: f64,
    /// So many most probable tokens are kept; 0 keeps all.
    pub top_k: usize,
    /// Most tokens of a response, its stop token included.
    pub max_new_tokens: usize,
    /// Take the most probable token instead of drawing one.
    pub greedy: bool,
    /// Seed of all draws.
    pub seed: u64,
}

impl Default for SamplerConfig {
    fn default() -> Self {
        Self {
            temperature: 1.0,
            top_p: 1.0,
            top_k: 0,
            max_new_tokens: 64,
            greedy: false,
            seed: 0,
        }
    }
}

impl SamplerConfig {
    /// # Errors
    /// Names the first setting outside its range.
    pub fn validate(&self) -> Result<(), SamplerError> {
        let fail = |setting, reason| Err(SamplerError::Setting { setting, reason });
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            let found = self.temperature;
            return fail(
                "temperature",
                format!(
                    "expected a number above 0, found {found} (for the most probable token: greedy)"
                ),
            );
        }
        if !(self.top_p > 0.0 && self.top_p <= 1.0) {
            return fail(
                "top_p",
                format!(
                    "expected a number above 0 and at most 1, found {}",
                    self.top_p
                ),
            );
        }
        if self.max_new_tokens == 0 {
            return fail("max_new_tokens", "expected at least 1, found 0".to_owned());
        }
        Ok(())
    }

    /// Are tokens drawn from the model's whole distribution at this temperature, as PPO assumes?
    pub fn is_on_policy(&self) -> bool {
        !self.greedy && self.top_p >= 1.0 && self.top_k == 0
    }
}

/// The random numbers of one response. They depend on these three numbers only, not on what else is in the batch.
pub fn stream(seed: u64, prompt: u64, sample: u64) -> ChaCha8Rng {
    let mut key = *b"................rlhf generate v1";
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&prompt.to_le_bytes());
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(sample);
    rng
}

/// A token drawn from a row of logits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drawn {
    /// The token.
    pub id: u32,
    /// Its log-probability at the sampler's temperature, in nats, before top-k and top-p.
    pub logprob: f32,
}

/// Draws tokens; keeps its scratch memory between draws.
#[derive(Debug)]
pub struct Sampler {
    config: SamplerConfig,
    /// exp((logit − max) / T) of every token.
    weights: Vec<f32>,
    /// Their sums, [`CHUNK`] tokens at a time.
    sums: Vec<f64>,
    /// The largest logit, and the sum of the weights.
    max: f32,
    total: f64,
    /// Tokens that top-k and top-p leave.
    kept: Vec<u32>,
}

impl Sampler {
    /// # Errors
    /// If a setting is outside its range.
    pub fn new(config: &SamplerConfig) -> Result<Self, SamplerError> {
        config.validate()?;
        Ok(Self {
            config: config.clone(),
            weights: Vec::new(),
            sums: Vec::new(),
            max: 0.0,
            total: 0.0,
            kept: Vec::new(),
        })
    }

    /// Draws one token, with one random number (none when greedy).
    ///
    /// # Errors
    /// [`SamplerError::NotFinite`] for NaN or +∞, or nothing but −∞, among the logits.
    pub fn draw(&mut self, logits: &[f32], rng: &mut ChaCha8Rng) -> Result<Drawn, SamplerError> {
        let max = largest(logits);
        let total = self.weigh(logits, max);
        (self.max, self.total) = (max, total);
        if !(total.is_finite() && total > 0.0) {
            return Err(not_finite(logits));
        }
        let id = if self.config.greedy {
            logits.iter().position(|&z| z == max).unwrap_or(0)
        } else if self.config.is_on_policy() {
            self.pick_any(unit(rng) * total)
        } else {
            self.keep(logits);
            let weighted = || {
                self.kept
                    .iter()
                    .map(|&id| (id as usize, f64::from(self.weights[id as usize])))
            };
            let mass: f64 = weighted().map(|(_, weight)| weight).sum();
            pick(weighted(), unit(rng) * mass).0
        };
        let logprob = f64::from(logits[id] - max) / self.config.temperature - total.ln();
        Ok(Drawn {
            id: id as u32,
            logprob: logprob as f32,
        })
    }

    /// Entropy of the distribution of the last draw, before top-k and top-p, in nats; `logits` are that draw's.
    ///
    /// H = log Σw − Σ w·log w / Σw with w = exp((z − max)/T).
    pub fn entropy(&self, logits: &[f32]) -> f32 {
        let logits = logits.chunks(CHUNK);
        let parts = logits.zip(self.weights.chunks(CHUNK));
        let sum: f64 = parts.map(|(z, w)| weighted_sum(w, z, self.max)).sum();
        (self.total.ln() - sum / self.config.temperature / self.total) as f32
    }

    /// Fills in the weights and returns their sum, which is NaN unless there is a distribution.
    fn weigh(&mut self, logits: &[f32], max: f32) -> f64 {
        let scale = (1.0 / self.config.temperature) as f32;
        self.weights.resize(logits.len(), 0.0);
        let chunks = logits.chunks(CHUNK).zip(self.weights.chunks_mut(CHUNK));
        let of_chunk =
            |(logits, weights): (&[f32], &mut [f32])| exponentials(logits, max, scale, weights);
        self.sums.clear();
        self.sums.extend(chunks.map(of_chunk));
        self.sums.iter().sum()
    }

    /// The first token at which the running sum of all weights exceeds `target`: first its chunk, then the token in it.
    fn pick_any(&self, target: f64) -> usize {
        let (chunk, before) = pick(self.sums.iter().copied().enumerate(), target);
        let start = chunk * CHUNK;
        let tokens = self.weights[start..].iter().take(CHUNK);
        let tokens = tokens.map(|&weight| f64::from(weight)).enumerate();
        start + pick(tokens, target - before).0
    }

    /// Finds the tokens that top-k, then top-p, leave; in order of their ids.
    fn keep(&mut self, logits: &[f32]) {
        self.kept.clear();
        self.kept.extend(0..logits.len() as u32);
        let k = self.config.top_k;
        if k > 0 && k < logits.len() {
            let (_, &mut last, _) = self.kept.select_nth_unstable_by(k - 1, descending(logits));
            let floor = logits[last as usize];
            self.kept.retain(|&id| logits[id as usize] >= floor); // ties with the k-th stay, as in transformers
        }
        if self.config.top_p < 1.0 {
            self.keep_nucleus(logits);
        }
        self.kept.sort_unstable();
    }

    /// Keeps a token while the more probable ones before it have less than `top_p` of the mass. Only as much is sorted as
    /// is needed: mostly some dozens of tokens out of tens of thousands.
    fn keep_nucleus(&mut self, logits: &[f32]) {
        let weight = |id: u32| f64::from(self.weights[id as usize]);
        let enough = self.config.top_p * self.kept.iter().map(|&id| weight(id)).sum::<f64>();
        let (mut sorted, mut before) = (0, 0.0);
        while sorted < self.kept.len() {
            let end = self.kept.len().min((4 * sorted).max(64));
            if end < self.kept.len() {
                self.kept[sorted..].select_nth_unstable_by(end - sorted - 1, descending(logits));
            }
            self.kept[sorted..end].sort_unstable_by(descending(logits));
            for index in sorted..end {
                if before >= enough {
                    self.kept.truncate(index);
                    return;
                }
                before += weight(self.kept[index]);
            }
            sorted = end;
        }
    }
}

/// What is wrong with logits that are no distribution.
pub(super) fn not_finite(logits: &[f32]) -> SamplerError {
    let bad = |z: &f32| z.is_nan() || *z == f32::INFINITY;
    let id = logits.iter().position(bad).unwrap_or(0);
    SamplerError::NotFinite {
        id,
        value: logits.get(id).copied().unwrap_or(f32::NAN),
    }
}

/// Weights summed at a time: a draw passes over whole chunks first.
const CHUNK: usize = 256;

/// Σ w·(z − max) of a chunk, a lane of the processor's registers beside the other; a logit of −∞ has no weight.
fn weighted_sum(weights: &[f32], logits: &[f32], max: f32) -> f64 {
    let mut lanes = [0.0_f32; 16];
    for (weights, logits) in weights.chunks(16).zip(logits.chunks(16)) {
        for (lane, (&w, &z)) in lanes.iter_mut().zip(weights.iter().zip(logits)) {
            *lane += if w > 0.0 { w * (z - max) } else { 0.0 };
        }
    }
    lanes.iter().map(|&lane| f64::from(lane)).sum()
}

/// Most probable first; of equals the higher id, as transformers' ascending stable sort has them.
fn descending(logits: &[f32]) -> impl Fn(&u32, &u32) -> Ordering {
    |a, b| {
        logits[*b as usize]
            .total_cmp(&logits[*a as usize])
            .then(b.cmp(a))
    }
}

/// The first at which the running sum of weights exceeds `target`, and the sum before it.
fn pick(weighted: impl Iterator<Item = (usize, f64)>, target: f64) -> (usize, f64) {
    let (mut sum, mut last) = (0.0, (0, 0.0));
    for (id, weight) in weighted.filter(|&(_, weight)| weight > 0.0) {
        last = (id, sum);
        sum += weight;
        if sum > target {
            break;
        }
    }
    last // also when rounding keeps the sum below the target
}

/// Uniform in [0, 1) with 53 bits.
pub(super) fn unit(rng: &mut ChaCha8Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
pub(super) mod tests;
