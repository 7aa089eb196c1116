//! One source, compiled once for each instruction set and chosen when it runs.
//!
//! Most kernels are plain loops over arrays of sixteen numbers; the compiler makes vector instructions of them where it may
//! use any. [`dispatch`] enters a copy of the loops that may use the widest this machine has.

use std::mem::MaybeUninit;
use std::ptr;

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m256, __m512, __m512i, _MM_HINT_T1, _mm_loadu_si128, _mm_prefetch, _mm256_castsi256_ps,
    _mm256_cvtepu16_epi32, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_loadu_si256,
    _mm256_permute2f128_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_slli_epi32, _mm256_storeu_ps,
    _mm256_unpackhi_ps, _mm256_unpacklo_ps, _mm512_add_epi32, _mm512_castsi512_ps,
    _mm512_cvtepu16_epi32, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_permutex2var_ps,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_setr_epi32, _mm512_setzero_ps, _mm512_slli_epi32,
    _mm512_storeu_ps,
};

/// What differs between instruction sets.
pub(super) trait Isa {
    /// Thirty-two registers of sixteen numbers, rather than sixteen registers of eight.
    const WIDE: bool;

    /// Sixteen numbers in registers. The innermost loop names its instructions: whether the compiler finds them for itself
    /// depends on what else is in the function, and a product is twenty times slower where it doesn't.
    type Vector: Copy;

    /// a·b + c.
    fn fused(a: f32, b: f32, c: f32) -> f32;

    /// Sixteen zeros.
    fn zero() -> Self::Vector;

    /// Sixteen times the same.
    fn all(x: f32) -> Self::Vector;

    /// From memory.
    fn load(from: &[f32; 16]) -> Self::Vector;

    /// From the upper halves of f32.
    fn load_halves(from: &[u16; 16]) -> Self::Vector;

    /// Sixteen times a·b + c.
    fn fused_all(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;

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
    /// Does it.
    fn run<I: Isa>(self);
}

#[cfg(target_arch = "x86_64")]
struct Avx512;
#[cfg(target_arch = "x86_64")]
struct Avx2;
struct Portable;

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
impl Isa for Avx512 {
    const WIDE: bool = true;

    type Vector = __m512;

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
    fn load_halves(from: &[u16; 16]) -> __m512 {
        // SAFETY: as above; 32 bytes are read, which is what there is.
        unsafe {
            let halves = _mm256_loadu_si256(std::ptr::from_ref(from).cast());
            let wide: __m512i = _mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16);
            _mm512_castsi512_ps(wide)
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
    fn load_halves(from: &[u16; 16]) -> [__m256; 2] {
        let half = |from: &[u16]| {
            // SAFETY: as above; 16 bytes are read of eight numbers.
            unsafe {
                let halves = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.as_ptr().cast()));
                _mm256_castsi256_ps(_mm256_slli_epi32(halves, 16))
            }
        };
        [half(&from[..8]), half(&from[8..])]
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
    fn load_halves(from: &[u16; 16]) -> [f32; 16] {
        from.map(|bits| f32::from_bits(u32::from(bits) << 16))
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
pub(super) fn dispatch(work: impl Work) {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl")
        {
            // SAFETY: the machine has the instructions.
            #[allow(unsafe_code)]
            return unsafe { with_avx512(work) };
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            // SAFETY: the machine has the instructions.
            #[allow(unsafe_code)]
            return unsafe { with_avx2(work) };
        }
    }
    work.run::<Portable>();
}

/// Whether this machine multiplies pairs of bf16: then a product in [`Bf16`](super::MatmulPrecision::Bf16) is faster than one in f32.
pub fn has_bf16_products() -> bool {
    #[cfg(target_arch = "x86_64")]
    let has = is_x86_feature_detected!("avx512bf16")
        && is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl");
    #[cfg(not(target_arch = "x86_64"))]
    let has = false;
    has
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma")]
fn with_avx512(work: impl Work) {
    work.run::<Avx512>();
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
