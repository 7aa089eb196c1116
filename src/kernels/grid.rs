//! All rows times some panels: which tile comes when, and where its sums go.

use std::mem::MaybeUninit;
use std::ops::Range;

use super::arithmetic::{Arithmetic, Singles};
use super::factors::Packed;
use super::isa::{Isa, Work};
use super::panels::WIDTH;
use super::shared::Shared;
use super::tile::{Factors, NARROW, Tiles, WIDE, tile};

/// Rows that are taken through all panels before the next: those of SmolLM2's widest layer fill half of a 1 MiB cache.
pub(super) const ROWS_AT_ONCE: usize = 96;

/// What becomes of the numbers already there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They are replaced.
    Set,
    /// The product is added to them.
    Add,
}

/// Where the sums go.
#[derive(Clone, Copy)]
pub(super) struct Out<'a> {
    /// Row-major. Unless sums are added to it, it need not have been written.
    pub y: Shared<'a, MaybeUninit<f32>>,
    /// Numbers in a row, and the end of its last panel.
    pub stride: usize,
    /// What becomes of those already there.
    pub mode: Mode,
}

impl<'a> Out<'a> {
    /// Into rows of `stride` numbers.
    pub(super) fn rows(y: &'a mut [f32], stride: usize, mode: Mode) -> Self {
        // SAFETY: only sums are written.
        #[allow(unsafe_code)]
        let y = unsafe { Shared::new(y).unwritten() };
        Self { y, stride, mode }
    }
}

/// All rows times some consecutive panels.
pub(super) struct Grid<'a, F> {
    /// Of the terms.
    pub factors: F,
    /// Of terms that follow those.
    pub then: Option<Packed<'a, Singles>>,
    /// How many rows.
    pub rows: usize,
    /// How many panels.
    pub count: usize,
    /// The first panel's number.
    pub first: usize,
    /// The products.
    pub out: Out<'a>,
}

impl<F: Factors> Work for Grid<'_, F> {
    const BF16: bool = F::By::BF16;

    #[inline(always)]
    fn run<I: Isa>(self) {
        self.factors.covers(self.rows, self.count);
        if let Some(then) = &self.then {
            then.covers(self.rows, self.count);
        }
        for start in (0..self.rows).step_by(ROWS_AT_ONCE) {
            let rows = start..self.rows.min(start + ROWS_AT_ONCE);
            if I::WIDE {
                self.panels_at_once::<I, { WIDE[0] }, { WIDE[1] }>(rows);
            } else {
                self.panels_at_once::<I, { NARROW[0] }, { NARROW[1] }>(rows);
            }
        }
    }
}

impl<F: Tiles> Grid<'_, F> {
    #[inline(always)]
    fn panels_at_once<I: Isa, const R: usize, const P: usize>(&self, rows: Range<usize>) {
        let mut panel = 0;
        while panel + P <= self.count {
            self.rows_at_once::<I, R, P>(rows.clone(), panel);
            panel += P;
        }
        match self.count - panel {
            2 => self.rows_at_once::<I, R, 2>(rows, panel),
            1 => self.rows_at_once::<I, R, 1>(rows, panel),
            _ => (),
        }
    }

    /// Some rows of `P` panels, `R` rows at a time.
    #[inline(always)]
    pub(super) fn rows_at_once<I: Isa, const R: usize, const P: usize>(
        &self,
        rows: Range<usize>,
        panel: usize,
    ) {
        let mut row = rows.start;
        while row + R <= rows.end {
            self.one::<I, R, P>(row, panel);
            row += R;
        }
        match rows.end - row {
            1 => self.one::<I, 1, P>(row, panel),
            2 => self.one::<I, 2, P>(row, panel),
            3 => self.one::<I, 3, P>(row, panel),
            4 => self.one::<I, 4, P>(row, panel),
            5 => self.one::<I, 5, P>(row, panel),
            6 => self.one::<I, 6, P>(row, panel),
            7 => self.one::<I, 7, P>(row, panel),
            _ => (),
        }
    }

    #[inline(always)]
    fn one<I: Isa, const R: usize, const P: usize>(&self, row: usize, panel: usize) {
        let column = (self.first + panel) * WIDTH;
        // SAFETY: `run` has seen that the factors cover all rows and panels.
        #[allow(unsafe_code)]
        let sums = unsafe {
            let sums = self.factors.sums::<I, R, P>(row, panel);
            match &self.then {
                Some(then) => tile::<I, _, R, P>(then, row, panel, sums),
                None => sums,
            }
        };
        // By reference: an array of registers taken apart by value is copied in memory first, and its stores then wait for each other.
        for (r, sums) in sums.iter().enumerate() {
            for (p, sums) in sums.iter().enumerate() {
                let (row, column) = (row + r, column + p * WIDTH);
                let sums = match self.out.mode {
                    Mode::Set => *sums,
                    Mode::Add => I::sum(*sums, self.out.load::<I>(row, column)),
                };
                self.out.store::<I>(row, column, sums);
            }
        }
    }
}

impl Out<'_> {
    /// The numbers of a panel in a row; fewer than sixteen in the last.
    #[inline(always)]
    #[allow(clippy::mut_from_ref)] // as `Shared` does
    fn at(&self, row: usize, column: usize) -> &mut [MaybeUninit<f32>] {
        let start = row * self.stride + column;
        let width = WIDTH.min(self.stride - column);
        // SAFETY: the columns of these panels are the caller's alone, and he takes one panel's at a time.
        #[allow(unsafe_code)]
        unsafe {
            self.y.part(start..start + width)
        }
    }

    #[inline(always)]
    fn load<I: Isa>(&self, row: usize, column: usize) -> I::Vector {
        // SAFETY: to be added to, they were written.
        #[allow(unsafe_code)]
        let from = unsafe { self.at(row, column).assume_init_ref() };
        if let Some(whole) = from.as_array() {
            return I::load(whole);
        }
        let mut numbers = [0.0; WIDTH];
        numbers[..from.len()].copy_from_slice(from);
        I::load(&numbers)
    }

    #[inline(always)]
    fn store<I: Isa>(&self, row: usize, column: usize, sums: I::Vector) {
        let into = self.at(row, column);
        if let Some(whole) = into.as_mut_array() {
            return I::store(sums, whole);
        }
        let mut numbers = [MaybeUninit::uninit(); WIDTH];
        I::store(sums, &mut numbers);
        into.copy_from_slice(&numbers[..into.len()]);
    }
}
