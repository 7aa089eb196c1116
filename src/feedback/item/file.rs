//! `samples/<batch>.jsonl`: reading and appending items.

use super::{Item, ItemError, MAX_ROW_BYTES};
use crate::feedback::lines::{Lines, RowError, jsonl_files};
use crate::feedback::store::log::{for_writing, sync_folder};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::num::NonZero;
use std::ops::Range;
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;

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
    let plain = [".gz", ".zst"]
        .iter()
        .find_map(|end| name.strip_suffix(end));
    let stem = plain.unwrap_or(&name);
    let stem = Path::new(stem).file_stem().unwrap_or_default();
    let safe = |c: char| match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => c,
        _ => '-',
    };
    let safe: String = stem.to_string_lossy().chars().map(safe).take(64).collect();
    safe.trim_start_matches(['.', '-']).to_owned()
}

/// Reads one batch, in file order, on all cores. A last line that a crash cut off is left out: it was
/// shown to nobody.
///
/// # Errors
/// [`SamplesError`] naming file and line: malformed rows, wrong hashes, an item that occurs twice.
pub fn read_batch(path: &Path) -> Result<Vec<Item>, SamplesError> {
    Ok(only_items(read_batch_with(path, &|_| ())?))
}

fn only_items(read: Vec<(Item, ())>) -> Vec<Item> {
    read.into_iter().map(|(item, ())| item).collect()
}

fn read_batch_with<T: Send>(
    path: &Path,
    look: &(impl Fn(&mut Item) -> T + Sync),
) -> Result<Vec<(Item, T)>, SamplesError> {
    let bounds = bounds(path).map_err(failed(path))?;
    let last = bounds.len() - 1;
    let read = |(n, part): (usize, &Range<u64>)| read_part(path, part.clone(), n == last, look);
    let parts: Vec<Part<T>> = thread::scope(|scope| {
        let all: Vec<_> = bounds.iter().enumerate().collect();
        let others = all[1..].iter().map(|&part| scope.spawn(move || read(part)));
        let others: Vec<_> = others.collect();
        let mut parts = vec![read(all[0])];
        for other in others {
            parts.push(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        parts
    });
    join(path, parts)
}

/// Parts of a file that begin and end with a line, about as large as each other: one per core, and
/// one for a small file.
fn bounds(path: &Path) -> io::Result<Vec<Range<u64>>> {
    const WORTH_A_THREAD: u64 = 1 << 20;
    let mut file = BufReader::new(File::open(path)?);
    let len = file.get_ref().metadata()?.len();
    let cores = thread::available_parallelism().map_or(1, NonZero::get) as u64;
    let shares = cores.min(len / WORTH_A_THREAD).max(1);
    let mut starts = vec![0];
    for share in 1..shares {
        let middle = len / shares * share;
        let start = file.seek(SeekFrom::Start(middle))? + file.skip_until(b'\n')? as u64;
        if starts.last() < Some(&start) {
            starts.push(start);
        }
    }
    let ends = starts[1..].iter().copied().chain([u64::MAX]);
    Ok(starts
        .iter()
        .copied()
        .zip(ends)
        .map(|(a, b)| a..b)
        .collect())
}

/// The items of a part with their line numbers within it, how many lines it has, and the first error.
struct Part<T> {
    items: Vec<(usize, (Item, T))>,
    lines: usize,
    error: Option<SamplesError>,
}

fn read_part<T>(
    path: &Path,
    part: Range<u64>,
    is_last: bool,
    look: &(impl Fn(&mut Item) -> T + Sync),
) -> Part<T> {
    let mut items = Vec::new();
    let read = || {
        let mut lines = Lines::part(path, MAX_ROW_BYTES, part)?;
        while let Some(row) = lines.next_row()? {
            let mut item = match row.parse::<Item>() {
                Err(_) if is_last && is_cut_off(path)? && lines.next_row()?.is_none() => break,
                item => item?,
            };
            item.check().map_err(|e| row.error(e))?;
            let looked = look(&mut item);
            items.push((row.line, (item, looked)));
        }
        Ok(lines.count())
    };
    let (lines, error) = match read() {
        Ok(lines) => (lines, None),
        Err(error) => (0, Some(error)),
    };
    Part {
        items,
        lines,
        error,
    }
}

/// Puts parts together: true line numbers, and what no part can see for itself.
fn join<T>(path: &Path, parts: Vec<Part<T>>) -> Result<Vec<(Item, T)>, SamplesError> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let all = parts.iter().map(|p| p.items.len()).sum();
    let (mut items, mut lines) = (Vec::with_capacity(all), Vec::with_capacity(all));
    let (mut before, mut end) = (0, Ok(()));
    let bad = |line, reason: String| RowError::Bad {
        path: path.to_owned(),
        line,
        reason,
    };
    for part in parts {
        for (line, item) in part.items {
            items.push(item);
            lines.push(before + line);
        }
        match part.error {
            Some(SamplesError::Row(RowError::Bad { line, reason, .. })) => {
                end = Err(bad(before + line, reason).into());
                break;
            }
            Some(error) => {
                end = Err(error);
                break;
            }
            None => before += part.lines,
        }
    }
    check_together(&items, &lines, &stem).map_err(|(line, reason)| bad(line, reason))?;
    end.map(|()| items)
}

/// Checks that every item belongs to the batch `stem` and that none occurs twice.
fn check_together<T>(
    items: &[(Item, T)],
    lines: &[usize],
    stem: &str,
) -> Result<(), (usize, String)> {
    let mut seen = HashMap::with_capacity(items.len());
    for ((item, _), &line) in items.iter().zip(lines) {
        if item.batch != stem {
            return Err((line, ItemError::Batch(item.batch.clone()).to_string()));
        }
        if let Some(first) = seen.insert(item.id.as_str(), line) {
            return Err((line, format!("item {} is already on line {first}", item.id)));
        }
    }
    Ok(())
}

/// Whether the last line lacks its newline.
///
/// # Errors
/// [`SamplesError::Io`].
pub fn is_cut_off(path: &Path) -> Result<bool, SamplesError> {
    let last = || {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(-1))?;
        let mut last = [0];
        file.read_exact(&mut last)?;
        Ok(last != *b"\n")
    };
    last().map_err(failed(path))
}

