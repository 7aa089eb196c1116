//! The project that an import fills: text first, then the judgements about it.

use super::labelled::Labelled;
use super::native::moved;
use super::{ImportError, Incoming, Target};
use crate::feedback::digest::Sha256;
use crate::feedback::formats::native::Native;
use crate::feedback::item::{self, Item, MAX_ROW_BYTES, PromptText, SamplesError};
use crate::feedback::lines::Lines;
use crate::feedback::record::{Kind, Origin, Purpose, Record};
use crate::feedback::store::bulk::{Answer, Bulk, key};
use crate::feedback::store::decision::{Decision, Shown};
use crate::feedback::store::stamps::Stamps;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
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
    pub conflicting: usize,
    pub unjudged: usize,
}

/// The open files of a project.
pub struct Project<'a> {
    samples: PathBuf,
    feedback: PathBuf,
    stamps: &'a mut dyn FnMut() -> Stamps,
    batches: HashMap<String, Batch>,
    annotators: HashMap<String, Bulk>,
    /// Who judged, as far as the file was looked at.
    names: BTreeSet<String>,
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

impl What {
    /// The answer that this would be, if it is not there yet.
    fn answer(&self) -> Answer {
        match self {
            Self::Decision(decision) => Answer::would_be(&decision.0),
            Self::Record(record) => Answer::of(&(&**record).into()),
        }
    }

    /// Bytes of what people wrote.
    fn bytes(&self) -> usize {
        let (note, reason) = match self {
            Self::Decision(decision) => (&decision.0.note, &decision.0.reason),
            Self::Record(record) => (&record.note, &record.reason),
        };
        [note, reason].into_iter().flatten().map(String::len).sum()
    }
}

/// A samples file: what it holds, and what is to be added.
#[derive(Default)]
struct Batch {
    /// By hash of an item's id, the hash of its text.
    known: HashMap<u64, u64>,
    new: Vec<Item>,
}

/// What tells items with different text apart.
fn text_key(prompt: Sha256, candidates: impl Iterator<Item = (String, Sha256)>) -> u64 {
    let mut parts = vec![prompt.to_string()];
    candidates.for_each(|(id, sha256)| parts.extend([id, sha256.to_string()]));
    key(&parts.iter().map(String::as_str).collect::<Vec<_>>())
}

fn text_of(item: &Item) -> u64 {
    let candidates = item.candidates.iter();
    text_key(
        item.prompt.sha256,
        candidates.map(|c| (c.id.clone(), c.sha256)),
    )
}

