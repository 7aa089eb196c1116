//! Reading and checking session files.
//!
//! Lines are parsed on all cores; the checks between lines follow in order.

use super::history::{Event, History, Torn};
use super::{StoreError, annotator_folder, annotators};
use crate::feedback::digest::Sha256;
use crate::feedback::lines::{RowError, jsonl_files};
use crate::feedback::record::Kind;
use crate::feedback::record::glance::Glance;
use crate::feedback::record::line::{LineError, from_line};
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
        let text = std::fs::read(&path).map_err(StoreError::io(&path))?;
        let file = history.add_file(session, path.clone());
        let mut reader = Reader {
            path: &path,
            session,
            annotator,
            file,
        };
        let torn = reader.read(&text, &mut events)?;
        history.torn.extend(torn);
    }
    history.add_all(events)?;
    Ok(history)
}

/// Session files in the order of their ULIDs.
fn session_files(folder: &Path) -> Result<Vec<(Ulid, PathBuf)>, StoreError> {
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

/// A parsed line: what is kept, and what the chain needs.
struct Parsed {
    event: Event,
    prev: Sha256,
    own: Sha256,
}

impl Reader<'_> {
    fn read(&mut self, text: &[u8], into: &mut Vec<Event>) -> Result<Option<Torn>, StoreError> {
        let (mut lines, rest) = split_lines(text);
        let torn = match rest {
            // Only the newline is missing: the record is whole, and nothing may be lost.
            Some(range) if from_line(&text[range.clone()]).is_ok() => {
                lines.push(range);
                None
            }
            Some(range) => Some(Torn {
                path: self.path.to_owned(),
                line: lines.len() + 1,
                offset: range.start as u64,
                len: range.len(),
            }),
            None => None,
        };
        let mut expected = Sha256::ZERO;
        for (index, parsed) in self.parse_all(text, &lines).into_iter().enumerate() {
            let line = index + 1;
            let parsed = parsed?;
            let complain = |reason: String| self.order(line, reason);
            if parsed.event.seq != index as u64 {
                let found = parsed.event.seq;
                return Err(complain(format!(
                    "expected `seq` {index}, found {found}: a gap"
                )));
            }
            if parsed.prev != expected {
                let reason = "`prev` is not the hash of the line before: a line was removed, added \
                              or moved";
                return Err(complain(reason.into()));
            }
            if (parsed.event.kind == Kind::SessionStart) != (index == 0) {
                return Err(complain(
                    "`session_start` must be the first line, and only it".into(),
                ));
            }
            expected = parsed.own;
            into.push(parsed.event);
        }
        Ok(torn)
    }

    /// Parses all lines, in parallel where there are enough to be worth it.
    fn parse_all(&self, text: &[u8], lines: &[Range]) -> Vec<Result<Parsed, StoreError>> {
        const WORTH_A_THREAD: usize = 1000;
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let share = lines.len().div_ceil(cores).max(WORTH_A_THREAD);
        let parse_share = |first: usize, lines: &[Range]| -> Vec<_> {
            let each = lines.iter().enumerate();
            each.map(|(i, range)| self.parse(first + i + 1, text, range.clone()))
                .collect()
        };
        let mut parsed = Vec::with_capacity(lines.len());
        thread::scope(|scope| {
            let mut shares = lines.chunks(share).enumerate();
            let own = shares.next();
            let workers: Vec<_> = shares
                .map(|(n, lines)| scope.spawn(move || parse_share(n * share, lines)))
                .collect();
            parsed.extend(own.into_iter().flat_map(|(_, lines)| parse_share(0, lines)));
            for worker in workers {
                match worker.join() {
                    Ok(share) => parsed.extend(share),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
        parsed
    }

    fn parse(&self, line: usize, text: &[u8], range: Range) -> Result<Parsed, StoreError> {
        let bytes = &text[range.clone()];
        let failed = |source: LineError| StoreError::Line {
            path: self.path.into(),
            line,
            source,
        };
        let glance = Glance::at(bytes).map_err(failed)?;
        self.check_place(line, &glance)?;
        let place = (range.start as u64, range.len());
        let (prev, own) = (glance.prev, Sha256::of(bytes));
        let event = Event::new(glance, self.file, line, place);
        Ok(Parsed {
            event,
            prev: record.prev,
            own: Sha256::of(bytes),
        })
    }

    fn check_place(&self, line: usize, glance: &Glance) -> Result<(), StoreError> {
        if glance.session != self.session {
            let found = glance.session;
            return Err(self.order(
                line,
                format!("belongs to session {found}, not to this file"),
            ));
        }
        if glance.annotator != self.annotator {
            let found = &glance.annotator;
            return Err(self.order(
                line,
                format!("belongs to annotator {found:?}, not to this one"),
            ));
        }
        Ok(())
    }

    fn order(&self, line: usize, reason: String) -> StoreError {
        StoreError::Order {
            path: self.path.to_owned(),
            line,
            reason,
        }
    }
}

type Range = std::ops::Range<usize>;

/// The whole lines without their newlines, and what follows the last newline.
fn split_lines(text: &[u8]) -> (Vec<Range>, Option<Range>) {
    let mut lines = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive(|&byte| byte == b'\n') {
        let end = start + line.len();
        if line.last() != Some(&b'\n') {
            return (lines, Some(start..end));
        }
        lines.push(start..end - 1);
        start = end;
    }
    (lines, None)
}
