//! What vectors do while the unit multiplies, so that none of the two waits for memory alone.

use std::ops::Range;
use std::ptr;

use super::super::isa::Isa;
use super::super::lanes::Full;
use super::super::split::side_by_side;
use super::Step;

/// Lanes in f32 that are asked for before they are made into others.
const LANES_AHEAD: usize = 16;

/// Work in pieces. Not a closure: one that is not inlined would lose the instruction set.
pub(super) trait Meanwhile {
    /// Does the next piece.
    fn piece<I: Isa>(&mut self);
}

/// Some steps in so many pieces, as even as can be.
#[derive(Clone, Copy)]
pub(super) struct Pieces {
    /// Steps of every piece.
    each: usize,
    /// Steps that are left over.
    over: usize,
    count: usize,
    /// Steps of the pieces before.
    done: usize,
    /// What is due of the next step that is left over, if a whole one is `count`.
    due: usize,
}

impl Pieces {
    #[inline(always)]
    pub(super) fn new(steps: usize, count: usize) -> Self {
        Self {
            each: steps / count,
            over: steps % count,
            count,
            done: 0,
            due: 0,
        }
    }

    /// The next piece.
    #[inline(always)]
    fn next(&mut self) -> Range<usize> {
        let start = self.done;
        self.done += self.each;
        self.due += self.over;
        if self.due >= self.count {
            self.due -= self.count;
            self.done += 1;
        }
        start..self.done
    }
}

/// Asks memory for some steps of two panels.
pub(super) struct Asks<'a, const W: usize> {
    /// Of each panel, if there are any more.
    steps: Option<[&'a [Step<W>]; 2]>,
    pieces: Pieces,
}

impl<'a, const W: usize> Asks<'a, W> {
    #[inline(always)]
    pub(super) fn new(steps: Option<[&'a [Step<W>]; 2]>, pieces: Pieces) -> Self {
        Self { steps, pieces }
    }
}

impl<const W: usize> Meanwhile for Asks<'_, W> {
    #[inline(always)]
    fn piece<I: Isa>(&mut self) {
        let Some(panels) = self.steps else { return };
        let piece = self.pieces.next();
        for panel in panels {
            for lane in panel[piece.clone()].as_flattened() {
                I::prefetch(ptr::from_ref(lane).cast());
            }
        }
    }
}

/// Makes pairs, or parts, of some steps of `P` panels in f32.
pub(super) struct Makes<'a, const W: usize, const P: usize> {
    /// Of each panel, if there are any more.
    from: Option<[&'a [[Full; 2]]; P]>,
    /// Where to.
    into: &'a mut [[Step<W>; P]],
    /// Whether the next steps follow soon, so that what they read can wait in the nearest cache.
    soon: bool,
    pieces: Pieces,
}

impl<'a, const W: usize, const P: usize> Makes<'a, W, P> {
    #[inline(always)]
    pub(super) fn new(
        from: Option<[&'a [[Full; 2]]; P]>,
        into: &'a mut [[Step<W>; P]],
        soon: bool,
        pieces: Pieces,
    ) -> Self {
        Self {
            from,
            into,
            soon,
            pieces,
        }
    }
}

impl<const W: usize, const P: usize> Meanwhile for Makes<'_, W, P> {
    #[inline(always)]
    fn piece<I: Isa>(&mut self) {
        let Some(from) = self.from else { return };
        let piece = self.pieces.next();
        let from = from.map(|panel| &panel[piece.clone()]);
        for (i, into) in self.into[piece].iter_mut().enumerate() {
            for (from, into) in from.iter().zip(into) {
                let [first, second] = &from[i];
                for lane in [first, second] {
                    let line = ptr::from_ref(lane).wrapping_add(LANES_AHEAD).cast();
                    if self.soon {
                        I::prefetch_near(line);
                    } else {
                        I::prefetch(line);
                    }
                }
                side_by_side::<I, W>(I::load(&first.0), I::load(&second.0), into);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_follow_each_other_and_are_even(steps in 0_usize..100, count in 1_usize..40) {
            let mut pieces = Pieces::new(steps, count);
            let mut done = 0;
            for _ in 0..count {
                let piece = pieces.next();
                prop_assert_eq!(piece.start, done);
                prop_assert!(piece.len() == steps / count || piece.len() == steps.div_ceil(count));
                done = piece.end;
            }
            prop_assert_eq!(done, steps);
        }
    }
}