impl Batch {
    /// Reads the ids of a file that is there already.
    fn open(samples: &std::path::Path, name: &str) -> Result<Self, SamplesError> {
        #[derive(Deserialize)]
        struct Hashes {
            id: String,
            prompt: Hash,
            candidates: Vec<Candidate>,
        }
        #[derive(Deserialize)]
        struct Hash {
            sha256: Sha256,
        }
        #[derive(Deserialize)]
        struct Candidate {
            id: String,
            sha256: Sha256,
        }
        let path = samples.join(format!("{name}.jsonl"));
        let mut batch = Self::default();
        if path.exists() {
            let mut lines = Lines::open(&path, MAX_ROW_BYTES)?;
            while let Some(row) = lines.next_row()? {
                let item: Hashes = row.parse()?;
                let candidates = item.candidates.into_iter().map(|c| (c.id, c.sha256));
                let text = text_key(item.prompt.sha256, candidates);
                batch.known.insert(key(&[&item.id]), text);
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
            names: BTreeSet::new(),
            waiting: Vec::new(),
            bytes: 0,
            new_ids: HashMap::new(),
            written: Written::default(),
        }
    }

    /// Looks at a row without writing it, so that nothing is written of a file that cannot be
    /// brought in whole.
    pub fn foresee(&mut self, incoming: &Incoming) -> Result<(), ImportError> {
        let (item, name) = match incoming {
            Incoming::Duplicate => return Ok(()),
            Incoming::Labelled(labelled) => {
                let name = labelled.decision.as_ref().map(|_| &labelled.annotator);
                (&labelled.item, name)
            }
            Incoming::Native(native) => (&native.item, Some(&native.record.annotator)),
        };
        self.is_known(item)?;
        if let Some(name) = name.filter(|name| !self.names.contains(*name)) {
            if self.names.len() == MAX_ANNOTATORS {
                return Err(ImportError::TooManyAnnotators);
            }
            self.names.insert(name.clone());
        }
        Ok(())
    }

    /// Opens and locks the folders of everyone who was foreseen.
    pub fn open(&mut self) -> Result<(), ImportError> {
        let names = std::mem::take(&mut self.names);
        names.iter().try_for_each(|name| self.annotator(name))
    }

    /// Adds a row of another tool.
    pub fn add(&mut self, labelled: Labelled) -> Result<(), ImportError> {
        let Labelled {
            item,
            decision,
            annotator,
            slot,
            time,
            ..
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

    /// Whether the item is there already, with the text that it has here.
    fn is_known(&mut self, item: &Item) -> Result<bool, ImportError> {
        if !self.batches.contains_key(&item.batch) {
            if self.batches.len() == MAX_BATCHES {
                return Err(ImportError::TooManyBatches);
            }
            let batch = Batch::open(&self.samples, &item.batch)?;
            self.batches.insert(item.batch.clone(), batch);
        }
        let known = &self.batches[&item.batch].known;
        match known.get(&key(&[&item.id])) {
            None => Ok(false),
            Some(text) if *text == text_of(item) => Ok(true),
            Some(_) => Err(ImportError::OtherText {
                batch: item.batch.clone(),
                item: item.id.clone(),
            }),
        }
    }

    fn add_item(&mut self, item: &Item) -> Result<(), ImportError> {
        if !self.is_known(item)? {
            let batch = self.batches.entry(item.batch.clone()).or_default();
            batch.known.insert(key(&[&item.id]), text_of(item));
            batch.new.push(item.clone());
            self.written.new_items += 1;
            let texts = item.candidates.iter().map(|candidate| candidate.text.len());
            self.bytes += texts.sum::<usize>() + item.prompt.text.plain().len();
        }
        Ok(())
    }

    fn annotator(&mut self, name: &str) -> Result<(), ImportError> {
        if !self.annotators.contains_key(name) {
            if self.annotators.len() == MAX_ANNOTATORS {
                return Err(ImportError::TooManyAnnotators);
            }
            let bulk = Bulk::open(&self.feedback, name, (self.stamps)())?;
            self.annotators.insert(name.to_owned(), bulk);
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
        self.annotator(&annotator)?;
        if let Some(there) = self.annotators[&annotator].answer(&item.id, slot) {
            self.there_already(&what, there);
            return Ok(());
        }
        // Rows of other tools are numbered; ours may stand twice in a file.
        let same = |waiting: &Waiting| {
            (&waiting.item.id, waiting.slot, &waiting.annotator) == (&item.id, slot, &annotator)
        };
        if matches!(what, What::Record(_)) && self.waiting.iter().any(same) {
            self.written.already_there += 1;
            return Ok(());
        }
        // A record refers to the text by its hash.
        item.prompt.text = PromptText::Text(String::new());
        item.candidates
            .iter_mut()
            .for_each(|candidate| candidate.text.clear());
        self.bytes += what.bytes();
        self.waiting.push(Waiting {
            item,
            annotator,
            slot,
            what,
        });
        Ok(())
    }

    /// Counts an answer that another import or a screen had brought, and remembers its id for an
    /// adjudication that names it.
    fn there_already(&mut self, what: &What, there: Answer) {
        let answer = what.answer();
        if answer.agrees(&there) {
            self.written.already_there += 1;
        } else {
            self.written.conflicting += 1;
        }
        if matches!(what, What::Record(record) if record.kind == Kind::Judgement) {
            self.new_ids.insert(answer.id, there.id);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feedback::formats::judged::Judged;

    #[test]
    fn what_waits_holds_no_text_and_its_notes_count() {
        let dir = tempfile::tempdir().unwrap();
        let target = Target {
            dir: dir.path(),
            batch: "b",
            annotator: None,
            format: None,
            skip_bad: false,
        };
        let labelled = |annotator: &str| {
            let prompt = PromptText::Text("a long prompt".into());
            let mut judged = Judged::pair(prompt, "yes".into(), "no".into());
            judged.annotator = Some(annotator.into());
            judged.note = Some("n".repeat(1000));
            Labelled::new(judged, &target).unwrap().unwrap()
        };
        let mut stamps = Stamps::system;
        let mut project = Project::new(&target, &mut stamps);
        project.add(labelled("mia")).unwrap();
        let first = project.bytes;
        project.add(labelled("tom")).unwrap();
        // The text is new once; tom's note is as long as mia's.
        assert_eq!((first, project.bytes), (13 + 5 + 1000, 13 + 5 + 2000));
        for waiting in &project.waiting {
            assert_eq!(waiting.item.prompt.text, PromptText::Text(String::new()));
            assert!(waiting.item.candidates.iter().all(|c| c.text.is_empty()));
        }
    }
}
