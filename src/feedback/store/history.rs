//! What an annotator's events amount to: the effective label is the last event that was not
//! retracted, per (item, slot).

use super::StoreError;
use super::records::{Place, read_one};
use crate::feedback::record::glance::Glance;
use crate::feedback::record::{Kind, Origin, Outcome, Purpose, Record};
use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::iter;
use std::path::PathBuf;
use ulid::Ulid;

/// What is kept in memory of one line; [`History::record`] reads the rest. Small, because a project can
/// have millions of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Id of the event.
    pub id: Ulid,
    /// What happened.
    pub kind: Kind,
    /// The event that this one edits or retracts, which few do.
    pub supersedes: Option<Box<Ulid>>,
    /// The item, except on session lines.
    pub item: Option<Box<str>>,
    /// Repeat of the item, 0 for the first.
    pub slot: u8,
    /// What it was shown for.
    pub purpose: Option<Purpose>,
    /// The decision of a judgement.
    pub outcome: Option<Outcome>,
    /// How it came about.
    pub origin: Option<Origin>,
    /// True once a later event took it back.
    pub retracted: bool,
    /// Line number, from 1.
    pub line: usize,
    /// Index into [`History::files`].
    file: u32,
    /// Bytes of the line.
    len: u32,
    offset: u64,
    /// The answer before this one to an item with the same hash; index into [`History::events`].
    before: Option<u32>,
}

impl Event {
    /// What a line says that stands at `line` of a file, in the bytes of `place`.
    pub(super) fn new(glance: Glance, file: usize, line: usize, place: (u64, usize)) -> Self {
        Self {
            id: glance.id,
            kind: glance.kind,
            supersedes: glance.supersedes.map(Box::new),
            item: glance.item.map(|item| Box::from(&*item)),
            slot: glance.slot.unwrap_or(0),
            purpose: glance.purpose,
            outcome: glance.outcome,
            origin: glance.origin,
            retracted: false,
            line,
            file: file as u32,
            len: place.1 as u32,
            offset: place.0,
            before: None,
        }
    }

    /// Index into [`History::files`].
    pub fn file(&self) -> usize {
        self.file as usize
    }

    /// Where the line stands.
    pub fn place(&self) -> Place {
        Place {
            file: self.file,
            len: self.len,
            line: self.line as u64,
            offset: self.offset,
        }
    }

    /// True for events that say something about an item: judgement, skip, defer.
    pub fn is_answer(&self) -> bool {
        is_answer(self.kind)
    }
}

/// True for what says something about an item.
pub(super) fn is_answer(kind: Kind) -> bool {
    matches!(kind, Kind::Judgement | Kind::Skip | Kind::Defer)
}

/// What is known of an event that another one edits or retracts.
pub(super) enum Target {
    /// There is none.
    Absent,
    /// It is about another item or slot.
    Elsewhere,
    /// It is about the same.
    Here(Kind),
}

/// Checks that the event `id` may be edited or retracted by the one given by its kind and id.
pub(super) fn check_target(by: (Kind, Ulid), id: Ulid, target: Target) -> Result<(), String> {
    let kind = match target {
        Target::Absent => return Err(format!("`supersedes` names no event: {id}")),
        Target::Here(kind) if id != by.1 => kind,
        _ => {
            return Err(format!(
                "`supersedes` names an event about another item: {id}"
            ));
        }
    };
    let retractable = by.0 == Kind::Retract && is_answer(kind);
    if kind != Kind::Judgement && !retractable {
        return Err(format!("`supersedes` names a {kind:?}: {id}"));
    }
    Ok(())
}

/// A line that was cut off at the end of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// The session file.
    pub path: PathBuf,
    /// Its line number, from 1.
    pub line: usize,
    /// Where it begins, in bytes.
    pub offset: u64,
    /// Its length in bytes.
    pub len: usize,
    /// An earlier session copied it aside and told of it.
    pub kept: bool,
}

impl Torn {
    /// Where the line is kept: `<session>.jsonl.torn`.
    pub fn copy(&self) -> PathBuf {
        self.path.with_extension("jsonl.torn")
    }
}

/// All events of one annotator in the order in which they were made, sessions that overlap included.
#[derive(Debug, Default)]
pub struct History {
    /// The annotator.
    pub annotator: String,
    /// Session files in order.
    pub files: Vec<PathBuf>,
    /// Lines that were cut off.
    pub torn: Vec<Torn>,
    events: Vec<Event>,
    /// Indices into `events`, by id.
    by_id: Vec<u32>,
    /// By hash of the item, the last answer; [`Event::before`] leads to the others.
    by_item: HashMap<u64, u32, BuildHasherDefault<Hashed>>,
    hash: RandomState,
    last_session: Ulid,
}

/// For keys that are hashes already.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(size_of::<u64>()) {
            let mut key = [0; size_of::<u64>()];
            key[..chunk.len()].copy_from_slice(chunk);
            self.0 ^= u64::from_ne_bytes(key);
        }
    }
}

impl History {
    pub(super) fn new(annotator: &str) -> Self {
        Self {
            annotator: annotator.to_owned(),
            ..Self::default()
        }
    }

    /// All events in order, session lines and retracted ones included.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The event with this id.
    pub fn event(&self, id: Ulid) -> Option<&Event> {
        self.index(id).map(|index| &self.events[index])
    }

    fn index(&self, id: Ulid) -> Option<usize> {
        let of = |index: &u32| self.events[*index as usize].id;
        let place = self.by_id.binary_search_by_key(&id, of).ok()?;
        Some(self.by_id[place] as usize)
    }

