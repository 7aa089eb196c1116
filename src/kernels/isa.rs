//! One source, compiled once for each instruction set and chosen when it runs.
//!
//! Most kernels are plain loops over arrays of sixteen numbers; the compiler makes vector instructions of them where it may
//! use any. [`dispatch`] enters a copy of the loops that may use the widest this machine has.

use std::array;
use std::mem::{MaybeUninit, transmute};
use std::ptr;

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m256, __m256i, __m512, __m512bh, __m512i, _MM_HINT_T1, _mm_cvtsi32_si128, _mm_prefetch,
    _mm256_and_si256, _mm256_castsi256_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256,
    _mm256_permute2f128_ps, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps, _mm256_sll_epi32,
    _mm256_slli_epi32, _mm256_storeu_ps, _mm256_storeu_si256, _mm256_unpackhi_ps,
    _mm256_unpacklo_ps, _mm512_add_epi32, _mm512_and_si512, _mm512_castsi512_ps,
    _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512,
    _mm512_permutex2var_ps, _mm512_permutexvar_epi16, _mm512_set1_epi32, _mm512_set1_ps,
    _mm512_setr_epi32, _mm512_setzero_ps, _mm512_sll_epi32, _mm512_slli_epi32, _mm512_storeu_ps,
    _mm512_storeu_si512,
};

use super::lanes::Pair;

/// What differs between instruction sets.
pub(super) trait Isa: Sized {
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

    /// One or the other, without a branch: a loop over both that is not unrolled keeps more sums in registers.
    fn either(pairs: Self::Pairs, which: usize) -> Self::Vector;

    /// Pairs to memory.
    fn store_pairs(from: Self::Pairs, into: &mut [Pair; 16]);

    /// Sixteen times a·b + c.
    fn fused_all(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;

    /// Sixteen times a₁·b₁ + (a₂·b₂ + c), the products of pairs. An instruction for it takes numbers below 2⁻¹²⁶ for 0.
    #[inline(always)]
    fn dot(a: Self::Pairs, b: Self::Pairs, c: Self::Vector) -> Self::Vector {
        dot_by_parts::<Self>(a, b, c)
    }

    /// The nearest pairs to sixteen first and sixteen second numbers.
    #[inline(always)]
    fn side_by_side(first: Self::Vector, second: Self::Vector) -> Self::Pairs {
        side_by_side_by_parts::<Self>(first, second)
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
}

/// Work with a body that is inlined into the copy for an instruction set; [`Work::run`] and all it calls must be
/// `#[inline(always)]`.
pub(super) trait Work {
    /// Does it multiply pairs of bf16?
    const BF16: bool = false;

    /// Does it.
    fn run<I: Isa>(self);
}

/// With or without the instructions for pairs of bf16.
#[cfg(target_arch = "x86_64")]
struct Avx512<const BF16: bool>;
#[cfg(target_arch = "x86_64")]
struct Avx2;
struct Portable;

/// The bits of the second of a pair.
#[cfg(target_arch = "x86_64")]
const SECOND: i32 = -0x1_0000;

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
impl<const BF16: bool> Isa for Avx512<BF16> {
    const WIDE: bool = true;

    type Vector = __m512;

    type Pairs = __m512i;

    #[inline(always)]
    fn fused(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }

    #[inline(always)]
    fn zero() -> __m512 {
        // SAFETY: only `with_avx512` makes this instruction set's copies, after the machine was seen to have it. So below.
        unsafe { _mm512_setzero_ps() }
    }

    #[inline(always)]
    fn all(x: f32) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    fn load(from: &[f32; 16]) -> __m512 {
        // SAFETY: as above; sixteen numbers are read, which is what there is.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn load_pairs(from: &[Pair; 16]) -> __m512i {
        // SAFETY: as above; sixteen pairs are read, which is what there is.
        unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
    }

    #[inline(always)]
    fn all_pairs(pair: Pair) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_set1_epi32(pair.0.cast_signed()) }
    }

