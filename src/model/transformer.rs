//! The decoder: embedding, blocks, final norm; one implementation for every supported family.
//!
//! Pre-norm blocks as in GPT-2 and Llama: x ← x + attention(norm(x)); x ← x + mlp(norm(x)). The residual stream is kept
//! as `[batch · time, hidden]`, so that every projection is one large matrix product. Language-model and scalar heads are
//! in [`heads`](super::heads).

mod build;
mod underway;

use burn::tensor::activation::{gelu, gelu_approximate, relu, silu};
use burn::tensor::{Device, Tensor};

use crate::device;
use crate::kernels::MatmulPrecision;

use super::attention::{Attention, Context, KvCache, LayerCache};
use super::config::{Activation, Architecture, DecoderConfig};
use super::fused;
use super::linear::Linear;
use super::lora::LoraConfig;
use super::norm::Norm;
use super::parameters::{Parameters, Visitor};
use super::rope::Rotary;
use super::table::Table;
use super::tokens::{TokenBatch, indices};
use super::weights::WeightsError;

pub use underway::Underway;

/// The feed-forward block.
#[derive(Debug, Clone)]
pub enum Mlp {
    /// down(activation(gate(x)) · up(x)): Shazeer 2020, arXiv:2002.05202.
    Gated {
        /// `gate_proj`, `up_proj`, `down_proj`.
        projections: Box<[Linear; 3]>,
        /// Applied to the gate.
        activation: Activation,
    },
    /// out(activation(in(x))).
    Plain {
        /// `c_fc`, `c_proj`.
        projections: Box<[Linear; 2]>,
        /// Applied between.
        activation: Activation,
    },
}

impl Mlp {
    fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Gated {
                projections,
                activation,
            } => {
                let [gate, up, down] = projections.as_ref();
                let (gate, up) = (gate.forward(x.clone()), up.forward(x));
                down.forward(gated(*activation, gate, up))
            }
            Self::Plain {
                projections,
                activation,
            } => {
                let [inner, outer] = projections.as_ref();
                outer.forward(activate(*activation, inner.forward(x)))
            }
        }
    }

    fn linears(&self) -> &[Linear] {
        match self {
            Self::Gated { projections, .. } => projections.as_slice(),
            Self::Plain { projections, .. } => projections.as_slice(),
        }
    }

    fn projections(&mut self) -> &mut [Linear] {
        match self {
            Self::Gated { projections, .. } => projections.as_mut_slice(),
            Self::Plain { projections, .. } => projections.as_mut_slice(),
        }
    }
}

fn gated(activation: Activation, gate: Tensor<2>, up: Tensor<2>) -> Tensor<2> {
    if activation == Activation::Silu && device::is_cpu(&gate.device()) {
        fused::gated(gate, up)
    } else {
        activate(activation, gate) * up
    }
}

fn activate(activation: Activation, x: Tensor<2>) -> Tensor<2> {
    match activation {
        Activation::Silu => silu(x),
        Activation::Gelu => gelu(x),
        Activation::GeluTanh => gelu_approximate(x),
        Activation::Relu => relu(x),
    }
}

/// One layer.
#[derive(Debug, Clone)]
pub struct Block {
    /// Before the attention.
    pub attention_norm: Norm,
    /// Attention.
    pub attention: Attention,
    /// Before the feed-forward block.
    pub mlp_norm: Norm,
    /// Feed-forward block.
    pub mlp: Mlp,
}

impl Block {
    /// # Shapes
    /// `x` and the result: `[tokens, hidden]`.
    fn forward(
        &self,
        x: Tensor<2>,
        context: &Context,
        cache: Option<(&mut LayerCache, usize)>,
    ) -> Tensor<2> {
        let normed = self.attention_norm.forward(x.clone());
        let x = x + self.attention.forward(normed, context, cache);
        x.clone() + self.mlp.forward(self.mlp_norm.forward(x))
    }

    fn has_lora(&self) -> bool {
        self.linears().any(|linear| linear.lora.is_some())
    }

    pub(super) fn linears(&self) -> impl Iterator<Item = &Linear> {
        self.attention.linears().chain(self.mlp.linears())
    }

    fn projections(&mut self) -> impl Iterator<Item = &mut Linear> {
        let attention = self.attention.projections().into_iter();
        attention.chain(self.mlp.projections())
    }
}

/// A decoder without its heads' chunking: tokens in, hidden states out.
///
/// Copies share storage. With adapters attached or `frozen` set, the dense weights are not trained.
#[derive(Debug, Clone)]
pub struct Decoder {
    /// Sizes and family.
    pub config: DecoderConfig,
    /// `[vocabulary, hidden]`.
    pub embedding: Table,
    /// Learned positions `[positions, hidden]` (GPT-2).
    pub positions: Option<Tensor<2>>,
    /// Layers.
    pub blocks: Vec<Block>,
    /// After the last layer.
    pub final_norm: Norm,
    /// Language-model head `[vocabulary, hidden]`; none when tied, or in a classifier.
    pub head: Option<Table>,
    /// Dense weights are constants in training.
    pub frozen: bool,
    /// Rotary frequencies, `[head_dim / 2]`; none where positions are learned.
    pub frequencies: Vec<f64>,
}

