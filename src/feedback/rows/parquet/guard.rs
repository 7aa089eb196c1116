//! What a Parquet file may not lie about, checked before the decoder believes it: the depth of its
//! schema (which is read by recursion) and the sizes of its pages (which are allocated as stated).
//!
//! The metadata is Thrift, compact protocol: <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>.

use parquet::file::metadata::RowGroupMetaData;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// Longest footer, in bytes.
const MAX_FOOTER: u64 = 64 << 20;
/// Largest page once decompressed, in bytes. Writers aim at 1 MB.
const MAX_PAGE: i64 = 256 << 20;
/// Deepest schema, and deepest nesting of the metadata itself.
const MAX_DEPTH: usize = 32;

/// Types of the compact protocol that are looked at.
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;

fn wrong(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.to_owned())
}

/// Checks the length of the footer and the depth of the schema in it.
///
/// # Errors
/// What is wrong; [`io::ErrorKind::UnexpectedEof`] for a footer that ends too early.
pub fn footer(mut file: &File) -> io::Result<()> {
    let length = file.seek(SeekFrom::End(0))?;
    let mut tail = [0; 8];
    if length < 12 {
        return Err(wrong("Parquet: the file is cut off"));
    }
    file.seek(SeekFrom::Start(length - 8))?;
    file.read_exact(&mut tail)?;
    let [a, b, c, d, magic @ ..] = tail;
    let size = u64::from(u32::from_le_bytes([a, b, c, d]));
    if magic != *b"PAR1" || size > length - 12 {
        return Err(wrong(
            "Parquet: the file is cut off: it does not end in its footer",
        ));
    }
    if size > MAX_FOOTER {
        return Err(wrong("Parquet: the footer is longer than 64 MiB"));
    }
    file.seek(SeekFrom::Start(length - 8 - size))?;
    schema(&mut Compact::new(BufReader::new(file.take(size))))
}

/// Walks the file's metadata: field 2 is the list of schema elements, depth first.
fn schema<R: Read>(thrift: &mut Compact<R>) -> io::Result<()> {
    let mut last = 0;
    while let Some((id, kind)) = thrift.field(&mut last)? {
        if (id, kind) != (2, LIST) {
            thrift.skip(kind, 0)?;
            continue;
        }
        let (size, element) = thrift.list()?;
        if element != STRUCT {
            return Err(wrong("Parquet: the schema is damaged"));
        }
        let mut open: Vec<i64> = Vec::new();
        for _ in 0..size {
            let children = thrift.children()?;
            while open.pop_if(|left| *left <= 0).is_some() {}
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            if children > 0 {
                open.push(children);
            }
            if open.len() > MAX_DEPTH {
                return Err(wrong("Parquet: the schema is nested deeper than 32 levels"));
            }
        }
    }
    Ok(())
}

/// Checks that the pages of a row group lie where the footer says and are not too large.
///
/// # Errors
/// What is wrong.
pub fn pages(file: &File, group: &RowGroupMetaData) -> io::Result<()> {
    let length = file.metadata()?.len() as i64;
    for column in group.columns() {
        let start = column
            .dictionary_page_offset()
            .filter(|&offset| offset > 0 && offset < column.data_page_offset())
            .unwrap_or(column.data_page_offset());
        let size = column.compressed_size();
        let end = start.checked_add(size).filter(|&end| end <= length);
        let Some(end) = end.filter(|_| start > 0 && size >= 0) else {
            return Err(wrong("a column lies outside the file"));
        };
        let mut at = start;
        while at < end {
            let (header, stored, content) = page(file, at)?;
            if content > MAX_PAGE {
                return Err(wrong("a page is larger than 256 MiB once decompressed"));
            }
            if stored < 0 || content < 0 || stored > end - at - header {
                return Err(wrong("a page is larger than its column"));
            }
            at += header + stored;
        }
    }
    Ok(())
}

