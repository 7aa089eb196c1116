//! A language model: decoder, tokenizer and chat template, as one Hugging Face folder holds them.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use burn::tensor::{Device, Tensor};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::kernels::Panels;
use crate::run::atomic::write_atomic;
use crate::run::hash::{self, HashError};

use super::chat_template::{ChatTemplate, ChatTemplateError};
use super::config::{ConfigError, DecoderConfig};
use super::heads::{SCORE_WEIGHT, ScalarHead, ScalarModel};
use super::linear::Layout;
use super::parameters::{Parameters, Visitor};
use super::scorer::PromptInput;
use super::tokenizer::{Tokenizer, TokenizerError};
use super::tokenizer_files::TokenizerFiles;
use super::transformer::Decoder;
use super::weights::{
    NamedTensor, RandomWeights, SaveDtype, TensorSource, WeightFiles, WeightsError,
    write_safetensors,
};

/// Why a model can't be loaded or saved.
#[derive(Debug, Error)]
pub enum ModelError {
    /// `config.json`.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Weights.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Tokenizer files.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// Chat template.
    #[error(transparent)]
    ChatTemplate(#[from] ChatTemplateError),
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A language model is needed, a classifier was given.
    #[error(
        "{0}: a reward model (sequence classifier), not a language model; pass the policy's folder"
    )]
    IsClassifier(PathBuf),
    /// A reward model is needed, a language model was given.
    #[error(
        "{0}: a language model without a score head; train a reward model on it first: rlhf reward train --model {0} --data … --out …"
    )]
    NotClassifier(PathBuf),
    /// A conversation was given to a base model.
    #[error("{0}: the model has no chat template; give the prompt as plain text")]
    NoChatTemplate(PathBuf),
    /// No room for an answer.
    #[error(
        "{tokens} tokens, but the model's context is {context} tokens with the answer; shorten the prompt"
    )]
    PromptTooLong {
        /// Its length.
        tokens: usize,
        /// `max_position_embeddings`.
        context: usize,
    },
    /// Several labels instead of one score.
    #[error("{path}: the classifier has {labels} labels; a reward model has 1")]
    Labels {
        /// Folder.
        path: PathBuf,
        /// Its number of labels.
        labels: usize,
    },
}

/// Where a model's weights came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The files of the model's folder.
    Files,
    /// This file, which is part of the program.
    Static(&'static [u8]),
    /// They were drawn at random.
    Random,
}

/// Everything of a model but its weights: how text becomes tokens, where it came from.
#[derive(Debug, Clone)]
pub struct ModelText {
    /// Absent when the folder has none; then only token ids work.
    pub tokenizer: Option<Tokenizer>,
    /// Absent in base models.
    pub chat_template: Option<ChatTemplate>,
    /// Bytes to write beside exported weights.
    pub files: TokenizerFiles,
    /// Where the weights came from.
    pub origin: Origin,
    /// Folder, or `embedded`.
    pub path: PathBuf,
}

impl ModelText {
    /// Where the model's files are; none for the embedded one.
    pub fn folder(&self) -> Option<&Path> {
        self.path.is_dir().then_some(self.path.as_path())
    }

    /// SHA-256 over the weight files in the order of their names, which are read for it: the identity of a checkpoint. None for
    /// random weights.
    ///
    /// # Errors
    /// If a file can't be read.
    pub fn weights_sha256(&self) -> Result<Option<String>, ModelError> {
        match self.origin {
            Origin::Files => Ok(Some(hash_weights(&self.path)?)),
            Origin::Static(bytes) => Ok(Some(hash::hex(&Sha256::digest(bytes)))),
            Origin::Random => Ok(None),
        }
    }

    /// The tokenizer.
    ///
    /// # Errors
    /// If the folder has none.
    pub fn tokenizer(&self) -> Result<&Tokenizer, ModelError> {
        let missing = || {
            TokenizerError::Missing {
                folder: self.path.clone(),
            }
            .into()
        };
        self.tokenizer.as_ref().ok_or_else(missing)
    }

