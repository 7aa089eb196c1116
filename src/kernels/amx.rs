//! Products by the processor's matrix unit, Intel's AMX, which multiplies bf16: sixteen rows by sixteen outputs by thirty-two inputs in an
//! instruction. Numbers in f32 are products of their parts ([`split`](super::split)).
//!
//! A panel of pairs is, sixteen pairs at a time, what the unit calls a tile, and so are sixteen rows of pairs. The order of a sum is fixed here
//! too, but it is another than that of `vdpbf16ps`: the unit adds up the first numbers' products of sixteen pairs, and the second ones', and then
//! both to what was there.

use std::array;
use std::mem::swap;
use std::ops::Range;

use super::grid::Grid;
use super::isa::{Isa, Work, dispatch};
use super::lanes::{Brief, Full, Pair};
use super::split::PARTS;
use super::tile::Factors;

mod meanwhile;
mod sums;
mod tiled;

#[cfg(all(
    target_arch = "x86_64",
    target_pointer_width = "64",
    target_os = "linux"
))]
mod unit;
#[cfg(not(all(
    target_arch = "x86_64",
    target_pointer_width = "64",
    target_os = "linux"
)))]
#[path = "amx/none.rs"]
mod unit;

use meanwhile::{Asks, Makes, Meanwhile, Pieces};
use sums::Sums;
pub(super) use tiled::{Parts, Tiled, Weight};
use unit::Unit;
pub use unit::available;
pub(super) use unit::multiply_in_registers;

/// Rows of a tile.
pub(super) const ROWS: usize = 16;
/// Steps, of a pair each, that a tile holds.
pub(super) const STEPS: usize = 16;
/// Tiles of sums that the unit holds: of two tiles of rows and two panels, or of four and one.
const SUMS: usize = 4;
/// Rows whose sums the unit holds beside one panel. Up to so many meet a panel in f32 tile by tile, as it is made in the nearest cache.
const ROWS_BESIDE_ONE: usize = SUMS * ROWS;
/// The same beside two panels, which takes fewer loads for as many products.
const ROWS_BESIDE_TWO: usize = SUMS / 2 * ROWS;
/// Rows whose sums are handed over at a time.
const HANDED_OVER: usize = 8;

/// Whether there is a unit, and so many terms make up whole tiles.
pub(super) fn takes(terms: usize) -> bool {
    terms > 0 && terms.is_multiple_of(2 * STEPS) && available()
}

/// Steps of whole tiles for so many terms, if there is a unit to multiply them.
pub(super) fn steps_for(terms: usize) -> Option<usize> {
    (terms > 0 && available()).then_some(terms.div_ceil(2).next_multiple_of(STEPS))
}

/// Which part of a row meets which of a panel, of so many each: a third only a first. The largest product comes last.
const fn products(row_parts: usize, panel_parts: usize) -> &'static [[usize; 2]] {
    match (row_parts, panel_parts) {
        (PARTS, PARTS) => &[[2, 0], [1, 0], [1, 1], [0, 1], [0, 2], [0, 0]],
        (PARTS, 1) => &[[2, 0], [1, 0], [0, 0]],
        _ => &[[0, 0]],
    }
}

/// A step of a panel in `W` parts.
type Step<const W: usize> = [Brief; W];
/// Those that the unit multiplies at a time.
type Tile<const W: usize> = [Step<W>; STEPS];
/// The same of `P` panels side by side.
type Made<const W: usize, const P: usize> = [[Step<W>; P]; STEPS];

/// All rows times some panels, as [`Grid`] but by the unit.
pub(super) struct Blocks<'a> {
    /// The work.
    pub grid: Grid<'a, Tiled<'a>>,
    /// For what is made of panels: as much as [`Tiled::room`] says.
    pub room: &'a mut [Brief],
}

