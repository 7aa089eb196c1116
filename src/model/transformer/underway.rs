//! A forward pass in two parts: the layers that no training changes, whose result can be kept, and those above.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::{Block, Decoder};
use crate::model::tokens::TokenBatch;

/// A forward pass that has come to some layer.
#[derive(Debug, Clone)]
pub struct Underway {
    /// The residual stream there, `[batch · time, hidden]`.
    pub residual: Tensor<2>,
    /// The layer that comes next, counted from 0.
    pub layer: usize,
}

impl Decoder {
    /// How many of the first layers no training changes, nor the embedding below them: all up to the first adapter over frozen weights.
    pub fn constant_layers(&self) -> usize {
        let first = self.blocks.iter().position(Block::has_lora);
        match self.frozen {
            true => first.unwrap_or(self.blocks.len()),
            false => 0,
        }
    }

    /// Do both hold the same first `layers` layers in memory, one or more? On devices where nothing is packed it can't be told: then no.
    pub fn shares(&self, other: &Self, layers: usize) -> bool {
        let same = |(mine, others): (&Block, &Block)| {
            let mut projections = mine.linears().zip(others.linears());
            projections.all(|(mine, others)| match (&mine.packed, &others.packed) {
                (Some(mine), Some(others)) => Arc::ptr_eq(mine, others),
                _ => false,
            })
        };
        let constant = |decoder: &Self| decoder.constant_layers() >= layers;
        let mut blocks = self.blocks.iter().zip(&other.blocks).take(layers);
        layers > 0 && constant(self) && constant(other) && blocks.all(same)
    }

    /// A pass up to `layer`.
    pub fn begin(&self, tokens: &TokenBatch, layer: usize) -> Underway {
        let mut residual = self.embedded(tokens, tokens.positions());
        if layer > 0 {
            let context = self.context(tokens);
            for block in &self.blocks[..layer] {
                residual = block.forward(residual, &context, None);
            }
        }
        Underway { residual, layer }
    }

    /// Hidden states after the final norm of a pass over `tokens`.
    ///
    /// # Shapes
    /// Result: `[batch · time, hidden]`, meaningless at pads.
    pub fn finish(&self, pass: Underway, tokens: &TokenBatch) -> Tensor<2> {
        let context = self.context(tokens);
        let mut x = pass.residual;
        for block in &self.blocks[pass.layer..] {
            x = block.forward(x, &context, None);
        }
        self.final_norm.forward(x)
    }
}
