//! Tokens drawn where the logits are: of a step, ids and log-probabilities are all that leaves the device.
//!
//! The distribution and the random numbers are those of the host's [`Sampler`](super::sampler::Sampler), so that a seed gives
//! the same tokens on every device; here in f32, there in f64, so that a number within some 1e-7 of the border between two
//! tokens may fall on the other side. Thresholds are found by halving, since a backend may sort on the host.

use burn::tensor::{Bool, Device, Int, Tensor, Transaction};

use crate::model::tokens::tensor_of;

use super::sampler::{Drawn, SamplerConfig};

/// Numbers summed one after the other. The backends' cumulative sum takes time square in a row's length: longer rows are
/// summed in pieces.
const PIECE: usize = 64;

/// Halvings of the range of exponents: they leave less than the rounding of an exponent.
const HALVINGS: usize = 32;

/// e to this power is 0 in f32.
const LOWEST: f32 = -110.0;

/// The largest f32 below 1.
const BELOW_ONE: f32 = 1.0 - f32::EPSILON / 2.0;

/// Draws a token for every row of logits, on their device.
#[derive(Debug)]
pub(super) struct DeviceSampler<'a> {
    config: &'a SamplerConfig,
}

impl<'a> DeviceSampler<'a> {
    /// A sampler of valid settings.
    pub(super) fn new(config: &'a SamplerConfig) -> Self {
        Self { config }
    }

    /// Draws one token of every row with that row's number, uniform in [0, 1); greedy sampling looks at none. The
    /// log-probability is not finite where the row is no distribution.
    ///
    /// # Shapes
    /// `logits`: `[rows, vocabulary]`; as many `uniforms` as rows.
    pub(super) fn draw(&self, logits: Tensor<2>, uniforms: &[f64]) -> Vec<Drawn> {
        let highest = logits.clone().max_dim(1);
        let exponents = (logits - highest).mul_scalar(1.0 / self.config.temperature);
        let weights = exponents.clone().exp();
        let total = weights.clone().sum_dim(1);
        let chosen = if self.config.greedy {
            let vocabulary = exponents.dims()[1] as i64;
            first(exponents.clone().greater_equal_elem(0.0)).clamp_max(vocabulary - 1)
        } else {
            pick(self.keep(&exponents, weights), uniforms)
        };
        let logprobs = exponents.gather(1, chosen.clone()) - total.log();
        read(chosen, logprobs)
    }

    /// The weights with 0 for the tokens that top-k and then top-p leave out.
    fn keep(&self, exponents: &Tensor<2>, mut weights: Tensor<2>) -> Tensor<2> {
        let (top_k, top_p) = (self.config.top_k, self.config.top_p);
        let cuts_at_k = top_k > 0 && top_k < exponents.dims()[1];
        let exponents = exponents.clone().clamp_min(LOWEST);
        if cuts_at_k {
            let one_each = exponents.ones_like();
            let enough = exponents.clone().narrow(1, 0, 1).full_like(top_k as f32);
            let (floor, _) = edge(&exponents, &one_each, enough);
            weights = weights.mask_fill(exponents.clone().lower(floor), 0.0);
        }
        if top_p < 1.0 {
            weights = nucleus(&exponents, weights, top_p);
        }
        weights
    }
}

/// The bounds of the last exponents that are needed: the tokens from the upper bound on have less than `enough` of the
/// measure, those from the lower bound on at least as much; between the two lies what is equal but for rounding.
///
/// # Shapes
/// `exponents` and `measure`: `[rows, vocabulary]`; `enough` and the bounds: `[rows, 1]`.
fn edge(exponents: &Tensor<2>, measure: &Tensor<2>, enough: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
    let (mut low, mut high) = (enough.full_like(LOWEST), enough.ones_like());
    for _ in 0..HALVINGS {
        let middle = (low.clone() + high.clone()).mul_scalar(0.5);
        let below = exponents.clone().lower(middle.clone());
        let mass = measure.clone().mask_fill(below, 0.0).sum_dim(1);
        let sufficient = mass.greater_equal(enough.clone());
        low = low.mask_where(sufficient.clone(), middle.clone());
        high = middle.mask_where(sufficient, high);
    }
    (low, high)
}

