//! Products of row-major rows and packed weights.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::isa::{Isa, Work, dispatch};
use super::panels::{Full, Lanes, Panels, Storage, WIDTH};
use super::shared::Shared;
use super::tile::{Across, Factors, NARROW, Packed, WIDE, tile};

/// Rows that are taken through all panels before the next: those of SmolLM2's widest layer fill half of a 1 MiB cache.
pub(super) const ROWS_AT_ONCE: usize = 96;

/// Panels that are transposed at a time: as many as the innermost loop takes.
const PANELS_AT_ONCE: usize = 3;
/// Terms of a sum before the rest is added to it: what is transposed at a time stays in a cache of its own.
const DEPTH_AT_ONCE: usize = 2048;

/// What becomes of the numbers already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They are replaced.
    Set,
    /// The product is added to them.
    Add,
}

/// y = x·Wᵀ, or y += x·Wᵀ, on this thread.
///
/// # Shapes
/// `x`: `[n, inputs]`; `y`: `[n, outputs]`.
///
/// # Panics
/// If the shapes do not agree.
pub fn matmul(x: &[f32], weight: &Panels, y: &mut [f32], mode: Mode) {
    matmul_with(x, weight, None, y, mode);
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
    beside: Option<Beside<'_>>,
    y: &mut [f32],
    mode: Mode,
) {
    columns(
        x,
        weight,
        beside,
        0..weight.count(),
        Out::rows(y, weight.outputs(), mode),
    );
}

/// The same, into memory that nobody has to clear first.
///
/// # Panics
/// If the shapes do not agree.
pub fn product(x: &[f32], weight: &Panels, beside: Option<Beside<'_>>) -> Vec<f32> {
    let rows = rows_of(x, weight.inputs());
    fresh(rows, weight.outputs(), |out| {
        columns(x, weight, beside, 0..weight.count(), out);
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
    beside: Option<Beside<'_>>,
    range: Range<usize>,
    y: &Shared<'_>,
    mode: Mode,
) {
    // SAFETY: only sums are written.
    let y = unsafe { y.unwritten() };
    let stride = weight.outputs();
    columns(x, weight, beside, range, Out { y, stride, mode });
}

fn columns(
    x: &[f32],
    weight: &Panels,
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
pub fn product_transposed(dy: &[f32], weight: &Panels, beside: Option<Beside<'_>>) -> Vec<f32> {
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
pub fn product_across(a: &[f32], b: &[f32], [left, right]: [usize; 2]) -> Vec<f32> {
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
fn narrow<'a>(
    (x, weight): Beside<'a>,
    rows: usize,
    outputs: usize,
    first: usize,
) -> Packed<'a, Full> {
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
    dispatch(Rows {
        factors,
        then,
        rows,
        count: range.len(),
        first: range.start,
        out,
    });
}

/// Where the sums go.
#[derive(Clone, Copy)]
pub(super) struct Out<'a> {
    /// Row-major. Unless sums are added to it, it need not have been written.
    pub y: Shared<'a, MaybeUninit<f32>>,
    /// Numbers in a row, and the end of its last panel.
    pub stride: usize,
    /// What becomes of those already there.
    pub mode: Mode,
}

impl<'a> Out<'a> {
    /// Into rows of `stride` numbers.
    pub(super) fn rows(y: &'a mut [f32], stride: usize, mode: Mode) -> Self {
        // SAFETY: only sums are written.
        #[allow(unsafe_code)]
        let y = unsafe { Shared::new(y).unwritten() };
        Self { y, stride, mode }
    }
}

/// All rows times some consecutive panels.
pub(super) struct Rows<'a, F> {
    /// Of the terms.
    pub factors: F,
    /// Of terms that follow those.
    pub then: Option<Packed<'a, Full>>,
    /// How many rows.
    pub rows: usize,
    /// How many panels.
    pub count: usize,
    /// The first panel's number.
    pub first: usize,
    /// The products.
    pub out: Out<'a>,
}

impl<F: Factors> Work for Rows<'_, F> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        self.factors.covers(self.rows, self.count);
        if let Some(then) = &self.then {
            then.covers(self.rows, self.count);
        }
        for start in (0..self.rows).step_by(ROWS_AT_ONCE) {
            let rows = start..self.rows.min(start + ROWS_AT_ONCE);
            if I::WIDE {
                self.panels_at_once::<I, { WIDE[0] }, { WIDE[1] }>(rows);
            } else {
                self.panels_at_once::<I, { NARROW[0] }, { NARROW[1] }>(rows);
            }
        }
    }
}

