//! Attention of one token's query heads over the keys and values of one key head.

use std::ops::{Deref, DerefMut, Range};

use super::amx;
use super::arithmetic::Singles;
use super::exp::exp;
use super::factors::{Asking, Next, Packed};
use super::grid::{Grid, Mode, Out};
use super::isa::{Isa, Work, dispatch};
use super::lanes::Full;
use super::panels::WIDTH;
use super::pointwise::sum;
use super::tile::{Factors, NARROW, WIDE};

/// Lanes of a head that leave room in a cache of 2 MiB for the next head's. Asking for those has paid on a Xeon with AMX, and not on a Zen 4.
const LANES_OF_A_SHORT_HEAD: usize = (256 << 10) / size_of::<Full>();

/// Keys and values of one key head: keys in panels of sixteen positions, values in panels of sixteen dimensions, so that both
/// products of attention read them in order.
#[derive(Debug)]
pub struct HeadCache<S> {
    lanes: S,
    width: usize,
}

/// Lanes that a head of `width` dimensions and `capacity` positions needs.
pub fn lanes_of_head(width: usize, capacity: usize) -> usize {
    let positions = capacity.next_multiple_of(WIDTH);
    positions / WIDTH * width + width.div_ceil(WIDTH) * positions
}

impl<S: Deref<Target = [Full]>> HeadCache<S> {
    /// # Panics
    /// Unless there are as many lanes as [`lanes_of_head`] says for some capacity.
    pub fn new(lanes: S, width: usize) -> Self {
        let cache = Self { lanes, width };
        assert_eq!(cache.lanes.len(), lanes_of_head(width, cache.capacity()));
        cache
    }

    fn capacity(&self) -> usize {
        self.lanes.len() / (self.width + self.width.next_multiple_of(WIDTH)) * WIDTH
    }

    fn keys(&self) -> &[Full] {
        &self.lanes[..self.capacity() / WIDTH * self.width]
    }

    fn values(&self) -> &[Full] {
        &self.lanes[self.capacity() / WIDTH * self.width..]
    }
}

impl<S: DerefMut<Target = [Full]>> HeadCache<S> {
    /// Keeps the key and value of a position.
    ///
    /// # Panics
    /// If the position is beyond the capacity.
    pub fn put(&mut self, position: usize, key: &[f32], value: &[f32]) {
        let (capacity, width) = (self.capacity(), self.width);
        assert!(position < capacity && key.len() == width && value.len() == width);
        let (keys, values) = self.lanes.split_at_mut(capacity / WIDTH * width);
        let (block, lane) = (position / WIDTH, position % WIDTH);
        for (lanes, key) in keys[block * width..].iter_mut().zip(key) {
            lanes.0[lane] = *key;
        }
        for (panel, value) in value.chunks(WIDTH).enumerate() {
            values[panel * capacity + position].0[..value.len()].copy_from_slice(value);
        }
    }

    /// Takes over the first `positions` of another head's cache.
    ///
    /// # Panics
    /// If they are beyond the capacity of either.
    pub fn copy_from<O: Deref<Target = [Full]>>(&mut self, other: &HeadCache<O>, positions: usize) {
        let (mine, theirs, width) = (self.capacity(), other.capacity(), self.width);
        let (keys, values) = self.lanes.split_at_mut(mine / WIDTH * width);
        let blocks = positions.div_ceil(WIDTH) * width;
        keys[..blocks].copy_from_slice(&other.keys()[..blocks]);
        for panel in 0..width.div_ceil(WIDTH) {
            values[panel * mine..][..positions]
                .copy_from_slice(&other.values()[panel * theirs..][..positions]);
        }
    }
}

/// Σ softmax(q·k) v over the positions `seen`: Vaswani et al. 2017, eq. 1, with the scale in the queries.
///
/// # Shapes
/// `queries`, `out`: `[heads, width]`. `scores` is scratch for `[heads, capacity]`.
///
/// # Panics
/// If `seen` is empty or beyond the cache.
pub fn attend<S: Deref<Target = [Full]>>(
    queries: &[f32],
    cache: &HeadCache<S>,
    seen: Range<usize>,
    scores: &mut Vec<f32>,
    out: &mut [f32],
) {
    let width = cache.width;
    let heads = queries.len() / width;
    let (first, last) = (seen.start / WIDTH, seen.end.div_ceil(WIDTH));
    let span = (last - first) * WIDTH;
    scores.clear();
    scores.resize(heads * span, 0.0);
    let far = amx::available() && cache.lanes.len() <= LANES_OF_A_SHORT_HEAD;
    let next = NextHead {
        lanes: far.then_some(cache.lanes.len()),
    };
    let asking = |packed| Asking { packed, next };
    dispatch(Grid {
        factors: asking(Packed {
            x: queries,
            steps: width,
            row_stride: width,
            panels: &cache.keys()[first * width..last * width],
            stride: width,
        }),
        then: None,
        rows: heads,
        count: last - first,
        first: 0,
        out: Out::rows(scores, span, Mode::Set),
    });
    let base = first * WIDTH;
    let seen = seen.start - base..seen.end - base;
    for row in scores.chunks_mut(span) {
        dispatch(Softmax {
            row,
            seen: seen.clone(),
        });
    }
    let capacity = cache.capacity();
    dispatch(Grid {
        factors: asking(Packed {
            x: scores,
            steps: span,
            row_stride: span,
            panels: &cache.values()[base..],
            stride: capacity,
        }),
        then: None,
        rows: heads,
        count: width.div_ceil(WIDTH),
        first: 0,
        out: Out::rows(out, width, Mode::Set),
    });
}

