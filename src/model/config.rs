//! `config.json` of a Hugging Face model folder: what the decoder needs of it, checked.
//!
//! Five `model_type`s share one decoder: `gpt2`, `llama`, `mistral`, `qwen2`, `qwen3`. Both spellings of
//! rotary settings are read: `rope_theta` + `rope_scaling` (transformers 4) and `rope_parameters`
//! (transformers 5). The file is kept as it was, so that writing it back loses nothing.

mod keys;
mod rope;

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use thiserror::Error;

use self::keys::Keys;
pub use self::rope::RopeScaling;

/// Why a `config.json` can't be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file is missing or unreadable.
    #[error(
        "{path}: {source}; a model folder holds config.json, model.safetensors and tokenizer.json"
    )]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Not JSON, or not an object.
    #[error("{path}: not a JSON object: {reason}")]
    Json {
        /// The file.
        path: PathBuf,
        /// What the parser said.
        reason: String,
    },
    /// An architecture this decoder doesn't implement.
    #[error(
        "{path}: model_type {found:?} is not supported; supported: gpt2, llama, mistral, qwen2, qwen3"
    )]
    UnsupportedModelType {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: String,
    },
    /// A key is missing or has a value that can't be used.
    #[error("{path}: {key}: {reason}")]
    Key {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// Expected and found.
        reason: String,
    },
}

/// The families of decoder that differ in layout or arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// GPT-2: learned positions, LayerNorm, fused query-key-value, GELU.
    Gpt2,
    /// Llama, SmolLM, TinyLlama.
    Llama,
    /// Mistral: Llama with an optional sliding window.
    Mistral,
    /// Qwen2 and Qwen2.5: biases on query, key and value.
    Qwen2,
    /// Qwen3: RMSNorm on every query and key head.
    Qwen3,
}

impl Architecture {
    fn from_model_type(name: &str) -> Option<Self> {
        Some(match name {
            "gpt2" => Self::Gpt2,
            "llama" => Self::Llama,
            "mistral" => Self::Mistral,
            "qwen2" => Self::Qwen2,
            "qwen3" => Self::Qwen3,
            _ => return None,
        })
    }

    /// Class name prefix in transformers: `LlamaForCausalLM` without `ForCausalLM`.
    pub fn class_prefix(self) -> &'static str {
        match self {
            Self::Gpt2 => "GPT2",
            Self::Llama => "Llama",
            Self::Mistral => "Mistral",
            Self::Qwen2 => "Qwen2",
            Self::Qwen3 => "Qwen3",
        }
    }

    /// The causal language model class in transformers.
    pub fn causal_lm_class(self) -> String {
        let suffix = if self == Self::Gpt2 {
            "LMHeadModel"
        } else {
            "ForCausalLM"
        };
        format!("{}{suffix}", self.class_prefix())
    }
}

/// The feed-forward non-linearity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// x·σ(x).
    Silu,
    /// Exact GELU.
    Gelu,
    /// GELU by its tanh approximation (`gelu_new`, `gelu_pytorch_tanh`).
    GeluTanh,
    /// max(x, 0).
    Relu,
}

/// What the decoder needs to know, whatever the family.
#[derive(Debug, Clone)]
pub struct DecoderConfig {
    /// Family.
    pub architecture: Architecture,
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width inside the feed-forward block.
    pub intermediate_size: usize,
    /// Blocks.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key and value heads; divides the query heads.
    pub num_key_value_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Longest sequence, in tokens.
    pub max_position_embeddings: usize,
    /// ε inside the norms.
    pub norm_epsilon: f64,
    /// Base of the rotary frequencies; unused by GPT-2.
    pub rope_theta: f64,
    /// Stretching of the rotary frequencies.
    pub rope_scaling: RopeScaling,
    /// Feed-forward non-linearity.
    pub activation: Activation,
    /// Biases on query, key and value.
    pub qkv_bias: bool,
    /// Bias on the attention output.
    pub output_bias: bool,
    /// Biases in the feed-forward block.
    pub mlp_bias: bool,
    /// The head is the embedding's transpose.
    pub tie_word_embeddings: bool,
    /// Per layer: the number of latest positions attended to, if limited.
    pub sliding_windows: Vec<Option<usize>>,
    /// Multiplier of query·key in each layer.
    pub attention_scales: Vec<f64>,
    /// Numbers of labels, when the folder is a sequence classifier.
    pub num_labels: Option<usize>,
    /// The file as read.
    pub raw: Map<String, Value>,
}

