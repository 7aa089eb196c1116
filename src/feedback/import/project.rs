//! The project that an import fills: text first, then the judgements about it.

use super::known::Known;
use super::labelled::Labelled;
use super::native::{NewIds, moved};
use super::{ImportError, Incoming, Target, temporary};
use crate::feedback::formats::native::Native;
use crate::feedback::item::{Item, PromptText};
use crate::feedback::record::glance::Glance;
use crate::feedback::record::{Kind, Origin, Purpose, Record};
use crate::feedback::store::answered::{Answer, Answered};
use crate::feedback::store::bulk::Bulk;
use crate::feedback::store::decision::{Decision, Shown};
use crate::feedback::store::stamps::Stamps;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;

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

impl Written {
    /// Judgements of all annotators.
    pub fn judgements(&self) -> usize {
        self.annotators.values().sum()
    }
}

/// The open files of a project.
pub struct Project<'a> {
    feedback: PathBuf,
    stamps: &'a mut dyn FnMut() -> Stamps,
    known: Known,
    /// Text that is not yet on disk, by batch.
    new: BTreeMap<String, Vec<Item>>,
    answered: Answered,
    annotators: HashMap<String, Bulk>,
    /// Who judged, as far as the file was looked at.
    names: BTreeSet<String>,
    waiting: Vec<Waiting>,
    bytes: usize,
    new_ids: NewIds,
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

impl<'a> Project<'a> {
    /// Nothing is opened before the first row needs it.
    pub fn new(target: &Target, stamps: &'a mut dyn FnMut() -> Stamps) -> Self {
        Self {
            feedback: target.dir.join("feedback"),
            stamps,
            known: Known::new(target.dir, target.dir.join("samples")),
            new: BTreeMap::new(),
            answered: Answered::new(target.dir),
            annotators: HashMap::new(),
            names: BTreeSet::new(),
            waiting: Vec::new(),
            bytes: 0,
            new_ids: NewIds::new(target.dir),
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
        self.known.has(item)?;
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
        let record = moved(&native, &mut self.new_ids)?;
        let (annotator, slot) = (record.annotator.clone(), record.slot.unwrap_or(0));
        let what = What::Record(Box::new(record));
        self.wait(native.item, annotator, slot, what)?;
        self.flush_if_full()
    }

    fn add_item(&mut self, item: &Item) -> Result<(), ImportError> {
        if !self.known.has(item)? {
            self.known.add(item)?;
            let new = self.new.entry(item.batch.clone()).or_default();
            new.push(item.clone());
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
            let stamps = (self.stamps)();
            let bulk = Bulk::open(&self.feedback, name, stamps, &mut self.answered)?;
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
        let there = self.answered.answer(&annotator, &item.id, slot);
        if let Some(there) = there.map_err(temporary)? {
            return self.there_already(&what, there);
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
    fn there_already(&mut self, what: &What, there: Answer) -> Result<(), ImportError> {
        let answer = what.answer();
        if answer.agrees(&there) {
            self.written.already_there += 1;
        } else {
            self.written.conflicting += 1;
        }
        if matches!(what, What::Record(record) if record.kind == Kind::Judgement) {
            self.new_ids.insert(answer.id, there.id)?;
        }
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
        for (name, items) in std::mem::take(&mut self.new) {
            self.written.new_items += self.known.append(&name, items)?;
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
                let new = bulk.add((*record).clone())?;
                let mut glance = Glance::from(&*record);
                let old = std::mem::replace(&mut glance.id, new);
                let counted = self.answered.count(&waiting.annotator, &glance);
                counted.map_err(temporary)?;
                if glance.kind == Kind::Judgement {
                    self.new_ids.insert(old, glance.id)?;
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
    pub fn close(&mut self) -> Result<(), ImportError> {
        self.flush()?;
        for (_, bulk) in std::mem::take(&mut self.annotators) {
            bulk.close()?;
        }
        Ok(())
    }

    /// What was written so far.
    pub fn written(&self) -> &Written {
        &self.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feedback::formats::judged::Judged;
    use crate::feedback::import::{Imported, import};

    #[test]
    fn what_waits_holds_no_text_and_its_notes_count() {
        let dir = tempfile::tempdir().unwrap();
        let target = Target {
            dir: dir.path(),
            batch: "b",
            annotator: None,
            format: None,
            decoder: None,
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

    #[test]
    fn a_second_import_of_more_rows_than_memory_holds_adds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let row = |n: usize| {
            // Two judgements of the first item, far apart.
            let prompt = if n == 999 { 0 } else { n };
            format!("{{\"prompt\": \"{prompt}\", \"chosen\": \"a\", \"rejected\": \"b\"}}\n")
        };
        let file = dir.path().join("many.jsonl");
        std::fs::write(&file, (0..1000).map(row).collect::<String>()).unwrap();
        let project = dir.path().join("project");
        let target = Target {
            dir: &project,
            batch: "b",
            annotator: None,
            format: None,
            skip_bad: false,
            decoder: None,
        };
        let bring = || import(&file, &target, &mut Stamps::system, &mut |_| ()).unwrap();
        let counts = |i: &Imported| (i.new_items, i.judgements, i.already_there, i.conflicting);
        assert_eq!(counts(&bring()), (999, 1000, 0, 0));
        assert_eq!(counts(&bring()), (0, 0, 1000, 0));
        // No temporary file is left.
        assert_eq!(std::fs::read_dir(&project).unwrap().count(), 2);
    }
}
