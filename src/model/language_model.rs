//! A language model: decoder, tokenizer and chat template, as one Hugging Face folder holds them.

use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;

use burn::tensor::Device;
use thiserror::Error;

use crate::run::hash::HashError;

use super::chat_template::ChatTemplateError;
use super::config::{ConfigError, DecoderConfig};
use super::heads::{ScalarHead, ScalarModel};
use super::save::save_language_model;
use super::scorer::PromptInput;
use super::text::{ModelText, Origin};
use super::tokenizer::TokenizerError;
use super::tokenizer_files::TokenizerFiles;
use super::transformer::Decoder;
use super::weights::{RandomWeights, SaveDtype, TensorSource, WeightFiles, WeightsError};

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

impl From<HashError> for ModelError {
    fn from(HashError { path, source }: HashError) -> Self {
        Self::Io { path, source }
    }
}
