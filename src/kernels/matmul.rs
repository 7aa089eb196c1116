//! Products of row-major rows and packed weights.

use std::ops::Range;

use super::grid::{Grid, Mode, Out};
use super::isa::{Isa, dispatch};
use super::panels::{Full, Lanes, Panels, Storage, WIDTH};
use super::shared::Shared;
use super::tile::{Across, Factors, Packed};

/// Panels that are transposed at a time: as many as the innermost loop takes.
const PANELS_AT_ONCE: usize = 3;
/// Terms of a sum before the rest is added to it: what is transposed at a time stays in a cache of its own.
const DEPTH_AT_ONCE: usize = 2048;

/// How a product's factors are rounded before they are multiplied. Sums are always in f32. PyTorch's `autocast` makes the same choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MatmulPrecision {
    /// Not at all.
    #[default]
    F32,
    /// To the nearest bf16: twice as fast where the processor multiplies pairs of them (AVX512-BF16), no faster elsewhere.
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
    let mut y = Vec::with_capacity(rows * width);
    fill(Out {
        y: Shared::new(&mut y.spare_capacity_mut()[..rows * width]),
        stride: width,
        mode: Mode::Set,
    });
    // SAFETY: there is room for so many, and all were set.
    #[allow(unsafe_code)]
    unsafe {
        y.set_len(rows * width);
    }
    y
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
    match &weight.storage {
        Storage::F32(lanes) => run(packed(x, lanes, depth, &range), then, rows, range, out),
        Storage::Bf16(lanes) => run(packed(x, lanes, depth, &range), then, rows, range, out),
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
    let rows = rows_of(dy, weight.outputs());
    fresh(rows, weight.inputs(), |out| match &weight.storage {
        Storage::F32(lanes) => turned(dy, weight, lanes, beside, out),
        Storage::Bf16(lanes) => turned(dy, weight, lanes, beside, out),
    })
}

fn turned<L: Lanes>(
    dy: &[f32],
    weight: &Panels,
    lanes: &[L],
    beside: Option<Beside<'_>>,
    out: Out<'_>,
) {
    let (stride, depth) = (weight.inputs(), weight.outputs());
    let (rows, panels) = (rows_of(dy, depth), stride.div_ceil(WIDTH));
    let mut scratch = vec![Full::ZERO; PANELS_AT_ONCE * depth.min(DEPTH_AT_ONCE)];
    for start in (0..depth).step_by(DEPTH_AT_ONCE) {
        let part = start..depth.min(start + DEPTH_AT_ONCE);
        let mode = if start == 0 { Mode::Set } else { Mode::Add };
        let beside = beside.filter(|_| part.end == depth);
        for first in (0..panels).step_by(PANELS_AT_ONCE) {
            let range = first..panels.min(first + PANELS_AT_ONCE);
            weight.transposed(range.clone(), part.clone(), &mut scratch);
            let packed = Packed {
                x: &dy[part.start..],
                depth: part.len(),
                row_stride: depth,
                panels: &scratch[..range.len() * part.len()],
                stride: part.len(),
            };
            let factors = Turned {
                packed,
                weight: &lanes[part.start / WIDTH * stride..],
                inputs: stride,
                first: range.start,
            };
            let then = beside.map(|beside| narrow(beside, rows, stride, first));
            run(factors, then, rows, range, Out { mode, ..out });
        }
    }
}

/// Panels that were transposed; the next ones have still to be, which goes across the weight, where the processor sees no order in
/// what is read.
#[derive(Clone, Copy)]
struct Turned<'a, L> {
    packed: Packed<'a, Full>,
    /// As it was packed, from the first term on.
    weight: &'a [L],
    inputs: usize,
    /// The first panel's number.
    first: usize,
}

impl<L: Lanes> Factors for Turned<'_, L> {
    #[inline(always)]
    fn depth(&self) -> usize {
        self.packed.depth()
    }

    #[inline(always)]
    fn covers(&self, rows: usize, panels: usize) {
        self.packed.covers(rows, panels);
    }

    /// Sixteen terms of three panels take 48 lines: four in each of twelve tiles, over and over.
    #[inline(always)]
    fn ahead<I: Isa>(&self, panel: usize, term: usize, tile: usize) {
        let input = (self.first + panel) * WIDTH + 4 * (tile % 12) + term % WIDTH / 4;
        let lanes = term / WIDTH * self.inputs + input;
        I::prefetch(self.weight.as_ptr().wrapping_add(lanes).cast());
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn left(&self, row: usize, term: usize) -> f32 {
        // SAFETY: as the caller promises.
        unsafe { self.packed.left(row, term) }
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn right<I: Isa>(&self, panel: usize, term: usize) -> I::Vector {
        // SAFETY: as the caller promises.
        unsafe { self.packed.right::<I>(panel, term) }
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
    let whole = right / WIDTH;
    let factors = |right, columns| Across {
        left: a,
        rows: left,
        right,
        columns,
        depth,
    };
    let mut last = Vec::new();
    for row in b.chunks(right).filter(|_| whole * WIDTH < right) {
        last.extend_from_slice(&row[whole * WIDTH..]);
        last.resize(last.len().next_multiple_of(WIDTH), 0.0);
    }
    fresh(left, right, |out| {
        run(factors(b, right), None, left, 0..whole, out);
        let rest = whole..right.div_ceil(WIDTH);
        run(factors(&last, WIDTH * rest.len()), None, left, rest, out);
    })
}

fn rows_of(x: &[f32], width: usize) -> usize {
    let rows = x.len().checked_div(width).unwrap_or(0);
    assert_eq!(rows * width, x.len());
    rows
}

fn packed<'a, L: Lanes>(
    x: &'a [f32],
    lanes: &'a [L],
    depth: usize,
    range: &Range<usize>,
) -> Packed<'a, L> {
    Packed {
        x,
        depth,
        row_stride: depth,
        panels: &lanes[range.start * depth..range.end * depth],
        stride: depth,
    }
}

/// The panels of a product beside another, from `first` on.
fn narrow((x, weight): Beside<'_>, rows: usize, outputs: usize, first: usize) -> Packed<'_, Full> {
    let depth = weight.inputs();
    assert!(x.len() == rows * depth && weight.outputs() == outputs);
    let Storage::F32(lanes) = &weight.storage else {
        panic!("a weight beside another is in f32");
    };
    packed(x, lanes, depth, &(first..weight.count()))
}

fn run<F: Factors>(
    factors: F,
    then: Option<Packed<'_, Full>>,
    rows: usize,
    range: Range<usize>,
    out: Out<'_>,
) {
    dispatch(Grid {
        factors,
        then,
        rows,
        count: range.len(),
        first: range.start,
        out,
    });
}

#[cfg(test)]
mod tests;
