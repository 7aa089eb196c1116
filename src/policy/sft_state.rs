//! Where a fine-tuning job stands: what its checkpoints hold beside weights and moments, and when it has learnt enough.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::Decoder;
use crate::model::optimizer::Optimizer;
use crate::model::training_state::{self, StateError as TensorError};
use crate::run::Checkpoint;
use crate::run::nonfinite::NonFinite;

use super::best::{Best, BestError};

const STATE: &str = "trainer.json";

/// Why a state can't be written or taken up.
#[derive(Debug, Error)]
pub enum StateError {
    /// Weights and moments.
    #[error(transparent)]
    Tensors(#[from] TensorError),
    /// The best policy.
    #[error(transparent)]
    Best(#[from] BestError),
    /// The system refused.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// File.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not what [`State::save`] writes.
    #[error("{path}: {source}; go on from an earlier checkpoint", path = path.display())]
    Json {
        /// File.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// Where a job stands.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct State {
    /// Updates done.
    pub step: usize,
    /// Updates skipped.
    #[serde(flatten)]
    pub nonfinite: NonFinite,
    /// Evaluations since the best one.
    pub without_improvement: usize,
    /// The best evaluation; in files of its own.
    #[serde(skip)]
    pub best: Option<Best>,
}

impl State {
    /// Notes the held-out loss of `decoder` after this step.
    pub fn see(&mut self, loss: f64, decoder: &Decoder) {
        let better = |best: &Best| loss < best.value;
        if loss.is_finite() && self.best.as_ref().is_none_or(better) {
            self.best = Some(Best {
                step: self.step,
                value: loss,
                policy: decoder.clone(),
            });
            self.without_improvement = 0;
        } else {
            self.without_improvement += 1;
        }
    }

    /// Has the held-out loss not improved for `patience` evaluations? 0 is unlimited patience.
    pub fn exhausted(&self, patience: usize) -> bool {
        patience > 0 && self.without_improvement >= patience
    }

    /// Writes everything that a job needs to go on into a checkpoint's folder; `previous` is the checkpoint before.
    pub fn save(
        &self,
        folder: &Path,
        decoder: &Decoder,
        optimizer: &Optimizer,
        previous: Option<&Checkpoint>,
    ) -> Result<(), StateError> {
        training_state::save(folder, &mut decoder.clone(), optimizer)?;
        if let Some(best) = &self.best {
            best.save(folder, previous)?;
        }
        let path = folder.join(STATE);
        let json = serde_json::to_vec(self).map_err(|source| StateError::Json {
            path: path.clone(),
            source,
        })?;
        fs::write(&path, json).map_err(|source| StateError::Io { path, source })
    }

    /// Takes up what [`State::save`] wrote.
    pub fn load(
        folder: &Path,
        decoder: &mut Decoder,
        optimizer: &mut Optimizer,
    ) -> Result<Self, StateError> {
        training_state::load(folder, decoder, optimizer)?;
        let path = folder.join(STATE);
        let json = fs::read(&path).map_err(|source| StateError::Io {
            path: path.clone(),
            source,
        })?;
        let state = serde_json::from_slice(&json);
        let state: Self = state.map_err(|source| StateError::Json { path, source })?;
        let best = Best::load(folder, decoder)?;
        Ok(Self { best, ..state })
    }
}
