//! A weight laid out for the matrix products of decoding on the CPU.
//!
//! A decoding step multiplies a few rows by every weight of the model, so it is as fast as the weights stream through the
//! memory bus. burn's CPU backend packs a weight that lies as `[out, in]` for longer than it multiplies when there are 2 to
//! 32 rows, and uses one core for all but the largest. In blocks of 64 outputs, each contiguous, nothing is packed,
//! reading is sequential and the blocks are shared out among the cores: on SmolLM2's shapes 3 to 13 times faster at 8
//! rows, and no slower at 1 or 256.

use std::thread;

use burn::tensor::{Tensor, TensorData};

use super::linear::Layout;

/// Outputs in a block: four AVX-512 registers, which is what the kernel computes at once.
const BLOCK: usize = 64;
/// Numbers that are worth a thread: a fraction of a millisecond of copying.
const MIN_SHARE: usize = 1 << 17;
/// Numbers copied out of a tensor at a time.
const READ_AT_ONCE: usize = 1 << 18;

/// A weight in blocks of outputs.
#[derive(Debug, Clone)]
pub struct Packed {
    blocks: Tensor<3>, // [blocks, in, BLOCK]; outputs that fill up the last block are 0
    outputs: usize,
}

impl Packed {
    /// Copies `weight`.
    pub fn new(weight: &Tensor<2>, layout: Layout) -> Self {
        let rows = match layout {
            Layout::OutIn => weight.clone(),
            Layout::InOut => weight.clone().transpose(),
        };
        let [outputs, inputs] = rows.dims();
        let count = outputs.div_ceil(BLOCK);
        let mut packed = vec![0.0; count * inputs * BLOCK];
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let share = count
            .div_ceil(cores)
            .max(MIN_SHARE.div_ceil(inputs * BLOCK));
        thread::scope(|scope| {
            for (index, part) in packed.chunks_mut(share * inputs * BLOCK).enumerate() {
                let rows = rows.clone();
                scope.spawn(move || pack(&rows, index * share * BLOCK, part));
            }
        });
        let data = TensorData::new(packed, [count, inputs, BLOCK]);
        let blocks = Tensor::from_data(data, &weight.device());
        Self { blocks, outputs }
    }

    /// # Shapes
    /// `x`: `[n, in]`; result `[n, out]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let rows = x.dims()[0];
        let y = x.unsqueeze::<3>().matmul(self.blocks.clone()); // [blocks, n, BLOCK]
        let width = y.dims()[0] * BLOCK;
        let y = y.swap_dims(0, 1).reshape([rows, width]);
        if width == self.outputs {
            y
        } else {
            y.narrow(1, 0, self.outputs)
        }
    }
}

/// Fills blocks with the rows of `weight`, `[out, in]`, from output `first` on.
fn pack(weight: &Tensor<2>, first: usize, blocks: &mut [f32]) {
    let [outputs, inputs] = weight.dims();
    // Some blocks at a time: a copy of the whole weight would cost more in page faults than the work itself.
    let group = READ_AT_ONCE.div_ceil(inputs * BLOCK) * BLOCK;
    let starts = (first..outputs).step_by(group);
    for (start, into) in starts.zip(blocks.chunks_mut(group * inputs)) {
        let end = outputs.min(start + into.len() / inputs);
        let data = weight
            .clone()
            .narrow(0, start, end - start)
            .into_data()
            .convert::<f32>();
        let values = data.as_slice::<f32>().unwrap_or_default();
        for (rows, block) in values
            .chunks(inputs * BLOCK)
            .zip(into.chunks_mut(inputs * BLOCK))
        {
            for (output, row) in rows.chunks(inputs).enumerate() {
                for (input, value) in row.iter().enumerate() {
                    block[input * BLOCK + output] = *value;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whole numbers, so that the order of summation changes nothing. 130 outputs fill two blocks and two columns of a third.
    #[test]
    fn a_packed_product_is_the_plain_product() {
        let device = crate::device::cpu().device;
        let whole = |count: usize, shape: [usize; 2]| {
            let values: Vec<f32> = (0..count).map(|i| (i * 37 % 23) as f32 - 11.0).collect();
            Tensor::<2>::from_data(TensorData::new(values, shape), &device)
        };
        for (rows, inputs, outputs) in [(1, 5, 130), (3, 70, 64), (8, 33, 1)] {
            let x = whole(rows * inputs, [rows, inputs]);
            let weight = whole(inputs * outputs, [inputs, outputs]);
            let plain = x.clone().matmul(weight.clone()).into_data();
            let in_out = Packed::new(&weight, Layout::InOut)
                .forward(x.clone())
                .into_data();
            let out_in = Packed::new(&weight.transpose(), Layout::OutIn)
                .forward(x)
                .into_data();
            assert_eq!(
                plain.as_slice::<f32>().unwrap(),
                in_out.as_slice::<f32>().unwrap()
            );
            assert_eq!(
                plain.as_slice::<f32>().unwrap(),
                out_in.as_slice::<f32>().unwrap()
            );
        }
    }
}
