//! Where the factors of products lie.

use super::arithmetic::{Arithmetic, Dots};
use super::grid::ROWS_AT_ONCE;
use super::isa::Isa;
use super::lanes::{Full, Lanes, Packable, Pair};
use super::panels::WIDTH;
use super::tile::{Factors, NARROW, WIDE};
use super::transpose::Ahead;

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

    #[inline(always)]
    fn ahead<I: Isa>(&self, panel: usize, step: usize, tile: usize) {
        let rows = self.x.len() / self.row_stride;
        next_panels::<I, _>(self.panels, self.stride, rows, [panel, step, tile]);
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

/// The panels of the next tiles come from memory while these are multiplied: each of them during one of the first tiles that read the present
/// ones, so that memory is read evenly. A tile that has nothing to ask for asks for what it reads, which costs nothing.
#[inline(always)]
fn next_panels<I: Isa, L>(
    lanes: &[L],
    stride: usize,
    all_rows: usize,
    [panel, lane, tile]: [usize; 3],
) {
    let [rows, panels] = if I::WIDE { WIDE } else { NARROW };
    let more = (panel + panels) * stride <= lanes.len();
    let tiles = (all_rows / rows).clamp(1, panels);
    let tile = tile % (ROWS_AT_ONCE / rows);
    for p in 0..panels {
        let now = more && p * tiles / panels == tile;
        let asked = if now { panel + p } else { panel - 1 };
        I::prefetch(lanes.as_ptr().wrapping_add(asked * stride + lane).cast());
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
pub(super) fn reach(count: usize, stride: usize, length: usize) -> usize {
    count
        .checked_sub(1)
        .map_or(0, |last| last * stride + length)
}

/// Packed factors, while which something else is asked for than the next panels.
#[derive(Clone, Copy)]
pub(super) struct Asking<'a, A: Arithmetic, N> {
    /// The factors.
    pub packed: Packed<'a, A>,
    /// What for.
    pub next: N,
}

/// What to ask memory for while packed factors are multiplied.
pub(super) trait Next<A: Arithmetic>: Copy {
    /// As [`Factors::ahead`].
    fn ahead<I: Isa>(self, now: &Packed<'_, A>, panel: usize, step: usize, tile: usize);
}

/// Panels that have still to be transposed, which goes across the weight, where the processor sees no order in what is read.
impl<A: Arithmetic> Next<A> for Ahead {
    #[inline(always)]
    fn ahead<I: Isa>(self, _now: &Packed<'_, A>, _panel: usize, step: usize, tile: usize) {
        I::prefetch(self.line(step * A::Lanes::INPUTS, tile));
    }
}

impl<A: Arithmetic, N: Next<A>> Factors for Asking<'_, A, N> {
    type By = A;

    #[inline(always)]
    fn steps(&self) -> usize {
        self.packed.steps()
    }

    #[inline(always)]
    fn covers(&self, rows: usize, panels: usize) {
        self.packed.covers(rows, panels);
    }

    #[inline(always)]
    fn ahead<I: Isa>(&self, panel: usize, step: usize, tile: usize) {
        self.next.ahead::<I>(&self.packed, panel, step, tile);
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn left(&self, row: usize, step: usize, which: usize) -> A::Number {
        // SAFETY: as the caller promises.
        unsafe { self.packed.left(row, step, which) }
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn right<I: Isa>(&self, panel: usize, step: usize, which: usize) -> A::Factor<I> {
        // SAFETY: as the caller promises.
        unsafe { self.packed.right::<I>(panel, step, which) }
    }
}

/// Rows of pairs, and panels in f32 whose lanes become pairs as they are read.
#[derive(Clone, Copy)]
pub(super) struct Narrowed<'a> {
    /// Rows of half as many.
    pub x: &'a [Pair],
    /// The panels.
    pub lanes: &'a [Full],
    /// Lanes of a panel.
    pub depth: usize,
}

impl Factors for Narrowed<'_> {
    type By = Dots;

    #[inline(always)]
    fn steps(&self) -> usize {
        self.depth.div_ceil(2)
    }

    #[inline(always)]
    fn covers(&self, rows: usize, panels: usize) {
        assert!(rows * self.steps() <= self.x.len());
        assert!(panels * self.depth <= self.lanes.len());
    }

    #[inline(always)]
    fn ahead<I: Isa>(&self, panel: usize, step: usize, tile: usize) {
        let rows = self.x.len() / self.steps();
        for lane in [2 * step, 2 * step + 1] {
            next_panels::<I, _>(self.lanes, self.depth, rows, [panel, lane, tile]);
        }
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn left(&self, row: usize, step: usize, _which: usize) -> Pair {
        // SAFETY: the caller keeps to what `covers` has checked.
        unsafe { *self.x.get_unchecked(row * self.steps() + step) }
    }

    /// Zeros lie beside an odd last lane.
    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn right<I: Isa>(&self, panel: usize, step: usize, _which: usize) -> I::Pairs {
        static ZERO: Full = Full::ZERO;
        let lane = panel * self.depth + 2 * step;
        // SAFETY: the caller keeps to what `covers` has checked.
        let first = unsafe { self.lanes.get_unchecked(lane) };
        let second = if 2 * step + 1 < self.depth {
            // SAFETY: as above.
            unsafe { self.lanes.get_unchecked(lane + 1) }
        } else {
            &ZERO
        };
        I::side_by_side(first.vector::<I>(0), second.vector::<I>(0))
    }
}
