//! One forward pass over new tokens of any rows, by a team of threads.
//!
//! Where there are rows enough for all, each member takes rows of its own through the whole network, and nothing is handed from core to core.
//! Fewer rows would wait for memory if every member read all weights, so then all members go through the network side by side: in each part
//! of a layer every member writes numbers of its own, whole rows or heads or the columns of some panels, and all wait for each other before
//! anybody else reads them.

use std::ops::Range;

use super::activation::activate;
use super::cache::SharedCache;
use super::weights::{Layer, Normalisation, Projection, Weights};
use crate::kernels::{
    Member, Mode, Shared, WIDTH, attend, layer_norm, matmul, matmul_part, rms_norm, rotate,
};

/// A token to run through the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub id: u32,
    pub slot: usize,
    pub position: usize,
}

/// Room for the numbers between layers, made once.
#[derive(Debug)]
pub(super) struct Workspace {
    x: Vec<f32>,
    normed: Vec<f32>,
    /// One for each of a layer's projections in.
    inputs: Vec<Vec<f32>>,
    attended: Vec<f32>,
    inner: Vec<Vec<f32>>,
    /// One for each projection that may come before a wait.
    adapted: Vec<Vec<f32>>,
    cos: Vec<f32>,
    sin: Vec<f32>,
    /// Of the wanted tokens, after the final norm.
    pub states: Vec<f32>,
    pub logits: Vec<f32>,
}

impl Workspace {
    /// For `rows` tokens at a time, of which `wanted` need logits, at positions below `capacity`.
    pub(super) fn new(weights: &Weights, rows: usize, wanted: usize, capacity: usize) -> Self {
        let widest = |of: fn(&Layer) -> &[Projection]| -> Vec<Vec<f32>> {
            let count = weights.layers.iter().map(|layer| of(layer).len()).max();
            let width = |index: usize| {
                let outputs = |layer: &Layer| of(layer).get(index).map(|p| p.base.outputs());
                weights.layers.iter().filter_map(outputs).max().unwrap_or(0)
            };
            let room = |index| vec![0.0; rows * width(index)];
            (0..count.unwrap_or(0)).map(room).collect()
        };
        let angles = || {
            let of = |position: usize| weights.frequencies.iter().map(move |f| position as f64 * f);
            (0..capacity).flat_map(of)
        };
        let heads = weights
            .layers
            .iter()
            .map(|l| l.shape.queries * l.shape.width);
        Self {
            x: vec![0.0; rows * weights.hidden],
            normed: vec![0.0; rows * weights.hidden],
            inputs: widest(|layer| &layer.inputs),
            attended: vec![0.0; rows * heads.max().unwrap_or(0)],
            inner: widest(|layer| &layer.inner),
            adapted: vec![vec![0.0; rows * weights.widest_adapter()]; 3],
            cos: angles().map(|angle| angle.cos() as f32).collect(),
            sin: angles().map(|angle| angle.sin() as f32).collect(),
            states: vec![0.0; wanted * weights.hidden],
            logits: vec![0.0; wanted * weights.vocabulary],
        }
    }

    /// What the members of a team work on.
    pub(super) fn pass<'a>(
        &'a mut self,
        weights: &'a Weights,
        cache: SharedCache<'a>,
        tokens: &'a [Token],
        wanted: &'a [usize],
    ) -> Pass<'a> {
        Pass {
            weights,
            cache,
            tokens,
            wanted,
            first: 0,
            room: self.x.len() / weights.hidden,
            x: Shared::new(&mut self.x),
            normed: Shared::new(&mut self.normed),
            inputs: self
                .inputs
                .iter_mut()
                .map(|buffer| Shared::new(buffer))
                .collect(),
            attended: Shared::new(&mut self.attended),
            inner: self
                .inner
                .iter_mut()
                .map(|buffer| Shared::new(buffer))
                .collect(),
            adapted: self
                .adapted
                .iter_mut()
                .map(|buffer| Shared::new(buffer))
                .collect(),
            cos: &self.cos,
            sin: &self.sin,
            states: Shared::new(&mut self.states),
            logits: Shared::new(&mut self.logits),
        }
    }
}

