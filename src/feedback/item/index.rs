//! Where each item of a project stands, for programs that go through more text than memory holds.
//!
//! Every row is read and checked once, as [`read_batch`](super::read_batch) does. What is known of it
//! then (its name, its place) goes to a sorter, so that memory does not grow with the items.

use super::file::{SamplesError, check_repeated, each_part};
use super::{Item, MAX_ROW_BYTES};
use crate::feedback::digest::Sha256;
use crate::feedback::lines::{Lines, from_json, jsonl_files};
use crate::feedback::spill::Room;
use crate::feedback::spill::sort::{Fields, Sorted, Sorter};
use std::fmt::Display;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Bytes that a core reads before what it kept of them is sorted.
pub(super) const SHARE: u64 = 16 << 20;

/// A name as short as any other: equal for equal names, and for no others.
pub type Name = [u8; 16];

/// Half the SHA-256 of the parts of a name: whoever writes a project cannot make two of them meet.
pub fn name_of(parts: &[&str]) -> Name {
    let hash = Sha256::of_parts(parts.iter().map(|part| part.as_bytes()));
    let mut name = Name::default();
    name.copy_from_slice(&hash.as_bytes()[..size_of::<Name>()]);
    name
}

/// Where an item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its number in the project: files in name order, rows in file order.
    pub index: u64,
    file: u32,
    len: u32,
    offset: u64,
}

impl Place {
    /// Appends it to a row.
    pub fn write(&self, row: &mut Vec<u8>) {
        row.extend(self.index.to_be_bytes());
        row.extend(self.file.to_be_bytes());
        row.extend(self.len.to_be_bytes());
        row.extend(self.offset.to_be_bytes());
    }

    /// Reads what [`Place::write`] wrote.
    pub fn read(fields: &mut Fields) -> Self {
        Self {
            index: fields.u64(),
            file: fields.u32(),
            len: fields.u32(),
            offset: fields.u64(),
        }
    }
}

/// The samples of a project as they stood when they were read.
#[derive(Debug, Default)]
pub struct Index {
    /// Each file, and how many items it has.
    files: Vec<(PathBuf, u64)>,
}

impl Index {
    /// Reads every `samples/*.jsonl` of a project; a missing folder has none. With it come the places of
    /// all items in the order of their names, as rows of [`Name`] and [`Place`].
    ///
    /// # Errors
    /// As [`read_batch`](super::read_batch), and if `room` has none.
    pub fn read(samples: &Path, room: &Room) -> Result<(Self, Sorted), SamplesError> {
        let mut read = Reading {
            index: Self::default(),
            all: 0,
            places: Sorter::new(room),
        };
        let mut files = jsonl_files(samples)?.into_iter();
        let end = files.try_for_each(|path| read.file(path));
        let names = read.places.sorted()?;
        read.index.check_names(&names)?;
        end.map(|()| (read.index, names))
    }

    /// A name that occurs twice is one of two rows of a file: a batch has one file.
    fn check_names(&self, names: &Sorted) -> Result<(), SamplesError> {
        let mut rows = names.rows()?;
        let (mut before, mut first) = (None, None);
        while let Some(row) = rows.next_row()? {
            let mut fields = Fields(row);
            let name: Name = fields.bytes();
            let place = Place::read(&mut fields);
            if before.replace(name) == Some(name) && first.is_none_or(|file| place.file < file) {
                first = Some(place.file);
            }
        }
        match first {
            Some(file) => check_repeated(&self.files[file as usize].0),
            None => Ok(()),
        }
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.files.iter().map(|(_, items)| items).sum()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A reader of items by their place.
    pub fn reader(&self) -> Reader<'_> {
        Reader {
            index: self,
            open: None,
            row: Vec::new(),
        }
    }

    /// A reader of items in their order.
    pub fn in_order(&self) -> InOrder<'_> {
        InOrder {
            files: &self.files,
            open: None,
            next: 0,
            in_file: 0,
        }
    }
}

/// An index in the making.
struct Reading {
    index: Index,
    /// Items so far.
    all: u64,
    places: Sorter,
}

impl Reading {
    fn file(&mut self, path: PathBuf) -> Result<(), SamplesError> {
        let (file, first) = (self.index.files.len() as u32, self.all);
        let keep = |item: Item, row: Range<u64>| (name_of(&[&item.batch, &item.id]), row);
        let end = each_part(&path, SHARE, &keep, &mut |part, _| {
            for (name, row) in part {
                let place = Place {
                    index: self.all,
                    file,
                    len: (row.end - row.start) as u32,
                    offset: row.start,
                };
                let mut row = name.to_vec();
                place.write(&mut row);
                self.places.push(&row)?;
                self.all += 1;
            }
            Ok(())
        });
        self.index.files.push((path, self.all - first));
        end
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
    /// The item at a place, read and checked again.
    ///
    /// # Errors
    /// [`SamplesError::Io`] if the file cannot be read, or was changed since.
    pub fn item(&mut self, place: Place) -> Result<Item, SamplesError> {
        let read = self.fill(place).and_then(|()| parse(&self.row));
        read.map_err(|source| SamplesError::Io {
            path: self.index.files[place.file as usize].0.clone(),
            source,
        })
    }

    /// Reads the bytes of a row.
    fn fill(&mut self, place: Place) -> io::Result<()> {
        let open = match self.open.take() {
            Some((file, open)) if file == place.file => open,
            _ => File::open(&self.index.files[place.file as usize].0)?,
        };
        let (_, file) = self.open.insert((place.file, open));
        file.seek(SeekFrom::Start(place.offset))?;
        self.row.resize(place.len as usize, 0);
        file.read_exact(&mut self.row)
    }
}

/// Reads items in their order, and passes over those that are not wanted without parsing them.
pub struct InOrder<'a> {
    /// The files that are not done with.
    files: &'a [(PathBuf, u64)],
    /// The first of them.
    open: Option<Lines>,
    /// The item that comes next, in the project and in its file.
    next: u64,
    in_file: u64,
}

impl InOrder<'_> {
    /// The item with this index, which must not be below that of the last one; `None` beyond the last.
    ///
    /// # Errors
    /// [`SamplesError`] if its file cannot be read, or was changed since.
    pub fn item(&mut self, index: u64) -> Result<Option<Item>, SamplesError> {
        while let Some(((path, items), rest)) = self.files.split_first() {
            let left = items - self.in_file;
            if self.next + left <= index {
                self.next += left;
                (self.files, self.open, self.in_file) = (rest, None, 0);
                continue;
            }
            let failed = |source| SamplesError::Io {
                path: path.clone(),
                source,
            };
            let lines = match &mut self.open {
                Some(lines) => lines,
                None => self.open.insert(Lines::open(path, MAX_ROW_BYTES)?),
            };
            while self.next <= index {
                let row = lines.next_row()?;
                let row = row.ok_or_else(|| failed(changed(&"a row is gone")))?;
                (self.next, self.in_file) = (self.next + 1, self.in_file + 1);
                if self.next > index {
                    return parse(row.text.as_bytes()).map(Some).map_err(failed);
                }
                lines.reuse(row);
            }
        }
        Ok(None)
    }
}

fn changed(reason: &dyn Display) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("was changed while it was read ({reason}); try again"),
    )
}

fn parse(row: &[u8]) -> io::Result<Item> {
    let text = str::from_utf8(row).map_err(|error| changed(&error))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let item: Item = from_json(text).map_err(|error| changed(&error))?;
    item.check().map_err(|error| changed(&error))?;
    Ok(item)
}
