//! Preference pairs: what a reward model learns from, whoever wrote them down.
//!
//! A folder is a project: the effective labels of all its annotators. A file is JSONL, plain or
//! gzip, and each row tells its own format:
//!
//! | row | prompt |
//! |---|---|
//! | `{"prompt", "chosen", "rejected"}` | explicit: all text, or all lists of messages (TRL) |
//! | `{"chosen", "rejected"}`, lists | the messages that both begin with (TRL) |
//! | `{"chosen", "rejected"}`, text | what both begin with (TRL) |
//! | the same, beginning with `"\n\nHuman: "` | all up to the last shared `"\n\nAssistant:"` (hh-rlhf) |
//!
//! `source` is kept; other keys (`margin`, `score_chosen`, …) are ignored.

pub mod row;

use super::item::{Item, MAX_ROW_BYTES, PromptText};
use super::labels::{Folders, Label, Labels, LabelsError};
use super::lines::{Lines, RowError};
use super::record::{Kind, Outcome, Purpose, Record};
use serde::Serialize;
use std::fmt;
use std::path::{Path, PathBuf};

/// Why there are no pairs.
#[derive(Debug, thiserror::Error)]
pub enum PairsError {
    /// A bad row, with file and line.
    #[error(transparent)]
    Row(#[from] RowError),
    /// A project whose labels cannot be read.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// A file without a row.
    #[error(
        "{path}: no preference pairs; write one JSON object per line, for example \
         {{\"prompt\": \"The sky is\", \"chosen\": \" blue.\", \"rejected\": \" green.\"}}",
        path = .0.display()
    )]
    Empty(PathBuf),
    /// A project without a usable label.
    #[error(
        "{path}: no preference pairs ({dropped}); judge some with `rlhf label`",
        path = .path.display()
    )]
    NoLabels {
        /// The project.
        path: PathBuf,
        /// The labels that are no pairs.
        dropped: Dropped,
    },
}

/// One answer was preferred to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreferencePair {
    /// What was answered.
    pub prompt: PromptText,
    /// The better answer; with a tie, the first one.
    pub chosen: String,
    /// The other.
    pub rejected: String,
    /// Equally good: then chosen and rejected mean nothing.
    pub tie: bool,
    /// 1 barely … 4 much; unknown for files.
    pub strength: Option<u8>,
    /// Who judged; unknown for files.
    pub annotator: Option<String>,
    /// Where the text is from: the row's `source`, or the batch of a project.
    pub source: Option<String>,
    /// Where the label stands: `file:line`, or the id of the event in a project.
    pub origin: String,
}

/// The pairs of a file, and the rows that are none.
#[derive(Debug, Default)]
pub struct PairFile {
    /// In file order.
    pub pairs: Vec<PreferencePair>,
    /// Bad rows that were skipped, with file, line and reason.
    pub skipped: Vec<RowError>,
}

/// Reads the pairs of a file, or the pairs for training of a project directory (or of its
/// `feedback/`). Two equal answers are a pair too; it says nothing and does no harm.
///
/// # Errors
/// [`PairsError`]: the first bad row or label by file and line, or no pair at all.
pub fn read(path: &Path) -> Result<Vec<PreferencePair>, PairsError> {
    if !path.is_dir() {
        return Ok(read_file(path, false)?.pairs);
    }
    let (pairs, dropped) = of_project(&Labels::read(&Folders::of(path))?, &[]);
    if pairs.is_empty() {
        let path = path.to_owned();
        return Err(PairsError::NoLabels { path, dropped });
    }
    Ok(pairs)
}

/// Reads a file of pairs; with `skip_bad`, rows that are no pair are collected, not an error.
///
/// # Errors
/// [`PairsError::Row`] for a bad row or an unreadable file; [`PairsError::Empty`] without any row.
pub fn read_file(path: &Path, skip_bad: bool) -> Result<PairFile, PairsError> {
    let mut lines = Lines::open(path, MAX_ROW_BYTES)?;
    let mut file = PairFile::default();
    while let Some(row) = lines.next_row()? {
        match row::parse(&row) {
            Ok(pair) => file.pairs.push(pair),
            Err(error) if skip_bad => file.skipped.push(error),
            Err(error) => return Err(error.into()),
        }
    }
    if file.pairs.is_empty() && file.skipped.is_empty() {
        return Err(PairsError::Empty(path.to_owned()));
    }
    Ok(file)
}

/// Labels that did not become rows, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// Judged equally good.
    pub ties: usize,
    /// No answer was acceptable.
    pub both_bad: usize,
    /// The annotator could not tell.
    pub cannot_judge: usize,
    /// Skipped or deferred.
    pub skipped: usize,
    /// Made for evaluation, as a check or as a repeat.
    pub not_for_training: usize,
    /// Replaced by an adjudication.
    pub settled: usize,
    /// The format cannot carry the prompt or the answers unchanged.
    pub not_expressible: usize,
}

