//! What counts in a project, for programs that pass over it: records and texts stay on disk until their
//! turn comes.
//!
//! [`Labels`](super::labels::Labels) says the same and holds it all. Held here are 28 bytes of an item
//! (see [`Index`]) and what [`History`] keeps of an event.

use super::item::{Index, Item, Reader, SamplesError};
use super::labels::{Folders, Label, LabelsError, misfit, missing, place, same_text, settles};
use super::record::{Origin, Record, SIM_PREFIX};
use super::store::history::{Event, History};
use super::store::load::load_all;
use std::collections::HashSet;
use std::{slice, vec};
use ulid::Ulid;

/// Records that are read ahead.
const AHEAD: usize = 1000;

/// Everything that counts in a project, by where it stands.
#[derive(Debug, Default)]
pub struct Ledger {
    items: Index,
    histories: Vec<History>,
    settled: HashSet<Ulid>,
}

impl Ledger {
    /// Reads and checks all items and events of a project. Whether a judgement is about text that is there
    /// is checked when its turn comes.
    ///
    /// # Errors
    /// [`LabelsError`], by file and line.
    pub fn read(folders: &Folders) -> Result<Self, LabelsError> {
        let items = Index::read(&folders.samples)?;
        let histories = load_all(&folders.feedback)?;
        let mut settled = HashSet::new();
        for history in &histories {
            let rulings: Vec<&Event> = history.all_effective().filter(|e| is_ruling(e)).collect();
            for record in history.records(&rulings)? {
                settled.extend(settles(&record));
            }
        }
        Ok(Self {
            items,
            histories,
            settled,
        })
    }

    /// True if something that this annotator said counts.
    pub fn has(&self, annotator: &str) -> bool {
        let mut all = self.histories.iter();
        all.any(|history| {
            history.annotator == annotator && history.all_effective().next().is_some()
        })
    }

    /// All labels with their items: by annotator name, then in the order they were made.
    pub fn labels(&self) -> Walk<'_> {
        self.walk(|_, _| true)
    }

    /// Labels of people, in the same order.
    pub fn of_people(&self) -> Walk<'_> {
        self.walk(|history, _| !history.annotator.starts_with(SIM_PREFIX))
    }

    /// Labels that are no rulings of a moderator, in the same order.
    pub fn opinions(&self) -> Walk<'_> {
        self.walk(|_, event| !is_ruling(event))
    }

    /// Rulings of moderators, in the same order.
    pub fn rulings(&self) -> Walk<'_> {
        self.walk(|_, event| is_ruling(event))
    }

    /// All items, batches in name order.
    pub fn items(&self) -> impl Iterator<Item = Result<Item, SamplesError>> {
        let mut reader = self.items.reader();
        (0..self.items.len()).map(move |index| reader.item(index))
    }

    /// A reader of items by their index, which is [`Label::item`].
    pub fn reader(&self) -> Reader<'_> {
        self.items.reader()
    }

    fn walk(&self, wanted: fn(&History, &Event) -> bool) -> Walk<'_> {
        Walk {
            ledger: self,
            reader: self.items.reader(),
            wanted,
            histories: self.histories.iter(),
            history: None,
            events: Vec::new().into_iter(),
            read: Vec::new().into_iter(),
        }
    }
}

fn is_ruling(event: &Event) -> bool {
    event.origin == Some(Origin::Adjudication)
}

/// Reads labels and their items, one after the other; see [`Ledger::labels`].
pub struct Walk<'a> {
    ledger: &'a Ledger,
    reader: Reader<'a>,
    wanted: fn(&History, &Event) -> bool,
    histories: slice::Iter<'a, History>,
    history: Option<&'a History>,
    /// What follows in `history`.
    events: vec::IntoIter<&'a Event>,
    /// What was read ahead.
    read: vec::IntoIter<(&'a Event, Record)>,
}

impl<'a> Walk<'a> {
    /// Reads the next records; false at the end.
    fn read_ahead(&mut self) -> Result<bool, LabelsError> {
        loop {
            let events: Vec<&Event> = self.events.by_ref().take(AHEAD).collect();
            if let (Some(history), false) = (self.history, events.is_empty()) {
                let records = history.records(&events)?;
                let read: Vec<_> = events.into_iter().zip(records).collect();
                self.read = read.into_iter();
                return Ok(true);
            }
            let Some(history) = self.histories.next() else {
                return Ok(false);
            };
            let wanted = |event: &&Event| (self.wanted)(history, event);
            let events: Vec<_> = history.all_effective().filter(wanted).collect();
            self.events = events.into_iter();
            self.history = Some(history);
        }
    }

    fn label(
        &mut self,
        history: &History,
        event: &'a Event,
        record: Record,
    ) -> Result<(Label, Item), LabelsError> {
        let (batch, id) = place(&record);
        let found = self.reader.find(batch, id)?;
        let found = found
            .ok_or_else(|| missing(batch, id))
            .and_then(|(index, item)| {
                same_text(&record, &item)?;
                Ok((index, item))
            });
        let (index, item) = found.map_err(|reason| misfit(history, event, reason))?;
        let settled = self.ledger.settled.contains(&record.id);
        let label = Label {
            record,
            item: index,
            settled,
        };
        Ok((label, item))
    }
}

impl Iterator for Walk<'_> {
    type Item = Result<(Label, Item), LabelsError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let (Some(history), Some((event, record))) = (self.history, self.read.next()) {
                return Some(self.label(history, event, record));
            }
            match self.read_ahead() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
