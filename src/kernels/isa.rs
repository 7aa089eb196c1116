//! One source, compiled once for each instruction set and chosen when it runs.
//!
//! The kernels are plain loops over arrays of sixteen numbers; the compiler makes vector instructions of them where it may
//! use any. [`dispatch`] enters a copy of the loops that may use the widest this machine has.

/// What differs between instruction sets.
pub(super) trait Isa {
    /// Thirty-two registers of sixteen numbers, rather than sixteen registers of eight.
    const WIDE: bool;

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

#[cfg(target_arch = "x86_64")]
impl Isa for Avx512 {
    const WIDE: bool = true;

    #[inline(always)]
    fn fused(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

#[cfg(target_arch = "x86_64")]
impl Isa for Avx2 {
    const WIDE: bool = false;

    #[inline(always)]
    fn fused(a: f32, b: f32, c: f32) -> f32 {
        a.mul_add(b, c)
    }
}

impl Isa for Portable {
    // 64-bit ARM has thirty-two registers of four numbers: as many as eight rows of one panel take.
    const WIDE: bool = false;

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
