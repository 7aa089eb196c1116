//! Arithmetic for its own sake: what the cores can do at most.

use std::hint::black_box;
use std::thread;
use std::time::Instant;

use super::arithmetic::{Arithmetic, Dots, Singles};
use super::cores;
use super::isa::{Isa, Work, dispatch, unwritten};
use super::lanes::{Lanes, Pair};
use super::matmul::MatmulPrecision;

/// Chains of fused additions side by side that keep every unit busy, and leave room for two more vectors: of thirty-two registers, or of sixteen
/// where a vector takes two.
const CHAINS: [usize; 2] = [12, 6];

/// Measurements; the best counts, since it is a limit that is looked for.
const TRIES: usize = 5;

/// Multiplications and additions that all cores together do in a second, in registers: no product of matrices can be faster. Each
/// measurement makes `rounds` fused additions in every chain: a million take some milliseconds.
pub fn flops_per_second(precision: MatmulPrecision, rounds: usize) -> f64 {
    match precision {
        MatmulPrecision::F32 => limit::<Singles>(0.5, rounds),
        MatmulPrecision::Bf16 => limit::<Dots>(Pair::nearest(0.5, 0.5), rounds),
    }
}

fn limit<A: Arithmetic>(number: A::Number, rounds: usize) -> f64 {
    let add = || {
        thread::scope(|scope| {
            for _ in 0..cores() {
                scope.spawn(|| fused_additions::<A>(number, rounds));
            }
        });
    };
    (fused_additions::<A>(number, 1) * rounds * cores()) as f64 / fastest(add)
}

/// Seconds of the fastest of some runs.
pub fn fastest(work: impl Fn()) -> f64 {
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
    for sum in sums {
        let mut numbers = [0.0; 16];
        I::store(sum, unwritten(&mut numbers));
        black_box(numbers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_operations_for_each_term_of_sixteen_sums_in_every_chain() {
        let one = fused_additions::<Singles>(0.5, 1);
        assert!(one == 2 * 16 * 12 || one == 2 * 16 * 6);
        assert_eq!(fused_additions::<Singles>(0.5, 1000), 1000 * one);
        let pairs = fused_additions::<Dots>(Pair::nearest(0.5, 0.5), 1);
        assert_eq!(pairs, 2 * one);
    }
}
