//! Reading and checking session files.
//!
//! A file is cut into as many shares as there are cores, or more if it is large; each share is read, hashed
//! and checked line by line by its own thread. Whether the shares follow each other is checked after that.
//!
//! Sessions of one annotator can overlap, on two machines that know nothing of each other. Their
//! events are then put in the order in which they were made.

use super::history::{Event, History, Torn};
use super::{StoreError, annotator_folder, annotators};
use crate::cores::cores;
use crate::feedback::digest::Sha256;
use crate::feedback::lines::{RowError, jsonl_files};
use crate::feedback::record::Kind;
use crate::feedback::record::glance::Glance;
use crate::feedback::record::line::LineError;
use memchr::memchr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::thread;
use ulid::Ulid;

/// Loads the files of every annotator, in name order, for reading.
///
/// # Errors
/// The first damage found, by file and line.
pub fn load_all(feedback: &Path) -> Result<Vec<History>, StoreError> {
    annotators(feedback)?
        .iter()
        .map(|annotator| load(feedback, annotator))
        .collect()
}

/// Loads the files of one annotator for reading; none at all is an empty history.
///
/// # Errors
/// The first damage found, by file and line.
pub fn load(feedback: &Path, annotator: &str) -> Result<History, StoreError> {
    let folder = annotator_folder(feedback, annotator)?;
    let mut history = History::new(annotator);
    let mut events = Vec::new();
    for (session, path) in session_files(&folder)? {
        let file = history.add_file(session, path.clone());
        let reader = Reader {
            path: &path,
            session,
            annotator,
        };
        let keep = |glance: Glance, place| Event::new(glance, file, 0, place);
        let torn = reader.read(u64::MAX, &keep, &mut |line, mut event| {
            event.line = line;
            events.push(event);
            Ok(())
        });
        history.torn.extend(torn?);
    }
    history.add_all(in_order(events))?;
    Ok(history)
}

/// Events of several files in the order in which they were made: by id, whose first half is a time,
/// but never against the order of their file, in which the clock may have gone backwards.
fn in_order(events: Vec<Event>) -> Vec<Event> {
    if events.is_sorted_by_key(|event| event.id) {
        return events;
    }
    let (mut file, mut latest) = (0, Ulid::nil());
    let key = |event: Event| {
        if event.file() != file {
            (file, latest) = (event.file(), Ulid::nil());
        }
        latest = latest.max(event.id);
        (latest, event)
    };
    let mut keyed: Vec<(Ulid, Event)> = events.into_iter().map(key).collect();
    keyed.sort_by_key(|(made, _)| *made);
    keyed.into_iter().map(|(_, event)| event).collect()
}

/// Session files in the order of their ULIDs.
pub(super) fn session_files(folder: &Path) -> Result<Vec<(Ulid, PathBuf)>, StoreError> {
    let files = jsonl_files(folder).map_err(|error| match error {
        RowError::Io { path, source } => StoreError::Io { path, source },
        other @ RowError::Bad { .. } => StoreError::io(folder)(other.into()),
    })?;
    let parse = |path: PathBuf| {
        let stem = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        match Ulid::from_string(&stem) {
            Ok(session) if session.to_string() == stem => Ok((session, path)),
            _ => Err(StoreError::ForeignFile(path)),
        }
    };
    files.into_iter().map(parse).collect()
}

/// Reads one session file.
pub(super) struct Reader<'a> {
    pub(super) path: &'a Path,
    pub(super) session: Ulid,
    pub(super) annotator: &'a str,
}

/// What is kept of the lines that begin in one part of the file.
struct Share<T> {
    kept: Vec<T>,
    first: Option<First>,
    /// Hash of the last line.
    last: Option<Sha256>,
    /// What ended it early.
    end: Option<End>,
}

/// What the first line of a share must share with the one before it.
struct First {
    seq: u64,
    prev: Sha256,
    starts: bool,
}

/// A line that cannot be counted.
struct End {
    bytes: (u64, usize),
    has_newline: bool,
    problem: Problem,
}

enum Problem {
    /// By itself.
    Line(LineError),
    /// In its place.
    Place(Misplaced),
}

impl<T: Into<LineError>> From<T> for Problem {
    fn from(error: T) -> Self {
        Self::Line(error.into())
    }
}

/// What a line has in common neither with its file nor with the line before.
enum Misplaced {
    Session(Ulid),
    Annotator(String),
    Seq(u64),
    Prev,
    Start,
}