impl Work for Blocks<'_> {
    const BF16: bool = true;

    #[inline(always)]
    fn run<I: Isa>(self) {
        assert!(I::WIDE); // as machines with a unit are: no copy for others
        let Self { grid, room } = self;
        let (rows, factors) = (grid.rows, grid.factors);
        factors.covers(rows, grid.count);
        if let Some(then) = &grid.then {
            then.covers(rows, grid.count);
        }
        if grid.count == 0 {
            return;
        }
        let at_once = factors.rows_at_once();
        for start in (0..rows).step_by(at_once) {
            let rows = start..rows.min(start + at_once);
            match (factors.weight, factors.parts) {
                (Weight::Pairs(lanes), Parts::Neither) => grid.pairs::<I, 1, 1>(lanes, rows),
                (Weight::Pairs(lanes), Parts::Rows) => grid.pairs::<I, PARTS, 1>(lanes, rows),
                (Weight::Pairs(lanes), Parts::Both) => grid.pairs::<I, PARTS, PARTS>(lanes, rows),
                (Weight::Singles(lanes), Parts::Both) => {
                    grid.singles::<I, PARTS, PARTS>(lanes, rows, room);
                }
                (Weight::Singles(lanes), Parts::Neither) => {
                    grid.singles::<I, 1, 1>(lanes, rows, room);
                }
                (Weight::Singles(_), Parts::Rows) => unreachable!("singles are split like rows"),
            }
        }
    }
}

impl Grid<'_, Tiled<'_>> {
    /// Some rows, of panels in pairs. While the unit multiplies some tiles of two panels, memory is asked for others: of the next panels, or with
    /// few rows the next of these, since others would come too early.
    #[inline(always)]
    fn pairs<I: Isa, const X: usize, const W: usize>(&self, lanes: &[Brief], rows: Range<usize>) {
        let lanes: &[Tile<W>] = lanes.as_chunks::<W>().0.as_chunks().0;
        let tiles = self.factors.tiles();
        let at_once = if rows.len() <= ROWS { 1 } else { tiles };
        let from = |place| self.places::<2>(place).map(|at| &lanes[at..at + at_once]);
        let pieces = Pieces::new(at_once * STEPS, at_once * turns::<X, W, 2>(&rows));
        let mut sums = Sums::new(rows.len());
        for panel in (0..self.count).step_by(2) {
            for start in (0..tiles).step_by(at_once) {
                let place = [panel, start];
                let [first, second] = from(place);
                let now = first.iter().zip(second).map(|(first, second)| {
                    [first, second].map(|tile| tile.as_flattened().as_ptr())
                });
                let ahead = self.after::<2>(place, at_once).map(from);
                let ahead = ahead.map(|panels| panels.map(<[_]>::as_flattened));
                let mut asks = Asks::new(ahead, pieces);
                // SAFETY: these are panels' tiles, of steps one after the other.
                #[allow(unsafe_code)]
                unsafe {
                    self.multiply::<I, X, W, 2>(&rows, place, (now, W), &mut sums, &mut asks);
                }
            }
        }
        if let Some(rest) = self.handing_over(&mut sums, usize::MAX) {
            dispatch(rest);
        }
    }

    /// Some rows, of panels in f32. As long as the unit holds the sums of all of them, they meet a panel tile by tile.
    #[inline(always)]
    fn singles<I: Isa, const X: usize, const W: usize>(
        &self,
        lanes: &[Full],
        rows: Range<usize>,
        room: &mut [Brief],
    ) {
        if (ROWS_BESIDE_TWO + 1..=ROWS_BESIDE_ONE).contains(&rows.len()) {
            self.made::<I, X, W, 1>(lanes, rows, room);
        } else {
            self.made::<I, X, W, 2>(lanes, rows, room);
        }
    }

