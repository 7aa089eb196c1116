//! One optimiser step over a model: clip the global norm, then AdamW on every trained tensor.
//!
//! A non-finite gradient leaves weights and moments as they were. Weight decay spares some tensors: see [`decays`].

use burn::tensor::Tensor;

use crate::algo::adamw::{AdamW, AdamWConfig, AdamWError, AdamWState, EpsilonPlacement};
use crate::algo::clip::{GlobalNorm, clip_factor};
use crate::algo::schedule::Decay;
use crate::run::optimizer::{AdamEpsilonPlacement, LrSchedulerType};

use super::parameters::{GradientMap, Parameters, Visitor};

/// AdamW with global-norm clipping over named parameters.
#[derive(Debug, Clone)]
pub struct Optimizer {
    adamw: AdamW,
    config: AdamWConfig,
    max_grad_norm: f64,
}

/// What one update did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Update {
    /// Global L2 norm of the gradient before clipping.
    pub grad_norm: f64,
    /// False if the gradient was not finite and nothing was changed.
    pub applied: bool,
}

impl Update {
    /// Of a loss that was not finite: nothing was changed.
    pub const SKIPPED: Self = Self {
        grad_norm: f64::NAN,
        applied: false,
    };
}

/// Does weight decay apply to the trained tensor of this name and rank? Projections (adapters, too), an untied language-model head
/// and score heads decay. Norm weights and biases, the tensors of rank 1, don't, as in transformers' `Trainer`
/// (`get_decay_parameter_names`); nor, unlike there, do embedding tables, whether the head is tied to them or not: decay would shrink
/// the rows of tokens that the data lack.
pub fn decays(name: &str, rank: usize) -> bool {
    const TABLES: [&str; 3] = ["embed_tokens.weight", "wte.weight", "wpe.weight"];
    rank > 1 && !TABLES.iter().any(|table| name.ends_with(table))
}

impl Optimizer {
    /// `max_grad_norm` 0 means no clipping.
    pub fn new(config: AdamWConfig, max_grad_norm: f64) -> Self {
        Self {
            adamw: AdamW::new(config),
            config,
            max_grad_norm,
        }
    }

    /// Updates `model` in place. Trained tensors without a gradient (the loss didn't reach them) get a zero one.
    pub fn step(
        &mut self,
        model: &mut impl Parameters,
        gradients: GradientMap,
        learning_rate: f64,
    ) -> Update {
        let mut norm = GlobalNorm::default();
        gradients.0.values().for_each(|gradient| norm.add(gradient));
        let grad_norm = norm.finish();
        if !grad_norm.is_finite() {
            return Update {
                grad_norm,
                applied: false,
            };
        }
        let clip = self.max_grad_norm > 0.0;
        self.adamw.begin_update(if clip {
            clip_factor(grad_norm, self.max_grad_norm)
        } else {
            1.0
        });
        let mut apply = Apply {
            adamw: &mut self.adamw,
            gradients,
            learning_rate,
        };
        model.visit(&mut apply);
        Update {
            grad_norm,
            applied: true,
        }
    }

    /// The state, for a checkpoint.
    pub fn export(&self) -> AdamWState {
        self.adamw.export()
    }

    /// Takes up a checkpoint's state; its tensors must be exactly the trained ones of `model`.
    pub fn restore(
        &mut self,
        state: AdamWState,
        model: &mut impl Parameters,
    ) -> Result<(), AdamWError> {
        let mut shapes = Shapes {
            shapes: Vec::new(),
            device: None,
        };
        model.visit(&mut shapes);
        if let Some(device) = shapes.device {
            self.adamw = AdamW::restore(self.config, state, &shapes.shapes, &device)?;
        }
        Ok(())
    }
}

struct Apply<'a> {
    adamw: &'a mut AdamW,
    gradients: GradientMap,
    learning_rate: f64,
}

