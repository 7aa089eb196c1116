//! Products of row-major rows and packed weights.

use std::ops::Range;

use super::amx::{self, Parts, Tiled, Weight};
use super::arithmetic::{Arithmetic, Dots, Singles, Widened};
use super::factors::{Across, Narrowed, Packed};
use super::grid::{Grid, Mode, Out};
use super::isa::dispatch;
use super::lanes::{Brief, Full, Pair};
use super::paired;
use super::panels::{Panels, Storage, WIDTH};
use super::room::{Room, Use};
use super::rows::{Rows, rows_of};
use super::shared::{Shared, filled};
use super::split::PARTS;
use super::tile::Factors;

/// Outputs from which on it pays to split factors in f32 into parts for a matrix unit, and rows and columns of a weight's gradient: an adapter
/// has fewer.
const WORTH_SPLITTING: usize = 64;

/// How a product's factors are rounded before they are multiplied, as by PyTorch's `autocast`. Sums are always in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MatmulPrecision {
    /// Not at all. A matrix unit multiplies the numbers' parts, and what is infinite becomes NaN.
    #[default]
    F32,
    /// To the nearest bf16: faster where the processor multiplies pairs of them (AVX512-BF16: up to twice; AMX: two to three times), slower
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

/// The same, with the product of a narrower weight added to it: the terms of the second follow those of the first in each sum.
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
    let out = Out::rows(y, weight.outputs(), mode);
    let rows = &mut Rows::new(x, weight.inputs());
    columns(rows, weight, precision, beside, 0..weight.count(), out);
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
    let mut rows = Rows::new(x, weight.inputs());
    fresh(rows.count(), weight.outputs(), |out| {
        columns(&mut rows, weight, precision, beside, 0..weight.count(), out);
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

/// The columns that the panels `range` give of such a product, as [`matmul`] makes it.
///
/// # Safety
/// Nobody else may use these columns of `y` meanwhile.
///
/// # Panics
/// If the shapes do not agree.
#[allow(unsafe_code)]
pub unsafe fn matmul_part(
    rows: &mut Rows<'_>,
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
    let out = Out { y, stride, mode };
    columns(rows, weight, precision, beside, range, out);
}

fn columns(
    rows: &mut Rows<'_>,
    weight: &Panels,
    precision: MatmulPrecision,
    beside: Option<Beside<'_>>,
    range: Range<usize>,
    out: Out<'_>,
) {
    let (depth, count) = (weight.inputs(), rows.count());
    assert!(rows.width() == depth && out.y.len() >= count * weight.outputs());
    let sums = Sums {
        then: beside.map(|beside| narrow(beside, count, weight.outputs(), range.start)),
        rows: count,
        range: range.clone(),
        out,
    };
    match &weight.storage {
        Storage::F32(lanes) => {
            let lanes = &lanes[range.start * depth..range.end * depth];
            in_singles(sums, rows, lanes, precision);
        }
        Storage::Bf16(lanes) => {
            let steps = depth / 2;
            let lanes = &lanes[range.start * steps..range.end * steps];
            in_pairs(sums, rows, lanes, precision);
        }
    }
}

/// The sums for panels in f32.
fn in_singles(sums: Sums<'_>, rows: &mut Rows<'_>, lanes: &[Full], precision: MatmulPrecision) {
    let depth = rows.width();
    let (by_unit, steps) = (amx::takes(depth), depth.div_ceil(2));
    let pays = sums.out.stride >= WORTH_SPLITTING;
    let weight = Weight::Singles(lanes);
    match precision {
        MatmulPrecision::F32 if by_unit && pays => {
            sums.by_unit(rows.tiles::<PARTS>(), weight, steps, Parts::Both);
        }
        MatmulPrecision::F32 => sums.of(packed::<Singles>(rows.numbers(), lanes, depth)),
        MatmulPrecision::Bf16 if by_unit => {
            sums.by_unit(rows.tiles::<1>(), weight, steps, Parts::Neither);
        }
        MatmulPrecision::Bf16 => {
            let x = rows.pairs();
            sums.of(Narrowed { x, lanes, depth });
        }
    }
}

/// The sums for panels in bf16.
fn in_pairs(sums: Sums<'_>, rows: &mut Rows<'_>, lanes: &[Brief], precision: MatmulPrecision) {
    let depth = rows.width();
    let (by_unit, steps) = (amx::takes(depth), depth / 2);
    let weight = Weight::Pairs(lanes);
    match precision {
        MatmulPrecision::F32 if by_unit => {
            sums.by_unit(rows.tiles::<PARTS>(), weight, steps, Parts::Rows);
        }
        MatmulPrecision::F32 => sums.of(packed::<Widened>(rows.numbers(), lanes, steps)),
        MatmulPrecision::Bf16 if by_unit => {
            sums.by_unit(rows.tiles::<1>(), weight, steps, Parts::Neither);
        }
        MatmulPrecision::Bf16 => sums.of(packed::<Dots>(rows.pairs(), lanes, steps)),
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
    fresh(left, right, |out| {
        let by_unit = |rows: &[Pair], panels: &[Brief], steps, parts| {
            let sums = sums_across(left, 0..right.div_ceil(WIDTH), out);
            sums.by_unit(rows, Weight::Pairs(panels), steps, parts);
        };
        let (factors, widths) = ([a, b], [left, right]);
        match (precision, amx::steps_for(depth)) {
            (MatmulPrecision::F32, Some(steps)) if left.min(right) >= WORTH_SPLITTING => {
                paired::with_tiles::<PARTS, _>(factors, widths, steps, |rows, panels| {
                    by_unit(rows, panels, steps, Parts::Both);
                });
            }
            (MatmulPrecision::F32, _) => across::<Singles>(a, b, widths, out),
            (MatmulPrecision::Bf16, Some(steps)) => {
                paired::with_tiles::<1, _>(factors, widths, steps, |rows, panels| {
                    by_unit(rows, panels, steps, Parts::Neither);
                });
            }
            (MatmulPrecision::Bf16, None) => {
                paired::with_columns(factors, widths, |[a, b]| across::<Dots>(a, b, widths, out));
            }
        }
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

/// Rows of as many numbers as a panel's `steps` take, and panels.
fn packed<'a, A: Arithmetic>(
    x: &'a [A::Number],
    panels: &'a [A::Lanes],
    steps: usize,
) -> Packed<'a, A> {
    Packed {
        x,
        steps,
        row_stride: A::NUMBERS * steps,
        panels,
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
    packed(x, &lanes[first * depth..], depth)
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
        dispatch(self.grid(factors));
    }

    /// By the unit, all terms of rows of `steps`.
    fn by_unit(self, x: &[Pair], weight: Weight<'_>, steps: usize, parts: Parts) {
        let factors = Tiled::new((x, self.rows), weight, steps, parts);
        self.of_tiles(factors);
    }

    fn of_tiles(self, factors: Tiled<'_>) {
        let (length, mut room) = (factors.room(self.rows), Room::take(Use::Panels));
        amx::multiply(&self.grid(factors), room.lanes(length));
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
}

mod turned;

pub use turned::product_transposed;

#[cfg(test)]
mod tests;
