//! A decoder's weights as the CPU's kernels read them.

use std::sync::Arc;

use burn::tensor::Tensor;

use crate::kernels::{MatmulPrecision, Panels, Precision};
use crate::model::config::Activation;
use crate::model::fused::{self, Values};
use crate::model::linear::Layout;
use crate::model::norm::Norm;
use crate::model::transformer::{Block, Mlp};
use crate::model::{Decoder, Linear, Table, attention::QueryKeyValue};

/// A decoder, ready to decode.
#[derive(Debug)]
pub(super) struct Weights {
    /// `[vocabulary, hidden]`; the head's own if it is tied.
    pub embedding: Arc<Panels>,
    /// Learned positions, `[positions, hidden]`.
    pub positions: Option<Values>,
    pub layers: Vec<Layer>,
    pub final_norm: Normalisation,
    pub head: Arc<Panels>,
    /// Of the head's products.
    pub head_precision: MatmulPrecision,
    /// `[head_dim / 2]`; empty where positions are learned.
    pub frequencies: Vec<f64>,
    pub hidden: usize,
    pub vocabulary: usize,
    /// Products that a token takes.
    pub numbers: usize,
}

#[derive(Debug)]
pub struct Layer {
    pub attention_norm: Normalisation,
    /// Query, key and value; or all in one.
    pub inputs: Vec<Projection>,
    pub head_norms: Option<[Normalisation; 2]>,
    pub output: Projection,
    pub mlp_norm: Normalisation,
    /// One, or gate and up.
    pub inner: Vec<Projection>,
    pub activation: Activation,
    pub outer: Projection,
    pub shape: Heads,
}

/// How a layer's attention is divided.
#[derive(Debug, Clone, Copy)]
pub struct Heads {
    pub queries: usize,
    pub keys: usize,
    pub width: usize,
    pub scale: f32,
    pub window: Option<usize>,
}

/// y = xW + b + (xA)(sB).
#[derive(Debug)]
pub struct Projection {
    pub base: Arc<Panels>,
    /// Of xW; an adapter's products are in f32.
    pub precision: MatmulPrecision,
    pub bias: Option<Values>,
    pub adapter: Option<Adapter>,
}

#[derive(Debug)]
pub struct Adapter {
    pub a: Panels,
    /// With the scale in it.
    pub b: Panels,
}

/// RMSNorm, or LayerNorm if there is a bias.
#[derive(Debug)]
pub struct Normalisation {
    pub weight: Values,
    pub bias: Option<Values>,
    pub epsilon: f32,
}

impl Weights {
    /// Where the decoder's tensors lie, on the CPU; a projection that isn't packed yet is packed.
    pub(super) fn of(decoder: &Decoder) -> Self {
        let config = &decoder.config;
        let layers = decoder
            .blocks
            .iter()
            .map(|block| layer(block, config.head_dim));
        let layers: Vec<Layer> = layers.collect();
        let embedding = decoder.embedding.panels();
        let own = decoder.head.as_ref().map(Table::panels);
        let head = own.unwrap_or_else(|| Arc::clone(&embedding));
        let all = layers.iter().flat_map(Layer::projections).map(|p| &p.base);
        let numbers = all
            .chain([&head])
            .map(|base| base.inputs() * base.outputs());
        Self {
            numbers: numbers.sum(),
            embedding,
            positions: decoder.positions.as_ref().map(Values::from),
            layers,
            final_norm: normalisation(&decoder.final_norm),
            head,
            head_precision: decoder.head_table().precision,
            frequencies: decoder.frequencies.clone(),
            hidden: config.hidden_size,
            vocabulary: config.vocab_size,
        }
    }

    /// Rank of the widest adapter, 0 without any.
    pub(super) fn widest_adapter(&self) -> usize {
        let all = self.layers.iter().flat_map(Layer::projections);
        all.map(Projection::rank).max().unwrap_or(0)
    }
}

impl Layer {
    fn projections(&self) -> impl Iterator<Item = &Projection> {
        let ends = [&self.output, &self.outer];
        self.inputs.iter().chain(&self.inner).chain(ends)
    }
}

impl Projection {
    /// Width of the adapter, 0 if there is none.
    pub(super) fn rank(&self) -> usize {
        self.adapter
            .as_ref()
            .map_or(0, |adapter| adapter.a.outputs())
    }
}

fn layer(block: &Block, head_dim: usize) -> Layer {
    let attention = &block.attention;
    let inputs = match &attention.qkv {
        QueryKeyValue::Split(projections) => projections.as_slice(),
        QueryKeyValue::Fused(projection) => std::slice::from_ref(projection.as_ref()),
    };
    let (inner, outer, activation) = match &block.mlp {
        Mlp::Gated {
            projections,
            activation,
        } => {
            let [inner @ .., outer] = projections.as_ref();
            (inner.as_slice(), outer, *activation)
        }
        Mlp::Plain {
            projections,
            activation,
        } => {
            let [inner @ .., outer] = projections.as_ref();
            (inner.as_slice(), outer, *activation)
        }
    };
    let head_norms = attention.head_norms.as_deref();
    Layer {
        attention_norm: normalisation(&block.attention_norm),
        inputs: inputs.iter().map(projection).collect(),
        head_norms: head_norms.map(|norms| norms.each_ref().map(normalisation)),
        output: projection(&attention.output),
        mlp_norm: normalisation(&block.mlp_norm),
        inner: inner.iter().map(projection).collect(),
        activation,
        outer: projection(outer),
        shape: Heads {
            queries: attention.heads,
            keys: attention.kv_heads,
            width: head_dim,
            scale: attention.scale as f32,
            window: attention.window,
        },
    }
}

fn projection(linear: &Linear) -> Projection {
    let narrow = |weight: Tensor<2>| fused::pack(&weight, Layout::OutIn, Some(Precision::F32));
    let adapter = linear.lora.as_ref().map(|lora| Adapter {
        a: narrow(lora.a.clone()),
        b: narrow(lora.b.clone().mul_scalar(lora.scale)),
    });
    Projection {
        base: match &linear.packed {
            Some(packed) => Arc::clone(packed),
            None => Arc::new(fused::pack(&linear.dense(), linear.layout, None)),
        },
        precision: linear.precision,
        bias: linear.bias.as_ref().map(Values::from),
        adapter,
    }
}

fn normalisation(norm: &Norm) -> Normalisation {
    Normalisation {
        weight: Values::from(&norm.weight),
        bias: norm.bias.as_ref().map(Values::from),
        epsilon: norm.epsilon as f32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::LanguageModel;

    #[test]
    fn the_sampler_computes_in_the_decoder_s_precision() {
        let device = crate::device::cpu().device;
        let mut decoder = LanguageModel::embedded(&device).unwrap().decoder;
        for precision in [MatmulPrecision::F32, MatmulPrecision::Bf16] {
            decoder.set_matmul_precision(precision);
            let weights = Weights::of(&decoder);
            let layers = weights.layers.iter().flat_map(Layer::projections);
            let layers: Vec<_> = layers.map(|projection| projection.precision).collect();
            assert_eq!(layers, [precision; 4 * 7]);
            assert_eq!(weights.head_precision, precision);
        }
    }
}
