//! One source, compiled once for each instruction set and chosen when it runs.
//!
//! Most kernels are plain loops over arrays of sixteen numbers; the compiler makes vector instructions of them where it may
//! use any. [`dispatch`] enters a copy of the loops that may use the widest this machine has.

use std::array;
use std::mem::MaybeUninit;
use std::ptr;

use super::amx;
use super::lanes::Pair;

#[cfg(target_arch = "x86_64")]
mod x86;

#[cfg(target_arch = "x86_64")]
use x86::{with_avx2, with_avx512, with_avx512_bf16};

/// What differs between instruction sets.
pub(super) trait Isa: Sized {
    /// As people call it.
    const NAME: &'static str;

    /// Thirty-two registers of sixteen numbers, rather than sixteen registers of eight.
    const WIDE: bool;

    /// Sixteen numbers in registers. The innermost loop names its instructions: whether the compiler finds them for itself
    /// depends on what else is in the function, and a product is twenty times slower where it doesn't.
    type Vector: Copy;

    /// Sixteen pairs of bf16 in registers.
    type Pairs: Copy;

    /// a·b + c.
    fn fused(a: f32, b: f32, c: f32) -> f32;

    /// Sixteen zeros.
    fn zero() -> Self::Vector;

    /// Sixteen times the same.
    fn all(x: f32) -> Self::Vector;

    /// From memory.
    fn load(from: &[f32; 16]) -> Self::Vector;

    /// Pairs from memory.
    fn load_pairs(from: &[Pair; 16]) -> Self::Pairs;

    /// Sixteen times the same pair.
    fn all_pairs(pair: Pair) -> Self::Pairs;

    /// The first of each pair.
    fn first(pairs: Self::Pairs) -> Self::Vector;

    /// The second of each pair.
    fn second(pairs: Self::Pairs) -> Self::Vector;

    /// Pairs to memory.
    fn store_pairs(from: Self::Pairs, into: &mut [Pair; 16]);

