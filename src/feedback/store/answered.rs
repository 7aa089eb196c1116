//! Which items are answered, and how: for programs that write many judgements at once. Memory does
//! not grow with the answers, see [`Spill`].

use super::decision::Decision;
use crate::feedback::record::glance::Glance;
use crate::feedback::record::{Header, Kind, Record, UtcMillis};
use crate::feedback::spill::Spill;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::Path;
use ulid::Ulid;

/// Bytes of an entry: how many count, the last answer's id, its verdict.
const ENTRY: usize = 2 + 16 + 8;

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
}

impl Answered {
    /// Nothing is answered yet. `folder` is where a temporary file may lie.
    pub fn new(folder: &Path) -> Self {
        Self {
            by_key: Spill::new(folder),
        }
    }

    /// Counts an event.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn count(&mut self, annotator: &str, glance: &Glance) -> io::Result<()> {
        let Some(item) = &glance.item else {
            return Ok(());
        };
        let key = answer_key(annotator, item, glance.slot.unwrap_or(0));
        let (count, last) = self.entry(key)?;
        let (count, last) = match glance.kind {
            Kind::Judgement | Kind::Skip | Kind::Defer => {
                let answer = Answer::of(glance);
                // Sessions can overlap: a file that is read later can hold the earlier answer.
                let last = if last.id <= answer.id { answer } else { last };
                (count.saturating_add(1), last)
            }
            Kind::Retract => (count.saturating_sub(1), last),
            Kind::SessionStart | Kind::SessionEnd => return Ok(()),
        };
        let mut entry = [0; ENTRY];
        entry[..2].copy_from_slice(&count.to_le_bytes());
        entry[2..18].copy_from_slice(&last.id.to_bytes());
        entry[18..].copy_from_slice(&last.verdict.to_le_bytes());
        self.by_key.insert(key, entry)
    }

    /// The last answer about the item and slot, if one counts.
    ///
    /// # Errors
    /// The temporary file cannot be read.
    pub fn answer(&mut self, annotator: &str, item: &str, slot: u8) -> io::Result<Option<Answer>> {
        let (count, last) = self.entry(answer_key(annotator, item, slot))?;
        Ok((count > 0).then_some(last))
    }

    /// Answers that count (given less taken back), and the last one.
    fn entry(&mut self, key: u64) -> io::Result<(u16, Answer)> {
        let Some(entry) = self.by_key.get(key)? else {
            return Ok((0, Answer::default()));
        };
        let (mut count, mut id, mut verdict) = ([0; 2], [0; 16], [0; 8]);
        count.copy_from_slice(&entry[..2]);
        id.copy_from_slice(&entry[2..18]);
        verdict.copy_from_slice(&entry[18..]);
        let last = Answer {
            id: Ulid::from_bytes(id),
            verdict: u64::from_le_bytes(verdict),
        };
        Ok((u16::from_le_bytes(count), last))
    }
}
