//! A reward model: a decoder under a scalar head, the tokenizer it reads with, and the scale of its scores.
//!
//! It reads prompt ++ response ++ EOS and scores at the last of them; padding changes nothing. Raw scores are those that
//! transformers computes from the same folder; normalised scores are gain · raw + bias, stored in `reward.json`.

use std::error::Error;
use std::path::{Path, PathBuf};

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::language_model::{load_scalar_model, scalar_model_on};
use crate::model::peft::{self, PeftError};
use crate::model::save::save_scalar_model;
use crate::model::tokenizer::TokenizerError;
use crate::model::weights::SaveDtype;
use crate::model::workers::share_out;
use crate::model::{
    LanguageModel, ModelError, ModelText, PromptInput, ScalarHead, ScalarModel, ScoreRequest,
    Scorer, TokenBatch,
};
use crate::run::atomic::{WriteError, write_atomic};

/// Rows scored in one forward pass hold at most this many tokens, padding included.
const BATCH_TOKENS: usize = 2048;

/// Beside the weights: the scale of the scores.
const SCALE: &str = "reward.json";
/// Beside the folder: the adapter that its weights were made with.
const ADAPTER: &str = "adapter";

/// Why scoring fails.
#[derive(Debug, Error)]
pub enum RewardError {
    /// Loading or saving the folder.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A text can't be tokenised.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// `reward.json` can't be read.
    #[error("{path}: {reason}")]
    Scale {
        /// File.
        path: PathBuf,
        /// Expected and found.
        reason: String,
    },
    /// A file can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The adapter beside the folder.
    #[error(transparent)]
    Adapter(#[from] PeftError),
    /// A text that doesn't fit.
    #[error("prompt and response have {tokens} tokens; the reward model reads at most {limit}")]
    TooLong {
        /// With EOS.
        tokens: usize,
        /// Positions of the model.
        limit: usize,
    },
    /// The score of some text is NaN or infinite.
    #[error("the reward model's score is {0}; its weights are damaged or its training diverged")]
    NotFinite(f32),
}

/// Scores are gain · raw + bias.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// 1 / deviation of the raw scores of the reference samples.
    pub gain: f64,
    /// −mean / deviation.
    pub bias: f64,
}

impl Default for Scale {
    fn default() -> Self {
        Self {
            gain: 1.0,
            bias: 0.0,
        }
    }
}

impl Scale {
    /// Makes the given raw scores have mean 0 and variance 1 (Ziegler et al. 2019, section 2.2). Fewer than two
    /// different scores leave the scale as it is.
    pub fn normalising(raw: &[f64]) -> Self {
        let count = raw.len().max(1) as f64;
        let mean = raw.iter().sum::<f64>() / count;
        let variance = raw.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / count;
        if variance > 1e-12 {
            let gain = variance.sqrt().recip();
            Self {
                gain,
                bias: -mean * gain,
            }
        } else {
            Self::default()
        }
    }

    /// gain · raw + bias.
    pub fn apply(self, raw: f64) -> f64 {
        self.gain * raw + self.bias
    }
}

/// `reward.json`, beside the weights.
#[derive(Debug, Serialize, Deserialize)]
struct RewardFile {
    v: u32,
    #[serde(flatten)]
    scale: Scale,
    pad_token_id: u32,
    /// The weights that the adapter in `../adapter` makes these of: then both can be in memory for the room of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base_sha256: Option<String>,
}

impl RewardFile {
    fn read(folder: &Path) -> Result<Option<Self>, RewardError> {
        let path = folder.join(SCALE);
        let Ok(bytes) = std::fs::read(&path) else {
            return Ok(None);
        };
        let fail = |e: serde_json::Error| RewardError::Scale {
            path,
            reason: e.to_string(),
        };
        serde_json::from_slice(&bytes).map_err(fail)
    }
}

/// A loaded or freshly trained reward model.
#[derive(Debug)]
pub struct RewardModel {
    /// Decoder and head.
    pub network: ScalarModel,
    /// Tokenizer and provenance.
    pub text: ModelText,
    /// Normalisation of the scores.
    pub scale: Scale,
    /// A token that no scored text contains; written to `config.json`, where transformers looks for the last other token.
    pub pad_token_id: u32,
}

