//! Reading many records in full: each file is opened once per thread, not once per record.

use super::StoreError;
use super::history::{Event, History};
use crate::feedback::record::Record;
use crate::feedback::record::line::from_line;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::num::NonZero;
use std::thread;

/// Fewest records that are worth a thread.
const WORTH_A_THREAD: usize = 500;

impl History {
    /// Reads the records of `events` in full, in their order. Quick if they lie in the order of the
    /// files, as those of [`History::all_effective`] do.
    ///
    /// # Errors
    /// As [`History::record`], for the first that fails.
    pub fn records(&self, events: &[&Event]) -> Result<Vec<Record>, StoreError> {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let share = events.len().div_ceil(cores).max(WORTH_A_THREAD);
        thread::scope(|scope| {
            let read = |share| move || Reader::default().read(self, share);
            let threads: Vec<_> = events.chunks(share).map(|s| scope.spawn(read(s))).collect();
            let mut records = Vec::with_capacity(events.len());
            for thread in threads {
                match thread.join() {
                    Ok(share) => records.append(&mut share?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok(records)
        })
    }
}

/// The file that is open, and how far it was read.
#[derive(Default)]
struct Reader {
    open: Option<(usize, BufReader<File>)>,
    offset: u64,
    line: Vec<u8>,
}

impl Reader {
    fn read(mut self, history: &History, events: &[&Event]) -> Result<Vec<Record>, StoreError> {
        let mut records = Vec::with_capacity(events.len());
        for event in events {
            let path = &history.files[event.file()];
            self.fill(history, event).map_err(StoreError::io(path))?;
            let record = from_line(&self.line).map_err(|source| StoreError::Line {
                path: path.clone(),
                line: event.line,
                source,
            });
            records.push(record?);
        }
        Ok(records)
    }

    /// Reads the bytes of `event` into `line`.
    fn fill(&mut self, history: &History, event: &Event) -> io::Result<()> {
        let is_open = |(file, _): &(usize, _)| *file == event.file();
        if !self.open.as_ref().is_some_and(is_open) {
            let file = File::open(&history.files[event.file()])?;
            self.open = Some((event.file(), BufReader::with_capacity(1 << 18, file)));
            self.offset = 0;
        }
        let Some((_, reader)) = &mut self.open else {
            return Ok(());
        };
        let (offset, len) = event.bytes();
        reader.seek_relative(offset as i64 - self.offset as i64)?;
        self.line.resize(len, 0);
        reader.read_exact(&mut self.line)?;
        self.offset = offset + len as u64;
        Ok(())
    }
}
