//! One pass over the labels of a ledger.

use super::Ledger;
use super::entry::Entry;
use crate::feedback::item::{Item, Reader};
use crate::feedback::labels::{Label, LabelsError, misfit, missing, place, same_text};
use crate::feedback::record::Record;
use crate::feedback::spill::RoomError;
use crate::feedback::spill::sort::{Fields, Rows};
use crate::feedback::store::records::read_many;
use std::vec;

/// Records that are read ahead, and their bytes.
const AHEAD: usize = 1000;
const AHEAD_BYTES: u64 = 1 << 21;

/// Which labels: by the annotator's name.
pub(super) type Wanted = fn(&str, &Entry) -> bool;

/// Reads labels and their items, one after the other; see [`Ledger::labels`].
pub struct Walk<'a> {
    ledger: &'a Ledger,
    reader: Reader<'a>,
    wanted: Wanted,
    /// What follows, once it was asked for.
    rows: Option<Rows<'a>>,
    /// What was read ahead.
    read: vec::IntoIter<(Entry, Record)>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(ledger: &'a Ledger, wanted: Wanted) -> Self {
        Self {
            ledger,
            reader: ledger.samples.reader(),
            wanted,
            rows: None,
            read: Vec::new().into_iter(),
        }
    }

    /// The next entries that are wanted: none at the end.
    fn entries(&mut self) -> Result<Vec<Entry>, RoomError> {
        let rows = match &mut self.rows {
            Some(rows) => rows,
            None => self.rows.insert(self.ledger.entries.rows()?),
        };
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while entries.len() < AHEAD && bytes < AHEAD_BYTES {
            let Some(row) = rows.next_row()? else {
                break;
            };
            let entry = Entry::read(&mut Fields(row));
            if (self.wanted)(self.ledger.annotator(&entry), &entry) {
                bytes += u64::from(entry.record.len);
                entries.push(entry);
            }
        }
        Ok(entries)
    }

    /// The next entry and its record.
    pub(super) fn record(&mut self) -> Result<Option<(Entry, Record)>, LabelsError> {
        if let Some(next) = self.read.next() {
            return Ok(Some(next));
        }
        let entries = self.entries()?;
        let places: Vec<_> = entries.iter().map(|entry| entry.record).collect();
        let records = read_many(&self.ledger.files, &places)?;
        let read: Vec<_> = entries.into_iter().zip(records).collect();
        self.read = read.into_iter();
        Ok(self.read.next())
    }

    fn label(&mut self, entry: Entry, record: Record) -> Result<(Label, Item), LabelsError> {
        let misfit = |reason| misfit(&self.ledger.files, entry.record, reason);
        let Some(at) = entry.item else {
            let (batch, id) = place(&record);
            return Err(misfit(missing(batch, id)));
        };
        let item = self.reader.item(at)?;
        same_text(&record, &item).map_err(misfit)?;
        let label = Label {
            record,
            item: at.index as usize,
            settled: self.ledger.settled.contains(entry.id.to_bytes())?,
        };
        Ok((label, item))
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<(Label, Item), LabelsError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.record() {
            Ok(next) => next.map(|(entry, record)| self.label(entry, record)),
            Err(error) => Some(Err(error)),
        }
    }
}