impl<F: Factors> Rows<'_, F> {
    #[inline(always)]
    fn panels_at_once<I: Isa, const R: usize, const P: usize>(&self, rows: Range<usize>) {
        let mut panel = 0;
        while panel + P <= self.count {
            self.rows_at_once::<I, R, P>(rows.clone(), panel);
            panel += P;
        }
        match self.count - panel {
            2 => self.rows_at_once::<I, R, 2>(rows, panel),
            1 => self.rows_at_once::<I, R, 1>(rows, panel),
            _ => (),
        }
    }

    #[inline(always)]
    fn rows_at_once<I: Isa, const R: usize, const P: usize>(
        &self,
        rows: Range<usize>,
        panel: usize,
    ) {
        let mut row = rows.start;
        while row + R <= rows.end {
            self.one::<I, R, P>(row, panel);
            row += R;
        }
        match rows.end - row {
            1 => self.one::<I, 1, P>(row, panel),
            2 => self.one::<I, 2, P>(row, panel),
            3 => self.one::<I, 3, P>(row, panel),
            4 => self.one::<I, 4, P>(row, panel),
            5 => self.one::<I, 5, P>(row, panel),
            6 => self.one::<I, 6, P>(row, panel),
            7 => self.one::<I, 7, P>(row, panel),
            _ => (),
        }
    }

    #[inline(always)]
    fn one<I: Isa, const R: usize, const P: usize>(&self, row: usize, panel: usize) {
        let column = (self.first + panel) * WIDTH;
        let mut sums = [[I::zero(); P]; R];
        if self.out.mode == Mode::Add {
            for (r, sums) in sums.iter_mut().enumerate() {
                for (p, sums) in sums.iter_mut().enumerate() {
                    *sums = self.out.load::<I>(row + r, column + p * WIDTH);
                }
            }
        }
        // SAFETY: `run` has seen that the factors cover all rows and panels.
        #[allow(unsafe_code)]
        unsafe {
            sums = tile::<I, F, R, P>(&self.factors, row, panel, sums);
            if let Some(then) = &self.then {
                sums = tile::<I, _, R, P>(then, row, panel, sums);
            }
        }
        // By reference: an array of registers taken apart by value is copied in memory first, and its stores then wait for each other.
        for (r, sums) in sums.iter().enumerate() {
            for (p, sums) in sums.iter().enumerate() {
                self.out.store::<I>(row + r, column + p * WIDTH, *sums);
            }
        }
    }
}

