//! A weight's panels for the way back: transposed a few at a time, which costs one pass over the weight.

use std::array;
use std::ops::Range;

use super::isa::{Isa, Work, dispatch, transpose};
use super::lanes::{Brief, Full, Lanes, Packable};
use super::panels::{Panels, Storage, WIDTH};

impl Panels {
    /// Some panels of the transposed map, whose outputs are this map's inputs, one after the other: their lanes for this map's `outputs`,
    /// which start at a multiple of sixteen. If there is room for more lanes, zeros follow in each panel.
    ///
    /// # Panics
    /// If there are fewer outputs, or `into` is too short.
    pub(super) fn transposed<T: Packable>(
        &self,
        panels: Range<usize>,
        outputs: Range<usize>,
        into: &mut [T],
    ) {
        assert!(outputs.start.is_multiple_of(WIDTH) && outputs.end <= self.outputs());
        let inputs = self.inputs();
        match &self.storage {
            Storage::F32(lanes) => dispatch(Transposed {
                lanes,
                inputs,
                panels,
                outputs,
                into,
            }),
            Storage::Bf16(lanes) => dispatch(Transposed {
                lanes,
                inputs,
                panels,
                outputs,
                into,
            }),
        }
    }
}

/// The lanes that will be transposed next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ahead {
    start: *const Full,
    /// Lanes of a panel.
    length: usize,
    /// Lanes that each tile asks for.
    share: usize,
}

impl Panels {
    /// What [`transposed`](Self::transposed) will read for the panels from `panel` on and the outputs from `output` on.
    pub(super) fn ahead(&self, panel: usize, output: usize) -> Ahead {
        let (lanes, inputs) = match &self.storage {
            Storage::F32(lanes) => (lanes.as_ptr(), Full::INPUTS),
            Storage::Bf16(lanes) => (lanes.as_ptr().cast(), Brief::INPUTS),
        };
        let length = self.inputs() / inputs;
        Ahead {
            start: lanes.wrapping_add(output / WIDTH * length + panel * WIDTH / inputs),
            length,
            share: 4 / inputs,
        }
    }
}

impl Ahead {
    /// Sixteen outputs of three panels take 48 lines, or 24 in bf16: a twelfth in each of twelve tiles, over and over.
    #[inline(always)]
    pub(super) fn line(&self, output: usize, tile: usize) -> *const u8 {
        let lane = self.share * (tile % 12) + output % WIDTH * self.share / WIDTH;
        let lane = output / WIDTH * self.length + lane;
        self.start.wrapping_add(lane).cast()
    }
}

/// Unpacks some inputs and outputs into panels of the transposed map: for each output, or each two, the sixteen weights.
struct Transposed<'a, L, T> {
    lanes: &'a [L],
    inputs: usize,
    panels: Range<usize>,
    outputs: Range<usize>,
    into: &'a mut [T],
}

impl<L: Lanes, T: Packable> Work for Transposed<'_, L, T> {
    const BF16: bool = T::INPUTS == 2;

    #[inline(always)]
    fn run<I: Isa>(self) {
        let length = self.inputs / L::INPUTS;
        let depth = self.into.len() / self.panels.len();
        assert!(depth >= self.outputs.len().div_ceil(T::INPUTS));
        // Outputs outside, so that what is read at a time lies together.
        for output in self.outputs.clone().step_by(WIDTH) {
            for (index, panel) in self.panels.clone().enumerate() {
                let first = panel * WIDTH / L::INPUTS;
                let count = (WIDTH / L::INPUTS).min(length - first);
                let from = &self.lanes[output / WIDTH * length + first..][..count];
                let at = (output - self.outputs.start) / T::INPUTS;
                let into = &mut self.into[index * depth + at..(index + 1) * depth];
                if count == WIDTH / L::INPUTS && into.len() >= WIDTH / T::INPUTS {
                    block::<I, L, T>(from, into);
                } else {
                    edge::<I, L, T>(from, into);
                }
            }
        }
        let written = self.outputs.len().next_multiple_of(WIDTH) / T::INPUTS;
        for panel in self.into.chunks_mut(depth) {
            panel[depth.min(written)..].fill(T::ZERO);
        }
    }
}

/// A block of fewer inputs or outputs than sixteen.
#[inline(always)]
fn edge<I: Isa, L: Lanes, T: Packable>(from: &[L], into: &mut [T]) {
    let mut rows = [L::ZERO; WIDTH];
    rows[..from.len()].copy_from_slice(from);
    let mut columns = [T::ZERO; WIDTH];
    block::<I, L, T>(&rows, &mut columns);
    let count = into.len().min(WIDTH / T::INPUTS);
    into[..count].copy_from_slice(&columns[..count]);
}

/// # Panics
/// If there are fewer lanes than sixteen inputs or outputs take.
#[inline(always)]
fn block<I: Isa, L: Lanes, T: Packable>(from: &[L], into: &mut [T]) {
    let (from, into) = (&from[..WIDTH / L::INPUTS], &mut into[..WIDTH / T::INPUTS]);
    let mut rows = array::from_fn(|row| from[row / L::INPUTS].vector::<I>(row % L::INPUTS));
    transpose::<I>(&mut rows);
    for (index, into) in into.iter_mut().enumerate() {
        into.set::<I>(&rows, index * T::INPUTS);
    }
}
