//! Reading and checking session files.
//!
//! A file is cut into as many shares as there are cores; each share is read, hashed and parsed line by
//! line by its own thread. The checks between lines follow in order.
//!
//! Sessions of one annotator can overlap, on two machines that know nothing of each other. Their
//! events are then put in the order in which they were made.

use super::history::{Event, History, Torn};
use super::{StoreError, annotator_folder, annotators};
use crate::feedback::digest::Sha256;
use crate::feedback::lines::{RowError, jsonl_files};
use crate::feedback::record::Kind;
use crate::feedback::record::glance::Glance;
use crate::feedback::record::line::LineError;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::num::NonZero;
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
            file,
        };
        history.torn.extend(reader.read(&mut events)?);
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
        if event.file != file {
            (file, latest) = (event.file, Ulid::nil());
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

struct Reader<'a> {
    path: &'a Path,
    session: Ulid,
    annotator: &'a str,
    file: usize,
}

/// A line of the file: where it lies, and what it says.
struct Line {
    offset: u64,
    len: usize,
    has_newline: bool,
    sha256: Sha256,
    content: Result<Content, LineError>,
}

/// What a line says. Its event does not know the file and the number of the line yet.
struct Content {
    event: Event,
    session: Ulid,
    prev: Sha256,
    /// The annotator, if it is another than that of the folder.
    stranger: Option<String>,
}

impl Content {
    fn of(line: &[u8], offset: u64, annotator: &str) -> Result<Self, LineError> {
        let glance = Glance::at(line)?;
        let stranger = *glance.annotator != *annotator;
        Ok(Self {
            session: glance.session,
            prev: glance.prev,
            stranger: stranger.then(|| glance.annotator.to_string()),
            event: Event::new(glance, 0, 0, (offset, line.len())),
        })
    }
}

impl Reader<'_> {
    /// Reads the file into `events`; returns the line that was cut off at its end.
    fn read(&self, events: &mut Vec<Event>) -> Result<Option<Torn>, StoreError> {
        let lines = self.lines().map_err(StoreError::io(self.path))?;
        events.reserve(lines.iter().map(Vec::len).sum());
        let mut expected = Sha256::ZERO;
        for (index, line) in lines.into_iter().flatten().enumerate() {
            let number = index + 1;
            let content = match line.content {
                Ok(content) => content,
                // A line that lacks nothing but its newline is whole, and nothing may be lost.
                Err(_) if !line.has_newline => {
                    return Ok(Some(self.torn(number, (line.offset, line.len))));
                }
                Err(source) => {
                    return Err(StoreError::Line {
                        path: self.path.to_owned(),
                        line: number,
                        source,
                    });
                }
            };
            self.check_place(index, &content, expected)
                .map_err(|reason| StoreError::Order {
                    path: self.path.to_owned(),
                    line: number,
                    reason,
                })?;
            expected = line.sha256;
            let mut event = content.event;
            (event.file, event.line) = (self.file, number);
            events.push(event);
        }
        Ok(None)
    }

    fn torn(&self, line: usize, (offset, len): (u64, usize)) -> Torn {
        let mut torn = Torn {
            path: self.path.to_owned(),
            line,
            offset,
            len,
            kept: false,
        };
        torn.kept = torn.copy().exists();
        torn
    }

    /// All lines in order, in shares. Only the last one can lack its newline.
    fn lines(&self) -> io::Result<Vec<Vec<Line>>> {
        const WORTH_A_THREAD: u64 = 1 << 20;
        let len = std::fs::metadata(self.path)?.len();
        let cores = thread::available_parallelism().map_or(1, NonZero::get) as u64;
        let shares = cores.min(len.div_ceil(WORTH_A_THREAD)).max(1);
        let bound = |share: u64| len / shares * share + len % shares * share / shares;
        thread::scope(|scope| {
            let bounds = |share| (bound(share), bound(share + 1));
            let read = |share| move || read_share(self.path, self.annotator, bounds(share));
            let others: Vec<_> = (1..shares).map(|share| scope.spawn(read(share))).collect();
            let mut lines = vec![read(0)()?];
            for other in others {
                match other.join() {
                    Ok(share) => lines.push(share?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok(lines)
        })
    }

    /// Checks what a line must share with its file and with the line before it.
    fn check_place(&self, index: usize, line: &Content, prev: Sha256) -> Result<(), String> {
        let (session, seq) = (line.session, line.event.seq);
        if session != self.session {
            return Err(format!("belongs to session {session}, not to this file"));
        }
        if let Some(found) = &line.stranger {
            return Err(format!("belongs to annotator {found:?}, not to this one"));
        }
        if seq != index as u64 {
            return Err(format!("expected `seq` {index}, found {seq}: a gap"));
        }
        if line.prev != prev {
            return Err(
                "`prev` is not the hash of the line before: a line was removed, added or moved"
                    .into(),
            );
        }
        if (line.event.kind == Kind::SessionStart) != (index == 0) {
            return Err("`session_start` must be the first line, and only it".into());
        }
        Ok(())
    }
}

/// The lines that begin in `start..end`.
fn read_share(path: &Path, annotator: &str, (start, end): (u64, u64)) -> io::Result<Vec<Line>> {
    let mut reader = BufReader::with_capacity(1 << 18, File::open(path)?);
    let mut offset = start.saturating_sub(1);
    reader.seek(SeekFrom::Start(offset))?;
    if start > 0 {
        // The rest of a line that began before; nothing but a newline if one begins at `start`.
        offset += reader.skip_until(b'\n')? as u64;
    }
    let (mut lines, mut bytes) = (Vec::new(), Vec::new());
    while offset < end {
        bytes.clear();
        let read = reader.read_until(b'\n', &mut bytes)?;
        if read == 0 {
            break;
        }
        let has_newline = bytes.pop_if(|last| *last == b'\n').is_some();
        lines.push(Line {
            offset,
            len: bytes.len(),
            has_newline,
            sha256: Sha256::of(&bytes),
            content: Content::of(&bytes, offset, annotator),
        });
        offset += read as u64;
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wherever_a_file_is_divided_every_line_is_read_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lines");
        let read = |start, end| {
            let lines = read_share(&path, "mia", (start, end)).unwrap().into_iter();
            lines.map(|line| (line.offset, line.len, line.has_newline))
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