impl DecoderConfig {
    /// Reads `config.json` of a folder.
    pub fn read(folder: &Path) -> Result<Self, ConfigError> {
        let path = folder.join("config.json");
        let bytes = std::fs::read(&path).map_err(|source| ConfigError::Io {
            path: path.clone(),
            source,
        })?;
        Self::parse(&bytes, &path)
    }

    /// Parses the bytes of a `config.json`; `path` is for messages only.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self, ConfigError> {
        let raw: Map<String, Value> =
            serde_json::from_slice(bytes).map_err(|e| ConfigError::Json {
                path: path.to_owned(),
                reason: e.to_string(),
            })?;
        let keys = Keys { raw: &raw, path };
        let found = keys.string("model_type")?.unwrap_or_default();
        let architecture = Architecture::from_model_type(&found).ok_or_else(|| {
            ConfigError::UnsupportedModelType {
                path: path.to_owned(),
                found,
            }
        })?;
        let mut config = match architecture {
            Architecture::Gpt2 => gpt2(&keys)?,
            _ => llama_like(&keys, architecture)?,
        };
        config.check(&keys)?;
        config.num_labels = classifier_labels(&raw);
        config.raw = raw;
        Ok(config)
    }

    /// The number of positions between a query and the oldest key it sees, for each layer.
    pub fn window(&self, layer: usize) -> Option<usize> {
        self.sliding_windows.get(layer).copied().flatten()
    }

    fn check(&self, keys: &Keys<'_>) -> Result<(), ConfigError> {
        const LIMIT: usize = 1 << 24; // far above any real model; keeps products inside usize
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_hidden_layers", self.num_hidden_layers),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
            ("max_position_embeddings", self.max_position_embeddings),
        ];
        for (key, size) in sizes {
            if size == 0 || size > LIMIT {
                return Err(keys.error(key, format!("expected 1 to {LIMIT}, found {size}")));
            }
        }
        if !self
            .num_attention_heads
            .is_multiple_of(self.num_key_value_heads)
        {
            let reason = format!(
                "{} key-value heads do not divide {} attention heads",
                self.num_key_value_heads, self.num_attention_heads
            );
            return Err(keys.error("num_key_value_heads", reason));
        }
        if self.architecture != Architecture::Gpt2 && self.head_dim % 2 == 1 {
            let reason = format!(
                "rotary positions need an even width, found {}",
                self.head_dim
            );
            return Err(keys.error("head_dim", reason));
        }
        Ok(())
    }
}

fn gpt2(keys: &Keys<'_>) -> Result<DecoderConfig, ConfigError> {
    let hidden_size = keys.size("n_embd")?;
    let heads = keys.size("n_head")?;
    let layers = keys.size("n_layer")?;
    if heads == 0 || !hidden_size.is_multiple_of(heads) {
        return Err(keys.error(
            "n_head",
            format!("{heads} heads do not divide n_embd {hidden_size}"),
        ));
    }
    let head_dim = hidden_size / heads;
    let base = if keys.flag("scale_attn_weights", true)? {
        (head_dim as f64).powf(-0.5)
    } else {
        1.0
    };
    let by_layer = keys.flag("scale_attn_by_inverse_layer_idx", false)?;
    let scale = |layer: usize| {
        if by_layer {
            base / (layer + 1) as f64
        } else {
            base
        }
    };
    Ok(DecoderConfig {
        architecture: Architecture::Gpt2,
        vocab_size: keys.size("vocab_size")?,
        hidden_size,
        intermediate_size: keys.optional_size("n_inner")?.unwrap_or(4 * hidden_size),
        num_hidden_layers: layers,
        num_attention_heads: heads,
        num_key_value_heads: heads,
        head_dim,
        max_position_embeddings: keys.size("n_positions")?,
        norm_epsilon: keys.number("layer_norm_epsilon")?.unwrap_or(1e-5),
        rope_theta: 0.0,
        rope_scaling: RopeScaling::None,
        activation: keys.activation("activation_function", "gelu_new")?,
        qkv_bias: true,
        output_bias: true,
        mlp_bias: true,
        tie_word_embeddings: keys.flag("tie_word_embeddings", true)?,
        sliding_windows: vec![None; layers.min(1 << 16)],
        attention_scales: (0..layers.min(1 << 16)).map(scale).collect(),
        num_labels: None,
        raw: Map::new(),
    })
}

