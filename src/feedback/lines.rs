//! Bounded, line-numbered reading of JSONL, plain or gzip.

use memchr::memchr;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::mem::take;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What is wrong with a row, and where.
#[derive(Debug, thiserror::Error)]
pub enum RowError {
    /// The content of one line is not usable.
    #[error("{path}:{line}: {reason}", path = .path.display())]
    Bad {
        /// The file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What was expected and found.
        reason: String,
    },
    /// The file cannot be read.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
}

impl From<RowError> for io::Error {
    fn from(error: RowError) -> Self {
        Self::other(error)
    }
}

/// One line of a file.
#[derive(Debug)]
pub struct Row {
    /// The file.
    pub path: PathBuf,
    /// Line number, from 1.
    pub line: usize,
    /// The line without its newline.
    pub text: String,
}

impl Row {
    /// An error about this row.
    pub fn error(&self, reason: impl ToString) -> RowError {
        RowError::Bad {
            path: self.path.clone(),
            line: self.line,
            reason: reason.to_string(),
        }
    }

    /// The row as JSON. Half of a surrogate pair, which JSON can escape (`"\\ud800"`) and no text
    /// can hold, is read as the mark that the screen would show for it: `⟨U+D800⟩`.
    ///
    /// # Errors
    /// [`RowError::Bad`] with the column.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, RowError> {
        from_json(&self.text).map_err(|error| self.error(json_reason(&error)))
    }
}

/// JSON text as [`Row::parse`] reads it, for rows that hold such text in a column.
pub(super) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(text).or_else(|error| match name_surrogates(text) {
        Some(named) => serde_json::from_str(&named),
        None => Err(error),
    })
}

/// The row with a mark in the place of every escaped surrogate that has no partner, if there is one.
///
/// Python writes such rows (`json.dumps` of text decoded with `surrogateescape`); refusing them would
/// keep a whole file from being judged, and a replacement character would make different texts equal.
fn name_surrogates(json: &str) -> Option<String> {
    let mut named = String::with_capacity(json.len());
    let mut rest = json;
    let mut found = false;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        named.push_str(before);
        let second = escape.get(6..).and_then(surrogate);
        let length = match (surrogate(escape), second) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(code), _) => {
                found = true;
                named.extend([format!("⟨U+{code:04X}⟩")]);
                rest = &escape[6..];
                continue;
            }
            (None, _) => 1 + escape[1..].chars().next().map_or(0, char::len_utf8),
        };
        named.push_str(&escape[..length]);
        rest = &escape[length..];
    }
    named.push_str(rest);
    found.then_some(named)
}

/// The surrogate that a text begins with as a JSON escape.
fn surrogate(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let code = u32::from_str_radix(digits, 16).ok()?;
    (0xd800..=0xdfff).contains(&code).then_some(code)
}

/// serde's message with the column only: within one row its line number is always 1 and would
/// contradict the line number of the file.
pub(super) fn json_reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let (message, _) = text.rsplit_once(" at line ").unwrap_or((&text, ""));
    format!("{message} (column {})", error.column())
}

/// Reader of the non-blank lines of a file.
pub struct Lines {
    path: PathBuf,
    reader: Box<dyn BufRead + Send>,
    line: usize,
    /// Where the last row stands, in bytes.
    place: Range<u64>,
    max_bytes: usize,
    /// Room for the next row: as much as the last one took, so that it need not grow.
    usual: usize,
    /// A row that is done with: the next one takes its room.
    spare: Option<Row>,
}

/// Most room that is made before a row is read, in bytes.
const MOST_AHEAD: usize = 1 << 16;