impl Misplaced {
    /// What to say of the line with this index in its file.
    fn reason(&self, index: usize) -> String {
        match self {
            Self::Session(session) => format!("belongs to session {session}, not to this file"),
            Self::Annotator(name) => format!("belongs to annotator {name:?}, not to this one"),
            Self::Seq(found) => format!("expected `seq` {index}, found {found}: a gap"),
            Self::Prev => {
                "`prev` is not the hash of the line before: a line was removed, added or moved"
                    .into()
            }
            Self::Start => "`session_start` must be the first line, and only it".into(),
        }
    }
}

impl First {
    /// Checks that the line can stand at `index`, after a line with the hash `prev`.
    fn check(&self, index: u64, prev: Sha256) -> Result<(), Misplaced> {
        if self.seq != index {
            Err(Misplaced::Seq(self.seq))
        } else if self.prev != prev {
            Err(Misplaced::Prev)
        } else if self.starts != (index == 0) {
            Err(Misplaced::Start)
        } else {
            Ok(())
        }
    }
}

impl<T: Send> Share<T> {
    /// Counts a line.
    fn add(
        &mut self,
        reader: &Reader,
        keep: &impl Fn(Glance, (u64, usize)) -> T,
        bytes: &[u8],
        offset: u64,
    ) -> Result<(), Problem> {
        let glance = Glance::at(bytes)?;
        if glance.session != reader.session {
            return Err(Problem::Place(Misplaced::Session(glance.session)));
        }
        if *glance.annotator != *reader.annotator {
            let name = glance.annotator.to_string();
            return Err(Problem::Place(Misplaced::Annotator(name)));
        }
        let this = First {
            seq: glance.seq,
            prev: glance.prev,
            starts: glance.kind == Kind::SessionStart,
        };
        match (&self.first, self.last) {
            (Some(first), Some(last)) => {
                let index = first.seq.wrapping_add(self.kept.len() as u64);
                this.check(index.max(1), last).map_err(Problem::Place)?;
            }
            _ => self.first = Some(this),
        }
        self.last = Some(Sha256::of(bytes));
        self.kept.push(keep(glance, (offset, bytes.len())));
        Ok(())
    }
}

