//! The unit itself, on Linux.

use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::marker::PhantomData;
use std::sync::OnceLock;

use super::super::lanes::{Brief, Full, Pair};
use super::super::panels::WIDTH;
use super::{Operands, PANELS, Parts, ROWS, STEPS};

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

/// Loads the part `$part` of a tile of rows, or of two.
macro_rules! rows {
    (1, $part:literal) => {
        concat!(
            "tileloadd tmm4, [{rows} + {row_stride} + 64 * ",
            $part,
            "]\n"
        )
    };
    (2, $part:literal) => {
        concat!(
            rows!(1, $part),
            "tileloadd tmm5, [{more_rows} + {row_stride} + 64 * ",
            $part,
            "]\n"
        )
    };
}

/// Loads the part `$part` of a tile of either panel.
macro_rules! panels {
    ($part:literal) => {
        concat!(
            "tileloadd tmm6, [{first} + {lane} + 64 * ",
            $part,
            "]\n tileloadd tmm7, [{second} + {lane} + 64 * ",
            $part,
            "]\n"
        )
    };
}

/// Asks for what lies 4 KB further on in either panel: with few rows memory is waited for. Panels just made from others are near already.
macro_rules! ahead {
    () => {
        ".set .Lahead, 4096\n .rept 16\n prefetcht1 [{first} + .Lahead]\n prefetcht1 [{second} + .Lahead]\n .set .Lahead, .Lahead + 64\n .endr\n"
    };
}

/// Adds the products of what was loaded last.
macro_rules! products {
    (1) => {
        "tdpbf16ps tmm0, tmm4, tmm6\n tdpbf16ps tmm1, tmm4, tmm7\n"
    };
    (2) => {
        concat!(
            products!(1),
            "tdpbf16ps tmm2, tmm5, tmm6\n tdpbf16ps tmm3, tmm5, tmm7\n"
        )
    };
}

/// One tile of terms for all rows and panels. The largest product comes last; a third part meets only a first.
macro_rules! tile {
    ($n:tt, Neither) => {
        concat!(rows!($n, 0), panels!(0), products!($n))
    };
    ($n:tt, Rows) => {
        concat!(
            panels!(0),
            rows!($n, 2),
            products!($n),
            rows!($n, 1),
            products!($n),
            rows!($n, 0),
            products!($n),
        )
    };
    ($n:tt, Both) => {
        concat!(
            rows!($n, 2),
            panels!(0),
            products!($n),
            rows!($n, 1),
            products!($n),
            panels!(1),
            products!($n),
            rows!($n, 0),
            products!($n),
            panels!(2),
            products!($n),
            panels!(0),
            products!($n),
        )
    };
}

