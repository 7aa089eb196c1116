//! The elements of one JSON array, without holding the array: `[{…}, {…}]`, however it is laid out.

use super::{Bytes, at, too_long};
use crate::feedback::item::MAX_ROW_BYTES;
use crate::feedback::lines::{Row, RowError};
use std::path::{Path, PathBuf};

/// Reader of the elements of a JSON array.
pub struct Elements {
    path: PathBuf,
    bytes: Bytes,
    /// Line of the next byte, from 1.
    line: usize,
    state: State,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Before `[`.
    Start,
    /// Between elements.
    Between,
    /// After `]`: only white space may follow.
    Tail,
    /// After all, or after an error that leaves no way on.
    End,
}

/// Where the scan of one element stands. Only strings, escapes and depth matter to find its end;
/// serde judges the rest.
#[derive(Default)]
struct Scan {
    text: Vec<u8>,
    depth: usize,
    in_string: bool,
    escaped: bool,
    too_long: bool,
}

impl Scan {
    fn push(&mut self, byte: u8) {
        if self.text.len() >= MAX_ROW_BYTES {
            self.too_long = true;
        } else {
            self.text.push(byte);
        }
        if self.escaped {
            self.escaped = false;
        } else if self.in_string {
            self.escaped = byte == b'\\';
            self.in_string = byte != b'"';
        } else {
            match byte {
                b'"' => self.in_string = true,
                b'[' | b'{' => self.depth += 1,
                b']' | b'}' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// True if `byte` is the comma or bracket that ends the element.
    fn ends_at(&self, byte: u8) -> bool {
        self.depth == 0 && !self.in_string && (byte == b',' || byte == b']')
    }
}

impl Elements {
    /// The elements of the array that `bytes` begins with; `path` is for messages.
    pub fn new(path: &Path, bytes: Bytes) -> Self {
        Self {
            path: path.to_owned(),
            bytes,
            line: 1,
            state: State::Start,
        }
    }

    /// The next element, or `None` after the last.
    pub fn next_row(&mut self) -> Result<Option<Row>, RowError> {
        if self.state == State::Start {
            while self.next_byte()?.is_some_and(|byte| byte != b'[') {}
            self.state = State::Between;
        }
        let mut scan = Scan::default();
        let mut begins = self.line;
        while self.state == State::Between {
            let Some(byte) = self.next_byte()? else {
                self.state = State::End;
                return Err(self.bad(begins, "the file ends inside the array: `]` is missing"));
            };
            let blank = scan.text.is_empty() && !scan.too_long;
            if scan.ends_at(byte) {
                if byte == b']' {
                    self.state = State::Tail;
                }
                if blank && byte == b']' {
                    break;
                }
                return self.row(begins, scan).map(Some);
            }
            if blank && byte.is_ascii_whitespace() {
                begins = self.line;
            } else {
                scan.push(byte);
            }
        }
        self.tail().map(|()| None)
    }

    /// Reads what follows the array, once.
    fn tail(&mut self) -> Result<(), RowError> {
        while self.state == State::Tail {
            match self.next_byte()? {
                Some(byte) if byte.is_ascii_whitespace() => {}
                Some(_) => {
                    self.state = State::End;
                    let reason = "more follows the array that the file begins with; put all rows \
                                  into one array, or one on each line";
                    return Err(self.bad(self.line, reason));
                }
                None => self.state = State::End,
            }
        }
        Ok(())
    }

    fn next_byte(&mut self) -> Result<Option<u8>, RowError> {
        let buffer = self.bytes.fill_buf().map_err(at(&self.path))?;
        let Some(&byte) = buffer.first() else {
            return Ok(None);
        };
        self.bytes.consume(1);
        self.line += usize::from(byte == b'\n');
        Ok(Some(byte))
    }

    fn row(&self, line: usize, scan: Scan) -> Result<Row, RowError> {
        if scan.too_long {
            return Err(self.bad(line, &too_long()));
        }
        let text = String::from_utf8(scan.text)
            .map_err(|error| self.bad(line, &format!("not UTF-8: {}", error.utf8_error())))?;
        Ok(Row {
            path: self.path.clone(),
            line,
            text,
        })
    }

    fn bad(&self, line: usize, reason: &str) -> RowError {
        RowError::Bad {
            path: self.path.clone(),
            line,
            reason: reason.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(text: &str) -> Vec<Result<(usize, String), String>> {
        let bytes: Bytes = Box::new(std::io::Cursor::new(text.as_bytes().to_vec()));
        let mut elements = Elements::new(Path::new("a.json"), bytes);
        let mut found = Vec::new();
        loop {
            match elements.next_row() {
                Ok(Some(row)) => found.push(Ok((row.line, row.text.trim().to_owned()))),
                Ok(None) => return found,
                Err(error) => found.push(Err(error.to_string())),
            }
        }
    }

    #[test]
    fn elements_keep_their_text_and_the_line_they_begin_on() {
        let text = "\n[ {\"a\": \"],[\\\"\"},\n\n  [1,\n 2], 3\n]\n";
        let expected = [(2, "{\"a\": \"],[\\\"\"}"), (4, "[1,\n 2]"), (5, "3")];
        let expected = expected.map(|(line, text)| Ok((line, text.to_owned())));
        assert_eq!(elements(text), expected);
        assert_eq!(elements("[]"), []);
        assert_eq!(elements(" [ ] "), []);
    }

    #[test]
    fn what_follows_the_array_is_not_ignored() {
        let found = elements("[1]\n[2]");
        assert_eq!((found.len(), &found[0]), (2, &Ok((1, "1".to_owned()))));
        let error = found[1].as_ref().unwrap_err();
        assert!(error.starts_with("a.json:2: more follows"), "{error}");
        assert_eq!(elements("[] x").len(), 1);
    }

    #[test]
    fn an_array_without_an_end_is_an_error_and_then_over() {
        let missing = "a.json:1: the file ends inside the array: `]` is missing";
        let expected = [Ok((1, "1".to_owned())), Err(missing.to_owned())];
        assert_eq!(elements("[1, {\"a\": 2}"), expected);
    }

    #[test]
    fn an_element_that_is_too_long_is_left_out_and_the_next_is_read() {
        let text = format!("[\"{}\", 2]", "x".repeat(MAX_ROW_BYTES));
        let reason = format!("a.json:1: {}", too_long());
        assert_eq!(elements(&text), [Err(reason), Ok((1, "2".to_owned()))]);
    }
}
