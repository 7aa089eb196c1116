//! Rows as products take them up.

use super::amx;
use super::isa::{Isa, Work, dispatch};
use super::lanes::Pair;
use super::panels::WIDTH;
use super::room::{Room, Use};
use super::split::split;

/// What is made of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Pairs, row after row.
    Pairs,
    /// Tiles for a matrix unit, in so many parts.
    Tiles(usize),
}

/// The rows of a product, or of one after the other with several weights: what one makes of them is there for the next that needs the same.
#[derive(Debug)]
pub struct Rows<'a> {
    x: &'a [f32],
    width: usize,
    count: usize,
    /// What is in the room, if anything is.
    form: Option<Form>,
    room: Room,
}

impl<'a> Rows<'a> {
    /// Rows of `width` numbers, one after the other.
    ///
    /// # Panics
    /// If the last is not whole.
    pub fn new(x: &'a [f32], width: usize) -> Self {
        Self {
            x,
            width,
            count: rows_of(x, width),
            form: None,
            room: Room::take(Use::Left),
        }
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Numbers in each.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// As they are.
    pub(super) fn numbers(&self) -> &'a [f32] {
        self.x
    }

    /// Each number beside the next one, rounded, with a zero after the last of an odd width.
    pub(super) fn pairs(&mut self) -> &[Pair] {
        let &mut Self { x, width, .. } = self;
        let steps = width.div_ceil(2);
        self.in_form(Form::Pairs, self.count * steps, |into| {
            dispatch(InPairs {
                x,
                width,
                steps,
                into,
            });
        })
    }

    /// For a matrix unit, as [`Tiled`](amx::Tiled) has them: in `N` parts, or rounded, with zeros that make up whole tiles of steps, and rows of whatever
    /// is there that make up the last tile of rows.
    pub(super) fn tiles<const N: usize>(&mut self) -> &[Pair] {
        let &mut Self { x, width, .. } = self;
        let steps = amx::steps(width);
        let height = amx::height(self.count);
        let pairs = N * self.count.next_multiple_of(height) * steps;
        self.in_form(Form::Tiles(N), pairs, |into| {
            dispatch(InTiles::<N> {
                x,
                width,
                steps,
                height,
                into,
            });
        })
    }

    /// The rows in this form, of so many pairs, which `make` writes unless they are there.
    fn in_form(&mut self, form: Form, pairs: usize, make: impl FnOnce(&mut [Pair])) -> &[Pair] {
        let into = self.room.pairs(pairs);
        if self.form != Some(form) {
            make(into);
            self.form = Some(form);
        }
        into
    }
}

/// How many rows of `width` numbers there are.
///
/// # Panics
/// If the last is not whole.
pub(super) fn rows_of<T>(x: &[T], width: usize) -> usize {
    let rows = x.len().checked_div(width).unwrap_or(0);
    assert_eq!(rows * width, x.len());
    rows
}

struct InPairs<'a> {
    x: &'a [f32],
    width: usize,
    steps: usize,
    into: &'a mut [Pair],
}

impl Work for InPairs<'_> {
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

struct InTiles<'a, const N: usize> {
    x: &'a [f32],
    width: usize,
    steps: usize,
    height: usize,
    into: &'a mut [Pair],
}

impl<const N: usize> Work for InTiles<'_, N> {
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

#[cfg(test)]
pub(super) mod tests {
    use std::array;

    use proptest::prelude::*;

    use super::super::split::PARTS;
    use super::*;

    pub(in super::super) fn number(i: usize) -> f32 {
        ((i * 7919) % 1013) as f32 / 3.0 - 160.0
    }

    /// What the parts of a pair's numbers make up.
    pub(in super::super) fn whole(parts: [Pair; PARTS]) -> [f32; 2] {
        [0, 1].map(|which| parts.iter().map(|part| part.number(which)).sum())
    }

    /// A step of one of `rows` rows, as the unit finds it.
    pub(in super::super) fn in_row_tiles(
        x: &[Pair],
        rows: usize,
        steps: usize,
        [row, step]: [usize; 2],
    ) -> [Pair; PARTS] {
        let height = rows.min(16);
        let tile = row / 16 * steps / 16 + step / 16;
        array::from_fn(|n| x[((tile * PARTS + n) * height + row % 16) * 16 + step % 16])
    }

    proptest! {
        #[test]
        fn rows_are_the_sums_of_their_parts_and_end_in_zeros(count in 1_usize..40, width in 1_usize..100) {
            let x: Vec<f32> = (0..count * width).map(number).collect();
            let steps = width.div_ceil(2).next_multiple_of(WIDTH);
            Room::spoil(PARTS * 48 * steps);
            let mut rows = Rows::new(&x, width);
            let tiles = rows.tiles::<PARTS>();
            for (r, x) in x.chunks(width).enumerate() {
                for step in 0..steps {
                    let found = whole(in_row_tiles(tiles, count, steps, [r, step]));
                    let expected = [0, 1].map(|i| x.get(2 * step + i).copied().unwrap_or(0.0));
                    assert_eq!(found, expected);
                }
            }
        }

        #[test]
        fn what_was_made_of_rows_is_made_anew_in_another_form(
            count in prop_oneof![1..=16_usize, Just(32)], // whole tiles: in the last of others are rows of whatever was there
            width in 1_usize..100,
        ) {
            let x: Vec<f32> = (0..count * width).map(number).collect();
            let alone = [
                Rows::new(&x, width).pairs().to_vec(),
                Rows::new(&x, width).tiles::<1>().to_vec(),
                Rows::new(&x, width).tiles::<PARTS>().to_vec(),
            ];
            let mut rows = Rows::new(&x, width);
            for _ in 0..2 {
                assert_eq!(rows.tiles::<PARTS>(), alone[2]);
                assert_eq!(rows.pairs(), alone[0]);
                assert_eq!(rows.tiles::<1>(), alone[1]);
            }
        }
    }

    #[test]
    fn what_is_there_is_not_made_again() {
        let x: Vec<f32> = (0..3 * 40).map(number).collect();
        let mut rows = Rows::new(&x, 40);
        let length = rows.tiles::<PARTS>().len();
        let mark = vec![Pair(u32::MAX); length];
        rows.room.pairs(length).copy_from_slice(&mark);
        assert_eq!(rows.tiles::<PARTS>(), mark);
        let pairs = rows.pairs().len();
        assert_ne!(rows.pairs(), &mark[..pairs]);
        assert_ne!(rows.tiles::<PARTS>(), mark);
    }
}
