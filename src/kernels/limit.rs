//! Arithmetic and reading for their own sake: what the machine can do at most.

use std::hint::black_box;
use std::mem::MaybeUninit;
use std::thread;
use std::time::Instant;

use super::amx;
use super::arithmetic::{Arithmetic, Dots, Singles};
use super::cores;
use super::isa::{Isa, Work, dispatch, unwritten};
use super::lanes::{Full, Packable, Pair};
use super::matmul::{MatmulPrecision, product, product_transposed};
use super::memory::Kept;
use super::panels::{Panels, Precision, WIDTH};

/// Chains of fused additions side by side that keep every unit busy, and leave room for two more vectors: of thirty-two registers, or of sixteen
/// where a vector takes two.
const CHAINS: [usize; 2] = [12, 6];

/// Measurements; the best counts, since it is a limit that is looked for.
const TRIES: usize = 5;

/// Multiplications and additions that all cores together do in a second, in registers: no product of matrices can be faster, unless it is one
/// in f32 of parts that a matrix unit multiplies. Each measurement makes `rounds` fused additions in every chain: a million take some
/// milliseconds.
pub fn flops_per_second(precision: MatmulPrecision, rounds: usize) -> f64 {
    match precision {
        MatmulPrecision::F32 => limit(singles, rounds),
        MatmulPrecision::Bf16 => limit(pairs, rounds),
    }
}

/// Multiplications and additions that all cores together do in a second in products with such a weight, on the way forward and on the way back,
/// each core with rows of its own: what training reaches where nothing else is to do.
pub fn product_flops_per_second(
    precision: MatmulPrecision,
    [inputs, outputs]: [usize; 2],
    kept: Precision,
) -> f64 {
    let numbers = |count: usize| (0..count).map(|i| (i % 7) as f32).collect::<Vec<_>>();
    let (x, dy) = (numbers(ROWS * inputs), numbers(ROWS * outputs));
    let weight = numbers(inputs * outputs);
    let widths = [inputs, outputs];
    let weight = Panels::pack(&weight, widths, (1, inputs), kept);
    let both_ways = || {
        thread::scope(|scope| {
            for _ in 0..cores() {
                scope.spawn(|| {
                    black_box(product(&x, &weight, precision, None));
                    black_box(product_transposed(&dy, &weight, precision, None));
                });
            }
        });
    };
    both_ways(); // the memory is there afterwards
    (2 * 2 * ROWS * inputs * outputs * cores()) as f64 / fastest(both_ways)
}

/// As many as a worker takes at a time, or so.
const ROWS: usize = 256;

/// Work of so many rounds, and how many multiplications and additions it was.
type Operations = fn(usize) -> usize;

fn limit(operations: Operations, rounds: usize) -> f64 {
    let work = || {
        thread::scope(|scope| {
            for _ in 0..cores() {
                scope.spawn(|| operations(rounds));
            }
        });
    };
    (operations(1) * rounds * cores()) as f64 / fastest(work)
}

fn singles(rounds: usize) -> usize {
    fused_additions::<Singles>(0.5, rounds)
}

fn pairs(rounds: usize) -> usize {
    if amx::available() {
        return amx::multiply_in_registers(rounds);
    }
    fused_additions::<Dots>(Pair::nearest(0.5, 0.5), rounds)
}

/// Bytes that a measurement reads: some milliseconds.
const READ: usize = 256 << 20;

/// Bytes that all cores together read in a second, again and again from so many that lie in memory as packed weights do. If caches hold as many,
/// it is their speed.
pub fn bytes_per_second(bytes: usize) -> f64 {
    let count = bytes.div_ceil(size_of::<Full>()).max(1);
    let ones = |room: &mut [MaybeUninit<Full>]| {
        room.fill(MaybeUninit::new(Full([1.0; WIDTH])));
    };
    // SAFETY: every lane is written.
    #[allow(unsafe_code)]
    let lanes = unsafe { Kept::filled_apart(count, ones) };
    let bytes = size_of_val(&*lanes);
    let passes = READ.div_ceil(bytes);
    let read = || {
        thread::scope(|scope| {
            for lanes in lanes.chunks(count.div_ceil(cores())) {
                scope.spawn(move || {
                    for _ in 0..passes {
                        dispatch(Read(black_box(lanes)));
                    }
                });
            }
        });
    };
    (passes * bytes) as f64 / fastest(read)
}

