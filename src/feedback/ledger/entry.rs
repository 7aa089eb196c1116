//! A label before it is read: where its record and its item stand.

use crate::feedback::item;
use crate::feedback::spill::sort::Fields;
use crate::feedback::store::effective::{Effective, Made};
use crate::feedback::store::records::Place;
use ulid::Ulid;

/// A label, by where it stands. In rows, entries are in the order of the annotators and then in that in
/// which they were made.
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// Index into the annotators.
    pub annotator: u32,
    made: Made,
    /// Id of the event.
    pub id: Ulid,
    /// True if a moderator rules on the judgements of others.
    pub ruling: bool,
    /// Where the record stands.
    pub record: Place,
    /// Where the item stands, if there is one with this name.
    pub item: Option<item::Place>,
}

impl Entry {
    /// What counts of an annotator. Its item is not known yet.
    pub fn new(annotator: usize, event: &Effective) -> Self {
        Self {
            annotator: annotator as u32,
            made: event.made,
            id: event.id,
            ruling: event.ruling,
            record: event.place,
            item: None,
        }
    }

    /// Appends it to a row.
    pub fn write(&self, row: &mut Vec<u8>) {
        row.extend(self.annotator.to_be_bytes());
        row.extend(self.made.0.to_bytes());
        row.extend(self.made.1.to_be_bytes());
        row.extend(self.id.to_bytes());
        row.push(u8::from(self.ruling));
        self.record.write(row);
        if let Some(item) = &self.item {
            item.write(row);
        }
    }

    /// Reads what [`Entry::write`] wrote.
    pub fn read(fields: &mut Fields) -> Self {
        Self {
            annotator: fields.u32(),
            made: (Ulid::from_bytes(fields.bytes()), fields.u64()),
            id: Ulid::from_bytes(fields.bytes()),
            ruling: fields.u8() == 1,
            record: Place::read(fields),
            item: (!fields.0.is_empty()).then(|| item::Place::read(fields)),
        }
    }
}
