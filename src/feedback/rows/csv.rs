//! Records of a CSV file (RFC 4180) as JSON objects of strings, named by the first record.

use super::{Bytes, at, too_long};
use crate::feedback::item::MAX_ROW_BYTES;
use crate::feedback::lines::{Row, RowError};
use csv_core::{ReadRecordResult, Reader};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Most columns of a table.
const MAX_COLUMNS: usize = 1024;

/// Reader of the records of a CSV file.
pub struct Records {
    path: PathBuf,
    bytes: Bytes,
    reader: Reader,
    names: Vec<String>,
}

/// One record: its fields and whether it had to be cut.
struct Record {
    fields: Vec<Vec<u8>>,
    too_long: bool,
}

impl Records {
    /// Reads the first record, which names the columns.
    ///
    /// # Errors
    /// [`RowError`] if there are no names.
    pub fn new(path: &Path, bytes: Bytes) -> Result<Self, RowError> {
        let mut records = Self {
            path: path.to_owned(),
            bytes,
            reader: Reader::new(),
            names: Vec::new(),
        };
        if let Some(header) = records.record()? {
            let text = |field: Vec<u8>| String::from_utf8_lossy(&field).into_owned();
            records.names = header.fields.into_iter().map(text).collect();
            if let Some(first) = records.names.first_mut() {
                *first = first.trim_start_matches('\u{feff}').to_owned();
            }
        }
        Ok(records)
    }

    /// The next record, or `None` at the end.
    pub fn next_row(&mut self) -> Result<Option<Row>, RowError> {
        let line = self.reader.line() as usize;
        let Some(record) = self.record()? else {
            return Ok(None);
        };
        let mut row = Row {
            path: self.path.clone(),
            line,
            text: String::new(),
        };
        if record.too_long {
            return Err(row.error(too_long()));
        }
        let (columns, found) = (self.names.len(), record.fields.len());
        if columns != found {
            return Err(row.error(format!("expected {columns} columns, found {found}")));
        }
        let mut object = Map::new();
        for (name, field) in self.names.iter().zip(record.fields) {
            let text = String::from_utf8(field)
                .map_err(|error| row.error(format!("not UTF-8: {}", error.utf8_error())))?;
            object.insert(name.clone(), Value::String(text));
        }
        row.text = Value::Object(object).to_string();
        Ok(Some(row))
    }

    /// One record. Past the limits its rest is read and thrown away.
    fn record(&mut self) -> Result<Option<Record>, RowError> {
        let (mut text, mut ends) = (Vec::new(), Vec::new());
        let (mut output, mut bounds) = (vec![0; 1 << 14], [0; 64]);
        let mut too_long = false;
        loop {
            let input = self.bytes.fill_buf().map_err(at(&self.path))?;
            let (result, read, wrote, ended) =
                self.reader.read_record(input, &mut output, &mut bounds);
            self.bytes.consume(read);
            too_long |= text.len() + wrote > MAX_ROW_BYTES || ends.len() + ended > MAX_COLUMNS;
            if !too_long {
                text.extend_from_slice(&output[..wrote]);
                ends.extend_from_slice(&bounds[..ended]);
            }
            match result {
                ReadRecordResult::End => return Ok(None),
                ReadRecordResult::Record => break,
                _ => {}
            }
        }
        Ok(Some(Record {
            fields: fields(&text, &ends),
            too_long,
        }))
    }
}

/// Cuts the text of a record at the ends of its fields.
fn fields(text: &[u8], ends: &[usize]) -> Vec<Vec<u8>> {
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let field = |(start, &end): (usize, &usize)| text.get(start..end).unwrap_or(&[]).to_vec();
    starts.zip(ends).map(field).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(text: &str) -> Vec<Result<(usize, String), String>> {
        let bytes: Bytes = Box::new(std::io::Cursor::new(text.as_bytes().to_vec()));
        let mut records = Records::new(Path::new("a.csv"), bytes).unwrap();
        let mut found = Vec::new();
        loop {
            match records.next_row() {
                Ok(Some(row)) => found.push(Ok((row.line, row.text))),
                Ok(None) => return found,
                Err(error) => found.push(Err(error.to_string())),
            }
        }
    }

    #[test]
    fn quotes_newlines_and_wrong_widths() {
        let text = "\u{feff}id,text\n1,\"a \"\"b\"\",\nc\"\n2\n3,é";
        assert_eq!(
            rows(text),
            [
                Ok((2, r#"{"id":"1","text":"a \"b\",\nc"}"#.to_owned())),
                Err("a.csv:4: expected 2 columns, found 1".to_owned()),
                Ok((5, r#"{"id":"3","text":"é"}"#.to_owned())),
            ]
        );
        assert_eq!(rows(""), []);
    }

    #[test]
    fn a_quote_that_never_closes_is_too_long_and_not_held() {
        let text = format!("id,text\n1,\"{}", "x".repeat(MAX_ROW_BYTES + 1));
        assert_eq!(rows(&text), [Err(format!("a.csv:2: {}", too_long()))]);
    }

    #[test]
    fn long_fields_and_many_columns_are_put_together() {
        let names: Vec<_> = (0..100).map(|n| format!("c{n}")).collect();
        let long = "y".repeat(100_000);
        let fields = vec![long.as_str(); 3].into_iter().chain(vec!["z"; 97]);
        let line = fields.collect::<Vec<_>>().join(",");
        let found = rows(&format!("{}\n{line}\n", names.join(",")));
        let (_, text) = found[0].clone().unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (value["c2"].as_str(), value["c99"].as_str()),
            (Some(long.as_str()), Some("z"))
        );
    }
}