/// The keys or values of the next head, which is like this one and lies behind it.
#[derive(Clone, Copy)]
struct NextHead {
    /// Lanes from a head to the next, if that one is asked for.
    lanes: Option<usize>,
}

impl Next<Singles> for NextHead {
    #[inline(always)]
    fn ahead<I: Isa>(self, now: &Packed<'_, Singles>, end: usize, step: usize, tile: usize) {
        let Some(lanes) = self.lanes else {
            return now.ahead::<I>(end, step, tile);
        };
        let [_, panels] = if I::WIDE { WIDE } else { NARROW };
        for panel in end.saturating_sub(panels)..end {
            let lane = lanes + panel * now.stride + step;
            I::prefetch(now.panels.as_ptr().wrapping_add(lane).cast());
        }
    }
}

struct Softmax<'a> {
    row: &'a mut [f32],
    seen: Range<usize>,
}

impl Work for Softmax<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let (before, rest) = self.row.split_at_mut(self.seen.start);
        let (seen, after) = rest.split_at_mut(self.seen.end - self.seen.start);
        before.fill(0.0);
        after.fill(0.0);
        let max = seen.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for score in seen.iter_mut() {
            *score = exp::<I>(*score - max);
        }
        let scale = sum::<I>(seen, |weight| weight).recip();
        for weight in seen {
            *weight *= scale;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attention in f64 over the positions `seen` of `[position][width]` keys and values.
    fn plain(
        query: &[f32],
        keys: &[Vec<f32>],
        values: &[Vec<f32>],
        seen: Range<usize>,
    ) -> Vec<f64> {
        let dot = |key: &Vec<f32>| {
            let terms = query.iter().zip(key);
            terms
                .map(|(q, k)| f64::from(*q) * f64::from(*k))
                .sum::<f64>()
        };
        let weights: Vec<f64> = keys[seen.clone()]
            .iter()
            .map(|key| dot(key).exp())
            .collect();
        let total: f64 = weights.iter().sum();
        (0..query.len())
            .map(|i| {
                let terms = weights.iter().zip(&values[seen.clone()]);
                terms.map(|(w, v)| w / total * f64::from(v[i])).sum()
            })
            .collect()
    }

    #[test]
    fn attention_is_the_plain_formula_for_any_width_window_and_length() {
        let number = |i: usize| ((i * 7919) % 199) as f32 / 100.0 - 1.0;
        for (width, heads) in [(4, 1), (16, 3), (40, 9)] {
            let rows = |from: usize| -> Vec<Vec<f32>> {
                let row = |p: usize| (0..width).map(|i| number(from + p * width + i)).collect();
                (0..37).map(row).collect()
            };
            let (keys, values) = (rows(1), rows(5000));
            let queries: Vec<f32> = (0..heads * width).map(|i| number(i + 77)).collect();
            let mut lanes = vec![Full::ZERO; lanes_of_head(width, 37)];
            let mut cache = HeadCache::new(lanes.as_mut_slice(), width);
            for position in 0..37 {
                cache.put(position, &keys[position], &values[position]);
            }
            for seen in [0..1, 0..16, 0..37, 20..37, 5..18] {
                let (mut scores, mut out) = (Vec::new(), vec![0.0; heads * width]);
                attend(&queries, &cache, seen.clone(), &mut scores, &mut out);
                for (query, out) in queries.chunks(width).zip(out.chunks(width)) {
                    let exact = plain(query, &keys, &values, seen.clone());
                    for (found, exact) in out.iter().zip(exact) {
                        assert!((f64::from(*found) - exact).abs() < 2e-6);
                    }
                }
            }
        }
    }

    #[test]
    fn a_copied_prefix_is_the_prefix() {
        let (mut from, mut to) = (
            vec![Full::ZERO; lanes_of_head(8, 40)],
            vec![Full::ZERO; lanes_of_head(8, 24)],
        );
        let mut source = HeadCache::new(from.as_mut_slice(), 8);
        for position in 0..20 {
            let at = position as f32;
            source.put(position, &[at / 10.0; 8], &[at; 8]);
        }
        let mut copy = HeadCache::new(to.as_mut_slice(), 8);
        copy.copy_from(&source, 20);
        let attended = |cache: &HeadCache<&mut [Full]>| {
            let mut out = vec![0.0; 8];
            attend(&[0.5; 8], cache, 0..20, &mut Vec::new(), &mut out);
            out
        };
        assert_eq!(attended(&copy), attended(&source));
    }
}
