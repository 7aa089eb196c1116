//! The text files of a model folder: what a tokenizer and a chat template are made of.

use std::path::Path;

use serde_json::Value;

use super::tokenizer::{TokenizerError, invalid};

/// The bytes of a model's text files, from a folder or embedded in the binary; exported unchanged
/// beside new weights.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenizerFiles {
    /// `tokenizer.json`.
    pub tokenizer: Vec<u8>,
    /// `tokenizer_config.json`: special tokens, chat template.
    pub tokenizer_config: Option<Vec<u8>>,
    /// `chat_template.jinja`: takes precedence over the template in `tokenizer_config.json`.
    pub chat_template: Option<Vec<u8>>,
    /// `generation_config.json`: stop tokens.
    pub generation_config: Option<Vec<u8>>,
}

impl TokenizerFiles {
    /// Reads the text files of the model folder `folder`.
    ///
    /// # Errors
    /// [`TokenizerError::Missing`] without `tokenizer.json`; the other files are optional.
    pub fn read(folder: &Path) -> Result<Self, TokenizerError> {
        let tokenizer = read_optional(folder, "tokenizer.json")?.ok_or_else(|| {
            let folder = folder.to_path_buf();
            TokenizerError::Missing { folder }
        })?;
        Ok(Self {
            tokenizer,
            tokenizer_config: read_optional(folder, "tokenizer_config.json")?,
            chat_template: read_optional(folder, "chat_template.jinja")?,
            generation_config: read_optional(folder, "generation_config.json")?,
        })
    }

    /// Names and contents of the files, to be written beside new weights.
    pub fn entries(&self) -> impl Iterator<Item = (&'static str, &[u8])> {
        let optional = [
            ("tokenizer_config.json", self.tokenizer_config.as_deref()),
            ("chat_template.jinja", self.chat_template.as_deref()),
            ("generation_config.json", self.generation_config.as_deref()),
        ];
        let present = optional
            .into_iter()
            .filter_map(|(name, bytes)| Some((name, bytes?)));
        std::iter::once(("tokenizer.json", self.tokenizer.as_slice())).chain(present)
    }

    /// `tokenizer_config.json` as JSON; an empty object where the file is absent.
    ///
    /// # Errors
    /// [`TokenizerError::Invalid`] if it is not JSON.
    pub fn tokenizer_config_json(&self) -> Result<Value, TokenizerError> {
        parse_json("tokenizer_config.json", self.tokenizer_config.as_deref())
    }
}

/// The text of a special token in `tokenizer_config.json`: a string, or an object with `content`.
pub(super) fn special_token<'a>(tokenizer_config: &'a Value, key: &str) -> Option<&'a str> {
    let entry = tokenizer_config.get(key)?;
    entry.as_str().or_else(|| entry.get("content")?.as_str())
}

pub(super) fn read_optional(folder: &Path, name: &str) -> Result<Option<Vec<u8>>, TokenizerError> {
    let path = folder.join(name);
    match std::fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(TokenizerError::Read { path, source }),
    }
}

pub(super) fn parse_json(
    file: &'static str,
    bytes: Option<&[u8]>,
) -> Result<Value, TokenizerError> {
    match bytes {
        None => Ok(Value::Object(serde_json::Map::new())),
        Some(bytes) => serde_json::from_slice(bytes).map_err(|error| invalid(file, &error)),
    }
}
