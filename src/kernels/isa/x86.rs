//! The instruction sets of x86-64.

use std::arch::x86_64::{
    __cpuid, __m256, __m256i, __m512, __m512bh, __m512i, _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch,
    _mm256_add_ps, _mm256_and_si256, _mm256_castsi256_ps, _mm256_fmadd_ps, _mm256_loadu_ps,
    _mm256_loadu_si256, _mm256_permute2f128_ps, _mm256_set1_epi32, _mm256_set1_ps,
    _mm256_setzero_ps, _mm256_slli_epi32, _mm256_storeu_ps, _mm256_storeu_si256,
    _mm256_unpackhi_ps, _mm256_unpacklo_ps, _mm512_add_epi32, _mm512_add_ps, _mm512_and_si512,
    _mm512_castps_si512, _mm512_castsi512_ps, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps,
    _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_or_si512, _mm512_permutex2var_ps,
    _mm512_permutexvar_epi16, _mm512_set1_epi32, _mm512_set1_ps, _mm512_setr_epi32,
    _mm512_setzero_ps, _mm512_slli_epi32, _mm512_srli_epi32, _mm512_storeu_ps, _mm512_storeu_si512,
};
use std::mem::{MaybeUninit, transmute};

use super::super::lanes::Pair;
use super::{Isa, Work, dot_by_parts, in_pairs_by_parts, side_by_side_by_parts};

/// With or without the instructions for pairs of bf16.
pub(super) struct Avx512<const BF16: bool>;

/// Eight numbers to a register.
pub(super) struct Avx2;

/// The bits of the second of a pair.
const SECOND: i32 = -0x1_0000;

/// Half of the last bit of a number's upper half.
const HALF_OF_UPPER: i32 = 0x8000;

#[allow(unsafe_code)]
impl<const BF16: bool> Isa for Avx512<BF16> {
    const NAME: &'static str = if BF16 { "AVX512-BF16" } else { "AVX-512" };

    const WIDE: bool = true;

    type Vector = __m512;

    type Pairs = __m512i;

    #[inline(always)]
    fn fused(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }

    #[inline(always)]
    fn zero() -> __m512 {
        // SAFETY: only `with_avx512` and `with_avx512_bf16` make this instruction set's copies, after the machine was seen to have it. So below.
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
    fn store_pairs(from: __m512i, into: &mut [Pair; 16]) {
        // SAFETY: as above; sixteen pairs are written, for which there is room.
        unsafe { _mm512_storeu_si512(into.as_mut_ptr().cast(), from) }
    }

    #[inline(always)]
    fn sum(a: __m512, b: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn upper(x: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe {
            let half = _mm512_set1_epi32(HALF_OF_UPPER);
            let bits = _mm512_add_epi32(_mm512_castps_si512(x), half);
            _mm512_castsi512_ps(_mm512_and_si512(bits, _mm512_set1_epi32(SECOND)))
        }
    }

    #[inline(always)]
    fn dot(a: __m512i, b: __m512i, c: __m512) -> __m512 {
        if BF16 {
            // SAFETY: as above; a register of pairs is one, whatever its type is called. So below.
            unsafe {
                _mm512_dpbf16_ps(
                    c,
                    transmute::<__m512i, __m512bh>(a),
                    transmute::<__m512i, __m512bh>(b),
                )
            }
        } else {
            dot_by_parts::<Self>(a, b, c)
        }
    }

    #[inline(always)]
    fn upper_halves(first: __m512, second: __m512) -> __m512i {
        // SAFETY: as above.
        unsafe {
            let first = _mm512_srli_epi32(_mm512_castps_si512(first), 16);
            let upper = _mm512_set1_epi32(SECOND);
            let second = _mm512_and_si512(_mm512_castps_si512(second), upper);
            _mm512_or_si512(first, second)
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
            unsafe { transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(second, first)) }
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

    #[inline(always)]
    fn prefetch_near(line: *const u8) {
        // SAFETY: as above.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) }
    }
}

#[allow(unsafe_code)]
impl Isa for Avx2 {
    const NAME: &'static str = "AVX2";

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
    fn sum(a: [__m256; 2], b: [__m256; 2]) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe { [_mm256_add_ps(a[0], b[0]), _mm256_add_ps(a[1], b[1])] }
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

    #[inline(always)]
    fn prefetch_near(line: *const u8) {
        // SAFETY: as above.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) }
    }
}

/// Whether AMD made the processor.
pub(super) fn is_from_amd() -> bool {
    let name = __cpuid(0);
    [name.ebx, name.edx, name.ecx]
        .map(u32::to_le_bytes)
        .as_flattened()
        == b"AuthenticAMD"
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma")]
pub(super) fn with_avx512(work: impl Work) {
    work.run::<Avx512<false>>();
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,avx2,fma")]
pub(super) fn with_avx512_bf16(work: impl Work) {
    work.run::<Avx512<true>>();
}

#[target_feature(enable = "avx2,fma")]
pub(super) fn with_avx2(work: impl Work) {
    work.run::<Avx2>();
}
