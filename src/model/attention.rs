//! Causal self-attention with grouped key-value heads and a preallocated cache.
//!
//! Vaswani et al. 2017, eq. 1; grouped queries as Ainslie et al. 2023. Query heads that share a key head are folded into
//! the time axis, so keys and values are never copied per query head.

use std::slice;
use std::sync::Arc;

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Int, Tensor};

use super::config::DecoderConfig;
use super::fused::{self, Heads, Sequences};
use super::linear::Linear;
use super::norm::Norm;
use super::parameters::Visitor;
use super::rope::{Rotary, angles};
use super::tokens::{PackedTokens, TokenBatch};

/// Added to a score that must not be attended to; finite, so that a row of pads stays finite.
const MASKED: f32 = -1e9;

/// The projections to query, key and value: apart, or fused in one matrix as GPT-2 has them.
#[derive(Debug, Clone)]
pub enum QueryKeyValue {
    /// `q_proj`, `k_proj`, `v_proj`.
    Split(Box<[Linear; 3]>),
    /// `c_attn`.
    Fused(Box<Linear>),
}

/// One layer's attention.
#[derive(Debug, Clone)]
pub struct Attention {
    /// Projections in.
    pub qkv: QueryKeyValue,
    /// Norms on every query and key head (Qwen3).
    pub head_norms: Option<Box<[Norm; 2]>>,
    /// Projection out.
    pub output: Linear,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Multiplier of query·key.
    pub scale: f64,
    /// Latest positions attended to, if limited.
    pub window: Option<usize>,
}

/// What attention needs to know of the tokens, made once for all layers of a forward pass.
#[derive(Debug)]
pub enum Context {
    /// For the CPU's own operation.
    Fused(Arc<Sequences>),
    /// For burn's operations.
    Plain(Box<Plain>),
}

/// What the plain operations need.
#[derive(Debug)]
pub struct Plain {
    batch: usize,
    time: usize, // new tokens in a row
    rotary: Option<Rotary>,
    bias: Tensor<5>,                   // [batch, 1, 1, time, keys]
    windowed: Vec<(usize, Tensor<5>)>, // the same for each window in use
}

impl Context {
    /// For the CPU's own operation, over whole rows without pads.
    pub fn fused(frequencies: &[f64], tokens: &PackedTokens) -> Self {
        let rotates = !frequencies.is_empty();
        Self::Fused(Arc::new(Sequences {
            starts: tokens.starts.clone(),
            angles: rotates.then(|| angles(frequencies, &tokens.positions)),
        }))
    }

    /// `keys` says for each row which of the key slots hold real tokens; the new tokens are the slots from `start` on.
    pub fn plain(
        config: &DecoderConfig,
        keys: &TokenBatch,
        start: usize,
        rotary: Option<Rotary>,
        device: &Device,
    ) -> Self {
        let time = keys.time - start;
        let bias = |window| bias(keys, start, window, device);
        let mut windows: Vec<usize> = config.sliding_windows.iter().copied().flatten().collect();
        windows.sort_unstable();
        windows.dedup();
        windows.retain(|&w| w < keys.time); // a window as long as the row limits nothing
        let windowed = windows.into_iter().map(|w| (w, bias(Some(w)))).collect();
        Self::Plain(Box::new(Plain {
            batch: keys.batch,
            time,
            rotary,
            bias: bias(None),
            windowed,
        }))
    }
}

impl Plain {
    fn bias(&self, window: Option<usize>) -> Tensor<5> {
        let limited = self.windowed.iter().find(|(w, _)| Some(*w) == window);
        limited.map_or(&self.bias, |(_, bias)| bias).clone()
    }
}

fn bias(keys: &TokenBatch, start: usize, window: Option<usize>, device: &Device) -> Tensor<5> {
    let (slots, time) = (keys.time, keys.time - start);
    let mut values = Vec::with_capacity(keys.batch * time * slots);
    for row in keys.mask.chunks(slots.max(1)) {
        for query in start..slots {
            let oldest = window.map_or(0, |w| (query + 1).saturating_sub(w));
            let seen = |key: usize| key <= query && key >= oldest && row[key];
            values.extend((0..slots).map(|key| if seen(key) { 0.0 } else { MASKED }));
        }
    }
    Tensor::<1>::from_floats(values.as_slice(), device).reshape([keys.batch, 1, 1, time, slots])
}

/// Keys and values of one layer, `[batch, kv_heads, capacity, head_dim]`.
#[derive(Debug)]
pub struct LayerCache {
    keys: Option<Tensor<4>>,
    values: Option<Tensor<4>>,
}

impl LayerCache {
    fn new(shape: [usize; 4], device: &Device) -> Self {
        Self {
            keys: Some(Tensor::zeros(shape, device)),
            values: Some(Tensor::zeros(shape, device)),
        }
    }