impl Out<'_> {
    /// The numbers of a panel in a row; fewer than sixteen in the last.
    #[inline(always)]
    fn at(&self, row: usize, column: usize) -> &mut [MaybeUninit<f32>] {
        let start = row * self.stride + column;
        let width = WIDTH.min(self.stride - column);
        // SAFETY: the columns of these panels are the caller's alone, and he takes one panel's at a time.
        #[allow(unsafe_code)]
        unsafe {
            self.y.part(start..start + width)
        }
    }

    #[inline(always)]
    fn load<I: Isa>(&self, row: usize, column: usize) -> I::Vector {
        // SAFETY: to be added to, they were written.
        #[allow(unsafe_code)]
        let from = unsafe { self.at(row, column).assume_init_ref() };
        if let Some(whole) = from.as_array() {
            return I::load(whole);
        }
        let mut numbers = [0.0; WIDTH];
        numbers[..from.len()].copy_from_slice(from);
        I::load(&numbers)
    }

    #[inline(always)]
    fn store<I: Isa>(&self, row: usize, column: usize, sums: I::Vector) {
        let into = self.at(row, column);
        if let Some(whole) = into.as_mut_array() {
            return I::store(sums, whole);
        }
        let mut numbers = [MaybeUninit::uninit(); WIDTH];
        I::store(sums, &mut numbers);
        into.copy_from_slice(&numbers[..into.len()]);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kernels::Precision;

    /// Numbers that differ, and are exact in bf16.
    fn numbers(count: usize, seed: usize) -> Vec<f32> {
        (0..count)
            .map(|i| ((i * 7919 + seed * 104_729) % 255) as f32 / 128.0 - 1.0)
            .collect()
    }

    /// x·Wᵀ for `weight` `[out, in]`, in f64.
    fn plain(x: &[f32], weight: &[f32], inputs: usize) -> Vec<f64> {
        let dot = |row: &[f32], weights: &[f32]| {
            let terms = row.iter().zip(weights);
            terms.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        x.chunks(inputs)
            .flat_map(|row| weight.chunks(inputs).map(move |weights| dot(row, weights)))
            .collect()
    }

    fn assert_close(found: &[f32], exact: &[f64], depth: usize) {
        assert_eq!(found.len(), exact.len());
        for (found, exact) in found.iter().zip(exact) {
            let error = (f64::from(*found) - exact).abs();
            assert!(error < 1e-6 * depth as f64, "{found} for {exact}");
        }
    }

    proptest! {
        #[test]
        fn a_packed_product_is_the_plain_one(
            rows in 1_usize..40, inputs in 1_usize..70, outputs in 1_usize..130, brief: bool,
        ) {
            let precision = if brief { Precision::Bf16 } else { Precision::F32 };
            let (x, weight) = (numbers(rows * inputs, 1), numbers(inputs * outputs, 2));
            let panels = Panels::pack(&weight, [inputs, outputs], (1, inputs), precision);
            let mut y = vec![1.0; rows * outputs];
            matmul(&x, &panels, &mut y, Mode::Set);
            let exact = plain(&x, &weight, inputs);
            assert_close(&y, &exact, inputs);
            matmul(&x, &panels, &mut y, Mode::Add);
            let twice: Vec<f64> = exact.iter().map(|y| 2.0 * y).collect();
            assert_close(&y, &twice, inputs);
        }

        #[test]
        fn the_input_gradient_is_the_product_with_the_transpose(
            rows in 1_usize..40, inputs in 1_usize..70, outputs in 1_usize..130, brief: bool,
        ) {
            let precision = if brief { Precision::Bf16 } else { Precision::F32 };
            let (dy, weight) = (numbers(rows * outputs, 3), numbers(inputs * outputs, 4));
            let panels = Panels::pack(&weight, [inputs, outputs], (1, inputs), precision);
            let dx = product_transposed(&dy, &panels, None);
            let transposed: Vec<f32> = (0..inputs)
                .flat_map(|input| weight.iter().skip(input).step_by(inputs).copied())
                .collect();
            assert_close(&dx, &plain(&dy, &transposed, outputs), outputs);
        }

        /// More terms than are transposed at a time.
        #[test]
        fn a_long_input_gradient_is_the_product_with_the_transpose(
            rows in 1_usize..10, inputs in 1_usize..20, beyond in 0_usize..70,
        ) {
            let outputs = DEPTH_AT_ONCE - 1 + beyond;
            let (dy, weight) = (numbers(rows * outputs, 3), numbers(inputs * outputs, 4));
            let panels = Panels::pack(&weight, [inputs, outputs], (1, inputs), Precision::F32);
            let dx = product_transposed(&dy, &panels, None);
            let transposed: Vec<f32> = (0..inputs)
                .flat_map(|input| weight.iter().skip(input).step_by(inputs).copied())
                .collect();
            assert_close(&dx, &plain(&dy, &transposed, outputs), outputs);
        }

        #[test]
        fn a_product_beside_another_is_added_to_it(
            rows in 1_usize..20, inputs in 1_usize..70, outputs in 1_usize..70, rank in 1_usize..20, transposed: bool,
        ) {
            let (x, weight) = (numbers(rows * inputs, 7), numbers(inputs * outputs, 8));
            let (inner, narrow) = (numbers(rows * rank, 9), numbers(rank * outputs, 10));
            let beside = Panels::pack(&narrow, [rank, outputs], (1, rank), Precision::F32);
            let y = if transposed {
                let panels = Panels::pack(&weight, [outputs, inputs], (inputs, 1), Precision::F32);
                product_transposed(&x, &panels, Some((&inner, &beside)))
            } else {
                let panels = Panels::pack(&weight, [inputs, outputs], (1, inputs), Precision::F32);
                product(&x, &panels, Some((&inner, &beside)))
            };
            let second = plain(&inner, &narrow, rank);
            let exact: Vec<f64> = plain(&x, &weight, inputs).iter().zip(second).map(|(a, b)| a + b).collect();
            assert_close(&y, &exact, inputs + rank);
        }

        #[test]
        fn a_product_across_is_that_of_the_transpose(
            rows in 1_usize..70, left in 1_usize..40, right in 1_usize..130,
        ) {
            let (a, b) = (numbers(rows * left, 11), numbers(rows * right, 12));
            let turned = |values: &[f32], width: usize| -> Vec<f32> {
                (0..width).flat_map(|column| values.iter().skip(column).step_by(width).copied()).collect()
            };
            let product = product_across(&a, &b, [left, right]);
            assert_close(&product, &plain(&turned(&a, left), &turned(&b, right), rows), rows);
        }

        #[test]
        fn a_row_does_not_depend_on_its_neighbours(
            rows in 1_usize..20, inputs in 1_usize..70, outputs in 1_usize..130,
        ) {
            let (x, weight) = (numbers(rows * inputs, 5), numbers(inputs * outputs, 6));
            let panels = Panels::pack(&weight, [inputs, outputs], (outputs, 1), Precision::F32);
            let mut together = vec![0.0; rows * outputs];
            matmul(&x, &panels, &mut together, Mode::Set);
            let mut alone = vec![0.0; outputs];
            for (row, together) in x.chunks(inputs).zip(together.chunks(outputs)) {
                matmul(row, &panels, &mut alone, Mode::Set);
                prop_assert_eq!(&alone[..], together);
            }
        }
    }

    #[test]
    fn parts_make_up_the_whole_and_touch_nothing_else() {
        let (x, weight) = (numbers(3 * 20, 7), numbers(20 * 50, 8));
        let panels = Panels::pack(&weight, [20, 50], (1, 20), Precision::F32);
        let mut whole = vec![0.0; 150];
        matmul(&x, &panels, &mut whole, Mode::Set);
        let mut y = vec![7.0; 150];
        // SAFETY: nobody else uses `y`.
        #[allow(unsafe_code)]
        unsafe {
            matmul_part(&x, &panels, None, 1..3, &Shared::new(&mut y), Mode::Set);
        }
        for (y, whole) in y.chunks(50).zip(whole.chunks(50)) {
            assert_eq!(y[16..48], whole[16..48]);
            assert!(y[..16].iter().chain(&y[48..]).all(|&y| y == 7.0));
        }
    }

    #[test]
    fn bf16_is_taken_where_it_loses_nothing() {
        let exact = numbers(500, 9); // multiples of 1/128 below 2
        assert_eq!(Precision::lossless(&exact), Precision::Bf16);
        assert_eq!(Precision::lossless([1.0, 0.1]), Precision::F32);
        let weight = &exact[..20 * 17];
        let pack = |precision| Panels::pack(weight, [20, 17], (1, 20), precision);
        let (brief, full) = (pack(Precision::Bf16), pack(Precision::F32));
        assert_eq!(2 * brief.bytes(), full.bytes());
        assert_eq!(brief.unpack((1, 20)), weight);
        let x = numbers(3 * 20, 10);
        let product = |weight| {
            let mut y = vec![0.0; 3 * 17];
            matmul(&x, weight, &mut y, Mode::Set);
            y
        };
        assert_eq!(product(&brief), product(&full));
    }

    #[test]
    fn bf16_keeps_the_nearest() {
        let panels = Panels::pack(&[1.003_906_3], [1, 1], (1, 1), Precision::Bf16);
        let mut y = [0.0];
        matmul(&[1.0], &panels, &mut y, Mode::Set);
        assert_eq!(y, [1.0]); // 1 + 2⁻⁸ lies between 1 and 1 + 2⁻⁷; the even one is kept
        assert_eq!(panels.bytes(), 32);
    }
}