    /// Tokens of a prompt: plain text with the special tokens that the tokenizer puts in front (never an end token),
    /// a conversation as the chat template renders it, which writes its own.
    ///
    /// # Errors
    /// Without tokenizer; for a conversation without chat template.
    pub fn prompt_ids(&self, prompt: &PromptInput) -> Result<Vec<u32>, ModelError> {
        let tokenizer = self.tokenizer()?;
        match prompt {
            PromptInput::Text(text) => {
                let mut ids = tokenizer.encode_with_special(text)?;
                if ids.last() == tokenizer.eos_id().ok().as_ref() && !ids.is_empty() {
                    ids.pop();
                }
                Ok(ids)
            }
            PromptInput::Messages(messages) => {
                let template = self.chat_template.as_ref();
                let template =
                    template.ok_or_else(|| ModelError::NoChatTemplate(self.path.clone()))?;
                Ok(tokenizer.encode(&template.render(messages, true)?)?)
            }
        }
    }

    fn read(folder: &Path, config: &DecoderConfig) -> Result<Self, ModelError> {
        let files = match TokenizerFiles::read(folder) {
            Err(TokenizerError::Missing { .. }) => {
                return Ok(Self::bare(folder));
            }
            other => other?,
        };
        Self::new(files, folder, Origin::Files, config)
    }

    fn bare(path: &Path) -> Self {
        let files = TokenizerFiles::default();
        Self {
            tokenizer: None,
            chat_template: None,
            files,
            origin: Origin::Files,
            path: path.to_owned(),
        }
    }

    fn new(
        files: TokenizerFiles,
        path: &Path,
        origin: Origin,
        config: &DecoderConfig,
    ) -> Result<Self, ModelError> {
        let raw = serde_json::to_vec(&config.raw).unwrap_or_default();
        let tokenizer = Tokenizer::from_files(&files, Some(&raw))?;
        tokenizer.check_fits(config.vocab_size)?;
        let chat_template = ChatTemplate::from_files(&files)?;
        Ok(Self {
            tokenizer: Some(tokenizer),
            chat_template,
            files,
            origin,
            path: path.to_owned(),
        })
    }
}

/// A causal language model.
#[derive(Debug)]
pub struct LanguageModel {
    /// Network.
    pub decoder: Decoder,
    /// Tokenizer, template and provenance.
    pub text: ModelText,
}

impl LanguageModel {
    /// Tokens of a prompt, as [`ModelText::prompt_ids`] makes them; with room in the context for at least one more.
    ///
    /// # Errors
    /// As there; if the prompt fills the context.
    pub fn prompt_ids(&self, prompt: &PromptInput) -> Result<Vec<u32>, ModelError> {
        let ids = self.text.prompt_ids(prompt)?;
        let (tokens, context) = (ids.len(), self.decoder.config.max_position_embeddings);
        if tokens >= context {
            return Err(ModelError::PromptTooLong { tokens, context });
        }
        Ok(ids)
    }

    /// Loads a folder.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, ModelError> {
        let config = DecoderConfig::read(folder)?;
        if config.num_labels.is_some() {
            return Err(ModelError::IsClassifier(folder.to_owned()));
        }
        let files = WeightFiles::open(folder)?;
        let (decoder, text) = open(folder, config, &files, device)?;
        Ok(Self { decoder, text })
    }

    /// A model with random weights: `folder` holds `config.json` and tokenizer files.
    pub fn random(folder: &Path, seed: u64, device: &Device) -> Result<Self, ModelError> {
        let config = DecoderConfig::read(folder)?;
        let source = RandomWeights {
            seed,
            layers: config.num_hidden_layers,
        };
        let files = TokenizerFiles::read(folder)?;
        Self::from_parts(config, &source, files, folder, Origin::Random, device)
    }

    /// Makes a model from parts: fresh weights, or files inside the binary.
    pub fn from_parts(
        config: DecoderConfig,
        source: &dyn TensorSource,
        files: TokenizerFiles,
        path: &Path,
        origin: Origin,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let text = ModelText::new(files, path, origin, &config)?;
        Ok(Self {
            decoder: Decoder::from_source(config, source, device)?,
            text,
        })
    }

    /// Writes the folder that transformers loads: merged weights, `config.json`, tokenizer files, `generation_config.json`.
    pub fn save(&self, folder: &Path, dtype: SaveDtype) -> Result<(), ModelError> {
        save_language_model(&self.decoder, &self.text, folder, dtype)
    }
}

