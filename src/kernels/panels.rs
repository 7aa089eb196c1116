//! A weight matrix in panels of sixteen outputs, each contiguous: the order in which products read it.

use std::thread;

use half::bf16;

use super::isa::{Isa, Work, dispatch};

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
    pub fn lossless(values: &[f32]) -> Self {
        let brief = |value: &f32| value.to_bits().trailing_zeros() >= 16;
        if values.iter().all(brief) {
            Self::Bf16
        } else {
            Self::F32
        }
    }
}

/// One input's weights for the outputs of a panel.
pub(super) trait Lanes: Copy + Send + Sync {
    const ZERO: Self;

    /// As the numbers to compute with.
    fn widen(&self) -> [f32; WIDTH];

    /// The same in registers.
    fn vector<I: Isa>(&self) -> I::Vector;

    /// The nearest that can be kept.
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
    const ZERO: Self = Self::ZERO;

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
    const ZERO: Self = Self([0; WIDTH]);

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
        Self(values.map(|value| bf16::from_f32(value).to_bits()))
    }
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
    F32(Vec<Full>),
    Bf16(Vec<Brief>),
}

impl Panels {
    /// Packs a matrix of which `element(input, output)` is at `weight[input · stride.0 + output · stride.1]`:
    /// strides (1, inputs) for PyTorch's `[out, in]`, (outputs, 1) for `[in, out]`.
    ///
    /// # Panics
    /// If `weight` is too short.
    pub fn pack(
        weight: &[f32],
        [inputs, outputs]: [usize; 2],
        stride: (usize, usize),
        precision: Precision,
    ) -> Self {
        let source = Source {
            weight,
            inputs,
            outputs,
            stride,
        };
        let storage = match precision {
            Precision::F32 => Storage::F32(source.packed()),
            Precision::Bf16 => Storage::Bf16(source.packed()),
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
            Storage::F32(lanes) => size_of_val(lanes.as_slice()),
            Storage::Bf16(lanes) => size_of_val(lanes.as_slice()),
        }
    }
}

struct Source<'a> {
    weight: &'a [f32],
    inputs: usize,
    outputs: usize,
    stride: (usize, usize),
}

impl Source<'_> {
    fn packed<L: Lanes>(&self) -> Vec<L> {
        let count = self.outputs.div_ceil(WIDTH);
        let mut lanes = vec![L::ZERO; count * self.inputs];
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let least = MIN_SHARE.div_ceil((self.inputs * WIDTH).max(1));
        let share = count.div_ceil(cores).max(least).max(1);
        if share >= count {
            self.fill(0, &mut lanes);
            return lanes;
        }
        thread::scope(|scope| {
            for (index, part) in lanes.chunks_mut(share * self.inputs).enumerate() {
                scope.spawn(move || self.fill(index * share, part));
            }
        });
        lanes
    }

    /// Fills the panels from `first` on.
    fn fill<L: Lanes>(&self, first: usize, lanes: &mut [L]) {
        for (index, panel) in lanes.chunks_mut(self.inputs.max(1)).enumerate() {
            let start = (first + index) * WIDTH;
            let width = WIDTH.min(self.outputs - start);
            for (strip, lanes) in panel.chunks_mut(STRIP).enumerate() {
                self.fill_strip(strip * STRIP, start, width, lanes);
            }
        }
    }

    fn fill_strip<L: Lanes>(&self, input: usize, output: usize, width: usize, lanes: &mut [L]) {
        let mut values = [[0.0; WIDTH]; STRIP];
        let (along, across) = self.stride;
        for column in 0..width {
            let from = (output + column) * across + input * along;
            for (row, values) in values[..lanes.len()].iter_mut().enumerate() {
                values[column] = self.weight[from + row * along];
            }
        }
        for (lane, values) in lanes.iter_mut().zip(values) {
            *lane = L::narrow(values);
        }
    }
}

/// Unpacks sixteen inputs into panels of the transposed map: for each output the sixteen weights.
struct Unpack<'a, L> {
    panels: &'a [L],
    inputs: usize,
    first: usize,
    start: usize,
    into: &'a mut [Full],
}

impl<L: Lanes> Work for Unpack<'_, L> {
    #[inline(always)]
    fn run<I: Isa>(self) {
        let width = WIDTH.min(self.inputs - self.first);
        for (panel, into) in self.into.chunks_mut(WIDTH).enumerate() {
            let mut rows = [[0.0; WIDTH]; WIDTH];
            let from = (self.start / WIDTH + panel) * self.inputs + self.first;
            for (row, lanes) in rows.iter_mut().zip(&self.panels[from..from + width]) {
                *row = lanes.widen();
            }
            for (output, lanes) in into.iter_mut().enumerate() {
                for (input, row) in rows.iter().enumerate() {
                    lanes.0[input] = row[output];
                }
            }
        }
    }
}

impl Panels {
    /// Panel `index` of the transposed map, whose outputs are this map's inputs: its lanes for this map's outputs from `start`,
    /// a multiple of sixteen, on.
    ///
    /// # Panics
    /// If there are fewer outputs than `into` has entries.
    pub(super) fn transposed_panel(&self, index: usize, start: usize, into: &mut [Full]) {
        assert!(start.is_multiple_of(WIDTH) && start + into.len() <= self.outputs);
        let (inputs, first) = (self.inputs, index * WIDTH);
        match &self.storage {
            Storage::F32(panels) => dispatch(Unpack {
                panels,
                inputs,
                first,
                start,
                into,
            }),
            Storage::Bf16(panels) => dispatch(Unpack {
                panels,
                inputs,
                first,
                start,
                into,
            }),
        }
    }
}
