//! Products by the processor's matrix unit, Intel's AMX, which multiplies bf16: sixteen rows by sixteen outputs by thirty-two inputs in an
//! instruction. Numbers in f32 are products of their parts ([`split`](super::split)).
//!
//! A panel of pairs is, sixteen pairs at a time, what the unit calls a tile, and so are sixteen rows of pairs. The order of a sum is fixed here
//! too, but it is another than that of `vdpbf16ps`: the unit adds up the first numbers' products of sixteen pairs, and the second ones', and then
//! both to what was there.

use std::mem::swap;
use std::ops::Range;

use super::grid::Grid;
use super::isa::{Isa, Work};
use super::lanes::{Brief, Full};
use super::split::PARTS;
use super::tile::{Factors, Tiles};

mod meanwhile;
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

use meanwhile::{Asks, Makes, Meanwhile};
pub(super) use tiled::{Parts, Tiled, Weight};
use unit::Unit;
pub use unit::available;
pub(super) use unit::multiply_in_registers;

/// Rows of a tile.
pub(super) const ROWS: usize = 16;
/// Steps, of a pair each, that a tile holds.
pub(super) const STEPS: usize = 16;
/// Rows that are multiplied at a time: two tiles.
const BLOCK: usize = 2 * ROWS;
/// Panels that are multiplied at a time.
const PANELS: usize = 2;
/// Up to so many rows meet one tile of a panel at a time, so that what is made stays in the nearest cache. The sums of more rows would not, and
/// they meet all tiles of a panel.
const ROWS_OF_A_TILE: usize = 64;

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

/// Steps of a panel that the unit multiplies at a time, in `W` parts.
type Tile<const W: usize> = [[Brief; W]; STEPS];

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
    /// Some rows, of panels in pairs. While the unit multiplies a tile of two panels, memory is asked for one that it
    /// will multiply later: of the next panels, or with few rows the next of these, since others would come too early.
    #[inline(always)]
    fn pairs<I: Isa, const X: usize, const W: usize>(&self, lanes: &[Brief], rows: Range<usize>) {
        let lanes = lanes.as_chunks::<W>().0.as_chunks::<STEPS>().0;
        let from = |place| self.places(place).map(|place| &lanes[place]);
        let tiles = self.factors.tiles();
        let later = if rows.len() <= ROWS { 1 } else { tiles };
        let mut unit = Unit::new(rows.len());
        let mut sums = [Full::ZERO; PANELS * BLOCK];
        for panel in (0..self.count).step_by(PANELS) {
            for block in blocks(&rows, panel, products(X, W).len()) {
                unit.clear(block.tiles());
                for tile in 0..tiles {
                    let tiles = self.after([panel, tile], later).map(from);
                    let now = from([panel, tile]);
                    self.add::<I, X, W>(&mut unit, &block, tile, now, Asks { tiles });
                }
                unit.store(block.tiles(), &mut sums);
                self.finish::<I>(&block, &sums);
            }
        }
    }

    /// Some rows, of panels in f32. While the unit multiplies some tiles of two panels, the next ones are read and made.
    #[inline(always)]
    fn singles<I: Isa, const X: usize, const W: usize>(
        &self,
        lanes: &[Full],
        rows: Range<usize>,
        room: &mut [Brief],
    ) {
        let lanes = lanes.as_chunks::<2>().0.as_chunks::<STEPS>().0;
        let from = |place| self.places(place).map(|place| &lanes[place]);
        let (tiles, at_once) = (self.factors.tiles(), self.factors.tiles_at_once(rows.len()));
        let made = room.as_chunks_mut::<W>().0.as_chunks_mut::<STEPS>().0;
        let made = made.as_chunks_mut::<PANELS>().0;
        let (mut now, mut next) = made[..2 * at_once].split_at_mut(at_once);
        let others = rows.len() > BLOCK; // blocks that take turns with a tile
        let soon = !others;
        for (tile, into) in now.iter_mut().enumerate() {
            let from = Some(from([0, tile]));
            Makes { from, into, soon }.steps::<I>(0..STEPS);
        }
        let mut unit = Unit::new(rows.len());
        let mut sums = [Full::ZERO; PANELS * ROWS_OF_A_TILE];
        for panel in (0..self.count).step_by(PANELS) {
            for start in (0..tiles).step_by(at_once) {
                let (first, last) = (start == 0, start + at_once == tiles);
                for block in blocks(&rows, panel, products(X, W).len()) {
                    let sums = &mut sums[PANELS * ((block.row - rows.start) % ROWS_OF_A_TILE)..];
                    if first {
                        unit.clear(block.tiles());
                    } else if others {
                        unit.load(block.tiles(), sums);
                    }
                    for (tile, (now, into)) in (start..).zip(now.iter().zip(&mut *next)) {
                        let from = self.after([panel, tile], at_once).map(from);
                        let makes = Makes { from, into, soon };
                        self.add::<I, X, W>(&mut unit, &block, tile, now.each_ref(), makes);
                    }
                    if last || others {
                        unit.store(block.tiles(), sums);
                    }
                    if last {
                        self.finish::<I>(&block, sums);
                    }
                }
                swap(&mut now, &mut next);
            }
        }
    }

    /// Where the tiles of this panel and the next are. A last panel without a next is multiplied twice.
    #[inline(always)]
    fn places(&self, [panel, tile]: [usize; 2]) -> [usize; PANELS] {
        [panel, (panel + 1).min(self.count - 1)].map(|panel| panel * self.factors.tiles() + tile)
    }

    /// The panel and tile that come `later` tiles after this, if there are any.
    #[inline(always)]
    fn after(&self, [panel, tile]: [usize; 2], later: usize) -> Option<[usize; 2]> {
        let after = tile + later;
        if after < self.factors.tiles() {
            Some([panel, after])
        } else if panel + PANELS < self.count {
            Some([panel + PANELS, after - self.factors.tiles()])
        } else {
            None
        }
    }

    /// Adds the products of a tile of terms to a block's sums. Meanwhile other work is done in pieces, one after each product of parts.
    #[inline(always)]
    fn add<I: Isa, const X: usize, const W: usize>(
        &self,
        unit: &mut Unit,
        block: &Block,
        tile: usize,
        panels: [&Tile<W>; PANELS],
        mut meanwhile: impl Meanwhile,
    ) {
        let stride = self.factors.row_stride;
        let x = &self.factors.x[block.row * stride + tile * X * STEPS..];
        let mut loaded = [usize::MAX; 2];
        for (turn, &[row_part, panel_part]) in products(X, W).iter().enumerate() {
            // SAFETY: the factors cover the block's whole tiles, and a tile of panels has its steps.
            #[allow(unsafe_code)]
            unsafe {
                if loaded[0] != row_part {
                    unit.rows(block.tiles(), x[row_part * STEPS..].as_ptr(), stride);
                }
                if loaded[1] != panel_part {
                    unit.panels(
                        panels.map(|tile| tile.as_flattened()[panel_part..].as_ptr()),
                        W,
                    );
                }
            }
            loaded = [row_part, panel_part];
            unit.multiply(block.tiles());
            meanwhile.steps::<I>(block.next_steps(turn));
        }
    }

    /// Hands over a block's sums, with what follows in them.
    #[inline(always)]
    fn finish<I: Isa>(&self, block: &Block, sums: &[Full]) {
        let known = Grid {
            factors: &Known {
                sums,
                row: block.row,
                panel: block.panel,
            },
            then: self.then,
            rows: self.rows,
            count: self.count,
            first: self.first,
            out: self.out,
        };
        let rows = block.row..block.end;
        if block.panel + 1 < self.count {
            known.rows_at_once::<I, 8, 2>(rows, block.panel);
        } else {
            known.rows_at_once::<I, 8, 1>(rows, block.panel);
        }
    }
}

