//! Products by the processor's matrix unit, Intel's AMX, which multiplies bf16: sixteen rows by sixteen outputs by thirty-two inputs in an
//! instruction. Numbers in f32 are products of their parts ([`split`](super::split)).
//!
//! A panel of pairs is, sixteen pairs at a time, what the unit calls a tile, and so are sixteen rows of pairs. The order of a sum is fixed here
//! too, but it is another than that of `vdpbf16ps`: the unit adds up the first numbers' products of sixteen pairs, and the second ones', and then
//! both to what was there.

use std::ops::Range;

use super::factors::reach;
use super::grid::Grid;
use super::isa::{Isa, Work};
use super::lanes::{Brief, Full, Pair};
use super::split::PARTS;
use super::tile::{Factors, Tiles};

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

use unit::Unit;
pub use unit::available;
pub(super) use unit::multiply_in_registers;

/// Rows of a tile.
const ROWS: usize = 16;
/// Steps, of a pair each, that a tile holds.
pub(super) const STEPS: usize = 16;
/// Panels that are multiplied at a time.
const PANELS: usize = 2;
/// Rows that are taken through all panels before the next: those of SmolLM2's widest layer fill half of a cache of 2 MiB.
const ROWS_AT_ONCE: usize = 256;
/// The same of rows in parts.
const SPLIT_ROWS_AT_ONCE: usize = 128;

/// Whether there is a unit, and so many terms make up whole tiles.
pub(super) fn takes(terms: usize) -> bool {
    terms > 0 && terms.is_multiple_of(2 * STEPS) && available()
}

/// Steps of whole tiles for so many terms, if there is a unit to multiply them.
pub(super) fn steps_for(terms: usize) -> Option<usize> {
    (terms > 0 && available()).then_some(terms.div_ceil(2).next_multiple_of(STEPS))
}

/// Which factors are numbers in f32, each a sum of three in bf16 ([`split`](super::split)): the unit multiplies their parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parts {
    /// Both are in bf16.
    Neither,
    /// The rows.
    Rows,
    /// Rows and panels.
    Both,
}

impl Parts {
    /// Of a row and of a panel.
    pub(super) fn counts(self) -> [usize; 2] {
        match self {
            Self::Neither => [1, 1],
            Self::Rows => [PARTS, 1],
            Self::Both => [PARTS, PARTS],
        }
    }
}

/// Rows and panels of pairs. Sixteen steps of a row's first part are followed by the same of the second and third, a step of a panel's first
/// part by the same of the others.
#[derive(Clone, Copy)]
pub(super) struct Tiled<'a> {
    /// The rows.
    pub x: &'a [Pair],
    /// Pairs from the start of a row to the next.
    pub row_stride: usize,
    /// The panels, one after the other.
    pub panels: &'a [Brief],
    /// Steps of a sum: whole tiles.
    pub steps: usize,
    /// Which are split.
    pub parts: Parts,
}

impl<'a> Tiled<'a> {
    /// Rows of `steps`, one after the other.
    pub(super) fn new(x: &'a [Pair], panels: &'a [Brief], steps: usize, parts: Parts) -> Self {
        Self {
            x,
            row_stride: parts.counts()[0] * steps,
            panels,
            steps,
            parts,
        }
    }

    /// # Panics
    /// Unless there are so many rows, and just so many panels.
    fn covers(&self, rows: usize, panels: usize) {
        let [row_parts, panel_parts] = self.parts.counts();
        assert!(takes(2 * self.steps));
        assert!(reach(rows, self.row_stride, row_parts * self.steps) <= self.x.len());
        assert!(panels * panel_parts * self.steps == self.panels.len());
    }

    /// Where a panel starts.
    fn panel(&self, panel: usize) -> *const Brief {
        let length = self.parts.counts()[1] * self.steps;
        self.panels[panel * length..][..length].as_ptr()
    }
}

/// What the unit's loop reads and writes.
#[allow(dead_code)] // where there is no unit
struct Operands {
    x: *const Pair,
    row_stride: usize,
    panels: [*const Brief; PANELS],
    tiles: usize,
    sums: *mut Full,
}

/// All rows times some panels, as [`Grid`] but by the unit.
pub(super) struct Blocks<'a>(pub Grid<'a, Tiled<'a>>);

impl Work for Blocks<'_> {
    const BF16: bool = true;

    #[inline(always)]
    fn run<I: Isa>(self) {
        let rows = self.0.rows;
        self.0.factors.covers(rows, self.0.count);
        if let Some(then) = &self.0.then {
            then.covers(rows, self.0.count);
        }
        let whole = rows - rows % (2 * ROWS);
        let at_once = match self.0.factors.parts {
            Parts::Neither => ROWS_AT_ONCE,
            Parts::Rows | Parts::Both => SPLIT_ROWS_AT_ONCE,
        };
        for start in (0..whole).step_by(at_once) {
            self.through_panels::<I>(start..whole.min(start + at_once));
        }
        self.through_panels::<I>(whole..rows);
    }
}

impl<'a> Blocks<'a> {
    /// The same with sums that are known.
    #[inline(always)]
    fn with<'b>(&self, block: &'b Block) -> Grid<'a, &'b Block> {
        let grid = &self.0;
        Grid {
            factors: block,
            then: grid.then,
            rows: grid.rows,
            count: grid.count,
            first: grid.first,
            out: grid.out,
        }
    }

    /// Some rows, either thirty-two each time or fewer than that in all.
    #[inline(always)]
    fn through_panels<I: Isa>(&self, rows: Range<usize>) {
        if rows.is_empty() {
            return;
        }
        let mut block = Block {
            unit: Unit::new(rows.len().min(2 * ROWS)),
            sums: [Full::ZERO; 2 * ROWS * PANELS],
            row: 0,
            panel: 0,
        };
        for panel in (0..self.0.count).step_by(PANELS) {
            for row in rows.clone().step_by(2 * ROWS) {
                (block.row, block.panel) = (row, panel);
                block.multiply(&self.0.factors, self.0.count);
                let rows = row..rows.end.min(row + 2 * ROWS);
                let grid = self.with(&block);
                if panel + 1 < self.0.count {
                    grid.rows_at_once::<I, 8, 2>(rows, panel);
                } else {
                    grid.rows_at_once::<I, 8, 1>(rows, panel);
                }
            }
        }
    }
}

/// The sums of up to thirty-two rows and two panels.
struct Block {
    unit: Unit,
    /// Of a row, one panel beside the other.
    sums: [Full; 2 * ROWS * PANELS],
    /// The first.
    row: usize,
    /// The first.
    panel: usize,
}

impl Block {
    /// Multiplies the block's rows and panels. A last panel without a second is multiplied twice.
    #[inline(always)]
    fn multiply(&mut self, factors: &Tiled<'_>, count: usize) {
        let second = (self.panel + 1).min(count - 1);
        let of = Operands {
            x: factors.x[self.row * factors.row_stride..].as_ptr(),
            row_stride: factors.row_stride,
            panels: [factors.panel(self.panel), factors.panel(second)],
            tiles: factors.steps / STEPS,
            sums: self.sums.as_mut_ptr(),
        };
        // SAFETY: `run` has seen that the factors cover all rows and panels, and there is room for the sums.
        #[allow(unsafe_code)]
        unsafe {
            self.unit.multiply(of, factors.parts);
        }
    }
}

impl Tiles for &Block {
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
