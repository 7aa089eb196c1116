//! Products of row-major rows and packed weights.

use std::ops::Range;

use super::isa::{Isa, Work, dispatch};
use super::panels::{Full, Lanes, Panels, Storage, WIDTH};
use super::shared::Shared;
use super::tile::tile;

/// Rows that are taken through all panels before the next: those of SmolLM2's widest layer fill half of a 1 MiB cache.
const ROWS_AT_ONCE: usize = 96;

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
    let rows = rows_of(x, weight.inputs());
    assert_eq!(y.len(), rows * weight.outputs());
    // SAFETY: `y` is borrowed exclusively, and this is the only part of it.
    #[allow(unsafe_code)]
    unsafe {
        matmul_part(x, weight, 0..weight.count(), &Shared::new(y), mode);
    }
}

/// The columns of [`matmul`] that the panels `range` give.
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
    range: Range<usize>,
    y: &Shared<'_>,
    mode: Mode,
) {
    let depth = weight.inputs();
    let out = Out {
        y: *y,
        stride: weight.outputs(),
        mode,
    };
    match &weight.storage {
        Storage::F32(lanes) => run(x, lanes, depth, range, out),
        Storage::Bf16(lanes) => run(x, lanes, depth, range, out),
    }
}

/// dx = dy·W, or dx += dy·W: the input gradient of [`matmul`], on this thread. The panels are transposed a few at a time, which costs
/// one pass over the weight.
///
/// # Shapes
/// `dy`: `[n, outputs]`; `dx`: `[n, inputs]`.
///
/// # Panics
/// If the shapes do not agree.
pub fn matmul_transposed(dy: &[f32], weight: &Panels, dx: &mut [f32], mode: Mode) {
    let (inputs, depth) = (weight.inputs(), weight.outputs());
    let rows = rows_of(dy, depth);
    assert_eq!(dx.len(), rows * inputs);
    let y = Shared::new(dx);
    let panels = inputs.div_ceil(WIDTH);
    let mut scratch = vec![Full::ZERO; PANELS_AT_ONCE * depth.min(DEPTH_AT_ONCE)];
    for start in (0..depth).step_by(DEPTH_AT_ONCE) {
        let part = start..depth.min(start + DEPTH_AT_ONCE);
        let mode = if start == 0 { mode } else { Mode::Add };
        for first in (0..panels).step_by(PANELS_AT_ONCE) {
            let count = PANELS_AT_ONCE.min(panels - first);
            weight.transposed(first..first + count, part.clone(), &mut scratch);
            dispatch(Rows {
                x: &dy[part.start..],
                depth: part.len(),
                row_stride: depth,
                panels: &scratch[..count * part.len()],
                count,
                stride: part.len(),
                first,
                out: Out {
                    y,
                    stride: inputs,
                    mode,
                },
            });
        }
    }
}

fn rows_of(x: &[f32], width: usize) -> usize {
    let rows = x.len().checked_div(width).unwrap_or(0);
    assert_eq!(rows * width, x.len());
    rows
}

fn run<L: Lanes>(x: &[f32], lanes: &[L], depth: usize, range: Range<usize>, out: Out<'_>) {
    dispatch(Rows {
        x,
        depth,
        row_stride: depth,
        panels: &lanes[range.start * depth..range.end * depth],
        count: range.len(),
        stride: depth,
        first: range.start,
        out,
    });
}

/// Where the sums go.
#[derive(Clone, Copy)]
pub(super) struct Out<'a> {
    /// Row-major.
    pub y: Shared<'a>,
    /// Numbers in a row, and the end of its last panel.
    pub stride: usize,
    /// What becomes of those already there.
    pub mode: Mode,
}

impl<'a> Out<'a> {
    /// Into rows of `stride` numbers.
    pub(super) fn rows(y: &'a mut [f32], stride: usize, mode: Mode) -> Self {
        Self {
            y: Shared::new(y),
            stride,
            mode,
        }
    }
}

/// All rows times some consecutive panels.
pub(super) struct Rows<'a, L> {
    /// Rows of `depth` numbers.
    pub x: &'a [f32],
    /// Terms of a sum.
    pub depth: usize,
    /// From the start of a row to the next; at least `depth`.
    pub row_stride: usize,
    /// The panels' lanes.
    pub panels: &'a [L],
    /// How many panels.
    pub count: usize,
    /// From the start of a panel to the next; at least `depth`.
    pub stride: usize,
    /// The first panel's number.
    pub first: usize,
    /// The products.
    pub out: Out<'a>,
}