    /// Sixteen times a·b + c.
    fn fused_all(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;

    /// Sixteen times a + b.
    fn sum(a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// The nearest numbers that leave the lower half of the bits zero, the larger of two: bf16 without its narrow form.
    #[inline(always)]
    fn upper(x: Self::Vector) -> Self::Vector {
        let upper = |x: f32| f32::from_bits(x.to_bits().wrapping_add(0x8000) & 0xffff_0000);
        Self::load(&numbers::<Self>(x).map(upper))
    }

    /// Sixteen times a₁·b₁ + (a₂·b₂ + c), the products of pairs. An instruction for it takes numbers below 2⁻¹²⁶ for 0.
    #[inline(always)]
    fn dot(a: Self::Pairs, b: Self::Pairs, c: Self::Vector) -> Self::Vector {
        dot_by_parts::<Self>(a, b, c)
    }

    /// The nearest pairs to sixteen first and sixteen second numbers. An instruction for it makes 0 of numbers below 2⁻¹²⁶. So below.
    #[inline(always)]
    fn side_by_side(first: Self::Vector, second: Self::Vector) -> Self::Pairs {
        side_by_side_by_parts::<Self>(first, second)
    }

    /// The upper halves of the bits of sixteen first and sixteen second numbers: the pairs of those that bf16 holds.
    #[inline(always)]
    fn upper_halves(first: Self::Vector, second: Self::Vector) -> Self::Pairs {
        let (first, second) = (numbers::<Self>(first), numbers::<Self>(second));
        let upper = |x: f32| x.to_bits() & 0xffff_0000;
        let pair = |i| Pair(upper(first[i]) >> 16 | upper(second[i]));
        Self::load_pairs(&array::from_fn(pair))
    }

    /// The nearest pairs to thirty-two numbers that follow one another.
    #[inline(always)]
    fn in_pairs(first: Self::Vector, second: Self::Vector) -> Self::Pairs {
        in_pairs_by_parts::<Self>(first, second)
    }

    /// The numbers of both in turn: a₀ b₀ a₁ b₁ …
    fn interleave(a: Self::Vector, b: Self::Vector) -> (Self::Vector, Self::Vector);

    /// To memory, which need not have been written before.
    fn store(from: Self::Vector, into: &mut [MaybeUninit<f32>; 16]);

    /// Asks for a cache line that will be read soon. It may lie anywhere: nothing is read.
    fn prefetch(line: *const u8);

    /// The same of a line that will be read at once: it goes into the nearest cache.
    fn prefetch_near(line: *const u8);
}

/// Work with a body that is inlined into the copy for an instruction set; [`Work::run`] and all it calls must be
/// `#[inline(always)]`.
pub(super) trait Work {
    /// Does it multiply pairs of bf16?
    const BF16: bool = false;

    /// Does it.
    fn run<I: Isa>(self);
}

struct Portable;

impl Isa for Portable {
    const NAME: &'static str = "portable";

    // 64-bit ARM has thirty-two registers of four numbers: as many as eight rows of one panel take.
    const WIDE: bool = false;

    type Vector = [f32; 16];

    type Pairs = [Pair; 16];

    #[inline(always)]
    fn fused(a: f32, b: f32, c: f32) -> f32 {
        // Without the instruction, a fused product is a slow call.
        if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
            a.mul_add(b, c)
        } else {
            a * b + c
        }
    }

    #[inline(always)]
    fn zero() -> [f32; 16] {
        [0.0; 16]
    }

    #[inline(always)]
    fn all(x: f32) -> [f32; 16] {
        [x; 16]
    }

    #[inline(always)]
    fn load(from: &[f32; 16]) -> [f32; 16] {
        *from
    }

    #[inline(always)]
    fn load_pairs(from: &[Pair; 16]) -> [Pair; 16] {
        *from
    }

    #[inline(always)]
    fn all_pairs(pair: Pair) -> [Pair; 16] {
        [pair; 16]
    }

    #[inline(always)]
    fn first(pairs: [Pair; 16]) -> [f32; 16] {
        pairs.map(|pair| pair.number(0))
    }

    #[inline(always)]
    fn second(pairs: [Pair; 16]) -> [f32; 16] {
        pairs.map(|pair| pair.number(1))
    }

    #[inline(always)]
    fn store_pairs(from: [Pair; 16], into: &mut [Pair; 16]) {
        *into = from;
    }

    #[inline(always)]
    fn fused_all(a: [f32; 16], b: [f32; 16], mut c: [f32; 16]) -> [f32; 16] {
        for lane in 0..16 {
            c[lane] = Self::fused(a[lane], b[lane], c[lane]);
        }
        c
    }

    #[inline(always)]
    fn sum(mut a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        for (a, b) in a.iter_mut().zip(b) {
            *a += b;
        }
        a
    }

    #[inline(always)]
    fn interleave(a: [f32; 16], b: [f32; 16]) -> ([f32; 16], [f32; 16]) {
        let mut pair = ([0.0; 16], [0.0; 16]);
        for lane in 0..8 {
            (pair.0[2 * lane], pair.0[2 * lane + 1]) = (a[lane], b[lane]);
            (pair.1[2 * lane], pair.1[2 * lane + 1]) = (a[8 + lane], b[8 + lane]);
        }
        pair
    }

    #[inline(always)]
    fn store(from: [f32; 16], into: &mut [MaybeUninit<f32>; 16]) {
        *into = from.map(MaybeUninit::new);
    }

    #[inline(always)]
    fn prefetch(_line: *const u8) {}

    #[inline(always)]
    fn prefetch_near(_line: *const u8) {}
}

#[inline(always)]
fn dot_by_parts<I: Isa>(a: I::Pairs, b: I::Pairs, c: I::Vector) -> I::Vector {
    let second = I::fused_all(I::second(a), I::second(b), c);
    I::fused_all(I::first(a), I::first(b), second)
}

#[inline(always)]
fn side_by_side_by_parts<I: Isa>(first: I::Vector, second: I::Vector) -> I::Pairs {
    let (first, second) = (numbers::<I>(first), numbers::<I>(second));
    I::load_pairs(&array::from_fn(|i| Pair::nearest(first[i], second[i])))
}

#[inline(always)]
fn in_pairs_by_parts<I: Isa>(first: I::Vector, second: I::Vector) -> I::Pairs {
    let numbers = [numbers::<I>(first), numbers::<I>(second)];
    let number = |at: usize| numbers[at / 16][at % 16];
    let pair = |i| Pair::nearest(number(2 * i), number(2 * i + 1));
    I::load_pairs(&array::from_fn(pair))
}

#[inline(always)]
fn numbers<I: Isa>(vector: I::Vector) -> [f32; 16] {
    let mut numbers = [0.0; 16];
    I::store(vector, unwritten(&mut numbers));
    numbers
}

/// Numbers as a place to write to.
#[inline(always)]
pub(super) fn unwritten(numbers: &mut [f32; 16]) -> &mut [MaybeUninit<f32>; 16] {
    // SAFETY: the layout is the same, and `Isa::store`, whose argument this is, leaves nothing unwritten.
    #[allow(unsafe_code)]
    unsafe {
        &mut *ptr::from_mut(numbers).cast()
    }
}

/// Sixteen vectors of sixteen numbers, rows and columns exchanged. Each of the four rounds moves every number from the eight-bit address (row,
/// column) to that address rotated by one bit.
#[inline(always)]
pub(super) fn transpose<I: Isa>(rows: &mut [I::Vector; 16]) {
    let mut between = [I::zero(); 16];
    shuffle::<I>(rows, &mut between);
    shuffle::<I>(&between, rows);
    shuffle::<I>(rows, &mut between);
    shuffle::<I>(&between, rows);
}

#[inline(always)]
fn shuffle<I: Isa>(from: &[I::Vector; 16], into: &mut [I::Vector; 16]) {
    for row in 0..8 {
        (into[2 * row], into[2 * row + 1]) = I::interleave(from[row], from[row + 8]);
    }
}

/// The instructions that the kernels use on this machine: `AMX`, `AVX512-BF16`, `AVX-512`, `AVX2` or `portable`.
pub fn instructions() -> &'static str {
    struct Name<'a>(&'a mut &'static str);

