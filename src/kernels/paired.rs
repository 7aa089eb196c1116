//! What a weight's gradient is the product of, where its terms are taken by twos: columns and panels in pairs, rounded, or in parts that make up
//! numbers in f32.

use std::array;

use super::amx;
use super::isa::{Isa, Work, dispatch, transpose, unwritten};
use super::lanes::{Brief, Packable, Pair};
use super::panels::WIDTH;
use super::room::{Room, Use};
use super::split::side_by_side;

/// Both factors' rows, each number beside the one below it: `[rows / 2, width]`. Zeros lie below an odd row.
pub(super) fn with_columns<T>(
    factors: [&[f32]; 2],
    widths: [usize; 2],
    then: impl FnOnce([&[Pair]; 2]) -> T,
) -> T {
    let mut rooms = [Use::Left, Use::Right].map(Room::take);
    let [left, right] = &mut rooms;
    let [a, b] = factors;
    then([columns(left, a, widths[0]), columns(right, b, widths[1])])
}

fn columns<'a>(room: &'a mut Room, x: &[f32], width: usize) -> &'a [Pair] {
    let rows = x.len() / width.max(1);
    let into = room.pairs(rows.div_ceil(2) * width);
    dispatch(Columns { x, width, into });
    into
}

/// The same for a matrix unit, which takes whole tiles, so that there are `steps` twos of rows, zeros below the last: of the first factor each
/// column as a row of pairs, and of the second its panels.
pub(super) fn with_tiles<const N: usize, T>(
    [a, b]: [&[f32]; 2],
    [left, right]: [usize; 2],
    steps: usize,
    then: impl FnOnce(&[Pair], &[Brief]) -> T,
) -> T {
    let height = amx::height(left);
    let mut rooms = [Use::Left, Use::Panels].map(Room::take);
    let [rows, panels] = &mut rooms;
    let rows = rows.pairs(N * left.next_multiple_of(height) * steps);
    let panels = panels.lanes(N * right.div_ceil(WIDTH) * steps);
    let factor = |x, width| Factor { x, width, steps };
    dispatch(Upright::<N>(factor(a, left), height, rows));
    dispatch(InPanels::<N>(factor(b, right), panels));
    then(rows, panels)
}

/// Rows of `width` numbers, to be taken by twos.
#[derive(Clone, Copy)]
struct Factor<'a> {
    x: &'a [f32],
    width: usize,
    steps: usize,
}

impl Factor<'_> {
    /// Sixteen columns of the two rows of a step.
    #[inline(always)]
    fn step<I: Isa, const N: usize>(&self, step: usize, column: usize, into: &mut [Brief; N]) {
        side_by_side::<I, N>(
            self.row::<I>(2 * step, column),
            self.row::<I>(2 * step + 1, column),
            into,
        );
    }

    #[inline(always)]
    fn row<I: Isa>(&self, row: usize, column: usize) -> I::Vector {
        let from = row * self.width + column;
        let Some(numbers) = self.x.get(from..from + WIDTH.min(self.width - column)) else {
            return I::zero();
        };
        if let Some(whole) = numbers.as_array() {
            return I::load(whole);
        }
        let mut padded = [0.0; WIDTH];
        padded[..numbers.len()].copy_from_slice(numbers);
        I::load(&padded)
    }
}

struct Upright<'a, const N: usize>(Factor<'a>, usize, &'a mut [Pair]);

impl<const N: usize> Work for Upright<'_, N> {
    const BF16: bool = true;

    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self(factor, height, into) = self;
        let blocks = into.chunks_mut((N * height * factor.steps).max(1));
        for (block, column) in blocks.zip((0..factor.width).step_by(WIDTH)) {
            let (lanes, _) = block.as_chunks_mut::<WIDTH>();
            for (tile, lanes) in lanes.chunks_mut(N * height).enumerate() {
                let step = tile * WIDTH;
                let mut pairs = [[Brief::ZERO; N]; WIDTH];
                for (k, pairs) in pairs.iter_mut().enumerate() {
                    factor.step::<I, N>(step + k, column, pairs);
                }
                for (n, lanes) in lanes.chunks_mut(height).enumerate() {
                    // Bits on their way through registers, whatever they mean there.
                    let bits = |pair: Pair| f32::from_bits(pair.0);
                    let mut rows = array::from_fn(|k| I::load(&pairs[k][n].0.map(bits)));
                    transpose::<I>(&mut rows);
                    for (row, into) in rows.into_iter().zip(lanes) {
                        let mut numbers = [0.0; WIDTH];
                        I::store(row, unwritten(&mut numbers));
                        *into = numbers.map(|number| Pair(number.to_bits()));
                    }
                }
            }
        }
    }
}

