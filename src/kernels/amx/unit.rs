//! The unit itself, on Linux.

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::marker::PhantomData;
use std::sync::OnceLock;

use super::super::lanes::{Brief, Full, Pair};
use super::super::panels::WIDTH;
use super::{PANELS, ROWS, STEPS};

/// Whether this machine has the unit and the system lets this process use it.
pub fn available() -> bool {
    static AVAILABLE: OnceLock<bool> = OnceLock::new();
    *AVAILABLE.get_or_init(|| has_unit() && is_permitted())
}

fn has_unit() -> bool {
    const BF16_AND_TILES: u32 = 1 << 22 | 1 << 24;
    is_x86_feature_detected!("avx512bf16")
        && __cpuid_count(7, 0).edx & BF16_AND_TILES == BF16_AND_TILES
}

/// Linux keeps room for the unit's registers only for a process that asks.
fn is_permitted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: i64 = 0x1023;
    const XFEATURE_XTILEDATA: i64 = 18;
    let mut result = ARCH_PRCTL;
    // SAFETY: the call changes nothing but what this process may use. A system that doesn't know it says so.
    #[allow(unsafe_code)]
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") XFEATURE_XTILEDATA,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result == 0
}

/// What the registers of the unit hold, as `ldtilecfg` reads it.
#[repr(C, align(64))]
struct Shapes {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// The unit, set up on this thread; it is given back when this is dropped. Of its eight registers the first four are the sums of one or two tiles
/// of rows, times two panels; the next two are those rows, and the last two the panels. The compiler puts nothing of its own into them, so they
/// stay as they are from one of these functions to the next, and the system keeps them for each thread.
pub(super) struct Unit {
    /// Of one thread.
    _thread: PhantomData<*const ()>,
}

#[allow(unsafe_code, clippy::unused_self)] // what it holds is in registers
impl Unit {
    /// For so many rows: a tile has all of them, or sixteen.
    ///
    /// # Panics
    /// If there is no unit.
    #[inline(always)]
    pub(super) fn new(rows: usize) -> Self {
        assert!(available() && rows > 0);
        let rows = rows.min(ROWS) as u8;
        let mut shapes = Shapes {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            row_bytes: [0; 16],
            rows: [0; 16],
        };
        shapes.row_bytes[..8].fill(64);
        shapes.rows[..6].fill(rows);
        shapes.rows[6..8].fill(STEPS as u8);
        // SAFETY: the unit is available, and the shapes are among those it has.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const shapes, options(nostack, readonly));
        }
        Self {
            _thread: PhantomData,
        }
    }

    /// The sums are zeros.
    #[inline(always)]
    pub(super) fn clear(&mut self, tiles: usize) {
        // SAFETY: the unit is set up. So below.
        unsafe {
            asm!("tilezero tmm0", "tilezero tmm1", options(nostack, nomem));
            if tiles > 1 {
                asm!("tilezero tmm2", "tilezero tmm3", options(nostack, nomem));
            }
        }
    }

    /// The sums of so many tiles of rows are these: of a row, one panel beside the other.
    ///
    /// # Panics
    /// If there are fewer.
    #[inline(always)]
    pub(super) fn load(&mut self, tiles: usize, from: &[Full]) {
        assert!(from.len() >= PANELS * ROWS * tiles);
        // SAFETY: there are so many.
        unsafe {
            asm!(
                "tileloadd tmm0, [{from} + {stride}]",
                "tileloadd tmm1, [{from} + {stride} + 64]",
                from = in(reg) from.as_ptr(),
                stride = in(reg) PANELS * size_of::<Full>(),
                options(nostack, readonly),
            );
            if tiles > 1 {
                asm!(
                    "tileloadd tmm2, [{from} + {stride}]",
                    "tileloadd tmm3, [{from} + {stride} + 64]",
                    from = in(reg) from[PANELS * ROWS..].as_ptr(),
                    stride = in(reg) PANELS * size_of::<Full>(),
                    options(nostack, readonly),
                );
            }
        }
    }

