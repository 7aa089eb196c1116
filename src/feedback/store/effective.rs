//! The effective events of an annotator, in memory that does not grow with them: what
//! [`History::all_effective`](super::history::History::all_effective) says, as strictly checked.
//!
//! What is about one item and slot is brought together by sorting; the last answer among it that was not
//! retracted counts. Who edits or retracts names an event about the same item and slot, so that whatever
//! must be known of an event lies side by side: only that much is held.

use super::history::{Target, check_target, is_answer};
use super::load::{Reader, session_files};
use super::records::Place;
use super::{StoreError, annotator_folder};
use crate::feedback::item::{Name, name_of};
use crate::feedback::record::glance::Glance;
use crate::feedback::record::{Kind, Origin};
use crate::feedback::spill::Room;
use crate::feedback::spill::sort::{Fields, Sorted, Sorter};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use ulid::Ulid;

/// Bytes that a core reads before what it kept of them is sorted.
const SHARE: u64 = 8 << 20;

/// When an event was made, as the order of an annotator's events has it: by the greatest id in its file
/// up to it, and by the order of the files and lines.
pub type Made = (Ulid, u64);

/// An event that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effective {
    /// Its place in the order of the annotator's events.
    pub made: Made,
    /// Its id.
    pub id: Ulid,
    /// True if a moderator rules on the judgements of others.
    pub ruling: bool,
    /// The item that it is about: [`name_of`] batch and id.
    pub item: Name,
    /// Where it stands.
    pub place: Place,
}

/// Reads and checks all events of an annotator, and hands those that count to `take`, in no order. The
/// annotator's files are added to `files`, which the places refer to.
///
/// # Errors
/// As [`load`](super::load::load), and if `room` has none.
pub fn effective(
    (feedback, annotator): (&Path, &str),
    room: &Room,
    files: &mut Vec<PathBuf>,
    take: &mut dyn FnMut(&Effective) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let (events, ids) = read(feedback, annotator, room, files)?;
    check_ids(&ids, files)?;
    let mut first: Option<Fault> = None;
    let mut topic: Vec<Event> = Vec::new();
    let mut rows = events.rows()?;
    loop {
        let event = rows.next_row()?.map(Event::read);
        let same = |event: &Event| topic.first().is_none_or(|t| t.topic == event.topic);
        if !event.as_ref().is_some_and(same) {
            let faults = first.into_iter().chain(fault(&topic));
            first = faults.min_by_key(|fault| fault.made);
            if let Some(effective) = last_standing(&topic) {
                take(&effective)?;
            }
            topic.clear();
        }
        match event {
            Some(event) => topic.push(event),
            None => break,
        }
    }
    first.map_or(Ok(()), |fault| Err(fault.error(&ids, files)?))
}

/// An event as it is sorted.
struct Event {
    /// [`name_of`] slot and item; where there is no item, of the slot.
    topic: Name,
    made: Made,
    id: Ulid,
    kind: Kind,
    ruling: bool,
    /// [`Effective::item`].
    item: Option<Name>,
    place: Place,
    supersedes: Option<Ulid>,
}

/// In the order of their declaration.
const KINDS: [Kind; 6] = [
    Kind::Judgement,
    Kind::Retract,
    Kind::Skip,
    Kind::Defer,
    Kind::SessionStart,
    Kind::SessionEnd,
];

impl Event {
    /// What a line says that stands in the bytes of `place`; its file and number are added later.
    fn new(glance: &Glance, (offset, len): (u64, usize)) -> Self {
        let slot = glance.slot.unwrap_or(0).to_string();
        let id = glance.item.as_deref();
        let batch = glance.batch.as_deref().unwrap_or_default();
        Self {
            topic: id.map_or_else(|| name_of(&[&slot]), |id| name_of(&[&slot, id])),
            made: (glance.id, 0),
            id: glance.id,
            kind: glance.kind,
            ruling: glance.origin == Some(Origin::Adjudication),
            item: id.map(|id| name_of(&[batch, id])),
            place: Place {
                file: 0,
                len: len as u32,
                line: 0,
                offset,
            },
            supersedes: glance.supersedes,
        }
    }

    /// A row that is sorted by topic, then by when the events were made.
    fn write(&self, row: &mut Vec<u8>) {
        row.extend(self.topic);
        row.extend(self.made.0.to_bytes());
        row.extend(self.made.1.to_be_bytes());
        row.extend(self.id.to_bytes());
        row.extend([self.kind as u8, u8::from(self.ruling)]);
        self.place.write(row);
        row.push(u8::from(self.item.is_some()));
        row.extend(self.item.into_iter().flatten());
        row.extend(self.supersedes.iter().flat_map(Ulid::to_bytes));
    }

