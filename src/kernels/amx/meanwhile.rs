//! What vectors do while the unit multiplies, so that none of the two waits for memory alone.

use std::ops::Range;
use std::ptr;

use super::super::isa::Isa;
use super::super::lanes::Full;
use super::super::split::side_by_side;
use super::{Made, STEPS, SUMS, Step, products};

/// So many lanes before they are made into others, lanes in f32 are asked for into the nearest cache.
const LANES_AHEAD_NEAR: usize = 24;
/// The same into the second.
const LANES_AHEAD: usize = 40;

/// Work in pieces. Not a closure: one that is not inlined would lose the instruction set.
pub(super) trait Meanwhile {
    /// Does a piece: the next, or where turns are few and known that of this turn.
    fn piece<I: Isa, const TURN: usize>(&mut self);
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
    fn piece<I: Isa, const TURN: usize>(&mut self) {
        let Some(panels) = self.steps else { return };
        let piece = self.pieces.next();
        for panel in panels {
            for lane in panel[piece.clone()].as_flattened() {
                I::prefetch(ptr::from_ref(lane).cast());
            }
        }
    }
}

/// Makes pairs, or parts, of a step of a panel in f32, and asks for one of the next. `NEAR`: that follows soon, so that it can wait in the nearest
/// cache.
#[inline(always)]
fn make<I: Isa, const W: usize, const NEAR: bool>(from: &[Full; 2], into: &mut Step<W>) {
    for lane in from {
        let lane = ptr::from_ref(lane);
        if NEAR {
            I::prefetch_near(lane.wrapping_add(LANES_AHEAD_NEAR).cast());
        } else {
            I::prefetch(lane.wrapping_add(LANES_AHEAD).cast());
        }
    }
    let [first, second] = from;
    side_by_side::<I, W>(I::load(&first.0), I::load(&second.0), into);
}

/// Makes some steps of two panels.
pub(super) struct MakesSome<'a, const W: usize> {
    /// Of each panel, if there are any more.
    from: Option<[&'a [[Full; 2]]; 2]>,
    /// Where to.
    into: &'a mut [[Step<W>; 2]],
    pieces: Pieces,
}

impl<'a, const W: usize> MakesSome<'a, W> {
    #[inline(always)]
    pub(super) fn new(
        from: Option<[&'a [[Full; 2]]; 2]>,
        into: &'a mut [[Step<W>; 2]],
        pieces: Pieces,
    ) -> Self {
        Self { from, into, pieces }
    }

    /// Does all at once.
    #[inline(always)]
    pub(super) fn all<I: Isa>(mut self) {
        self.piece::<I, 0>();
    }
}

impl<const W: usize> Meanwhile for MakesSome<'_, W> {
    #[inline(always)]
    fn piece<I: Isa, const TURN: usize>(&mut self) {
        let Some(from) = self.from else { return };
        let piece = self.pieces.next();
        let from = from.map(|panel| &panel[piece.clone()]);
        for (i, into) in self.into[piece].iter_mut().enumerate() {
            for (from, into) in from.iter().zip(into) {
                make::<I, W, false>(&from[i], into);
            }
        }
    }
}

/// Makes a tile of `P` panels, while as many parts of rows meet another.
pub(super) struct MakesOne<'a, const W: usize, const P: usize> {
    from: [&'a [[Full; 2]; STEPS]; P],
    into: &'a mut Made<W, P>,
}

impl<'a, const W: usize, const P: usize> MakesOne<'a, W, P> {
    /// Turns that the unit takes meanwhile.
    const TURNS: usize = if P == 1 {
        SUMS * W
    } else {
        products(W, W).len()
    };

    #[inline(always)]
    pub(super) fn new(from: [&'a [[Full; 2]; STEPS]; P], into: &'a mut Made<W, P>) -> Self {
        Self { from, into }
    }

    /// Does all at once.
    #[inline(always)]
    pub(super) fn all<I: Isa>(mut self) {
        self.make::<I>(0..STEPS);
    }

    /// Makes some steps. With two panels there are few rows.
    #[inline(always)]
    fn make<I: Isa>(&mut self, steps: Range<usize>) {
        for i in steps {
            for (from, into) in self.from.iter().zip(&mut self.into[i]) {
                if P == 2 {
                    make::<I, W, true>(&from[i], into);
                } else {
                    make::<I, W, false>(&from[i], into);
                }
            }
        }
    }
}

impl<const W: usize, const P: usize> Meanwhile for MakesOne<'_, W, P> {
    #[inline(always)]
    fn piece<I: Isa, const TURN: usize>(&mut self) {
        self.make::<I>(TURN * STEPS / Self::TURNS..(TURN + 1) * STEPS / Self::TURNS);
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
