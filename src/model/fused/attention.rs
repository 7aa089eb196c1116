//! Rotation of queries and keys and causal attention, from projection to projection.

use std::ops::Range;
use std::sync::Arc;

use burn::tensor::Tensor;

use super::{Rule, Values, apply};
use crate::kernels::{Attended, Causal, CausalGradients, WIDTH, rotate};

/// The tokens of a forward pass: rows of any length, one after the other.
#[derive(Debug)]
pub struct Sequences {
    /// Where each row starts, and where the last ends.
    pub starts: Vec<usize>,
    /// Cosines and sines of every token's angles, `[tokens, head_dim / 2]`, for models that rotate.
    pub angles: Option<[Vec<f32>; 2]>,
}

impl Sequences {
    fn count(&self) -> usize {
        self.starts.len() - 1
    }

    fn row(&self, row: usize) -> Range<usize> {
        self.starts[row]..self.starts[row + 1]
    }

    /// In the longest row.
    fn most_tokens(&self) -> usize {
        let lengths = self.starts.windows(2).map(|row| row[1] - row[0]);
        lengths.max().unwrap_or(0)
    }
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
/// `query` and the result: `[tokens, heads · head_dim]`; `key`, `value`: `[tokens, kv_heads · head_dim]`.
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
    log_normalisers: Arc<Vec<f32>>, // of each row [heads, tokens]
}

impl Layer {
    fn forward(&self, [query, key, value]: &[Values; 3]) -> (Vec<f32>, Vec<f32>) {
        let heads = self.heads.queries;
        let mut out = vec![0.0; query.as_slice().len()];
        let mut log_normalisers = vec![0.0; out.len() / self.width];
        let mut attended = vec![0.0; self.sequences.most_tokens() * self.width];
        for (row, key_head) in self.key_heads() {
            let keys = self.rotated(key, self.heads.keys, row, key_head, 1.0);
            let values = self.taken(value, self.heads.keys, row, key_head);
            let causal = Causal::new(&keys, &values, self.width, self.heads.window);
            for head in self.group(key_head) {
                let queries = self.rotated(query, heads, row, head, self.heads.scale);
                let attended = &mut attended[..queries.len()];
                let norms = &mut log_normalisers[self.normalisers(row, head)];
                causal.forward(&queries, attended, norms);
                self.put(attended, &mut out, heads, row, head);
            }
        }
        (out, log_normalisers)
    }

    fn key_heads(&self) -> impl Iterator<Item = (usize, usize)> {
        let heads = self.heads.keys;
        (0..self.sequences.count()).flat_map(move |row| (0..heads).map(move |head| (row, head)))
    }

    fn group(&self, key_head: usize) -> Range<usize> {
        let size = self.heads.queries / self.heads.keys;
        key_head * size..(key_head + 1) * size
    }

    /// Where the normalisers of one head in one row lie.
    fn normalisers(&self, row: usize, head: usize) -> Range<usize> {
        let tokens = self.sequences.row(row);
        let first = tokens.start * self.heads.queries + head * tokens.len();
        first..first + tokens.len()
    }

    /// One head's vectors in one row, `[tokens, width]`.
    fn taken(&self, values: &Values, heads: usize, row: usize, head: usize) -> Vec<f32> {
        let tokens = self.sequences.row(row);
        let mut taken = Vec::with_capacity(tokens.len() * self.width);
        for token in tokens {
            taken.extend(&values.as_slice()[(token * heads + head) * self.width..][..self.width]);
        }
        taken
    }

    /// The reverse of [`Layer::taken`].
    fn put(&self, taken: &[f32], into: &mut [f32], heads: usize, row: usize, head: usize) {
        for (token, vector) in self.sequences.row(row).zip(taken.chunks(self.width)) {
            into[(token * heads + head) * self.width..][..self.width].copy_from_slice(vector);
        }
    }

    fn rotated(&self, from: &Values, heads: usize, row: usize, head: usize, by: f32) -> Vec<f32> {
        let mut vectors = self.taken(from, heads, row, head);
        if let Some([cos, sin]) = &self.sequences.angles {
            let half = self.width / 2;
            for (token, vector) in self.sequences.row(row).zip(vectors.chunks_mut(self.width)) {
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
            for (token, vector) in self.sequences.row(row).zip(vectors.chunks_mut(self.width)) {
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
        let (width, heads) = (layer.width, layer.heads.queries);
        let [query, key, value] = &self.inputs;
        let mut gradients = [query, key, value].map(|v| vec![0.0; v.as_slice().len()]);
        let [dquery, dkey, dvalue] = &mut gradients;
        for (row, key_head) in layer.key_heads() {
            let time = layer.sequences.row(row).len();
            let padded = time.next_multiple_of(WIDTH) * width;
            let mut queries_gradient = vec![0.0; time * width];
            let keys = layer.rotated(key, layer.heads.keys, row, key_head, 1.0);
            let values = layer.taken(value, layer.heads.keys, row, key_head);
            let causal = Causal::new(&keys, &values, width, layer.heads.window);
            let (mut dkeys, mut dvalues) = (vec![0.0; padded], vec![0.0; padded]);
            for head in layer.group(key_head) {
                let head_of = |values| layer.taken(values, heads, row, head);
                let attended = Attended {
                    queries: &layer.rotated(query, heads, row, head, layer.heads.scale),
                    out: &head_of(&self.out),
                    out_gradient: &head_of(&dy),
                    log_normalisers: &self.log_normalisers[layer.normalisers(row, head)],
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
        let tokens = layer.sequences.starts[layer.sequences.count()];
        gradients.map(|values| {
            let columns = values.len() / tokens;
            Some(Values::new(values, &[tokens, columns]))
        })
    }
}
