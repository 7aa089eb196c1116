//! No unit.

use super::super::lanes::{Brief, Full, Pair};

/// Whether there is a matrix unit to use: not on this kind of machine.
pub fn available() -> bool {
    false
}

/// There is none to multiply.
pub(in super::super) fn multiply_in_registers(_rounds: usize) -> usize {
    unreachable!("no matrix unit")
}

/// There is none.
pub(super) struct Unit;

#[allow(unsafe_code, clippy::unused_self)] // as where there is one
impl Unit {
    pub(super) fn new(_rows: usize) -> Self {
        unreachable!("no matrix unit")
    }

    pub(super) fn clear(&mut self) {
        unreachable!("no matrix unit")
    }

    pub(super) fn store<const P: usize>(&mut self, _tiles: usize, _into: &mut [Full]) {
        unreachable!("no matrix unit")
    }

    /// # Safety
    /// Never called.
    pub(super) unsafe fn rows(&mut self, _tiles: usize, _from: *const Pair, _below: usize) {
        unreachable!("no matrix unit")
    }

    /// # Safety
    /// Never called.
    pub(super) unsafe fn panels(&mut self, _from: [*const Brief; 2], _stride: usize) {
        unreachable!("no matrix unit")
    }

    pub(super) fn multiply(&mut self, _tiles: usize) {
        unreachable!("no matrix unit")
    }

    /// # Safety
    /// Never called.
    pub(super) unsafe fn panel<const W: usize>(&mut self, _from: *const Brief, _stride: usize) {
        unreachable!("no matrix unit")
    }

    /// # Safety
    /// Never called.
    pub(super) unsafe fn multiply_a_panel<const X: usize, const TURN: usize>(
        &mut self,
        _from: *const Pair,
    ) {
        unreachable!("no matrix unit")
    }
}