impl Reader<'_> {
    /// Reads the file on all cores, each of which takes up to `share` bytes at a time. `keep` takes each
    /// line, and the bytes where it stands, `take` what was kept, in file order with line numbers from 1.
    /// Returns the line that was cut off at the end.
    pub(super) fn read<T: Send>(
        &self,
        share: u64,
        keep: &(impl Fn(Glance, (u64, usize)) -> T + Sync),
        take: &mut dyn FnMut(usize, T) -> Result<(), StoreError>,
    ) -> Result<Option<Torn>, StoreError> {
        let failed = |error| StoreError::io(self.path)(error);
        let len = std::fs::metadata(self.path).map_err(failed)?.len();
        let (mut before, mut prev, mut start) = (0, Sha256::ZERO, 0);
        while start < len {
            let bounds = bounds(start, len, share);
            start = bounds[bounds.len() - 1].1;
            for share in self.shares(&bounds, keep).map_err(failed)? {
                if let Some(first) = &share.first {
                    let follows = first.check(before as u64, prev);
                    follows.map_err(|misplaced| self.misplaced(before, &misplaced))?;
                }
                prev = share.last.unwrap_or(prev);
                for kept in share.kept {
                    before += 1;
                    take(before, kept)?;
                }
                if let Some(end) = share.end {
                    return self.torn(before, end).map(Some);
                }
            }
        }
        Ok(None)
    }

    /// A line that was cut off, if that is what is wrong with the line at `index`. One that lacks nothing
    /// but its newline is whole, and nothing may be lost.
    fn torn(&self, index: usize, end: End) -> Result<Torn, StoreError> {
        let (path, line) = (self.path.to_owned(), index + 1);
        match end.problem {
            Problem::Place(misplaced) => Err(self.misplaced(index, &misplaced)),
            Problem::Line(source) if end.has_newline => {
                Err(StoreError::Line { path, line, source })
            }
            Problem::Line(_) => {
                let (offset, len) = end.bytes;
                let mut torn = Torn {
                    path,
                    line,
                    offset,
                    len,
                    kept: false,
                };
                torn.kept = torn.copy().exists();
                Ok(torn)
            }
        }
    }

    fn misplaced(&self, index: usize, misplaced: &Misplaced) -> StoreError {
        StoreError::Order {
            path: self.path.to_owned(),
            line: index + 1,
            reason: misplaced.reason(index),
        }
    }

    /// The lines that begin in each part. Only the last one of the file can lack its newline.
    fn shares<T: Send>(
        &self,
        bounds: &[(u64, u64)],
        keep: &(impl Fn(Glance, (u64, usize)) -> T + Sync),
    ) -> io::Result<Vec<Share<T>>> {
        thread::scope(|scope| {
            let read = |part| move || self.share(part, keep);
            let others = bounds[1..].iter().map(|&part| scope.spawn(read(part)));
            let others: Vec<_> = others.collect();
            let mut shares = vec![read(bounds[0])()?];
            for other in others {
                match other.join() {
                    Ok(share) => shares.push(share?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok(shares)
        })
    }

    /// The lines that begin in `bounds`, up to the first that cannot be counted.
    fn share<T: Send>(
        &self,
        bounds: (u64, u64),
        keep: &impl Fn(Glance, (u64, usize)) -> T,
    ) -> io::Result<Share<T>> {
        let mut share = Share {
            kept: Vec::new(),
            first: None,
            last: None,
            end: None,
        };
        each_line(self.path, bounds, |bytes, offset, has_newline| {
            let added = share.add(self, keep, bytes, offset);
            share.end = added.err().map(|problem| End {
                bytes: (offset, bytes.len()),
                has_newline,
                problem,
            });
            share.end.is_none()
        })?;
        Ok(share)
    }
}

/// What comes from `start` on of a file with `len` bytes: a part for each core, as large as each other and
/// at most `most` bytes.
fn bounds(start: u64, len: u64, most: u64) -> Vec<(u64, u64)> {
    const WORTH_A_THREAD: u64 = 1 << 20;
    let cores = cores() as u64;
    let left = len - start;
    let shares = cores.min(left.div_ceil(WORTH_A_THREAD)).max(1);
    let share = left.div_ceil(shares).min(most);
    let bound = |n: u64| (start + share * n).min(len);
    (0..shares).map(|n| (bound(n), bound(n + 1))).collect()
}

/// Shows the lines that begin in `start..end`, with where they begin and whether they end in a newline,
/// for as long as `take` wants more.
fn each_line(
    path: &Path,
    (start, end): (u64, u64),
    mut take: impl FnMut(&[u8], u64, bool) -> bool,
) -> io::Result<()> {
    let mut reader = BufReader::with_capacity(1 << 18, File::open(path)?);
    let mut offset = start.saturating_sub(1);
    reader.seek(SeekFrom::Start(offset))?;
    if start > 0 {
        // The rest of a line that began before; nothing but a newline if one begins at `start`.
        offset += reader.skip_until(b'\n')? as u64;
    }
    let mut bytes = Vec::new();
    while offset < end {
        let buffered = reader.fill_buf()?;
        if let Some(len) = memchr(b'\n', buffered) {
            if !take(&buffered[..len], offset, true) {
                break;
            }
            reader.consume(len + 1);
            offset += len as u64 + 1;
            continue;
        }
        // A line that ends beyond what is buffered, and the last one, are put together elsewhere.
        bytes.clear();
        let read = reader.read_until(b'\n', &mut bytes)?;
        if read == 0 {
            break;
        }
        let has_newline = bytes.pop_if(|last| *last == b'\n').is_some();
        if !take(&bytes, offset, has_newline) {
            break;
        }
        offset += read as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wherever_a_file_is_divided_every_line_is_read_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        let read = |start, end| {
            let mut lines = Vec::new();
            each_line(&path, (start, end), |bytes, offset, has_newline| {
                lines.push((offset, bytes.len(), has_newline));
                true
            })
            .unwrap();
            lines.into_iter()
        };
        for text in [
            "",
            "\n",
            "one\n",
            "one",
            "\none\n\n\nthree four\nfive",
            "a\nb\nc\n",
        ] {
            std::fs::write(&path, text).unwrap();
            let len = text.len() as u64;
            let mut offset = 0;
            let mut expected = Vec::new();
            for line in text.split_inclusive('\n') {
                let content = line.strip_suffix('\n').unwrap_or(line).len();
                expected.push((offset, content, line.len() > content));
                offset += line.len() as u64;
            }
            for a in 0..=len {
                for b in a..=len {
                    let shares = read(0, a).chain(read(a, b)).chain(read(b, len));
                    assert_eq!(shares.collect::<Vec<_>>(), expected, "{text:?} at {a}, {b}");
                }
            }
        }
    }
}
