//! Many judgements of one annotator at once, by a program: memory that hardly grows with them.
//!
//! A [`super::session::Session`] keeps every event, for undo and history. An import needs one question
//! answered, whether this was judged before, and how; hashes and the id of each answer do that.
//! Records are known to be on disk after [`Bulk::close`].

use super::decision::{Decision, Shown};
use super::load::session_files;
use super::lock::Lock;
use super::log::{Log, create_file, make_folder};
use super::stamps::Stamps;
use super::{StoreError, annotator_folder};
use crate::feedback::record::glance::Glance;
use crate::feedback::record::{Header, Kind, QUESTION, Record, UtcMillis};
use std::collections::HashMap;
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use ulid::Ulid;

/// The open file of one annotator. It is created by the first record.
pub struct Bulk {
    id: Ulid,
    annotator: String,
    folder: PathBuf,
    stamps: Stamps,
    /// By hash of item and slot.
    answered: HashMap<u64, Answers>,
    log: Option<Log>,
    seq: u64,
    last_id: Ulid,
    _lock: Lock,
}

/// What was said about an item and slot.
#[derive(Default)]
struct Answers {
    /// Those that count: given less taken back.
    count: u16,
    last: Answer,
}

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

fn answer_key(item: &str, slot: u8) -> u64 {
    let mut hasher = DefaultHasher::new();
    (item, slot).hash(&mut hasher);
    hasher.finish()
}

impl Bulk {
    /// Locks the annotator's folder in `feedback` (made if missing) and reads what is answered.
    ///
    /// # Errors
    /// [`StoreError`]: a name that is no folder, a lock held elsewhere, damage, or no write access.
    pub fn open(feedback: &Path, annotator: &str, stamps: Stamps) -> Result<Self, StoreError> {
        let folder = annotator_folder(feedback, annotator)?;
        make_folder(feedback, &folder)?;
        let lock = Lock::take(&folder, annotator)?;
        let mut bulk = Self {
            id: Ulid::nil(),
            annotator: annotator.to_owned(),
            folder,
            stamps,
            answered: HashMap::new(),
            log: None,
            seq: 0,
            last_id: Ulid::nil(),
            _lock: lock,
        };
        for (session, path) in session_files(&bulk.folder)? {
            bulk.last_id = bulk.last_id.max(session);
            bulk.read(&path)?;
        }
        bulk.id = bulk.stamps.id_after(bulk.last_id);
        bulk.last_id = bulk.id;
        Ok(bulk)
    }

    /// Counts the answers of a session file. A line cut off at its end is none.
    fn read(&mut self, path: &Path) -> Result<(), StoreError> {
        let file = File::open(path).map_err(StoreError::io(path))?;
        let mut reader = BufReader::with_capacity(1 << 18, file);
        let mut bytes = Vec::new();
        for line in 1.. {
            bytes.clear();
            let read = reader
                .read_until(b'\n', &mut bytes)
                .map_err(StoreError::io(path))?;
            if read == 0 {
                break;
            }
            let whole = bytes.pop_if(|last| *last == b'\n').is_some();
            match Glance::at(&bytes) {
                Ok(glance) => self.count(&glance),
                Err(_) if !whole => break,
                Err(source) => {
                    return Err(StoreError::Line {
                        path: path.to_owned(),
                        line,
                        source,
                    });
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, glance: &Glance) {
        self.last_id = self.last_id.max(glance.id);
        if let Some(item) = &glance.item {
            let key = answer_key(item, glance.slot.unwrap_or(0));
            self.note(key, glance.kind, Answer::of(glance));
        }
    }

    fn note(&mut self, key: u64, kind: Kind, answer: Answer) {
        let answers = self.answered.entry(key).or_default();
        match kind {
            Kind::Judgement | Kind::Skip | Kind::Defer => {
                answers.count = answers.count.saturating_add(1);
                // Sessions can overlap: a file that is read later can hold the earlier answer.
                if answers.last.id <= answer.id {
                    answers.last = answer;
                }
            }
            Kind::Retract => answers.count = answers.count.saturating_sub(1),
            Kind::SessionStart | Kind::SessionEnd => {}
        }
    }

    /// The last answer about the item and slot, if one counts.
    pub fn answer(&self, item: &str, slot: u8) -> Option<Answer> {
        let answers = self.answered.get(&answer_key(item, slot))?;
        (answers.count > 0).then_some(answers.last)
    }

    /// Writes a judgement. The caller numbers its own repeats: [`Bulk::answer`] does not learn of
    /// it, which halves what an import holds.
    ///
    /// # Errors
    /// As [`super::session::Session::judge`].
    pub fn judge(&mut self, shown: &Shown, decision: Decision) -> Result<Ulid, StoreError> {
        let mut record = shown.record(Kind::Judgement, self.header());
        record.question = Some(QUESTION.to_owned());
        decision.write_to(&mut record);
        self.append(record)
    }

    /// Writes a record from another store under a new id of this session; its time stays. From now on
    /// [`Bulk::answer`] knows it.
    ///
    /// # Errors
    /// As [`super::session::Session::judge`].
    pub fn add(&mut self, mut record: Record) -> Result<Ulid, StoreError> {
        let header = self.header();
        (record.id, record.session) = (header.id, header.session);
        record.annotator = header.annotator;
        let item = record.item.as_deref();
        let key = item.map(|item| answer_key(item, record.slot.unwrap_or(0)));
        let (kind, mut answer) = (record.kind, Answer::of(&Glance::from(&record)));
        answer.id = self.append(record)?;
        if let Some(key) = key {
            self.note(key, kind, answer);
        }
        Ok(answer.id)
    }

    fn append(&mut self, mut record: Record) -> Result<Ulid, StoreError> {
        record.check()?;
        if self.log.is_none() {
            let path = self.folder.join(format!("{}.jsonl", self.id));
            self.log = Some(Log::create(path, create_file)?);
            let start = Record::new(Kind::SessionStart, self.header());
            self.write(start, false)?;
            // The first record was made before the session had its first line.
            record.id = self.header().id;
        }
        let id = record.id;
        self.write(record, false)?;
        Ok(id)
    }

    fn write(&mut self, mut record: Record, sync: bool) -> Result<(), StoreError> {
        record.seq = self.seq;
        let Some(log) = &mut self.log else {
            return Err(StoreError::ReadOnly {
                reason: "the session has no file".into(),
            });
        };
        log.append(&mut record, sync)?;
        self.seq += 1;
        Ok(())
    }

    /// Ends the session; all its records are on disk then.
    ///
    /// # Errors
    /// As [`super::session::Session::judge`].
    pub fn close(mut self) -> Result<(), StoreError> {
        if self.log.is_none() {
            return Ok(());
        }
        let end = Record::new(Kind::SessionEnd, self.header());
        self.write(end, true)
    }

    fn header(&mut self) -> Header {
        self.last_id = self.stamps.id_after(self.last_id);
        Header {
            id: self.last_id,
            session: self.id,
            seq: self.seq,
            ts: self.stamps.now(),
            annotator: self.annotator.clone(),
        }
    }
}
