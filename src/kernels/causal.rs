//! Causal attention of whole sequences with its gradients, for training.
//!
//! Vaswani et al. 2017, eq. 1. Queries are taken some at a time, so scores never exist for more than those; the backward pass
//! computes them again from the logarithm of each softmax's normaliser (Dao et al. 2022, arXiv:2205.14135, algorithm 4).

use std::ops::Range;

use super::arithmetic::Singles;
use super::exp::exp;
use super::factors::Packed;
use super::grid::{Grid, Mode, Out};
use super::isa::{Isa, Work, dispatch};
use super::lanes::Full;
use super::panels::WIDTH;
use super::pointwise::sum;

/// Queries whose scores exist at the same time.
const QUERIES: usize = 32;

/// Keys and values of one key head in one sequence, laid out for every product of attention.
#[derive(Debug)]
pub struct Causal {
    width: usize,
    time: usize,
    window: Option<usize>,
    keys: Both,
    values: Both,
}

/// Vectors of all positions in panels of sixteen positions, and in panels of sixteen dimensions.
#[derive(Debug)]
struct Both {
    across: Vec<Full>,
    along: Vec<Full>,
}

/// What the backward pass reads of a query head, `[time, width]` each but for the normalisers, `[time]`.
#[derive(Debug, Clone, Copy)]
pub struct Attended<'a> {
    /// Queries, with the scale in them.
    pub queries: &'a [f32],
    /// The result of attention.
    pub out: &'a [f32],
    /// Its gradient.
    pub out_gradient: &'a [f32],
    /// From [`Causal::forward`].
    pub log_normalisers: &'a [f32],
}

/// Where the gradients go: set for the queries, added to for keys and values.
#[derive(Debug)]
pub struct CausalGradients<'a> {
    /// `[time, width]`.
    pub queries: &'a mut [f32],
    /// `[time, width]` up to a multiple of sixteen positions.
    pub keys: &'a mut [f32],
    /// As the keys'.
    pub values: &'a mut [f32],
}

impl Causal {
    /// Every position attends to itself and those before it, or to the latest `window` of them.
    ///
    /// # Shapes
    /// `keys`, `values`: `[time, width]`.
    ///
    /// # Panics
    /// If the shapes do not agree.
    pub fn new(keys: &[f32], values: &[f32], width: usize, window: Option<usize>) -> Self {
        let time = keys.len() / width;
        assert!(keys.len() == time * width && values.len() == keys.len());
        let both = |vectors| Both {
            across: across(vectors, width),
            along: along(vectors, width),
        };
        Self {
            width,
            time,
            window,
            keys: both(keys),
            values: both(values),
        }
    }

    /// Attention of one query head.
    ///
    /// # Shapes
    /// `queries`, `out`: `[time, width]`; `log_normalisers`: `[time]`.
    ///
    /// # Panics
    /// If the shapes do not agree.
    pub fn forward(&self, queries: &[f32], out: &mut [f32], log_normalisers: &mut [f32]) {
        let mut scores = Vec::new();
        for block in self.blocks() {
            let (at, keys) = (self.numbers(&block), self.keys_of(&block));
            self.scores(&queries[at.clone()], &self.keys, &keys, &mut scores);
            for (query, row) in block.clone().zip(scores.chunks_mut(keys.len())) {
                self.mask(query, keys.start, row);
                dispatch(Softmax {
                    row,
                    log_normaliser: &mut log_normalisers[query],
                });
            }
            self.mixed(&scores, &self.values, &keys, &mut out[at]);
        }
    }

    /// The gradients of one query head.
    ///
    /// ∂V = Pᵀ∂O;  ∂S = P ∘ (∂O·Vᵀ − rowsum(∂O ∘ O));  ∂Q = ∂S·K;  ∂K = ∂Sᵀ·Q.
    ///
    /// # Panics
    /// If the shapes do not agree.
    pub fn backward(&self, head: Attended<'_>, into: &mut CausalGradients<'_>) {
        let (mut weights, mut slopes) = (Vec::new(), Vec::new());
        for block in self.blocks() {
            let (at, keys) = (self.numbers(&block), self.keys_of(&block));
            let (queries, gradient) = (&head.queries[at.clone()], &head.out_gradient[at.clone()]);
            self.scores(queries, &self.keys, &keys, &mut weights);
            self.scores(gradient, &self.values, &keys, &mut slopes);
            let rows = weights
                .chunks_mut(keys.len())
                .zip(slopes.chunks_mut(keys.len()));
            for (query, (weights, slopes)) in block.clone().zip(rows) {
                self.mask(query, keys.start, weights);
                let of = query * self.width..(query + 1) * self.width;
                dispatch(ScoreGradients {
                    weights,
                    slopes,
                    log_normaliser: head.log_normalisers[query],
                    out: &head.out[of.clone()],
                    gradient: &head.out_gradient[of],
                });
            }
            self.mixed(&slopes, &self.keys, &keys, &mut into.queries[at]);
            self.spread(&slopes, queries, &keys, into.keys);
            self.spread(&weights, gradient, &keys, into.values);
        }
    }

    fn blocks(&self) -> impl Iterator<Item = Range<usize>> {
        (0..self.time)
            .step_by(QUERIES)
            .map(|start| start..self.time.min(start + QUERIES))
    }

    /// Where the vectors of some positions lie.
    fn numbers(&self, positions: &Range<usize>) -> Range<usize> {
        positions.start * self.width..positions.end * self.width
    }

