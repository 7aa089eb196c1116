//! What products in bf16 multiply: rows and panels in pairs, rounded, or in parts that make up numbers in f32.

use std::array;
use std::cell::Cell;
use std::slice;

use super::amx;
use super::isa::{Isa, Work, dispatch, transpose, unwritten};
use super::lanes::{Brief, Packable, Pair};
use super::panels::WIDTH;
use super::split::{side_by_side, split};

thread_local! {
    /// Room that a product leaves to the next: a decoder asks for it hundreds of times for every token. One is for either factor, one for
    /// panels.
    static ROOM: [Cell<Vec<Brief>>; 3] = const { [const { Cell::new(Vec::new()) }; 3] };
}

/// The room for panels.
const PANELS: usize = 2;

fn with_room<T>(which: usize, length: usize, then: impl FnOnce(&mut [Brief]) -> T) -> T {
    let mut room = ROOM.with(|rooms| rooms[which].take());
    room.resize(room.len().max(length), Brief::ZERO);
    let result = then(&mut room[..length]);
    ROOM.with(|rooms| rooms[which].set(room));
    result
}

fn with_pairs<T>(which: usize, length: usize, then: impl FnOnce(&mut [Pair]) -> T) -> T {
    with_room(which, length.div_ceil(WIDTH), |lanes| {
        then(&mut pairs(lanes)[..length])
    })
}

/// The pairs of lanes: so that they begin with a cache line.
fn pairs(lanes: &mut [Brief]) -> &mut [Pair] {
    let length = lanes.len() * WIDTH;
    // SAFETY: a lane is sixteen pairs and nothing else.
    #[allow(unsafe_code)]
    unsafe {
        slice::from_raw_parts_mut(lanes.as_mut_ptr().cast(), length)
    }
}

/// Room for so many lanes of panels, whatever is in it.
pub(super) fn with_lanes<T>(length: usize, then: impl FnOnce(&mut [Brief]) -> T) -> T {
    with_room(PANELS, length, then)
}

/// Rows of `width` numbers, each number beside the next one: `steps` pairs, with a zero after the last of an odd width.
///
/// # Panics
/// If there are other steps than the numbers take.
pub(super) fn with_rows<T>(
    x: &[f32],
    width: usize,
    steps: usize,
    then: impl FnOnce(&[Pair]) -> T,
) -> T {
    assert_eq!(steps, width.div_ceil(2));
    let rows = x.len() / width.max(1);
    with_pairs(0, rows * steps, |into| {
        dispatch(Rows {
            x,
            width,
            steps,
            into,
        });
        then(into)
    })
}

struct Rows<'a> {
    x: &'a [f32],
    width: usize,
    steps: usize,
    into: &'a mut [Pair],
}

impl Work for Rows<'_> {
    const BF16: bool = true;

    #[inline(always)]
    fn run<I: Isa>(self) {
        let rows = self.x.chunks(self.width.max(1));
        for (from, into) in rows.zip(self.into.chunks_mut(self.steps.max(1))) {
            for (from, into) in from.chunks(2 * WIDTH).zip(into.chunks_mut(WIDTH)) {
                let [first, second] = thirty_two::<I>(from);
                let pairs = I::in_pairs(first, second);
                if let Some(into) = into.as_mut_array() {
                    I::store_pairs(pairs, into);
                } else {
                    let mut last = [Pair::ZERO; WIDTH];
                    I::store_pairs(pairs, &mut last);
                    into.copy_from_slice(&last[..into.len()]);
                }
            }
        }
    }
}

/// At most so many numbers, and zeros after them.
#[inline(always)]
fn thirty_two<I: Isa>(from: &[f32]) -> [I::Vector; 2] {
    let mut numbers = [0.0; 2 * WIDTH];
    let numbers = from.as_array().unwrap_or_else(|| {
        numbers[..from.len()].copy_from_slice(from);
        &numbers
    });
    let (halves, _) = numbers.as_chunks::<WIDTH>();
    [I::load(&halves[0]), I::load(&halves[1])]
}

/// The same for a matrix unit, as [`Tiled`](amx::Tiled) has them: in `N` parts, with zeros that make up whole tiles of steps, and rows of whatever
/// is there that make up the last tile of rows.
///
/// # Panics
/// If there are other tiles than the numbers take.
pub(super) fn with_row_tiles<const N: usize, T>(
    x: &[f32],
    width: usize,
    steps: usize,
    then: impl FnOnce(&[Pair]) -> T,
) -> T {
    assert_eq!(steps, width.div_ceil(2).next_multiple_of(amx::STEPS));
    let rows = x.len() / width.max(1);
    let height = amx::height(rows);
    with_pairs(0, N * rows.next_multiple_of(height) * steps, |into| {
        dispatch(RowTiles::<N> {
            x,
            width,
            steps,
            height,
            into,
        });
        then(into)
    })
}