impl Decoder {
    /// Hidden states after the final norm.
    ///
    /// # Shapes
    /// Result: `[batch · time, hidden]`, meaningless at pads.
    pub fn hidden(&self, tokens: &TokenBatch) -> Tensor<2> {
        self.finish(self.begin(tokens, 0), tokens)
    }

    /// Hidden states of new tokens that follow those in `cache`, which grows by them.
    ///
    /// # Shapes
    /// `new`: the next columns of every row in the cache; result `[batch · new time, hidden]`.
    pub fn extend(&self, new: &TokenBatch, cache: &mut KvCache) -> Tensor<2> {
        let start = cache.append(new);
        let keys = &cache.tokens;
        let positions = new_positions(keys, start);
        let rotary = self.rotary(&positions, new.batch);
        let context = Context::plain(&self.config, keys, start, rotary, &self.device());
        let mut x = self.embedded(&new.ids, positions);
        for (index, block) in self.blocks.iter().enumerate() {
            x = block.forward(x, &context, Some((&mut cache.layers[index], start)));
        }
        self.final_norm.forward(x)
    }

    /// Where it computes: with autodiff if it is tracked.
    fn device(&self) -> Device {
        self.final_norm.weight.device()
    }

    fn rotary(&self, positions: &[usize], batch: usize) -> Option<Rotary> {
        let device = self.device();
        (!self.frequencies.is_empty())
            .then(|| Rotary::new(&self.frequencies, positions, batch, &device))
    }

    fn embedded(&self, ids: &[u32], positions: Vec<usize>) -> Tensor<2> {
        let device = self.device();
        let x = self.embedding.rows(ids, &device);
        match &self.positions {
            Some(table) => {
                let positions = indices(positions.into_iter(), &device);
                x + table.clone().select(0, positions)
            }
            None => x,
        }
    }

    /// The matrix that turns hidden states into logits, `[vocabulary, hidden]`.
    pub fn head_weight(&self) -> Tensor<2> {
        self.head_table().dense()
    }

    /// The language-model head: the embedding if it is tied.
    pub fn head_table(&self) -> &Table {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    /// Logits of hidden states.
    ///
    /// # Shapes
    /// `hidden`: `[n, hidden]`; result `[n, vocabulary]`.
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        self.head_table().logits(hidden)
    }

    /// The gradient with respect to hidden states from that with respect to their logits.
    ///
    /// # Shapes
    /// `gradient`: `[n, vocabulary]`, without autodiff; result `[n, hidden]`.
    pub fn logits_input_gradient(&self, gradient: Tensor<2>) -> Tensor<2> {
        self.head_table().logits_input_gradient(gradient)
    }

    /// The gradient with respect to the head, `[vocabulary, hidden]`, from that with respect to the logits of `hidden`.
    ///
    /// # Shapes
    /// `gradient`: `[n, vocabulary]`; `hidden`: `[n, hidden]`, both without autodiff.
    pub fn logits_weight_gradient(&self, gradient: Tensor<2>, hidden: Tensor<2>) -> Tensor<2> {
        self.head_table().logits_weight_gradient(gradient, hidden)
    }

