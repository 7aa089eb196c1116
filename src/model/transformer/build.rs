//! Putting a decoder together from named tensors, by the names and shapes of its family.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use super::{Block, Decoder, Mlp};
use crate::device;
use crate::kernels::MatmulPrecision;
use crate::model::attention::{Attention, QueryKeyValue};
use crate::model::config::{Architecture, DecoderConfig};
use crate::model::linear::{Layout, Linear};
use crate::model::norm::Norm;
use crate::model::rope::inverse_frequencies;
use crate::model::table::Table;
use crate::model::weights::{TensorSource, WeightsError};
use crate::model::workers::{side_by_side, workers};

impl Decoder {
    /// Takes every tensor from `source`, shapes checked. On the CPU the weights exist only packed.
    pub fn from_source(
        config: DecoderConfig,
        source: &dyn TensorSource,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        let build = Build {
            config: &config,
            source,
            device,
        };
        let gpt2 = config.architecture == Architecture::Gpt2;
        let hidden = config.hidden_size;
        let [embedding, final_norm] = if gpt2 {
            ["transformer.wte", "transformer.ln_f"]
        } else {
            ["model.embed_tokens", "model.norm"]
        };
        let table = [config.vocab_size, hidden];
        let embedding = build.table(&format!("{embedding}.weight"), table)?;
        let positions = if gpt2 {
            Some(build.tensor(
                "transformer.wpe.weight",
                [config.max_position_embeddings, hidden],
            )?)
        } else {
            None
        };
        let blocks = build.blocks()?;
        let final_norm = build.norm(final_norm, hidden, gpt2)?;
        let head = if config.tie_word_embeddings || config.num_labels.is_some() {
            None
        } else {
            Some(build.table("lm_head.weight", table)?)
        };
        let frequencies = if gpt2 {
            Vec::new()
        } else {
            inverse_frequencies(&config)
        };
        Ok(Self {
            config,
            embedding,
            positions,
            blocks,
            final_norm,
            head,
            frozen: false,
            frequencies,
        })
    }
}

/// Assembles blocks from named tensors.
struct Build<'a> {
    config: &'a DecoderConfig,
    source: &'a dyn TensorSource,
    device: &'a Device,
}

