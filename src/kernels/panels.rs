//! A weight matrix in panels of sixteen outputs, each contiguous: the order in which products read it.

use std::array;
use std::borrow::Borrow;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::thread;

use super::cores;
use super::isa::{Isa, Work, dispatch, transpose, unwritten};
use super::memory::Kept;

/// Outputs in a panel: one AVX-512 register, or two of AVX2.
pub const WIDTH: usize = 16;
/// Inputs that are transposed at a time while packing.
const STRIP: usize = 16;
/// Numbers that are worth a thread.
const MIN_SHARE: usize = 1 << 18;

/// How weights are kept. Sums are always in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// As they are.
    F32,
    /// The upper half of an f32: half the memory to read, and exact for checkpoints released so.
    Bf16,
}

impl Precision {
    /// The smallest that loses nothing: checkpoints released in bf16 are kept in it.
    pub fn lossless(values: impl IntoIterator<Item: Borrow<f32>>) -> Self {
        let brief = |value: &f32| value.to_bits().trailing_zeros() >= 16;
        if values.into_iter().all(|value| brief(value.borrow())) {
            Self::Bf16
        } else {
            Self::F32
        }
    }
}

/// One input's weights for the outputs of a panel.
pub(super) trait Lanes: Copy + Send + Sync {
    /// As the numbers to compute with.
    fn widen(&self) -> [f32; WIDTH];

    /// The same in registers.
    fn vector<I: Isa>(&self) -> I::Vector;

    /// The nearest that can be kept to numbers that are finite.
    fn narrow(values: [f32; WIDTH]) -> Self;
}

/// Sixteen f32 on a cache line of their own.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub struct Full(pub(super) [f32; WIDTH]);

impl Full {
    /// Sixteen zeros.
    pub const ZERO: Self = Self([0.0; WIDTH]);
}

/// Sixteen bf16 on half a cache line.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(32))]
pub(super) struct Brief([u16; WIDTH]);

impl Lanes for Full {
    #[inline(always)]
    fn widen(&self) -> [f32; WIDTH] {
        self.0
    }

    #[inline(always)]
    fn vector<I: Isa>(&self) -> I::Vector {
        I::load(&self.0)
    }

    #[inline(always)]
    fn narrow(values: [f32; WIDTH]) -> Self {
        Self(values)
    }
}

impl Lanes for Brief {
    #[inline(always)]
    fn widen(&self) -> [f32; WIDTH] {
        self.0.map(|bits| f32::from_bits(u32::from(bits) << 16))
    }

    #[inline(always)]
    fn vector<I: Isa>(&self) -> I::Vector {
        I::load_halves(&self.0)
    }

    #[inline(always)]
    fn narrow(values: [f32; WIDTH]) -> Self {
        Self(values.map(nearest_half))
    }
}