    fn read(row: &[u8]) -> Self {
        let mut fields = Fields(row);
        Self {
            topic: fields.bytes(),
            made: (Ulid::from_bytes(fields.bytes()), fields.u64()),
            id: Ulid::from_bytes(fields.bytes()),
            kind: KINDS[usize::from(fields.u8()) % KINDS.len()],
            ruling: fields.u8() == 1,
            place: Place::read(&mut fields),
            item: (fields.u8() == 1).then(|| fields.bytes()),
            supersedes: (!fields.0.is_empty()).then(|| Ulid::from_bytes(fields.bytes())),
        }
    }
}

/// All events of an annotator by topic, and their ids in order, as rows of id, [`Made`] and [`Place`].
fn read(
    feedback: &Path,
    annotator: &str,
    room: &Room,
    files: &mut Vec<PathBuf>,
) -> Result<(Sorted, Sorted), StoreError> {
    let (mut events, mut ids) = (Sorter::new(room), Sorter::new(room));
    let (mut number, mut row) = (0, Vec::new());
    let folder = annotator_folder(feedback, annotator)?;
    for (session, path) in session_files(&folder)? {
        let file = files.len() as u32;
        let mut latest = Ulid::nil();
        let keep = |glance: Glance, place| Event::new(&glance, place);
        let mut take = |line: usize, mut event: Event| {
            latest = latest.max(event.id);
            event.made = (latest, number);
            (event.place.file, event.place.line) = (file, line as u64);
            number += 1;
            row.clear();
            event.write(&mut row);
            events.push(&row)?;
            row.clear();
            row.extend(event.id.to_bytes());
            row.extend(latest.to_bytes());
            row.extend(event.made.1.to_be_bytes());
            event.place.write(&mut row);
            Ok(ids.push(&row)?)
        };
        let reader = Reader {
            path: &path,
            session,
            annotator,
        };
        reader.read(SHARE, &keep, &mut take)?;
        files.push(path);
    }
    Ok((events.sorted()?, ids.sorted()?))
}

/// Id and place of a row of ids.
fn id_of(row: &[u8]) -> (Ulid, Place) {
    let mut fields = Fields(row);
    let id = Ulid::from_bytes(fields.bytes());
    let _made: [u8; 24] = fields.bytes();
    (id, Place::read(&mut fields))
}

/// Checks that no id occurs twice.
fn check_ids(ids: &Sorted, files: &[PathBuf]) -> Result<(), StoreError> {
    let (mut rows, mut before) = (ids.rows()?, None);
    while let Some(row) = rows.next_row()? {
        let (id, place) = id_of(row);
        if before.replace(id) == Some(id) {
            return Err(broken(files, place, format!("event id {id} occurs twice")));
        }
    }
    Ok(())
}

/// An event that edits or retracts what it may not.
struct Fault {
    made: Made,
    place: Place,
    by: (Kind, Ulid),
    target: Ulid,
    /// The kind of the target, if it is about the same item and slot.
    here: Option<Kind>,
}

impl Fault {
    fn error(&self, ids: &Sorted, files: &[PathBuf]) -> Result<StoreError, StoreError> {
        let mut target = self.here.map_or(Target::Absent, Target::Here);
        let mut rows = ids.rows()?;
        while let (Target::Absent, Some(row)) = (&target, rows.next_row()?) {
            if id_of(row).0 == self.target {
                target = Target::Elsewhere;
            }
        }
        let reason = check_target(self.by, self.target, target).err();
        Ok(broken(files, self.place, reason.unwrap_or_default()))
    }
}

/// The first event of a topic that edits or retracts what it may not.
fn fault(topic: &[Event]) -> Option<Fault> {
    let linked = || {
        topic
            .iter()
            .filter_map(|event| Some((event, event.supersedes?)))
    };
    linked().next()?;
    let kinds: HashMap<Ulid, Kind> = topic.iter().map(|event| (event.id, event.kind)).collect();
    linked().find_map(|(event, target)| {
        let (by, here) = ((event.kind, event.id), kinds.get(&target).copied());
        let sound = here.is_some_and(|kind| check_target(by, target, Target::Here(kind)).is_ok());
        (!sound).then_some(Fault {
            made: event.made,
            place: event.place,
            by,
            target,
            here,
        })
    })
}

/// The last answer of a topic that was not retracted.
fn last_standing(topic: &[Event]) -> Option<Effective> {
    let retracts = topic.iter().filter(|event| event.kind == Kind::Retract);
    let retracted: HashSet<Ulid> = retracts.filter_map(|event| event.supersedes).collect();
    let stands = |event: &&Event| is_answer(event.kind) && !retracted.contains(&event.id);
    let event = topic.iter().rev().find(stands)?;
    Some(Effective {
        made: event.made,
        id: event.id,
        ruling: event.ruling,
        item: event.item?,
        place: event.place,
    })
}

fn broken(files: &[PathBuf], place: Place, reason: String) -> StoreError {
    StoreError::Order {
        path: files[place.file as usize].clone(),
        line: place.line as usize,
        reason,
    }
}
