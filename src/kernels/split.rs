//! A number in f32 as the sum of three in bf16, whose products a matrix unit adds up in f32.
//!
//! Eight bits of the number's 24 go to each part (Henry, Tang and Heinecke, "Leveraging the bfloat16 Artificial Intelligence Datatype For
//! Higher-Precision Computations", 2019). Of the nine products of two such numbers, six are enough: those left out are each at most 2⁻²⁴ of the
//! whole, as much as rounding to f32 may change it. Numbers that are infinite, or above the largest bf16 (3.39·10³⁸), become NaN; a part below
//! 2⁻¹²⁶ is taken for 0, as a unit does, so that numbers below 2⁻¹¹⁰ lose their last bits.

use super::isa::Isa;
use super::lanes::Brief;

/// Parts of a number in f32.
pub(super) const PARTS: usize = 3;

/// Hands over numbers as the sum of `N` others, largest first: three that bf16 holds, or themselves alone. Two at a time, which become pairs; an
/// array of parts would be put into memory. `part` should be so small that it is inlined: else it would not have the instruction set.
#[inline(always)]
pub(super) fn split<I: Isa, const N: usize>(
    mut first: I::Vector,
    mut second: I::Vector,
    mut part: impl FnMut(usize, I::Vector, I::Vector),
) {
    let minus = I::all(-1.0);
    for n in 0..N - 1 {
        let (a, b) = (I::upper(first), I::upper(second));
        part(n, a, b);
        first = I::fused_all(minus, a, first);
        second = I::fused_all(minus, b, second);
    }
    part(N - 1, first, second);
}

/// Two inputs' weights side by side, part by part.
#[inline(always)]
pub(super) fn side_by_side<I: Isa, const N: usize>(
    first: I::Vector,
    second: I::Vector,
    into: &mut [Brief; N],
) {
    split::<I, N>(first, second, |n, first, second| {
        let pairs = if N == 1 {
            I::side_by_side(first, second)
        } else {
            I::upper_halves(first, second)
        };
        I::store_pairs(pairs, &mut into[n].0);
    });
}

#[cfg(test)]
mod tests {
    use std::array;

    use proptest::prelude::*;

    use super::super::isa::{Work, dispatch, unwritten};
    use super::super::lanes::Pair;
    use super::*;

    struct Three<'a>([f32; 16], &'a mut [[f32; 16]; PARTS]);

    impl Work for Three<'_> {
        #[inline(always)]
        fn run<I: Isa>(self) {
            let numbers = I::load(&self.0);
            split::<I, PARTS>(numbers, numbers, |n, first, second| {
                I::store(
                    if n % 2 == 0 { first } else { second },
                    unwritten(&mut self.1[n]),
                );
            });
        }
    }

    struct Beside<'a>([[f32; 16]; 2], &'a mut [Brief; PARTS]);

    impl Work for Beside<'_> {
        const BF16: bool = true;

        #[inline(always)]
        fn run<I: Isa>(self) {
            let [first, second] = self.0.map(|numbers| I::load(&numbers));
            side_by_side::<I, PARTS>(first, second, self.1);
        }
    }

    fn three(numbers: [f32; 16]) -> [[f32; 16]; PARTS] {
        let mut parts = [[0.0; 16]; PARTS];
        dispatch(Three(numbers, &mut parts));
        parts
    }

    proptest! {
        #[test]
        fn three_numbers_of_eight_bits_make_up_one_of_twenty_four(
            numbers in prop::array::uniform16(-1e30_f32..1e30), exponent in -150_i32..8,
        ) {
            let numbers = numbers.map(|x| x * 2_f32.powi(exponent));
            let parts = three(numbers);
            for (i, number) in numbers.into_iter().enumerate() {
                let [first, second, third] = parts.map(|part| part[i]);
                for part in [first, second, third] {
                    prop_assert_eq!(half::bf16::from_f32(part).to_f32(), part);
                }
                prop_assert_eq!(f64::from(first) + f64::from(second) + f64::from(third), f64::from(number));
                prop_assert!(second.abs() <= number.abs() / 256.0 && third.abs() <= number.abs() / 65536.0);
            }
        }
    }

    /// A third part that bf16 does not hold, since it is below its smallest number, is cut off and touches nothing beside it.
    #[test]
    fn the_smallest_numbers_lose_their_last_bits_and_nothing_else() {
        let small = [
            0x0480_007f,
            0x0000_0001,
            0x0001_8000,
            0x0080_ffff,
            0x8480_7fff,
        ];
        let numbers = |turn: usize| array::from_fn(|i| f32::from_bits(small[(i + turn) % 5]));
        let mut parts = [Brief([Pair::ZERO; 16]); PARTS];
        dispatch(Beside([numbers(0), numbers(1)], &mut parts));
        for i in 0..16 {
            for which in 0..2 {
                let found: f64 = (0..PARTS)
                    .map(|n| f64::from(parts[n].0[i].number(which)))
                    .sum();
                let exact = f64::from(numbers(which)[i]);
                assert!((found - exact).abs() < f64::from(f32::MIN_POSITIVE) / 128.0);
            }
        }
    }

    #[test]
    fn what_is_not_finite_becomes_nan() {
        for number in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX] {
            let parts = three([number; 16]).map(|part| part[0]);
            assert!(parts.iter().sum::<f32>().is_nan(), "{number}: {parts:?}");
        }
    }
}