fn llama_like(keys: &Keys<'_>, architecture: Architecture) -> Result<DecoderConfig, ConfigError> {
    let hidden_size = keys.size("hidden_size")?;
    let heads = keys.size("num_attention_heads")?;
    let layers = keys.size("num_hidden_layers")?;
    let head_dim = match keys.optional_size("head_dim")? {
        Some(width) => width,
        None if heads > 0 && hidden_size.is_multiple_of(heads) => hidden_size / heads,
        None => {
            let reason = format!("{heads} heads do not divide hidden_size {hidden_size}");
            return Err(keys.error("num_attention_heads", reason));
        }
    };
    let attention_bias = keys.flag("attention_bias", false)?;
    let (rope_theta, rope_scaling) = rope::rope(keys)?;
    Ok(DecoderConfig {
        architecture,
        vocab_size: keys.size("vocab_size")?,
        hidden_size,
        intermediate_size: keys.size("intermediate_size")?,
        num_hidden_layers: layers,
        num_attention_heads: heads,
        num_key_value_heads: keys.optional_size("num_key_value_heads")?.unwrap_or(heads),
        head_dim,
        max_position_embeddings: keys.size("max_position_embeddings")?,
        norm_epsilon: keys.number("rms_norm_eps")?.unwrap_or(1e-6),
        rope_theta,
        rope_scaling,
        activation: keys.activation("hidden_act", "silu")?,
        qkv_bias: architecture == Architecture::Qwen2 || attention_bias,
        output_bias: architecture != Architecture::Qwen2 && attention_bias,
        mlp_bias: keys.flag("mlp_bias", false)?,
        tie_word_embeddings: keys.flag("tie_word_embeddings", false)?,
        sliding_windows: sliding_windows(keys, architecture, layers.min(1 << 16))?,
        attention_scales: vec![(head_dim as f64).powf(-0.5); layers.min(1 << 16)],
        num_labels: None,
        raw: Map::new(),
    })
}

/// The window of each layer, as transformers derives it: Mistral's is on all layers; Qwen's on those that
/// `layer_types` names, or in older files on those from `max_window_layers` on, and only with `use_sliding_window`.
fn sliding_windows(
    keys: &Keys<'_>,
    architecture: Architecture,
    layers: usize,
) -> Result<Vec<Option<usize>>, ConfigError> {
    let window = keys.optional_size("sliding_window")?;
    match architecture {
        Architecture::Mistral => Ok(vec![window; layers]),
        Architecture::Qwen2 | Architecture::Qwen3 if keys.flag("use_sliding_window", false)? => {
            if let Some(Value::Array(types)) = keys.raw.get("layer_types") {
                let windowed =
                    |i: usize| types.get(i).and_then(Value::as_str) == Some("sliding_attention");
                return Ok((0..layers)
                    .map(|i| window.filter(|_| windowed(i)))
                    .collect());
            }
            let first = keys.optional_size("max_window_layers")?.unwrap_or(28);
            Ok((0..layers).map(|i| window.filter(|_| i >= first)).collect())
        }
        _ => Ok(vec![None; layers]),
    }
}

fn classifier_labels(raw: &Map<String, Value>) -> Option<usize> {
    let classes = raw.get("architectures")?.as_array()?;
    let classifier = classes
        .iter()
        .filter_map(Value::as_str)
        .any(|c| c.ends_with("ForSequenceClassification"));
    let from_labels = raw.get("id2label").and_then(Value::as_object).map(Map::len);
    let count = raw
        .get("num_labels")
        .and_then(Value::as_u64)
        .map(|n| n as usize);
    classifier.then(|| count.or(from_labels).unwrap_or(2))
}