impl Lines {
    /// Opens a file; a name ending in `.gz` is decompressed.
    ///
    /// # Errors
    /// [`RowError::Io`].
    pub fn open(path: &Path, max_bytes: usize) -> Result<Self, RowError> {
        let failed = |source| RowError::Io {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.is_dir() {
            return Err(failed(io::Error::new(
                io::ErrorKind::IsADirectory,
                "is a folder; name a .jsonl file",
            )));
        }
        let gzip = path.extension().is_some_and(|extension| extension == "gz");
        let reader: Box<dyn BufRead + Send> = if gzip {
            Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(file)))
        } else {
            Box::new(BufReader::with_capacity(1 << 16, file))
        };
        Ok(Self::over(path, reader, max_bytes))
    }

    /// The lines of what was opened by another; `path` is for messages.
    pub(super) fn over(path: &Path, reader: Box<dyn BufRead + Send>, max_bytes: usize) -> Self {
        Self {
            path: path.to_owned(),
            reader,
            line: 0,
            place: 0..0,
            max_bytes,
            usual: 0,
            spare: None,
        }
    }

    /// Opens a part of a plain file that begins and ends with a line; line numbers count from its
    /// beginning.
    ///
    /// # Errors
    /// [`RowError::Io`].
    pub fn part(path: &Path, max_bytes: usize, part: Range<u64>) -> Result<Self, RowError> {
        let place = part.start..part.start;
        let open = || {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(part.start))?;
            Ok(file.take(part.end - part.start))
        };
        let file = open().map_err(|source| RowError::Io {
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            path: path.to_owned(),
            reader: Box::new(BufReader::with_capacity(1 << 16, file)),
            line: 0,
            place,
            max_bytes,
            usual: 0,
            spare: None,
        })
    }

    /// How many lines were read.
    pub fn count(&self) -> usize {
        self.line
    }

    /// The bytes of the file that the last row takes, its newline included; of a `.gz`, of its content.
    pub fn place(&self) -> Range<u64> {
        self.place.clone()
    }

    /// Takes back a row that is done with. Who reads many thousands of them asks the system for memory once
    /// and not for each.
    pub fn reuse(&mut self, row: Row) {
        self.spare = Some(row);
    }

    /// The next line that is not blank, or `None` at the end.
    ///
    /// # Errors
    /// [`RowError`] if the file fails, the line is longer than the limit, or it is not UTF-8.
    pub fn next_row(&mut self) -> Result<Option<Row>, RowError> {
        loop {
            let spare = self.spare.as_mut().map(|row| take(&mut row.text));
            let mut bytes = spare.map_or_else(Vec::new, String::into_bytes);
            bytes.clear();
            bytes.reserve(self.usual);
            let n = self.read_line(&mut bytes).map_err(|source| RowError::Io {
                path: self.path.clone(),
                source,
            })?;
            if n == 0 {
                return Ok(None);
            }
            self.line += 1;
            self.place = self.place.end..self.place.end + n as u64;
            self.usual = n.next_power_of_two().min(MOST_AHEAD);
            if bytes.len() > self.max_bytes && bytes.last() != Some(&b'\n') {
                self.skip_line()?;
            }
            let row = self.row(bytes)?;
            if !row.text.trim().is_empty() {
                return Ok(Some(row));
            }
        }
    }

    /// Appends a line, its newline included, or one byte more than it may have; nothing at the end.
    fn read_line(&mut self, bytes: &mut Vec<u8>) -> io::Result<usize> {
        loop {
            let buffered = match self.reader.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                buffered => buffered?,
            };
            let most = (self.max_bytes + 1 - bytes.len()).min(buffered.len());
            let end = memchr(b'\n', &buffered[..most]).map(|at| at + 1);
            let read = end.unwrap_or(most);
            bytes.extend(&buffered[..read]);
            self.reader.consume(read);
            if end.is_some() || read == 0 {
                return Ok(bytes.len());
            }
        }
    }

    /// Leaves the rest of a line that is too long, so that the next one is counted right.
    fn skip_line(&mut self) -> Result<(), RowError> {
        let skipped = self.reader.skip_until(b'\n');
        let skipped = skipped.map_err(|source| RowError::Io {
            path: self.path.clone(),
            source,
        })?;
        self.place.end += skipped as u64;
        Ok(())
    }

    fn row(&mut self, mut bytes: Vec<u8>) -> Result<Row, RowError> {
        let spare = self.spare.take().map(|row| row.path);
        let mut row = Row {
            path: spare.unwrap_or_else(|| self.path.clone()),
            line: self.line,
            text: String::new(),
        };
        if bytes.len() > self.max_bytes {
            return Err(row.error(format!(
                "the line is longer than {} bytes; each row must be a line of its own",
                self.max_bytes
            )));
        }
        while bytes.last().is_some_and(|last| b"\r\n".contains(last)) {
            bytes.pop();
        }
        row.text = String::from_utf8(bytes)
            .map_err(|error| row.error(format!("not UTF-8: {}", error.utf8_error())))?;
        if self.line == 1
            && let Some(rest) = row.text.strip_prefix('\u{feff}')
        {
            row.text = rest.to_owned();
        }
        Ok(row)
    }
}

