//! Products of row-major rows and packed weights.

use std::ops::Range;

use super::amx::{self, Blocks};
use super::arithmetic::{Arithmetic, Dots, Singles, Widened};
use super::factors::{Across, Narrowed, Packed, Turned};
use super::grid::{Grid, Mode, Out};
use super::isa::dispatch;
use super::lanes::{Full, Lanes, Pair};
use super::panels::{Panels, Storage, WIDTH};
use super::rounded;
use super::shared::{Shared, filled};
use super::tile::Factors;

/// Panels that are transposed at a time: as many as the innermost loop takes.
const PANELS_AT_ONCE: usize = 3;
/// Panels that are transposed or rounded at a time for a matrix unit, which takes two.
const PANELS_AT_ONCE_FOR_A_UNIT: usize = 4;
/// Terms of a sum before the rest is added to it: what is transposed at a time stays in a cache of its own.
const DEPTH_AT_ONCE: usize = 2048;

/// How a product's factors are rounded before they are multiplied, as by PyTorch's `autocast`. Sums are always in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MatmulPrecision {
    /// Not at all.
    #[default]
    F32,
    /// To the nearest bf16: faster where the processor multiplies pairs of them (AVX512-BF16: up to twice; AMX: up to five times), slower
    /// elsewhere.
    Bf16,
}

/// y = x·Wᵀ, or y += x·Wᵀ, on this thread, in f32.
///
/// # Shapes
/// `x`: `[n, inputs]`; `y`: `[n, outputs]`.
///
/// # Panics
/// If the shapes do not agree.
pub fn matmul(x: &[f32], weight: &Panels, y: &mut [f32], mode: Mode) {
    matmul_with(x, weight, MatmulPrecision::F32, None, y, mode);
}

/// [`matmul`] with the product of a narrower weight added to it: the terms of the second follow those of the first in each sum.
///
/// # Shapes
/// `x`: `[n, inputs]`; `y`: `[n, outputs]`; `beside`: `[n, r]` and a weight of `r` inputs and the same outputs.
///
/// # Panics
/// If the shapes do not agree.
pub fn matmul_with(
    x: &[f32],
    weight: &Panels,
    precision: MatmulPrecision,
    beside: Option<Beside<'_>>,
    y: &mut [f32],
    mode: Mode,
) {
    columns(
        x,
        weight,
        precision,
        beside,
        0..weight.count(),
        Out::rows(y, weight.outputs(), mode),
    );
}

/// The same, into memory that nobody has to clear first.
///
/// # Panics
/// If the shapes do not agree.
pub fn product(
    x: &[f32],
    weight: &Panels,
    precision: MatmulPrecision,
    beside: Option<Beside<'_>>,
) -> Vec<f32> {
    let rows = rows_of(x, weight.inputs());
    fresh(rows, weight.outputs(), |out| {
        columns(x, weight, precision, beside, 0..weight.count(), out);
    })
}