impl RewardModel {
    /// Loads a `*ForSequenceClassification` folder; without `reward.json` scores are raw.
    pub fn load(folder: &Path, device: &Device) -> Result<Self, RewardError> {
        let (network, text) = load_scalar_model(folder, device)?;
        let (scale, pad_token_id) = match RewardFile::read(folder)? {
            Some(file) => (file.scale, file.pad_token_id),
            None => match network.decoder.config.raw.get("pad_token_id") {
                Some(id) if id.is_u64() => {
                    (Scale::default(), id.as_u64().unwrap_or_default() as u32)
                }
                _ => (Scale::default(), unused_token(&text)?),
            },
        };
        Ok(Self {
            network,
            text,
            scale,
            pad_token_id,
        })
    }

    /// The same beside a language model. If the reward model is an adapter on just its weights, they are shared; its scores
    /// then differ from those of the folder's merged weights by rounding only.
    pub fn load_beside(
        folder: &Path,
        model: &LanguageModel,
        device: &Device,
    ) -> Result<Self, RewardError> {
        let adapter = folder.with_file_name(ADAPTER);
        let file = RewardFile::read(folder)?.filter(|_| adapter.is_dir());
        let Some(file) = file.filter(|file| file.base_sha256.is_some()) else {
            return Self::load(folder, device);
        };
        if file.base_sha256 != model.text.weights_sha256()? {
            return Self::load(folder, device);
        }
        let (mut network, text) = scalar_model_on(folder, &model.decoder)?;
        peft::load(&mut network.decoder, &adapter)?;
        Ok(Self {
            network,
            text,
            scale: file.scale,
            pad_token_id: file.pad_token_id,
        })
    }

    /// A new reward model on a language model's trunk: its own head is dropped, the scalar head random.
    ///
    /// # Errors
    /// If the model has no tokenizer.
    pub fn on(base: LanguageModel, seed: u64) -> Result<Self, RewardError> {
        let LanguageModel { mut decoder, text } = base;
        decoder.head = None;
        let device = decoder.embedding.device();
        let head = ScalarHead::random(decoder.config.hidden_size, seed, &device);
        Ok(Self {
            pad_token_id: unused_token(&text)?,
            network: ScalarModel { decoder, head },
            text,
            scale: Scale::default(),
        })
    }

    /// Writes the folder that transformers loads, and `reward.json`. Adapters are merged; they are also written beside the
    /// folder, as PEFT does it.
    pub fn save(&self, folder: &Path, dtype: SaveDtype) -> Result<(), RewardError> {
        save_scalar_model(&self.network, &self.text, self.pad_token_id, folder, dtype)?;
        let mut base_sha256 = None;
        if self.network.decoder.has_lora() {
            let base = self.text.path.to_string_lossy();
            let adapter = folder.with_file_name(ADAPTER);
            let head = Some(&self.network.head);
            peft::save(&self.network.decoder, head, &base, &adapter)?;
            if dtype == SaveDtype::F32 {
                base_sha256 = self.text.weights_sha256().ok().flatten(); // it only saves memory later
            }
        }
        let file = RewardFile {
            v: 1,
            scale: self.scale,
            pad_token_id: self.pad_token_id,
            base_sha256,
        };
        let bytes = serde_json::to_vec_pretty(&file).unwrap_or_default();
        Ok(write_atomic(&folder.join(SCALE), &bytes)?)
    }

    /// The tokens that are read for a prompt and a response: both, and EOS.
    pub fn row(&self, prompt: &PromptInput, response: &str) -> Result<Vec<u32>, RewardError> {
        row(&self.text, prompt, response)
    }

    /// Raw scores of token rows that end with EOS, in their order.
    ///
    /// # Errors
    /// If a row is longer than the context.
    pub fn raw_scores(&self, rows: &[Vec<u32>]) -> Result<Vec<f64>, RewardError> {
        raw_scores(&self.network, rows)
    }
}

