//! The labels of a project: effective judgements of all annotators, joined with the text they are
//! about.

use super::item::{Item, SamplesError, read_all};
use super::record::{Kind, Origin, Record};
use super::store::StoreError;
use super::store::history::{Event, History};
use super::store::load::load_all;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Why the labels of a project cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LabelsError {
    /// A samples file.
    #[error(transparent)]
    Samples(#[from] SamplesError),
    /// A session file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A judgement about text that is not there, or not as it was.
    #[error("{path}:{line}: {reason}", path = .path.display())]
    Text {
        /// The session file.
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        /// What does not fit.
        reason: String,
    },
}

/// The two folders that labels come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    /// `samples/`: the text.
    pub samples: PathBuf,
    /// `feedback/`: the judgements.
    pub feedback: PathBuf,
}

impl Folders {
    /// Those of the project in `dir`; `dir` may also be its `feedback/` itself.
    pub fn of(dir: &Path) -> Self {
        let project = match dir.parent() {
            Some(project) if dir.ends_with("feedback") && !dir.join("feedback").is_dir() => project,
            _ => dir,
        };
        Self {
            samples: project.join("samples"),
            feedback: project.join("feedback"),
        }
    }
}

/// What an annotator last said about an item: a judgement, a skip or a deferral.
#[derive(Debug, Clone)]
pub struct Label {
    /// The event in full.
    pub record: Record,
    /// Index into [`Labels::items`].
    pub item: usize,
    /// True if an adjudication settled the matter: this judgement counts in statistics and no
    /// longer in exports.
    pub settled: bool,
}

/// Everything that counts in a project.
#[derive(Debug, Default)]
pub struct Labels {
    /// All items, batches in name order.
    pub items: Vec<Item>,
    /// Effective events by annotator name, then in the order they were made.
    pub labels: Vec<Label>,
}

impl Labels {
    /// Reads the labels of a project and checks that each is about text that is there.
    ///
    /// # Errors
    /// [`LabelsError`], by file and line.
    pub fn read(folders: &Folders) -> Result<Self, LabelsError> {
        let items = read_all(&folders.samples)?;
        let histories = load_all(&folders.feedback)?;
        let mut labels = Self {
            items,
            labels: Vec::new(),
        };
        let places = labels.places();
        for history in &histories {
            for event in history.all_effective() {
                let label = labels.join(&places, history, event)?;
                labels.labels.push(label);
            }
        }
        labels.settle();
        Ok(labels)
    }

    /// The item a label is about.
    pub fn item(&self, label: &Label) -> &Item {
        &self.items[label.item]
    }

    fn places(&self) -> HashMap<(String, String), usize> {
        let key = |item: &Item| (item.batch.clone(), item.id.clone());
        let items = self.items.iter().enumerate();
        items.map(|(index, item)| (key(item), index)).collect()
    }

    fn join(
        &self,
        places: &HashMap<(String, String), usize>,
        history: &History,
        event: &Event,
    ) -> Result<Label, LabelsError> {
        let record = history.record(event)?;
        let key = (
            record.batch.clone().unwrap_or_default(),
            record.item.clone().unwrap_or_default(),
        );
        let found = places.get(&key).copied();
        let missing = || {
            format!(
                "item {} is not in samples/{}.jsonl; restore that file, which belongs to these \
                 judgements",
                key.1, key.0
            )
        };
        let fits = |index: usize| same_text(&record, &self.items[index]).map(|()| index);
        match found.ok_or_else(missing).and_then(fits) {
            Ok(item) => Ok(Label {
                record,
                item,
                settled: false,
            }),
            Err(reason) => Err(LabelsError::Text {
                path: history.files[event.file].clone(),
                line: event.line,
                reason,
            }),
        }
    }

    fn settle(&mut self) {
        let adjudications = self.labels.iter().map(|label| &label.record);
        let settled: HashSet<_> = adjudications
            .filter(|record| {
                record.kind == Kind::Judgement && record.origin == Some(Origin::Adjudication)
            })
            .flat_map(|record| record.adjudicates.iter().copied())
            .collect();
        for label in &mut self.labels {
            label.settled = settled.contains(&label.record.id);
        }
    }
}

/// Checks that a judgement saw the text that the item holds now.
fn same_text(record: &Record, item: &Item) -> Result<(), String> {
    if record.prompt.as_ref().map(|prompt| prompt.sha256) != Some(item.prompt.sha256) {
        return Err(format!("the prompt of item {} is another one now", item.id));
    }
    for candidate in &record.candidates {
        let now = item.candidate(&candidate.id).map(|c| c.sha256);
        if now != Some(candidate.sha256) {
            let (id, item) = (&candidate.id, &item.id);
            return Err(format!("answer {id} of item {item} is not there as judged"));
        }
    }
    Ok(())
}
