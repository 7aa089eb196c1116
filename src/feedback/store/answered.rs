//! Which items are answered, and how: for programs that write many judgements at once. Memory does
//! not grow with the answers, see `feedback::spill`.

use super::decision::Decision;
use crate::feedback::record::glance::Glance;
use crate::feedback::record::{Header, Kind, Record, UtcMillis};
use crate::feedback::spill::Spill;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;
use ulid::Ulid;

/// Bytes of an entry: the last answer's id, its verdict.
const ENTRY: usize = 16 + 8;

/// An answer that is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Answer {
    /// Id of the event.
    pub id: Ulid,
    verdict: u64,
}

impl Answer {
    /// The answer that a line gives.
    pub fn of(glance: &Glance) -> Self {
        let ranking = glance.ranking.clone().map(|mut groups| {
            for group in &mut groups {
                group.sort_unstable();
            }
            groups
        });
        let mut hasher = DefaultHasher::new();
        let said = (glance.outcome, &glance.winner, glance.strength, ranking);
        said.hash(&mut hasher);
        Self {
            id: glance.id,
            verdict: hasher.finish(),
        }
    }

    /// The answer that a decision would be; its id is nil.
    pub fn would_be(decision: &Decision) -> Self {
        let nobody = Header {
            id: Ulid::nil(),
            session: Ulid::nil(),
            seq: 0,
            ts: UtcMillis(0),
            annotator: String::new(),
        };
        let mut record = Record::new(Kind::Judgement, nobody);
        decision.clone().write_to(&mut record);
        Self::of(&Glance::from(&record))
    }

    /// True if both say the same: outcome, winner, strength and ranking.
    pub fn agrees(&self, other: &Self) -> bool {
        self.verdict == other.verdict
    }
}

/// A hash of names that is the same for the same names in one process.
pub fn key(names: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    names.hash(&mut hasher);
    hasher.finish()
}

fn answer_key(annotator: &str, item: &str, slot: u8) -> u64 {
    let mut hasher = DefaultHasher::new();
    (annotator, item, slot).hash(&mut hasher);
    hasher.finish()
}

/// The last answer to each item and slot of each annotator.
pub struct Answered {
    by_key: Spill<ENTRY>,
    taken_back: TakenBack,
}

/// What people took back, which is little: the ids of the answers, and the keys of what they are about.
#[derive(Default)]
struct TakenBack {
    ids: HashSet<Ulid>,
    keys: HashSet<u64>,
}

impl Answered {
    /// Nothing is answered yet. `folder` is where a temporary file may lie.
    pub fn new(folder: &Path) -> Self {
        Self {
            by_key: Spill::new(folder),
            taken_back: TakenBack::default(),
        }
    }

    /// Counts an event. After the last one, see [`Answered::forget_taken_back`].
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn count(&mut self, annotator: &str, glance: &Glance) -> io::Result<()> {
        let Some(item) = &glance.item else {
            return Ok(());
        };
        let key = answer_key(annotator, item, glance.slot.unwrap_or(0));
        match glance.kind {
            Kind::Judgement | Kind::Skip | Kind::Defer => self.put(key, Answer::of(glance)),
            Kind::Retract => {
                self.taken_back.keys.insert(key);
                self.taken_back.ids.extend(glance.supersedes);
                Ok(())
            }
            Kind::SessionStart | Kind::SessionEnd => Ok(()),
        }
    }

    /// Forgets all answers to what an answer was taken back of: which of them is the last one is no longer
    /// known. True if there are any; then [recount](Self::recount) the same events.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn forget_taken_back(&mut self) -> io::Result<bool> {
        let mut keys = self.taken_back.keys.iter();
        keys.try_for_each(|&key| self.by_key.insert(key, [0; ENTRY]))?;
        Ok(!self.taken_back.keys.is_empty())
    }

    /// Counts an event again that was forgotten and not taken back.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn recount(&mut self, annotator: &str, glance: &Glance) -> io::Result<()> {
        let (Some(item), false) = (&glance.item, glance.kind == Kind::Retract) else {
            return Ok(());
        };
        let key = answer_key(annotator, item, glance.slot.unwrap_or(0));
        if !self.taken_back.keys.contains(&key) || self.taken_back.ids.contains(&glance.id) {
            return Ok(());
        }
        self.put(key, Answer::of(glance))
    }

    /// Everything is recounted.
    pub fn recounted(&mut self) {
        self.taken_back = TakenBack::default();
    }

    fn put(&mut self, key: u64, answer: Answer) -> io::Result<()> {
        let there = self.entry(key)?;
        // Sessions can overlap: a file that is read later can hold the earlier answer.
        let last = there.filter(|last| last.id > answer.id).unwrap_or(answer);
        let mut entry = [0; ENTRY];
        entry[..16].copy_from_slice(&last.id.to_bytes());
        entry[16..].copy_from_slice(&last.verdict.to_le_bytes());
        self.by_key.insert(key, entry)
    }

    /// The last answer about the item and slot, if one counts.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn answer(&mut self, annotator: &str, item: &str, slot: u8) -> io::Result<Option<Answer>> {
        self.entry(answer_key(annotator, item, slot))
    }

    /// The last answer. Zeros stand for one that was forgotten.
    fn entry(&mut self, key: u64) -> io::Result<Option<Answer>> {
        let Some(entry) = self.by_key.get(key)?.filter(|entry| *entry != [0; ENTRY]) else {
            return Ok(None);
        };
        let (mut id, mut verdict) = ([0; 16], [0; 8]);
        id.copy_from_slice(&entry[..16]);
        verdict.copy_from_slice(&entry[16..]);
        Ok(Some(Answer {
            id: Ulid::from_bytes(id),
            verdict: u64::from_le_bytes(verdict),
        }))
    }
}
