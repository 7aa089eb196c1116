//! What a Parquet file may not lie about, checked before the decoder believes it: the depth of its
//! schema (which is read by recursion), the counts in it, and the sizes and counts of its pages
//! (which are allocated as stated).
//!
//! The metadata is Thrift, compact protocol: <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>.

use parquet::file::metadata::RowGroupMetaData;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};

/// Longest footer, in bytes.
const MAX_FOOTER: u64 = 64 << 20;
/// Largest page once decompressed, in bytes. Writers aim at 1 MB.
const MAX_PAGE: i64 = 256 << 20;
/// Most bytes that the columns of a row group hold at once: each a dictionary and a page.
pub const MAX_PAGES: i64 = 512 << 20;
/// Most values in the dictionaries of a row group.
const MAX_DICTIONARIES: i64 = 16 << 20;
/// Most values in the lists of a row group: a few bytes can say that they are all in one row.
const MAX_LISTED: i64 = 32 << 20;
/// Deepest schema, and deepest nesting of the metadata itself.
const MAX_DEPTH: usize = 32;

/// Types of the compact protocol that are looked at.
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;

/// An error about what the file holds.
pub fn wrong(reason: &str) -> io::Error {
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

/// Walks the file's metadata: field 2 is the list of schema elements, depth first, and their field 5
/// the number of their children.
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
        for rest in (0..size).rev() {
            let children = thrift.numbered(5)?;
            if !(0..=rest).contains(&(children as u64)) {
                return Err(wrong("Parquet: the schema names more columns than it has"));
            }
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

/// Checks that the pages of a row group lie where the footer says and are not too large. Returns the
/// largest page of each column, in bytes once decompressed.
///
/// # Errors
/// What is wrong.
pub fn pages(mut file: &File, group: &RowGroupMetaData) -> io::Result<Vec<usize>> {
    let length = file.metadata()?.len() as i64;
    let (mut group_total, mut largest) = (Total::default(), Vec::new());
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
        let has_lists = column.column_descr().max_rep_level() > 0;
        let (mut at, mut total) = (start, Total::default());
        while at < end {
            file.seek(SeekFrom::Start(at as u64))?;
            let page = Page::read(&mut Compact::new(BufReader::with_capacity(256, file)))?;
            page.check(end - at)?;
            total.add(&page, has_lists);
            at += page.header + page.stored;
        }
        group_total.join(&total)?;
        largest.push(total.page.max(total.dictionary) as usize);
    }
    Ok(largest)
}

/// What the header of a page says.
#[derive(Debug, Default)]
struct Page {
    /// Length of the header.
    header: i64,
    /// Length of what follows it.
    stored: i64,
    /// The same, decompressed.
    content: i64,
    is_dictionary: bool,
    values: i64,
}

impl Page {
    fn read<R: Read>(thrift: &mut Compact<R>) -> io::Result<Self> {
        let (mut last, mut page) = (0, Self::default());
        while let Some((id, kind)) = thrift.field(&mut last)? {
            match (id, kind) {
                (2, _) => page.content = thrift.number()?,
                (3, _) => page.stored = thrift.number()?,
                // A data page, a dictionary, a data page of version 2: field 1 counts the values.
                (5 | 7 | 8, STRUCT) => {
                    page.is_dictionary |= id == 7;
                    page.values = page.values.max(thrift.numbered(1)?);
                }
                _ => thrift.skip(kind, 0)?,
            }
        }
        page.header = thrift.read as i64;
        Ok(page)
    }

    /// Checks a page that begins `room` bytes before the end of its column.
    fn check(&self, room: i64) -> io::Result<()> {
        if self.content > MAX_PAGE {
            return Err(wrong("a page is larger than 256 MiB once decompressed"));
        }
        if self.stored < 0 || self.content < 0 || self.stored > room - self.header {
            return Err(wrong("a page is larger than its column"));
        }
        // No plain value but a boolean, which has no dictionary, takes less than a byte.
        if self.is_dictionary && self.values > self.content {
            return Err(wrong("a dictionary claims more values than it has bytes"));
        }
        Ok(())
    }
}

/// What the decoder may hold at once.
#[derive(Debug, Default)]
struct Total {
    dictionary: i64,
    page: i64,
    dictionary_values: i64,
    listed: i64,
}

impl Total {
    /// Counts a page of a column.
    fn add(&mut self, page: &Page, has_lists: bool) {
        if page.is_dictionary {
            self.dictionary = self.dictionary.max(page.content);
            self.dictionary_values = self.dictionary_values.max(page.values);
        } else {
            self.page = self.page.max(page.content);
            let listed = if has_lists { page.values } else { 0 };
            self.listed = self.listed.saturating_add(listed);
        }
    }

    /// Counts a column of a row group.
    fn join(&mut self, column: &Self) -> io::Result<()> {
        self.page += column.page + column.dictionary;
        self.dictionary_values += column.dictionary_values;
        self.listed = self.listed.saturating_add(column.listed);
        let too_large = self.page > MAX_PAGES
            || self.dictionary_values > MAX_DICTIONARIES
            || self.listed > MAX_LISTED;
        if too_large {
            return Err(wrong(
                "a row group is too large; write the file again with smaller ones, for example in \
                 Python: pyarrow.parquet.write_table(table, \"out.parquet\", row_group_size=1000)",
            ));
        }
        Ok(())
    }
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

    /// A number in a struct, 0 if it is not there.
    fn numbered(&mut self, wanted: i64) -> io::Result<i64> {
        let (mut last, mut found) = (0, 0);
        while let Some((id, kind)) = self.field(&mut last)? {
            if id == wanted {
                found = self.number()?;
            } else {
                self.skip(kind, 0)?;
            }
        }
        Ok(found)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn page(bytes: &[u8]) -> Page {
        Page::read(&mut Compact::new(bytes)).unwrap()
    }

    #[test]
    fn a_dictionary_has_no_more_values_than_bytes() {
        // The first page of tests/fixtures/formats/pairs_snappy.parquet: 42 bytes, 3 values.
        let sound = [
            0x15, 4, 0x15, 0x54, 0x15, 0x46, 0x4c, 0x15, 6, 0x15, 0, 0x12, 0, 0,
        ];
        let read = page(&sound);
        assert_eq!((read.content, read.values, read.header), (42, 3, 14));
        assert!(read.is_dictionary && read.check(100).is_ok());
        // The same with 2^31 - 1 values.
        let mut lie = sound[..8].to_vec();
        lie.extend([0xfe, 0xff, 0xff, 0xff, 0x0f]);
        lie.extend(&sound[9..]);
        let error = page(&lie).check(100).unwrap_err().to_string();
        assert_eq!(error, "a dictionary claims more values than it has bytes");
    }

    #[test]
    fn a_schema_has_as_many_children_as_it_says() {
        // Field 2, a list of two structs: a root with that many children (field 5), a leaf.
        let footer = |children: &[u8]| {
            let mut bytes = vec![0x29, 0x2c, 0x55];
            bytes.extend(children);
            bytes.extend([0, 0, 0]);
            schema(&mut Compact::new(&bytes[..])).map_err(|error| error.to_string())
        };
        assert_eq!(footer(&[2]), Ok(()));
        let lie = Err("Parquet: the schema names more columns than it has".to_owned());
        assert_eq!(footer(&[4]), lie);
        assert_eq!(footer(&[0xfe, 0xff, 0xff, 0xff, 0x0f]), lie);
        assert_eq!(footer(&[1]), lie);
    }

    #[test]
    fn what_the_columns_hold_at_once_is_bounded() {
        let data = |content, values| Page {
            content,
            values,
            ..Page::default()
        };
        let group = |columns: usize, page: Page, has_lists| {
            let (mut group, mut column) = (Total::default(), Total::default());
            column.add(&page, has_lists);
            (0..columns).try_for_each(|_| group.join(&column))
        };
        assert!(group(2, data(MAX_PAGE, 1), false).is_ok());
        assert!(group(3, data(MAX_PAGE, 1), false).is_err());
        assert!(group(1, data(100, 1_000_000_000), false).is_ok());
        assert!(group(1, data(100, 1_000_000_000), true).is_err());
        let dictionary = Page {
            is_dictionary: true,
            ..data(10 << 20, 10 << 20)
        };
        assert!(group(2, dictionary, false).is_err());
    }
}