    impl Work for Name<'_> {
        const BF16: bool = true;

        #[inline(always)]
        fn run<I: Isa>(self) {
            *self.0 = I::NAME;
        }
    }

    if amx::available() {
        return "AMX";
    }
    let mut name = "";
    dispatch(Name(&mut name));
    name
}

/// Runs `work` with the widest instructions of this machine.
pub(super) fn dispatch<W: Work>(work: W) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
        {
            // SAFETY: the machine has the instructions.
            #[allow(unsafe_code)]
            return if W::BF16 && is_x86_feature_detected!("avx512bf16") {
                unsafe { with_avx512_bf16(work) }
            } else {
                unsafe { with_avx512(work) }
            };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the machine has the instructions.
            #[allow(unsafe_code)]
            return unsafe { with_avx2(work) };
        }
    }
    work.run::<Portable>();
}

/// Whether a product in [`Bf16`](super::MatmulPrecision::Bf16) is faster here than one in f32: by AMX, or by AVX512-BF16 as AMD has it. Intel's
/// multiplies half as many numbers in a second as f32 does (found on a Xeon).
pub fn has_bf16_products() -> bool {
    #[cfg(target_arch = "x86_64")]
    let by_vectors = is_x86_feature_detected!("avx512bf16")
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && x86::is_from_amd();
    #[cfg(not(target_arch = "x86_64"))]
    let by_vectors = false;
    by_vectors || amx::available()
}

#[cfg(test)]
mod tests {
    use std::array;

    use super::*;

