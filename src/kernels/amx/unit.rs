//! The unit itself, on Linux.

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::marker::PhantomData;
use std::sync::OnceLock;

use super::super::lanes::{Brief, Full, Pair};
use super::super::panels::WIDTH;
use super::{ROWS, STEPS, SUMS, turn_of_one};

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

/// Bytes of a row's sixteen pairs, after which the next row of a tile follows.
const ROW_BYTES: usize = STEPS * size_of::<Pair>();

/// Lines of memory, the next so many bytes after the one before, into a register: as many as it has rows.
macro_rules! tile_from {
    ($register:literal, $from:expr, $bytes:expr) => {
        asm!(
            concat!("tileloadd tmm", $register, ", [{from} + {bytes}]"),
            from = in(reg) $from,
            bytes = in(reg) $bytes,
            options(nostack, readonly),
        )
    };
}

/// The reverse.
macro_rules! tile_to {
    ($register:literal, $into:expr, $bytes:expr) => {
        asm!(
            concat!("tilestored [{into} + {bytes}], tmm", $register),
            into = in(reg) $into,
            bytes = in(reg) $bytes,
            options(nostack),
        )
    };
}

/// Adds the products of two registers to a third. It seems to use memory, so that other work stays behind it.
macro_rules! multiply {
    ($sums:literal, $rows:literal, $panel:literal) => {
        asm!(
            concat!("tdpbf16ps tmm", $sums, ", tmm", $rows, ", tmm", $panel),
            options(nostack),
        )
    };
}

/// The unit, set up on this thread; it is given back when this is dropped. Of its eight registers the first four are sums: of one or two tiles of
/// rows times two panels, where the next two are those rows and the last two the panels; or of three or four tiles of rows times one panel, where
/// the next one is one of those tiles and the last three are the panel's parts. The compiler puts nothing of its own into them, so they stay as they are
/// from one of these functions to the next, and the system keeps them for each thread.
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
    pub(super) fn clear(&mut self) {
        // SAFETY: the unit is set up. So below.
        unsafe {
            asm!(
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                options(nostack, nomem)
            );
        }
    }

    /// Writes the sums of so many tiles of rows: of a row, one of `P` panels beside the other.
    ///
    /// # Panics
    /// If there is room for fewer.
    #[inline(always)]
    pub(super) fn store<const P: usize>(&mut self, tiles: usize, into: &mut [Full]) {
        assert!(into.len() >= P * ROWS * tiles && P * tiles <= SUMS);
        let (into, stride) = (into.as_mut_ptr(), P * size_of::<Full>());
        // SAFETY: there is room for so many.
        unsafe {
            if P == 1 {
                tile_to!(0, into, stride);
                if tiles > 1 {
                    tile_to!(1, into.add(ROWS), stride);
                }
                if tiles > 2 {
                    tile_to!(2, into.add(2 * ROWS), stride);
                }
                if tiles > 3 {
                    tile_to!(3, into.add(3 * ROWS), stride);
                }
            } else {
                tile_to!(0, into, stride);
                tile_to!(1, into.add(1), stride);
                if tiles > 1 {
                    tile_to!(2, into.add(2 * ROWS), stride);
                    tile_to!(3, into.add(2 * ROWS + 1), stride);
                }
            }
        }
    }

    /// Takes up one or two tiles of rows, for two panels.
    ///
    /// # Safety
    /// From `from` on there must lie one, and `below` pairs later the other.
    #[inline(always)]
    pub(super) unsafe fn rows(&mut self, tiles: usize, from: *const Pair, below: usize) {
        // SAFETY: as the caller promises.
        unsafe {
            tile_from!(4, from, ROW_BYTES);
            if tiles > 1 {
                tile_from!(5, from.add(below), ROW_BYTES);
            }
        }
    }

    /// Takes up sixteen steps of two panels.
    ///
    /// # Safety
    /// From either pointer on there must lie as many lanes, each `stride` lanes after the one before.
    #[inline(always)]
    pub(super) unsafe fn panels(&mut self, from: [*const Brief; 2], stride: usize) {
        let bytes = stride * size_of::<Brief>();
        // SAFETY: as the caller promises.
        unsafe {
            tile_from!(6, from[0], bytes);
            tile_from!(7, from[1], bytes);
        }
    }

    /// Adds the products of what was taken up to the sums.
    #[inline(always)]
    pub(super) fn multiply(&mut self, tiles: usize) {
        // SAFETY: the unit is set up.
        unsafe {
            multiply!(0, 4, 6);
            multiply!(1, 4, 7);
            if tiles > 1 {
                multiply!(2, 5, 6);
                multiply!(3, 5, 7);
            }
        }
    }

    /// Takes up sixteen steps of one panel, in `W` parts.
    ///
    /// # Safety
    /// The unit must be for sixteen rows or more, and from the pointer on there must lie so many steps, each `stride` lanes after the one before.
    #[inline(always)]
    pub(super) unsafe fn panel<const W: usize>(&mut self, from: *const Brief, stride: usize) {
        let bytes = stride * size_of::<Brief>();
        // SAFETY: as the caller promises.
        unsafe {
            tile_from!(5, from, bytes);
            if W > 1 {
                tile_from!(6, from.add(1), bytes);
            }
            if W > 2 {
                tile_from!(7, from.add(2), bytes);
            }
        }
    }

    /// Takes up one part of a tile of rows, one of `X`, and adds its products with those of the panel's `X` parts that it meets, in the order of
    /// `products`, to that tile's sums. Which they are, `turn_of_one` says.
    ///
    /// # Safety
    /// From `from` on there must lie a tile of rows, and a panel was taken up.
    #[inline(always)]
    pub(super) unsafe fn multiply_a_panel<const X: usize, const TURN: usize>(
        &mut self,
        from: *const Pair,
    ) {
        let Some((part, _)) = (const { turn_of_one(X, TURN) }) else {
            return;
        };
        // SAFETY: as the caller promises.
        unsafe {
            tile_from!(4, from, ROW_BYTES);
            if X == 1 || part == 2 {
                asm!("tdpbf16ps tmm{tile}, tmm4, tmm5", tile = const TURN % SUMS, options(nostack));
            } else if part == 1 {
                asm!(
                    "tdpbf16ps tmm{tile}, tmm4, tmm5",
                    "tdpbf16ps tmm{tile}, tmm4, tmm6",
                    tile = const TURN % SUMS,
                    options(nostack),
                );
            } else {
                asm!(
                    "tdpbf16ps tmm{tile}, tmm4, tmm6",
                    "tdpbf16ps tmm{tile}, tmm4, tmm7",
                    "tdpbf16ps tmm{tile}, tmm4, tmm5",
                    tile = const TURN % SUMS,
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
