//! Rotation of queries and keys and causal attention, from projection to projection.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::{Rule, Values, apply};
use crate::kernels::{Attended, Causal, CausalGradients, WIDTH, rotate};

/// The tokens of a forward pass.
#[derive(Debug)]
pub struct Sequences {
    /// Rows.
    pub batch: usize,
    /// Tokens in a row.
    pub time: usize,
    /// `[batch · time]`: which tokens may be attended to.
    pub real: Vec<bool>,
    /// Cosines and sines of every token's angles, `[batch · time, head_dim / 2]`, for models that rotate.
    pub angles: Option<[Vec<f32>; 2]>,
}

/// A layer's heads.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    /// Of queries.
    pub queries: usize,
    /// Of keys and values.
    pub keys: usize,
    /// Multiplier of query·key.
    pub scale: f32,
    /// Latest positions attended to, if limited.
    pub window: Option<usize>,
}

/// softmax(s·rotate(q)·rotate(k)ᵀ)·v over the positions each token sees.
///
/// # Shapes
/// `query` and the result: `[batch · time, heads · head_dim]`; `key`, `value`: `[batch · time, kv_heads · head_dim]`.
pub fn attention(
    [query, key, value]: [Tensor<2>; 3],
    sequences: &Arc<Sequences>,
    heads: Heads,
) -> Tensor<2> {
    let [rows, columns] = query.dims();
    let layer = Layer {
        sequences: Arc::clone(sequences),
        heads,
        width: columns / heads.queries,
    };
    let inputs = [query.into(), key.into(), value.into()];
    apply(inputs, |inputs| {
        let (out, log_normalisers) = layer.forward(&inputs);
        let out = Values::new(out, &[rows, columns]);
        let rule = AttentionRule {
            layer,
            inputs,
            out: out.clone(),
            log_normalisers: Arc::new(log_normalisers),
        };
        (out, rule)
    })
}

#[derive(Debug, Clone)]
struct Layer {
    sequences: Arc<Sequences>,
    heads: Heads,
    width: usize,
}

#[derive(Debug, Clone)]
struct AttentionRule {
    layer: Layer,
    inputs: [Values; 3],
    out: Values,
    log_normalisers: Arc<Vec<f32>>, // [batch, heads, time]
}

impl Layer {
    fn forward(&self, [query, key, value]: &[Values; 3]) -> (Vec<f32>, Vec<f32>) {
        let (time, heads) = (self.sequences.time, self.heads.queries);
        let mut out = vec![0.0; query.as_slice().len()];
        let mut log_normalisers = vec![0.0; self.sequences.batch * heads * time];
        let mut attended = vec![0.0; time * self.width];
        for (row, key_head) in self.key_heads() {
            let keys = self.rotated(key, self.heads.keys, row, key_head, 1.0);
            let values = self.taken(value, self.heads.keys, row, key_head);
            let causal = self.causal(&keys, &values, row);
            for head in self.group(key_head) {
                let queries = self.rotated(query, heads, row, head, self.heads.scale);
                let norms = &mut log_normalisers[(row * heads + head) * time..][..time];
                causal.forward(&queries, &mut attended, norms);
                self.put(&attended, &mut out, heads, row, head);
            }
        }
        (out, log_normalisers)
    }

    fn key_heads(&self) -> impl Iterator<Item = (usize, usize)> {
        let heads = self.heads.keys;
        (0..self.sequences.batch).flat_map(move |row| (0..heads).map(move |head| (row, head)))
    }

    fn group(&self, key_head: usize) -> std::ops::Range<usize> {
        let size = self.heads.queries / self.heads.keys;
        key_head * size..(key_head + 1) * size
    }

