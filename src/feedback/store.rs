//! The append-only files `feedback/<annotator>/<session>.jsonl`.
//!
//! [`load`] reads and checks them, [`history`] answers what counts ([`effective`] where that is more than
//! memory holds), [`session`] appends. The files
//! are the only truth: what [`history`] holds is rebuilt from them on every start.
//!
//! Promises:
//! 1. A record is on disk (`write_all`, `sync_data`) before [`session::Session`] returns; programs
//!    may ask for one sync at the end.
//! 2. No line is ever changed; undo, edit and retract are lines.
//! 3. A session file has one writer for its whole life, so file synchronisation and git merge well.
//! 4. A line cut off at the end of a file is copied aside and reported; any other damage is an
//!    error that names file and line.

pub mod answered;
pub mod begun;
pub mod bulk;
pub mod decision;
pub mod effective;
pub mod history;
pub mod load;
pub mod lock;
pub(in crate::feedback) mod log;
pub mod progress;
pub mod records;
pub mod session;
pub mod stamps;

use super::record::SIM_PREFIX;
use super::record::check::{RuleError, is_annotator_name};
use super::record::line::LineError;
use super::spill::RoomError;
use std::io;
use std::path::{Path, PathBuf};
use ulid::Ulid;

pub use lock::Holder;
pub use log::Disk;

/// Why the store refuses.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The name cannot be a folder.
    #[error(
        "{0:?} is not an annotator name: use 1 to 64 letters, digits, '.', '_' or '-' \
         (simulated annotators are written `sim:gold:noise=0.25`)"
    )]
    Annotator(String),
    /// Another process is writing as this annotator.
    #[error(
        "annotator {annotator:?} is open elsewhere{}; quit that session first, or use another \
         --annotator",
        .holder.as_ref().map(|holder| format!(" ({holder})")).unwrap_or_default()
    )]
    Locked {
        /// Whose files are locked.
        annotator: String,
        /// Who holds the lock, if it could be read.
        holder: Option<Holder>,
    },
    /// A damaged line.
    #[error("{path}:{line}: {source}", path = .path.display())]
    Line {
        /// The session file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What is wrong with it.
        source: LineError,
    },
    /// A line that is sound by itself and contradicts the others.
    #[error("{path}:{line}: {reason}", path = .path.display())]
    Order {
        /// The session file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// Which rule is broken.
        reason: String,
    },
    /// A file that does not belong in an annotator's folder.
    #[error(
        "{}: not a session file (its name is not a ULID); if a synchronisation tool made this \
         copy, compare it with its original and move it elsewhere",
        .0.display()
    )]
    ForeignFile(PathBuf),
    /// The record would break a rule; nothing was written.
    #[error("the record was refused and not written: {0}")]
    Refused(#[from] RuleError),
    /// There is no such event to take back or to edit.
    #[error("event {0} cannot be taken back: it does not exist or was taken back before")]
    NoSuchEvent(Ulid),
    /// A former write failed; nothing more is accepted.
    #[error(
        "this session is read-only since a write failed ({reason}); what was saved before is safe: \
         free space or fix the folder, then start again"
    )]
    ReadOnly {
        /// The first failure.
        reason: String,
    },
    /// What was begun and not saved cannot be read.
    #[error(
        "{path}: {source}; it holds what was begun and not saved: correct it, or move it elsewhere to \
         start without it",
        path = .path.display()
    )]
    Draft {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// No room for what is known of the events.
    #[error(transparent)]
    Room(#[from] RoomError),
    /// The file system refused.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// File or folder concerned.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl StoreError {
    fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        |source| Self::Io { path, source }
    }
}

/// The folder of an annotator: its name, with `:` (which Windows forbids) written as `~`.
///
/// # Errors
/// [`StoreError::Annotator`] if the name could leave the folder or break a file system.
pub fn annotator_folder(feedback: &Path, annotator: &str) -> Result<PathBuf, StoreError> {
    if !is_annotator_name(annotator) {
        return Err(StoreError::Annotator(annotator.to_owned()));
    }
    Ok(feedback.join(annotator.replace(':', "~")))
}

/// The annotators of a project in name order; a missing folder has none.
///
/// # Errors
/// [`StoreError::Io`] if the folder cannot be listed; [`StoreError::Annotator`] for a folder with
/// a name that no annotator has.
pub fn annotators(feedback: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match std::fs::read_dir(feedback) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(StoreError::io(feedback))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(StoreError::io(feedback))?;
        let folder = entry.file_name().to_string_lossy().into_owned();
        if folder.starts_with('.') || !entry.path().is_dir() {
            continue;
        }
        let name = folder.replace('~', ":");
        let known =
            is_annotator_name(&name) && name.starts_with(SIM_PREFIX) == folder.contains('~');
        names.push(known.then_some(name).ok_or(StoreError::Annotator(folder))?);
    }
    names.sort();
    Ok(names)
}