/// Reads every `samples/*.jsonl` of a project, batches in name order. A missing folder has none.
///
/// # Errors
/// As [`read_batch`].
pub fn read_all(samples: &Path) -> Result<Vec<Item>, SamplesError> {
    Ok(only_items(read_all_with(samples, &|_| ())?))
}

/// The same; `look` sees each item as soon as it is checked, and may let go of its texts.
///
/// # Errors
/// As [`read_batch`].
pub fn read_all_with<T: Send>(
    samples: &Path,
    look: &(impl Fn(&mut Item) -> T + Sync),
) -> Result<Vec<(Item, T)>, SamplesError> {
    let mut items = Vec::new();
    for path in jsonl_files(samples)? {
        items.extend(read_batch_with(&path, look)?);
    }
    Ok(items)
}

/// Appends items to `samples/<batch>.jsonl` with one write and one sync, making the folder.
///
/// # Errors
/// [`SamplesError`] if an item is not sound, belongs to another batch, or cannot be written.
pub fn append_batch(samples: &Path, batch: &str, items: &[Item]) -> Result<PathBuf, SamplesError> {
    let mut file = BatchFile::open(samples, batch)?;
    file.append(items)?;
    Ok(file.path)
}

/// `samples/<batch>.jsonl`, opened for appending and locked, so that two annotators who bring the
/// same file write its rows once.
#[derive(Debug)]
pub struct BatchFile {
    path: PathBuf,
    batch: String,
    file: File,
}

