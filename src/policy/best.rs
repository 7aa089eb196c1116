//! The best policy so far by a held-out figure, and its place in checkpoints.
//!
//! Every checkpoint holds the best policy of its time, so that a resumed job ends with the model of the uninterrupted one. While the
//! best stays the same its weights are a hard link to the file in the checkpoint before: they take their space on the disk once.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::Decoder;
use crate::model::training_state::{load_trained, save_trained};
use crate::model::weights::WeightsError;
use crate::run::Checkpoint;
use crate::run::exact;

const RECORD: &str = "best.json";
const WEIGHTS: &str = "best.safetensors";

/// Why the best policy can't be written or taken up.
#[derive(Debug, Error)]
pub enum BestError {
    /// Its trained tensors.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The system refused.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// File.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The record is damaged.
    #[error("{path}: {source}; go on from an earlier checkpoint", path = path.display())]
    Record {
        /// File.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// The best policy so far.
#[derive(Debug, Clone)]
pub struct Best {
    /// Step after which it was evaluated.
    pub step: usize,
    /// The held-out figure: a loss in nats per token, or a score.
    pub value: f64,
    /// Its weights.
    pub policy: Decoder,
}

/// What is written beside the weights.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    step: usize,
    #[serde(with = "exact")]
    value: f64,
}

impl Best {
    /// Writes it into a checkpoint's folder; `previous` is the checkpoint before.
    pub fn save(&self, folder: &Path, previous: Option<&Checkpoint>) -> Result<(), BestError> {
        let record = Record {
            step: self.step,
            value: self.value,
        };
        let path = folder.join(RECORD);
        let json = serde_json::to_vec(&record).map_err(|source| BestError::Record {
            path: path.clone(),
            source,
        })?;
        fs::write(&path, json).map_err(|source| BestError::Io { path, source })?;
        let weights = folder.join(WEIGHTS);
        let unchanged = |previous: &&Checkpoint| matches!(Record::read(&previous.path), Ok(Some(before)) if before == record);
        // Some file systems have no hard links; then the weights are written again.
        let linked = previous
            .filter(unchanged)
            .is_some_and(|previous| fs::hard_link(previous.file(WEIGHTS), &weights).is_ok());
        if !linked {
            save_trained(&weights, &mut self.policy.clone())?;
        }
        Ok(())
    }

    /// What [`Best::save`] wrote, if anything; `like` is a policy of the same shape.
    pub fn load(folder: &Path, like: &Decoder) -> Result<Option<Self>, BestError> {
        let Some(Record { step, value }) = Record::read(folder)? else {
            return Ok(None);
        };
        let mut policy = like.clone();
        load_trained(&folder.join(WEIGHTS), &mut policy)?;
        Ok(Some(Self {
            step,
            value,
            policy,
        }))
    }
}

impl Record {
    fn read(folder: &Path) -> Result<Option<Self>, BestError> {
        let path = folder.join(RECORD);
        let json = match fs::read(&path) {
            Ok(json) => json,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(BestError::Io { path, source }),
        };
        let record = serde_json::from_slice(&json);
        record
            .map(Some)
            .map_err(|source| BestError::Record { path, source })
    }
}