    fn causal(&self, keys: &[f32], values: &[f32], row: usize) -> Causal<'_> {
        let time = self.sequences.time;
        let real = &self.sequences.real[row * time..][..time];
        Causal::new(keys, values, self.width, real, self.heads.window)
    }

    /// One head's vectors in one row, `[time, width]`.
    fn taken(&self, values: &Values, heads: usize, row: usize, head: usize) -> Vec<f32> {
        let mut taken = Vec::with_capacity(self.sequences.time * self.width);
        for token in self.tokens(row) {
            taken.extend(&values.as_slice()[(token * heads + head) * self.width..][..self.width]);
        }
        taken
    }

    /// The reverse of [`Layer::taken`].
    fn put(&self, taken: &[f32], into: &mut [f32], heads: usize, row: usize, head: usize) {
        for (token, vector) in self.tokens(row).zip(taken.chunks(self.width)) {
            into[(token * heads + head) * self.width..][..self.width].copy_from_slice(vector);
        }
    }

    fn tokens(&self, row: usize) -> std::ops::Range<usize> {
        row * self.sequences.time..(row + 1) * self.sequences.time
    }

    fn rotated(&self, from: &Values, heads: usize, row: usize, head: usize, by: f32) -> Vec<f32> {
        let mut vectors = self.taken(from, heads, row, head);
        if let Some([cos, sin]) = &self.sequences.angles {
            let half = self.width / 2;
            for (token, vector) in self.tokens(row).zip(vectors.chunks_mut(self.width)) {
                rotate(
                    vector,
                    &cos[token * half..][..half],
                    &sin[token * half..][..half],
                );
            }
        }
        scale(&mut vectors, by);
        vectors
    }

    /// Rotates gradients of rotated vectors back, times `by`.
    fn unrotate(&self, vectors: &mut [f32], row: usize, by: f32) {
        let half = self.width / 2;
        if let Some([cos, sin]) = &self.sequences.angles {
            for (token, vector) in self.tokens(row).zip(vectors.chunks_mut(self.width)) {
                let sin: Vec<f32> = sin[token * half..][..half].iter().map(|s| -s).collect();
                rotate(vector, &cos[token * half..][..half], &sin);
            }
        }
        scale(vectors, by);
    }
}

fn scale(values: &mut [f32], by: f32) {
    for value in values {
        *value *= by;
    }
}

impl Rule<3> for AttentionRule {
    fn gradients(&self, dy: Values, _: [bool; 3]) -> [Option<Values>; 3] {
        let layer = &self.layer;
        let (time, width, heads) = (layer.sequences.time, layer.width, layer.heads.queries);
        let [query, key, value] = &self.inputs;
        let mut gradients = [query, key, value].map(|v| vec![0.0; v.as_slice().len()]);
        let [dquery, dkey, dvalue] = &mut gradients;
        let padded = time.next_multiple_of(WIDTH) * width;
        let mut queries_gradient = vec![0.0; time * width];
        for (row, key_head) in layer.key_heads() {
            let keys = layer.rotated(key, layer.heads.keys, row, key_head, 1.0);
            let values = layer.taken(value, layer.heads.keys, row, key_head);
            let causal = layer.causal(&keys, &values, row);
            let (mut dkeys, mut dvalues) = (vec![0.0; padded], vec![0.0; padded]);
            for head in layer.group(key_head) {
                let head_of = |values| layer.taken(values, heads, row, head);
                let attended = Attended {
                    queries: &layer.rotated(query, heads, row, head, layer.heads.scale),
                    out: &head_of(&self.out),
                    out_gradient: &head_of(&dy),
                    log_normalisers: &self.log_normalisers[(row * heads + head) * time..][..time],
                };
                let mut into = CausalGradients {
                    queries: &mut queries_gradient,
                    keys: &mut dkeys,
                    values: &mut dvalues,
                };
                causal.backward(attended, &mut into);
                layer.unrotate(&mut queries_gradient, row, layer.heads.scale);
                layer.put(&queries_gradient, dquery, heads, row, head);
            }
            layer.unrotate(&mut dkeys[..time * width], row, 1.0);
            layer.put(
                &dkeys[..time * width],
                dkey,
                layer.heads.keys,
                row,
                key_head,
            );
            layer.put(
                &dvalues[..time * width],
                dvalue,
                layer.heads.keys,
                row,
                key_head,
            );
        }
        let rows = layer.sequences.batch * time;
        gradients.map(|values| {
            let columns = values.len() / rows;
            Some(Values::new(values, &[rows, columns]))
        })
    }
}