/// The `*.jsonl` files of a folder in name order; a missing folder has none.
///
/// # Errors
/// [`RowError::Io`] if the folder cannot be listed.
pub fn jsonl_files(folder: &Path) -> Result<Vec<PathBuf>, RowError> {
    let failed = |source| RowError::Io {
        path: folder.to_owned(),
        source,
    };
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "jsonl")
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        (dir, path)
    }

    #[test]
    fn blank_lines_and_a_byte_order_mark_are_skipped_but_counted() {
        let (_dir, path) = file("a.jsonl", "\u{feff}1\r\n\n 2\n3".as_bytes());
        let mut lines = Lines::open(&path, 100).unwrap();
        let mut rows = Vec::new();
        while let Some(row) = lines.next_row().unwrap() {
            rows.push((row.line, row.parse::<u32>().unwrap()));
        }
        assert_eq!(rows, [(1, 1), (3, 2), (4, 3)]);
    }

    #[test]
    fn the_place_of_a_row_holds_its_bytes_and_nothing_else() {
        let bytes = "\u{feff}[1]\r\n\n [2]\n[\"far too long\"]\n[\"ü\"]".as_bytes();
        let (_dir, path) = file("a.jsonl", bytes);
        let mut lines = Lines::part(&path, 9, 3..u64::MAX).unwrap();
        let mut places = Vec::new();
        loop {
            match lines.next_row() {
                Ok(None) => break,
                Ok(Some(row)) => {
                    let place = lines.place();
                    let text = &bytes[place.start as usize..place.end as usize];
                    assert_eq!(str::from_utf8(text).unwrap().trim_end(), row.text);
                    places.push((row.line, place));
                    lines.reuse(row);
                }
                Err(error) => assert!(error.to_string().contains("a.jsonl:4: "), "{error}"),
            }
        }
        assert_eq!(places, [(1, 3..8), (3, 9..14), (5, 31..37)]);
    }

    #[test]
    fn gzip_is_read_by_name() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(b"41\n42\n").unwrap();
        let (_dir, path) = file("a.jsonl.gz", &encoder.finish().unwrap());
        let mut lines = Lines::open(&path, 100).unwrap();
        assert_eq!(lines.next_row().unwrap().unwrap().text, "41");
        assert_eq!(lines.next_row().unwrap().unwrap().line, 2);
        assert!(lines.next_row().unwrap().is_none());
    }

    #[test]
    fn half_a_surrogate_pair_is_named_and_a_whole_one_is_read() {
        let text = r#"["\ud800", "a\udc00\uD83D\uDE00b", "\ud83d\ud83d\ude00", "\\ud800", "\ud8"]"#;
        let (_dir, path) = file("a.jsonl", text.replace(r#", "\ud8""#, "").as_bytes());
        let row = Lines::open(&path, 1000)
            .unwrap()
            .next_row()
            .unwrap()
            .unwrap();
        assert_eq!(
            row.parse::<Vec<String>>().unwrap(),
            ["⟨U+D800⟩", "a⟨U+DC00⟩😀b", "⟨U+D83D⟩😀", "\\ud800"]
        );
        let (_dir, path) = file("a.jsonl", text.as_bytes());
        let row = Lines::open(&path, 1000)
            .unwrap()
            .next_row()
            .unwrap()
            .unwrap();
        let error = row.parse::<Vec<String>>().unwrap_err().to_string();
        assert!(error.contains("a.jsonl:1: invalid escape"), "{error}");
    }

    #[test]
    fn errors_name_file_and_line() {
        let (_dir, path) = file("a.jsonl", b"1\n{\"a\": }\n\xff\n0123456789x\n");
        let mut lines = Lines::open(&path, 11).unwrap();
        assert!(lines.next_row().is_ok());
        let row = lines.next_row().unwrap().unwrap();
        let error = row.parse::<serde_json::Value>().unwrap_err().to_string();
        assert!(
            error.ends_with("a.jsonl:2: expected value (column 7)"),
            "{error}"
        );
        let error = lines.next_row().unwrap_err().to_string();
        assert!(error.contains("a.jsonl:3: not UTF-8"), "{error}");
        let error = lines.next_row().unwrap_err().to_string();
        assert!(
            error.contains("a.jsonl:4: the line is longer than 11 bytes; each row"),
            "{error}"
        );
    }
}
