//! Where each item of a project stands, for programs that go through more text than memory holds.
//!
//! Every row is read and checked once, as [`read_batch`](super::read_batch) does, and 28 bytes of each
//! are kept: where the row is, a hash of the item's name, and its place in the order of the hashes.

use super::file::read_batch_with;
use super::{Item, SamplesError};
use crate::feedback::lines::{from_json, jsonl_files};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The items of a project, by where they stand.
#[derive(Debug, Default)]
pub struct Index {
    files: Vec<PathBuf>,
    /// Files in name order, rows in file order.
    places: Vec<Place>,
    /// Indices into `places`, by key.
    by_key: Vec<u32>,
    hash: RandomState,
}

#[derive(Debug, Clone, Copy)]
struct Place {
    /// Hash of batch and id.
    key: u64,
    offset: u64,
    len: u32,
    file: u32,
}

impl Index {
    /// Reads every `samples/*.jsonl` of a project. A missing folder has none.
    ///
    /// # Errors
    /// As [`read_batch`](super::read_batch).
    pub fn read(samples: &Path) -> Result<Self, SamplesError> {
        let files = jsonl_files(samples)?;
        let hash = RandomState::new();
        let mut places = Vec::new();
        for (file, path) in files.iter().enumerate() {
            let place = |item: Item, row: Range<u64>| Place {
                key: hash.hash_one((&*item.batch, &*item.id)),
                offset: row.start,
                len: (row.end - row.start) as u32,
                file: file as u32,
            };
            places.append(&mut read_batch_with(path, &place)?);
        }
        let mut by_key: Vec<u32> = (0..places.len() as u32).collect();
        by_key.sort_unstable_by_key(|&index| places[index as usize].key);
        Ok(Self {
            files,
            places,
            by_key,
            hash,
        })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// A reader of their text.
    pub fn reader(&self) -> Reader<'_> {
        Reader {
            index: self,
            open: None,
            row: Vec::new(),
        }
    }

    /// Where an item with this name may stand.
    fn candidates(&self, batch: &str, id: &str) -> &[u32] {
        let key = self.hash.hash_one((batch, id));
        let keys = |index: &u32| self.places[*index as usize].key;
        let start = self.by_key.partition_point(|index| keys(index) < key);
        let from = &self.by_key[start..];
        &from[..from.partition_point(|index| keys(index) == key)]
    }
}

/// Reads items one at a time; the file of the last one is open.
#[derive(Debug)]
pub struct Reader<'a> {
    index: &'a Index,
    open: Option<(u32, File)>,
    row: Vec<u8>,
}

impl Reader<'_> {
    /// The item with this index, read and checked again.
    ///
    /// # Errors
    /// [`SamplesError::Io`] if the file cannot be read, or was changed since.
    pub fn item(&mut self, index: usize) -> Result<Item, SamplesError> {
        let place = self.index.places[index];
        let read = self.fill(place).and_then(|()| parse(&self.row));
        read.map_err(|source| SamplesError::Io {
            path: self.index.files[place.file as usize].clone(),
            source,
        })
    }

    /// The item with this name, and its index.
    ///
    /// # Errors
    /// As [`Reader::item`].
    pub fn find(&mut self, batch: &str, id: &str) -> Result<Option<(usize, Item)>, SamplesError> {
        for &index in self.index.candidates(batch, id) {
            let item = self.item(index as usize)?;
            if (&*item.batch, &*item.id) == (batch, id) {
                return Ok(Some((index as usize, item)));
            }
        }
        Ok(None)
    }

    /// Reads the bytes of a row.
    fn fill(&mut self, place: Place) -> io::Result<()> {
        let open = match self.open.take() {
            Some((file, open)) if file == place.file => open,
            _ => File::open(&self.index.files[place.file as usize])?,
        };
        let (_, file) = self.open.insert((place.file, open));
        file.seek(SeekFrom::Start(place.offset))?;
        self.row.resize(place.len as usize, 0);
        file.read_exact(&mut self.row)
    }
}

fn parse(row: &[u8]) -> io::Result<Item> {
    let changed = |reason: &dyn std::fmt::Display| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("was changed while it was read ({reason}); try again"),
        )
    };
    let text = str::from_utf8(row).map_err(|error| changed(&error))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let item: Item = from_json(text).map_err(|error| changed(&error))?;
    item.check().map_err(|error| changed(&error))?;
    Ok(item)
}