/// Adds up lanes, in four sums side by side so that none waits for the one before.
struct Read<'a>(&'a [Full]);

impl Work for Read<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let mut sums = [I::zero(); 4];
        let (fours, _) = self.0.as_chunks::<4>();
        for lanes in fours {
            for (sum, lane) in sums.iter_mut().zip(lanes) {
                *sum = I::sum(*sum, I::load(&lane.0));
            }
        }
        keep::<I>(&sums);
    }
}

/// So that the compiler takes sums for needed.
#[inline(always)]
fn keep<I: Isa>(sums: &[I::Vector]) {
    for sum in sums {
        let mut numbers = [0.0; 16];
        I::store(*sum, unwritten(&mut numbers));
        black_box(numbers);
    }
}

/// Seconds of the fastest of some runs.
fn fastest(mut work: impl FnMut()) -> f64 {
    let timed = |_| {
        let started = Instant::now();
        work();
        started.elapsed().as_secs_f64()
    };
    (0..TRIES).map(timed).fold(f64::INFINITY, f64::min)
}

/// Fused multiply-adds in registers, `rounds` in each of several independent chains. Returns how many multiplications and additions that were.
fn fused_additions<A: Arithmetic>(number: A::Number, rounds: usize) -> usize {
    let mut operations = 0;
    dispatch(Chains::<A> {
        number,
        rounds,
        operations: &mut operations,
    });
    operations
}

struct Chains<'a, A: Arithmetic> {
    number: A::Number,
    rounds: usize,
    operations: &'a mut usize,
}

impl<A: Arithmetic> Work for Chains<'_, A> {
    const BF16: bool = A::BF16;

    #[inline(always)]
    fn run<I: Isa>(self) {
        let chains = if I::WIDE {
            add::<I, A, { CHAINS[0] }>(self.number, self.rounds);
            CHAINS[0]
        } else {
            add::<I, A, { CHAINS[1] }>(self.number, self.rounds);
            CHAINS[1]
        };
        let terms = A::Lanes::INPUTS / A::NUMBERS;
        *self.operations = 2 * terms * 16 * chains * self.rounds;
    }
}

#[inline(always)]
fn add<I: Isa, A: Arithmetic, const N: usize>(number: A::Number, rounds: usize) {
    let (a, b) = (
        A::all::<I>(black_box(number)),
        A::all::<I>(black_box(number)),
    );
    let mut sums = [I::zero(); N];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = A::fused::<I>(a, b, *sum);
        }
    }
    keep::<I>(&sums);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_of_products_is_one_that_a_machine_can_have() {
        for (precision, kept) in [
            (MatmulPrecision::F32, Precision::F32),
            (MatmulPrecision::F32, Precision::Bf16),
            (MatmulPrecision::Bf16, Precision::F32),
        ] {
            let speed = product_flops_per_second(precision, [576, 1536], kept);
            assert!(
                speed > 1e6 && speed < 1e12 * 16.0 * cores() as f64,
                "{speed}"
            );
        }
    }

    #[test]
    fn so_few_bytes_that_one_core_has_all_are_read_too() {
        for bytes in [0, 1 << 20, 64 << 20] {
            let speed = bytes_per_second(bytes);
            assert!(speed > 1e7 && speed < 1e15, "{bytes} bytes: {speed}");
        }
    }

    #[test]
    fn two_operations_for_each_term_of_sixteen_sums_in_every_chain() {
        let one = fused_additions::<Singles>(0.5, 1);
        assert!(one == 2 * 16 * 12 || one == 2 * 16 * 6);
        assert_eq!(fused_additions::<Singles>(0.5, 1000), 1000 * one);
        let pairs = fused_additions::<Dots>(Pair::nearest(0.5, 0.5), 1);
        assert_eq!(pairs, 2 * one);
    }
}