impl Visitor for Apply<'_> {
    fn visit<const D: usize>(&mut self, name: &str, trained: bool, tensor: &mut Tensor<D>) {
        if !trained {
            return;
        }
        let shape = tensor.dims();
        let gradient = match self.gradients.0.remove(name) {
            Some(flat) => flat.reshape(shape),
            None => tensor.zeros_like(),
        };
        // The tensor is taken out, so that AdamW holds the only handle and can work in place.
        let parameter = std::mem::replace(tensor, Tensor::empty([0; D], &tensor.device()));
        let (adamw, learning_rate) = (&mut *self.adamw, self.learning_rate);
        *tensor = if decays(name, D) {
            adamw.step(name, parameter, gradient, learning_rate)
        } else {
            adamw.step_without_decay(name, parameter, gradient, learning_rate)
        };
    }
}

struct Shapes {
    shapes: Vec<(String, Vec<usize>)>,
    device: Option<burn::tensor::Device>,
}

impl Visitor for Shapes {
    fn visit<const D: usize>(&mut self, name: &str, trained: bool, tensor: &mut Tensor<D>) {
        if trained {
            self.shapes.push((name.to_owned(), tensor.dims().to_vec()));
            self.device = Some(tensor.device());
        }
    }
}

impl From<LrSchedulerType> for Decay {
    fn from(setting: LrSchedulerType) -> Self {
        match setting {
            LrSchedulerType::Linear => Self::Linear,
            LrSchedulerType::Cosine => Self::Cosine,
            LrSchedulerType::Constant => Self::Constant,
        }
    }
}

impl From<AdamEpsilonPlacement> for EpsilonPlacement {
    fn from(setting: AdamEpsilonPlacement) -> Self {
        match setting {
            AdamEpsilonPlacement::Pytorch => Self::PyTorch,
            AdamEpsilonPlacement::Tensorflow => Self::TensorFlow,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every kind of trained tensor of gpt2, llama, mistral, qwen2 and qwen3 with its rank, of classifiers and of adapters.
    #[test]
    fn norms_biases_and_embedding_tables_are_exempt_from_decay() {
        let exempt = [
            ("transformer.wte.weight", 2),
            ("transformer.wpe.weight", 2),
            ("transformer.h.0.ln_1.weight", 1),
            ("transformer.h.0.ln_1.bias", 1),
            ("transformer.h.0.attn.c_attn.bias", 1),
            ("transformer.h.0.attn.c_proj.bias", 1),
            ("transformer.h.0.ln_2.weight", 1),
            ("transformer.h.0.mlp.c_fc.bias", 1),
            ("transformer.ln_f.bias", 1),
            ("model.embed_tokens.weight", 2),
            ("model.layers.3.input_layernorm.weight", 1),
            ("model.layers.3.post_attention_layernorm.weight", 1),
            ("model.layers.3.self_attn.q_proj.bias", 1),
            ("model.layers.3.self_attn.q_norm.weight", 1),
            ("model.layers.3.self_attn.k_norm.weight", 1),
            ("model.norm.weight", 1),
            ("policy.model.embed_tokens.weight", 2),
            ("critic.transformer.wte.weight", 2),
        ];
        let decayed = [
            "transformer.h.0.attn.c_attn.weight",
            "transformer.h.0.attn.c_proj.weight",
            "transformer.h.0.mlp.c_fc.weight",
            "transformer.h.0.mlp.c_proj.weight",
            "model.layers.3.self_attn.q_proj.weight",
            "model.layers.3.self_attn.k_proj.weight",
            "model.layers.3.self_attn.v_proj.weight",
            "model.layers.3.self_attn.o_proj.weight",
            "model.layers.3.mlp.gate_proj.weight",
            "model.layers.3.mlp.up_proj.weight",
            "model.layers.3.mlp.down_proj.weight",
            "model.layers.3.self_attn.q_proj.lora_A.weight",
            "model.layers.3.self_attn.q_proj.lora_B.weight",
            "policy.transformer.h.0.attn.c_attn.lora_B.weight",
            "lm_head.weight",
            "score.weight",
            "critic.score.weight",
        ];
        for (name, rank) in exempt {
            assert!(!decays(name, rank), "{name} decays");
        }
        for name in decayed {
            assert!(decays(name, 2), "{name} is exempt");
        }
    }
}
