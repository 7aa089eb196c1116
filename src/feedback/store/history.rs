//! What an annotator's events amount to: the effective label is the last event that was not
//! retracted, per (item, slot).

use super::StoreError;
use crate::feedback::record::glance::{Glance, Text};
use crate::feedback::record::line::from_line;
use crate::feedback::record::{Kind, Outcome, Purpose, Record};
use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{Read, Seek, SeekFrom};
use std::iter;
use std::path::PathBuf;
use ulid::Ulid;

/// What is kept in memory of one line; [`History::record`] reads the rest.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Id of the event.
    pub id: Ulid,
    /// What happened.
    pub kind: Kind,
    /// Number in its session.
    pub seq: u64,
    /// The event that this one edits or retracts.
    pub supersedes: Option<Ulid>,
    /// The item, except on session lines.
    pub item: Option<String>,
    /// Repeat of the item, 0 for the first.
    pub slot: u8,
    /// What it was shown for.
    pub purpose: Option<Purpose>,
    /// The decision of a judgement.
    pub outcome: Option<Outcome>,
    /// True once a later event took it back.
    pub retracted: bool,
    /// Index into [`History::files`].
    pub file: usize,
    /// Line number, from 1.
    pub line: usize,
    pub(super) offset: u64,
    pub(super) len: usize,
    /// The answer before this one to an item with the same hash; index into [`History::events`].
    before: Option<usize>,
}

impl Event {
    pub(super) fn new(glance: Glance, file: usize, line: usize, place: (u64, usize)) -> Self {
        Self {
            id: glance.id,
            kind: glance.kind,
            seq: glance.seq,
            supersedes: glance.supersedes,
            item: glance.item.map(Text::into_owned),
            slot: glance.slot.unwrap_or(0),
            purpose: glance.purpose,
            outcome: glance.outcome,
            retracted: false,
            file,
            line,
            offset: place.0,
            len: place.1,
            before: None,
        }
    }

    /// True for events that say something about an item: judgement, skip, defer.
    pub fn is_answer(&self) -> bool {
        matches!(self.kind, Kind::Judgement | Kind::Skip | Kind::Defer)
    }
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
    by_id: HashMap<Ulid, usize>,
    /// By hash of the item, the last answer; [`Event::before`] leads to the others.
    by_item: HashMap<u64, usize>,
    hash: RandomState,
    last_session: Ulid,
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
        self.by_id.get(&id).map(|&index| &self.events[index])
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
        iter::successors(last, |&index| self.events[index].before)
            .map(|index| &self.events[index])
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
        let path = &self.files[event.file];
        let read = || {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(event.offset))?;
            let mut line = vec![0; event.len];
            file.read_exact(&mut line)?;
            Ok(line)
        };
        let line = read().map_err(StoreError::io(path))?;
        let place = |source| StoreError::Line {
            path: path.clone(),
            line: event.line,
            source,
        };
        from_line(&line).map_err(place)
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
    pub(super) fn add_all(&mut self, mut events: Vec<Event>) -> Result<(), StoreError> {
        let first = self.events.len();
        self.by_id.reserve(events.len());
        self.by_item.reserve(events.len());
        self.events.append(&mut events);
        let all = first..self.events.len();
        all.clone().try_for_each(|index| self.register(index))?;
        all.into_iter().try_for_each(|index| self.link(index))
    }

    fn register(&mut self, index: usize) -> Result<(), StoreError> {
        let event = &mut self.events[index];
        if self.by_id.insert(event.id, index).is_some() {
            let event = &self.events[index];
            return Err(self.broken(event, format!("event id {} occurs twice", event.id)));
        }
        if let (Some(item), true) = (&event.item, event.is_answer()) {
            event.before = self.by_item.insert(self.hash.hash_one(item), index);
        }
        Ok(())
    }

    fn link(&mut self, index: usize) -> Result<(), StoreError> {
        let event = &self.events[index];
        self.check_target(event)
            .map_err(|reason| self.broken(event, reason))?;
        let retracts = (event.kind == Kind::Retract)
            .then_some(event.supersedes)
            .flatten();
        if let Some(&target) = retracts.and_then(|target| self.by_id.get(&target)) {
            self.events[target].retracted = true;
        }
        Ok(())
    }

    /// Checks that what an event edits or retracts exists and is about the same item.
    pub(super) fn check_target(&self, event: &Event) -> Result<(), String> {
        let Some(id) = event.supersedes else {
            return Ok(());
        };
        let Some(target) = self.event(id) else {
            return Err(format!("`supersedes` names no event: {id}"));
        };
        if (&target.item, target.slot) != (&event.item, event.slot) || id == event.id {
            return Err(format!(
                "`supersedes` names an event about another item: {id}"
            ));
        }
        let retractable = event.kind == Kind::Retract && target.is_answer();
        if target.kind != Kind::Judgement && !retractable {
            return Err(format!("`supersedes` names a {:?}: {id}", target.kind));
        }
        Ok(())
    }

    fn broken(&self, event: &Event, reason: String) -> StoreError {
        StoreError::Order {
            path: self.files[event.file].clone(),
            line: event.line,
            reason,
        }
    }
}