    /// The effective event for an item and slot.
    pub fn effective(&self, item: &str, slot: u8) -> Option<&Event> {
        let stands = |event: &&Event| event.slot == slot && !event.retracted;
        self.about(item).find(stands)
    }

    /// The answer that is effective once `event` is taken back.
    pub fn former(&self, event: &Event) -> Option<&Event> {
        let about = self.about(event.item.as_deref()?);
        let mut before = about.skip_while(|other| other.id != event.id).skip(1);
        before.find(|other| other.slot == event.slot && !other.retracted)
    }

    /// The answers to an item, newest first.
    fn about<'a, 'b>(&'a self, item: &'b str) -> impl Iterator<Item = &'a Event> + use<'a, 'b> {
        let last = self.by_item.get(&self.hash.hash_one(item)).copied();
        iter::successors(last, |&index| self.events[index as usize].before)
            .map(|index| &self.events[index as usize])
            .filter(move |event| event.item.as_deref() == Some(item))
    }

    /// All effective events, in the order in which they were made.
    pub fn all_effective(&self) -> impl Iterator<Item = &Event> {
        let is_last = |event: &Event| {
            let item = event.item.as_deref();
            item.and_then(|item| self.effective(item, event.slot))
                .is_some_and(|e| e.id == event.id)
        };
        self.events
            .iter()
            .filter(move |event| event.is_answer() && is_last(event))
    }

    /// How many items (and repeats) have an effective judgement.
    pub fn judged(&self) -> usize {
        self.all_effective()
            .filter(|event| event.kind == Kind::Judgement)
            .count()
    }

    /// The event that undo would take back: the last answer that was not taken back.
    pub fn last_answer(&self) -> Option<&Event> {
        self.events
            .iter()
            .rev()
            .find(|event| event.is_answer() && !event.retracted)
    }

    /// Reads one record in full.
    ///
    /// # Errors
    /// [`StoreError`] if the file changed or cannot be read.
    pub fn record(&self, event: &Event) -> Result<Record, StoreError> {
        read_one(&self.files, event.place())
    }

    /// Reads the effective records in full, judgements only, in the order they were made.
    ///
    /// # Errors
    /// As [`History::record`].
    pub fn judgements(&self) -> Result<Vec<Record>, StoreError> {
        let events = self
            .all_effective()
            .filter(|event| event.kind == Kind::Judgement);
        events.map(|event| self.record(event)).collect()
    }

    /// Greater than or equal to every id in use.
    pub(super) fn last_id(&self) -> Ulid {
        let last = self.events.iter().map(|event| event.id).max();
        last.unwrap_or_default().max(self.last_session)
    }

    /// Registers a session file whose events follow.
    pub(super) fn add_file(&mut self, session: Ulid, path: PathBuf) -> usize {
        self.last_session = self.last_session.max(session);
        self.files.push(path);
        self.files.len() - 1
    }

    /// Registers events whose targets may lie anywhere among them, then applies their retractions.
    pub(super) fn add_all(&mut self, events: Vec<Event>) -> Result<(), StoreError> {
        let first = self.events.len();
        if self.events.is_empty() {
            self.events = events;
        } else {
            self.events.extend(events);
        }
        self.name(first)?;
        self.by_item.reserve(self.events.len() - first);
        for index in first..self.events.len() {
            let event = &mut self.events[index];
            if let (Some(item), true) = (&event.item, event.is_answer()) {
                let key = self.hash.hash_one(item);
                event.before = self.by_item.insert(key, index as u32);
            }
        }
        (first..self.events.len()).try_for_each(|index| self.link(index))
    }

    /// Makes the events from `first` on known by their id. Ids mostly rise, and then nothing is sorted.
    fn name(&mut self, first: usize) -> Result<(), StoreError> {
        let before = self.by_id.len().saturating_sub(1);
        self.by_id.extend(first as u32..self.events.len() as u32);
        let id = |index: &u32| self.events[*index as usize].id;
        if self.by_id[before..].is_sorted_by(|a, b| id(a) < id(b)) {
            return Ok(());
        }
        // Of two events with one id, the later one comes second.
        self.by_id.sort_by_key(id);
        let mut twos = self.by_id.windows(2);
        match twos.find(|two| id(&two[0]) == id(&two[1])) {
            Some(two) => {
                let event = &self.events[two[1] as usize];
                Err(self.broken(event, format!("event id {} occurs twice", event.id)))
            }
            None => Ok(()),
        }
    }

    fn link(&mut self, index: usize) -> Result<(), StoreError> {
        let event = &self.events[index];
        let Some(target) = event.supersedes.as_deref().copied() else {
            return Ok(());
        };
        self.check_target(event)
            .map_err(|reason| self.broken(event, reason))?;
        if let (Kind::Retract, Some(target)) = (event.kind, self.index(target)) {
            self.events[target].retracted = true;
        }
        Ok(())
    }

    /// Checks that what an event edits or retracts exists and is about the same item.
    pub(super) fn check_target(&self, event: &Event) -> Result<(), String> {
        let Some(id) = event.supersedes.as_deref().copied() else {
            return Ok(());
        };
        let target = match self.event(id) {
            None => Target::Absent,
            Some(target) if (&target.item, target.slot) == (&event.item, event.slot) => {
                Target::Here(target.kind)
            }
            Some(_) => Target::Elsewhere,
        };
        check_target((event.kind, event.id), id, target)
    }

    fn broken(&self, event: &Event, reason: String) -> StoreError {
        StoreError::Order {
            path: self.files[event.file()].clone(),
            line: event.line,
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_takes_80_bytes() {
        assert_eq!(size_of::<Event>(), 80);
    }
}
