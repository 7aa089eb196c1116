//! The file that an export writes: JSON lines, plain or gzip, or a JSON array, by its name.

use super::{ExportError, Sink};
use crate::feedback::labels::LabelsError;
use crate::run::atomic::{WriteError, write_atomic_with};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why a file was not written.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The file system refused.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// What was to be written cannot be read.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// A name that stands for something that is not written here.
    #[error("{}: name a .jsonl, .jsonl.gz or .json file", .0.display())]
    Extension(PathBuf),
}

/// Writes rows to `path`, which appears whole or not at all. `rows` is given the function that takes
/// a row.
///
/// # Errors
/// [`OutputError`].
pub fn write_file<T>(
    path: &Path,
    rows: impl FnOnce(Sink) -> Result<T, ExportError>,
) -> Result<T, OutputError> {
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    let gzipped = name.strip_suffix(".gz");
    let plain = gzipped.unwrap_or(&name);
    let extension = plain.rsplit_once('.').map(|(_, extension)| extension);
    if matches!(
        extension,
        Some("parquet" | "csv" | "tsv" | "xlsx" | "zip" | "zst")
    ) {
        return Err(OutputError::Extension(path.to_owned()));
    }
    let array = extension == Some("json");
    let (mut result, mut unread) = (None, None);
    let written = write_atomic_with(path, |file| {
        let written = if gzipped.is_some() {
            let mut encoder = GzEncoder::new(file, Compression::default());
            let written = write_rows(&mut encoder, array, rows);
            written.and_then(|rows| Ok(encoder.finish().map(|_| rows)?))
        } else {
            write_rows(file, array, rows)
        };
        result = match written {
            Ok(rows) => Some(rows),
            Err(ExportError::Write(error)) => return Err(error),
            Err(ExportError::Labels(error)) => {
                unread = Some(error);
                // The file is not finished and must not appear.
                return Err(io::Error::other("the rows ended early"));
            }
        };
        Ok(())
    });
    if let Some(error) = unread {
        return Err(error.into());
    }
    written?;
    result.ok_or_else(|| OutputError::Extension(path.to_owned()))
}

fn write_rows<T>(
    file: &mut dyn Write,
    array: bool,
    rows: impl FnOnce(Sink) -> Result<T, ExportError>,
) -> Result<T, ExportError> {
    let mut first = true;
    let mut take = |row: &Value| {
        if array {
            file.write_all(if first { b"[\n" } else { b",\n" })?;
        }
        serde_json::to_writer(&mut *file, row)?;
        if !array {
            file.write_all(b"\n")?;
        }
        first = false;
        Ok(())
    };
    let result = rows(&mut take)?;
    if array {
        file.write_all(if first { b"[]\n" } else { b"\n]\n" })?;
    }
    Ok(result)
}
