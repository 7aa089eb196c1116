//! What this machine can do at most: the figures that the others are a share of.

use std::hint::black_box;
use std::thread;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::kernels::{Mode, Panels, Precision, cores, matmul};

/// Numbers of a buffer that no cache holds: 256 MB.
const STREAMED: usize = 1 << 26;
/// A product that stays in the first cache: rows, inputs and outputs.
const SMALL: [usize; 3] = [24, 96, 48];
/// How often the small product is repeated in one measurement.
const REPEATS: usize = 20_000;
/// Measurements; the best counts, since it is a limit that is looked for.
const TRIES: usize = 5;

/// Measured limits of the CPU, all cores together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// Cores used.
    pub cores: usize,
    /// Bytes read from memory in a second.
    pub memory_bytes_per_second: f64,
    /// Multiplications and additions in f32 in a second, two for each fused one.
    pub flops_per_second: f64,
}

impl Machine {
    /// Measures it: about a second.
    pub fn measure() -> Self {
        let cores = cores();
        Self {
            cores,
            memory_bytes_per_second: memory(cores),
            flops_per_second: arithmetic(cores),
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

fn arithmetic(cores: usize) -> f64 {
    let [rows, inputs, outputs] = SMALL;
    let weight = vec![0.5; inputs * outputs];
    let weight = Panels::pack(&weight, [inputs, outputs], (1, inputs), Precision::F32);
    let x = vec![0.5; rows * inputs];
    let multiply = || {
        thread::scope(|scope| {
            for _ in 0..cores {
                scope.spawn(|| {
                    let mut y = vec![0.0; rows * outputs];
                    for _ in 0..REPEATS {
                        matmul(black_box(&x), &weight, &mut y, Mode::Set);
                    }
                    black_box(y);
                });
            }
        });
    };
    (2 * rows * inputs * outputs * REPEATS * cores) as f64 / fastest(multiply)
}

fn fastest(mut work: impl FnMut()) -> f64 {
    let timed = |_| {
        let started = Instant::now();
        work();
        started.elapsed().as_secs_f64()
    };
    (0..TRIES).map(timed).fold(f64::INFINITY, f64::min)
}
