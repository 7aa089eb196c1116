//! One source, compiled once for each instruction set and chosen when it runs.
//!
//! [`dispatch`] enters a copy of the work that may use the widest instructions this machine has. Products name their vectors
//! ([`Isa::Wide`]), since the compiler's own choice of what to vectorise in five nested loops was once a hundred times slower;
//! loops over one row are left to it.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64 as x86;

use super::panels::WIDTH;

/// What differs between instruction sets. Everything is `#[inline(always)]`, so that it becomes part of a copy of the work.
pub(super) trait Isa {
    /// Thirty-two registers of sixteen numbers, rather than sixteen registers of eight.
    const WIDE: bool;
    /// [`WIDTH`] numbers.
    type Wide: Copy;

    /// The same number everywhere.
    fn splat(value: f32) -> Self::Wide;

    /// From memory.
    fn load(values: &[f32; WIDTH]) -> Self::Wide;

    /// From the upper halves of the numbers.
    fn load_brief(values: &[u16; WIDTH]) -> Self::Wide;

    /// a·b + c in every place.
    fn fused_wide(a: Self::Wide, b: Self::Wide, c: Self::Wide) -> Self::Wide;

    /// To memory.
    fn store(wide: Self::Wide) -> [f32; WIDTH];

    /// a·b + c.
    fn fused(a: f32, b: f32, c: f32) -> f32;
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

// SAFETY of every block: `dispatch` enters work for an instruction set only on machines that have it, and the references cover what is
// loaded.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
impl Isa for Avx512 {
    const WIDE: bool = true;
    type Wide = x86::__m512;

    #[inline(always)]
    fn splat(value: f32) -> Self::Wide {
        unsafe { x86::_mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn load(values: &[f32; WIDTH]) -> Self::Wide {
        unsafe { x86::_mm512_loadu_ps(values.as_ptr()) }
    }

    #[inline(always)]
    fn load_brief(values: &[u16; WIDTH]) -> Self::Wide {
        unsafe {
            let halves = x86::_mm256_loadu_si256(values.as_ptr().cast());
            x86::_mm512_castsi512_ps(x86::_mm512_slli_epi32::<16>(x86::_mm512_cvtepu16_epi32(halves)))
        }
    }

    #[inline(always)]
    fn fused_wide(a: Self::Wide, b: Self::Wide, c: Self::Wide) -> Self::Wide {
        unsafe { x86::_mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn store(wide: Self::Wide) -> [f32; WIDTH] {
        let mut values = [0.0; WIDTH];
        unsafe { x86::_mm512_storeu_ps(values.as_mut_ptr(), wide) };
        values
    }

    #[inline(always)]
    fn fused(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

// SAFETY of every block: as above.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
impl Isa for Avx2 {
    const WIDE: bool = false;
    type Wide = [x86::__m256; 2];

    #[inline(always)]
    fn splat(value: f32) -> Self::Wide {
        [unsafe { x86::_mm256_set1_ps(value) }; 2]
    }

    #[inline(always)]
    fn load(values: &[f32; WIDTH]) -> Self::Wide {
        let (low, high) = values.split_at(WIDTH / 2);
        [low, high].map(|half| unsafe { x86::_mm256_loadu_ps(half.as_ptr()) })
    }

    #[inline(always)]
    fn load_brief(values: &[u16; WIDTH]) -> Self::Wide {
        let (low, high) = values.split_at(WIDTH / 2);
        [low, high].map(|half| unsafe {
            let halves = x86::_mm_loadu_si128(half.as_ptr().cast());
            x86::_mm256_castsi256_ps(x86::_mm256_slli_epi32::<16>(x86::_mm256_cvtepu16_epi32(halves)))
        })
    }

    #[inline(always)]
    fn fused_wide(a: Self::Wide, b: Self::Wide, c: Self::Wide) -> Self::Wide {
        unsafe { [x86::_mm256_fmadd_ps(a[0], b[0], c[0]), x86::_mm256_fmadd_ps(a[1], b[1], c[1])] }
    }

    #[inline(always)]
    fn store(wide: Self::Wide) -> [f32; WIDTH] {
        let mut values = [0.0; WIDTH];
        let (low, high) = values.split_at_mut(WIDTH / 2);
        unsafe {
            x86::_mm256_storeu_ps(low.as_mut_ptr(), wide[0]);
            x86::_mm256_storeu_ps(high.as_mut_ptr(), wide[1]);
        }
        values
    }

    #[inline(always)]
    fn fused(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

impl Isa for Portable {
    // 64-bit ARM has thirty-two registers of four numbers: as many as six rows of one panel take.
    const WIDE: bool = false;
    type Wide = [f32; WIDTH];

    #[inline(always)]
    fn splat(value: f32) -> Self::Wide {
        [value; WIDTH]
    }

    #[inline(always)]
    fn load(values: &[f32; WIDTH]) -> Self::Wide {
        *values
    }

    #[inline(always)]
    fn load_brief(values: &[u16; WIDTH]) -> Self::Wide {
        values.map(|bits| f32::from_bits(u32::from(bits) << 16))
    }

    #[inline(always)]
    fn fused_wide(a: Self::Wide, b: Self::Wide, c: Self::Wide) -> Self::Wide {
        std::array::from_fn(|lane| Self::fused(a[lane], b[lane], c[lane]))
    }

    #[inline(always)]
    fn store(wide: Self::Wide) -> [f32; WIDTH] {
        wide
    }

    #[inline(always)]
    fn fused(a: f32, b: f32, c: f32) -> f32 {
        // Without the instruction, a fused product is a slow call.
        if cfg!(any(target_arch = "aarch64", target_feature = "fma")) {
            a.mul_add(b, c)
        } else {
            a * b + c
        }
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
