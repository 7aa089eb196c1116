//! The innermost loop: a few rows times a few panels, their sums held in registers.

use std::array;

use super::arithmetic::Arithmetic;
use super::grid::ROWS_AT_ONCE;
use super::isa::Isa;
use super::panels::WIDTH;

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

/// Rows that lie one after the other, and packed panels.
#[derive(Clone, Copy)]
pub(super) struct Packed<'a, A: Arithmetic> {
    /// Rows; a step takes [`Arithmetic::NUMBERS`] of a row.
    pub x: &'a [A::Number],
    /// Steps of a sum.
    pub steps: usize,
    /// From the start of a row to the next.
    pub row_stride: usize,
    /// The panels' lanes, one for each step.
    pub panels: &'a [A::Lanes],
    /// From the start of a panel to the next; at least `steps`.
    pub stride: usize,
}

impl<A: Arithmetic> Factors for Packed<'_, A> {
    type By = A;

    #[inline(always)]
    fn steps(&self) -> usize {
        self.steps
    }

    #[inline(always)]
    fn covers(&self, rows: usize, panels: usize) {
        assert!(reach(rows, self.row_stride, A::NUMBERS * self.steps) <= self.x.len());
        assert!(reach(panels, self.stride, self.steps) <= self.panels.len());
    }

    /// The panels of the next tiles come from memory while these are multiplied: each of them during one of the first tiles that read the present
    /// ones, so that memory is read evenly. A tile that has nothing to ask for asks for what it reads, which costs nothing.
    #[inline(always)]
    fn ahead<I: Isa>(&self, panel: usize, step: usize, tile: usize) {
        let [rows, panels] = if I::WIDE { WIDE } else { NARROW };
        let more = (panel + panels) * self.stride <= self.panels.len();
        let is_whole = |tile: usize| (tile + 1) * rows * self.row_stride <= self.x.len();
        let tiles = (1..panels).take_while(|&tile| is_whole(tile)).count() + 1;
        let tile = tile % (ROWS_AT_ONCE / rows);
        for p in 0..panels {
            let now = more && p * tiles / panels == tile;
            let asked = if now { panel + p } else { panel - 1 };
            let lanes = self
                .panels
                .as_ptr()
                .wrapping_add(asked * self.stride + step);
            I::prefetch(lanes.cast());
        }
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn left(&self, row: usize, step: usize, which: usize) -> A::Number {
        let number = row * self.row_stride + A::NUMBERS * step + which;
        // SAFETY: the caller keeps to what `covers` has checked.
        unsafe { *self.x.get_unchecked(number) }
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn right<I: Isa>(&self, panel: usize, step: usize, which: usize) -> A::Factor<I> {
        // SAFETY: the caller keeps to what `covers` has checked.
        let lanes = unsafe { self.panels.get_unchecked(panel * self.stride + step) };
        A::lanes::<I>(lanes, which)
    }
}

/// Two row-major matrices, each step a row of both: the product of one's transpose and the other.
#[derive(Clone, Copy)]
pub(super) struct Across<'a, A: Arithmetic> {
    /// `[steps, rows]`.
    pub left: &'a [A::Number],
    /// Numbers in a row of `left`.
    pub rows: usize,
    /// `[steps, columns]`; a panel is sixteen columns.
    pub right: &'a [A::Number],
    /// Numbers in a row of `right`.
    pub columns: usize,
    /// Steps.
    pub steps: usize,
}

impl<A: Arithmetic> Factors for Across<'_, A> {
    type By = A;

    #[inline(always)]
    fn steps(&self) -> usize {
        self.steps
    }

    #[inline(always)]
    fn covers(&self, rows: usize, panels: usize) {
        assert!(A::NUMBERS == 1);
        assert!(rows <= self.rows && self.steps * self.rows <= self.left.len());
        assert!(panels * WIDTH <= self.columns && self.steps * self.columns <= self.right.len());
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn left(&self, row: usize, step: usize, _which: usize) -> A::Number {
        // SAFETY: the caller keeps to what `covers` has checked.
        unsafe { *self.left.get_unchecked(step * self.rows + row) }
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn right<I: Isa>(&self, panel: usize, step: usize, _which: usize) -> A::Factor<I> {
        let start = step * self.columns + panel * WIDTH;
        // SAFETY: sixteen columns from there on are within what `covers` has checked.
        A::load::<I>(unsafe { &*self.right.as_ptr().add(start).cast::<[A::Number; WIDTH]>() })
    }
}

/// Where the last of `count` runs of `length` ends, when each starts `stride` after the one before.
fn reach(count: usize, stride: usize, length: usize) -> usize {
    count
        .checked_sub(1)
        .map_or(0, |last| last * stride + length)
}

/// Σ over the terms of left(row + r) · right(panel + p), added to `sums`.
///
/// # Safety
/// The factors must cover `row + R` rows and `panel + P` panels.
#[inline(always)]
#[allow(unsafe_code, clippy::needless_range_loop)] // counted loops, which the compiler unrolls into registers
pub(super) unsafe fn tile<I: Isa, F: Factors, const R: usize, const P: usize>(
    factors: &F,
    row: usize,
    panel: usize,
    mut sums: [[I::Vector; P]; R],
) -> [[I::Vector; P]; R] {
    for number in 0..factors.steps() * F::By::NUMBERS {
        let (step, which) = (number / F::By::NUMBERS, number % F::By::NUMBERS);
        factors.ahead::<I>(panel + P, step, row / R);
        // SAFETY: the factors cover it. So below.
        let lanes =
            array::from_fn::<_, P, _>(|p| unsafe { factors.right::<I>(panel + p, step, which) });
        for r in 0..R {
            let x = F::By::all::<I>(unsafe { factors.left(row + r, step, which) });
            for p in 0..P {
                sums[r][p] = F::By::fused::<I>(x, lanes[p], sums[r][p]);
            }
        }
    }
    sums
}
