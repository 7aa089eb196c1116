//! Rows in order, however many: sorted in memory while they fit, else in runs on disk that are merged.
//!
//! A row is a string of bytes; rows are ordered as bytes are, so numbers in them are big-endian.
//! When memory is full, what it holds is sorted and written as a run. Sixteen runs are merged into one
//! of the next level, so that reading needs one buffer for each of at most fifteen runs a level: the
//! memory taken does not depend on the number of rows.

use super::{Room, RoomError, read_at, write_at};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::fs::File;
use std::io;
use std::mem::{swap, take};
use std::ops::Range;

/// Runs of a level that are merged into one of the next.
const FAN_IN: usize = 16;
/// Bytes that are read or written at once.
const CHUNK: usize = 1 << 16;
/// Bytes of the length before each row.
const LENGTH: usize = size_of::<u32>();

/// Takes rows in any order.
#[derive(Debug)]
pub struct Sorter {
    room: Room,
    held: Held,
    levels: Vec<Level>,
}

impl Sorter {
    /// No rows yet.
    pub fn new(room: &Room) -> Self {
        Self {
            room: room.clone(),
            held: Held::default(),
            levels: Vec::new(),
        }
    }

    /// Takes a row.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn push(&mut self, row: &[u8]) -> Result<(), RoomError> {
        if self.held.size() + Held::size_of(row) > self.room.held() {
            self.spill().map_err(self.room.failed())?;
        }
        self.held.push(row);
        Ok(())
    }

    /// All rows, to be read in order.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn sorted(mut self) -> Result<Sorted, RoomError> {
        if self.levels.is_empty() {
            self.held.sort();
        } else {
            self.spill().map_err(self.room.failed())?;
            self.held = Held::default();
        }
        Ok(Sorted {
            room: self.room,
            held: self.held,
            levels: self.levels,
        })
    }

    /// Writes what is held as a run, and merges the levels that are full.
    fn spill(&mut self) -> io::Result<()> {
        if self.held.rows.is_empty() {
            return Ok(());
        }
        self.held.sort();
        let mut held = take(&mut self.held);
        self.level(0)?.write(&mut Merge::of([held.source()])?)?;
        held.clear();
        self.held = held;
        for level in 0.. {
            if self.levels[level].runs.len() < FAN_IN {
                break;
            }
            self.level(level + 1)?;
            let (lower, upper) = self.levels.split_at_mut(level + 1);
            let full = &mut lower[level];
            upper[0].write(&mut Merge::of(full.sources())?)?;
            full.runs.clear();
            full.file.set_len(0)?;
        }
        Ok(())
    }

    fn level(&mut self, level: usize) -> io::Result<&mut Level> {
        if self.levels.len() == level {
            self.levels.push(Level {
                file: self.room.file()?,
                runs: Vec::new(),
            });
        }
        Ok(&mut self.levels[level])
    }
}

/// Rows that were sorted; they can be read several times.
#[derive(Debug)]
pub struct Sorted {
    room: Room,
    held: Held,
    levels: Vec<Level>,
}

impl Sorted {
    /// A reader of the rows from the first on.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn rows(&self) -> Result<Rows<'_>, RoomError> {
        let runs = self.levels.iter().flat_map(Level::sources);
        let merge = Merge::of(runs.chain([self.held.source()]));
        Ok(Rows {
            merge: merge.map_err(self.room.failed())?,
            room: &self.room,
        })
    }
}

/// Reads rows in order.
#[derive(Debug)]
pub struct Rows<'a> {
    merge: Merge<'a>,
    room: &'a Room,
}

impl Rows<'_> {
    /// The next row, or `None` at the end.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn next_row(&mut self) -> Result<Option<&[u8]>, RoomError> {
        let more = self.merge.advance().map_err(self.room.failed())?;
        Ok(more.then_some(&self.merge.row))
    }
}

/// Rows in memory, each after its length.
#[derive(Debug, Default)]
struct Held {
    bytes: Vec<u8>,
    /// Where each begins.
    rows: Vec<u32>,
}

