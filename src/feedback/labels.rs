//! The labels of a project: effective judgements of all annotators, joined with the text they are
//! about.

use super::item::{Item, SamplesError, read_all, read_all_with};
use super::lines::jsonl_files;
use super::record::{Kind, Origin, Outcome, Record};
use super::spill::RoomError;
use super::store::history::{Event, History};
use super::store::load::load_all;
use super::store::records::Place;
use super::store::{StoreError, annotator_folder, annotators};
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::resume_unwind;
use std::path::{Path, PathBuf};
use std::thread;
use ulid::Ulid;

/// Why the labels of a project cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum LabelsError {
    /// A samples file.
    #[error(transparent)]
    Samples(#[from] SamplesError),
    /// A session file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No room for what is known of the labels.
    #[error(transparent)]
    Room(#[from] RoomError),
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

    /// `gold/` beside them: items with known answers.
    pub fn gold(&self) -> PathBuf {
        self.samples.with_file_name("gold")
    }

    /// Every file of samples and of judgements, in name order. Missing folders have none.
    ///
    /// # Errors
    /// If a folder cannot be listed.
    pub fn files(&self) -> Result<Vec<PathBuf>, LabelsError> {
        let failed = |error| LabelsError::Samples(SamplesError::Row(error));
        let mut files = Vec::new();
        for annotator in annotators(&self.feedback)? {
            let folder = annotator_folder(&self.feedback, &annotator)?;
            files.extend(jsonl_files(&folder).map_err(failed)?);
        }
        files.extend(jsonl_files(&self.samples).map_err(failed)?);
        Ok(files)
    }

    /// A number that changes when a file is added, removed or written to (by its name, length and
    /// time), without reading any. Folders that cannot be listed count as empty: [`Labels::read`]
    /// says what is wrong with them.
    pub fn stamp(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for file in self.files().unwrap_or_default() {
            let seen = std::fs::metadata(&file).ok();
            let seen = seen.map(|seen| (seen.len(), seen.modified().ok()));
            (file, seen).hash(&mut hasher);
        }
        hasher.finish()
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
    /// Where the texts were not kept: the characters of every answer of every item.
    pub lengths: Option<Vec<Vec<u32>>>,
}

impl Labels {
    /// Reads the labels of a project and checks that each is about text that is there.
    ///
    /// # Errors
    /// [`LabelsError`], by file and line.
    pub fn read(folders: &Folders) -> Result<Self, LabelsError> {
        Self::join(folders, || read_all(&folders.samples))
    }

    /// The same, as strictly checked, in less memory: of each text only its length is kept, and the
    /// texts of [`Labels::items`] are empty.
    ///
    /// # Errors
    /// [`LabelsError`], by file and line.
    pub fn without_texts(folders: &Folders) -> Result<Self, LabelsError> {
        let mut lengths = Vec::new();
        let labels = Self::join(folders, || {
            let measured = read_all_with(&folders.samples, &|mut item: Item| {
                let lengths = item.take_lengths();
                (item, lengths)
            })?;
            let (items, measured) = measured.into_iter().unzip();
            lengths = measured;
            Ok(items)
        })?;
        Ok(Self {
            lengths: Some(lengths),
            ..labels
        })
    }

    fn join(
        folders: &Folders,
        items: impl FnOnce() -> Result<Vec<Item>, SamplesError>,
    ) -> Result<Self, LabelsError> {
        let (items, histories) = thread::scope(|scope| {
            let histories = scope.spawn(|| load_all(&folders.feedback));
            let items = items();
            let histories = histories.join();
            (
                items,
                histories.unwrap_or_else(|panic| resume_unwind(panic)),
            )
        });
        let mut labels = Self {
            items: items?,
            ..Self::default()
        };
        let places = places(&labels.items);
        for history in histories? {
            let events: Vec<&Event> = history.all_effective().collect();
            for (event, record) in events.iter().zip(history.records(&events)?) {
                let label = join(&labels.items, &places, &history, event, record)?;
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

    fn settle(&mut self) {
        let records = self.labels.iter().map(|label| &label.record);
        let settled: HashSet<Ulid> = records.flat_map(settles).copied().collect();
        for label in &mut self.labels {
            label.settled = settled.contains(&label.record.id);
        }
    }
}

/// The judgements that a record settles: those that an adjudication names, unless it could not tell.
pub(super) fn settles(record: &Record) -> &[Ulid] {
    let adjudication = record.kind == Kind::Judgement
        && record.origin == Some(Origin::Adjudication)
        && record.outcome != Some(Outcome::CannotJudge);
    if adjudication {
        &record.adjudicates
    } else {
        &[]
    }
}

/// Where each item is, by batch and id.
type Places<'a> = HashMap<(&'a str, &'a str), usize>;

fn places(items: &[Item]) -> Places<'_> {
    let each = items.iter().enumerate();
    each.map(|(index, item)| ((&*item.batch, &*item.id), index))
        .collect()
}

fn join(
    items: &[Item],
    places: &Places,
    history: &History,
    event: &Event,
    record: Record,
) -> Result<Label, LabelsError> {
    let (batch, id) = place(&record);
    let found = places.get(&(batch, id)).copied();
    let found = found.ok_or_else(|| missing(batch, id));
    match found.and_then(|index| same_text(&record, &items[index]).map(|()| index)) {
        Ok(item) => Ok(Label {
            record,
            item,
            settled: false,
        }),
        Err(reason) => Err(misfit(&history.files, event.place(), reason)),
    }
}

/// The batch and the id of the item that a record is about.
pub(super) fn place(record: &Record) -> (&str, &str) {
    let batch = record.batch.as_deref().unwrap_or_default();
    (batch, record.item.as_deref().unwrap_or_default())
}

/// What to say where there is no such item.
pub(super) fn missing(batch: &str, id: &str) -> String {
    format!(
        "item {id} is not in samples/{batch}.jsonl; restore that file, which belongs to these \
         judgements"
    )
}

/// A judgement that does not fit the text, by file and line.
pub(super) fn misfit(files: &[PathBuf], record: Place, reason: String) -> LabelsError {
    LabelsError::Text {
        path: files[record.file as usize].clone(),
        line: record.line as usize,
        reason,
    }
}

/// Checks that a judgement saw the text that the item holds now.
pub(super) fn same_text(record: &Record, item: &Item) -> Result<(), String> {
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
