//! The project that an import fills: text first, then the judgements about it.

use super::labelled::Labelled;
use super::native::moved;
use super::{ImportError, Target};
use crate::feedback::formats::native::Native;
use crate::feedback::item::{self, Item, MAX_ROW_BYTES, SamplesError};
use crate::feedback::lines::Lines;
use crate::feedback::record::{Kind, Origin, Purpose, Record};
use crate::feedback::store::bulk::{Bulk, key};
use crate::feedback::store::decision::{Decision, Shown};
use crate::feedback::store::stamps::Stamps;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use ulid::Ulid;

/// Most annotators in one file.
pub const MAX_ANNOTATORS: usize = 256;
/// Most batches in one file.
pub const MAX_BATCHES: usize = 1024;
/// What is gathered before it is written, in rows and in bytes.
const CHUNK: usize = 1024;
const CHUNK_BYTES: usize = 4 << 20;

/// What was written.
#[derive(Debug, Default)]
pub struct Written {
    pub new_items: usize,
    pub annotators: BTreeMap<String, usize>,
    pub already_there: usize,
    pub unjudged: usize,
}

/// The open files of a project.
pub struct Project<'a> {
    samples: PathBuf,
    feedback: PathBuf,
    stamps: &'a mut dyn FnMut() -> Stamps,
    batches: HashMap<String, Batch>,
    annotators: HashMap<String, Bulk>,
    waiting: Vec<Waiting>,
    bytes: usize,
    /// Ids of records in the file, and here, for adjudications.
    new_ids: HashMap<Ulid, Ulid>,
    written: Written,
}

/// A judgement whose text is not yet on disk.
struct Waiting {
    item: Item,
    annotator: String,
    slot: u8,
    what: What,
}

enum What {
    Decision(Box<(Decision, Option<crate::feedback::record::Time>)>),
    Record(Box<Record>),
}

/// A samples file: what it holds, and what is to be added.
#[derive(Default)]
struct Batch {
    known: HashSet<u64>,
    new: Vec<Item>,
}

impl Batch {
    /// Reads the ids of a file that is there already.
    fn open(samples: &std::path::Path, name: &str) -> Result<Self, SamplesError> {
        #[derive(Deserialize)]
        struct Id {
            id: String,
            #[serde(rename = "prompt")]
            _prompt: IgnoredAny,
        }
        let path = samples.join(format!("{name}.jsonl"));
        let mut batch = Self::default();
        if path.exists() {
            let mut lines = Lines::open(&path, MAX_ROW_BYTES)?;
            while let Some(row) = lines.next_row()? {
                let id: Id = row.parse()?;
                batch.known.insert(key(&[&id.id]));
            }
        }
        Ok(batch)
    }
}

impl<'a> Project<'a> {
    /// Nothing is opened before the first row needs it.
    pub fn new(target: &Target, stamps: &'a mut dyn FnMut() -> Stamps) -> Self {
        Self {
            samples: target.dir.join("samples"),
            feedback: target.dir.join("feedback"),
            stamps,
            batches: HashMap::new(),
            annotators: HashMap::new(),
            waiting: Vec::new(),
            bytes: 0,
            new_ids: HashMap::new(),
            written: Written::default(),
        }
    }

    /// Adds a row of another tool.
    pub fn add(&mut self, labelled: Labelled) -> Result<(), ImportError> {
        let Labelled {
            item,
            decision,
            annotator,
            slot,
            time,
        } = labelled;
        self.add_item(&item)?;
        match decision {
            None => self.written.unjudged += 1,
            Some(decision) => {
                let what = What::Decision(Box::new((decision, time)));
                self.wait(item, annotator, slot, what)?;
            }
        }
        self.flush_if_full()
    }

