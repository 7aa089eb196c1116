//! What the innermost loop multiplies: numbers of rows with the lanes of panels, in f32 or in bf16.

use std::marker::PhantomData;

use super::isa::Isa;
use super::lanes::{Brief, Full, Lanes, Pair};
use super::panels::WIDTH;

/// How numbers of a row are multiplied with a panel's lanes. The sums are in f32.
pub(super) trait Arithmetic: Copy {
    /// What rows consist of.
    type Number: Copy + Send + Sync;
    /// What panels consist of.
    type Lanes: Lanes;
    /// Sixteen of what is multiplied, in registers.
    type Factor<I: Isa>: Copy;

    /// Numbers of a row that meet the same lanes, one after the other.
    const NUMBERS: usize;
    /// Are pairs of bf16 multiplied?
    const BF16: bool;
    /// Nothing, for a row that is too short.
    const ZERO: Self::Number;

    /// Sixteen times the same.
    fn all<I: Isa>(number: Self::Number) -> Self::Factor<I>;

    /// What the `which`-th of the numbers is multiplied with.
    fn lanes<I: Isa>(lanes: &Self::Lanes, which: usize) -> Self::Factor<I>;

    /// Sixteen different ones.
    fn load<I: Isa>(numbers: &[Self::Number; WIDTH]) -> Self::Factor<I>;

    /// Sixteen times a·b + c.
    fn fused<I: Isa>(a: Self::Factor<I>, b: Self::Factor<I>, c: I::Vector) -> I::Vector;
}

/// f32 and weights that are kept as `L`, widened to f32.
#[derive(Debug, Clone, Copy)]
pub(super) struct InF32<L>(PhantomData<L>);

/// f32 and f32.
pub(super) type Singles = InF32<Full>;

/// f32 and weights that are kept in bf16.
pub(super) type Widened = InF32<Brief>;

/// Pairs of bf16: a term is the sum of two products.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dots;

impl<L: Lanes> Arithmetic for InF32<L> {
    type Number = f32;
    type Lanes = L;
    type Factor<I: Isa> = I::Vector;

    const NUMBERS: usize = L::INPUTS;
    const BF16: bool = false;
    const ZERO: f32 = 0.0;

    #[inline(always)]
    fn all<I: Isa>(number: f32) -> I::Vector {
        I::all(number)
    }

    #[inline(always)]
    fn lanes<I: Isa>(lanes: &L, which: usize) -> I::Vector {
        lanes.vector::<I>(which)
    }

    #[inline(always)]
    fn load<I: Isa>(numbers: &[f32; WIDTH]) -> I::Vector {
        I::load(numbers)
    }

    #[inline(always)]
    fn fused<I: Isa>(a: I::Vector, b: I::Vector, c: I::Vector) -> I::Vector {
        I::fused_all(a, b, c)
    }
}

impl Arithmetic for Dots {
    type Number = Pair;
    type Lanes = Brief;
    type Factor<I: Isa> = I::Pairs;

    const NUMBERS: usize = 1;
    const BF16: bool = true;
    const ZERO: Pair = Pair::ZERO;

    #[inline(always)]
    fn all<I: Isa>(number: Pair) -> I::Pairs {
        I::all_pairs(number)
    }

    #[inline(always)]
    fn lanes<I: Isa>(lanes: &Brief, _which: usize) -> I::Pairs {
        I::load_pairs(&lanes.0)
    }

    #[inline(always)]
    fn load<I: Isa>(numbers: &[Pair; WIDTH]) -> I::Pairs {
        I::load_pairs(numbers)
    }

    #[inline(always)]
    fn fused<I: Isa>(a: I::Pairs, b: I::Pairs, c: I::Vector) -> I::Vector {
        I::dot(a, b, c)
    }
}
