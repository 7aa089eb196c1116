//! Arithmetic for its own sake: what a core can do at most.

use std::hint::black_box;

use super::isa::{Isa, Work, dispatch, unwritten};

/// Chains of fused additions side by side that keep every unit busy, and leave room for two more vectors: of thirty-two registers, or of sixteen
/// where a vector takes two.
const CHAINS: [usize; 2] = [12, 6];

/// Fused multiply-adds in registers, `rounds` in each of several independent chains. Returns how many multiplications and additions that were.
pub fn fused_additions(rounds: usize) -> usize {
    let mut operations = 0;
    dispatch(Chains {
        rounds,
        operations: &mut operations,
    });
    operations
}

struct Chains<'a> {
    rounds: usize,
    operations: &'a mut usize,
}

impl Work for Chains<'_> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let chains = if I::WIDE {
            add::<I, { CHAINS[0] }>(self.rounds);
            CHAINS[0]
        } else {
            add::<I, { CHAINS[1] }>(self.rounds);
            CHAINS[1]
        };
        *self.operations = 2 * 16 * chains * self.rounds;
    }
}

#[inline(always)]
fn add<I: Isa, const N: usize>(rounds: usize) {
    let (a, b) = (I::all(black_box(0.5)), I::all(black_box(0.25)));
    let mut sums = [I::zero(); N];
    for _ in 0..rounds {
        for sum in &mut sums {
            *sum = I::fused_all(a, b, *sum);
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
    fn two_operations_for_each_of_sixteen_numbers_in_every_chain() {
        let one = fused_additions(1);
        assert!(one == 2 * 16 * 12 || one == 2 * 16 * 6);
        assert_eq!(fused_additions(1000), 1000 * one);
    }
}