/// [`LanguageModel::save`] for a decoder that was trained apart from the text it was loaded with.
pub fn save_language_model(
    decoder: &Decoder,
    text: &ModelText,
    folder: &Path,
    dtype: SaveDtype,
) -> Result<(), ModelError> {
    let mut config = decoder.config.raw.clone();
    config.insert(
        "architectures".into(),
        json!([decoder.config.architecture.causal_lm_class()]),
    );
    write_folder(folder, &merged(decoder), config, text, dtype)
}

/// Loads a `*ForSequenceClassification` folder with one label.
pub fn load_scalar_model(
    folder: &Path,
    device: &Device,
) -> Result<(ScalarModel, ModelText), ModelError> {
    let config = scalar_config(folder)?;
    let files = WeightFiles::open(folder)?;
    let (decoder, text) = open(folder, config, &files, device)?;
    let head = ScalarHead::from_source(&files, decoder.config.hidden_size, device)?;
    Ok((ScalarModel { decoder, head }, text))
}

/// The same folder's configuration, head and text on `trunk`, whose weights are shared: the folder's own stay on the disk.
pub fn scalar_model_on(
    folder: &Path,
    trunk: &Decoder,
) -> Result<(ScalarModel, ModelText), ModelError> {
    let config = scalar_config(folder)?;
    let text = ModelText::read(folder, &config)?;
    let mut decoder = trunk.base();
    let (files, hidden) = (WeightFiles::open(folder)?, decoder.config.hidden_size);
    let head = ScalarHead::from_source(&files, hidden, &decoder.embedding.device())?;
    (decoder.config, decoder.head) = (config, None);
    Ok((ScalarModel { decoder, head }, text))
}

fn scalar_config(folder: &Path) -> Result<DecoderConfig, ModelError> {
    let config = DecoderConfig::read(folder)?;
    match config.num_labels {
        Some(1) => Ok(config),
        Some(labels) => Err(ModelError::Labels {
            path: folder.to_owned(),
            labels,
        }),
        None => Err(ModelError::NotClassifier(folder.to_owned())),
    }
}

/// Writes a `*ForSequenceClassification` folder with one label.
///
/// `pad_token_id` must be a token that no scored text contains: transformers reads the score at the last token that differs
/// from it.
pub fn save_scalar_model(
    model: &ScalarModel,
    text: &ModelText,
    pad_token_id: u32,
    folder: &Path,
    dtype: SaveDtype,
) -> Result<(), ModelError> {
    let mut trunk = model.decoder.clone();
    trunk.head = None;
    let mut tensors = merged(&trunk);
    tensors.push(NamedTensor::of(SCORE_WEIGHT, &model.head.weight));
    let class = format!(
        "{}ForSequenceClassification",
        trunk.config.architecture.class_prefix()
    );
    let mut config = trunk.config.raw.clone();
    config.insert("architectures".into(), json!([class]));
    config.insert("id2label".into(), json!({"0": "LABEL_0"}));
    config.insert("label2id".into(), json!({"LABEL_0": 0}));
    config.insert("num_labels".into(), json!(1));
    config.insert("pad_token_id".into(), json!(pad_token_id));
    write_folder(folder, &tensors, config, text, dtype)
}