impl Held {
    fn push(&mut self, row: &[u8]) {
        self.rows.push(self.bytes.len() as u32);
        self.bytes.extend((row.len() as u32).to_le_bytes());
        self.bytes.extend(row);
    }

    fn size(&self) -> usize {
        self.bytes.len() + size_of_val(&*self.rows)
    }

    /// What it would be larger by.
    fn size_of(row: &[u8]) -> usize {
        LENGTH + row.len() + size_of::<u32>()
    }

    fn sort(&mut self) {
        let row = |start: &u32| row_at(&self.bytes, *start as usize);
        self.rows.sort_unstable_by(|a, b| row(a).cmp(row(b)));
    }

    fn source(&self) -> Source<'_> {
        Source::Held(self, 0)
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.rows.clear();
    }
}

/// The row whose length begins at `start`.
fn row_at(bytes: &[u8], start: usize) -> &[u8] {
    let from = start + LENGTH;
    &bytes[from..from + length_at(bytes, start)]
}

fn length_at(bytes: &[u8], start: usize) -> usize {
    let mut length = [0; LENGTH];
    length.copy_from_slice(&bytes[start..start + LENGTH]);
    u32::from_le_bytes(length) as usize
}

/// Runs of about one length, in one file.
#[derive(Debug)]
struct Level {
    file: File,
    runs: Vec<Range<u64>>,
}

impl Level {
    fn sources(&self) -> impl Iterator<Item = Source<'_>> {
        self.runs.iter().map(|run| {
            Source::Run(Run {
                file: &self.file,
                left: run.clone(),
                buffer: Vec::new(),
                from: 0,
            })
        })
    }

    /// Adds a run.
    fn write(&mut self, rows: &mut Merge) -> io::Result<()> {
        let start = self.runs.last().map_or(0, |run| run.end);
        let (mut end, mut buffer) = (start, Vec::with_capacity(CHUNK));
        loop {
            let more = rows.advance()?;
            if more {
                buffer.extend((rows.row.len() as u32).to_le_bytes());
                buffer.extend(&rows.row);
            }
            if buffer.len() >= CHUNK || !more {
                write_at(&self.file, &buffer, end)?;
                end += buffer.len() as u64;
                buffer.clear();
            }
            if !more {
                break;
            }
        }
        self.runs.push(start..end);
        Ok(())
    }
}

/// Several sources as one.
#[derive(Debug)]
struct Merge<'a> {
    sources: Vec<Source<'a>>,
    /// The next row of each source that has one.
    next: BinaryHeap<Reverse<(Vec<u8>, usize)>>,
    /// The row that was reached.
    row: Vec<u8>,
}

impl<'a> Merge<'a> {
    fn of(sources: impl IntoIterator<Item = Source<'a>>) -> io::Result<Self> {
        let mut merge = Self {
            sources: sources.into_iter().collect(),
            next: BinaryHeap::new(),
            row: Vec::new(),
        };
        for (index, source) in merge.sources.iter_mut().enumerate() {
            let mut row = Vec::new();
            if source.read(&mut row)? {
                merge.next.push(Reverse((row, index)));
            }
        }
        Ok(merge)
    }

    /// Goes to the next row; false at the end.
    fn advance(&mut self) -> io::Result<bool> {
        let Some(mut least) = self.next.peek_mut() else {
            return Ok(false);
        };
        let Reverse((row, source)) = &mut *least;
        swap(&mut self.row, row);
        if !self.sources[*source].read(row)? {
            PeekMut::pop(least);
        }
        Ok(true)
    }
}

/// Rows in order.
#[derive(Debug)]
enum Source<'a> {
    /// In memory, from this one on.
    Held(&'a Held, usize),
    /// On disk.
    Run(Run<'a>),
}

impl Source<'_> {
    /// Puts the next row in the place of `row`; false at the end.
    fn read(&mut self, row: &mut Vec<u8>) -> io::Result<bool> {
        match self {
            Self::Run(run) => run.read(row),
            Self::Held(held, next) => {
                let Some(&start) = held.rows.get(*next) else {
                    return Ok(false);
                };
                *next += 1;
                row.clear();
                row.extend(row_at(&held.bytes, start as usize));
                Ok(true)
            }
        }
    }
}

