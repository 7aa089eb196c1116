//! The innermost loop: a few rows times a few panels, their sums held in registers.

use std::ops::Range;

use super::arithmetic::Arithmetic;
use super::isa::Isa;

/// Rows and panels of a tile in thirty-two registers of sixteen numbers.
pub(super) const WIDE: [usize; 2] = [8, 3];
/// The same in sixteen registers of eight.
pub(super) const NARROW: [usize; 2] = [6, 1];

/// What is multiplied: a number for each row and term, sixteen for each panel and term. A step of the innermost loop takes what a panel
/// keeps together.
pub(super) trait Factors: Copy {
    /// How.
    type By: Arithmetic;

    /// Steps of every sum.
    fn steps(&self) -> usize;

    /// # Panics
    /// Unless there are at least so many rows and panels.
    fn covers(&self, rows: usize, panels: usize);

    /// Asks for a cache line that the panels from `panel` on will need, where the processor would not see by itself which they are.
    /// Called for every step of every tile of some rows.
    #[inline(always)]
    fn ahead<I: Isa>(&self, _panel: usize, _step: usize, _tile: usize) {}

    /// The `which`-th number of a step.
    ///
    /// # Safety
    /// Row and step must be among those that are covered. A check here, even one that never fails, would keep the sums in memory.
    #[allow(unsafe_code)]
    unsafe fn left(&self, row: usize, step: usize, which: usize) -> Number<Self>;

    /// # Safety
    /// As above.
    #[allow(unsafe_code)]
    unsafe fn right<I: Isa>(&self, panel: usize, step: usize, which: usize) -> Factor<Self, I>;
}

type Number<F> = <<F as Factors>::By as Arithmetic>::Number;
type Factor<F, I> = <<F as Factors>::By as Arithmetic>::Factor<I>;

/// What gives the sums of a tile: [`Factors`] multiplies them, others have them already.
pub(super) trait Tiles: Copy {
    /// Σ over the terms for the rows from `row` on and the panels from `panel` on.
    ///
    /// # Safety
    /// So many rows and panels must be covered.
    #[allow(unsafe_code)]
    unsafe fn sums<I: Isa, const R: usize, const P: usize>(
        &self,
        row: usize,
        panel: usize,
    ) -> [[I::Vector; P]; R];
}

impl<F: Factors> Tiles for F {
    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn sums<I: Isa, const R: usize, const P: usize>(
        &self,
        row: usize,
        panel: usize,
    ) -> [[I::Vector; P]; R] {
        // SAFETY: as the caller promises.
        unsafe { tile::<I, F, R, P>(self, row, panel, [[I::zero(); P]; R]) }
    }
}

/// Steps whose first numbers are multiplied before the second ones, if there are two: three panels of them stay in the nearest cache. In one
/// loop over both the compiler would load more than there are registers, and put the sums into memory.
const STEPS_AT_ONCE: usize = 64;

/// Σ over the terms of left(row + r) · right(panel + p), added to `sums`.
///
/// # Safety
/// The factors must cover `row + R` rows and `panel + P` panels.
#[inline(always)]
#[allow(unsafe_code)]
pub(super) unsafe fn tile<I: Isa, F: Factors, const R: usize, const P: usize>(
    factors: &F,
    row: usize,
    panel: usize,
    mut sums: [[I::Vector; P]; R],
) -> [[I::Vector; P]; R] {
    let steps = factors.steps();
    // SAFETY: as the caller promises. So below.
    if F::By::NUMBERS == 1 {
        return unsafe { some::<I, F, R, P, 0>(factors, [row, panel], 0..steps, sums) };
    }
    for start in (0..steps).step_by(STEPS_AT_ONCE) {
        let steps = start..steps.min(start + STEPS_AT_ONCE);
        unsafe {
            sums = some::<I, F, R, P, 0>(factors, [row, panel], steps.clone(), sums);
            sums = some::<I, F, R, P, 1>(factors, [row, panel], steps, sums);
        }
    }
    sums
}

/// Only some steps, and of each the number `WHICH`.
///
/// # Safety
/// As above.
#[inline(always)]
#[allow(unsafe_code, clippy::needless_range_loop)] // counted loops, which the compiler unrolls into registers
unsafe fn some<I: Isa, F: Factors, const R: usize, const P: usize, const WHICH: usize>(
    factors: &F,
    [row, panel]: [usize; 2],
    steps: Range<usize>,
    mut sums: [[I::Vector; P]; R],
) -> [[I::Vector; P]; R] {
    for step in steps {
        factors.ahead::<I>(panel + P, step, row / R);
        // SAFETY: the factors cover it. So below.
        let mut lanes = [unsafe { factors.right::<I>(panel, step, WHICH) }; P];
        for p in 1..P {
            lanes[p] = unsafe { factors.right::<I>(panel + p, step, WHICH) };
        }
        for r in 0..R {
            let x = F::By::all::<I>(unsafe { factors.left(row + r, step, WHICH) });
            for p in 0..P {
                sums[r][p] = F::By::fused::<I>(x, lanes[p], sums[r][p]);
            }
        }
    }
    sums
}