    struct Transpose<'a>(&'a mut [[f32; 16]; 16]);

    impl Work for Transpose<'_> {
        #[inline(always)]
        fn run<I: Isa>(self) {
            let mut rows = array::from_fn(|row| I::load(&self.0[row]));
            transpose::<I>(&mut rows);
            for (row, into) in rows.into_iter().zip(self.0) {
                I::store(row, unwritten(into));
            }
        }
    }

    /// Pairs of two vectors' numbers, side by side, in order and cut off, and the dot product of the first two.
    struct PairUp<'a>([[f32; 16]; 2], &'a mut [[Pair; 16]; 3], &'a mut [f32; 16]);

    impl Work for PairUp<'_> {
        const BF16: bool = true;

        #[inline(always)]
        fn run<I: Isa>(self) {
            let [a, b] = self.0.map(|numbers| I::load(&numbers));
            let (across, along) = (I::side_by_side(a, b), I::in_pairs(a, b));
            I::store_pairs(across, &mut self.1[0]);
            I::store_pairs(along, &mut self.1[1]);
            I::store_pairs(I::upper_halves(a, b), &mut self.1[2]);
            I::store(I::dot(across, along, a), unwritten(self.2));
        }
    }

    #[test]
    fn every_instruction_set_pairs_and_multiplies_alike() {
        let number = |i: usize, j| 1.0 / (3.0 + (16 * i + j) as f32) - 0.1;
        let numbers: [[f32; 16]; 2] = array::from_fn(|i| array::from_fn(|j| number(i, j)));
        let run = |how: for<'a> fn(PairUp<'a>)| {
            let (mut pairs, mut dots) = ([[Pair::ZERO; 16]; 3], [0.0; 16]);
            how(PairUp(numbers, &mut pairs, &mut dots));
            (pairs, dots)
        };
        let (pairs, dots) = run(|work| work.run::<Portable>());
        let flat = numbers.as_flattened();
        for i in 0..16 {
            assert_eq!(pairs[0][i], Pair::nearest(flat[i], flat[16 + i]));
            assert_eq!(pairs[1][i], Pair::nearest(flat[2 * i], flat[2 * i + 1]));
            let cut = |x: f32| f32::from_bits(x.to_bits() >> 16 << 16);
            let halves = Pair::nearest(cut(flat[i]), cut(flat[16 + i]));
            assert_eq!(pairs[2][i], halves);
            let [a, b] = [0, 1].map(|p| [0, 1].map(|which| f64::from(pairs[p][i].number(which))));
            let exact = f64::from(flat[i]) + a[0] * b[0] + a[1] * b[1];
            assert!((f64::from(dots[i]) - exact).abs() < 1e-8);
        }
        assert_eq!(run(|work| dispatch(work)), (pairs, dots));
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the machine has the instructions.
            #[allow(unsafe_code)]
            let found = run(|work| unsafe { with_avx2(work) });
            assert_eq!(found, (pairs, dots));
        }
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vl") {
            // SAFETY: the machine has the instructions, without those for pairs or with them.
            #[allow(unsafe_code)]
            let found = run(|work| unsafe { with_avx512(work) });
            assert_eq!(found, (pairs, dots));
        }
    }

    #[test]
    fn every_instruction_set_transposes() {
        let numbers: [[f32; 16]; 16] = array::from_fn(|i| array::from_fn(|j| (16 * i + j) as f32));
        let expected: [[f32; 16]; 16] = array::from_fn(|i| array::from_fn(|j| numbers[j][i]));
        let run = |how: for<'a> fn(Transpose<'a>)| {
            let mut matrix = numbers;
            how(Transpose(&mut matrix));
            assert_eq!(matrix, expected);
        };
        run(|work| work.run::<Portable>());
        run(|work| dispatch(work));
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the machine has the instructions.
            #[allow(unsafe_code)]
            run(|work| unsafe { with_avx2(work) });
        }
    }
}
