//! A weight matrix in panels of sixteen outputs, each contiguous: the order in which products read it.

use std::array;
use std::borrow::Borrow;
use std::mem::MaybeUninit;
use std::thread;

use super::cores;
use super::lanes::{Brief, Full, Lanes, Packable};
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
    /// The upper half of an f32: half the memory to read, and exact for checkpoints released so. Two inputs lie together, so an odd number of
    /// them is kept in f32.
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

    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::Bf16 => 2,
        }
    }
}

/// A weight of a linear map, packed.
///
/// Panel `p` holds the outputs from `16 p` on: for each input, or each two, the sixteen weights, 0 past the last output.
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
            Precision::Bf16 if inputs.is_multiple_of(Brief::INPUTS) => {
                Storage::Bf16(source.packed(threads))
            }
            _ => Storage::F32(source.packed(threads)),
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
        for (panel, lanes) in lanes.chunks((self.inputs / L::INPUTS).max(1)).enumerate() {
            let outputs = panel * WIDTH..self.outputs.min((panel + 1) * WIDTH);
            for input in 0..self.inputs {
                let values = lanes[input / L::INPUTS].widen(input % L::INPUTS);
                for (output, value) in outputs.clone().zip(values) {
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
        match &self.storage {
            Storage::F32(lanes) => self.column(lanes, output, into),
            Storage::Bf16(lanes) => self.column(lanes, output, into),
        }
    }

    fn column<L: Lanes>(&self, lanes: &[L], output: usize, into: &mut [f32]) {
        let length = self.inputs / L::INPUTS;
        let panel = &lanes[output / WIDTH * length..][..length];
        for (input, value) in into[..self.inputs].iter_mut().enumerate() {
            *value = panel[input / L::INPUTS].widen(input % L::INPUTS)[output % WIDTH];
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

    /// How the weights are kept.
    pub fn precision(&self) -> Precision {
        match &self.storage {
            Storage::F32(_) => Precision::F32,
            Storage::Bf16(_) => Precision::Bf16,
        }
    }

    /// Bytes that a product reads.
    pub fn bytes(&self) -> usize {
        match &self.storage {
            Storage::F32(lanes) => size_of_val(&**lanes),
            Storage::Bf16(lanes) => size_of_val(&**lanes),
        }
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
        let (count, length) = (self.outputs.div_ceil(WIDTH), self.inputs / L::INPUTS);
        let least = MIN_SHARE.div_ceil((self.inputs * WIDTH).max(1));
        let share = count.div_ceil(threads).max(least).max(1);
        let fill = |room: &mut [MaybeUninit<L>]| {
            if share >= count {
                return self.fill(0, room);
            }
            thread::scope(|scope| {
                for (index, part) in room.chunks_mut(share * length).enumerate() {
                    scope.spawn(move || self.fill(index * share, part));
                }
            });
        };
        // SAFETY: `fill` writes every lane of every panel.
        #[allow(unsafe_code)]
        unsafe {
            Kept::filled(count * length, self.will_stay, fill)
        }
    }

    /// Fills the panels from `first` on.
    fn fill<L: Lanes>(&self, first: usize, lanes: &mut [MaybeUninit<L>]) {
        let length = self.inputs / L::INPUTS;
        for (index, panel) in lanes.chunks_mut(length.max(1)).enumerate() {
            let start = (first + index) * WIDTH;
            let width = WIDTH.min(self.outputs - start);
            for (strip, lanes) in panel.chunks_mut(STRIP / L::INPUTS).enumerate() {
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
            for (index, lane) in lanes.iter_mut().enumerate() {
                lane.write(L::narrow(|which| {
                    let from = output + (input + L::INPUTS * index + which) * along;
                    let numbers = &self.weight[from..from + WIDTH];
                    array::from_fn(|column| (self.number)(&numbers[column]))
                }));
            }
            return;
        }
        let mut values = [[0.0; WIDTH]; STRIP];
        let inputs = L::INPUTS * lanes.len();
        for column in 0..width {
            let from = (output + column) * across + input * along;
            for (row, values) in values[..inputs].iter_mut().enumerate() {
                values[column] = (self.number)(&self.weight[from + row * along]);
            }
        }
        for (index, lane) in lanes.iter_mut().enumerate() {
            lane.write(L::narrow(|which| values[L::INPUTS * index + which]));
        }
    }
}
