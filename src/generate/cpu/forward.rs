//! One forward pass over new tokens of any rows, by a team of threads.
//!
//! Where there are rows enough for all, each member takes rows of its own through the whole network, and nothing is handed from core to core.
//! Fewer rows would wait for memory if every member read all weights, so then all members go through the network side by side: in each part
//! of a layer every member writes numbers of its own, whole rows or heads or the columns of some panels, and all wait for each other before
//! anybody else reads them.

use std::ops::Range;
use std::slice;

use super::activation::activate;
use super::cache::SharedCache;
use super::weights::{Layer, Normalisation, Projection, Weights};
use crate::kernels::{
    Member, Mode, Rows, Shared, WIDTH, layer_norm, matmul, matmul_part, rms_norm,
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
            self.project(member, &layer.inputs, self.normed, &self.inputs, Mode::Set);
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

    /// This member's columns of projections that read the same rows. The first halves of their adapters are in `adapted`, in the same order.
    fn project(
        &self,
        member: Member<'_>,
        projections: &[Projection],
        x: Shared<'_>,
        into: &[Shared<'_>],
        mode: Mode,
    ) {
        let Some(first) = projections.first() else {
            return;
        };
        let (rows, inputs) = (self.tokens.len(), first.base.inputs());
        let mut x = Rows::new(unsafe { x.seen(0..rows * inputs) }, inputs);
        for (which, projection) in projections.iter().enumerate() {
            let (base, y) = (&projection.base, &into[which]);
            let panels = member.share(base.count());
            let beside = projection.adapter.as_ref().map(|adapter| {
                let terms = 0..rows * adapter.b.inputs();
                (unsafe { self.adapted[which].seen(terms) }, &adapter.b)
            });
            let precision = projection.precision;
            unsafe { matmul_part(&mut x, base, precision, beside, panels.clone(), y, mode) };
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
    }

    /// x += the projection of `from`, of which a member has rows first if an adapter reads them.
    fn add(&self, member: Member<'_>, projection: &Projection, from: Shared<'_>) {
        if projection.adapter.is_some() {
            let rows = member.share(self.tokens.len());
            Self::narrow(rows, projection, from, self.adapted[0]);
            member.wait();
        }
        let projections = slice::from_ref(projection);
        self.project(member, projections, from, &[self.x], Mode::Add);
    }

    /// This member's columns of the inner layer, activated.
    fn feed(&self, member: Member<'_>, layer: &Layer) {
        self.project(member, &layer.inner, self.normed, &self.inner, Mode::Set);
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
                &mut Rows::new(self.states.seen(states), width),
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

pub(super) fn normalise(norm: &Normalisation, x: &[f32], y: &mut [f32]) {
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

pub(super) fn span(row: usize, width: usize) -> Range<usize> {
    row * width..(row + 1) * width
}

pub(super) fn spans(rows: &Range<usize>, width: usize) -> Range<usize> {
    rows.start * width..rows.end * width
}
