//! Rows of any file, one at a time: JSON lines, a JSON array, CSV or Parquet, plain, gzip or zstd.
//!
//! What a file is shows in its first bytes; only CSV needs its name. Memory does not grow with the
//! file: a row is bounded by [`MAX_ROW_BYTES`], a Parquet file is read page by page.

mod array;
mod csv;
mod foreign;
mod parquet;
mod zstd;

pub use parquet::is_decoding;

use super::item::MAX_ROW_BYTES;
use super::lines::{Lines, Row, RowError};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A stream of bytes that a row reader takes.
type Bytes = Box<dyn BufRead + Send>;

/// Reader of the rows of a file. Each is the text of one JSON value; its number is the line where it
/// begins, or in Parquet the row, from 1.
pub struct Rows {
    kind: Kind,
    read: Arc<AtomicU64>,
    length: u64,
}

/// A file that counts the bytes read from it.
struct Counted {
    file: File,
    read: Arc<AtomicU64>,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read(buffer)?;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

/// A gzip stream whose errors say what is wrong with the file.
struct Gzip<R>(flate2::bufread::MultiGzDecoder<R>);

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                let reason = "gzip: the file is cut off; fetch or write it again";
                io::Error::new(error.kind(), reason)
            }
            kind => io::Error::new(kind, format!("gzip: {error}")),
        })
    }
}

enum Kind {
    Lines(Lines),
    Array(array::Elements),
    Csv(csv::Records),
    Parquet(Box<parquet::Table>),
}

impl Rows {
    /// Opens a file and looks at its first bytes.
    ///
    /// # Errors
    /// [`RowError`] for a folder, a file that cannot be read, or a damaged Parquet file.
    pub fn open(path: &Path) -> Result<Self, RowError> {
        let failed = at(path);
        let file = File::open(path).map_err(&failed)?;
        let metadata = file.metadata().map_err(&failed)?;
        if metadata.is_dir() {
            let folder = io::Error::new(
                io::ErrorKind::IsADirectory,
                "is a folder; name a .json, .jsonl, .jsonl.gz, .jsonl.zst, .parquet or .csv file",
            );
            return Err(failed(folder));
        }
        let read = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            file,
            read: Arc::clone(&read),
        };
        Ok(Self {
            kind: Kind::of(path, BufReader::with_capacity(1 << 16, counted))?,
            read,
            length: metadata.len(),
        })
    }

    /// The part of the file that was read, 0..1.
    pub fn part_read(&self) -> f64 {
        match &self.kind {
            Kind::Parquet(table) => table.part_read(),
            _ if self.length == 0 => 0.0,
            _ => (self.read.load(Ordering::Relaxed) as f64 / self.length as f64).min(1.0),
        }
    }

    /// The next row, or `None` at the end.
    ///
    /// # Errors
    /// [`RowError::Bad`] about one row, after which reading goes on; [`RowError::Io`] if the file
    /// ends it.
    pub fn next_row(&mut self) -> Result<Option<Row>, RowError> {
        match &mut self.kind {
            Kind::Lines(lines) => lines.next_row(),
            Kind::Array(elements) => elements.next_row(),
            Kind::Csv(records) => records.next_row(),
            Kind::Parquet(table) => table.next_row(),
        }
    }
}

impl Kind {
    /// Looks at the first bytes.
    fn of(path: &Path, mut reader: BufReader<Counted>) -> Result<Self, RowError> {
        let failed = at(path);
        let start = reader.fill_buf().map_err(&failed)?;
        if start.starts_with(b"PAR1") {
            let table = parquet::Table::open(path, reader.into_inner().file)?;
            return Ok(Self::Parquet(Box::new(table)));
        }
        let mut reader: Bytes = if start.starts_with(&[0x1f, 0x8b]) {
            let decoder = Gzip(flate2::bufread::MultiGzDecoder::new(reader));
            Box::new(BufReader::with_capacity(1 << 16, decoder))
        } else if start.starts_with(&zstd::MAGIC) {
            Box::new(BufReader::with_capacity(1 << 16, zstd::Frames::new(reader)))
        } else {
            Box::new(reader)
        };
        let start = reader.fill_buf().map_err(&failed)?;
        if let Some(what) = foreign::name(start) {
            return Err(failed(io::Error::new(io::ErrorKind::InvalidData, what)));
        }
        if is_csv(path) {
            return csv::Records::new(path, reader).map(Self::Csv);
        }
        let start = reader.fill_buf().map_err(&failed)?;
        let start = start.strip_prefix("\u{feff}".as_bytes()).unwrap_or(start);
        Ok(if start.trim_ascii_start().starts_with(b"[") {
            Self::Array(array::Elements::new(path, reader))
        } else {
            Self::Lines(Lines::over(path, reader, MAX_ROW_BYTES))
        })
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> RowError + use<> {
    let path = path.to_owned();
    move |source| RowError::Io {
        path: path.clone(),
        source,
    }
}

/// True for `.csv`, `.csv.gz` and `.csv.zst`: no first bytes tell a table of text.
fn is_csv(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let plain = [".gz", ".zst"]
        .iter()
        .find_map(|end| name.strip_suffix(end));
    let name = plain.unwrap_or(&name);
    let extension = Path::new(name).extension().map(PathBuf::from);
    extension.is_some_and(|extension| extension.as_os_str().eq_ignore_ascii_case("csv"))
}

/// The error of a row that is longer than any row may be.
fn too_long() -> String {
    format!("the row is longer than {MAX_ROW_BYTES} bytes")
}