impl Dropped {
    /// All of them.
    pub fn total(&self) -> usize {
        self.parts().iter().map(|(count, _)| count).sum()
    }

    fn parts(&self) -> [(usize, &'static str); 7] {
        [
            (self.ties, "ties"),
            (self.both_bad, "both bad"),
            (self.cannot_judge, "cannot judge"),
            (self.skipped, "skipped"),
            (self.not_for_training, "not for training"),
            (self.settled, "settled by adjudication"),
            (self.not_expressible, "not expressible in this format"),
        ]
    }
}

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.parts();
        let some: Vec<_> = parts.iter().filter(|(count, _)| *count > 0).collect();
        if some.is_empty() {
            return f.write_str("none dropped");
        }
        f.write_str("dropped: ")?;
        for (index, (count, reason)) in some.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{count} {reason}")?;
        }
        Ok(())
    }
}

/// The pairs for training in a project, ties among them, and the labels that are none.
///
/// Only labels of `annotators` count, or all if that is empty. A ranking becomes a pair for every
/// two candidates (Ouyang et al. 2022, arXiv:2203.02155, section 3.5).
pub fn of_project(labels: &Labels, annotators: &[String]) -> (Vec<PreferencePair>, Dropped) {
    let (mut pairs, mut dropped) = (Vec::new(), Dropped::default());
    for label in &labels.labels {
        let record = &label.record;
        if !annotators.is_empty() && !annotators.contains(&record.annotator) {
            continue;
        }
        if let Some(reason) = why_not(label, &mut dropped) {
            *reason += 1;
            continue;
        }
        pairs.extend(pairs_of(record, labels.item(label)));
    }
    (pairs, dropped)
}

/// The counter of the reason why a label is no pair for training.
fn why_not<'a>(label: &Label, dropped: &'a mut Dropped) -> Option<&'a mut usize> {
    let record = &label.record;
    if record.kind != Kind::Judgement {
        return Some(&mut dropped.skipped);
    }
    if label.settled {
        return Some(&mut dropped.settled);
    }
    if !matches!(record.purpose, Some(Purpose::Train | Purpose::Adjudication)) {
        return Some(&mut dropped.not_for_training);
    }
    match record.outcome {
        Some(Outcome::Prefer | Outcome::Tie) => None,
        Some(Outcome::BothBad) => Some(&mut dropped.both_bad),
        Some(Outcome::CannotJudge) | None => Some(&mut dropped.cannot_judge),
    }
}

fn pairs_of(record: &Record, item: &Item) -> Vec<PreferencePair> {
    let text = |id: &str| item.candidate(id).map(|candidate| candidate.text.clone());
    let pair = |(better, worse, tie): (&str, &str, bool)| {
        Some(PreferencePair {
            prompt: item.prompt.text.clone(),
            chosen: text(better)?,
            rejected: text(worse)?,
            tie,
            strength: record.strength,
            annotator: Some(record.annotator.clone()),
            source: Some(item.batch.clone()),
            origin: record.id.to_string(),
        })
    };
    comparisons(record).into_iter().filter_map(pair).collect()
}

/// What a judgement says about two candidates at a time: better, worse, and whether they tie.
pub fn comparisons(record: &Record) -> Vec<(&str, &str, bool)> {
    let all: Vec<&str> = record.candidates.iter().map(|c| c.id.as_str()).collect();
    match (&record.ranking, record.winner.as_deref(), record.outcome) {
        (Some(groups), ..) => {
            let each = groups.iter().enumerate();
            each.flat_map(|(rank, group)| {
                let group: Vec<&str> = group.iter().map(String::as_str).collect();
                let worse = groups[rank + 1..].iter().flatten().map(String::as_str);
                let mut found = equals(&group);
                for worse in worse {
                    found.extend(group.iter().map(|&better| (better, worse, false)));
                }
                found
            })
            .collect()
        }
        (None, Some(winner), _) => {
            let others = all.into_iter().filter(|&id| id != winner);
            others.map(|other| (winner, other, false)).collect()
        }
        (None, None, Some(Outcome::Tie)) => equals(&all),
        _ => Vec::new(),
    }
}

fn equals<'a>(group: &[&'a str]) -> Vec<(&'a str, &'a str, bool)> {
    let each = group.iter().enumerate();
    each.flat_map(|(index, &one)| {
        group[index + 1..]
            .iter()
            .map(move |&other| (one, other, true))
    })
    .collect()
}
