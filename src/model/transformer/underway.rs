//! A forward pass in two parts: the layers that no training changes, whose result can be kept, and those above.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::{Block, Decoder};
use crate::device;
use crate::model::attention::Context;
use crate::model::fused;
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
        if self.frozen {
            first.unwrap_or(self.blocks.len())
        } else {
            0
        }
    }

    /// Do both hold the same first `layers` layers in memory, one or more, and compute alike with them? On devices where nothing is packed it
    /// can't be told: then no.
    pub fn shares(&self, other: &Self, layers: usize) -> bool {
        let same = |(mine, others): (&Block, &Block)| {
            let mut projections = mine.linears().zip(others.linears());
            projections.all(|(mine, others)| match (&mine.packed, &others.packed) {
                (Some(packed), Some(other)) => {
                    Arc::ptr_eq(packed, other) && mine.precision == others.precision
                }
                _ => false,
            })
        };
        let constant = |decoder: &Self| decoder.constant_layers() >= layers;
        let mut blocks = self.blocks.iter().zip(&other.blocks).take(layers);
        layers > 0 && constant(self) && constant(other) && blocks.all(same)
    }

    /// A pass up to `layer`.
    pub fn begin(&self, tokens: &TokenBatch, layer: usize) -> Underway {
        let pass = self.pass(tokens);
        let x = self.embedded(&pass.ids, pass.positions.clone());
        let x = through(&self.blocks[..layer], x, &pass.context);
        Underway {
            residual: pass.with_pads(x),
            layer,
        }
    }

    /// Hidden states after the final norm of a pass over `tokens`.
    ///
    /// # Shapes
    /// Result: `[batch · time, hidden]`, meaningless at pads.
    pub fn finish(&self, begun: Underway, tokens: &TokenBatch) -> Tensor<2> {
        let pass = self.pass(tokens);
        let x = pass.without_pads(begun.residual);
        let x = through(&self.blocks[begun.layer..], x, &pass.context);
        pass.with_pads(self.final_norm.forward(x))
    }

    fn pass(&self, tokens: &TokenBatch) -> Pass {
        let (device, padded) = (self.device(), tokens.ids.len());
        if device::is_cpu(&device) {
            let packed = tokens.packed();
            return Pass {
                context: Context::fused(&self.frequencies, &packed),
                ids: packed.ids,
                positions: packed.positions,
                places: (packed.places.len() < padded).then(|| Arc::new(packed.places)),
                padded,
            };
        }
        let positions = tokens.positions();
        let rotary = self.rotary(&positions, tokens.batch);
        Pass {
            context: Context::plain(&self.config, tokens, 0, rotary, &device),
            ids: tokens.ids.clone(),
            positions,
            places: None,
            padded,
        }
    }
}

fn through(blocks: &[Block], x: Tensor<2>, context: &Context) -> Tensor<2> {
    let layer = |x, block: &Block| block.forward(x, context, None);
    blocks.iter().fold(x, layer)
}

/// A batch as the layers take it: on the CPU without its pads.
struct Pass {
    ids: Vec<u32>,
    positions: Vec<usize>,
    context: Context,
    places: Option<Arc<Vec<usize>>>, // where the tokens stand in the batch, if there are pads that are left out
    padded: usize,                   // tokens of the batch, pads included
}

impl Pass {
    fn without_pads(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.places {
            Some(places) => fused::gather(x, places),
            None => x,
        }
    }

    fn with_pads(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.places {
            Some(places) => fused::spread(x, places, self.padded),
            None => x,
        }
    }
}