    /// The positions that any of some queries sees, in whole panels.
    fn keys_of(&self, queries: &Range<usize>) -> Range<usize> {
        let oldest = self.oldest(queries.start);
        oldest / WIDTH * WIDTH..queries.end.next_multiple_of(WIDTH)
    }

    fn oldest(&self, query: usize) -> usize {
        self.window
            .map_or(0, |window| (query + 1).saturating_sub(window))
    }

    /// x · (vectors at `keys`)ᵀ, `[rows, keys]`.
    fn scores(&self, x: &[f32], vectors: &Both, keys: &Range<usize>, into: &mut Vec<f32>) {
        into.clear();
        into.resize(x.len() / self.width * keys.len(), 0.0);
        let panels = keys.start / WIDTH..keys.end / WIDTH;
        dispatch(Grid {
            factors: Packed::<Singles> {
                x,
                steps: self.width,
                row_stride: self.width,
                panels: &vectors.across[panels.start * self.width..panels.end * self.width],
                stride: self.width,
            },
            then: None,
            rows: x.len() / self.width,
            count: panels.len(),
            first: 0,
            out: Out::rows(into, keys.len(), Mode::Set),
        });
    }

    /// weights · (vectors at `keys`), `[rows, width]`.
    fn mixed(&self, weights: &[f32], vectors: &Both, keys: &Range<usize>, into: &mut [f32]) {
        dispatch(Grid {
            factors: Packed::<Singles> {
                x: weights,
                steps: keys.len(),
                row_stride: keys.len(),
                panels: &vectors.along[keys.start..],
                stride: self.time.next_multiple_of(WIDTH),
            },
            then: None,
            rows: weights.len() / keys.len(),
            count: self.width.div_ceil(WIDTH),
            first: 0,
            out: Out::rows(into, self.width, Mode::Set),
        });
    }

    /// weightsᵀ · x, added to the vectors at `keys`.
    fn spread(&self, weights: &[f32], x: &[f32], keys: &Range<usize>, into: &mut [f32]) {
        let count = x.len() / self.width;
        let mut turned = Vec::with_capacity(weights.len());
        for key in 0..keys.len() {
            turned.extend((0..count).map(|row| weights[row * keys.len() + key]));
        }
        let panels = along(x, self.width);
        dispatch(Grid {
            factors: Packed::<Singles> {
                x: &turned,
                steps: count,
                row_stride: count,
                panels: &panels,
                stride: count.next_multiple_of(WIDTH),
            },
            then: None,
            rows: turned.len() / count,
            count: self.width.div_ceil(WIDTH),
            first: 0,
            out: Out::rows(&mut into[self.numbers(keys)], self.width, Mode::Add),
        });
    }

    /// Makes the scores of positions that `query` doesn't see −∞; the row's first score is of position `first`.
    fn mask(&self, query: usize, first: usize, row: &mut [f32]) {
        let oldest = self.oldest(query);
        row[..oldest - first].fill(f32::NEG_INFINITY);
        row[query + 1 - first..].fill(f32::NEG_INFINITY);
    }
}

/// Panels of sixteen positions: for each dimension the numbers of those positions.
fn across(vectors: &[f32], width: usize) -> Vec<Full> {
    let mut panels = vec![Full::ZERO; (vectors.len() / width).div_ceil(WIDTH) * width];
    for (position, vector) in vectors.chunks(width).enumerate() {
        let panel = &mut panels[position / WIDTH * width..][..width];
        for (lanes, value) in panel.iter_mut().zip(vector) {
            lanes.0[position % WIDTH] = *value;
        }
    }
    panels
}

/// Panels of sixteen dimensions: for each position its numbers, the positions up to a multiple of sixteen.
fn along(vectors: &[f32], width: usize) -> Vec<Full> {
    let capacity = (vectors.len() / width).next_multiple_of(WIDTH);
    let mut panels = vec![Full::ZERO; width.div_ceil(WIDTH) * capacity];
    for (position, vector) in vectors.chunks(width).enumerate() {
        for (panel, values) in vector.chunks(WIDTH).enumerate() {
            panels[panel * capacity + position].0[..values.len()].copy_from_slice(values);
        }
    }
    panels
}

struct Softmax<'a> {
    row: &'a mut [f32],
    log_normaliser: &'a mut f32,
}

impl Work for Softmax<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let max = self.row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for score in self.row.iter_mut() {
            *score = exp::<I>(*score - max);
        }
        let total = sum::<I>(self.row, |weight| weight);
        *self.log_normaliser = max + total.ln();
        let scale = total.recip();
        for weight in self.row {
            *weight *= scale;
        }
    }
}

/// Scores become weights, gradients of weights become gradients of scores.
struct ScoreGradients<'a> {
    weights: &'a mut [f32],
    slopes: &'a mut [f32],
    log_normaliser: f32,
    out: &'a [f32],
    gradient: &'a [f32],
}

impl Work for ScoreGradients<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let mut mean = 0.0;
        for (out, gradient) in self.out.iter().zip(self.gradient) {
            mean = I::fused(*out, *gradient, mean);
        }
        for (weight, slope) in self.weights.iter_mut().zip(self.slopes) {
            *weight = exp::<I>(*weight - self.log_normaliser);
            *slope = *weight * (*slope - mean);
        }
    }
}
