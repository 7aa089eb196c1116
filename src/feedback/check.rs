//! Whether everything in `samples/` and `feedback/` is sound and fits together.

use super::item::read_batch;
use super::labels::{Folders, Labels};
use super::lines::jsonl_files;
use super::record::Kind;
use super::store::annotators;
use super::store::history::History;
use super::store::load::load;
use serde::Serialize;

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Files in `samples/`.
    pub batches: usize,
    /// Items in them.
    pub items: usize,
    /// Folders in `feedback/`.
    pub annotators: usize,
    /// Session files.
    pub sessions: usize,
    /// Events in them.
    pub events: usize,
    /// Judgements that count.
    pub judgements: usize,
    /// Lines that a crash cut off, by file and line: nothing is wrong with the rest.
    pub torn: Vec<String>,
    /// What is wrong, at most one thing per file of samples and per annotator.
    pub problems: Vec<String>,
}

/// Reads everything: hashes and rules of every item, checksums, chains, numbers and targets of every
/// event, and the text that every judgement is about.
pub fn check(folders: &Folders) -> Checked {
    let mut checked = Checked::default();
    checked.read_samples(folders);
    match annotators(&folders.feedback) {
        Ok(names) => {
            checked.annotators = names.len();
            for name in names {
                match load(&folders.feedback, &name) {
                    Ok(history) => checked.count(&history),
                    Err(error) => checked.problems.push(error.to_string()),
                }
            }
        }
        Err(error) => checked.problems.push(error.to_string()),
    }
    // Where a file is broken, the text behind its judgements cannot be looked up.
    if checked.problems.is_empty()
        && let Err(error) = Labels::without_texts(folders)
    {
        checked.problems.push(error.to_string());
    }
    checked
}

impl Checked {
    fn read_samples(&mut self, folders: &Folders) {
        let files = match jsonl_files(&folders.samples) {
            Ok(files) => files,
            Err(error) => return self.problems.push(error.to_string()),
        };
        self.batches = files.len();
        for file in files {
            match read_batch(&file) {
                Ok(items) => self.items += items.len(),
                Err(error) => self.problems.push(error.to_string()),
            }
        }
    }

    fn count(&mut self, history: &History) {
        self.sessions += history.files.len();
        self.events += history.events().len();
        let effective = history.all_effective();
        self.judgements += effective.filter(|e| e.kind == Kind::Judgement).count();
        // Opening reads only part of every line; this is the place to read all of it.
        let mut events = history.events().iter();
        if let Some(error) = events.find_map(|event| history.record(event).err()) {
            self.problems.push(error.to_string());
        }
        let torn = history.torn.iter();
        self.torn.extend(torn.map(|torn| {
            let bytes = torn.len;
            format!(
                "{}:{}: {bytes} bytes cut off",
                torn.path.display(),
                torn.line
            )
        }));
    }
}
