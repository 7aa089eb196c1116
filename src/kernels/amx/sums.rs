//! Sums on their way from the unit to where they belong.

use std::ops::Range;

use super::super::isa::Isa;
use super::super::lanes::Full;
use super::super::tile::Tiles;
use super::unit::Unit;
use super::{ROWS, SUMS, block_tiles};

/// What the unit has summed up of a block, until it is handed over. That is after the unit was told to multiply the next tiles, since these sums are
/// only there when all that it was told before is done.
pub(super) struct Sums<const P: usize> {
    /// Adds up those of the next block.
    pub unit: Unit,
    /// Of a row, one panel beside the other.
    lanes: [Full; SUMS * ROWS],
    /// The first row.
    first: usize,
    /// The rows that are not handed over yet.
    rest: Range<usize>,
    /// The first panel.
    pub panel: usize,
}

impl<const P: usize> Sums<P> {
    /// Of none yet, of so many rows.
    #[inline(always)]
    pub(super) fn new(rows: usize) -> Self {
        Self {
            unit: Unit::new(rows),
            lanes: [Full::ZERO; SUMS * ROWS],
            first: 0,
            rest: 0..0,
            panel: 0,
        }
    }

    /// Takes those of a block over from the unit.
    #[inline(always)]
    pub(super) fn take(&mut self, block: Range<usize>, panel: usize) {
        self.unit.store::<P>(block_tiles(&block), &mut self.lanes);
        self.first = block.start;
        self.rest = block;
        self.panel = panel;
    }

    /// Some of the rest.
    #[inline(always)]
    pub(super) fn next(&mut self, at_most: usize) -> Option<Range<usize>> {
        let start = self.rest.start;
        self.rest.start += at_most.min(self.rest.len());
        (start < self.rest.start).then_some(start..self.rest.start)
    }
}

impl<const N: usize> Tiles for &Sums<N> {
    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn sums<I: Isa, const R: usize, const P: usize>(
        &self,
        row: usize,
        panel: usize,
    ) -> [[I::Vector; P]; R] {
        let mut sums = [[I::zero(); P]; R];
        for (r, sums) in sums.iter_mut().enumerate() {
            let at = N * (row - self.first + r) + panel - self.panel;
            for (p, sums) in sums.iter_mut().enumerate() {
                *sums = I::load(&self.lanes[at + p].0);
            }
        }
        sums
    }
}