    #[inline(always)]
    fn first(pairs: __m512i) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)) }
    }

    #[inline(always)]
    fn second(pairs: __m512i) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(SECOND))) }
    }

    #[inline(always)]
    fn either(pairs: __m512i, which: usize) -> __m512 {
        // SAFETY: as above.
        Self::second(unsafe { _mm512_sll_epi32(pairs, _mm_cvtsi32_si128(lift(which))) })
    }

    #[inline(always)]
    fn store_pairs(from: __m512i, into: &mut [Pair; 16]) {
        // SAFETY: as above; sixteen pairs are written, for which there is room.
        unsafe { _mm512_storeu_si512(into.as_mut_ptr().cast(), from) }
    }

    #[inline(always)]
    fn dot(a: __m512i, b: __m512i, c: __m512) -> __m512 {
        if BF16 {
            // SAFETY: as above; a register of pairs is one, whatever its type is called. So below.
            unsafe { _mm512_dpbf16_ps(c, transmute::<__m512i, __m512bh>(a), transmute(b)) }
        } else {
            dot_by_parts::<Self>(a, b, c)
        }
    }

    #[inline(always)]
    fn side_by_side(first: __m512, second: __m512) -> __m512i {
        if BF16 {
            // SAFETY: as above.
            unsafe {
                // Numbers i and 16 + i of thirty-two, in turn.
                let low = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
                let high = _mm512_slli_epi32(_mm512_add_epi32(low, _mm512_set1_epi32(16)), 16);
                let order = _mm512_add_epi32(low, high);
                _mm512_permutexvar_epi16(order, Self::in_pairs(first, second))
            }
        } else {
            side_by_side_by_parts::<Self>(first, second)
        }
    }

    #[inline(always)]
    fn in_pairs(first: __m512, second: __m512) -> __m512i {
        if BF16 {
            // SAFETY: as above.
            unsafe { transmute(_mm512_cvtne2ps_pbh(second, first)) }
        } else {
            in_pairs_by_parts::<Self>(first, second)
        }
    }

    #[inline(always)]
    fn fused_all(a: __m512, b: __m512, c: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn interleave(a: __m512, b: __m512) -> (__m512, __m512) {
        // SAFETY: as above.
        unsafe {
            let first = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            let last = _mm512_add_epi32(first, _mm512_set1_epi32(8));
            (
                _mm512_permutex2var_ps(a, first, b),
                _mm512_permutex2var_ps(a, last, b),
            )
        }
    }

    #[inline(always)]
    fn store(from: __m512, into: &mut [MaybeUninit<f32>; 16]) {
        // SAFETY: as above; sixteen numbers are written, for which there is room.
        unsafe { _mm512_storeu_ps(into.as_mut_ptr().cast(), from) }
    }

    #[inline(always)]
    fn prefetch(line: *const u8) {
        // SAFETY: every x86-64 has the instruction, which accepts any address.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.cast()) }
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
impl Isa for Avx2 {
    const WIDE: bool = false;

    type Vector = [__m256; 2];

    type Pairs = [__m256i; 2];

    #[inline(always)]
    fn fused(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }

    #[inline(always)]
    fn zero() -> [__m256; 2] {
        // SAFETY: only `with_avx2` makes this instruction set's copies, after the machine was seen to have it. So below.
        unsafe { [_mm256_setzero_ps(); 2] }
    }

    #[inline(always)]
    fn all(x: f32) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe { [_mm256_set1_ps(x); 2] }
    }

    #[inline(always)]
    fn load(from: &[f32; 16]) -> [__m256; 2] {
        // SAFETY: as above; twice eight numbers are read, which is what there is.
        unsafe {
            [
                _mm256_loadu_ps(from.as_ptr()),
                _mm256_loadu_ps(from[8..].as_ptr()),
            ]
        }
    }

    #[inline(always)]
    fn load_pairs(from: &[Pair; 16]) -> [__m256i; 2] {
        // SAFETY: as above; twice eight pairs are read, which is what there is.
        unsafe {
            [
                _mm256_loadu_si256(from.as_ptr().cast()),
                _mm256_loadu_si256(from[8..].as_ptr().cast()),
            ]
        }
    }

    #[inline(always)]
    fn all_pairs(pair: Pair) -> [__m256i; 2] {
        // SAFETY: as above.
        unsafe { [_mm256_set1_epi32(pair.0.cast_signed()); 2] }
    }

    #[inline(always)]
    fn first(pairs: [__m256i; 2]) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe {
            [
                _mm256_castsi256_ps(_mm256_slli_epi32(pairs[0], 16)),
                _mm256_castsi256_ps(_mm256_slli_epi32(pairs[1], 16)),
            ]
        }
    }

    #[inline(always)]
    fn second(pairs: [__m256i; 2]) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe {
            let second = _mm256_set1_epi32(SECOND);
            [
                _mm256_castsi256_ps(_mm256_and_si256(pairs[0], second)),
                _mm256_castsi256_ps(_mm256_and_si256(pairs[1], second)),
            ]
        }
    }

    #[inline(always)]
    fn either(pairs: [__m256i; 2], which: usize) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe {
            let bits = _mm_cvtsi32_si128(lift(which));
            Self::second([
                _mm256_sll_epi32(pairs[0], bits),
                _mm256_sll_epi32(pairs[1], bits),
            ])
        }
    }

    #[inline(always)]
    fn store_pairs(from: [__m256i; 2], into: &mut [Pair; 16]) {
        // SAFETY: as above; twice eight pairs are written, for which there is room.
        unsafe {
            _mm256_storeu_si256(into.as_mut_ptr().cast(), from[0]);
            _mm256_storeu_si256(into[8..].as_mut_ptr().cast(), from[1]);
        }
    }

    #[inline(always)]
    fn fused_all(a: [__m256; 2], b: [__m256; 2], c: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe {
            [
                _mm256_fmadd_ps(a[0], b[0], c[0]),
                _mm256_fmadd_ps(a[1], b[1], c[1]),
            ]
        }
    }

    #[inline(always)]
    fn interleave(a: [__m256; 2], b: [__m256; 2]) -> ([__m256; 2], [__m256; 2]) {
        // SAFETY: as above.
        let half = |a, b| unsafe {
            let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            [
                _mm256_permute2f128_ps::<0x20>(low, high),
                _mm256_permute2f128_ps::<0x31>(low, high),
            ]
        };
        (half(a[0], b[0]), half(a[1], b[1]))
    }

    #[inline(always)]
    fn store(from: [__m256; 2], into: &mut [MaybeUninit<f32>; 16]) {
        // SAFETY: as above; twice eight numbers are written, for which there is room.
        unsafe {
            _mm256_storeu_ps(into.as_mut_ptr().cast(), from[0]);
            _mm256_storeu_ps(into[8..].as_mut_ptr().cast(), from[1]);
        }
    }

    #[inline(always)]
    fn prefetch(line: *const u8) {
        // SAFETY: every x86-64 has the instruction, which accepts any address.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.cast()) }
    }
}