struct InPanels<'a, const N: usize>(Factor<'a>, &'a mut [Brief]);

impl<const N: usize> Work for InPanels<'_, N> {
    const BF16: bool = true;

    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self(factor, into) = self;
        let (lanes, _) = into.as_chunks_mut::<N>();
        let panels = lanes.chunks_mut(factor.steps.max(1));
        for (panel, column) in panels.zip((0..factor.width).step_by(WIDTH)) {
            for (step, lanes) in panel.iter_mut().enumerate() {
                factor.step::<I, N>(step, column, lanes);
            }
        }
    }
}

struct Columns<'a> {
    x: &'a [f32],
    width: usize,
    into: &'a mut [Pair],
}

impl Work for Columns<'_> {
    const BF16: bool = true;

    #[inline(always)]
    fn run<I: Isa>(self) {
        let zeros = vec![0.0; self.width];
        let twos = self.x.chunks(2 * self.width.max(1));
        for (rows, into) in twos.zip(self.into.chunks_mut(self.width.max(1))) {
            let (first, second) = rows.split_at(self.width);
            let second = if second.is_empty() { &zeros } else { second };
            for ((first, second), into) in first
                .chunks(WIDTH)
                .zip(second.chunks(WIDTH))
                .zip(into.chunks_mut(WIDTH))
            {
                one_below::<I>(first, second, into);
            }
        }
    }
}

/// At most sixteen.
#[inline(always)]
fn one_below<I: Isa>(first: &[f32], second: &[f32], into: &mut [Pair]) {
    if let (Some(first), Some(second), Some(into)) =
        (first.as_array(), second.as_array(), into.as_mut_array())
    {
        let pairs = I::side_by_side(I::load(first), I::load(second));
        return I::store_pairs(pairs, into);
    }
    for ((first, second), into) in first.iter().zip(second).zip(into) {
        *into = Pair::nearest(*first, *second);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::panels::{Panels, Precision};
    use super::super::rows::tests::{in_row_tiles, number, whole};
    use super::super::split::PARTS;
    use super::*;

    proptest! {
        #[test]
        fn both_factors_of_a_gradient_are_the_sums_of_their_parts(
            rows in 1_usize..70, left in 1_usize..40, right in 1_usize..40,
        ) {
            let [a, b] = [left, right].map(|width| (0..rows * width).map(number).collect::<Vec<_>>());
            let steps = rows.div_ceil(2).next_multiple_of(WIDTH);
            Room::spoil(PARTS * 48 * steps);
            with_tiles::<PARTS, _>([&a, &b], [left, right], steps, |x, panels| {
                let at = |numbers: &[f32], width, row: usize, column| {
                    if row < rows { numbers[row * width + column] } else { 0.0 }
                };
                for step in 0..steps {
                    for column in 0..left {
                        let found = whole(in_row_tiles(x, left, steps, [column, step]));
                        assert_eq!(found, [0, 1].map(|i| at(&a, left, 2 * step + i, column)));
                    }
                    for column in 0..right {
                        let lane = PARTS * (column / WIDTH * steps + step);
                        let found = whole([0, 1, 2].map(|n| panels[lane + n].0[column % WIDTH]));
                        assert_eq!(found, [0, 1].map(|i| at(&b, right, 2 * step + i, column)));
                    }
                }
            });
        }

        #[test]
        fn a_transposed_panel_is_the_sum_of_its_parts_and_ends_in_zeros(
            inputs in 1_usize..40, outputs in 1_usize..100,
        ) {
            let weight: Vec<f32> = (0..inputs * outputs).map(number).collect();
            let panels = Panels::pack(&weight, [inputs, outputs], (1, inputs), Precision::F32);
            let steps = outputs.div_ceil(2).next_multiple_of(WIDTH);
            let count = inputs.div_ceil(WIDTH);
            let mut turned = vec![[Brief([Pair(u32::MAX); WIDTH]); PARTS]; count * steps];
            panels.transposed(0..count, 0..outputs, &mut turned);
            for input in 0..inputs {
                for step in 0..steps {
                    let lane = &turned[input / WIDTH * steps + step];
                    let found = whole([0, 1, 2].map(|n| lane[n].0[input % WIDTH]));
                    let at = |output: usize| weight.get(output * inputs + input).copied().unwrap_or(0.0);
                    assert_eq!(found, [at(2 * step), at(2 * step + 1)]);
                }
            }
        }
    }
}