    /// The name under which the head's gradient belongs.
    pub fn head_name(&self) -> &'static str {
        match (&self.head, self.config.architecture) {
            (Some(_), _) => "lm_head.weight",
            (None, Architecture::Gpt2) => "transformer.wte.weight",
            (None, _) => "model.embed_tokens.weight",
        }
    }

    /// Whether the language-model head is trained.
    pub fn trains_head(&self) -> bool {
        !self.frozen
    }

    /// Makes it ready to be trained, with products in `precision`: its adapters if there are to be any, or else all weights.
    ///
    /// # Errors
    /// If adapters find no place.
    pub fn prepare(
        &mut self,
        lora: Option<&LoraConfig>,
        seed: u64,
        precision: MatmulPrecision,
    ) -> Result<(), WeightsError> {
        self.set_matmul_precision(precision);
        if let Some(lora) = lora {
            return self.attach_lora(lora, seed);
        }
        self.unpack();
        Ok(())
    }

    /// Freezes the dense weights and puts adapters on the targeted projections.
    ///
    /// # Errors
    /// If no projection is targeted.
    pub fn attach_lora(&mut self, config: &LoraConfig, seed: u64) -> Result<(), WeightsError> {
        let device = self.embedding.device();
        self.frozen = true;
        let layers = self.blocks.len();
        if config.layers.needed() > layers {
            return Err(WeightsError::TooFewLayers {
                wanted: config.layers.needed(),
                layers,
            });
        }
        let mut attached = 0;
        let blocks = self.blocks.iter_mut().enumerate();
        for (_, block) in blocks.filter(|(layer, _)| config.layers.contains(*layer, layers)) {
            for projection in block.projections() {
                projection.attach_lora(config, seed, &device);
                attached += usize::from(projection.lora.is_some());
            }
        }
        if attached == 0 {
            let targets = config.target_modules.join(", ");
            let known = self
                .projections()
                .iter()
                .take(7)
                .map(|p| last_part(&p.name))
                .collect::<Vec<_>>()
                .join(", ");
            return Err(WeightsError::NoTarget { targets, known });
        }
        self.pack();
        Ok(())
    }

    /// Adds every adapter into its weight, for export.
    #[must_use]
    pub fn merged(&self) -> Self {
        let mut dense = self.clone();
        dense.projections().into_iter().for_each(Linear::merge);
        dense.frozen = false;
        dense
    }

    /// The same for decoding: the CPU's decoder adds the adapters as it goes, for other devices see [`Linear::for_drawing`].
    #[must_use]
    pub fn sampler(&self) -> Self {
        let mut sampler = self.clone();
        if !device::is_cpu(&self.embedding.device()) {
            let projections = sampler.projections();
            projections.into_iter().for_each(Linear::for_drawing);
            sampler.frozen = true;
        }
        sampler
    }

    /// The same trunk without adapters, frozen: the reference of an adapter-trained policy.
    #[must_use]
    pub fn base(&self) -> Self {
        let mut base = self.clone();
        base.projections().into_iter().for_each(|p| p.lora = None);
        base.frozen = true;
        base.pack();
        base
    }

    /// Packs every projection, embedding and head for the CPU's kernels; on a GPU, keeps the projections in a half where
    /// [`Linear::pack`] says so. Copies made afterwards share what is packed. A weight that is trained loses it.
    pub fn pack(&mut self) {
        self.projections().into_iter().for_each(Linear::pack);
        self.tables().for_each(Table::pack);
    }

    /// Makes every weight dense, to be trained.
    pub fn unpack(&mut self) {
        self.projections().into_iter().for_each(Linear::unpack);
        self.tables().for_each(Table::unpack);
    }

    /// How the factors of its products are rounded from now on, here and in copies made afterwards: those of all projections, of the
    /// language-model head, and of their gradients. Adapters, attention, norms and scalar heads stay in f32.
    pub fn set_matmul_precision(&mut self, precision: MatmulPrecision) {
        for projection in self.projections() {
            projection.precision = precision;
        }
        for table in self.tables() {
            table.precision = precision;
        }
    }

    fn tables(&mut self) -> impl Iterator<Item = &mut Table> {
        [&mut self.embedding].into_iter().chain(&mut self.head)
    }

    /// The numbers of the layers that carry an adapter, from 0.
    pub fn adapted_layers(&self) -> Vec<usize> {
        let blocks = self.blocks.iter().enumerate();
        let adapted = blocks.filter(|(_, block)| block.has_lora());
        adapted.map(|(layer, _)| layer).collect()
    }

    /// Does any projection carry an adapter?
    pub fn has_lora(&self) -> bool {
        self.blocks.iter().any(Block::has_lora)
    }

    /// Every projection of every layer.
    pub fn projections(&mut self) -> Vec<&mut Linear> {
        let blocks = self.blocks.iter_mut();
        blocks.flat_map(Block::projections).collect()
    }
}

impl Parameters for Decoder {
    fn visit(&mut self, visitor: &mut impl Visitor) {
        let trained = !self.frozen;
        let gpt2 = self.config.architecture == Architecture::Gpt2;
        let embedding = if gpt2 {
            "transformer.wte.weight"
        } else {
            "model.embed_tokens.weight"
        };
        self.embedding.visit(embedding, trained, visitor);
        if let Some(positions) = &mut self.positions {
            visitor.visit("transformer.wpe.weight", trained, positions);
        }
        for block in &mut self.blocks {
            block.attention_norm.visit(trained, visitor);
            block.attention.visit(trained, visitor);
            block.mlp_norm.visit(trained, visitor);
            for projection in block.mlp.projections() {
                projection.visit(trained, visitor);
            }
        }
        self.final_norm.visit(trained, visitor);
        if let Some(head) = &mut self.head {
            head.visit("lm_head.weight", trained, visitor);
        }
    }
}

fn last_part(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Position ids of the columns from `start` on.
fn new_positions(keys: &TokenBatch, start: usize) -> Vec<usize> {
    let all = keys.positions();
    all.chunks(keys.time.max(1))
        .flat_map(|row| row[start..].iter().copied())
        .collect()
}
