//! The model inside the binary: 2.2 million parameters, trained by this program on a small world of its own.
//!
//! How it was made, from nothing but this repository, is in CONTRIBUTING.md. Its weights are stored in f16.

use std::path::Path;

use super::config::DecoderConfig;
use super::language_model::{LanguageModel, ModelError};
use super::text::Origin;
use super::tokenizer_files::TokenizerFiles;
use super::weights::WeightFiles;
use burn::tensor::Device;

/// The name that `--model` takes, and where the model says it is.
pub const NAME: &str = "embedded";

const CONFIG: &[u8] = include_bytes!("embedded/config.json");
const WEIGHTS: &[u8] = include_bytes!("embedded/model.safetensors");
const TOKENIZER: &[u8] = include_bytes!("embedded/tokenizer.json");
const TOKENIZER_CONFIG: &[u8] = include_bytes!("embedded/tokenizer_config.json");

impl LanguageModel {
    /// The model inside the binary.
    ///
    /// # Errors
    /// None that a test wouldn't have found.
    pub fn embedded(device: &Device) -> Result<Self, ModelError> {
        let path = Path::new(NAME);
        let config = DecoderConfig::parse(CONFIG, path)?;
        let files = TokenizerFiles {
            tokenizer: TOKENIZER.to_vec(),
            tokenizer_config: Some(TOKENIZER_CONFIG.to_vec()),
            ..TokenizerFiles::default()
        };
        let weights = WeightFiles::from_static(NAME, WEIGHTS)?;
        Self::from_parts(
            config,
            &weights,
            files,
            path,
            Origin::Static(WEIGHTS),
            device,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_in_the_binary_is_whole_and_small() {
        let device = crate::device::cpu().device;
        let mut model = LanguageModel::embedded(&device).unwrap();
        let (_, parameters) = crate::model::Parameters::count(&mut model.decoder);
        assert!(
            (2_000_000..=4_000_000).contains(&parameters),
            "{parameters}"
        );
        assert!(WEIGHTS.len() + TOKENIZER.len() < 10_000_000);
        assert!(model.text.chat_template.is_some());
    }
}