#[derive(Debug)]
struct Run<'a> {
    file: &'a File,
    /// What was not read yet.
    left: Range<u64>,
    buffer: Vec<u8>,
    /// Where the next row begins in the buffer.
    from: usize,
}

impl Run<'_> {
    fn read(&mut self, row: &mut Vec<u8>) -> io::Result<bool> {
        if !self.fill(LENGTH)? {
            return Ok(false);
        }
        let length = length_at(&self.buffer, self.from);
        self.fill(LENGTH + length)?;
        row.clear();
        row.extend(row_at(&self.buffer, self.from));
        self.from += LENGTH + length;
        Ok(true)
    }

    /// Makes the next `count` bytes lie in the buffer; false at the end.
    fn fill(&mut self, count: usize) -> io::Result<bool> {
        let there = self.buffer.len() - self.from;
        if there >= count {
            return Ok(true);
        }
        let left = (self.left.end - self.left.start) as usize;
        if there + left < count {
            return Ok(false);
        }
        self.buffer.drain(..self.from);
        self.from = 0;
        let more = left.min(CHUNK.max(count) - there);
        self.buffer.resize(there + more, 0);
        read_at(self.file, &mut self.buffer[there..], self.left.start)?;
        self.left.start += more as u64;
        Ok(true)
    }
}

/// Reads the parts of a row that this program wrote.
#[derive(Debug)]
pub struct Fields<'a>(pub &'a [u8]);

impl Fields<'_> {
    /// The next `N` bytes; zeros beyond the end.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let (first, rest) = self.0.split_first_chunk().unwrap_or((&[0; N], &[]));
        self.0 = rest;
        *first
    }

    /// A byte.
    pub fn u8(&mut self) -> u8 {
        u8::from_be_bytes(self.bytes())
    }

    /// A number of four bytes.
    pub fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.bytes())
    }

    /// A number of eight bytes.
    pub fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sorted(rows: &[Vec<u8>], held: usize) -> (Vec<Vec<u8>>, usize) {
        let dir = tempfile::tempdir().unwrap();
        let room = Room::beside(&dir.path().join("out")).holding(held);
        let mut sorter = Sorter::new(&room);
        for row in rows {
            sorter.push(row).unwrap();
            assert!(sorter.held.size() <= held.max(Held::size_of(row)));
        }
        let sorted = sorter.sorted().unwrap();
        let all = |mut reader: Rows| {
            let mut rows = Vec::new();
            while let Some(row) = reader.next_row().unwrap() {
                rows.push(row.to_vec());
            }
            rows
        };
        let first = all(sorted.rows().unwrap());
        assert_eq!(all(sorted.rows().unwrap()), first, "read twice");
        // The files have no name that a crash could leave behind.
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        (first, sorted.levels.len())
    }

    #[test]
    fn five_thousand_rows_of_four_hundred_bytes_at_a_time_take_three_levels() {
        // Odd multiples of a large odd number: all different, in no order.
        let row = |n: u32| n.wrapping_mul(0x9e37_79b9).to_be_bytes().to_vec();
        let rows: Vec<_> = (0..5000).map(row).collect();
        let mut expected = rows.clone();
        expected.sort();
        let (found, levels) = sorted(&rows, 400);
        assert_eq!(found, expected);
        // 33 rows a run: 152 runs, of which nine times sixteen are merged.
        assert_eq!(levels, 2);
        assert_eq!(sorted(&rows, 100).1, 3);
        assert_eq!(sorted(&rows, 1 << 20), (expected, 0));
    }

    proptest! {
        #[test]
        fn rows_of_any_length_come_as_a_vector_would_sort_them(
            mut rows in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..200),
            long in prop::collection::vec(any::<u8>(), 0..100_000),
            held in prop_oneof![Just(1), Just(60), Just(1 << 20)],
        ) {
            rows.push(long);
            let (found, _) = sorted(&rows, held);
            rows.sort();
            prop_assert_eq!(found, rows);
        }
    }
}
