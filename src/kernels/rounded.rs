//! What products in bf16 multiply: rows, rounded to pairs.

use std::array;
use std::cell::Cell;
use std::ptr;
use std::slice;

use super::isa::{Isa, Work, dispatch, transpose, unwritten};
use super::lanes::{Brief, Full, Lanes, Pair};
use super::panels::WIDTH;

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

/// Rows of `width` numbers, each number beside the next one. A row of an odd number of them ends in a zero.
pub(super) fn with_rows<T>(x: &[f32], width: usize, then: impl FnOnce(&[Pair]) -> T) -> T {
    let (rows, pairs) = (x.len() / width.max(1), width.div_ceil(2));
    with_pairs(0, rows * pairs, |into| {
        dispatch(Rows { x, width, into });
        then(into)
    })
}

struct Rows<'a> {
    x: &'a [f32],
    width: usize,
    into: &'a mut [Pair],
}

impl Work for Rows<'_> {
    const BF16: bool = true;

    #[inline(always)]
    fn run<I: Isa>(self) {
        let rows = self.x.chunks(self.width.max(1));
        let pairs = self.into.chunks_mut(self.width.div_ceil(2).max(1));
        for (from, into) in rows.zip(pairs) {
            for (from, into) in from.chunks(2 * WIDTH).zip(into.chunks_mut(WIDTH)) {
                if let (Some(from), Some(into)) = (from.as_array(), into.as_mut_array()) {
                    I::store_pairs(halves::<I>(from), into);
                } else {
                    let mut numbers = [0.0; 2 * WIDTH];
                    numbers[..from.len()].copy_from_slice(from);
                    let mut pairs = [Pair::ZERO; WIDTH];
                    I::store_pairs(halves::<I>(&numbers), &mut pairs);
                    into.copy_from_slice(&pairs[..into.len()]);
                }
            }
        }
    }
}

#[inline(always)]
fn halves<I: Isa>(numbers: &[f32; 2 * WIDTH]) -> I::Pairs {
    let (halves, _) = numbers.as_chunks::<WIDTH>();
    I::in_pairs(I::load(&halves[0]), I::load(&halves[1]))
}

/// Lanes of two inputs each, side by side. What follows them in memory is asked for, since it is likely to be next.
///
/// # Panics
/// Unless there are twice as many of one input.
pub(super) fn lanes(from: &[Full], into: &mut [Brief]) {
    assert!(from.len() == 2 * into.len());
    dispatch(SideBySide { from, into });
}

/// Cache lines, of 64 bytes.
const LANES_AHEAD: usize = 128;

struct SideBySide<'a> {
    from: &'a [Full],
    into: &'a mut [Brief],
}

impl Work for SideBySide<'_> {
    const BF16: bool = true;

    #[inline(always)]
    fn run<I: Isa>(self) {
        let (twos, _) = self.from.as_chunks();
        for ([first, second], into) in twos.iter().zip(self.into) {
            for lane in [first, second] {
                I::prefetch(ptr::from_ref(lane).wrapping_add(LANES_AHEAD).cast());
            }
            let pairs = I::side_by_side(I::load(&first.0), I::load(&second.0));
            I::store_pairs(pairs, &mut into.0);
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
/// column as a row of pairs, `[width, steps]`, and of the second its panels.
pub(super) fn with_tiles<T>(
    [a, b]: [&[f32]; 2],
    [left, right]: [usize; 2],
    steps: usize,
    then: impl FnOnce(&[Pair], &[Brief]) -> T,
) -> T {
    with_pairs(0, left.next_multiple_of(WIDTH) * steps, |rows| {
        let factor = |x, width| Factor { x, width, steps };
        dispatch(Upright(factor(a, left), rows));
        with_lanes(right.div_ceil(WIDTH) * steps, |panels| {
            dispatch(InPanels(factor(b, right), panels));
            then(&rows[..left * steps], panels)
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
    fn step<I: Isa>(&self, step: usize, column: usize) -> I::Pairs {
        I::side_by_side(
            self.row::<I>(2 * step, column),
            self.row::<I>(2 * step + 1, column),
        )
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

struct Upright<'a>(Factor<'a>, &'a mut [Pair]);

impl Work for Upright<'_> {
    const BF16: bool = true;

    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self(factor, into) = self;
        let blocks = into.chunks_mut((WIDTH * factor.steps).max(1));
        for (block, column) in blocks.zip((0..factor.width).step_by(WIDTH)) {
            for step in (0..factor.steps).step_by(WIDTH) {
                let mut pairs = [[Pair::ZERO; WIDTH]; WIDTH];
                for (k, pairs) in pairs.iter_mut().enumerate() {
                    I::store_pairs(factor.step::<I>(step + k, column), pairs);
                }
                // Bits on their way through registers, whatever they mean there.
                let bits = |pair: Pair| f32::from_bits(pair.0);
                let mut rows = array::from_fn(|k| I::load(&pairs[k].map(bits)));
                transpose::<I>(&mut rows);
                for (row, into) in rows.into_iter().zip(block.chunks_mut(factor.steps)) {
                    let mut numbers = [0.0; WIDTH];
                    I::store(row, unwritten(&mut numbers));
                    let pairs = numbers.map(|number| Pair(number.to_bits()));
                    into[step..step + WIDTH].copy_from_slice(&pairs);
                }
            }
        }
    }
}

struct InPanels<'a>(Factor<'a>, &'a mut [Brief]);

impl Work for InPanels<'_> {
    const BF16: bool = true;

    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self(factor, into) = self;
        let panels = into.chunks_mut(factor.steps.max(1));
        for (panel, column) in panels.zip((0..factor.width).step_by(WIDTH)) {
            for (step, lanes) in panel.iter_mut().enumerate() {
                I::store_pairs(factor.step::<I>(step, column), &mut lanes.0);
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