/// One forward pass.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    pub(super) weights: &'a Weights,
    pub(super) cache: SharedCache<'a>,
    /// Those of a slot stand together, in the order of their positions.
    pub(super) tokens: &'a [Token],
    /// Tokens after which logits are wanted.
    /// Counted from the first token of all.
    pub(super) wanted: &'a [usize],
    /// The number of this pass's first token among all.
    pub(super) first: usize,
    /// Tokens for which the buffers have room.
    pub(super) room: usize,
    pub(super) x: Shared<'a>,
    pub(super) normed: Shared<'a>,
    pub(super) inputs: Vec<Shared<'a>>,
    pub(super) attended: Shared<'a>,
    pub(super) inner: Vec<Shared<'a>>,
    pub(super) adapted: Vec<Shared<'a>>,
    pub(super) cos: &'a [f32],
    pub(super) sin: &'a [f32],
    /// Hidden states of the wanted tokens.
    pub(super) states: Shared<'a>,
    pub(super) logits: Shared<'a>,
}

// SAFETY of every block below: a part is written by the member whose row, head or panel it is, and read by others only after a wait;
// `Member::share` and the panels' columns don't overlap.
#[allow(unsafe_code)]
impl Pass<'_> {
    /// What one member does. When all have returned, the logits are in the workspace.
    pub(super) fn run(&self, member: Member<'_>) {
        match self.own_rows(member) {
            Some(rows) => self.of_rows(rows).through(member.alone()),
            None => self.through(member),
        }
    }

    /// One member's share of all rows' way through the network.
    fn through(&self, member: Member<'_>) {
        for row in member.share(self.tokens.len()) {
            self.embed(row);
        }
        let (runs, mut scratch) = (runs(self.tokens), Vec::new());
        for (index, layer) in self.weights.layers.iter().enumerate() {
            self.normalise(member, &layer.attention_norm, &layer.inputs);
            member.wait();
            for (which, projection) in layer.inputs.iter().enumerate() {
                let (into, adapted) = (self.inputs[which], self.adapted[which]);
                self.project(member, projection, self.normed, adapted, into, Mode::Set);
            }
            member.wait();
            self.heads(member, (index, layer), &runs, &mut scratch);
            member.wait();
            self.add(member, &layer.output, self.attended);
            member.wait();
            self.normalise(member, &layer.mlp_norm, &layer.inner);
            member.wait();
            self.feed(member, layer);
            member.wait();
            self.add(member, &layer.outer, self.inner[0]);
            member.wait();
        }
        self.head(member);
    }

    fn embed(&self, row: usize) {
        let (token, width) = (self.tokens[row], self.weights.hidden);
        let x = unsafe { self.x.part(span(row, width)) };
        self.weights.embedding.row(token.id as usize, x);
        if let Some(positions) = &self.weights.positions {
            let position = &positions[span(token.position, width)];
            x.iter_mut().zip(position).for_each(|(x, p)| *x += p);
        }
    }

    /// Normalises this member's rows, and takes them through the first half of the adapters that read them.
    fn normalise(&self, member: Member<'_>, norm: &Normalisation, readers: &[Projection]) {
        let (rows, width) = (member.share(self.tokens.len()), self.weights.hidden);
        for row in rows.clone() {
            let (x, y) = unsafe {
                (
                    self.x.seen(span(row, width)),
                    self.normed.part(span(row, width)),
                )
            };
            normalise(norm, x, y);
        }
        for (projection, adapted) in readers.iter().zip(&self.adapted) {
            Self::narrow(rows.clone(), projection, self.normed, *adapted);
        }
    }

    /// adapted = xA of some rows.
    fn narrow(rows: Range<usize>, projection: &Projection, x: Shared<'_>, adapted: Shared<'_>) {
        if let Some(adapter) = &projection.adapter {
            let (inputs, rank) = (adapter.a.inputs(), adapter.a.outputs());
            let x = unsafe { x.seen(spans(&rows, inputs)) };
            let y = unsafe { adapted.part(spans(&rows, rank)) };
            matmul(x, &adapter.a, y, Mode::Set);
        }
    }

    /// This member's columns of a projection.
    fn project(
        &self,
        member: Member<'_>,
        projection: &Projection,
        x: Shared<'_>,
        adapted: Shared<'_>,
        y: Shared<'_>,
        mode: Mode,
    ) {
        let (rows, base) = (self.tokens.len(), &projection.base);
        let panels = member.share(base.count());
        let x = unsafe { x.seen(0..rows * base.inputs()) };
        let beside = projection.adapter.as_ref().map(|adapter| {
            let adapted = unsafe { adapted.seen(0..rows * adapter.b.inputs()) };
            (adapted, &adapter.b)
        });
        let precision = projection.precision;
        unsafe { matmul_part(x, base, precision, beside, panels.clone(), &y, mode) };
        if let Some(bias) = &projection.bias {
            let columns = columns(&panels, base.outputs());
            for row in 0..rows {
                let start = row * base.outputs();
                let y = unsafe { y.part(start + columns.start..start + columns.end) };
                let bias = &bias[columns.clone()];
                y.iter_mut().zip(bias).for_each(|(y, b)| *y += b);
            }
        }
    }

    /// x += the projection of `from`, of which a member has rows first if an adapter reads them.
    fn add(&self, member: Member<'_>, projection: &Projection, from: Shared<'_>) {
        if projection.adapter.is_some() {
            let rows = member.share(self.tokens.len());
            Self::narrow(rows, projection, from, self.adapted[0]);
            member.wait();
        }
        self.project(member, projection, from, self.adapted[0], self.x, Mode::Add);
    }

    /// Queries, keys and values: in one buffer or three.
    fn parts(&self, layer: &Layer) -> [HeadRows<'_>; 3] {
        let shape = layer.shape;
        let (queries, keys) = (shape.queries * shape.width, shape.keys * shape.width);
        let rows = |buffer, stride, start| HeadRows {
            buffer,
            stride,
            start,
            width: shape.width,
        };
        match self.inputs.as_slice() {
            &[q, k, v] => [rows(q, queries, 0), rows(k, keys, 0), rows(v, keys, 0)],
            buffers => {
                let (all, stride) = (buffers[0], queries + 2 * keys);
                [0, queries, queries + keys].map(|start| rows(all, stride, start))
            }
        }
    }

    /// Keys and values kept, and what the queries see in them. A slot's tokens of one head are one member's until they are kept, since they share
    /// cache lines. Where nothing is gained by sharing them afterwards, they stay with it, and in its caches.
    fn heads(
        &self,
        member: Member<'_>,
        layer: (usize, &Layer),
        runs: &[Range<usize>],
        scratch: &mut Vec<f32>,
    ) {
        let heads = layer.1.shape.keys;
        let mine = member.share(runs.len() * heads);
        let mine = mine.map(|item| (runs[item / heads].clone(), item % heads));
        if member.count == 1 || runs.len() == self.tokens.len() {
            for (run, head) in mine {
                self.keep(layer, run.clone(), head, scratch);
                for row in run {
                    self.attend(layer, row, head, scratch);
                }
            }
            return;
        }
        for (run, head) in mine {
            self.keep(layer, run, head, scratch);
        }
        member.wait();
        for item in member.share(self.tokens.len() * heads) {
            self.attend(layer, item / heads, item % heads, scratch);
        }
    }

    /// Norms and rotates a slot's heads, those that belong to one key head, and keeps their keys and values.
    fn keep(
        &self,
        (index, layer): (usize, &Layer),
        run: Range<usize>,
        head: usize,
        scratch: &mut Vec<f32>,
    ) {
        let shape = layer.shape;
        let [queries, keys, values] = self.parts(layer);
        let group = shape.queries / shape.keys;
        let slot = self.tokens[run.start].slot;
        let mut cache = unsafe { self.cache.head(index, slot, head) };
        for row in run {
            let position = self.tokens[row].position;
            let [query_norm, key_norm] = [0, 1].map(|i| Some(&layer.head_norms.as_ref()?[i]));
            for query in head * group..(head + 1) * group {
                let query = unsafe { queries.heads(row, query..query + 1) };
                self.place(query, query_norm, position, scratch);
                for number in query.iter_mut() {
                    *number *= shape.scale;
                }
            }
            let key = unsafe { keys.heads(row, head..head + 1) };
            self.place(key, key_norm, position, scratch);
            let value = unsafe { values.heads(row, head..head + 1) };
            cache.put(position, key, value);
        }
    }

    /// Norms and rotates one head.
    fn place(
        &self,
        head: &mut [f32],
        norm: Option<&Normalisation>,
        position: usize,
        scratch: &mut Vec<f32>,
    ) {
        if let Some(norm) = norm {
            scratch.clear();
            scratch.extend_from_slice(head);
            normalise(norm, scratch, head);
        }
        let half = self.weights.frequencies.len();
        if half > 0 {
            let angles = span(position, half);
            rotate(head, &self.cos[angles.clone()], &self.sin[angles]);
        }
    }

    /// What a token's queries that belong to one key head see.
    fn attend(
        &self,
        (index, layer): (usize, &Layer),
        row: usize,
        head: usize,
        scores: &mut Vec<f32>,
    ) {
        let shape = layer.shape;
        let [queries, ..] = self.parts(layer);
        let group = shape.queries / shape.keys;
        let width = group * shape.width;
        let Token { slot, position, .. } = self.tokens[row];
        let oldest = shape.window.map_or(0, |w| (position + 1).saturating_sub(w));
        let queries = unsafe { queries.heads(row, head * group..(head + 1) * group) };
        let cache = unsafe { self.cache.seen(index, slot, head) };
        let into = row * shape.queries * shape.width + head * width;
        let out = unsafe { self.attended.part(into..into + width) };
        attend(queries, &cache, oldest..position + 1, scores, out);
    }

    /// This member's columns of the inner layer, activated.
    fn feed(&self, member: Member<'_>, layer: &Layer) {
        for (which, projection) in layer.inner.iter().enumerate() {
            let (into, adapted) = (self.inner[which], self.adapted[which]);
            self.project(member, projection, self.normed, adapted, into, Mode::Set);
        }
        let Some(Projection { base, .. }) = layer.inner.first() else {
            return;
        };
        let width = base.outputs();
        let columns = columns(&member.share(base.count()), width);
        for row in 0..self.tokens.len() {
            let part = row * width + columns.start..row * width + columns.end;
            let gate = unsafe { self.inner[0].part(part.clone()) };
            let up = match layer.inner.len() {
                2 => Some(unsafe { self.inner[1].seen(part) }),
                _ => None,
            };
            activate(layer.activation, gate, up);
        }
    }

    /// Logits of the wanted tokens.
    fn head(&self, member: Member<'_>) {
        let width = self.weights.hidden;
        for index in member.share(self.wanted.len()) {
            let x = unsafe { self.x.seen(span(self.wanted[index] - self.first, width)) };
            let y = unsafe { self.states.part(span(index, width)) };
            normalise(&self.weights.final_norm, x, y);
        }
        member.wait();
        let (states, head) = (0..self.wanted.len() * width, &self.weights.head);
        let panels = member.share(head.count());
        unsafe {
            matmul_part(
                self.states.seen(states),
                head,
                self.weights.head_precision,
                None,
                panels,
                &self.logits,
                Mode::Set,
            );
        };
    }
}