    /// `P` panels at a time. While the unit multiplies some tiles of them, the next ones are read and made.
    #[inline(always)]
    fn made<I: Isa, const X: usize, const W: usize, const P: usize>(
        &self,
        lanes: &[Full],
        rows: Range<usize>,
        room: &mut [Brief],
    ) {
        const { assert!(X == W && (P == 1 || P == 2)) };
        let lanes: &[[[Full; 2]; STEPS]] = lanes.as_chunks::<2>().0.as_chunks().0;
        let (tiles, at_once) = (self.factors.tiles(), self.factors.tiles_at_once(rows.len()));
        let from = |place| {
            self.places::<P>(place)
                .map(|at| lanes[at..at + at_once].as_flattened())
        };
        let made = room.as_chunks_mut::<W>().0.as_chunks_mut::<P>().0;
        let made: &mut [Made<W, P>] = made.as_chunks_mut().0;
        let (mut now, mut next) = made[..2 * at_once].split_at_mut(at_once);
        let soon = rows.len() <= ROWS_BESIDE_TWO;
        let all = Pieces::new(at_once * STEPS, 1);
        Makes::new(Some(from([0, 0])), now.as_flattened_mut(), soon, all).piece::<I>();
        let pieces = Pieces::new(at_once * STEPS, at_once * turns::<X, W, P>(&rows));
        let mut sums = Sums::new(rows.len());
        for panel in (0..self.count).step_by(P) {
            for start in (0..tiles).step_by(at_once) {
                let place = [panel, start];
                let ahead = self.after::<P>(place, at_once).map(from);
                let mut makes = Makes::new(ahead, next.as_flattened_mut(), soon, pieces);
                let made = now.iter().map(|tile| {
                    array::from_fn(|p| tile.as_flattened()[p..].as_flattened().as_ptr())
                });
                // SAFETY: so many tiles were made, with the panels' steps side by side.
                #[allow(unsafe_code)]
                unsafe {
                    self.multiply::<I, X, W, P>(&rows, place, (made, P * W), &mut sums, &mut makes);
                }
                swap(&mut now, &mut next);
            }
        }
        if let Some(rest) = self.handing_over(&mut sums, usize::MAX) {
            dispatch(rest);
        }
    }

    /// Multiplies some rows with some tiles of `P` panels: with all of them, or, if there is but one block of rows, with any.
    ///
    /// # Safety
    /// From each pointer on there must lie the steps of a tile, of `W` lanes each and `stride` lanes after the one before.
    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn multiply<I: Isa, const X: usize, const W: usize, const P: usize>(
        &self,
        rows: &Range<usize>,
        [panel, start]: [usize; 2],
        (tiles, stride): (
            impl ExactSizeIterator<Item = [*const Brief; P]> + Clone,
            usize,
        ),
        sums: &mut Sums<P>,
        meanwhile: &mut impl Meanwhile,
    ) {
        let blocks = blocks(rows, SUMS / P * ROWS);
        let (first, last) = (start == 0, start + tiles.len() == self.factors.tiles());
        debug_assert!(blocks.len() == 1 || first && last);
        for block in blocks {
            if first {
                sums.unit.clear();
            }
            for (tile, panels) in (start..).zip(tiles.clone()) {
                // SAFETY: as the caller promises.
                unsafe {
                    self.add::<I, X, W, P>(
                        &block,
                        tile,
                        (panels, stride),
                        &mut sums.unit,
                        meanwhile,
                    );
                }
                let at_most = match rows.len() {
                    _ if last && tile + 1 == self.factors.tiles() => usize::MAX,
                    ..=ROWS => 0,
                    _ => HANDED_OVER,
                };
                // The only place where this is inlined: it is long, and compiling it takes long.
                if let Some(rest) = self.handing_over(sums, at_most) {
                    rest.run::<I>();
                }
            }
            if last {
                sums.take(block, panel);
            }
        }
    }

    /// Where a tile of `P` panels is, from this one on. The last panel stands for those after it: it is multiplied twice.
    #[inline(always)]
    fn places<const P: usize>(&self, [panel, tile]: [usize; 2]) -> [usize; P] {
        let panels = array::from_fn(|p| (panel + p).min(self.count - 1));
        panels.map(|panel: usize| panel * self.factors.tiles() + tile)
    }

    /// The panel and tile that come `later` tiles after this, if there are any.
    #[inline(always)]
    fn after<const P: usize>(&self, [panel, tile]: [usize; 2], later: usize) -> Option<[usize; 2]> {
        let after = tile + later;
        if after < self.factors.tiles() {
            Some([panel, after])
        } else if panel + P < self.count {
            Some([panel + P, after - self.factors.tiles()])
        } else {
            None
        }
    }

