//! Products of bf16 by the processor's matrix unit, Intel's AMX: sixteen rows by sixteen outputs by thirty-two inputs in an instruction.
//!
//! A panel of pairs is, sixteen pairs at a time, what the unit calls a tile, and so are sixteen rows of pairs. The order of a sum is fixed here
//! too, but it is another than that of `vdpbf16ps`: the unit adds up the first numbers' products of sixteen pairs, and the second ones', and then
//! both to what was there.

use std::ops::Range;

use super::arithmetic::Dots;
use super::factors::Packed;
use super::grid::Grid;
use super::isa::{Isa, Work};
use super::lanes::Full;
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
pub(super) use unit::{available, multiply_in_registers};

/// Rows of a tile.
const ROWS: usize = 16;
/// Steps, of a pair each, that a tile holds.
const STEPS: usize = 16;
/// Panels that are multiplied at a time.
const PANELS: usize = 2;
/// Rows that are taken through all panels before the next: those of SmolLM2's widest layer fill half of a cache of 2 MiB.
const ROWS_AT_ONCE: usize = 256;

/// Whether the unit multiplies sums of so many steps: whole tiles only.
pub(super) fn takes(steps: usize) -> bool {
    steps > 0 && steps.is_multiple_of(STEPS) && available()
}

/// Steps of whole tiles for so many terms, if there is a unit to multiply them.
pub(super) fn steps_for(terms: usize) -> Option<usize> {
    available().then_some(terms.div_ceil(2).next_multiple_of(STEPS))
}

/// All rows times some panels, as [`Grid`] but by the unit.
pub(super) struct Blocks<'a>(pub Grid<'a, Packed<'a, Dots>>);

impl Work for Blocks<'_> {
    const BF16: bool = true;

    #[inline(always)]
    fn run<I: Isa>(self) {
        let rows = self.0.rows;
        assert!(takes(self.0.factors.steps));
        self.0.factors.covers(rows, self.0.count);
        if let Some(then) = &self.0.then {
            then.covers(rows, self.0.count);
        }
        let whole = rows - rows % (2 * ROWS);
        for start in (0..whole).step_by(ROWS_AT_ONCE) {
            self.through_panels::<I>(start..whole.min(start + ROWS_AT_ONCE));
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
    fn multiply(&mut self, factors: &Packed<'_, Dots>, count: usize) {
        let second = (self.panel + 1).min(count - 1);
        let rows = &factors.x[self.row * factors.row_stride..];
        let panels = [self.panel, second].map(|panel| {
            let start = panel * factors.stride;
            &factors.panels[start..start + factors.steps]
        });
        let last = (self.unit.rows - 1) * factors.row_stride + factors.steps;
        assert!(last <= rows.len());
        // SAFETY: rows and panels hold what is read, and there is room for the sums.
        #[allow(unsafe_code)]
        unsafe {
            self.unit
                .multiply(rows.as_ptr(), factors.row_stride, panels, &mut self.sums);
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
