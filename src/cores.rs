//! How many threads can compute at once.

use std::sync::OnceLock;
use std::thread;

/// Cores that this process may use, asked of the system once: on Linux it answers from a dozen files, which takes longer than a small
/// product.
pub fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, usize::from))
}