    /// Adds a row of ours.
    pub fn add_native(&mut self, native: Native) -> Result<(), ImportError> {
        self.add_item(&native.item)?;
        // An adjudication waits for the ids of what it settles.
        if !native.record.adjudicates.is_empty() {
            self.flush()?;
        }
        let record = moved(&native, &self.new_ids);
        let (annotator, slot) = (record.annotator.clone(), record.slot.unwrap_or(0));
        let what = What::Record(Box::new(record));
        self.wait(native.item, annotator, slot, what)?;
        self.flush_if_full()
    }

    fn add_item(&mut self, item: &Item) -> Result<(), ImportError> {
        if !self.batches.contains_key(&item.batch) {
            if self.batches.len() == MAX_BATCHES {
                return Err(ImportError::TooManyBatches);
            }
            let batch = Batch::open(&self.samples, &item.batch)?;
            self.batches.insert(item.batch.clone(), batch);
        }
        let batch = self.batches.entry(item.batch.clone()).or_default();
        if batch.known.insert(key(&[&item.id])) {
            batch.new.push(item.clone());
            self.written.new_items += 1;
            let texts = item.candidates.iter().map(|candidate| candidate.text.len());
            self.bytes += texts.sum::<usize>() + item.prompt.text.plain().len();
        }
        Ok(())
    }

    fn wait(
        &mut self,
        mut item: Item,
        annotator: String,
        slot: u8,
        what: What,
    ) -> Result<(), ImportError> {
        if !self.annotators.contains_key(&annotator) {
            if self.annotators.len() == MAX_ANNOTATORS {
                return Err(ImportError::TooManyAnnotators);
            }
            let bulk = Bulk::open(&self.feedback, &annotator, (self.stamps)())?;
            self.annotators.insert(annotator.clone(), bulk);
        }
        let bulk = self.annotators.get_mut(&annotator);
        if let Some(bulk) = bulk {
            if bulk.is_answered(&item.id, slot) {
                self.written.already_there += 1;
                return Ok(());
            }
            // Rows of other tools were numbered; ours may occur twice in a file.
            if matches!(what, What::Record(_)) {
                bulk.announce(&item.id, slot);
            }
        }
        // A record refers to the text by its hash.
        item.candidates
            .iter_mut()
            .for_each(|candidate| candidate.text.clear());
        self.waiting.push(Waiting {
            item,
            annotator,
            slot,
            what,
        });
        Ok(())
    }

    fn flush_if_full(&mut self) -> Result<(), ImportError> {
        if self.waiting.len() < CHUNK && self.bytes < CHUNK_BYTES {
            return Ok(());
        }
        self.flush()
    }

    /// Writes the text, syncs it, then writes the judgements.
    fn flush(&mut self) -> Result<(), ImportError> {
        for (name, batch) in &mut self.batches {
            if !batch.new.is_empty() {
                item::append_batch(&self.samples, name, &batch.new)?;
                batch.new.clear();
            }
        }
        self.bytes = 0;
        for waiting in std::mem::take(&mut self.waiting) {
            self.write(waiting)?;
        }
        Ok(())
    }

    fn write(&mut self, waiting: Waiting) -> Result<(), ImportError> {
        let Some(bulk) = self.annotators.get_mut(&waiting.annotator) else {
            return Ok(());
        };
        match waiting.what {
            What::Decision(decision) => {
                let (decision, time) = *decision;
                let shown = Shown {
                    item: &waiting.item,
                    slot: waiting.slot,
                    purpose: Purpose::Train,
                    origin: Origin::Import,
                    display: None,
                    time,
                };
                bulk.judge(&shown, decision)?;
            }
            What::Record(record) => {
                let (old, is_judgement) = (record.id, record.kind == Kind::Judgement);
                let new = bulk.add(*record)?;
                if is_judgement {
                    self.new_ids.insert(old, new);
                }
            }
        }
        *self
            .written
            .annotators
            .entry(waiting.annotator)
            .or_default() += 1;
        Ok(())
    }

    /// Writes what is left and ends the sessions.
    pub fn close(mut self) -> Result<Written, ImportError> {
        self.flush()?;
        for (_, bulk) in self.annotators {
            bulk.close()?;
        }
        Ok(self.written)
    }
}
