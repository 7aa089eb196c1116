//! What counts in a project, for programs that pass over it: records and texts stay on disk until their
//! turn comes, and so does what must be known of all of them together.
//!
//! [`Labels`](super::labels::Labels) says the same and holds it all. Here, a label is a row that says where
//! its record and its item stand, and rows are sorted on disk once there are many:
//!
//! 1. Items by name, from the samples ([`Index`]).
//! 2. Of each annotator, the events that count, by the name of their item
//!    ([`effective`](super::store::effective)).
//! 3. Both are merged, and the labels put in their order: by annotator, then as they were made.
//! 4. What rulings settle is a set of ids, gathered in one pass over the rulings.

mod entry;
mod walk;

pub use super::spill::{Room, RoomError};
pub use walk::Walk;

use super::item::{InOrder, Index, Item, Name, Place, SamplesError};
use super::labels::{Folders, LabelsError, settles};
use super::record::SIM_PREFIX;
use super::spill::seen::Seen;
use super::spill::sort::{Fields, Sorted, Sorter};
use super::store::annotators;
use super::store::effective::effective;
use entry::Entry;
use std::collections::BTreeSet;
use std::path::PathBuf;
use walk::Wanted;

/// Bytes of an id.
const ID: usize = 16;

/// Everything that counts in a project, by where it stands.
#[derive(Debug)]
pub struct Ledger {
    room: Room,
    samples: Index,
    /// Session files of all annotators.
    files: Vec<PathBuf>,
    /// In name order.
    annotators: Vec<String>,
    /// Those of whom something counts.
    heard: BTreeSet<u32>,
    /// Rows of [`Entry`].
    entries: Sorted,
    /// Ids of judgements that a ruling replaced.
    settled: Seen<ID>,
}

impl Ledger {
    /// Reads and checks all items and events of a project. Whether a judgement is about text that is there
    /// is checked when its turn comes. What is too much for memory goes to the system's folder for
    /// temporary files.
    ///
    /// # Errors
    /// [`LabelsError`], by file and line.
    pub fn read(folders: &Folders) -> Result<Self, LabelsError> {
        Self::within(folders, &Room::system())
    }

    /// The same, with as much memory and such a folder as `room` says.
    ///
    /// # Errors
    /// [`LabelsError`], by file and line.
    pub fn within(folders: &Folders, room: &Room) -> Result<Self, LabelsError> {
        let (samples, names) = Index::read(&folders.samples, room)?;
        let annotators = annotators(&folders.feedback)?;
        let (mut files, mut heard) = (Vec::new(), BTreeSet::new());
        let mut by_item = Sorter::new(room);
        for (number, annotator) in annotators.iter().enumerate() {
            let who = (&*folders.feedback, &**annotator);
            effective(who, room, &mut files, &mut |event| {
                heard.insert(number as u32);
                let mut row = event.item.to_vec();
                Entry::new(number, event).write(&mut row);
                Ok(by_item.push(&row)?)
            })?;
        }
        let mut ledger = Self {
            room: room.clone(),
            samples,
            files,
            annotators,
            heard,
            entries: join(by_item.sorted()?, names, room)?,
            settled: Seen::new(room),
        };
        ledger.settled = ledger.settled()?;
        Ok(ledger)
    }

    /// What the rulings settle.
    fn settled(&self) -> Result<Seen<ID>, LabelsError> {
        let mut settled = Seen::new(&self.room);
        let mut rulings = self.rulings();
        while let Some((_, record)) = rulings.record()? {
            for id in settles(&record) {
                settled.insert(id.to_bytes())?;
            }
        }
        Ok(settled)
    }

    /// True if something that this annotator said counts.
    pub fn has(&self, annotator: &str) -> bool {
        let mut heard = self.heard.iter();
        heard.any(|&number| self.annotators[number as usize] == annotator)
    }

    /// All labels with their items: by annotator name, then in the order they were made.
    pub fn labels(&self) -> Walk<'_> {
        self.walk(|_, _| true)
    }

    /// Labels of people, in the same order.
    pub fn of_people(&self) -> Walk<'_> {
        self.walk(|annotator, _| !annotator.starts_with(SIM_PREFIX))
    }

    /// Labels that are no rulings of a moderator, in the same order.
    pub fn opinions(&self) -> Walk<'_> {
        self.walk(|_, entry| !entry.ruling)
    }

    /// Rulings of moderators, in the same order.
    pub fn rulings(&self) -> Walk<'_> {
        self.walk(|_, entry| entry.ruling)
    }

    /// All items, batches in name order.
    pub fn items(&self) -> impl Iterator<Item = Result<Item, SamplesError>> {
        let mut items = self.in_order();
        (0..self.samples.len()).filter_map(move |index| items.item(index).transpose())
    }

    /// A reader of items by their index, which is [`Label::item`](super::labels::Label::item), from the
    /// first to the last.
    pub fn in_order(&self) -> InOrder<'_> {
        self.samples.in_order()
    }

    /// Room for what is made of the labels.
    pub fn room(&self) -> &Room {
        &self.room
    }

    fn walk(&self, wanted: Wanted) -> Walk<'_> {
        Walk::new(self, wanted)
    }

    fn annotator(&self, entry: &Entry) -> &str {
        &self.annotators[entry.annotator as usize]
    }
}

/// Tells each entry where its item stands. Both come by the name of the item; entries leave in their order.
fn join(entries: Sorted, names: Sorted, room: &Room) -> Result<Sorted, RoomError> {
    let (mut entries, mut names) = (entries.rows()?, names.rows()?);
    let mut joined = Sorter::new(room);
    let mut item: Option<(Name, Place)> = None;
    let mut row = Vec::new();
    while let Some(next) = entries.next_row()? {
        let mut fields = Fields(next);
        let name: Name = fields.bytes();
        while item.is_none_or(|item| item.0 < name) {
            let Some(next) = names.next_row()? else {
                break;
            };
            let mut fields = Fields(next);
            item = Some((fields.bytes(), Place::read(&mut fields)));
        }
        let mut entry = Entry::read(&mut fields);
        entry.item = item.filter(|item| item.0 == name).map(|item| item.1);
        row.clear();
        entry.write(&mut row);
        joined.push(&row)?;
    }
    joined.sorted()
}
