//! A decoder's weights as the CPU's kernels read them.

use std::sync::Arc;

use burn::tensor::Tensor;

use crate::device::HostValues;
use crate::kernels::{Panels, Precision};
use crate::model::config::Activation;
use crate::model::linear::Layout;
use crate::model::norm::Norm;
use crate::model::transformer::{Block, Mlp};
use crate::model::{Decoder, Linear, attention::QueryKeyValue};

/// A decoder, ready to decode.
#[derive(Debug)]
pub struct Weights {
    /// `[vocabulary, hidden]`.
    pub embedding: HostValues,
    /// Learned positions, `[positions, hidden]`.
    pub positions: Option<HostValues>,
    pub layers: Vec<Layer>,
    pub final_norm: Normalisation,
    pub head: Arc<Panels>,
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
    pub bias: Option<HostValues>,
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
    pub weight: HostValues,
    pub bias: Option<HostValues>,
    pub epsilon: f32,
}

impl Weights {
    /// None if the decoder's tensors aren't on the CPU in f32.
    pub fn of(decoder: &Decoder) -> Option<Self> {
        let config = &decoder.config;
        let layers = decoder
            .blocks
            .iter()
            .map(|block| layer(block, config.head_dim));
        let positions = match &decoder.positions {
            Some(positions) => Some(HostValues::of(positions)?),
            None => None,
        };
        let layers: Vec<Layer> = layers.collect::<Option<_>>()?;
        let head = match &decoder.packed_head {
            Some(packed) => Arc::clone(packed),
            None => Arc::new(panels(&decoder.head_weight(), Layout::OutIn)?),
        };
        let all = layers.iter().flat_map(Layer::projections).map(|p| &p.base);
        let numbers = all
            .chain([&head])
            .map(|base| base.inputs() * base.outputs());
        Some(Self {
            numbers: numbers.sum(),
            embedding: HostValues::of(&decoder.embedding)?,
            positions,
            layers,
            final_norm: normalisation(&decoder.final_norm)?,
            head,
            frequencies: decoder.frequencies.clone(),
            hidden: config.hidden_size,
            vocabulary: config.vocab_size,
        })
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

fn layer(block: &Block, head_dim: usize) -> Option<Layer> {
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
    let head_norms = match attention.head_norms.as_deref() {
        Some([query, key]) => Some([normalisation(query)?, normalisation(key)?]),
        None => None,
    };
    Some(Layer {
        attention_norm: normalisation(&block.attention_norm)?,
        inputs: inputs.iter().map(projection).collect::<Option<_>>()?,
        head_norms,
        output: projection(&attention.output)?,
        mlp_norm: normalisation(&block.mlp_norm)?,
        inner: inner.iter().map(projection).collect::<Option<_>>()?,
        activation,
        outer: projection(outer)?,
        shape: Heads {
            queries: attention.heads,
            keys: attention.kv_heads,
            width: head_dim,
            scale: attention.scale as f32,
            window: attention.window,
        },
    })
}

fn projection(linear: &Linear) -> Option<Projection> {
    let adapter = match &linear.lora {
        Some(lora) => Some(Adapter {
            a: panels(&lora.a, Layout::OutIn)?,
            b: panels(&lora.b.clone().mul_scalar(lora.scale), Layout::OutIn)?,
        }),
        None => None,
    };
    let bias = match &linear.bias {
        Some(bias) => Some(HostValues::of(bias)?),
        None => None,
    };
    Some(Projection {
        base: match &linear.packed {
            Some(packed) => Arc::clone(packed),
            None => Arc::new(panels(&linear.dense(), linear.layout)?),
        },
        bias,
        adapter,
    })
}

fn panels(weight: &Tensor<2>, layout: Layout) -> Option<Panels> {
    let values = HostValues::of(weight)?;
    let [rows, columns] = weight.dims();
    let (widths, stride) = match layout {
        Layout::OutIn => ([columns, rows], (1, columns)),
        Layout::InOut => ([rows, columns], (columns, 1)),
    };
    Some(Panels::pack(
        &values,
        widths,
        stride,
        Precision::lossless(&values),
    ))
}

fn normalisation(norm: &Norm) -> Option<Normalisation> {
    let bias = match &norm.bias {
        Some(bias) => Some(HostValues::of(bias)?),
        None => None,
    };
    Some(Normalisation {
        weight: HostValues::of(&norm.weight)?,
        bias,
        epsilon: norm.epsilon as f32,
    })
}
