//! The pages of a row group, as the decoder may have them.
//!
//! The `parquet` crate finds and decodes pages; between the two, this room does what the crate cannot
//! or does not do:
//!
//! 1. It decompresses zstd, in Rust: the crate's own decoder is C. The crate is told that the column
//!    is not compressed and hands out its pages as they are stored.
//! 2. It refuses pages in a delta encoding that claim more than they could hold: the crate allocates
//!    as many lengths as the encoding names, and 20 bytes can name 2^60.
//!    <https://github.com/apache/parquet-format/blob/master/Encodings.md>

use super::BATCH;
use super::delta;
use super::guard::{MAX_PAGES, wrong};
use crate::feedback::rows::zstd;
use parquet::basic::{Compression, Encoding};
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use parquet::file::reader::RowGroupReader;
use parquet::file::serialized_reader::SerializedPageReader;
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes that the decoder holds for a length: of a prefix, or of a suffix.
const LENGTH: usize = size_of::<i32>();

/// A row group of a file.
pub struct Group<'a> {
    file: Arc<File>,
    metadata: &'a RowGroupMetaData,
    /// The largest page of each column, in bytes once decompressed.
    limits: Vec<usize>,
    expanded: Arc<AtomicUsize>,
}

impl<'a> Group<'a> {
    /// A row group; `limits` has the largest page of each column, in bytes once decompressed.
    pub fn new(file: File, metadata: &'a RowGroupMetaData, limits: Vec<usize>) -> Self {
        Self {
            file: Arc::new(file),
            metadata,
            limits,
            expanded: Arc::default(),
        }
    }
}

impl RowGroupReader for Group<'_> {
    fn metadata(&self) -> &RowGroupMetaData {
        self.metadata
    }

    fn num_columns(&self) -> usize {
        self.metadata.num_columns()
    }

    fn get_column_page_reader(&self, index: usize) -> Result<Box<dyn PageReader>> {
        let column = self.metadata.column(index);
        let stored = as_stored(column)?;
        let rows = usize::try_from(self.metadata.num_rows())?;
        let descriptor = column.column_descr();
        Ok(Box::new(Pages {
            inner: SerializedPageReader::new(Arc::clone(&self.file), &stored, rows, None)?,
            is_zstd: is_zstd(column),
            limit: self.limits.get(index).copied().unwrap_or_default(),
            levels: [descriptor.max_rep_level(), descriptor.max_def_level()],
            own: 0,
            expanded: Arc::clone(&self.expanded),
        }))
    }

    fn get_column_bloom_filter(&self, _: usize) -> Option<&Sbbf> {
        None
    }

    fn get_row_iter(&self, projection: Option<Type>) -> Result<RowIter<'_>> {
        RowIter::from_row_group(projection, self)
    }
}

fn is_zstd(column: &ColumnChunkMetaData) -> bool {
    matches!(column.compression(), Compression::ZSTD(_))
}

/// The column as the crate shall read it: zstd stays as it is.
fn as_stored(column: &ColumnChunkMetaData) -> Result<ColumnChunkMetaData> {
    let column = column.clone();
    if !is_zstd(&column) {
        return Ok(column);
    }
    let builder = column.into_builder();
    builder.set_compression(Compression::UNCOMPRESSED).build()
}

/// The pages of one column.
struct Pages {
    inner: SerializedPageReader<File>,
    is_zstd: bool,
    limit: usize,
    /// Highest repetition and definition level.
    levels: [i16; 2],
    /// Bytes that the present page may expand to beside its content.
    own: usize,
    /// The same of all columns.
    expanded: Arc<AtomicUsize>,
}

impl Iterator for Pages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for Pages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let Some(mut page) = self.inner.get_next_page()? else {
            return Ok(None);
        };
        if self.is_zstd {
            page = decompressed(page, self.limit)?;
        }
        let own = expands_to(&page, self.levels)?;
        let others = self.expanded.fetch_sub(self.own, Ordering::Relaxed) - self.own;
        self.expanded.fetch_add(own, Ordering::Relaxed);
        self.own = own;
        if others.saturating_add(own) > MAX_PAGES as usize {
            let reason = "pages in a delta encoding are too large; write the file again with \
                          smaller ones, for example in Python: pyarrow.parquet.write_table(table, \
                          \"out.parquet\", data_page_size=100000)";
            return Err(ParquetError::General(reason.into()));
        }
        Ok(Some(page))
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.inner.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.inner.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.inner.at_record_boundary()
    }
}

/// The page with its content decompressed. In version 2 the levels before it are not compressed.
fn decompressed(mut page: Page, limit: usize) -> Result<Page> {
    let (buf, levels) = match &mut page {
        Page::DataPage { buf, .. } | Page::DictionaryPage { buf, .. } => (buf, 0),
        Page::DataPageV2 {
            is_compressed: false,
            ..
        } => return Ok(page),
        Page::DataPageV2 {
            buf,
            def_levels_byte_len,
            rep_levels_byte_len,
            ..
        } => (
            buf,
            *def_levels_byte_len as usize + *rep_levels_byte_len as usize,
        ),
    };
    let Some((levels, stored)) = buf.split_at_checked(levels) else {
        return Err(wrong("a page is shorter than its levels").into());
    };
    let mut content = levels.to_vec();
    let mut decoder = zstd::Frames::new(stored).take(limit as u64 + 1);
    decoder.read_to_end(&mut content)?;
    if content.len() > limit {
        return Err(wrong("a page is larger than it says").into());
    }
    *buf = content.into();
    Ok(page)
}

/// Bytes that the decoder allocates for a page beside its content.
///
/// With shared prefixes no value is longer than all suffixes together, and [`BATCH`] values are decoded
/// at a time.
fn expands_to(page: &Page, levels: [i16; 2]) -> io::Result<usize> {
    let streams = match page.encoding() {
        Encoding::DELTA_LENGTH_BYTE_ARRAY => 1,
        Encoding::DELTA_BYTE_ARRAY => 2,
        _ => return Ok(0),
    };
    let content = values(page, levels)?;
    let lengths = delta::lengths(content, streams, u64::from(page.num_values()))?;
    let values = if streams == 2 { BATCH } else { 0 };
    let lengths = (lengths as usize).saturating_mul(LENGTH);
    Ok(lengths.saturating_add(content.len().saturating_mul(values)))
}

/// The content of a data page after its levels. In version 1 each kind of level that a column has says
/// how long it is.
fn values(page: &Page, levels: [i16; 2]) -> io::Result<&[u8]> {
    let short = || wrong("a page is shorter than its levels");
    let mut content: &[u8] = page.buffer();
    match page {
        Page::DataPage {
            rep_level_encoding,
            def_level_encoding,
            ..
        } => {
            let encodings = [rep_level_encoding, def_level_encoding];
            let levels = levels.into_iter().zip(encodings);
            for (_, encoding) in levels.filter(|(highest, _)| *highest > 0) {
                if *encoding != Encoding::RLE {
                    return Err(wrong(
                        "levels in a delta page are packed as no writer does it",
                    ));
                }
                let (length, rest) = content.split_first_chunk().ok_or_else(short)?;
                let length = u32::from_le_bytes(*length) as usize;
                content = rest.get(length..).ok_or_else(short)?;
            }
        }
        Page::DataPageV2 {
            def_levels_byte_len: definition,
            rep_levels_byte_len: repetition,
            ..
        } => {
            let length = *definition as usize + *repetition as usize;
            content = content.get(length..).ok_or_else(short)?;
        }
        Page::DictionaryPage { .. } => {}
    }
    Ok(content)
}
