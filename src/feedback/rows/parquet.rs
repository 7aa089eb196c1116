//! Rows of a Parquet file as JSON objects, one row group after the other, page by page.
//!
//! The `parquet` crate decodes; [`guard`] first checks what a hostile file could lie about, and [`pages`]
//! hands it the pages. Compressed with zstd, snappy, gzip, brotli or LZ4.

mod delta;
mod guard;
mod pages;

use super::at;
use crate::feedback::item::MAX_ROW_BYTES;
use crate::feedback::lines::{Row, RowError};
use pages::Group;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::{ReaderIter, TreeBuilder};
use parquet::record::{Field, Row as Record};
use serde_json::{Map, Value};
use std::cell::Cell;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Values that each column decodes ahead.
const BATCH: usize = 32;

/// Reader of the rows of a Parquet file.
pub struct Table {
    path: PathBuf,
    file: File,
    reader: SerializedFileReader<File>,
    group: usize,
    rows: Option<ReaderIter>,
    /// Rows read so far.
    row: usize,
}

impl Table {
    /// Reads and checks the file's footer.
    ///
    /// # Errors
    /// [`RowError`] naming what is damaged or not supported.
    pub fn open(path: &Path, file: File) -> Result<Self, RowError> {
        let failed = at(path);
        guard::footer(&file).map_err(&failed)?;
        let copy = file.try_clone().map_err(&failed)?;
        let reader = sound(|| SerializedFileReader::new(copy).map_err(reason));
        Ok(Self {
            path: path.to_owned(),
            file,
            reader: reader.map_err(|reason| bad(path, 1, &reason))?,
            group: 0,
            rows: None,
            row: 0,
        })
    }

    /// The next row, or `None` at the end. A damaged page ends the file: what follows it cannot be
    /// told apart from it.
    pub fn next_row(&mut self) -> Result<Option<Row>, RowError> {
        loop {
            if let Some(rows) = &mut self.rows {
                match sound(|| rows.next().transpose().map_err(reason)) {
                    Ok(Some(record)) => {
                        self.row += 1;
                        return self.text(&record).map(Some);
                    }
                    Ok(None) => self.rows = None,
                    Err(reason) => return Err(self.end(&reason)),
                }
            }
            if self.group == self.reader.metadata().num_row_groups() {
                return Ok(None);
            }
            match self.open_group() {
                Ok(rows) => self.rows = Some(rows),
                Err(reason) => return Err(self.end(&reason)),
            }
        }
    }

    /// The part of the rows that was read, 0..1.
    pub fn part_read(&self) -> f64 {
        let all = self.reader.metadata().file_metadata().num_rows();
        (self.row as f64 / (all.max(1)) as f64).min(1.0)
    }

    fn open_group(&mut self) -> Result<ReaderIter, String> {
        let metadata = self.reader.metadata();
        let group = metadata.row_group(self.group);
        supported(group)?;
        let limits = guard::pages(&self.file, group).map_err(|error| error.to_string())?;
        let schema = metadata.file_metadata().schema_descr_ptr();
        let file = self.file.try_clone().map_err(|error| error.to_string())?;
        let pages = Group::new(file, group, limits);
        let rows = sound(|| {
            let builder = TreeBuilder::new().with_batch_size(BATCH);
            let rows = builder.as_iter(schema, &pages);
            rows.map_err(reason)
        })?;
        self.group += 1;
        Ok(rows)
    }

    fn end(&mut self, reason: &str) -> RowError {
        self.rows = None;
        self.group = self.reader.metadata().num_row_groups();
        bad(&self.path, self.row + 1, reason)
    }

    fn text(&self, record: &Record) -> Result<Row, RowError> {
        let row = Row {
            path: self.path.clone(),
            line: self.row,
            text: object(record).to_string(),
        };
        if row.text.len() > MAX_ROW_BYTES {
            return Err(row.error(super::too_long()));
        }
        Ok(row)
    }
}

fn bad(path: &Path, line: usize, reason: &str) -> RowError {
    RowError::Bad {
        path: path.to_owned(),
        line,
        reason: format!("Parquet: {reason}"),
    }
}

/// What is wrong, without the crate's name for the kind of error.
fn reason(error: ParquetError) -> String {
    match error {
        ParquetError::External(error) => error.to_string(),
        ParquetError::General(reason) => reason,
        other => other.to_string(),
    }
}

thread_local! {
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// True while this thread decodes a file, when a panic is the file's fault and is caught.
pub fn is_decoding() -> bool {
    DECODING.get()
}

/// The decoder asserts what a sound file promises; on a damaged one that is an error like others.
fn sound<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    DECODING.set(true);
    let result = catch_unwind(AssertUnwindSafe(read));
    DECODING.set(false);
    result.unwrap_or_else(|_| Err("the file is damaged: its pages contradict its footer".into()))
}

fn supported(group: &RowGroupMetaData) -> Result<(), String> {
    let mut codecs = group.columns().iter().map(ColumnChunkMetaData::compression);
    match codecs.find(|codec| matches!(codec, Compression::LZO)) {
        None => Ok(()),
        Some(codec) => Err(format!(
            "compression {codec} is not supported; write the file again with snappy, for example \
             in Python: pyarrow.parquet.write_table(pyarrow.parquet.read_table(\"in.parquet\"), \
             \"out.parquet\", compression=\"snappy\")"
        )),
    }
}

fn object(record: &Record) -> Value {
    let fields = record.get_column_iter();
    Value::Object(
        fields
            .map(|(name, field)| (name.clone(), value(field)))
            .collect(),
    )
}

/// A value as JSON. Bytes are text here: old writers do not mark strings as such.
fn value(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(value) => (*value).into(),
        Field::Byte(number) => (*number).into(),
        Field::Short(number) => (*number).into(),
        Field::Int(number) | Field::Date(number) | Field::TimeMillis(number) => (*number).into(),
        Field::Long(number)
        | Field::TimeMicros(number)
        | Field::TimestampMillis(number)
        | Field::TimestampMicros(number) => (*number).into(),
        Field::UByte(number) => (*number).into(),
        Field::UShort(number) => (*number).into(),
        Field::UInt(number) => (*number).into(),
        Field::ULong(number) => (*number).into(),
        Field::Float16(number) => f64::from(f32::from(*number)).into(),
        Field::Float(number) => f64::from(*number).into(),
        Field::Double(number) => (*number).into(),
        Field::Decimal(_) => Value::String(field.to_string()),
        Field::Str(text) => text.as_str().into(),
        Field::Bytes(bytes) => String::from_utf8_lossy(bytes.data()).into(),
        Field::Group(record) => object(record),
        Field::ListInternal(list) => list.elements().iter().map(value).collect(),
        Field::MapInternal(map) => {
            let entry = |(key, field): &(Field, Field)| {
                let key = value(key);
                let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                (key, value(field))
            };
            Value::Object(map.entries().iter().map(entry).collect::<Map<_, _>>())
        }
    }
}
