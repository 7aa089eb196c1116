//! `samples/<batch>.jsonl`: reading and appending items.

use super::{Item, ItemError, MAX_ROW_BYTES};
use crate::feedback::lines::{Lines, RowError, jsonl_files};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why a samples file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum SamplesError {
    /// A bad row, with file and line.
    #[error(transparent)]
    Row(#[from] RowError),
    /// An item that may not be written.
    #[error("{path}: {source}", path = .path.display())]
    Item {
        /// The samples file.
        path: PathBuf,
        /// What is wrong with the item.
        source: ItemError,
    },
    /// The file system refused.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// File or folder concerned.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

/// The batch that a file of rows from elsewhere becomes: its name without extensions, with `-` for
/// every character that [`is_safe_name`](super::is_safe_name) forbids.
pub fn batch_name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let stem = name.strip_suffix(".gz").unwrap_or(&name);
    let stem = Path::new(stem).file_stem().unwrap_or_default();
    let safe = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => c,
        _ => '-',
    };
    let safe: String = stem.to_string_lossy().chars().map(safe).take(64).collect();
    safe.trim_start_matches(['.', '-']).to_owned()
}

/// Reads one batch, in file order.
///
/// # Errors
/// [`SamplesError`] naming file and line: malformed rows, wrong hashes, an item that occurs twice.
pub fn read_batch(path: &Path) -> Result<Vec<Item>, SamplesError> {
    let stem = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let mut lines = Lines::open(path, MAX_ROW_BYTES)?;
    let mut items: Vec<Item> = Vec::new();
    let mut seen = HashMap::new();
    while let Some(row) = lines.next_row()? {
        let item: Item = row.parse()?;
        item.check().map_err(|e| row.error(e))?;
        if item.batch != stem {
            return Err(row.error(ItemError::Batch(item.batch)).into());
        }
        if let Some(line) = seen.insert(item.id.clone(), row.line) {
            return Err(row
                .error(format!("item {} is already on line {line}", item.id))
                .into());
        }
        items.push(item);
    }
    Ok(items)
}

/// Reads every `samples/*.jsonl` of a project, batches in name order. A missing folder has none.
///
/// # Errors
/// As [`read_batch`].
pub fn read_all(samples: &Path) -> Result<Vec<Item>, SamplesError> {
    let mut items = Vec::new();
    for path in jsonl_files(samples)? {
        items.extend(read_batch(&path)?);
    }
    Ok(items)
}

/// Appends items to `samples/<batch>.jsonl` with one write and one sync, making the folder.
///
/// # Errors
/// [`SamplesError`] if an item is not sound, belongs to another batch, or cannot be written.
pub fn append_batch(samples: &Path, batch: &str, items: &[Item]) -> Result<PathBuf, SamplesError> {
    let path = samples.join(format!("{batch}.jsonl"));
    let mut text = Vec::new();
    for item in items {
        let foreign = || ItemError::Batch(item.batch.clone());
        let checked = item
            .check()
            .and((item.batch == batch).then_some(()).ok_or_else(foreign));
        checked.map_err(|source| SamplesError::Item {
            path: path.clone(),
            source,
        })?;
        let row = serde_json::to_vec(item).map_err(io::Error::from);
        text.extend(row.map_err(|source| SamplesError::Io {
            path: path.clone(),
            source,
        })?);
        text.push(b'\n');
    }
    let write = || {
        std::fs::create_dir_all(samples)?;
        let mut file = File::options().create(true).append(true).open(&path)?;
        file.write_all(&text)?;
        file.sync_data()
    };
    write().map_err(|source| SamplesError::Io {
        path: path.clone(),
        source,
    })?;
    Ok(path)
}
