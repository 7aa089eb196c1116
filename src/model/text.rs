//! Everything of a model but its weights: how text becomes tokens, and where it came from.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::run::hash;

use super::chat_template::ChatTemplate;
use super::config::DecoderConfig;
use super::language_model::ModelError;
use super::scorer::PromptInput;
use super::tokenizer::{Tokenizer, TokenizerError};
use super::tokenizer_files::TokenizerFiles;

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

    pub(super) fn read(folder: &Path, config: &DecoderConfig) -> Result<Self, ModelError> {
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

    pub(super) fn new(
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

/// SHA-256 over the folder's weight files in name order.
fn hash_weights(folder: &Path) -> Result<String, ModelError> {
    let weights = |path: &PathBuf| path.extension().is_some_and(|e| e == "safetensors");
    let files = hash::files(folder)?;
    Ok(hash::contents(files.iter().filter(|path| weights(path)))?.0)
}