fn write_folder(
    folder: &Path,
    tensors: &[NamedTensor],
    mut config: Map<String, Value>,
    text: &ModelText,
    dtype: SaveDtype,
) -> Result<(), ModelError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| ModelError::Io { path, source }
    };
    std::fs::create_dir_all(folder).map_err(io(folder))?;
    // transformers 5 says `dtype`, 4 said `torch_dtype`: the one that is there is kept.
    let key = if config.contains_key("torch_dtype") {
        "torch_dtype"
    } else {
        "dtype"
    };
    config.insert(key.into(), json!(dtype.config_name()));
    write_safetensors(&folder.join("model.safetensors"), tensors, dtype)?;
    if text.tokenizer.is_some() {
        for (name, bytes) in text.files.entries() {
            let path = folder.join(name);
            write_atomic(&path, bytes).map_err(|e| io(&path)(e.source))?;
        }
    }
    let path = folder.join("config.json");
    let bytes = serde_json::to_vec_pretty(&config).unwrap_or_default();
    write_atomic(&path, &bytes).map_err(|e| io(&path)(e.source))
}

/// Weights and text of a folder. The tokenizer's file takes as long as the weights, so another thread reads it meanwhile.
fn open(
    folder: &Path,
    config: DecoderConfig,
    files: &WeightFiles,
    device: &Device,
) -> Result<(Decoder, ModelText), ModelError> {
    thread::scope(|scope| {
        let of_text = config.clone();
        let text = scope.spawn(move || ModelText::read(folder, &of_text));
        let decoder = Decoder::from_source(config, files, device);
        let text = text.join().unwrap_or_else(|panic| resume_unwind(panic))?;
        Ok((decoder?, text))
    })
}

/// Every tensor of a decoder with its adapters merged into the weights, each when it is asked for.
fn merged(decoder: &Decoder) -> Vec<NamedTensor> {
    let mut plain = decoder.clone();
    plain.frozen = true; // so that what is packed stays packed
    let mut adapted = BTreeMap::new();
    for projection in plain.projections() {
        if projection.lora.is_some() {
            adapted.insert(format!("{}.weight", projection.name), projection.clone());
            projection.lora = None;
        }
    }
    let merge = |tensor: NamedTensor| match adapted.remove(&tensor.name) {
        None => tensor,
        Some(projection) => NamedTensor::new(&tensor.name, &tensor.shape, move || {
            let data = projection.merged().into_data().convert::<f32>();
            data.try_into_vec().unwrap_or_default()
        }),
    };
    tensors(&mut plain).into_iter().map(merge).collect()
}

/// Every tensor of a model, by name.
pub fn tensors(model: &mut impl Parameters) -> Vec<NamedTensor> {
    let mut read = Read(Vec::new());
    model.visit(&mut read);
    read.0
}

struct Read(Vec<NamedTensor>);

impl Visitor for Read {
    fn visit<const D: usize>(&mut self, name: &str, _trained: bool, tensor: &mut Tensor<D>) {
        self.0.push(NamedTensor::of(name, tensor));
    }

    fn visit_packed(&mut self, name: &str, panels: &Arc<Panels>, layout: Layout) {
        let (shape, stride) = layout.stored(panels.inputs(), panels.outputs());
        let panels = Arc::clone(panels);
        let values = move || panels.unpack(stride);
        self.0.push(NamedTensor::new(name, &shape, values));
    }
}

/// SHA-256 over the folder's weight files in name order.
fn hash_weights(folder: &Path) -> Result<String, ModelError> {
    let weights = |path: &PathBuf| path.extension().is_some_and(|e| e == "safetensors");
    let files = hash::files(folder)?;
    Ok(hash::contents(files.iter().filter(|path| weights(path)))?.0)
}

impl From<HashError> for ModelError {
    fn from(HashError { path, source }: HashError) -> Self {
        Self::Io { path, source }
    }
}
