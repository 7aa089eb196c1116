//! `<out>.manifest.json`: how an exported file came about.

use super::{Exported, Options};
use crate::feedback::labels::Folders;
use crate::feedback::lines::{RowError, jsonl_files};
use crate::feedback::record::Tool;
use crate::feedback::store::{StoreError, annotator_folder, annotators};
use crate::run::hash::{HashError, contents};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Why there is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A file cannot be hashed.
    #[error(transparent)]
    Hash(#[from] HashError),
    /// A folder cannot be listed.
    #[error(transparent)]
    Rows(#[from] RowError),
    /// A folder of judgements.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A file, by its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hashed {
    /// Relative to the project; of the output, its name.
    pub path: PathBuf,
    /// SHA-256 of the content.
    pub sha256: String,
    /// Length in bytes.
    pub bytes: u64,
}

/// What stands in the file.
#[derive(Debug, Clone, Serialize)]
pub struct Manifest {
    /// This program.
    pub tool: Tool,
    /// Format, filters, aggregation, tie policy.
    #[serde(flatten)]
    pub options: Options,
    /// Counts: rows, what was dropped and why, what the format does not carry.
    #[serde(flatten)]
    pub exported: Exported,
    /// The file.
    pub output: Hashed,
    /// Every file of samples and judgements it was made from.
    pub inputs: Vec<Hashed>,
}

impl Manifest {
    /// Where the manifest of a file stands.
    pub fn path_of(out: &Path) -> PathBuf {
        let mut name = out.as_os_str().to_owned();
        name.push(".manifest.json");
        name.into()
    }

    /// Describes a file that was just written, of what `inputs` were before it was read.
    ///
    /// # Errors
    /// [`ManifestError`] if the file cannot be read again.
    pub fn new(
        out: &Path,
        inputs: Vec<Hashed>,
        options: Options,
        exported: Exported,
    ) -> Result<Self, ManifestError> {
        let (sha256, bytes) = contents([out])?;
        let output = Hashed {
            path: out.file_name().unwrap_or_default().into(),
            sha256,
            bytes,
        };
        Ok(Self {
            tool: Tool::this(),
            options,
            exported,
            output,
            inputs,
        })
    }
}

/// Every file of samples and judgements. To be called before the labels are read: a judgement added in
/// between then differs from its hash, and is never behind a hash without being in the export.
///
/// # Errors
/// [`ManifestError`] if a folder cannot be listed or a file not be read.
pub fn inputs(folders: &Folders) -> Result<Vec<Hashed>, ManifestError> {
    let mut files = jsonl_files(&folders.samples)?;
    for annotator in annotators(&folders.feedback)? {
        files.extend(jsonl_files(&annotator_folder(
            &folders.feedback,
            &annotator,
        )?)?);
    }
    let project = folders.samples.parent().unwrap_or(Path::new(""));
    let hashed = |path: PathBuf| {
        let (sha256, bytes) = contents([&path])?;
        let path = path
            .strip_prefix(project)
            .map(Path::to_owned)
            .unwrap_or(path);
        Ok(Hashed {
            path,
            sha256,
            bytes,
        })
    };
    files.into_iter().map(hashed).collect()
}
