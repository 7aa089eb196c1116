//! Which items the project has already, with which text.

use super::project::MAX_BATCHES;
use super::{ImportError, temporary};
use crate::feedback::digest::Sha256;
use crate::feedback::item::{BatchFile, Item, MAX_ROW_BYTES, SamplesError};
use crate::feedback::lines::{Lines, RowError};
use crate::feedback::spill::Spill;
use crate::feedback::store::answered::key;
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// The items of the batches that were asked about.
pub struct Known {
    samples: PathBuf,
    batches: HashMap<String, Seen>,
    /// By hash of batch and id, the hash of the text.
    texts: Spill<8>,
}

/// How far a samples file was read.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    bytes: u64,
    lines: usize,
}

/// The line of an item without its text.
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

impl Known {
    /// Nothing is read before the first item needs it.
    pub fn new(project: &Path, samples: PathBuf) -> Self {
        Self {
            samples,
            batches: HashMap::new(),
            texts: Spill::new(project),
        }
    }

    /// Whether the item is there already, with the text that it has here.
    ///
    /// # Errors
    /// It is there with another text, or its samples file cannot be read.
    pub fn has(&mut self, item: &Item) -> Result<bool, ImportError> {
        if !self.batches.contains_key(&item.batch) {
            if self.batches.len() == MAX_BATCHES {
                return Err(ImportError::TooManyBatches);
            }
            let seen = self.read(&item.batch)?;
            self.batches.insert(item.batch.clone(), seen);
        }
        self.agrees(&item.batch, &item.id, text_of(item))
    }

    /// Whether an item is known, with this text.
    fn agrees(&mut self, batch: &str, item: &str, text: u64) -> Result<bool, ImportError> {
        match self.texts.get(key(&[batch, item])) {
            Ok(None) => Ok(false),
            Ok(Some(known)) if u64::from_le_bytes(known) == text => Ok(true),
            Ok(Some(_)) => Err(ImportError::OtherText {
                batch: batch.to_owned(),
                item: item.to_owned(),
            }),
            Err(error) => Err(temporary(error)),
        }
    }

    /// From now on it is there.
    pub fn add(&mut self, item: &Item) -> Result<(), ImportError> {
        let text = text_of(item).to_le_bytes();
        let added = self.texts.insert(key(&[&item.batch, &item.id]), text);
        added.map_err(temporary)
    }

    /// Appends items that were [added](Self::add) to their samples file, but for those that another
    /// process has brought since it was read; returns how many were written.
    ///
    /// # Errors
    /// The other process brought one with another text, or the file cannot be read or written.
    pub fn append(&mut self, batch: &str, mut items: Vec<Item>) -> Result<usize, ImportError> {
        let mut file = BatchFile::open(&self.samples, batch)?;
        file.mend()?;
        let end = file.whole()?;
        let seen = self.batches.get(batch).copied();
        // A file that became shorter is another one.
        let mut seen = seen.filter(|seen| seen.bytes <= end).unwrap_or_default();
        if end != seen.bytes {
            let mut missing: HashSet<String> = items.iter().map(|item| item.id.clone()).collect();
            let mut found = |id: &str| drop(missing.take(id));
            seen.lines += self.read_rows(batch, seen, end, &mut found)?;
            items.retain(|item| missing.contains(&item.id));
        }
        if !items.is_empty() {
            file.append(&items)?;
        }
        seen.bytes = file.whole()?;
        seen.lines += items.len();
        self.batches.insert(batch.to_owned(), seen);
        Ok(items.len())
    }

    /// Reads a samples file that is there already, when nobody is writing to it. A last line that a
    /// crash cut off is no item: the next write makes room for it.
    fn read(&mut self, batch: &str) -> Result<Seen, ImportError> {
        if !self.samples.join(format!("{batch}.jsonl")).exists() {
            return Ok(Seen::default());
        }
        let bytes = BatchFile::open(&self.samples, batch)?.whole()?;
        let lines = self.read_rows(batch, Seen::default(), bytes, &mut |_| ())?;
        Ok(Seen { bytes, lines })
    }

    /// Reads the rows from `seen` to `end`, both between lines; returns how many lines those are.
    fn read_rows(
        &mut self,
        batch: &str,
        seen: Seen,
        end: u64,
        found: &mut dyn FnMut(&str),
    ) -> Result<usize, ImportError> {
        let path = self.samples.join(format!("{batch}.jsonl"));
        let placed = |error| SamplesError::from(further_down(error, seen.lines));
        let part = seen.bytes..end;
        let mut lines = Lines::part(&path, MAX_ROW_BYTES, part).map_err(placed)?;
        while let Some(row) = lines.next_row().map_err(placed)? {
            let item: Hashes = row.parse().map_err(placed)?;
            let candidates = item.candidates.into_iter().map(|c| (c.id, c.sha256));
            let text = text_key(item.prompt.sha256, candidates);
            if self.agrees(batch, &item.id, text)? {
                found(&item.id);
            } else {
                let added = self
                    .texts
                    .insert(key(&[batch, &item.id]), text.to_le_bytes());
                added.map_err(temporary)?;
            }
        }
        Ok(lines.count())
    }
}

/// The error with its line counted from the beginning of the file, of which `before` lines came earlier.
fn further_down(error: RowError, before: usize) -> RowError {
    match error {
        RowError::Bad { path, line, reason } => RowError::Bad {
            path,
            line: line + before,
            reason,
        },
        error @ RowError::Io { .. } => error,
    }
}