/// The upper half of a finite number, rounded to the nearest, ties to even: as `half` does it, but without a branch.
#[inline(always)]
fn nearest_half(value: f32) -> u16 {
    let bits = value.to_bits();
    ((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) as u16
}

/// A weight of a linear map, packed.
///
/// Panel `p` holds the outputs from `16 p` on: for each input the sixteen weights, 0 past the last output.
#[derive(Debug, Clone)]
pub struct Panels {
    pub(super) storage: Storage,
    inputs: usize,
    outputs: usize,
}

#[derive(Debug, Clone)]
pub(super) enum Storage {
    F32(Kept<Full>),
    Bf16(Kept<Brief>),
}

impl Panels {
    /// Packs, on this thread, a matrix of which `element(input, output)` is at `weight[input · stride.0 + output · stride.1]`:
    /// strides (1, inputs) for PyTorch's `[out, in]`, (outputs, 1) for `[in, out]`.
    ///
    /// # Panics
    /// If `weight` is too short.
    pub fn pack(
        weight: &[f32],
        widths: [usize; 2],
        stride: (usize, usize),
        precision: Precision,
    ) -> Self {
        Self::packed(weight, |&value| value, widths, stride, precision, false)
    }

    /// The same by all cores, for a weight that will stay, from numbers that may have another form, such as a file's bytes; `number` reads
    /// one. They are finite.
    ///
    /// # Panics
    /// If `weight` is too short.
    pub fn pack_from<E: Sync>(
        weight: &[E],
        number: impl Fn(&E) -> f32 + Sync,
        widths: [usize; 2],
        stride: (usize, usize),
        precision: Precision,
    ) -> Self {
        Self::packed(weight, number, widths, stride, precision, true)
    }

    fn packed<E: Sync>(
        weight: &[E],
        number: impl Fn(&E) -> f32 + Sync,
        [inputs, outputs]: [usize; 2],
        stride: (usize, usize),
        precision: Precision,
        will_stay: bool,
    ) -> Self {
        let threads = if will_stay { cores() } else { 1 };
        let source = Source {
            weight,
            number,
            inputs,
            outputs,
            stride,
            will_stay,
        };
        let storage = match precision {
            Precision::F32 => Storage::F32(source.packed(threads)),
            Precision::Bf16 => Storage::Bf16(source.packed(threads)),
        };
        Self {
            storage,
            inputs,
            outputs,
        }
    }

    /// The matrix again: the reverse of [`Panels::pack`], exact in f32.
    pub fn unpack(&self, stride: (usize, usize)) -> Vec<f32> {
        match &self.storage {
            Storage::F32(lanes) => self.spread(lanes, stride),
            Storage::Bf16(lanes) => self.spread(lanes, stride),
        }
    }

    fn spread<L: Lanes>(&self, lanes: &[L], (along, across): (usize, usize)) -> Vec<f32> {
        let mut weight = vec![0.0; self.inputs * self.outputs];
        for (panel, lanes) in lanes.chunks(self.inputs.max(1)).enumerate() {
            let outputs = panel * WIDTH..self.outputs.min((panel + 1) * WIDTH);
            for (input, lanes) in lanes.iter().enumerate() {
                for (output, value) in outputs.clone().zip(lanes.widen()) {
                    weight[input * along + output * across] = value;
                }
            }
        }
        weight
    }

    /// The weights of one output: a row of an embedding table `[vocabulary, hidden]`.
    ///
    /// # Panics
    /// If there is no such output, or `into` is shorter than there are inputs.
    pub fn row(&self, output: usize, into: &mut [f32]) {
        assert!(output < self.outputs);
        let (from, lane) = (output / WIDTH * self.inputs, output % WIDTH);
        let panel = from..from + self.inputs;
        match &self.storage {
            Storage::F32(lanes) => column(&lanes[panel], lane, into),
            Storage::Bf16(lanes) => column(&lanes[panel], lane, into),
        }
    }

    /// Inputs of the map.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Outputs of the map.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Panels.
    pub fn count(&self) -> usize {
        self.outputs.div_ceil(WIDTH)
    }

    /// Bytes that a product reads.
    pub fn bytes(&self) -> usize {
        match &self.storage {
            Storage::F32(lanes) => size_of_val(&**lanes),
            Storage::Bf16(lanes) => size_of_val(&**lanes),
        }
    }
}

/// Number `lane` of every input.
fn column<L: Lanes>(panel: &[L], lane: usize, into: &mut [f32]) {
    for (value, lanes) in into[..panel.len()].iter_mut().zip(panel) {
        *value = lanes.widen()[lane];
    }
}

struct Source<'a, E, F> {
    weight: &'a [E],
    number: F,
    inputs: usize,
    outputs: usize,
    stride: (usize, usize),
    will_stay: bool,
}