impl BatchFile {
    /// Opens it, making file and folder, and waits for whoever is appending.
    ///
    /// # Errors
    /// [`SamplesError::Io`].
    pub fn open(samples: &Path, batch: &str) -> Result<Self, SamplesError> {
        let path = samples.join(format!("{batch}.jsonl"));
        let open = || {
            std::fs::create_dir_all(samples)?;
            let mut options = File::options();
            let file = options.create(true).read(true).append(true).open(&path)?;
            match file.lock() {
                // Where there are no locks there is one annotator, or a tool that merges.
                Err(error) if error.kind() != io::ErrorKind::Unsupported => Err(error),
                _ => sync_folder(samples).map(|()| file),
            }
        };
        let file = open().map_err(|error| failed(&path)(for_writing(error)))?;
        let batch = batch.to_owned();
        Ok(Self { path, batch, file })
    }

    /// The items that are there.
    ///
    /// # Errors
    /// As [`read_batch`].
    pub fn read(&self) -> Result<Vec<Item>, SamplesError> {
        read_batch(&self.path)
    }

    /// Bytes of the lines that have an end: all but what a crash cut off.
    ///
    /// # Errors
    /// [`SamplesError::Io`].
    pub fn whole(&mut self) -> Result<u64, SamplesError> {
        let mut whole = || {
            let len = self.file.metadata()?.len();
            Ok(len - self.tail(len)?.len() as u64)
        };
        whole().map_err(failed(&self.path.clone()))
    }

    /// Ends a last line that lacks nothing but its end, and takes away one that a crash cut off, which
    /// was shown to nobody.
    ///
    /// # Errors
    /// [`SamplesError::Io`].
    pub fn mend(&mut self) -> Result<(), SamplesError> {
        let path = self.path.clone();
        self.end_last_line().map_err(failed(&path))
    }

    /// Appends items; they are on disk when this returns. A line that a crash cut off was shown to
    /// nobody, and makes room.
    ///
    /// # Errors
    /// [`SamplesError`] if an item is not sound, belongs to another batch, or cannot be written.
    pub fn append(&mut self, items: &[Item]) -> Result<(), SamplesError> {
        let mut text = Vec::new();
        for item in items {
            let row = self.row(item)?;
            text.extend(row);
            text.push(b'\n');
        }
        let path = self.path.clone();
        self.write(&text).map_err(failed(&path))
    }

    fn row(&self, item: &Item) -> Result<Vec<u8>, SamplesError> {
        let foreign = || ItemError::Batch(item.batch.clone());
        let ours = (item.batch == self.batch).then_some(());
        let checked = item.check().and_then(|()| ours.ok_or_else(foreign));
        let row = checked.and_then(|()| item.row());
        row.map_err(|source| SamplesError::Item {
            path: self.path.clone(),
            source,
        })
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        self.end_last_line()?;
        self.file.write_all(text)?;
        self.file.sync_data()
    }

    fn end_last_line(&mut self) -> io::Result<()> {
        let len = self.file.metadata()?.len();
        let tail = self.tail(len)?;
        if serde_json::from_slice::<Item>(&tail).is_ok() {
            self.file.write_all(b"\n")?;
        } else if !tail.is_empty() {
            self.file.set_len(len - tail.len() as u64)?;
        }
        Ok(())
    }

    /// What follows the last newline, which is nothing but after a crash.
    fn tail(&mut self, len: u64) -> io::Result<Vec<u8>> {
        let mut last = [b'\n'];
        if len > 0 {
            self.file.seek(SeekFrom::Start(len - 1))?;
            self.file.read_exact(&mut last)?;
        }
        let mut tail = Vec::new();
        if last != *b"\n" {
            let most = MAX_ROW_BYTES as u64;
            self.file.seek(SeekFrom::Start(len.saturating_sub(most)))?;
            self.file.read_to_end(&mut tail)?;
            let end = tail.iter().rposition(|&byte| byte == b'\n');
            tail.drain(..end.map_or(0, |end| end + 1));
        }
        Ok(tail)
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> SamplesError {
    let path = path.to_owned();
    |source| SamplesError::Io { path, source }
}