    /// The reverse of [`Unit::load`].
    ///
    /// # Panics
    /// If there is room for fewer.
    #[inline(always)]
    pub(super) fn store(&mut self, tiles: usize, into: &mut [Full]) {
        assert!(into.len() >= PANELS * ROWS * tiles);
        // SAFETY: there is room for so many.
        unsafe {
            asm!(
                "tilestored [{into} + {stride}], tmm0",
                "tilestored [{into} + {stride} + 64], tmm1",
                into = in(reg) into.as_mut_ptr(),
                stride = in(reg) PANELS * size_of::<Full>(),
                options(nostack),
            );
            if tiles > 1 {
                asm!(
                    "tilestored [{into} + {stride}], tmm2",
                    "tilestored [{into} + {stride} + 64], tmm3",
                    into = in(reg) into[PANELS * ROWS..].as_mut_ptr(),
                    stride = in(reg) PANELS * size_of::<Full>(),
                    options(nostack),
                );
            }
        }
    }

    /// Takes up so many tiles of rows.
    ///
    /// # Safety
    /// From `from` on there must lie as many rows, each of sixteen pairs and `stride` pairs after the one before.
    #[inline(always)]
    pub(super) unsafe fn rows(&mut self, tiles: usize, from: *const Pair, stride: usize) {
        // SAFETY: as the caller promises.
        unsafe {
            asm!(
                "tileloadd tmm4, [{from} + {stride}]",
                from = in(reg) from,
                stride = in(reg) stride * size_of::<Pair>(),
                options(nostack, readonly),
            );
            if tiles > 1 {
                asm!(
                    "tileloadd tmm5, [{from} + {stride}]",
                    from = in(reg) from.add(ROWS * stride),
                    stride = in(reg) stride * size_of::<Pair>(),
                    options(nostack, readonly),
                );
            }
        }
    }

    /// Takes up sixteen steps of two panels.
    ///
    /// # Safety
    /// From either pointer on there must lie as many lanes, each `stride` lanes after the one before.
    #[inline(always)]
    pub(super) unsafe fn panels(&mut self, from: [*const Brief; PANELS], stride: usize) {
        // SAFETY: as the caller promises.
        unsafe {
            asm!(
                "tileloadd tmm6, [{first} + {stride}]",
                "tileloadd tmm7, [{second} + {stride}]",
                first = in(reg) from[0],
                second = in(reg) from[1],
                stride = in(reg) stride * size_of::<Brief>(),
                options(nostack, readonly),
            );
        }
    }

    /// Adds the products of what was taken up to the sums. What the processor does meanwhile stays behind this: so it seems to use memory.
    #[inline(always)]
    pub(super) fn multiply(&mut self, tiles: usize) {
        // SAFETY: the unit is set up.
        unsafe {
            asm!(
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                options(nostack),
            );
            if tiles > 1 {
                asm!(
                    "tdpbf16ps tmm2, tmm5, tmm6",
                    "tdpbf16ps tmm3, tmm5, tmm7",
                    options(nostack),
                );
            }
        }
    }
}

/// Multiplies tiles of zeros that stay in the unit's registers, `rounds` for each of its sums. Returns how many multiplications and additions
/// that were.
pub(in super::super) fn multiply_in_registers(rounds: usize) -> usize {
    assert!(rounds > 0);
    let _unit = Unit::new(ROWS);
    // SAFETY: the unit is set up, and what its registers hold means nothing.
    #[allow(unsafe_code)]
    unsafe {
        asm!(
            "2:",
            "tdpbf16ps tmm0, tmm4, tmm6",
            "tdpbf16ps tmm1, tmm4, tmm7",
            "tdpbf16ps tmm2, tmm5, tmm6",
            "tdpbf16ps tmm3, tmm5, tmm7",
            "dec {rounds}",
            "jnz 2b",
            rounds = inout(reg) rounds => _,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack, nomem),
        );
    }
    2 * 2 * STEPS * ROWS * WIDTH * 4 * rounds
}

impl Drop for Unit {
    #[inline(always)]
    fn drop(&mut self) {
        // SAFETY: the unit is available. Empty registers cost the system nothing when it changes threads.
        #[allow(unsafe_code)]
        unsafe {
            asm!("tilerelease", options(nostack, nomem));
        }
    }
}
