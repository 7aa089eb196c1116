//! `metrics.jsonl`: one JSON object per step, appended and flushed, so that it can be watched.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::Value;

use crate::run::metric_table::METRICS;

/// Why a row could not be logged.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The system refused.
    #[error("cannot write {path}: {source}; check the folder's permissions and the free disk space", path = path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The row is not a JSON object.
    #[error("a row of {path} is not an object with a number `step`: {reason}", path = path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// A metrics file open for appending.
#[derive(Debug)]
pub struct MetricsLog {
    path: PathBuf,
    file: File,
}

impl MetricsLog {
    /// Starts a new file.
    pub fn create(path: &Path) -> Result<Self, MetricsError> {
        let options = OpenOptions::new().write(true).create_new(true).open(path);
        Self::over(path, options)
    }

    /// Continues a file after its row of step `step`: later rows, and a torn last one, are removed, because a
    /// resumed job writes them again.
    pub fn resume(path: &Path, step: usize) -> Result<Self, MetricsError> {
        Self::over(path, reopen(path, step))
    }

    /// Appends one row: an object with a number `step`. Non-finite numbers become `null`.
    pub fn append<T: Serialize>(&mut self, row: &T) -> Result<(), MetricsError> {
        let row_error = |reason: &str| MetricsError::Row {
            path: self.path.clone(),
            reason: reason.to_owned(),
        };
        let value = serde_json::to_value(row).map_err(|e| row_error(&e.to_string()))?;
        if value.get("step").and_then(Value::as_u64).is_none() {
            return Err(row_error("it has no `step`"));
        }
        self.file
            .write_all(format!("{value}\n").as_bytes())
            .map_err(|e| self.write_error(e))
    }

    fn over(path: &Path, file: io::Result<File>) -> Result<Self, MetricsError> {
        let file = file.map_err(|source| MetricsError::Write {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    fn write_error(&self, source: io::Error) -> MetricsError {
        MetricsError::Write {
            path: self.path.clone(),
            source,
        }
    }
}

/// Opens a file of rows with a number `step` for writing behind those of step `step`; what comes later is removed, a torn row
/// too. A file that is not there is made.
pub fn reopen(path: &Path, step: usize) -> io::Result<File> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    let kept = length_up_to(&text, step);
    file.set_len(kept)?;
    file.seek(SeekFrom::Start(kept))?;
    Ok(file)
}

/// Bytes of the leading complete rows whose step is at most `step`.
fn length_up_to(text: &[u8], step: usize) -> u64 {
    let mut length = 0;
    for line in text.split_inclusive(|&b| b == b'\n') {
        let row = line
            .ends_with(b"\n")
            .then(|| serde_json::from_slice::<Value>(line).ok())
            .flatten();
        match row.and_then(|r| r.get("step")?.as_u64()) {
            Some(s) if s <= step as u64 => length += line.len() as u64,
            _ => break,
        }
    }
    length
}

/// Names in `row` that [`METRICS`] does not document for runs of `kind`; a trainer's test asserts that there are none.
pub fn undocumented<T: Serialize>(kind: &str, row: &T) -> Vec<String> {
    let Ok(Value::Object(row)) = serde_json::to_value(row) else {
        return vec!["(the row is not an object)".to_owned()];
    };
    let known = |name: &str| {
        METRICS
            .iter()
            .any(|m| m.name == name && m.kinds.contains(&kind))
    };
    row.keys().filter(|name| !known(name)).cloned().collect()
}
