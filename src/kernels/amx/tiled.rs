//! What the unit multiplies: rows and panels, in pairs or in parts.

use super::super::factors::reach;
use super::super::lanes::{Brief, Full, Pair};
use super::super::split::PARTS;
use super::{ROWS, ROWS_BESIDE_ONE, STEPS, takes};

/// Rows that are taken through all panels before the next: those of SmolLM2's widest layer fill half of a cache of 2 MiB.
const ROWS_AT_ONCE: usize = 256;
/// The same of rows in parts.
const SPLIT_ROWS_AT_ONCE: usize = 128;
/// The same where panels have to be made for them, which costs more than reading rows again.
const MADE_ROWS_AT_ONCE: usize = 320;

/// Which factors are numbers in f32, each a sum of three in bf16 ([`split`](super::super::split)): the unit multiplies their parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Parts {
    /// Both are in bf16.
    Neither,
    /// The rows.
    Rows,
    /// Rows and panels.
    Both,
}

impl Parts {
    /// Of a row and of a panel.
    pub(in super::super) fn counts(self) -> [usize; 2] {
        match self {
            Self::Neither => [1, 1],
            Self::Rows => [PARTS, 1],
            Self::Both => [PARTS, PARTS],
        }
    }
}

/// The panels of a product, one after the other.
#[derive(Clone, Copy)]
pub(in super::super) enum Weight<'a> {
    /// In pairs; a step of a panel's first part is followed by the same of the others.
    Pairs(&'a [Brief]),
    /// In f32: parts or pairs are made of them as they are needed.
    Singles(&'a [Full]),
}

/// Rows of pairs, and panels. Rows lie as the unit takes them up: sixteen steps of each row of a tile, one row after the other; then the same of their
/// second and third parts; then the next sixteen steps.
#[derive(Clone, Copy)]
pub(in super::super) struct Tiled<'a> {
    /// The rows, and others that make up whole tiles.
    pub x: &'a [Pair],
    /// Rows of a tile, as [`height`] says.
    pub height: usize,
    /// Pairs from the start of a tile to that of the rows below it.
    pub below: usize,
    /// The panels.
    pub weight: Weight<'a>,
    /// Steps of a sum: whole tiles.
    pub steps: usize,
    /// Which are split.
    pub parts: Parts,
}

/// Rows of a tile if there are so many: all of them, or sixteen.
pub(in super::super) fn height(rows: usize) -> usize {
    rows.clamp(1, ROWS)
}

impl<'a> Tiled<'a> {
    /// So many rows of `steps`.
    pub(in super::super) fn new(
        (x, rows): (&'a [Pair], usize),
        weight: Weight<'a>,
        steps: usize,
        parts: Parts,
    ) -> Self {
        let height = height(rows);
        Self {
            x,
            height,
            below: parts.counts()[0] * steps * height,
            weight,
            steps,
            parts,
        }
    }

    /// Tiles of terms.
    pub(super) fn tiles(&self) -> usize {
        self.steps / STEPS
    }

    /// Rows that are taken through all panels before the next.
    pub(super) fn rows_at_once(&self) -> usize {
        match (self.weight, self.parts) {
            (Weight::Singles(_), _) => MADE_ROWS_AT_ONCE,
            (Weight::Pairs(_), Parts::Neither) => ROWS_AT_ONCE,
            (Weight::Pairs(_), Parts::Rows | Parts::Both) => SPLIT_ROWS_AT_ONCE,
        }
    }

    /// Tiles of a panel in f32 that are made before so many rows are multiplied with them.
    fn tiles_at_once(&self, rows: usize) -> usize {
        if rows <= ROWS_BESIDE_ONE {
            1
        } else {
            self.tiles()
        }
    }

    /// Lanes of what has been made of one or two panels for so many rows, and of what is being made meanwhile.
    pub(in super::super) fn room(&self, rows: usize) -> usize {
        let (panels, tile) = (2, self.parts.counts()[1] * STEPS);
        match self.weight {
            Weight::Singles(_) => 2 * self.tiles_at_once(rows) * panels * tile,
            Weight::Pairs(_) => 0,
        }
    }

    /// # Panics
    /// Unless there are so many rows, with those that make up whole tiles, and just so many panels.
    pub(super) fn covers(&self, rows: usize, panels: usize) {
        let [row_parts, panel_parts] = self.parts.counts();
        assert!(takes(2 * self.steps));
        assert_eq!(self.height, height(rows));
        let (row_tiles, length) = (rows.div_ceil(ROWS), row_parts * self.steps * self.height);
        assert!(reach(row_tiles, self.below, length) <= self.x.len());
        assert!(match self.weight {
            Weight::Pairs(lanes) => panels * panel_parts * self.steps == lanes.len(),
            Weight::Singles(lanes) => 2 * panels * self.steps == lanes.len(),
        });
    }
}
