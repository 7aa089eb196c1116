//! Text to token ids and back, as the model's own `tokenizer.json` says.
//!
//! The work is done by the `tokenizers` crate, so ids equal those of Python. Departures from
//! transformers:
//!
//! 1. Truncation and padding stored in `tokenizer.json` are ignored: lengths are this program's
//!    business (a padded id may equal EOS, so a length can never be read back from the ids).
//! 2. `clean_up_tokenization_spaces` is ignored: decoding must not change what the model wrote.
//! 3. Generation stops at the union of `generation_config.json`'s `eos_token_id` (`config.json`'s
//!    when that file has none) and the tokenizer's own `eos_token`, because fine-tuned models often
//!    set only one of them.

use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::run::hash::hex;

use super::tokenizer_files::{TokenizerFiles, parse_json, read_optional, special_token};

/// What can go wrong between text and token ids.
#[derive(Debug, thiserror::Error)]
pub enum TokenizerError {
    /// The folder holds no `tokenizer.json`.
    #[error(
        "{} has no tokenizer.json: copy it from the model's page beside config.json, or pass token ids (--ids)",
        folder.display()
    )]
    Missing {
        /// The model folder.
        folder: PathBuf,
    },
    /// A file exists but cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A file of the tokenizer is malformed.
    #[error("{file} is not valid: {reason}")]
    Invalid {
        /// The file's name.
        file: &'static str,
        /// What the parser said.
        reason: String,
    },
    /// The tokenizer can produce ids that the model has no embedding for.
    #[error(
        "vocabulary mismatch: the tokenizer's highest id is {max_id} ({token:?}) but the model's embedding has only \
         {vocab_size} rows (config.json: vocab_size); the tokenizer belongs to another model"
    )]
    VocabularyMismatch {
        /// The tokenizer's highest id.
        max_id: u32,
        /// Its text.
        token: String,
        /// Rows of the model's embedding.
        vocab_size: usize,
    },
    /// The tokenizer refused a text or an id.
    #[error("the tokenizer cannot {action}: {reason}")]
    Convert {
        /// `encode this text` or `decode these ids`.
        action: &'static str,
        /// What the crate said.
        reason: String,
    },
    /// No file of the model names an end-of-sequence token.
    #[error(
        "no end-of-sequence token is known: set \"eos_token\" in tokenizer_config.json or \"eos_token_id\" in \
         generation_config.json"
    )]
    NoEos,
}

/// The tokenizer of one model.
#[derive(Debug, Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    sha256: String,
    bos_id: Option<u32>,
    pad_id: Option<u32>,
    stop_ids: Vec<u32>,
    max_id: u32,
}

impl Tokenizer {
    /// Loads the tokenizer of a model folder.
    ///
    /// # Errors
    /// [`TokenizerError::Missing`] without `tokenizer.json`, [`TokenizerError::Invalid`] naming a
    /// malformed file.
    pub fn from_folder(folder: &Path) -> Result<Self, TokenizerError> {
        let files = TokenizerFiles::read(folder)?;
        let config = read_optional(folder, "config.json")?;
        Self::from_files(&files, config.as_deref())
    }

