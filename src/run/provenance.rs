//! `run.json`: what is needed to say where a result came from, and to make it again.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::run::hash::{self, HashError};

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Still going, or killed without a chance to say so.
    Running,
    /// Did all its steps.
    Finished,
    /// Stopped by Ctrl-C after a checkpoint.
    Interrupted,
    /// Ended with an error.
    Failed,
}

/// A file or model folder that the run read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// Path as the user gave it.
    pub path: PathBuf,
    /// SHA-256 in hexadecimal; of a folder, see [`Input::read`].
    pub sha256: String,
    /// Bytes in all.
    pub bytes: u64,
}

impl Input {
    /// Hashes a file, or a folder: the SHA-256 over `name NUL sha256 LF` of its files by name (not deeper).
    pub fn read(path: &Path) -> Result<Self, HashError> {
        let (sha256, bytes) = if path.is_dir() {
            hash::folder(path)?
        } else {
            hash::contents([path])?
        };
        Ok(Self {
            path: path.to_owned(),
            sha256,
            bytes,
        })
    }
}

/// Contents of `run.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Version of this record.
    pub v: u32,
    /// What kind of job: `sft`, `reward`, `ppo`, …
    pub kind: String,
    /// How it stands.
    pub status: Status,
    /// Begin, RFC 3339.
    pub started: String,
    /// Later begins, of a run that was stopped and continued.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub resumed: Vec<String>,
    /// End, RFC 3339.
    pub ended: Option<String>,
    /// The command line.
    pub argv: Vec<String>,
    /// Version of rlhf.
    pub version: String,
    /// Device in words, such as `cpu (Flex)`.
    pub device: String,
    /// Threads; results are reproducible at a fixed number only.
    pub threads: usize,
    /// The processor's instructions that the CPU's kernels use; with others the last bits of results may differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instructions: Option<String>,
    /// Seed of everything random.
    pub seed: u64,
    /// The model that the run started from.
    pub parent: Option<Input>,
    /// Other files that it read.
    pub inputs: Vec<Input>,
}

impl Provenance {
    /// A run of `kind` that begins now (`started`, RFC 3339) on `device` with `threads` threads.
    pub fn new(kind: &str, started: &str, device: &str, threads: usize, seed: u64) -> Self {
        Self {
            v: 1,
            kind: kind.to_owned(),
            status: Status::Running,
            started: started.to_owned(),
            resumed: Vec::new(),
            ended: None,
            argv: std::env::args().collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            device: device.to_owned(),
            threads,
            instructions: None,
            seed,
            parent: None,
            inputs: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_has_its_sha256() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        fs::write(&path, "abc").unwrap();
        let input = Input::read(&path).unwrap();
        // FIPS 180-2, appendix B.1.
        assert_eq!(
            input.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(input.bytes, 3);
    }

    #[test]
    fn the_hash_of_a_folder_follows_names_and_contents() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a"), "1").unwrap();
        fs::write(dir.path().join("b"), "22").unwrap();
        let first = Input::read(dir.path()).unwrap();
        assert_eq!(first.bytes, 3);
        fs::rename(dir.path().join("b"), dir.path().join("c")).unwrap();
        assert_ne!(Input::read(dir.path()).unwrap().sha256, first.sha256);
        fs::rename(dir.path().join("c"), dir.path().join("b")).unwrap();
        assert_eq!(Input::read(dir.path()).unwrap(), first);
    }

    #[test]
    fn a_missing_input_is_named() {
        let error = Input::read(Path::new("/nonexistent/x.jsonl")).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("cannot read /nonexistent/x.jsonl"),
            "{error}"
        );
    }
}
