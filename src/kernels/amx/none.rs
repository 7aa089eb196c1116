//! No unit.

use super::{Operands, Parts};

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

impl Unit {
    pub(super) fn new(_rows: usize) -> Self {
        unreachable!("no matrix unit")
    }

    /// # Safety
    /// Never called.
    #[allow(unsafe_code)]
    pub(super) unsafe fn multiply(&mut self, _of: Operands, _parts: Parts) {
        unreachable!("no matrix unit")
    }
}