impl<L: Lanes> Work for Rows<'_, L> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        // The last row may end with its last term.
        let rows = (self.x.len() + self.row_stride - self.depth).checked_div(self.row_stride);
        let rows = rows.unwrap_or(0);
        for start in (0..rows).step_by(ROWS_AT_ONCE) {
            let rows = start..rows.min(start + ROWS_AT_ONCE);
            if I::WIDE {
                self.panels_at_once::<I, 8, 3>(rows);
            } else {
                self.panels_at_once::<I, 6, 1>(rows);
            }
        }
    }
}

impl<L: Lanes> Rows<'_, L> {
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
        let tiles = rows.len().div_ceil(R);
        let ahead = |row| self.ahead((row - rows.start) / R, tiles, panel);
        while row + R <= rows.end {
            self.one::<I, R, P>(row, panel, ahead(row));
            row += R;
        }
        let ahead = ahead(row);
        match rows.end - row {
            1 => self.one::<I, 1, P>(row, panel, ahead),
            2 => self.one::<I, 2, P>(row, panel, ahead),
            3 => self.one::<I, 3, P>(row, panel, ahead),
            4 => self.one::<I, 4, P>(row, panel, ahead),
            5 => self.one::<I, 5, P>(row, panel, ahead),
            6 => self.one::<I, 6, P>(row, panel, ahead),
            7 => self.one::<I, 7, P>(row, panel, ahead),
            _ => (),
        }
    }

    /// How far away the panels lie that a tile brings near while it works: each of the next ones in one of the first of the `tiles`, so that memory
    /// is read evenly.
    #[inline(always)]
    fn ahead<const P: usize>(&self, tile: usize, tiles: usize, panel: usize) -> [usize; P] {
        let more = panel + 2 * P <= self.count;
        std::array::from_fn(|p| {
            let now = more && p * tiles.min(P) / P == tile;
            if now { P * self.stride } else { 0 }
        })
    }

    #[inline(always)]
    fn one<I: Isa, const R: usize, const P: usize>(
        &self,
        row: usize,
        panel: usize,
        ahead: [usize; P],
    ) {
        let a = std::array::from_fn(|r| &self.x[(row + r) * self.row_stride..][..self.depth]);
        let b = std::array::from_fn(|p| &self.panels[(panel + p) * self.stride..][..self.depth]);
        let sums = tile::<I, L, R, P>(a, b, ahead);
        // By reference: arrays taken apart by value are copied in memory first, and stores then wait for each other.
        for (r, sums) in sums.iter().enumerate() {
            for (p, sums) in sums.iter().enumerate() {
                let column = (self.first + panel + p) * WIDTH;
                self.out.write::<I>(row + r, column, *sums);
            }
        }
    }
}

impl Out<'_> {
    #[inline(always)]
    fn write<I: Isa>(&self, row: usize, column: usize, sums: I::Vector) {
        let start = row * self.stride + column;
        let width = WIDTH.min(self.stride - column);
        // SAFETY: the columns of these panels are the caller's alone.
        #[allow(unsafe_code)]
        let into = unsafe { self.y.part(start..start + width) };
        if let Ok(whole) = <&mut [f32; WIDTH]>::try_from(&mut *into) {
            let sums = match self.mode {
                Mode::Set => sums,
                Mode::Add => I::fused_all(I::all(1.0), I::load(whole), sums),
            };
            return I::store(sums, whole);
        }
        let mut numbers = [0.0; WIDTH];
        I::store(sums, &mut numbers);
        for (into, number) in into.iter_mut().zip(numbers) {
            *into = match self.mode {
                Mode::Set => number,
                Mode::Add => *into + number,
            };
        }
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
            let mut dx = vec![1.0; rows * inputs];
            matmul_transposed(&dy, &panels, &mut dx, Mode::Set);
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
            let mut dx = vec![1.0; rows * inputs];
            matmul_transposed(&dy, &panels, &mut dx, Mode::Set);
            let transposed: Vec<f32> = (0..inputs)
                .flat_map(|input| weight.iter().skip(input).step_by(inputs).copied())
                .collect();
            assert_close(&dx, &plain(&dy, &transposed, outputs), outputs);
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
            matmul_part(&x, &panels, 1..3, &Shared::new(&mut y), Mode::Set);
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