impl Isa for Portable {
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
    fn either(pairs: [Pair; 16], which: usize) -> [f32; 16] {
        pairs.map(|pair| pair.number(which))
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

/// Bits by which a pair is shifted, so that its first number, or its second, is in the upper half.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn lift(which: usize) -> i32 {
    if which == 0 { 16 } else { 0 }
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

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma")]
fn with_avx512(work: impl Work) {
    work.run::<Avx512<false>>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx2,fma")]
fn with_avx512_bf16(work: impl Work) {
    work.run::<Avx512<true>>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn with_avx2(work: impl Work) {
    work.run::<Avx2>();
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

    /// Pairs of two vectors' numbers, side by side and in order, and the dot product of both.
    struct PairUp<'a>([[f32; 16]; 2], &'a mut [[Pair; 16]; 2], &'a mut [f32; 16]);

    impl Work for PairUp<'_> {
        const BF16: bool = true;

        #[inline(always)]
        fn run<I: Isa>(self) {
            let [a, b] = self.0.map(|numbers| I::load(&numbers));
            let (across, along) = (I::side_by_side(a, b), I::in_pairs(a, b));
            I::store_pairs(across, &mut self.1[0]);
            I::store_pairs(along, &mut self.1[1]);
            I::store(I::dot(across, along, a), unwritten(self.2));
        }
    }

    #[test]
    fn every_instruction_set_pairs_and_multiplies_alike() {
        let number = |i: usize, j| 1.0 / (3.0 + (16 * i + j) as f32) - 0.1;
        let numbers: [[f32; 16]; 2] = array::from_fn(|i| array::from_fn(|j| number(i, j)));
        let run = |how: for<'a> fn(PairUp<'a>)| {
            let (mut pairs, mut dots) = ([[Pair::ZERO; 16]; 2], [0.0; 16]);
            how(PairUp(numbers, &mut pairs, &mut dots));
            (pairs, dots)
        };
        let (pairs, dots) = run(|work| work.run::<Portable>());
        let flat = numbers.as_flattened();
        for i in 0..16 {
            assert_eq!(pairs[0][i], Pair::nearest(flat[i], flat[16 + i]));
            assert_eq!(pairs[1][i], Pair::nearest(flat[2 * i], flat[2 * i + 1]));
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