/// `rows` of `width` numbers, of which `fill` sets every one.
fn fresh(rows: usize, width: usize, fill: impl FnOnce(Out<'_>)) -> Vec<f32> {
    // SAFETY: `fill` is a product over all columns.
    #[allow(unsafe_code)]
    unsafe {
        filled(rows * width, |y| {
            fill(Out {
                y: Shared::new(y),
                stride: width,
                mode: Mode::Set,
            });
        })
    }
}

/// A product that is added to another: rows of `r` numbers, and a weight of `r` inputs in f32.
pub type Beside<'a> = (&'a [f32], &'a Panels);

/// The columns of [`matmul_with`] that the panels `range` give.
///
/// # Safety
/// Nobody else may use these columns of `y` meanwhile.
///
/// # Panics
/// If the shapes do not agree.
#[allow(unsafe_code)]
pub unsafe fn matmul_part(
    x: &[f32],
    weight: &Panels,
    precision: MatmulPrecision,
    beside: Option<Beside<'_>>,
    range: Range<usize>,
    y: &Shared<'_>,
    mode: Mode,
) {
    // SAFETY: only sums are written.
    let y = unsafe { y.unwritten() };
    let stride = weight.outputs();
    columns(x, weight, precision, beside, range, Out { y, stride, mode });
}

fn columns(
    x: &[f32],
    weight: &Panels,
    precision: MatmulPrecision,
    beside: Option<Beside<'_>>,
    range: Range<usize>,
    out: Out<'_>,
) {
    let depth = weight.inputs();
    let rows = rows_of(x, depth);
    assert!(out.y.len() >= rows * weight.outputs());
    let then = beside.map(|beside| narrow(beside, rows, weight.outputs(), range.start));
    let sums = Sums {
        then,
        rows,
        range: range.clone(),
        out,
    };
    match (&weight.storage, precision) {
        (Storage::F32(lanes), MatmulPrecision::F32) => {
            sums.of(packed::<Singles>(x, lanes, depth, &range));
        }
        (Storage::Bf16(lanes), MatmulPrecision::F32) => {
            sums.of(packed::<Widened>(x, lanes, depth / 2, &range));
        }
        (Storage::Bf16(lanes), MatmulPrecision::Bf16) => rounded::with_rows(x, depth, |x| {
            sums.of(packed::<Dots>(x, lanes, depth / 2, &range));
        }),
        (Storage::F32(lanes), MatmulPrecision::Bf16) => rounded::with_rows(x, depth, |x| {
            let lanes = &lanes[range.start * depth..range.end * depth];
            if depth.is_multiple_of(2) && amx::takes(depth / 2) {
                sums.of_narrowed(x, lanes, depth);
            } else {
                sums.of(Narrowed { x, lanes, depth });
            }
        }),
    }
}

/// dx = dy·W: the input gradient of [`matmul`], on this thread. The panels are transposed a few at a time, which costs one pass over
/// the weight.
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
    let (rows, depth) = (rows_of(dy, weight.outputs()), weight.outputs());
    fresh(rows, weight.inputs(), |out| match precision {
        MatmulPrecision::F32 => turned::<Singles>(dy, weight, rows, beside, out),
        MatmulPrecision::Bf16 => rounded::with_rows(dy, depth, |dy| {
            turned::<Dots>(dy, weight, rows, beside, out);
        }),
    })
}

fn turned<A: Arithmetic>(
    dy: &[A::Number],
    weight: &Panels,
    rows: usize,
    beside: Option<Beside<'_>>,
    out: Out<'_>,
) {
    let (width, depth, terms) = (weight.inputs(), weight.outputs(), A::Lanes::INPUTS);
    let panels = width.div_ceil(WIDTH);
    let steps = |depth: usize| depth.div_ceil(terms);
    let at_once = if A::BF16 && amx::takes(steps(depth.min(DEPTH_AT_ONCE))) {
        PANELS_AT_ONCE_FOR_A_UNIT
    } else {
        PANELS_AT_ONCE
    };
    let mut scratch = vec![A::Lanes::ZERO; at_once * steps(depth.min(DEPTH_AT_ONCE))];
    for start in (0..depth).step_by(DEPTH_AT_ONCE) {
        let part = start..depth.min(start + DEPTH_AT_ONCE);
        let mode = if start == 0 { out.mode } else { Mode::Add };
        let beside = beside.filter(|_| part.end == depth);
        for first in (0..panels).step_by(at_once) {
            let range = first..panels.min(first + at_once);
            weight.transposed(range.clone(), part.clone(), &mut scratch);
            let factors = Turned {
                packed: Packed::<A> {
                    x: dy.get(start / terms..).unwrap_or_default(),
                    steps: steps(part.len()),
                    row_stride: steps(depth),
                    panels: &scratch[..range.len() * steps(part.len())],
                    stride: steps(part.len()),
                },
                next: weight.ahead(range.end, start),
            };
            let sums = Sums {
                then: beside.map(|beside| narrow(beside, rows, width, first)),
                rows,
                range,
                out: Out { mode, ..out },
            };
            sums.of(factors);
        }
    }
}

/// aᵀb: a weight's gradient, on this thread. Both are read as they lie.
///
/// # Shapes
/// `a`: `[n, left]`; `b`: `[n, right]`; result `[left, right]`.
///
/// # Panics
/// If the shapes do not agree.
pub fn product_across(
    a: &[f32],
    b: &[f32],
    [left, right]: [usize; 2],
    precision: MatmulPrecision,
) -> Vec<f32> {
    let depth = rows_of(a, left);
    assert_eq!(b.len(), depth * right);
    fresh(left, right, |out| match precision {
        MatmulPrecision::F32 => across::<Singles>(a, b, [left, right], out),
        MatmulPrecision::Bf16 => match amx::steps_for(depth) {
            Some(steps) => {
                rounded::with_tiles([a, b], [left, right], steps, |rows, panels| {
                    let range = 0..right.div_ceil(WIDTH);
                    let factors = packed::<Dots>(rows, panels, steps, &range);
                    sums_across(left, range, out).of(factors);
                });
            }
            None => rounded::with_columns([a, b], [left, right], |[a, b]| {
                across::<Dots>(a, b, [left, right], out);
            }),
        },
    })
}