/// Leaves the smallest set of most probable tokens with `top_p` of the mass; of equally probable ones those with the
/// highest ids, as the host does.
fn nucleus(exponents: &Tensor<2>, weights: Tensor<2>, top_p: f64) -> Tensor<2> {
    let enough = weights.clone().sum_dim(1).mul_scalar(top_p);
    let (low, high) = edge(exponents, &weights, enough.clone());
    let below = exponents.clone().lower(low);
    let inside = exponents.clone().greater_equal(high);
    let on_edge = (below.clone().bool_or(inside.clone())).bool_not();
    let outside = inside.bool_not();
    let mass_inside = weights.clone().mask_fill(outside, 0.0).sum_dim(1);
    let edge_weights = weights.clone().mask_fill(on_edge.clone().bool_not(), 0.0);
    let wanted = ((enough - mass_inside) / edge_weights.max_dim(1)).ceil();
    let rank = running_sum(on_edge.clone().float());
    let unwanted = rank.clone().max_dim(1) - wanted;
    let dropped = on_edge.bool_and(rank.lower_equal(unwanted));
    weights.mask_fill(below.bool_or(dropped), 0.0)
}

/// The first token at which the running sum of a row's weights exceeds the row's share of their sum.
fn pick(weights: Tensor<2>, uniforms: &[f64]) -> Tensor<2, Int> {
    let [rows, vocabulary] = weights.dims();
    let shares = uniforms
        .iter()
        .map(|&u| (u as f32).min(BELOW_ONE))
        .collect();
    let device = weights.device();
    let shares = tensor_of(shares, [rows, 1], &device);
    let running = running_sum(weights.clone());
    let target = running.clone().max_dim(1) * shares;
    let possible = weights.greater_elem(0.0);
    let last = ids(rows, vocabulary, &device)
        .mask_fill(possible.clone().bool_not(), -1)
        .max_dim(1);
    let crossed = possible.bool_and(running.greater(target));
    // The sums of pieces are rounded apart: where none exceeds the target, the last possible token does.
    first(crossed).min_pair(last).clamp_min(0)
}

/// Index of the first true value of every row; the row's length where there is none.
fn first(mask: Tensor<2, Bool>) -> Tensor<2, Int> {
    let [rows, length] = mask.dims();
    let ids = ids(rows, length, &mask.device());
    ids.mask_fill(mask.bool_not(), length as i64).min_dim(1)
}

/// 0, 1, 2, … in every row.
fn ids(rows: usize, length: usize, device: &Device) -> Tensor<2, Int> {
    let row = Tensor::<1, Int>::arange(0..length as i64, device);
    row.reshape([1, length]).expand([rows, length])
}

/// The sums of each row's numbers up to each place, never falling where the numbers are not negative.
fn running_sum(x: Tensor<2>) -> Tensor<2> {
    let [rows, length] = x.dims();
    if length <= PIECE {
        return x.cumsum(1);
    }
    let pieces = length.div_ceil(PIECE);
    let padded = x.pad([(0, pieces * PIECE - length)], 0.0);
    let within = padded.reshape([rows * pieces, PIECE]).cumsum(1);
    let within = within.reshape([rows, pieces, PIECE]);
    let sums = within.clone().narrow(2, PIECE - 1, 1);
    let sums = sums.reshape([rows, pieces]).narrow(1, 0, pieces - 1);
    let before = running_sum(sums.pad([(1, 0)], 0.0));
    let all = within + before.reshape([rows, pieces, 1]);
    all.reshape([rows, pieces * PIECE]).narrow(1, 0, length)
}

/// The one read of a step.
fn read(ids: Tensor<2, Int>, logprobs: Tensor<2>) -> Vec<Drawn> {
    let read = Transaction::default().register(ids).register(logprobs);
    let [ids, logprobs] = &read.execute()[..] else {
        return Vec::new();
    };
    let drawn = ids.iter::<i64>().zip(logprobs.iter::<f32>());
    drawn
        .map(|(id, logprob)| Drawn {
            id: id as u32,
            logprob,
        })
        .collect()
}

#[cfg(test)]
mod tests;
