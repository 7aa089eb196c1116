//! The heads of a layer in a forward pass: normed, rotated, kept in the cache, and what the queries see there.

use std::ops::Range;

use super::forward::{Pass, Token, normalise, span};
use super::weights::{Layer, Normalisation};
use crate::kernels::{Member, Shared, attend, rotate};

// SAFETY of every block below: a part is written by the member whose head it is, or whose row of that head, and read by others only after a wait;
// `Member::share` does not overlap.
#[allow(unsafe_code)]
impl Pass<'_> {
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
    pub(super) fn heads(
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