    /// Builds the tokenizer from bytes; `config` is the model's `config.json`, asked for the stop
    /// tokens that `generation_config.json` does not name.
    ///
    /// # Errors
    /// [`TokenizerError::Invalid`] naming the malformed file.
    pub fn from_files(
        files: &TokenizerFiles,
        config: Option<&[u8]>,
    ) -> Result<Self, TokenizerError> {
        let mut inner = tokenizers::Tokenizer::from_bytes(&files.tokenizer)
            .map_err(|error| invalid("tokenizer.json", &error))?;
        inner
            .with_truncation(None)
            .map_err(|error| invalid("tokenizer.json", &error))?
            .with_padding(None);
        let max_id = inner.get_vocab(true).into_values().max();
        let max_id = max_id.ok_or_else(|| invalid("tokenizer.json", &"its vocabulary is empty"))?;

        let tokens = files.tokenizer_config_json()?;
        let generation = parse_json("generation_config.json", files.generation_config.as_deref())?;
        let config = parse_json("config.json", config)?;
        let named = |key| special_token(&tokens, key).and_then(|text| inner.token_to_id(text));
        let from_ids = |key: &str| {
            let ids = token_ids("generation_config.json", &generation, key)?;
            if ids.is_empty() {
                token_ids("config.json", &config, key)
            } else {
                Ok(ids)
            }
        };

        let mut stop_ids: Vec<u32> = named("eos_token").into_iter().collect();
        for id in from_ids("eos_token_id")? {
            if !stop_ids.contains(&id) {
                stop_ids.push(id);
            }
        }
        let bos_id = named("bos_token").or(from_ids("bos_token_id")?.first().copied());
        let pad_id = named("pad_token").or(from_ids("pad_token_id")?.first().copied());
        let sha256 = hex(&Sha256::digest(&files.tokenizer));
        Ok(Self {
            inner,
            sha256,
            bos_id,
            pad_id,
            stop_ids,
            max_id,
        })
    }

    /// Ids of `text`, without the special tokens that a post-processor adds (right for
    /// chat-rendered text and for responses, which are tokenised apart from their prompt). Special
    /// tokens written out in `text` are recognised.
    ///
    /// # Errors
    /// [`TokenizerError::Convert`] if the tokenizer refuses the text.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.ids(text, false)
    }

    /// Ids of `text` with the special tokens of the post-processor (Llama 2 and 3: BOS in front).
    ///
    /// # Errors
    /// [`TokenizerError::Convert`] if the tokenizer refuses the text.
    pub fn encode_with_special(&self, text: &str) -> Result<Vec<u32>, TokenizerError> {
        self.ids(text, true)
    }

    fn ids(&self, text: &str, add_special_tokens: bool) -> Result<Vec<u32>, TokenizerError> {
        match self.inner.encode_fast(text, add_special_tokens) {
            Ok(encoding) => Ok(encoding.get_ids().to_vec()),
            Err(error) => Err(convert("encode this text", &error)),
        }
    }

    /// Text of `ids`. Bytes that are not UTF-8 become U+FFFD; ids without a token (models pad their
    /// vocabulary, and such an id can be sampled) read as nothing, as in transformers.
    ///
    /// # Errors
    /// [`TokenizerError::Convert`] if the tokenizer's decoder fails.
    pub fn decode(&self, ids: &[u32], skip_special: bool) -> Result<String, TokenizerError> {
        let text = self.inner.decode(ids, skip_special);
        text.map_err(|error| convert("decode these ids", &error))
    }

    /// Text of one token as it reads inside a sentence (its leading space kept, special tokens
    /// written out); `None` for an id outside the vocabulary. A token that holds part of a
    /// character reads U+FFFD.
    pub fn token_text(&self, id: u32) -> Option<String> {
        let piece = self.inner.id_to_token(id)?;
        let text = self.inner.decode(&[id], false).ok()?;
        // Decoders of the SentencePiece family drop the space in front of a text's first piece.
        let lost_space = piece.starts_with('\u{2581}') && !text.starts_with(' ');
        Some(if lost_space { format!(" {text}") } else { text })
    }

    /// A decoder for ids that arrive one at a time.
    pub fn stream(&self, skip_special: bool) -> TextStream<'_> {
        TextStream {
            tokenizer: self,
            skip_special,
            ids: Vec::new(),
            printed: 0,
            seen: 0,
        }
    }

    /// SHA-256 of `tokenizer.json`, in hex: equal hashes mean that ids can be passed between two
    /// models.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Beginning-of-sequence id, where the model has one.
    pub fn bos_id(&self) -> Option<u32> {
        self.bos_id
    }

    /// The id that ends a training text: the tokenizer's `eos_token`, or else the first stop id.
    ///
    /// # Errors
    /// [`TokenizerError::NoEos`] if no file of the model names one.
    pub fn eos_id(&self) -> Result<u32, TokenizerError> {
        self.stop_ids.first().copied().ok_or(TokenizerError::NoEos)
    }

    /// The id that fills up batches, where the model names one. It may equal a stop id.
    pub fn pad_id(&self) -> Option<u32> {
        self.pad_id
    }

    /// Ids that end a response; the tokenizer's `eos_token` first.
    pub fn stop_ids(&self) -> &[u32] {
        &self.stop_ids
    }

    /// The id of exactly this token, e.g. `<|im_end|>`.
    pub fn token_id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// Ids of the special tokens among the added ones, ascending.
    pub fn special_ids(&self) -> Vec<u32> {
        let added = self.inner.get_added_tokens_decoder();
        let mut ids: Vec<u32> = added
            .iter()
            .filter(|(_, t)| t.special)
            .map(|(&id, _)| id)
            .collect();
        ids.sort_unstable();
        ids
    }

    /// One more than the highest id.
    pub fn vocab_size(&self) -> usize {
        self.max_id as usize + 1
    }

    /// Checks that every id has an embedding in a model of `vocab_size` rows (more rows than ids
    /// are fine: models pad their vocabulary).
    ///
    /// # Errors
    /// [`TokenizerError::VocabularyMismatch`] naming both numbers.
    pub fn check_fits(&self, vocab_size: usize) -> Result<(), TokenizerError> {
        let max_id = self.max_id;
        if (max_id as usize) < vocab_size {
            return Ok(());
        }
        let token = self.inner.id_to_token(max_id).unwrap_or_default();
        Err(TokenizerError::VocabularyMismatch {
            max_id,
            token,
            vocab_size,
        })
    }
}

