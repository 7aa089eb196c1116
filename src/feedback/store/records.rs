//! Reading many records in full: each file is opened once per thread, not once per record.

use super::StoreError;
use super::history::{Event, History};
use crate::cores::cores;
use crate::feedback::record::Record;
use crate::feedback::record::line::from_line;
use crate::feedback::spill::sort::Fields;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::PathBuf;
use std::thread;

/// Fewest records that are worth a thread.
const WORTH_A_THREAD: usize = 500;

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Index into a list of files.
    pub file: u32,
    /// Bytes of the line, without the newline.
    pub len: u32,
    /// Line number, from 1.
    pub line: u64,
    /// Where the line begins, in bytes.
    pub offset: u64,
}

impl Place {
    /// Appends it to a row.
    pub fn write(&self, row: &mut Vec<u8>) {
        row.extend(self.file.to_be_bytes());
        row.extend(self.len.to_be_bytes());
        row.extend(self.line.to_be_bytes());
        row.extend(self.offset.to_be_bytes());
    }

    /// Reads what [`Place::write`] wrote.
    pub fn read(fields: &mut Fields) -> Self {
        Self {
            file: fields.u32(),
            len: fields.u32(),
            line: fields.u64(),
            offset: fields.u64(),
        }
    }
}

impl History {
    /// Reads the records of `events` in full, in their order. Quick if they lie in the order of the
    /// files, as those of [`History::all_effective`] do.
    ///
    /// # Errors
    /// As [`History::record`], for the first that fails.
    pub fn records(&self, events: &[&Event]) -> Result<Vec<Record>, StoreError> {
        let places: Vec<Place> = events.iter().map(|event| event.place()).collect();
        read_many(&self.files, &places)
    }
}

/// Reads the records that stand at `places` in full, in their order. Quick if they lie in that order.
///
/// # Errors
/// As [`read_one`], for the first that fails.
pub fn read_many(files: &[PathBuf], places: &[Place]) -> Result<Vec<Record>, StoreError> {
    let cores = cores();
    let share = places.len().div_ceil(cores).max(WORTH_A_THREAD);
    thread::scope(|scope| {
        let read = |share| move || Reader::new(files, 1 << 18).all(share);
        let threads: Vec<_> = places.chunks(share).map(|s| scope.spawn(read(s))).collect();
        let mut records = Vec::with_capacity(places.len());
        for thread in threads {
            match thread.join() {
                Ok(share) => records.append(&mut share?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(records)
    })
}

/// Reads one record in full.
///
/// # Errors
/// [`StoreError`] if the file changed or cannot be read.
pub fn read_one(files: &[PathBuf], place: Place) -> Result<Record, StoreError> {
    Reader::new(files, place.len as usize).record(place)
}

/// The file that is open, and how far it was read.
struct Reader<'a> {
    files: &'a [PathBuf],
    open: Option<(u32, BufReader<File>)>,
    offset: u64,
    line: Vec<u8>,
    /// Bytes that are read at once.
    ahead: usize,
}

impl<'a> Reader<'a> {
    fn new(files: &'a [PathBuf], ahead: usize) -> Self {
        Self {
            files,
            open: None,
            offset: 0,
            line: Vec::new(),
            ahead,
        }
    }

    fn all(mut self, places: &[Place]) -> Result<Vec<Record>, StoreError> {
        places.iter().map(|&place| self.record(place)).collect()
    }

    fn record(&mut self, place: Place) -> Result<Record, StoreError> {
        let path = &self.files[place.file as usize];
        self.fill(place).map_err(StoreError::io(path))?;
        from_line(&self.line).map_err(|source| StoreError::Line {
            path: path.clone(),
            line: place.line as usize,
            source,
        })
    }

    /// Reads the bytes of a line.
    fn fill(&mut self, place: Place) -> io::Result<()> {
        if self.open.as_ref().is_none_or(|open| open.0 != place.file) {
            let file = File::open(&self.files[place.file as usize])?;
            self.open = Some((place.file, BufReader::with_capacity(self.ahead, file)));
            self.offset = 0;
        }
        let Some((_, reader)) = &mut self.open else {
            return Ok(());
        };
        reader.seek_relative(place.offset as i64 - self.offset as i64)?;
        self.line.resize(place.len as usize, 0);
        reader.read_exact(&mut self.line)?;
        self.offset = place.offset + u64::from(place.len);
        Ok(())
    }
}
