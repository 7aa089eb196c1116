//! Products with the transpose of a packed weight.

use std::ops::Range;

use super::super::amx::{self, Parts, Tiled, Weight};
use super::super::arithmetic::{Arithmetic, Dots, Singles};
use super::super::factors::{Asking, Packed};
use super::super::grid::{Mode, Out};
use super::super::lanes::{Brief, Packable, Pair};
use super::super::panels::{Panels, Storage, WIDTH};
use super::super::rows::Rows;
use super::super::split::PARTS;
use super::super::transpose::Ahead;
use super::{Beside, MatmulPrecision, Sums, fresh, narrow};

/// Panels that are transposed at a time: as many as the innermost loop takes.
const PANELS_AT_ONCE: usize = 3;
/// The same for a matrix unit, which takes two.
const PANELS_AT_ONCE_FOR_A_UNIT: usize = 4;
/// Terms of a sum before the rest is added to it: what is transposed at a time stays in a cache of its own.
pub(super) const DEPTH_AT_ONCE: usize = 2048;

/// dx = dy·W: the input gradient of [`matmul`](super::matmul), on this thread. The panels are transposed a few at a time, which costs one
/// pass over the weight.
///
/// # Shapes
/// `dy`: `[n, outputs]`; result `[n, inputs]`; `beside`: `[n, r]` and a weight of `r` inputs and as many outputs as `weight` has inputs.
///
/// # Panics
/// If the shapes do not agree.
pub fn product_transposed(
    dy: &[f32],
    weight: &Panels,
    precision: MatmulPrecision,
    beside: Option<Beside<'_>>,
) -> Vec<f32> {
    let (mut rows, depth) = (Rows::new(dy, weight.outputs()), weight.outputs());
    fresh(rows.count(), weight.inputs(), |out| {
        let turning = Turning {
            weight,
            rows: rows.count(),
            beside,
            out,
        };
        match (precision, amx::steps_for(depth)) {
            (MatmulPrecision::F32, Some(steps)) => {
                let dy = rows.tiles::<PARTS>();
                match weight.storage {
                    Storage::F32(_) => turning.by_unit::<PARTS>(dy, steps, Parts::Both),
                    Storage::Bf16(_) => turning.by_unit::<1>(dy, steps, Parts::Rows),
                }
            }
            (MatmulPrecision::F32, None) => turning.by_vectors::<Singles>(rows.numbers()),
            (MatmulPrecision::Bf16, Some(steps)) => {
                turning.by_unit::<1>(rows.tiles::<1>(), steps, Parts::Neither);
            }
            (MatmulPrecision::Bf16, None) => turning.by_vectors::<Dots>(rows.pairs()),
        }
    })
}

/// A product with a transposed weight.
#[derive(Clone, Copy)]
struct Turning<'a> {
    weight: &'a Panels,
    rows: usize,
    beside: Option<Beside<'a>>,
    out: Out<'a>,
}

/// Some panels of the transposed weight, for some of its terms.
struct Strip<'a, L> {
    lanes: &'a [L],
    terms: Range<usize>,
    /// The next ones.
    next: Ahead,
}

impl Turning<'_> {
    /// By the unit, with `N` parts of a weight. All of a row's terms are `steps`, in whole tiles.
    fn by_unit<const N: usize>(self, dy: &[Pair], steps: usize, parts: Parts) {
        let height = amx::height(self.rows);
        let pairs = |steps| parts.counts()[0] * height * steps;
        self.strips::<[Brief; N]>(PANELS_AT_ONCE_FOR_A_UNIT, amx::STEPS, |sums, strip| {
            let factors = Tiled {
                x: dy.get(pairs(strip.terms.start / 2)..).unwrap_or_default(),
                height,
                below: pairs(steps),
                weight: Weight::Pairs(strip.lanes.as_flattened()),
                steps: strip.lanes.len() / sums.range.len(),
                parts,
            };
            sums.of_tiles(factors);
        });
    }

    fn by_vectors<A: Arithmetic>(self, dy: &[A::Number]) {
        let terms = A::Lanes::INPUTS;
        self.strips::<A::Lanes>(PANELS_AT_ONCE, 1, |sums, strip| {
            let steps = strip.terms.len().div_ceil(terms);
            sums.of(Asking {
                packed: Packed::<A> {
                    x: dy.get(strip.terms.start / terms..).unwrap_or_default(),
                    steps,
                    row_stride: self.weight.outputs().div_ceil(terms),
                    panels: strip.lanes,
                    stride: steps,
                },
                next: strip.next,
            });
        });
    }

    /// Transposes `at_once` panels at a time, each for as many steps as make up multiples of `tile`, and has them multiplied.
    fn strips<L: Packable>(
        self,
        at_once: usize,
        tile: usize,
        multiply: impl Fn(Sums<'_>, Strip<'_, L>),
    ) {
        let (width, depth) = (self.weight.inputs(), self.weight.outputs());
        let panels = width.div_ceil(WIDTH);
        let steps = |terms: usize| terms.div_ceil(L::INPUTS).next_multiple_of(tile);
        let mut scratch = vec![L::ZERO; at_once * steps(depth.min(DEPTH_AT_ONCE))];
        for start in (0..depth).step_by(DEPTH_AT_ONCE) {
            let terms = start..depth.min(start + DEPTH_AT_ONCE);
            let mode = if start == 0 { self.out.mode } else { Mode::Add };
            let beside = self.beside.filter(|_| terms.end == depth);
            for first in (0..panels).step_by(at_once) {
                let range = first..panels.min(first + at_once);
                let lanes = &mut scratch[..range.len() * steps(terms.len())];
                self.weight.transposed(range.clone(), terms.clone(), lanes);
                let strip = Strip {
                    lanes,
                    terms: terms.clone(),
                    next: self.weight.ahead(range.end, start),
                };
                let sums = Sums {
                    then: beside.map(|beside| narrow(beside, self.rows, width, first)),
                    rows: self.rows,
                    range,
                    out: Out { mode, ..self.out },
                };
                multiply(sums, strip);
            }
        }
    }
}