/// Heads in the rows of a buffer.
#[derive(Clone, Copy)]
struct HeadRows<'a> {
    buffer: Shared<'a>,
    stride: usize,
    start: usize,
    width: usize,
}

impl<'a> HeadRows<'a> {
    /// Some heads of a row.
    ///
    /// # Safety
    /// They must be the caller's alone.
    #[allow(unsafe_code)]
    unsafe fn heads(&self, row: usize, heads: Range<usize>) -> &'a mut [f32] {
        let start = row * self.stride + self.start;
        // SAFETY: as the caller promises.
        unsafe {
            self.buffer
                .part(start + heads.start * self.width..start + heads.end * self.width)
        }
    }
}

fn normalise(norm: &Normalisation, x: &[f32], y: &mut [f32]) {
    match &norm.bias {
        Some(bias) => layer_norm(x, &norm.weight, bias, norm.epsilon, y),
        None => rms_norm(x, &norm.weight, norm.epsilon, y),
    }
}

/// Where each slot's tokens stand.
fn runs(tokens: &[Token]) -> Vec<Range<usize>> {
    let mut end = 0;
    let run = |run: &[Token]| {
        end += run.len();
        end - run.len()..end
    };
    tokens.chunk_by(|a, b| a.slot == b.slot).map(run).collect()
}

/// The columns of some panels.
fn columns(panels: &Range<usize>, outputs: usize) -> Range<usize> {
    (panels.start * WIDTH).min(outputs)..(panels.end * WIDTH).min(outputs)
}

fn span(row: usize, width: usize) -> Range<usize> {
    row * width..(row + 1) * width
}

pub(super) fn spans(rows: &Range<usize>, width: usize) -> Range<usize> {
    rows.start * width..rows.end * width
}