impl Build<'_> {
    fn tensor<const D: usize>(
        &self,
        name: &str,
        shape: [usize; D],
    ) -> Result<Tensor<D>, WeightsError> {
        let values = self.source.take(name, &shape)?;
        Ok(Tensor::from_data(
            TensorData::new(values, shape),
            self.device,
        ))
    }

    fn table(&self, name: &str, shape: [usize; 2]) -> Result<Table, WeightsError> {
        if !device::is_cpu(self.device) {
            return Ok(Table::from(self.tensor(name, shape)?));
        }
        let panels = self.source.take_packed(name, shape, Layout::OutIn)?;
        Ok(Table::packed(panels, self.device))
    }

    /// The layers, on the CPU by all cores: reading, checking and packing a tensor are small tasks for one.
    fn blocks(&self) -> Result<Vec<Block>, WeightsError> {
        let block = |&layer: &usize| match self.config.architecture {
            Architecture::Gpt2 => self.gpt2_block(layer),
            _ => self.llama_block(layer),
        };
        let layers: Vec<usize> = (0..self.config.num_hidden_layers).collect();
        let share = layers.len().div_ceil(workers(self.device)).max(1);
        let parts: Vec<&[usize]> = layers.chunks(share).collect();
        let built = side_by_side(&parts, |part| {
            part.iter().map(block).collect::<Result<Vec<_>, _>>()
        });
        Ok(built.into_iter().collect::<Result<Vec<_>, _>>()?.concat())
    }

    fn bias(
        &self,
        name: &str,
        width: usize,
        biased: bool,
    ) -> Result<Option<Tensor<1>>, WeightsError> {
        biased
            .then(|| self.tensor(&format!("{name}.bias"), [width]))
            .transpose()
    }

    fn norm(&self, name: &str, width: usize, biased: bool) -> Result<Norm, WeightsError> {
        let weight = self.tensor(&format!("{name}.weight"), [width])?;
        let bias = self.bias(name, width, biased)?;
        Ok(Norm {
            name: name.to_owned(),
            weight,
            bias,
            epsilon: self.config.norm_epsilon,
        })
    }

    fn linear(
        &self,
        name: &str,
        [inputs, outputs]: [usize; 2],
        biased: bool,
    ) -> Result<Linear, WeightsError> {
        let layout = match self.config.architecture {
            Architecture::Gpt2 => Layout::InOut,
            _ => Layout::OutIn,
        };
        let shape = match layout {
            Layout::OutIn => [outputs, inputs],
            Layout::InOut => [inputs, outputs],
        };
        let path = format!("{name}.weight");
        let (weight, packed) = if device::is_cpu(self.device) {
            let packed = self.source.take_packed(&path, shape, layout)?;
            (None, Some(Arc::new(packed)))
        } else {
            (Some(self.tensor(&path, shape)?), None)
        };
        let bias = self.bias(name, outputs, biased)?;
        Ok(Linear {
            name: name.to_owned(),
            weight,
            bias,
            layout,
            lora: None,
            packed,
            precision: MatmulPrecision::default(),
        })
    }

    fn attention(
        &self,
        layer: usize,
        qkv: QueryKeyValue,
        head_norms: Option<Box<[Norm; 2]>>,
        output: Linear,
    ) -> Attention {
        Attention {
            qkv,
            head_norms,
            output,
            heads: self.config.num_attention_heads,
            kv_heads: self.config.num_key_value_heads,
            scale: self.config.attention_scales[layer],
            window: self.config.window(layer),
        }
    }

    fn gpt2_block(&self, layer: usize) -> Result<Block, WeightsError> {
        let (hidden, inner) = (self.config.hidden_size, self.config.intermediate_size);
        let name = |part: &str| format!("transformer.h.{layer}.{part}");
        let qkv = self.linear(&name("attn.c_attn"), [hidden, 3 * hidden], true)?;
        let output = self.linear(&name("attn.c_proj"), [hidden, hidden], true)?;
        let projections = [
            self.linear(&name("mlp.c_fc"), [hidden, inner], true)?,
            self.linear(&name("mlp.c_proj"), [inner, hidden], true)?,
        ];
        Ok(Block {
            attention_norm: self.norm(&name("ln_1"), hidden, true)?,
            attention: self.attention(layer, QueryKeyValue::Fused(Box::new(qkv)), None, output),
            mlp_norm: self.norm(&name("ln_2"), hidden, true)?,
            mlp: Mlp::Plain {
                projections: Box::new(projections),
                activation: self.config.activation,
            },
        })
    }

    fn llama_block(&self, layer: usize) -> Result<Block, WeightsError> {
        let config = self.config;
        let (hidden, inner, width) = (
            config.hidden_size,
            config.intermediate_size,
            config.head_dim,
        );
        let (queries, keys) = (
            config.num_attention_heads * width,
            config.num_key_value_heads * width,
        );
        let name = |part: &str| format!("model.layers.{layer}.{part}");
        let qkv = [
            self.linear(
                &name("self_attn.q_proj"),
                [hidden, queries],
                config.qkv_bias,
            )?,
            self.linear(&name("self_attn.k_proj"), [hidden, keys], config.qkv_bias)?,
            self.linear(&name("self_attn.v_proj"), [hidden, keys], config.qkv_bias)?,
        ];
        let output = self.linear(
            &name("self_attn.o_proj"),
            [queries, hidden],
            config.output_bias,
        )?;
        let head_norms = if config.architecture == Architecture::Qwen3 {
            let query = self.norm(&name("self_attn.q_norm"), width, false)?;
            Some(Box::new([
                query,
                self.norm(&name("self_attn.k_norm"), width, false)?,
            ]))
        } else {
            None
        };
        let projections = [
            self.linear(&name("mlp.gate_proj"), [hidden, inner], config.mlp_bias)?,
            self.linear(&name("mlp.up_proj"), [hidden, inner], config.mlp_bias)?,
            self.linear(&name("mlp.down_proj"), [inner, hidden], config.mlp_bias)?,
        ];
        Ok(Block {
            attention_norm: self.norm(&name("input_layernorm"), hidden, false)?,
            attention: self.attention(
                layer,
                QueryKeyValue::Split(Box::new(qkv)),
                head_norms,
                output,
            ),
            mlp_norm: self.norm(&name("post_attention_layernorm"), hidden, false)?,
            mlp: Mlp::Gated {
                projections: Box::new(projections),
                activation: config.activation,
            },
        })
    }
}
