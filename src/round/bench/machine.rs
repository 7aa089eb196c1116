//! What this machine can do at most: the figures that the others are a share of.

use serde::{Deserialize, Serialize};

use crate::kernels::{MatmulPrecision, bytes_per_second, cores, flops_per_second};

/// Fused additions of every chain in one measurement: some hundredths of a second.
const ROUNDS: usize = 4_000_000;
/// Bytes that no cache should hold, though the largest come near.
const STREAMED: usize = 512 << 20;

/// Measured limits of the CPU, all cores together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Cores used.
    pub cores: usize,
    /// Bytes read from memory in a second.
    pub memory_bytes_per_second: f64,
    /// Multiplications and additions in a second, in the precision of the products; in f32 those of vectors, which a matrix unit can surpass.
    pub flops_per_second: f64,
}

impl Machine {
    /// Measures it: about a second.
    pub fn measure(precision: MatmulPrecision) -> Self {
        Self {
            cores: cores(),
            memory_bytes_per_second: bytes_per_second(STREAMED),
            flops_per_second: flops_per_second(precision, ROUNDS),
        }
    }
}
