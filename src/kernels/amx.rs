//! Products by the processor's matrix unit, Intel's AMX, which multiplies bf16: sixteen rows by sixteen outputs by thirty-two inputs in an
//! instruction. Numbers in f32 are products of their parts ([`split`](super::split)).
//!
//! A panel of pairs is, sixteen pairs at a time, what the unit calls a tile, and so are sixteen rows of pairs. The order of a sum is fixed here
//! too, but it is another than that of `vdpbf16ps`: the unit adds up the first numbers' products of sixteen pairs, and the second ones', and then
//! both to what was there.

use std::array;
use std::ops::Range;

use super::grid::Grid;
use super::isa::{Isa, Work, dispatch};
use super::lanes::Brief;
use super::split::PARTS;

mod loops;
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

pub(super) use loops::multiply;
use meanwhile::Meanwhile;
use sums::Sums;
pub(super) use tiled::{Parts, Tiled, Weight, height};
use unit::Unit;
pub use unit::available;
pub(super) use unit::multiply_in_registers;

/// Rows of a tile.
pub(super) const ROWS: usize = 16;
/// Steps, of a pair each, that a tile holds.
pub(super) const STEPS: usize = 16;
/// Tiles of sums that the unit holds: of two tiles of rows and two panels, or of four and one.
const SUMS: usize = 4;
/// Rows whose sums the unit holds beside so many panels.
const fn rows_beside(panels: usize) -> usize {
    SUMS / panels * ROWS
}
/// Up to so many rows meet a panel in f32 tile by tile, as it is made in the nearest cache.
const ROWS_BESIDE_ONE: usize = rows_beside(1);
/// So many meet two panels instead, which takes fewer loads for as many products.
const ROWS_BESIDE_TWO: usize = rows_beside(2);
/// Rows whose sums are handed over at a time.
const HANDED_OVER: usize = 8;

/// Whether there is a unit, and so many terms make up whole tiles.
pub(super) fn takes(terms: usize) -> bool {
    terms > 0 && terms.is_multiple_of(2 * STEPS) && available()
}

/// Steps of whole tiles for so many terms.
pub(super) fn steps(terms: usize) -> usize {
    terms.div_ceil(2).next_multiple_of(STEPS)
}

/// The same, if there is a unit to multiply them.
pub(super) fn steps_for(terms: usize) -> Option<usize> {
    (terms > 0 && available()).then(|| steps(terms))
}

/// Which part of a row meets which of a panel, of so many each: a third only a first. The largest product comes last.
const fn products(row_parts: usize, panel_parts: usize) -> &'static [[usize; 2]] {
    match (row_parts, panel_parts) {
        (PARTS, PARTS) => &[[2, 0], [1, 0], [1, 1], [0, 1], [0, 2], [0, 0]],
        (PARTS, 1) => &[[2, 0], [1, 0], [0, 0]],
        _ => &[[0, 0]],
    }
}

/// The turn's product, if there are so many.
const fn product(row_parts: usize, panel_parts: usize, turn: usize) -> Option<[usize; 2]> {
    let products = products(row_parts, panel_parts);
    if turn < products.len() {
        Some(products[turn])
    } else {
        None
    }
}

/// Which part of which tile of rows meets what it meets of a single panel in this turn, if there are so many: the last part comes first.
const fn turn_of_one(row_parts: usize, turn: usize) -> Option<(usize, usize)> {
    if turn < SUMS * row_parts {
        Some((row_parts - 1 - turn / SUMS, turn % SUMS))
    } else {
        None
    }
}

/// Does the same in each turn. Each is written out, since its number is a constant in it: a loop would choose registers by jumps, and take work to
/// pieces by counting.
macro_rules! in_turns {
    ($($turn:literal)*: |$name:ident| $body:block) => {
        $({
            const $name: usize = $turn;
            $body
        })*
    };
}

/// A step of a panel in `W` parts.
type Step<const W: usize> = [Brief; W];
/// Those that the unit multiplies at a time.
type Tile<const W: usize> = [Step<W>; STEPS];
/// The same of `P` panels side by side.
type Made<const W: usize, const P: usize> = [[Step<W>; P]; STEPS];

impl Grid<'_, Tiled<'_>> {
    /// Multiplies some rows with some tiles of `P` panels: with all of them, or, if there is but one block of rows, with any.
    ///
    /// # Safety
    /// From each pointer on there must lie the steps of a tile, of `W` lanes each and `stride` lanes after the one before. A single panel must go with 33 to
    /// 64 rows.
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
        let blocks = blocks(rows, rows_beside(P));
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
        let (height, below) = (self.factors.height, self.factors.below);
        let x = self.factors.x[block.start / ROWS * below + tile * X * height * STEPS..].as_ptr();
        let tiles = block_tiles(block);
        const { assert!(SUMS * X <= 12 && products(X, W).len() <= 6) }; // turns, below
        // SAFETY: the factors cover the block's whole tiles; and as the caller promises.
        unsafe {
            if let [panel] = panels[..] {
                unit.panel::<W>(panel, stride);
                in_turns!(0 1 2 3 4 5 6 7 8 9 10 11: |TURN| {
                    if let Some((part, tile)) = const { turn_of_one(X, TURN) } {
                        if tile < tiles {
                            let x = x.add(part * height * STEPS + tile * below);
                            unit.multiply_a_panel::<X, TURN>(x);
                        }
                        meanwhile.piece::<I, TURN>();
                    }
                });
            } else {
                in_turns!(0 1 2 3 4 5: |TURN| {
                    if let Some([row_part, panel_part]) = const { product(X, W, TURN) } {
                        let before = const { product(X, W, TURN.wrapping_sub(1)) };
                        if before.is_none_or(|before| before[0] != row_part) {
                            unit.rows(tiles, x.add(row_part * height * STEPS), below);
                        }
                        if before.is_none_or(|before| before[1] != panel_part) {
                            let panels = [panels[0], panels[1]].map(|panel| panel.add(panel_part));
                            unit.panels(panels, stride);
                        }
                        unit.multiply(tiles);
                        meanwhile.piece::<I, TURN>();
                    }
                });
            }
        }
    }

    /// Hands over what is left when all is multiplied.
    #[inline(always)]
    fn hand_over_the_last<const P: usize>(&self, sums: &mut Sums<P>) {
        if let Some(rest) = self.handing_over(sums, usize::MAX) {
            dispatch(rest);
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
