//! Which items the project has already, with which text.

use super::project::MAX_BATCHES;
use super::{ImportError, temporary};
use crate::feedback::digest::Sha256;
use crate::feedback::item::{Item, MAX_ROW_BYTES, SamplesError, is_cut_off};
use crate::feedback::lines::Lines;
use crate::feedback::spill::Spill;
use crate::feedback::store::answered::key;
use serde::Deserialize;
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// The items of the batches that were asked about.
pub struct Known {
    samples: PathBuf,
    batches: HashSet<String>,
    /// By hash of batch and id, the hash of the text.
    texts: Spill<8>,
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
            batches: HashSet::new(),
            texts: Spill::new(project),
        }
    }

    /// Whether the item is there already, with the text that it has here.
    ///
    /// # Errors
    /// It is there with another text, or its samples file cannot be read.
    pub fn has(&mut self, item: &Item) -> Result<bool, ImportError> {
        if !self.batches.contains(&item.batch) {
            if self.batches.len() == MAX_BATCHES {
                return Err(ImportError::TooManyBatches);
            }
            self.read(&item.batch)?;
            self.batches.insert(item.batch.clone());
        }
        match self.texts.get(key(&[&item.batch, &item.id])) {
            Ok(None) => Ok(false),
            Ok(Some(text)) if u64::from_le_bytes(text) == text_of(item) => Ok(true),
            Ok(Some(_)) => Err(ImportError::OtherText {
                batch: item.batch.clone(),
                item: item.id.clone(),
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

    /// Reads a samples file that is there already. A last line that a crash cut off is no item: the
    /// next write makes room for it.
    fn read(&mut self, batch: &str) -> Result<(), ImportError> {
        let path = self.samples.join(format!("{batch}.jsonl"));
        if !path.exists() {
            return Ok(());
        }
        let mut lines = Lines::open(&path, MAX_ROW_BYTES).map_err(SamplesError::from)?;
        while let Some(row) = lines.next_row().map_err(SamplesError::from)? {
            let item: Hashes = match row.parse() {
                Ok(item) => item,
                Err(_) if is_cut_off(&path)? && matches!(lines.next_row(), Ok(None)) => break,
                Err(error) => return Err(SamplesError::from(error).into()),
            };
            let candidates = item.candidates.into_iter().map(|c| (c.id, c.sha256));
            let text = text_key(item.prompt.sha256, candidates).to_le_bytes();
            let added = self.texts.insert(key(&[batch, &item.id]), text);
            added.map_err(temporary)?;
        }
        Ok(())
    }
}
