//! Checkpoints: `checkpoints/step-000010/`, complete or absent.
//!
//! The trainer writes its files into a temporary folder beside the others; they are hashed into
//! `manifest.json`, synced, and the folder is renamed. A crash at any moment leaves at most a folder
//! whose name begins with `.tmp-`, which nobody reads and the next save removes.

use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::run::atomic::{WriteError, sync_folder};
use crate::run::provenance::Input;

const MANIFEST: &str = "manifest.json";
const TEMPORARY: &str = ".tmp-";

/// Why a checkpoint could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The system refused to write.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The trainer could not write its part.
    #[error("cannot write the checkpoint of step {step}")]
    Content {
        /// Step of the checkpoint.
        step: usize,
        /// The trainer's error.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The folder of checkpoints cannot be listed.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file is missing or is not what was written.
    #[error(
        "checkpoint {path} is damaged: {reason}; remove that folder to continue from the checkpoint before it",
        path = path.display()
    )]
    Damaged {
        /// The checkpoint's folder.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Names, sizes and hashes of a checkpoint's files.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    v: u32,
    step: usize,
    files: Vec<Input>,
}

/// The folder `checkpoints/` of a run.
#[derive(Debug, Clone)]
pub struct Checkpoints {
    folder: PathBuf,
    keep: usize,
}

/// One complete checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Steps done when it was written.
    pub step: usize,
    /// Its folder.
    pub path: PathBuf,
}

impl Checkpoints {
    /// Checkpoints in `folder`, of which the newest `keep` are kept (0 = all).
    pub fn new(folder: impl Into<PathBuf>, keep: usize) -> Self {
        Self {
            folder: folder.into(),
            keep,
        }
    }

    /// Writes a checkpoint: `write` puts the files into the (flat) folder it is given. A checkpoint of the same
    /// step is replaced. Older ones beyond the limit are removed, but never that of step `best`.
    pub fn save<E: Into<Box<dyn Error + Send + Sync>>>(
        &self,
        step: usize,
        best: Option<usize>,
        write: impl FnOnce(&Path) -> Result<(), E>,
    ) -> Result<Checkpoint, CheckpointError> {
        fs::create_dir_all(&self.folder).map_err(WriteError::at(&self.folder))?;
        self.remove_leftovers()?;
        let temporary = self.folder.join(format!("{TEMPORARY}step-{step:06}"));
        fs::create_dir(&temporary).map_err(WriteError::at(&temporary))?;
        write(&temporary).map_err(|e| CheckpointError::Content {
            step,
            source: e.into(),
        })?;
        seal(&temporary, step).map_err(WriteError::at(&temporary))?;
        let path = self.folder.join(format!("step-{step:06}"));
        self.publish(&temporary, &path)
            .map_err(WriteError::at(&path))?;
        self.prune(best)?;
        Ok(Checkpoint { step, path })
    }

    /// All complete checkpoints, oldest first.
    pub fn list(&self) -> Result<Vec<Checkpoint>, CheckpointError> {
        let mut found: Vec<_> = self
            .entries()?
            .into_iter()
            .filter_map(|(name, path)| {
                let step = name.strip_prefix("step-")?.parse().ok()?;
                path.join(MANIFEST)
                    .is_file()
                    .then_some(Checkpoint { step, path })
            })
            .collect();
        found.sort_by_key(|c| c.step);
        Ok(found)
    }

    /// The newest complete checkpoint.
    pub fn latest(&self) -> Result<Option<Checkpoint>, CheckpointError> {
        Ok(self.list()?.pop())
    }

    /// Two renames if the step was saved before; a crash between them leaves the checkpoints before it.
    fn publish(&self, temporary: &Path, path: &Path) -> io::Result<()> {
        if path.exists() {
            let old = self.folder.join(format!("{TEMPORARY}replaced"));
            fs::rename(path, &old)?;
            fs::rename(temporary, path)?;
            fs::remove_dir_all(&old)?;
        } else {
            fs::rename(temporary, path)?;
        }
        sync_folder(&self.folder)
    }

    fn prune(&self, best: Option<usize>) -> Result<(), CheckpointError> {
        let all = self.list()?;
        let surplus = if self.keep == 0 {
            0
        } else {
            all.len().saturating_sub(self.keep)
        };
        for old in all.iter().take(surplus).filter(|c| Some(c.step) != best) {
            fs::remove_dir_all(&old.path).map_err(WriteError::at(&old.path))?;
        }
        Ok(())
    }

    fn remove_leftovers(&self) -> Result<(), CheckpointError> {
        for (name, path) in self.entries()? {
            if name.starts_with(TEMPORARY) {
                fs::remove_dir_all(&path).map_err(WriteError::at(&path))?;
            }
        }
        Ok(())
    }

    /// Names and paths in the folder; none if it does not exist.
    fn entries(&self) -> Result<Vec<(String, PathBuf)>, CheckpointError> {
        let error = |source| CheckpointError::Read {
            path: self.folder.clone(),
            source,
        };
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(error(e)),
        };
        entries
            .map(|entry| entry.map(|e| (e.file_name().to_string_lossy().into_owned(), e.path())))
            .collect::<io::Result<_>>()
            .map_err(error)
    }
}

impl Checkpoint {
    /// Checks that every file is there and is what was written.
    pub fn verify(&self) -> Result<(), CheckpointError> {
        for expected in self.manifest()?.files {
            let name = expected.path.display();
            let found = Input::read(&self.path.join(&expected.path))
                .map_err(|_| self.damaged(format!("{name} is missing or unreadable")))?;
            if found.bytes != expected.bytes {
                let (found, wrote) = (found.bytes, expected.bytes);
                return Err(self.damaged(format!("{name} has {found} bytes instead of {wrote}")));
            }
            if found.sha256 != expected.sha256 {
                return Err(self.damaged(format!("{name} has changed since it was written")));
            }
        }
        Ok(())
    }

    /// Path of one of its files.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn manifest(&self) -> Result<Manifest, CheckpointError> {
        let text = fs::read(self.path.join(MANIFEST))
            .map_err(|e| self.damaged(format!("{MANIFEST}: {e}")))?;
        serde_json::from_slice(&text).map_err(|e| self.damaged(format!("{MANIFEST}: {e}")))
    }

    fn damaged(&self, reason: String) -> CheckpointError {
        CheckpointError::Damaged {
            path: self.path.clone(),
            reason,
        }
    }
}

/// Syncs the files of `folder` and writes their manifest.
fn seal(folder: &Path, step: usize) -> io::Result<()> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        File::open(entry.path())?.sync_all()?;
        let mut file = Input::read(&entry.path()).map_err(io::Error::other)?;
        file.path = PathBuf::from(entry.file_name());
        files.push(file);
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let manifest = File::create(folder.join(MANIFEST))?;
    serde_json::to_writer_pretty(&manifest, &Manifest { v: 1, step, files })?;
    manifest.sync_all()?;
    sync_folder(folder)
}
