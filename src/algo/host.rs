//! Work on tensors that lie in the CPU's own memory.
//!
//! burn's CPU backend runs one operation after the other over the whole tensor, mostly on one core.
//! Where that dominates a training step, the few kernels that use this file borrow the numbers
//! without a copy and make one pass with all cores. Every element is computed by itself or in a
//! fixed order, so the number of cores changes no result.

use std::thread;

use burn::tensor::{Device, Tensor};

use crate::cores::cores;

/// Elements that are worth a thread: a fraction of a millisecond of work, ten times its start.
const MIN_CHUNK: usize = 1 << 17;

/// Whether the tensor lies in the CPU's memory, so that `into_data` borrows instead of downloading.
/// The one backend named outside `device.rs`, which this room cannot import.
pub(super) fn owns<const D: usize>(tensor: &Tensor<D>) -> bool {
    tensor.device() == Device::flex()
}

/// The length of the pieces in which `elements` are to be shared out among the cores.
pub(super) fn chunk_length(elements: usize) -> usize {
    elements.div_ceil(cores()).max(MIN_CHUNK)
}

/// Runs `work` on every piece, all but the first on threads of their own.
pub(super) fn for_each<T: Send>(pieces: impl IntoIterator<Item = T>, work: impl Fn(T) + Sync) {
    let mut pieces = pieces.into_iter();
    let Some(first) = pieces.next() else { return };
    thread::scope(|scope| {
        for piece in pieces {
            let work = &work;
            scope.spawn(move || work(piece));
        }
        work(first);
    });
}