struct RowTiles<'a, const N: usize> {
    x: &'a [f32],
    width: usize,
    steps: usize,
    height: usize,
    into: &'a mut [Pair],
}

impl<const N: usize> Work for RowTiles<'_, N> {
    const BF16: bool = true;

    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { width, height, .. } = self;
        let rows = self.x.chunks((height * width).max(1));
        let tiles = self.into.chunks_mut((N * height * self.steps).max(1));
        for (rows, tiles) in rows.zip(tiles) {
            let (lanes, _) = tiles.as_chunks_mut();
            for (tile, lanes) in lanes.chunks_mut(N * height).enumerate() {
                for (r, row) in rows.chunks(width).enumerate() {
                    let from = 2 * amx::STEPS * tile;
                    let [first, second] =
                        thirty_two::<I>(&row[from..width.min(from + 2 * amx::STEPS)]);
                    split::<I, N>(first, second, |n, first, second| {
                        I::store_pairs(I::in_pairs(first, second), &mut lanes[n * height + r]);
                    });
                }
            }
        }
    }
}

/// Both factors' rows, each number beside the one below it: `[rows / 2, width]`. Zeros lie below an odd row.
pub(super) fn with_columns<T>(
    factors: [&[f32]; 2],
    widths: [usize; 2],
    then: impl FnOnce([&[Pair]; 2]) -> T,
) -> T {
    let [a, b] = factors;
    with_one_s_columns(0, a, widths[0], |a| {
        with_one_s_columns(1, b, widths[1], |b| then([a, b]))
    })
}

fn with_one_s_columns<T>(
    which: usize,
    x: &[f32],
    width: usize,
    then: impl FnOnce(&[Pair]) -> T,
) -> T {
    let rows = x.len() / width.max(1);
    with_pairs(which, rows.div_ceil(2) * width, |into| {
        dispatch(Columns { x, width, into });
        then(into)
    })
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
    with_pairs(0, N * left.next_multiple_of(height) * steps, |rows| {
        let factor = |x, width| Factor { x, width, steps };
        dispatch(Upright::<N>(factor(a, left), height, rows));
        with_lanes(N * right.div_ceil(WIDTH) * steps, |panels| {
            dispatch(InPanels::<N>(factor(b, right), panels));
            then(rows, panels)
        })
    })
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
    use super::super::split::PARTS;
    use super::*;

    fn number(i: usize) -> f32 {
        ((i * 7919) % 1013) as f32 / 3.0 - 160.0
    }

    /// What the parts of a pair's numbers make up.
    fn whole(parts: [Pair; PARTS]) -> [f32; 2] {
        [0, 1].map(|which| parts.iter().map(|part| part.number(which)).sum())
    }

    /// A step of one of `rows` rows, as the unit finds it.
    fn in_row_tiles(
        x: &[Pair],
        rows: usize,
        steps: usize,
        [row, step]: [usize; 2],
    ) -> [Pair; PARTS] {
        let height = rows.min(16);
        let tile = row / 16 * steps / 16 + step / 16;
        array::from_fn(|n| x[((tile * PARTS + n) * height + row % 16) * 16 + step % 16])
    }

    /// So that nothing passes for a zero that was only left from before.
    fn spoil(length: usize) {
        for which in 0..=PANELS {
            with_room(which, length, |room| {
                room.fill(Brief([Pair(u32::MAX); WIDTH]));
            });
        }
    }

    proptest! {
        #[test]
        fn rows_are_the_sums_of_their_parts_and_end_in_zeros(rows in 1_usize..40, width in 1_usize..100) {
            let x: Vec<f32> = (0..rows * width).map(number).collect();
            let steps = width.div_ceil(2).next_multiple_of(WIDTH);
            spoil(PARTS * 48 * steps);
            with_row_tiles::<PARTS, _>(&x, width, steps, |pairs| {
                for (r, x) in x.chunks(width).enumerate() {
                    for step in 0..steps {
                        let found = whole(in_row_tiles(pairs, rows, steps, [r, step]));
                        let expected = [0, 1].map(|i| x.get(2 * step + i).copied().unwrap_or(0.0));
                        assert_eq!(found, expected);
                    }
                }
            });
        }

        #[test]
        fn both_factors_of_a_gradient_are_the_sums_of_their_parts(
            rows in 1_usize..70, left in 1_usize..40, right in 1_usize..40,
        ) {
            let [a, b] = [left, right].map(|width| (0..rows * width).map(number).collect::<Vec<_>>());
            let steps = rows.div_ceil(2).next_multiple_of(WIDTH);
            spoil(PARTS * 48 * steps);
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