fn sums_across(rows: usize, range: Range<usize>, out: Out<'_>) -> Sums<'_> {
    Sums {
        then: None,
        rows,
        range,
        out,
    }
}

fn across<A: Arithmetic>(
    a: &[A::Number],
    b: &[A::Number],
    [left, right]: [usize; 2],
    out: Out<'_>,
) {
    let (steps, whole) = (rows_of(a, left), right / WIDTH);
    let factors = |right, columns| Across::<A> {
        left: a,
        rows: left,
        right,
        columns,
        steps,
    };
    let mut last = Vec::new();
    for row in b.chunks(right).filter(|_| whole * WIDTH < right) {
        last.extend_from_slice(&row[whole * WIDTH..]);
        last.resize(last.len().next_multiple_of(WIDTH), A::ZERO);
    }
    sums_across(left, 0..whole, out).of(factors(b, right));
    let rest = whole..right.div_ceil(WIDTH);
    sums_across(left, rest.clone(), out).of(factors(&last, WIDTH * rest.len()));
}

fn rows_of<T>(x: &[T], width: usize) -> usize {
    let rows = x.len().checked_div(width).unwrap_or(0);
    assert_eq!(rows * width, x.len());
    rows
}

/// Rows of as many numbers as a panel's `steps` take, and some panels.
fn packed<'a, A: Arithmetic>(
    x: &'a [A::Number],
    lanes: &'a [A::Lanes],
    steps: usize,
    range: &Range<usize>,
) -> Packed<'a, A> {
    Packed {
        x,
        steps,
        row_stride: A::NUMBERS * steps,
        panels: &lanes[range.start * steps..range.end * steps],
        stride: steps,
    }
}

/// The panels of a product beside another, from `first` on.
fn narrow(
    (x, weight): Beside<'_>,
    rows: usize,
    outputs: usize,
    first: usize,
) -> Packed<'_, Singles> {
    let depth = weight.inputs();
    assert!(x.len() == rows * depth && weight.outputs() == outputs);
    let Storage::F32(lanes) = &weight.storage else {
        panic!("a weight beside another is in f32");
    };
    packed(x, lanes, depth, &(first..weight.count()))
}

/// Rows of some panels of a product.
struct Sums<'a> {
    /// What follows in them.
    then: Option<Packed<'a, Singles>>,
    rows: usize,
    range: Range<usize>,
    out: Out<'a>,
}

impl<'a> Sums<'a> {
    fn of<F: Factors>(self, factors: F) {
        if let Some(pairs) = factors.pairs()
            && amx::takes(pairs.steps)
        {
            return dispatch(Blocks(self.grid(pairs)));
        }
        dispatch(self.grid(factors));
    }

    fn grid<F>(self, factors: F) -> Grid<'a, F> {
        Grid {
            factors,
            then: self.then,
            rows: self.rows,
            count: self.range.len(),
            first: self.range.start,
            out: self.out,
        }
    }

    /// Of panels in f32 that become pairs, a few at a time, before they are multiplied.
    fn of_narrowed(self, x: &[Pair], lanes: &[Full], depth: usize) {
        const AT_ONCE: usize = PANELS_AT_ONCE_FOR_A_UNIT;
        let steps = depth / 2;
        rounded::with_lanes(steps * AT_ONCE.min(self.range.len()), |scratch| {
            for (part, first) in lanes.chunks(depth * AT_ONCE).zip((0..).step_by(AT_ONCE)) {
                let pairs = &mut scratch[..part.len() / 2];
                rounded::lanes(part, pairs);
                let (start, count) = (self.range.start + first, part.len() / depth);
                let sums = Sums {
                    then: self.then.map(|then| then.from(first)),
                    rows: self.rows,
                    range: start..start + count,
                    out: self.out,
                };
                sums.of(packed::<Dots>(x, pairs, steps, &(0..count)));
            }
        });
    }
}

#[cfg(test)]
mod tests;
