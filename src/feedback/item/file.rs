//! `samples/<batch>.jsonl`: reading and appending items.

use super::{Item, ItemError, MAX_ROW_BYTES};
use crate::cores::cores;
use crate::feedback::lines::{Lines, RowError, jsonl_files};
use crate::feedback::spill::RoomError;
use crate::feedback::store::log::{for_writing, sync_folder};
use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
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
    /// No room for what is known of the items.
    #[error(transparent)]
    Room(#[from] RoomError),
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
    read_batch_with(path, &|item| item)
}

/// The same; what `keep` makes of each item, as soon as it is checked, is all that is held.
fn read_batch_with<T: Send>(
    path: &Path,
    keep: &(impl Fn(Item) -> T + Sync),
) -> Result<Vec<T>, SamplesError> {
    let (mut kept, mut ids) = (Vec::new(), Vec::new());
    let end = each_part(path, u64::MAX, &|item, _| keep(item), &mut |part, names| {
        put(&mut kept, part);
        ids.extend(names);
        Ok(())
    });
    #[expect(clippy::stable_sort_primitive, reason = "it merges sorted parts")]
    ids.sort();
    if ids.windows(2).any(|two| two[0] == two[1]) {
        check_repeated(path)?;
    }
    end.map(|()| kept)
}

/// Reads one batch on all cores, each of which takes up to `share` bytes at a time: `keep` takes each item
/// as soon as it is checked, with the bytes of the file where its row stands, and `take` what was kept of
/// a part, in file order, with sorted hashes of the ids: an item that occurs twice is not looked for. What
/// comes before an error is taken too.
///
/// # Errors
/// [`SamplesError`] naming file and line: malformed rows, wrong hashes; and what `take` returns.
pub fn each_part<T: Send>(
    path: &Path,
    share: u64,
    keep: &(impl Fn(Item, Range<u64>) -> T + Sync),
    take: &mut dyn FnMut(Vec<T>, Vec<u64>) -> Result<(), SamplesError>,
) -> Result<(), SamplesError> {
    let hash = RandomState::new();
    let mut file = BufReader::new(File::open(path).map_err(failed(path))?);
    let len = file.get_ref().metadata().map_err(failed(path))?.len();
    let (mut start, mut before) = (0, 0);
    loop {
        let bounds = bounds(&mut file, start..len, share).map_err(failed(path))?;
        start = bounds[bounds.len() - 1].end;
        for part in read_parts(path, &bounds, start >= len, &hash, keep) {
            take(part.kept, part.ids)?;
            match part.error {
                Some(SamplesError::Row(RowError::Bad { path, line, reason })) => {
                    let line = before + line;
                    return Err(RowError::Bad { path, line, reason }.into());
                }
                Some(error) => return Err(error),
                None => before += part.lines,
            }
        }
        if start >= len {
            return Ok(());
        }
    }
}

/// What is left of a file, for each core a part that ends with a line: as large as each other, at most about
/// `most` bytes, and one alone if little is left. The last one of the file has no end.
fn bounds(file: &mut BufReader<File>, left: Range<u64>, most: u64) -> io::Result<Vec<Range<u64>>> {
    const WORTH_A_THREAD: u64 = 1 << 20;
    let cores = cores() as u64;
    let bytes = left.end.saturating_sub(left.start);
    let shares = cores.min(bytes / WORTH_A_THREAD).max(1);
    let share = (bytes / shares).min(most);
    let mut bounds = Vec::new();
    let mut from = left.start;
    for n in 1..=shares {
        let end = left.start + share * n;
        let is_last = n == shares && share < most;
        let end = if end < left.end && !is_last {
            file.seek(SeekFrom::Start(end))? + file.skip_until(b'\n')? as u64
        } else {
            u64::MAX
        };
        if from < end {
            bounds.push(from..end);
            from = end;
        }
    }
    Ok(bounds)
}

/// Reads each part by its own thread.
fn read_parts<T: Send>(
    path: &Path,
    bounds: &[Range<u64>],
    to_end: bool,
    hash: &RandomState,
    keep: &(impl Fn(Item, Range<u64>) -> T + Sync),
) -> Vec<Part<T>> {
    let last = bounds.len() - 1;
    let read = |n: usize| read_part(path, bounds[n].clone(), to_end && n == last, hash, keep);
    thread::scope(|scope| {
        let others = (1..bounds.len()).map(|n| scope.spawn(move || read(n)));
        let others: Vec<_> = others.collect();
        let mut parts = vec![read(0)];
        for other in others {
            parts.push(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        parts
    })
}

/// What is kept of the items of a part, hashes of their ids, how many lines the part has, and its first
/// error.
struct Part<T> {
    kept: Vec<T>,
    ids: Vec<u64>,
    lines: usize,
    error: Option<SamplesError>,
}

fn read_part<T>(
    path: &Path,
    part: Range<u64>,
    is_last: bool,
    hash: &RandomState,
    keep: impl Fn(Item, Range<u64>) -> T,
) -> Part<T> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let (mut kept, mut ids) = (Vec::new(), Vec::new());
    let read = || {
        let mut lines = Lines::part(path, MAX_ROW_BYTES, part)?;
        while let Some(row) = lines.next_row()? {
            let item = match row.parse::<Item>() {
                Err(_) if is_last && is_cut_off(path)? && lines.next_row()?.is_none() => break,
                item => item?,
            };
            item.check().map_err(|e| row.error(e))?;
            if item.batch != stem {
                return Err(row.error(ItemError::Batch(item.batch)).into());
            }
            ids.push(hash.hash_one(&item.id));
            kept.push(keep(item, lines.place()));
            lines.reuse(row);
        }
        Ok(lines.count())
    };
    let (lines, error) = match read() {
        Ok(lines) => (lines, None),
        Err(error) => (0, Some(error)),
    };
    ids.sort_unstable();
    Part {
        kept,
        ids,
        lines,
        error,
    }
}

/// Says which item of a file occurs twice, where hashes say that one does. Bad rows are no concern here.
///
/// # Errors
/// [`SamplesError`], by line.
pub fn check_repeated(path: &Path) -> Result<(), SamplesError> {
    #[derive(serde::Deserialize)]
    struct Named {
        id: String,
    }
    let mut seen = HashMap::new();
    let mut lines = Lines::open(path, MAX_ROW_BYTES)?;
    while let Some(row) = lines.next_row()? {
        let Ok(Named { id }) = row.parse() else {
            return Ok(());
        };
        if let Some(first) = seen.get(&id) {
            return Err(row
                .error(format!("item {id} is already on line {first}"))
                .into());
        }
        seen.insert(id, row.line);
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
    read_all_with(samples, &|item| item)
}

/// The same; what `keep` makes of each item, as soon as it is checked, is all that is held.
///
/// # Errors
/// As [`read_batch`].
pub fn read_all_with<T: Send>(
    samples: &Path,
    keep: &(impl Fn(Item) -> T + Sync),
) -> Result<Vec<T>, SamplesError> {
    let mut all = Vec::new();
    for path in jsonl_files(samples)? {
        put(&mut all, read_batch_with(&path, keep)?);
    }
    Ok(all)
}

/// Appends without copying what is the first to come.
fn put<T>(all: &mut Vec<T>, mut more: Vec<T>) {
    if all.is_empty() {
        *all = more;
    } else {
        all.append(&mut more);
    }
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

pub(super) fn failed(path: &Path) -> impl FnOnce(io::Error) -> SamplesError {
    let path = path.to_owned();
    |source| SamplesError::Io { path, source }
}