/// Length of the header of the page at an offset, and the page's sizes: as stored, decompressed.
fn page(mut file: &File, at: i64) -> io::Result<(i64, i64, i64)> {
    file.seek(SeekFrom::Start(at as u64))?;
    let mut thrift = Compact::new(BufReader::with_capacity(256, file));
    let (mut last, mut stored, mut content) = (0, 0, 0);
    while let Some((id, kind)) = thrift.field(&mut last)? {
        match id {
            2 => content = thrift.number()?,
            3 => stored = thrift.number()?,
            _ => thrift.skip(kind, 0)?,
        }
    }
    Ok((thrift.read as i64, stored, content))
}

/// Reader of the compact protocol that keeps nothing.
struct Compact<R> {
    reader: R,
    /// Bytes read.
    read: u64,
}

impl<R: Read> Compact<R> {
    fn new(reader: R) -> Self {
        Self { reader, read: 0 }
    }

    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.reader.read_exact(&mut byte)?;
        self.read += 1;
        Ok(byte[0])
    }

    fn unsigned(&mut self) -> io::Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(wrong("Parquet: the metadata is damaged"))
    }

    /// A zigzag number.
    fn number(&mut self) -> io::Result<i64> {
        let value = self.unsigned()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Id and type of the next field of a struct, `None` at its end; `last` is the id before.
    fn field(&mut self, last: &mut i64) -> io::Result<Option<(i64, u8)>> {
        let head = self.byte()?;
        if head == 0 {
            return Ok(None);
        }
        *last = match head >> 4 {
            0 => self.number()?,
            delta => last.saturating_add(i64::from(delta)),
        };
        Ok(Some((*last, head & 15)))
    }

    /// Size and element type of a list.
    fn list(&mut self) -> io::Result<(u64, u8)> {
        let head = self.byte()?;
        let size = match head >> 4 {
            15 => self.unsigned()?,
            size => u64::from(size),
        };
        Ok((size, head & 15))
    }

    /// Field 5 of a schema element: the number of its children.
    fn children(&mut self) -> io::Result<i64> {
        let (mut last, mut children) = (0, 0);
        while let Some((id, kind)) = self.field(&mut last)? {
            if id == 5 {
                children = self.number()?;
            } else {
                self.skip(kind, 0)?;
            }
        }
        Ok(children)
    }

    fn skip(&mut self, kind: u8, depth: usize) -> io::Result<()> {
        if depth > MAX_DEPTH {
            return Err(wrong("Parquet: the metadata is nested too deeply"));
        }
        match kind {
            // Booleans stand in the field's own type.
            1 | 2 => Ok(()),
            3 => self.byte().map(|_| ()),
            4..=6 => self.unsigned().map(|_| ()),
            7 => self.skip_bytes(8),
            BINARY => {
                let length = self.unsigned()?;
                self.skip_bytes(length)
            }
            LIST | SET => {
                let (size, element) = self.list()?;
                (0..size).try_for_each(|_| self.skip_element(element, depth))
            }
            MAP => self.skip_map(depth),
            STRUCT => {
                let mut last = 0;
                while let Some((_, kind)) = self.field(&mut last)? {
                    self.skip(kind, depth + 1)?;
                }
                Ok(())
            }
            _ => Err(wrong("Parquet: the metadata is damaged")),
        }
    }

    /// Booleans in a list are bytes.
    fn skip_element(&mut self, kind: u8, depth: usize) -> io::Result<()> {
        if matches!(kind, 1 | 2) {
            return self.byte().map(|_| ());
        }
        self.skip(kind, depth + 1)
    }

    fn skip_map(&mut self, depth: usize) -> io::Result<()> {
        let size = self.unsigned()?;
        if size == 0 {
            return Ok(());
        }
        let kinds = self.byte()?;
        for _ in 0..size {
            self.skip_element(kinds >> 4, depth)?;
            self.skip_element(kinds & 15, depth)?;
        }
        Ok(())
    }

    fn skip_bytes(&mut self, length: u64) -> io::Result<()> {
        let mut bytes = self.reader.by_ref().take(length);
        let skipped = io::copy(&mut bytes, &mut io::sink())?;
        self.read += skipped;
        if skipped < length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }
}