/// Some rows in blocks, each of which is multiplied in so many turns.
#[inline(always)]
fn blocks(rows: &Range<usize>, panel: usize, turns: usize) -> impl Iterator<Item = Block> + use<> {
    let end = rows.end;
    let steps_each = STEPS.div_ceil(turns * rows.len().div_ceil(BLOCK));
    let starts = rows.clone().step_by(BLOCK).zip((0..).step_by(turns));
    starts.map(move |(row, turn)| Block {
        row,
        end: end.min(row + BLOCK),
        panel,
        turn,
        steps_each,
    })
}

/// Up to two tiles of rows, and two panels, of which the last may be missing.
struct Block {
    row: usize,
    end: usize,
    panel: usize,
    /// Turns of the blocks before.
    turn: usize,
    steps_each: usize,
}

impl Block {
    /// Tiles of rows.
    #[inline(always)]
    fn tiles(&self) -> usize {
        (self.end - self.row).div_ceil(ROWS)
    }

    /// Steps of the next tiles that are read or made in one of the block's turns: all blocks together do all of them.
    #[inline(always)]
    fn next_steps(&self, turn: usize) -> Range<usize> {
        let start = STEPS.min((self.turn + turn) * self.steps_each);
        start..STEPS.min(start + self.steps_each)
    }
}

/// A block's sums: of a row, one panel beside the other.
struct Known<'a> {
    sums: &'a [Full],
    /// The first.
    row: usize,
    /// The first.
    panel: usize,
}

impl Tiles for &Known<'_> {
    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn sums<I: Isa, const R: usize, const P: usize>(
        &self,
        row: usize,
        panel: usize,
    ) -> [[I::Vector; P]; R] {
        let mut sums = [[I::zero(); P]; R];
        for (r, sums) in sums.iter_mut().enumerate() {
            let at = PANELS * (row - self.row + r) + panel - self.panel;
            for (p, sums) in sums.iter_mut().enumerate() {
                *sums = I::load(&self.sums[at + p].0);
            }
        }
        sums
    }
}
