//! No unit.

use super::super::lanes::{Brief, Full, Pair};
use super::PANELS;
use super::ROWS;

/// Never.
pub(in super::super) fn available() -> bool {
    false
}

/// There is none to multiply.
pub(in super::super) fn multiply_in_registers(_rounds: usize) -> usize {
    unreachable!("no matrix unit")
}

/// There is none.
pub(super) struct Unit {
    pub(super) rows: usize,
}

impl Unit {
    pub(super) fn new(_rows: usize) -> Self {
        unreachable!("no matrix unit")
    }

    /// # Safety
    /// Never called.
    #[allow(unsafe_code)]
    pub(super) unsafe fn multiply(
        &mut self,
        _x: *const Pair,
        _row_stride: usize,
        _panels: [&[Brief]; PANELS],
        _sums: &mut [Full; 2 * ROWS * PANELS],
    ) {
        unreachable!("no matrix unit")
    }
}
