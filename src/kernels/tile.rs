//! The innermost loop: a few rows times a few panels, their sums held in registers.

use super::grid::ROWS_AT_ONCE;
use super::isa::Isa;
use super::panels::{Lanes, WIDTH};

/// Rows and panels of a tile in thirty-two registers of sixteen numbers.
pub(super) const WIDE: [usize; 2] = [8, 3];
/// The same in sixteen registers of eight.
pub(super) const NARROW: [usize; 2] = [6, 1];

/// What is multiplied: a number for each row and term, sixteen for each panel and term.
pub(super) trait Factors: Copy {
    /// Terms of every sum.
    fn depth(&self) -> usize;

    /// # Panics
    /// Unless there are at least so many rows and panels.
    fn covers(&self, rows: usize, panels: usize);

    /// Asks for a cache line that the panels from `panel` on will need, where the processor would not see by itself which they are.
    /// Called for every term of every tile of some rows.
    #[inline(always)]
    fn ahead<I: Isa>(&self, _panel: usize, _term: usize, _tile: usize) {}

    /// # Safety
    /// Row and term must be among those that are covered. A check here, even one that never fails, would keep the sums in memory.
    #[allow(unsafe_code)]
    unsafe fn left(&self, row: usize, term: usize) -> f32;

    /// # Safety
    /// As above.
    #[allow(unsafe_code)]
    unsafe fn right<I: Isa>(&self, panel: usize, term: usize) -> I::Vector;
}

/// Rows that lie one after the other, and packed panels.
#[derive(Clone, Copy)]
pub(super) struct Packed<'a, L> {
    /// Rows of `depth` numbers.
    pub x: &'a [f32],
    /// Terms of a sum.
    pub depth: usize,
    /// From the start of a row to the next; at least `depth`.
    pub row_stride: usize,
    /// The panels' lanes.
    pub panels: &'a [L],
    /// From the start of a panel to the next; at least `depth`.
    pub stride: usize,
}

impl<L: Lanes> Factors for Packed<'_, L> {
    #[inline(always)]
    fn depth(&self) -> usize {
        self.depth
    }

    #[inline(always)]
    fn covers(&self, rows: usize, panels: usize) {
        assert!(reach(rows, self.row_stride, self.depth) <= self.x.len());
        assert!(reach(panels, self.stride, self.depth) <= self.panels.len());
    }

    /// The panels of the next tiles come from memory while these are multiplied: each of them during one of the first tiles that read the present
    /// ones, so that memory is read evenly. A tile that has nothing to ask for asks for what it reads, which costs nothing.
    #[inline(always)]
    fn ahead<I: Isa>(&self, panel: usize, term: usize, tile: usize) {
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
                .wrapping_add(asked * self.stride + term);
            I::prefetch(lanes.cast());
        }
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn left(&self, row: usize, term: usize) -> f32 {
        // SAFETY: the caller keeps to what `covers` has checked.
        unsafe { *self.x.get_unchecked(row * self.row_stride + term) }
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn right<I: Isa>(&self, panel: usize, term: usize) -> I::Vector {
        // SAFETY: the caller keeps to what `covers` has checked.
        let lanes = unsafe { self.panels.get_unchecked(panel * self.stride + term) };
        lanes.vector::<I>()
    }
}

/// Two row-major matrices, each term a row of both: the product of one's transpose and the other.
#[derive(Clone, Copy)]
pub(super) struct Across<'a> {
    /// `[terms, rows]`.
    pub left: &'a [f32],
    /// Numbers in a row of `left`.
    pub rows: usize,
    /// `[terms, columns]`; a panel is sixteen columns.
    pub right: &'a [f32],
    /// Numbers in a row of `right`.
    pub columns: usize,
    /// Terms.
    pub depth: usize,
}

impl Factors for Across<'_> {
    #[inline(always)]
    fn depth(&self) -> usize {
        self.depth
    }

    #[inline(always)]
    fn covers(&self, rows: usize, panels: usize) {
        assert!(rows <= self.rows && self.depth * self.rows <= self.left.len());
        assert!(panels * WIDTH <= self.columns && self.depth * self.columns <= self.right.len());
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn left(&self, row: usize, term: usize) -> f32 {
        // SAFETY: the caller keeps to what `covers` has checked.
        unsafe { *self.left.get_unchecked(term * self.rows + row) }
    }

    #[inline(always)]
    #[allow(unsafe_code)]
    unsafe fn right<I: Isa>(&self, panel: usize, term: usize) -> I::Vector {
        let start = term * self.columns + panel * WIDTH;
        // SAFETY: sixteen columns from there on are within what `covers` has checked.
        I::load(unsafe { &*self.right.as_ptr().add(start).cast::<[f32; WIDTH]>() })
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
    for term in 0..factors.depth() {
        factors.ahead::<I>(panel + P, term, row / R);
        let mut lanes = [I::zero(); P];
        for p in 0..P {
            // SAFETY: the factors cover it. So below.
            lanes[p] = unsafe { factors.right::<I>(panel + p, term) };
        }
        for r in 0..R {
            let x = I::all(unsafe { factors.left(row + r, term) });
            for p in 0..P {
                sums[r][p] = I::fused_all(x, lanes[p], sums[r][p]);
            }
        }
    }
    sums
}