impl<E: Sync, F: Fn(&E) -> f32 + Sync> Source<'_, E, F> {
    fn packed<L: Lanes>(&self, threads: usize) -> Kept<L> {
        let count = self.outputs.div_ceil(WIDTH);
        let least = MIN_SHARE.div_ceil((self.inputs * WIDTH).max(1));
        let share = count.div_ceil(threads).max(least).max(1);
        let fill = |room: &mut [MaybeUninit<L>]| {
            if share >= count {
                return self.fill(0, room);
            }
            thread::scope(|scope| {
                for (index, part) in room.chunks_mut(share * self.inputs).enumerate() {
                    scope.spawn(move || self.fill(index * share, part));
                }
            });
        };
        // SAFETY: `fill` writes every lane of every panel.
        #[allow(unsafe_code)]
        unsafe {
            Kept::filled(count * self.inputs, self.will_stay, fill)
        }
    }

    /// Fills the panels from `first` on.
    fn fill<L: Lanes>(&self, first: usize, lanes: &mut [MaybeUninit<L>]) {
        for (index, panel) in lanes.chunks_mut(self.inputs.max(1)).enumerate() {
            let start = (first + index) * WIDTH;
            let width = WIDTH.min(self.outputs - start);
            for (strip, lanes) in panel.chunks_mut(STRIP).enumerate() {
                self.fill_strip(strip * STRIP, start, width, lanes);
            }
        }
    }

    fn fill_strip<L: Lanes>(
        &self,
        input: usize,
        output: usize,
        width: usize,
        lanes: &mut [MaybeUninit<L>],
    ) {
        let (along, across) = self.stride;
        if across == 1 && width == WIDTH {
            for (row, lane) in lanes.iter_mut().enumerate() {
                let from = output + (input + row) * along;
                let numbers = &self.weight[from..from + WIDTH];
                lane.write(L::narrow(array::from_fn(|column| {
                    (self.number)(&numbers[column])
                })));
            }
            return;
        }
        let mut values = [[0.0; WIDTH]; STRIP];
        for column in 0..width {
            let from = (output + column) * across + input * along;
            for (row, values) in values[..lanes.len()].iter_mut().enumerate() {
                values[column] = (self.number)(&self.weight[from + row * along]);
            }
        }
        for (lane, values) in lanes.iter_mut().zip(values) {
            lane.write(L::narrow(values));
        }
    }
}

/// Unpacks some inputs and outputs into panels of the transposed map: for each output the sixteen weights.
struct Transposed<'a, L> {
    lanes: &'a [L],
    inputs: usize,
    panels: Range<usize>,
    outputs: Range<usize>,
    into: &'a mut [Full],
}

impl<L: Lanes> Work for Transposed<'_, L> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let depth = self.outputs.len();
        // Outputs outside, so that what is read at a time lies together.
        for output in self.outputs.clone().step_by(WIDTH) {
            for (index, panel) in self.panels.clone().enumerate() {
                let first = panel * WIDTH;
                let width = WIDTH.min(self.inputs - first);
                let from = &self.lanes[output / WIDTH * self.inputs + first..][..width];
                let at = output - self.outputs.start;
                let into = &mut self.into[index * depth + at..(index + 1) * depth];
                match (from.as_array(), into.first_chunk_mut()) {
                    (Some(from), Some(into)) => block::<I, L>(from, into),
                    _ => Self::edge::<I>(from, into),
                }
            }
        }
    }
}

impl<L: Lanes> Transposed<'_, L> {
    /// A block of fewer inputs or outputs than sixteen.
    #[inline(always)]
    fn edge<I: Isa>(from: &[L], into: &mut [Full]) {
        let mut rows = [L::narrow([0.0; WIDTH]); WIDTH];
        rows[..from.len()].copy_from_slice(from);
        let mut columns = [Full::ZERO; WIDTH];
        block::<I, L>(&rows, &mut columns);
        let count = into.len().min(WIDTH);
        into[..count].copy_from_slice(&columns[..count]);
    }
}

#[inline(always)]
fn block<I: Isa, L: Lanes>(from: &[L; WIDTH], into: &mut [Full; WIDTH]) {
    let mut rows = array::from_fn(|row| from[row].vector::<I>());
    transpose::<I>(&mut rows);
    for (column, into) in rows.into_iter().zip(into) {
        I::store(column, unwritten(&mut into.0));
    }
}

impl Panels {
    /// Some panels of the transposed map, whose outputs are this map's inputs, one after the other: their lanes for this map's `outputs`,
    /// which start at a multiple of sixteen.
    ///
    /// # Panics
    /// If there are fewer outputs, or `into` is too short.
    pub(super) fn transposed(
        &self,
        panels: Range<usize>,
        outputs: Range<usize>,
        into: &mut [Full],
    ) {
        assert!(outputs.start.is_multiple_of(WIDTH) && outputs.end <= self.outputs);
        let inputs = self.inputs;
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
