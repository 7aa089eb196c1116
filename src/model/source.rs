//! What `--model` means: a folder, the embedded model, or a model on the Hugging Face hub.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::hub::{self, HubError, HubId, HubSettings, Transfer, Wanted};

/// Why `--model` leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A path that does not exist.
    #[error(
        "there is no folder {path}: check the path (a model on the hub is written ORG/NAME, without ./)"
    )]
    MissingFolder {
        /// As given.
        path: String,
    },
    /// A path to a file.
    #[error("{} is a file: pass the folder that holds config.json and the weights", path.display())]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// Neither an existing folder nor of a hub id's form.
    #[error(
        "{text:?} is neither a folder here, nor \"embedded\", nor a hub id: those are written ORG/NAME or \
         ORG/NAME@REVISION, as in HuggingFaceTB/SmolLM2-135M-Instruct"
    )]
    Unknown {
        /// As given.
        text: String,
    },
    /// A hub id, but the model cannot be had.
    #[error("{0}. (Nor is there a folder of that name here.)")]
    Hub(Box<HubError>),
}

/// Where a model is to come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSource {
    /// A model folder.
    Folder(PathBuf),
    /// The small model inside this program.
    Embedded,
    /// A model on the hub, or in its cache.
    Hub(HubId),
}

/// Which hub model a folder holds; recorded in `run.json`, since a branch moves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// `org/name`.
    pub name: String,
    /// As asked for: branch, tag or commit.
    pub revision: String,
    /// What it stood for.
    pub commit: String,
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.commit)
    }
}

/// A model that is on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LocalModel {
    /// The small model inside this program.
    Embedded,
    /// A model folder, and its origin if it came from the hub.
    Folder {
        /// Holds `config.json`.
        path: PathBuf,
        /// Set for hub models.
        pin: Option<Pin>,
    },
}

impl ModelSource {
    /// Reads a `--model` value. An existing folder wins, whatever its name.
    ///
    /// # Errors
    /// [`SourceError::MissingFolder`], [`SourceError::NotAFolder`] or [`SourceError::Unknown`].
    pub fn parse(text: &str) -> Result<Self, SourceError> {
        let path = Path::new(text);
        if path.is_dir() {
            return Ok(Self::Folder(path.to_path_buf()));
        }
        if path.exists() {
            return Err(SourceError::NotAFolder {
                path: path.to_path_buf(),
            });
        }
        if text == "embedded" {
            return Ok(Self::Embedded);
        }
        if let Some(id) = HubId::parse(text) {
            return Ok(Self::Hub(id));
        }
        let looks_like_path =
            text.starts_with(['.', '/', '~', '\\']) || text.matches(['/', '\\']).count() > 1;
        Err(if looks_like_path || text.ends_with(['/', '\\']) {
            SourceError::MissingFolder {
                path: text.to_owned(),
            }
        } else {
            SourceError::Unknown {
                text: text.to_owned(),
            }
        })
    }

    /// Makes sure that what is wanted of the model is on this machine; only what the cache lacks of
    /// hub models is downloaded.
    ///
    /// # Errors
    /// [`SourceError::Hub`].
    pub fn resolve(
        &self,
        wanted: Wanted,
        settings: &HubSettings,
        progress: &mut dyn FnMut(Transfer<'_>),
    ) -> Result<LocalModel, SourceError> {
        let id = match self {
            Self::Embedded => return Ok(LocalModel::Embedded),
            Self::Folder(path) => {
                return Ok(LocalModel::Folder {
                    path: path.clone(),
                    pin: None,
                });
            }
            Self::Hub(id) => id,
        };
        let snapshot = hub::fetch(id, wanted, settings, progress)
            .map_err(|error| SourceError::Hub(Box::new(error)))?;
        let pin = Pin {
            name: id.name().to_owned(),
            revision: id.revision().to_owned(),
            commit: snapshot.commit,
        };
        Ok(LocalModel::Folder {
            path: snapshot.folder,
            pin: Some(pin),
        })
    }
}
