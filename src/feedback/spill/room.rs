//! Where the files lie that hold what memory does not, and how much memory holds.

use super::nameless_file;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Bytes that each of several intermediate results may hold. Eighty thousand judgements fit, and all
/// results of an export together stay below 40 MB.
const HELD: usize = 8 << 20;
/// Offsets into what is held are numbers of 32 bits.
const MOST_HELD: usize = 1 << 30;

/// A folder for temporary files, and the bytes that are held before one is needed. The files have no
/// name: the system removes them, however the process ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    folder: PathBuf,
    held: usize,
}

/// What memory does not hold could not be put aside, or not be read back.
#[derive(Debug, thiserror::Error)]
#[error("temporary file in {folder}: {source}; what memory does not hold is put there: free some space", folder = .folder.display())]
pub struct RoomError {
    /// The folder of the file.
    pub folder: PathBuf,
    /// What the operating system said.
    pub source: io::Error,
}

impl Room {
    /// Room in the system's folder for temporary files.
    pub fn system() -> Self {
        Self {
            folder: std::env::temp_dir(),
            held: HELD,
        }
    }

    /// Room beside a file that is written: where its content has a place, so have its parts.
    pub fn beside(file: &Path) -> Self {
        Self {
            folder: file.parent().unwrap_or(Path::new("")).to_owned(),
            held: HELD,
        }
    }

    /// The same, with another number of bytes that may be held.
    #[must_use]
    pub fn holding(self, held: usize) -> Self {
        let held = held.min(MOST_HELD);
        Self { held, ..self }
    }

    /// Bytes that may be held.
    pub fn held(&self) -> usize {
        self.held
    }

    /// The folder of the files.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(super) fn file(&self) -> io::Result<File> {
        nameless_file(&self.folder)
    }

    pub(super) fn failed(&self) -> impl FnOnce(io::Error) -> RoomError {
        let folder = self.folder.clone();
        |source| RoomError { folder, source }
    }
}