    /// Writes new keys and values at slot `start` and returns all up to the last written.
    fn extend(
        &mut self,
        start: usize,
        keys: Tensor<4>,
        values: Tensor<4>,
    ) -> (Tensor<4>, Tensor<4>) {
        (
            write(&mut self.keys, start, keys),
            write(&mut self.values, start, values),
        )
    }

    /// Copies the first `time` slots of the given rows to new tensors with `capacity` slots.
    fn keep_rows(&mut self, rows: &Tensor<1, Int>, time: usize, capacity: usize) {
        for store in [&mut self.keys, &mut self.values] {
            let Some(whole) = store.take() else { continue };
            let used = whole.narrow(2, 0, time).select(0, rows.clone());
            let [batch, heads, _, width] = used.dims();
            *store = Some(Tensor::zeros(
                [batch, heads, capacity, width],
                &used.device(),
            ));
            let _ = write(store, 0, used);
        }
    }
}

/// The tensor is taken out while it is written, so that it has one owner and is changed in place.
fn write(store: &mut Option<Tensor<4>>, start: usize, new: Tensor<4>) -> Tensor<4> {
    let [batch, heads, time, width] = new.dims();
    let Some(whole) = store.take() else {
        return new;
    };
    let whole = whole.slice_assign([0..batch, 0..heads, start..start + time, 0..width], new);
    let seen = whole.clone().narrow(2, 0, start + time);
    *store = Some(whole);
    seen
}

/// Keys and values of all layers, and which slots hold real tokens.
#[derive(Debug)]
pub struct KvCache {
    /// One for each layer.
    pub layers: Vec<LayerCache>,
    /// The tokens so far, left-padded: slot `i` of a row is column `i`.
    pub tokens: TokenBatch,
    capacity: usize,
}

impl KvCache {
    /// Room for `batch` rows of `capacity` tokens.
    pub fn new(config: &DecoderConfig, batch: usize, capacity: usize, device: &Device) -> Self {
        let shape = [batch, config.num_key_value_heads, capacity, config.head_dim];
        let layers = (0..config.num_hidden_layers)
            .map(|_| LayerCache::new(shape, device))
            .collect();
        let tokens = TokenBatch {
            ids: Vec::new(),
            mask: Vec::new(),
            batch,
            time: 0,
        };
        Self {
            layers,
            tokens,
            capacity,
        }
    }

    /// Appends new columns to every row's tokens and returns the slot at which they start.
    ///
    /// # Panics
    /// If the rows differ in number or the capacity is exceeded.
    pub fn append(&mut self, new: &TokenBatch) -> usize {
        let start = self.tokens.time;
        assert_eq!(new.batch, self.tokens.batch, "the cache holds other rows");
        assert!(start + new.time <= self.capacity, "the cache is full");
        let mut joined = TokenBatch {
            ids: Vec::new(),
            mask: Vec::new(),
            batch: new.batch,
            time: start + new.time,
        };
        for row in 0..new.batch {
            joined
                .ids
                .extend(&self.tokens.ids[row * start..(row + 1) * start]);
            joined
                .ids
                .extend(&new.ids[row * new.time..(row + 1) * new.time]);
            joined
                .mask
                .extend(&self.tokens.mask[row * start..(row + 1) * start]);
            joined
                .mask
                .extend(&new.mask[row * new.time..(row + 1) * new.time]);
        }
        self.tokens = joined;
        start
    }

    /// Makes `rows` the cache's rows, with room for `capacity` tokens: finished rows leave the batch, a prompt's row becomes
    /// those of its samples. The one place where the cache is copied.
    ///
    /// # Panics
    /// If the tokens so far exceed the capacity.
    pub fn keep_rows(&mut self, rows: &[usize], capacity: usize, device: &Device) {
        let time = self.tokens.time;
        assert!(time <= capacity, "the cache is full");
        self.capacity = capacity;
        let index = super::tokens::indices(rows.iter().copied(), device);
        for layer in &mut self.layers {
            layer.keep_rows(&index, time, capacity);
        }
        let pick = |row: &usize| row * time..(row + 1) * time;
        let ids = |row| self.tokens.ids[pick(row)].iter().copied();
        let mask = |row| self.tokens.mask[pick(row)].iter().copied();
        self.tokens = TokenBatch {
            ids: rows.iter().flat_map(ids).collect(),
            mask: rows.iter().flat_map(mask).collect(),
            batch: rows.len(),
            time,
        };
    }
}

/// Softmax over the last axis, in the operations that autodiff makes of it: a backend's fused one rounds differently with
/// and without gradients, and PPO's first ratio would not be 1.
fn unfused_softmax(x: Tensor<5>) -> Tensor<5> {
    let exponentials = (x.clone() - x.detach().max_dim(4)).exp();
    exponentials.clone() / exponentials.sum_dim(4)
}