/// Decodes ids as they are sampled; never emits part of a character.
///
/// Each piece is the difference between two decodings that share a left context, because decoders
/// look left (SentencePiece drops the first space) and one character may span several tokens.
#[derive(Debug)]
pub struct TextStream<'a> {
    tokenizer: &'a Tokenizer,
    skip_special: bool,
    ids: Vec<u32>,
    /// `ids[..printed]` is no longer needed even as context.
    printed: usize,
    /// The text of `ids[..seen]` has been emitted.
    seen: usize,
}

impl TextStream<'_> {
    /// Takes the next id; returns the text that became certain, often empty while a character is
    /// incomplete.
    ///
    /// # Errors
    /// [`TokenizerError::Convert`] if the tokenizer's decoder fails.
    pub fn push(&mut self, id: u32) -> Result<String, TokenizerError> {
        self.ids.push(id);
        let text = self.pending()?;
        if text.is_empty() || text.ends_with(char::REPLACEMENT_CHARACTER) {
            return Ok(String::new());
        }
        self.printed = self.seen;
        self.seen = self.ids.len();
        Ok(text)
    }

    /// The rest: a character that never became complete reads U+FFFD.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn finish(self) -> Result<String, TokenizerError> {
        self.pending()
    }

    fn pending(&self) -> Result<String, TokenizerError> {
        let context = self
            .tokenizer
            .decode(&self.ids[self.printed..self.seen], self.skip_special)?;
        let all = self
            .tokenizer
            .decode(&self.ids[self.printed..], self.skip_special)?;
        let shared = all.chars().zip(context.chars()).take_while(|(a, b)| a == b);
        let length: usize = shared.map(|(character, _)| character.len_utf8()).sum();
        Ok(all[length..].to_owned())
    }
}

/// Token ids under `key`: one number, a list of numbers, or nothing.
fn token_ids(file: &'static str, config: &Value, key: &str) -> Result<Vec<u32>, TokenizerError> {
    let one = |value: &Value| {
        let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
        id.ok_or_else(|| invalid(file, &format!("{key} must hold token ids, found {value}")))
    };
    match config.get(key) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(ids)) => ids.iter().map(one).collect(),
        Some(id) => Ok(vec![one(id)?]),
    }
}

pub(super) fn invalid(file: &'static str, reason: &dyn std::fmt::Display) -> TokenizerError {
    TokenizerError::Invalid {
        file,
        reason: reason.to_string(),
    }
}

fn convert(action: &'static str, reason: &dyn std::fmt::Display) -> TokenizerError {
    TokenizerError::Convert {
        action,
        reason: reason.to_string(),
    }
}