/// The sums of so many tiles of rows, with so many parts of rows and of panels.
macro_rules! sums {
    (1, [$row_parts:literal, $panel_parts:literal], $of:ident, $ahead:expr, $tile:expr) => {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "2:",
            $ahead,
            $tile,
            concat!("add {rows}, 64 * ", $row_parts),
            concat!("add {first}, 1024 * ", $panel_parts),
            concat!("add {second}, 1024 * ", $panel_parts),
            "dec {tiles}",
            "jnz 2b",
            "tilestored [{sums} + {sums_stride}], tmm0",
            "tilestored [{sums} + {sums_stride} + 64], tmm1",
            rows = inout(reg) $of.x => _,
            first = inout(reg) $of.panels[0] => _,
            second = inout(reg) $of.panels[1] => _,
            tiles = inout(reg) $of.tiles => _,
            row_stride = in(reg) $of.row_stride * size_of::<Pair>(),
            lane = in(reg) size_of::<Brief>() * $panel_parts,
            sums = in(reg) $of.sums,
            sums_stride = in(reg) PANELS * size_of::<Full>(),
            out("tmm0") _, out("tmm1") _, out("tmm4") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    };
    (2, [$row_parts:literal, $panel_parts:literal], $of:ident, $tile:expr) => {
        asm!(
            "tilezero tmm0",
            "tilezero tmm1",
            "tilezero tmm2",
            "tilezero tmm3",
            "2:",
            $tile,
            concat!("add {rows}, 64 * ", $row_parts),
            concat!("add {more_rows}, 64 * ", $row_parts),
            concat!("add {first}, 1024 * ", $panel_parts),
            concat!("add {second}, 1024 * ", $panel_parts),
            "dec {tiles}",
            "jnz 2b",
            "tilestored [{sums} + {sums_stride}], tmm0",
            "tilestored [{sums} + {sums_stride} + 64], tmm1",
            "tilestored [{sums} + {sums_stride} + 2048], tmm2",
            "tilestored [{sums} + {sums_stride} + 2112], tmm3",
            rows = inout(reg) $of.x => _,
            more_rows = inout(reg) $of.x.wrapping_add(ROWS * $of.row_stride) => _,
            first = inout(reg) $of.panels[0] => _,
            second = inout(reg) $of.panels[1] => _,
            tiles = inout(reg) $of.tiles => _,
            row_stride = in(reg) $of.row_stride * size_of::<Pair>(),
            lane = in(reg) size_of::<Brief>() * $panel_parts,
            sums = in(reg) $of.sums,
            sums_stride = in(reg) PANELS * size_of::<Full>(),
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    };
}

/// The unit, set up on this thread for one or two tiles of rows; it is given back when this is dropped. Of its eight registers the first four
/// are sums, the next two rows, and the last two panels.
pub(super) struct Unit {
    rows: usize,
    /// Of one thread.
    thread: PhantomData<*const ()>,
}

impl Unit {
    /// # Panics
    /// If there is no unit.
    #[inline(always)]
    pub(super) fn new(rows: usize) -> Self {
        assert!(available());
        let [first, second] = [rows.min(ROWS), rows.saturating_sub(ROWS).max(1)].map(|n| n as u8);
        let mut shapes = Shapes {
            palette: 1,
            start_row: 0,
            reserved: [0; 14],
            row_bytes: [0; 16],
            rows: [0; 16],
        };
        shapes.row_bytes[..8].fill(64);
        shapes.rows[..8].copy_from_slice(&[first, first, second, second, first, second, 16, 16]);
        // SAFETY: the unit is available, and the shapes are among those it has.
        #[allow(unsafe_code)]
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const shapes, options(nostack, readonly));
        }
        let thread = PhantomData;
        Self { rows, thread }
    }

    /// # Safety
    /// From `x` on there must lie as many rows as the unit is set up for, each `row_stride` pairs after the one before, and in every row as
    /// many tiles of all its parts as there are of `tiles`, which is not 0; so in the panels.
    #[inline(always)]
    #[allow(unsafe_code)]
    pub(super) unsafe fn multiply(&mut self, of: Operands, parts: Parts) {
        // SAFETY: as the caller promises. What lies in the unit's registers before means nothing.
        unsafe {
            match (self.rows > ROWS, parts) {
                (false, Parts::Neither) => sums!(1, [1, 1], of, ahead!(), tile!(1, Neither)),
                (false, Parts::Rows) => sums!(1, [3, 1], of, ahead!(), tile!(1, Rows)),
                (false, Parts::Both) => sums!(1, [3, 3], of, "", tile!(1, Both)),
                (true, Parts::Neither) => sums!(2, [1, 1], of, tile!(2, Neither)),
                (true, Parts::Rows) => sums!(2, [3, 1], of, tile!(2, Rows)),
                (true, Parts::Both) => sums!(2, [3, 3], of, tile!(2, Both)),
            }
        }
    }
}

/// Multiplies tiles of zeros that stay in the unit's registers, `rounds` for each of its sums. Returns how many multiplications and additions
/// that were.
pub(in super::super) fn multiply_in_registers(rounds: usize) -> usize {
    assert!(rounds > 0);
    let _unit = Unit::new(2 * ROWS);
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