impl Attention {
    /// Attends from the new tokens to all real tokens before them.
    ///
    /// # Shapes
    /// `x`: `[tokens, hidden]`; result the same.
    pub fn forward(
        &self,
        x: Tensor<2>,
        context: &Context,
        cache: Option<(&mut LayerCache, usize)>,
    ) -> Tensor<2> {
        let projected = self.project(x);
        let mixed = match context {
            Context::Fused(sequences) => {
                let heads = Heads {
                    queries: self.heads,
                    keys: self.kv_heads,
                    scale: self.scale as f32,
                    window: self.window,
                };
                fused::attention(projected, sequences, heads)
            }
            Context::Plain(plain) => self.attend(projected, plain, cache),
        };
        self.output.forward(mixed)
    }

    /// Attention in burn's operations.
    fn attend(
        &self,
        [query, key, value]: [Tensor<2>; 3],
        plain: &Plain,
        cache: Option<(&mut LayerCache, usize)>,
    ) -> Tensor<2> {
        let (batch, time) = (plain.batch, plain.time);
        let apart = |x: Tensor<2>, heads: usize| {
            let width = x.dims()[1] / heads;
            x.reshape([batch, time, heads, width]).swap_dims(1, 2)
        };
        let query = apart(query, self.heads);
        let [key, value] = [key, value].map(|x| apart(x, self.kv_heads));
        let rotate = |x: Tensor<4>| match &plain.rotary {
            Some(rotary) => rotary.apply(x),
            None => x,
        };
        let query = rotate(query).mul_scalar(self.scale);
        let key = rotate(key);
        let decoding = cache.is_some();
        let (key, value) = match cache {
            Some((cache, start)) => cache.extend(start, key, value),
            None => (key, value),
        };
        let [_, _, slots, width] = key.dims();
        let group = self.heads / self.kv_heads;
        let folded = [batch, self.kv_heads, group * time, width];
        let scores = query.reshape(folded).matmul(key.transpose());
        let scores =
            scores.reshape([batch, self.kv_heads, group, time, slots]) + plain.bias(self.window);
        let weights = if decoding {
            softmax(scores, 4)
        } else {
            unfused_softmax(scores)
        };
        let weights = weights.reshape([batch, self.kv_heads, group * time, slots]);
        let mixed = weights
            .matmul(value)
            .reshape([batch, self.heads, time, width]);
        mixed
            .swap_dims(1, 2)
            .reshape([batch * time, self.heads * width])
    }

    /// Queries, keys and values, `[tokens, heads · head_dim]` each.
    fn project(&self, x: Tensor<2>) -> [Tensor<2>; 3] {
        let [query, key, value] = match &self.qkv {
            QueryKeyValue::Split(projections) => {
                let [q, k, v] = projections.as_ref();
                [q.forward(x.clone()), k.forward(x.clone()), v.forward(x)]
            }
            QueryKeyValue::Fused(projection) => {
                let all = projection.forward(x);
                let width = all.dims()[1] / 3;
                [0, 1, 2].map(|i| all.clone().narrow(1, i * width, width))
            }
        };
        let Some([query_norm, key_norm]) = self.head_norms.as_deref() else {
            return [query, key, value];
        };
        let normalised = |x: Tensor<2>, heads: usize, norm: &Norm| {
            let [rows, columns] = x.dims();
            let heads = norm.forward(x.reshape([rows * heads, columns / heads]));
            heads.reshape([rows, columns])
        };
        [
            normalised(query, self.heads, query_norm),
            normalised(key, self.kv_heads, key_norm),
            value,
        ]
    }

    /// Every projection, for adapters.
    pub fn linears(&self) -> impl Iterator<Item = &Linear> {
        let into: &[Linear] = match &self.qkv {
            QueryKeyValue::Split(projections) => projections.as_slice(),
            QueryKeyValue::Fused(projection) => slice::from_ref(projection),
        };
        into.iter().chain([&self.output])
    }

    /// The same, to be changed.
    pub fn projections(&mut self) -> Vec<&mut Linear> {
        let mut all: Vec<&mut Linear> = match &mut self.qkv {
            QueryKeyValue::Split(projections) => projections.iter_mut().collect(),
            QueryKeyValue::Fused(projection) => vec![projection],
        };
        all.push(&mut self.output);
        all
    }

    /// Shows every tensor.
    pub fn visit(&mut self, trained: bool, visitor: &mut impl Visitor) {
        for projection in self.projections() {
            projection.visit(trained, visitor);
        }
        for norm in self
            .head_norms
            .iter_mut()
            .flat_map(|norms| norms.iter_mut())
        {
            norm.visit(trained, visitor);
        }
    }
}

#[cfg(test)]
mod tests;
