//! The folder of one job: `runs/<kind>-<nnn>/` with its configuration, provenance, metrics and results.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::run::atomic::{WriteError, write_atomic};
use crate::run::provenance::{Provenance, Status};

/// Why a run's folder could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// `--out` names a folder with something in it.
    #[error("{path} is not empty; choose another --out, or continue that run with --resume {path}", path = .0.display())]
    NotEmpty(PathBuf),
    /// `--out` names a file.
    #[error("{path} is a file; --out must name a folder", path = .0.display())]
    NotAFolder(PathBuf),
    /// The folder is not that of a run.
    #[error("{path} is not a run: it has no run.json; name a folder such as runs/ppo-001", path = .0.display())]
    NotARun(PathBuf),
    /// `run.json` is damaged.
    #[error("{path} is damaged: {reason}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The system refused to write.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// The folder of one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDirectory {
    path: PathBuf,
}

impl RunDirectory {
    /// Makes `<project>/runs/<kind>-<nnn>/` with the next free number. Two jobs that start at once get
    /// two numbers, since making a folder either succeeds or finds it there.
    pub fn create(project: &Path, kind: &str) -> Result<Self, DirectoryError> {
        let runs = project.join("runs");
        fs::create_dir_all(&runs).map_err(WriteError::at(&runs))?;
        let mut number = last_number(&runs, kind).map_err(WriteError::at(&runs))? + 1;
        loop {
            let path = runs.join(format!("{kind}-{number:03}"));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => number += 1,
                Err(source) => return Err(WriteError { path, source }.into()),
            }
        }
    }

    /// Uses the folder `out`, which must be absent or empty.
    pub fn create_at(out: &Path) -> Result<Self, DirectoryError> {
        if out.is_file() {
            return Err(DirectoryError::NotAFolder(out.to_owned()));
        }
        fs::create_dir_all(out).map_err(WriteError::at(out))?;
        let mut entries = fs::read_dir(out).map_err(WriteError::at(out))?;
        if entries.next().is_some() {
            return Err(DirectoryError::NotEmpty(out.to_owned()));
        }
        Ok(Self {
            path: out.to_owned(),
        })
    }

    /// Opens the folder of an earlier run, to continue or to read it.
    pub fn open(path: &Path) -> Result<Self, DirectoryError> {
        if !path.join("run.json").is_file() {
            return Err(DirectoryError::NotARun(path.to_owned()));
        }
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `config.toml`: every setting as it was resolved.
    pub fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    /// `metrics.jsonl`: one row per step.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// `samples.jsonl`: what the policy wrote at each step.
    pub fn samples(&self) -> PathBuf {
        self.path.join("samples.jsonl")
    }

    /// `checkpoints/`.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// `model/`: the result, a Hugging Face folder.
    pub fn model(&self) -> PathBuf {
        self.path.join("model")
    }

    /// Writes `config.toml` and `run.json` before the job does anything else.
    pub fn start(&self, config_toml: &str, provenance: &Provenance) -> Result<(), DirectoryError> {
        write_atomic(&self.config(), config_toml.as_bytes())?;
        self.write_provenance(provenance)
    }

    /// Records in `run.json` that the job goes on at `now` (RFC 3339).
    pub fn resume(&self, now: &str) -> Result<(), DirectoryError> {
        let mut provenance = self.provenance()?;
        provenance.resumed.push(now.to_owned());
        self.write_provenance(&Provenance {
            status: Status::Running,
            ended: None,
            ..provenance
        })
    }

    /// Records in `run.json` how the job ended, at `ended` (RFC 3339).
    pub fn finish(&self, status: Status, ended: &str) -> Result<(), DirectoryError> {
        let provenance = Provenance {
            status,
            ended: Some(ended.to_owned()),
            ..self.provenance()?
        };
        self.write_provenance(&provenance)
    }

    /// Reads `run.json`.
    pub fn provenance(&self) -> Result<Provenance, DirectoryError> {
        let path = self.path.join("run.json");
        let damaged = |reason: String| DirectoryError::Damaged {
            path: path.clone(),
            reason,
        };
        let text = fs::read_to_string(&path).map_err(|e| damaged(e.to_string()))?;
        serde_json::from_str(&text).map_err(|e| damaged(e.to_string()))
    }

    fn write_provenance(&self, provenance: &Provenance) -> Result<(), DirectoryError> {
        let path = self.path.join("run.json");
        let mut text =
            serde_json::to_string_pretty(provenance).map_err(|e| DirectoryError::Damaged {
                path: path.clone(),
                reason: e.to_string(),
            })?;
        text.push('\n');
        Ok(write_atomic(&path, text.as_bytes())?)
    }
}

/// Highest number among `runs/<kind>-<n>`; 0 if there is none.
fn last_number(runs: &Path, kind: &str) -> io::Result<u32> {
    let mut last = 0;
    for entry in fs::read_dir(runs)? {
        let name = entry?.file_name();
        let number = name
            .to_str()
            .and_then(|n| n.strip_prefix(kind)?.strip_prefix('-')?.parse().ok());
        last = last.max(number.unwrap_or(0));
    }
    Ok(last)
}