/// [`RewardModel::raw_scores`] of a network in training.
pub fn raw_scores(network: &ScalarModel, rows: &[Vec<u32>]) -> Result<Vec<f64>, RewardError> {
    let limit = network.decoder.config.max_position_embeddings;
    if let Some(row) = rows.iter().find(|row| row.len() > limit) {
        return Err(RewardError::TooLong {
            tokens: row.len(),
            limit,
        });
    }
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.sort_by_key(|&i| rows[i].len());
    let device = network.head.weight.device();
    let mut scores = vec![0.0; rows.len()];
    let mut start = 0;
    while start < order.len() {
        let end = batch_end(&order, rows, start);
        let batch: Vec<&[u32]> = order[start..end]
            .iter()
            .map(|&i| rows[i].as_slice())
            .collect();
        let values = share_out(
            &device,
            &batch,
            |row| row.len(),
            |rows: &[&[u32]]| {
                let tokens = TokenBatch::right_padded(rows, 0, 0);
                let values = network.at(&tokens, &tokens.last_real()).into_data();
                values.iter::<f32>().collect::<Vec<_>>()
            },
        );
        for (&index, value) in order[start..end].iter().zip(values.into_iter().flatten()) {
            if !value.is_finite() {
                return Err(RewardError::NotFinite(value));
            }
            scores[index] = f64::from(value);
        }
        start = end;
    }
    Ok(scores)
}

/// Rows are sorted by length, so the last of a batch is the longest.
fn batch_end(order: &[usize], rows: &[Vec<u32>], start: usize) -> usize {
    let fits = |end: usize| (end - start) * rows[order[end - 1]].len() <= BATCH_TOKENS;
    let mut end = start + 1;
    while end < order.len() && fits(end + 1) {
        end += 1;
    }
    end
}

/// Prompt and response are tokenised apart and concatenated, as a policy sees them.
pub fn row(
    text: &ModelText,
    prompt: &PromptInput,
    response: &str,
) -> Result<Vec<u32>, RewardError> {
    let tokenizer = text.tokenizer()?;
    let mut ids = text.prompt_ids(prompt)?;
    ids.extend(tokenizer.encode(response)?);
    ids.push(tokenizer.eos_id()?);
    Ok(ids)
}

/// A special token that neither ends nor starts texts, or else the tokenizer's last id: something no scored text contains.
pub fn unused_token(text: &ModelText) -> Result<u32, RewardError> {
    let tokenizer = text.tokenizer()?;
    let used = |id: u32| tokenizer.stop_ids().contains(&id) || tokenizer.bos_id() == Some(id);
    let in_template = |id: u32| {
        let template = text.chat_template.as_ref().map_or("", |t| t.source());
        tokenizer
            .token_text(id)
            .is_some_and(|token| template.contains(&token))
    };
    let special = tokenizer.special_ids();
    let free = special
        .into_iter()
        .find(|&id| !used(id) && !in_template(id));
    Ok(free.unwrap_or(tokenizer.vocab_size().saturating_sub(1) as u32))
}

impl Scorer for RewardModel {
    fn score(
        &self,
        tokenizer_sha256: &str,
        requests: &[ScoreRequest<'_>],
    ) -> Result<Vec<f64>, Box<dyn Error + Send + Sync>> {
        let tokenizer = self.text.tokenizer()?;
        let same = tokenizer.sha256() == tokenizer_sha256;
        let eos = tokenizer.eos_id()?;
        let row = |request: &ScoreRequest<'_>| {
            if same {
                Ok([request.prompt_ids, request.response_ids, &[eos]].concat())
            } else {
                self.row(request.prompt, request.response)
            }
        };
        let rows = requests
            .iter()
            .map(row)
            .collect::<Result<Vec<_>, RewardError>>()?;
        Ok(self
            .raw_scores(&rows)?
            .into_iter()
            .map(|raw| self.scale.apply(raw))
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalised_scores_have_mean_0_and_variance_1() {
        let raw = [1.0, 2.0, 3.0, 6.0];
        let scale = Scale::normalising(&raw);
        let scores: Vec<f64> = raw.iter().map(|&r| scale.apply(r)).collect();
        assert!(scores.iter().sum::<f64>().abs() < 1e-12);
        assert!((scores.iter().map(|s| s * s).sum::<f64>() / 4.0 - 1.0).abs() < 1e-12);
        assert_eq!(Scale::normalising(&[2.0, 2.0]), Scale::default());
    }
}
