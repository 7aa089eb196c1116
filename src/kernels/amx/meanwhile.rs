//! What vectors do while the unit multiplies, so that none of the two waits for memory alone.

use std::ops::Range;
use std::ptr;

use super::super::isa::Isa;
use super::super::lanes::Full;
use super::super::split::side_by_side;
use super::{PANELS, STEPS, Tile};

/// Lanes in f32 that are asked for before they are made into others.
const LANES_AHEAD: usize = 16;

/// Work in pieces. Not a closure: one that is not inlined would lose the instruction set.
pub(super) trait Meanwhile {
    /// Does what belongs to some steps of a tile.
    fn steps<I: Isa>(&mut self, steps: Range<usize>);
}

/// Asks memory for a tile of two panels.
pub(super) struct Asks<'a, const W: usize> {
    /// Of each panel, if there are any more.
    pub tiles: Option<[&'a Tile<W>; PANELS]>,
}

impl<const W: usize> Meanwhile for Asks<'_, W> {
    #[inline(always)]
    fn steps<I: Isa>(&mut self, steps: Range<usize>) {
        for tile in self.tiles.into_iter().flatten() {
            for lane in tile[steps.clone()].as_flattened() {
                I::prefetch(ptr::from_ref(lane).cast());
            }
        }
    }
}

/// Makes pairs, or parts, of a tile of two panels in f32.
pub(super) struct Makes<'a, const W: usize> {
    /// Of each panel, if there are any more.
    pub from: Option<[&'a Singles; PANELS]>,
    /// Where to.
    pub into: &'a mut [Tile<W>; PANELS],
    /// Whether the next steps follow soon, so that what they read can wait in the nearest cache.
    pub soon: bool,
}

/// A tile of a panel in f32.
pub(super) type Singles = [[Full; 2]; STEPS];

impl<const W: usize> Meanwhile for Makes<'_, W> {
    #[inline(always)]
    fn steps<I: Isa>(&mut self, steps: Range<usize>) {
        let Some(from) = self.from else { return };
        for step in steps {
            for (from, into) in from.iter().zip(&mut *self.into) {
                let [first, second] = &from[step];
                for lane in [first, second] {
                    let line = ptr::from_ref(lane).wrapping_add(LANES_AHEAD).cast();
                    if self.soon {
                        I::prefetch_near(line);
                    } else {
                        I::prefetch(line);
                    }
                }
                side_by_side::<I, W>(I::load(&first.0), I::load(&second.0), &mut into[step]);
            }
        }
    }
}
