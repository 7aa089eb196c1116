//! What this machine can do at most: the figures that the others are a share of.

use std::hint::black_box;
use std::thread;

use serde::{Deserialize, Serialize};

use crate::kernels::{MatmulPrecision, cores, fastest, flops_per_second};

/// Numbers of a buffer that no cache holds: 256 MB.
const STREAMED: usize = 1 << 26;
/// Fused additions of every chain in one measurement: some hundredths of a second.
const ROUNDS: usize = 4_000_000;

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
        let cores = cores();
        Self {
            cores,
            memory_bytes_per_second: memory(cores),
            flops_per_second: flops_per_second(precision, ROUNDS),
        }
    }
}

fn memory(cores: usize) -> f64 {
    let numbers = vec![1.0_f32; STREAMED];
    let read = || {
        thread::scope(|scope| {
            for part in numbers.chunks(STREAMED.div_ceil(cores)) {
                scope.spawn(move || black_box(sum(part)));
            }
        });
    };
    (4 * STREAMED) as f64 / fastest(read)
}

/// In sixty-four sums side by side, so that reading is what takes the time.
fn sum(numbers: &[f32]) -> f32 {
    let mut sums = [0.0; 64];
    for chunk in numbers.chunks_exact(64) {
        for (sum, number) in sums.iter_mut().zip(chunk) {
            *sum += number;
        }
    }
    sums.iter().sum()
}
