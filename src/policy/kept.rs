//! What a rollout's forward pass keeps for its epochs: the residual stream at the policy's first trained layer.
//!
//! With adapters in the last layers only (`lora_num_layers`), the layers below never change, so reference, critic and every epoch go on
//! from the same numbers. They take 4 · hidden bytes a token.

use burn::tensor::{Device, Tensor};

use crate::model::TokenBatch;
use crate::model::tokens::tensor_of;
use crate::model::transformer::Underway;

use super::experience::Rows;

/// The stream of every row of a pass over right-padded `tokens`, its real tokens only; nothing where every layer is trained.
pub fn keep(pass: &Underway, tokens: &TokenBatch) -> Rows {
    if pass.layer == 0 {
        return vec![Vec::new(); tokens.batch];
    }
    let hidden = pass.residual.dims()[1];
    let values: Vec<f32> = pass.residual.to_data().iter::<f32>().collect();
    let real = |mask: &[bool]| mask.iter().filter(|&&real| real).count();
    let rows = values.chunks(tokens.time * hidden);
    let lengths = tokens.mask.chunks(tokens.time).map(real);
    let cut = |(row, length): (&[f32], usize)| row[..length * hidden].to_vec();
    rows.zip(lengths).map(cut).collect()
}

/// The pass over `tokens` that [`keep`] cut into `rows`, constant in a gradient graph.
pub fn resume<'a>(
    rows: impl Iterator<Item = &'a [f32]>,
    layer: usize,
    tokens: &TokenBatch,
    hidden: usize,
    device: &Device,
) -> Underway {
    let mut values = Vec::with_capacity(tokens.batch * tokens.time * hidden);
    for (index, row) in rows.enumerate() {
        values.extend(row);
        values.resize((index + 1) * tokens.time * hidden, 0.0);
    }
    let shape = [tokens.batch * tokens.time, hidden];
    let residual: Tensor<2> = tensor_of(values, shape, device);
    Underway {
        residual: residual.autodiff(),
        layer,
    }
}
