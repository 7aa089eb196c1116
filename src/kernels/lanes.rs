//! A panel's weights for one input or two: what the innermost loop reads at a time.

use super::isa::{Isa, unwritten};
use super::panels::WIDTH;
use super::split::side_by_side;

/// Weights of one or two inputs for the sixteen outputs of a panel, to be multiplied.
pub(super) trait Packable: Copy {
    /// How many inputs.
    const INPUTS: usize;

    /// Sixteen zeros for each.
    const ZERO: Self;

    /// The nearest that can be kept to some of these rows, from `first` on.
    fn set<I: Isa>(&mut self, rows: &[I::Vector], first: usize);
}

/// The same, to be kept and read.
pub(super) trait Lanes: Packable + Send + Sync {
    /// Of one input, as the numbers to compute with.
    fn widen(&self, input: usize) -> [f32; WIDTH];

    /// The same in registers.
    fn vector<I: Isa>(&self, input: usize) -> I::Vector;

    /// The nearest that can be kept to `row(input)`.
    fn narrow(row: impl Fn(usize) -> [f32; WIDTH]) -> Self;
}

/// Sixteen f32 on a cache line of their own.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub struct Full(pub(super) [f32; WIDTH]);

impl Full {
    /// Sixteen zeros.
    pub const ZERO: Self = Self([0.0; WIDTH]);
}

/// Two inputs' weights in bf16, side by side for each output.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(super) struct Brief(pub(super) [Pair; WIDTH]);

/// Two bf16, the first in the lower half.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct Pair(pub(super) u32);

impl Pair {
    /// Two zeros.
    pub(super) const ZERO: Self = Self(0);

    /// The nearest to two numbers.
    #[inline(always)]
    pub(super) fn nearest(first: f32, second: f32) -> Self {
        Self(nearest_half(first) | nearest_half(second) << 16)
    }

    /// The first of the two, or the second.
    #[inline(always)]
    pub(super) fn number(self, which: usize) -> f32 {
        f32::from_bits(if which == 0 {
            self.0 << 16
        } else {
            self.0 & 0xffff_0000
        })
    }
}

/// The upper half of a number, rounded to the nearest, ties to even: as `half` does it, but without a branch.
#[inline(always)]
fn nearest_half(value: f32) -> u32 {
    let bits = value.to_bits();
    let nearest = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16;
    let not_a_number = bits >> 16 | 0x40;
    if value.is_nan() {
        not_a_number
    } else {
        nearest
    }
}

impl Packable for Full {
    const INPUTS: usize = 1;
    const ZERO: Self = Self::ZERO;

    #[inline(always)]
    fn set<I: Isa>(&mut self, rows: &[I::Vector], first: usize) {
        I::store(rows[first], unwritten(&mut self.0));
    }
}

impl Lanes for Full {
    #[inline(always)]
    fn widen(&self, _input: usize) -> [f32; WIDTH] {
        self.0
    }

    #[inline(always)]
    fn vector<I: Isa>(&self, _input: usize) -> I::Vector {
        I::load(&self.0)
    }

    #[inline(always)]
    fn narrow(row: impl Fn(usize) -> [f32; WIDTH]) -> Self {
        Self(row(0))
    }
}

impl Packable for Brief {
    const INPUTS: usize = 2;
    const ZERO: Self = Self([Pair::ZERO; WIDTH]);

    #[inline(always)]
    fn set<I: Isa>(&mut self, rows: &[I::Vector], first: usize) {
        I::store_pairs(I::side_by_side(rows[first], rows[first + 1]), &mut self.0);
    }
}

/// Two inputs' weights in `N` parts, of which one alone is rounded.
impl<const N: usize> Packable for [Brief; N] {
    const INPUTS: usize = 2;
    const ZERO: Self = [Brief::ZERO; N];

    #[inline(always)]
    fn set<I: Isa>(&mut self, rows: &[I::Vector], first: usize) {
        side_by_side::<I, N>(rows[first], rows[first + 1], self);
    }
}

impl Lanes for Brief {
    #[inline(always)]
    fn widen(&self, input: usize) -> [f32; WIDTH] {
        self.0.map(|pair| pair.number(input))
    }

    #[inline(always)]
    fn vector<I: Isa>(&self, input: usize) -> I::Vector {
        let pairs = I::load_pairs(&self.0);
        if input == 0 {
            I::first(pairs)
        } else {
            I::second(pairs)
        }
    }

    #[inline(always)]
    fn narrow(row: impl Fn(usize) -> [f32; WIDTH]) -> Self {
        let (first, second) = (row(0), row(1));
        Self(std::array::from_fn(|output| {
            Pair::nearest(first[output], second[output])
        }))
    }
}

#[cfg(test)]
mod tests {
    use half::bf16;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_pair_is_the_nearest_as_half_has_it(first: f32, second: f32) {
            let pair = Pair::nearest(first, second);
            for (which, number) in [first, second].into_iter().enumerate() {
                let expected = bf16::from_f32(number).to_f32();
                prop_assert_eq!(pair.number(which).to_bits(), expected.to_bits());
            }
        }
    }

    #[test]
    fn what_is_not_a_number_stays_so() {
        for bits in [0x7fc0_0000, 0x7fff_ffff, 0xffff_ffff, 0x7f80_0001] {
            assert!(Pair::nearest(f32::from_bits(bits), 0.0).number(0).is_nan());
        }
        assert_eq!(Pair::nearest(0.0, f32::INFINITY).number(1), f32::INFINITY);
        assert_eq!(Pair::nearest(f32::MAX, 0.0).number(0), f32::INFINITY);
    }
}