    /// Adds the products of a tile of terms to a block's sums: the rows' with those of each of `P` panels. Meanwhile other work is done in pieces,
    /// one in each turn.
    ///
    /// # Safety
    /// As of [`Self::multiply`].
    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn add<I: Isa, const X: usize, const W: usize, const P: usize>(
        &self,
        block: &Range<usize>,
        tile: usize,
        (panels, stride): ([*const Brief; P], usize),
        unit: &mut Unit,
        meanwhile: &mut impl Meanwhile,
    ) {
        let row_stride = self.factors.row_stride;
        let x = &self.factors.x[block.start * row_stride + tile * X * STEPS..];
        let tiles = block_tiles(block);
        // SAFETY: the factors cover the block's whole tiles; a single panel goes with 33 to 64 rows; and as the caller promises.
        unsafe {
            if let [panel] = panels[..] {
                unit.panel::<W>(panel, stride);
                if X == PARTS {
                    self.turns_of_a_panel::<I, X, 2>(unit, tiles, x, meanwhile);
                    self.turns_of_a_panel::<I, X, 1>(unit, tiles, x, meanwhile);
                }
                self.turns_of_a_panel::<I, X, 0>(unit, tiles, x, meanwhile);
            } else {
                let mut loaded = [usize::MAX; 2];
                for &[row_part, panel_part] in products(X, W) {
                    if loaded[0] != row_part {
                        unit.rows(tiles, x[row_part * STEPS..].as_ptr(), row_stride);
                    }
                    if loaded[1] != panel_part {
                        unit.panels(
                            [panels[0], panels[1]].map(|panel| panel.add(panel_part)),
                            stride,
                        );
                    }
                    loaded = [row_part, panel_part];
                    unit.multiply(tiles);
                    meanwhile.piece::<I>();
                }
            }
        }
    }

    /// One part of three or four tiles of rows times what it meets of the panel that the unit has taken up.
    ///
    /// # Safety
    /// From `x` on there must lie so many tiles of rows, in `X` parts.
    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn turns_of_a_panel<I: Isa, const X: usize, const PART: usize>(
        &self,
        unit: &mut Unit,
        tiles: usize,
        x: &[Pair],
        meanwhile: &mut impl Meanwhile,
    ) {
        let stride = self.factors.row_stride;
        let x = x[PART * STEPS..].as_ptr();
        // SAFETY: as the caller promises.
        unsafe {
            unit.multiply_a_panel::<X, PART, 0>(x, stride);
            meanwhile.piece::<I>();
            unit.multiply_a_panel::<X, PART, 1>(x.add(ROWS * stride), stride);
            meanwhile.piece::<I>();
            unit.multiply_a_panel::<X, PART, 2>(x.add(2 * ROWS * stride), stride);
            meanwhile.piece::<I>();
            if tiles > 3 {
                unit.multiply_a_panel::<X, PART, 3>(x.add(3 * ROWS * stride), stride);
                meanwhile.piece::<I>();
            }
        }
    }

    /// The sums of at most so many rows, to be handed over with what follows in them.
    #[inline(always)]
    fn handing_over<'a, const P: usize>(
        &'a self,
        sums: &'a mut Sums<P>,
        at_most: usize,
    ) -> Option<HandingOver<'a, P>> {
        let rows = sums.next(at_most)?;
        let grid = Grid {
            factors: &*sums,
            then: self.then,
            rows: self.rows,
            count: self.count,
            first: self.first,
            out: self.out,
        };
        Some(HandingOver { grid, rows })
    }
}

/// Some rows of a block's sums, of `P` panels or a last one.
struct HandingOver<'a, const P: usize> {
    grid: Grid<'a, &'a Sums<P>>,
    rows: Range<usize>,
}

impl<const P: usize> Work for HandingOver<'_, P> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let Self { grid, rows } = self;
        let panel = grid.factors.panel;
        if P == 2 && panel + 1 < grid.count {
            grid.rows_at_once::<I, HANDED_OVER, 2>(rows, panel);
        } else {
            grid.rows_at_once::<I, HANDED_OVER, 1>(rows, panel);
        }
    }
}

/// Turns in which all blocks of some rows are multiplied with a tile of `P` panels: as many as `add` has pieces of other work done.
fn turns<const X: usize, const W: usize, const P: usize>(rows: &Range<usize>) -> usize {
    if P == 1 {
        X * block_tiles(rows)
    } else {
        products(X, W).len() * blocks(rows, SUMS / P * ROWS).len()
    }
}

/// Some rows, so many at a time.
#[inline(always)]
fn blocks(
    rows: &Range<usize>,
    at_once: usize,
) -> impl ExactSizeIterator<Item = Range<usize>> + Clone + use<> {
    let end = rows.end;
    let starts = rows.clone().step_by(at_once);
    starts.map(move |start| start..end.min(start + at_once))
}

/// Tiles of a block's rows.
#[inline(always)]
fn block_tiles(block: &Range<usize>) -> usize {
    block.len().div_ceil(ROWS)
}
