//! Preference pairs: what a reward model learns from, whoever wrote them down.
//!
//! A folder is a project: the effective labels of all its annotators. A file may be of any format
//! that [`super::formats`] reads and any kind that [`super::rows`] opens.

use super::formats::InFormat;
use super::formats::judged::{Judged, of_ranking, ties};
use super::formats::native::judged;
use super::item::PromptText;
use super::judgements::Judgements;
use super::labels::{Folders, Label, Labels, LabelsError};
use super::lines::{Row, RowError};
use super::record::{Kind, Outcome, Purpose, Record};
use serde::Serialize;
use std::collections::HashSet;
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
    /// 1 barely … 4 much; unknown for most files.
    pub strength: Option<u8>,
    /// Who judged; unknown for most files.
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
        return Ok(read_file(path, None, false)?.pairs);
    }
    let (pairs, dropped) = of_project(&Labels::read(&Folders::of(path))?, &[]);
    if pairs.is_empty() {
        let path = path.to_owned();
        return Err(PairsError::NoLabels { path, dropped });
    }
    Ok(pairs)
}

/// Reads a file of pairs, of this format or of the one its first row has; with `skip_bad`, rows that
/// are no pair are collected, not an error.
///
/// # Errors
/// [`PairsError::Row`] for a bad row or an unreadable file; [`PairsError::Empty`] without any row.
pub fn read_file(
    path: &Path,
    format: Option<InFormat>,
    skip_bad: bool,
) -> Result<PairFile, PairsError> {
    let mut judgements = Judgements::open(path, format)?;
    let mut file = PairFile::default();
    loop {
        match judgements.next_read() {
            Ok(None) => break,
            Ok(Some(read)) => {
                let origin = origin(&read.row);
                for judged in read.judged() {
                    file.pairs.extend(pairs_of(&judged, &origin));
                }
            }
            Err(error @ RowError::Bad { .. }) if skip_bad => file.skipped.push(error),
            Err(error) => return Err(error.into()),
        }
    }
    if file.pairs.is_empty() && file.skipped.is_empty() {
        return Err(PairsError::Empty(path.to_owned()));
    }
    Ok(file)
}

fn origin(row: &Row) -> String {
    format!("{}:{}", row.path.display(), row.line)
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
    /// Those who judged disagree, and none of the verdicts has most votes.
    pub no_majority: usize,
    /// The format cannot carry the prompt or the answers unchanged.
    pub not_expressible: usize,
}

impl Dropped {
    /// All of them.
    pub fn total(&self) -> usize {
        self.parts().iter().map(|(count, _)| count).sum()
    }

    fn parts(&self) -> [(usize, &'static str); 8] {
        [
            (self.ties, "ties"),
            (self.both_bad, "both bad"),
            (self.cannot_judge, "cannot judge"),
            (self.skipped, "skipped"),
            (self.not_for_training, "not for training"),
            (self.settled, "settled by adjudication"),
            (self.no_majority, "without a majority"),
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
/// Only labels of `annotators` count. Without any, everybody's do, people first: what a program said
/// about an item that a person judged is left out. A ranking becomes a pair for every two candidates
/// (Ouyang et al. 2022, arXiv:2203.02155, section 3.5).
pub fn of_project(labels: &Labels, annotators: &[String]) -> (Vec<PreferencePair>, Dropped) {
    let (mut pairs, mut dropped) = (Vec::new(), Dropped::default());
    let by_people = judged_by_people(labels);
    let counts = |record: &Record| match annotators {
        [] if record.is_simulated() => !by_people.contains(&record.item.as_deref()),
        [] => true,
        named => named.contains(&record.annotator),
    };
    for label in labels.labels.iter().filter(|label| counts(&label.record)) {
        let record = &label.record;
        if let Some(reason) = why_not(label, &mut dropped) {
            *reason += 1;
            continue;
        }
        let judged = judged(labels.item(label), record);
        pairs.extend(pairs_of(&judged, &record.id.to_string()));
    }
    (pairs, dropped)
}

/// The items about which a person has an opinion, be it that no answer is acceptable. It counts for
/// more than a program's, which only stands in where nobody judged.
fn judged_by_people(labels: &Labels) -> HashSet<Option<&str>> {
    let is_opinion = |record: &&Record| {
        let judged = !matches!(record.outcome, None | Some(Outcome::CannotJudge));
        !record.is_simulated() && judged
    };
    let records = labels.labels.iter().map(|label| &label.record);
    let opinions = records.filter(is_opinion);
    opinions.map(|record| record.item.as_deref()).collect()
}

/// The counter of the reason why a label is no pair for training.
pub fn why_not<'a>(label: &Label, dropped: &'a mut Dropped) -> Option<&'a mut usize> {
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

fn pairs_of(judged: &Judged, origin: &str) -> Vec<PreferencePair> {
    let pair = |(better, worse, tie): (usize, usize, bool)| PreferencePair {
        prompt: judged.prompt.clone(),
        chosen: judged.answers[better].text.clone(),
        rejected: judged.answers[worse].text.clone(),
        tie,
        strength: judged.strength(),
        annotator: judged.annotator.clone(),
        source: judged.source.clone(),
        origin: origin.to_owned(),
    };
    judged.comparisons().into_iter().map(pair).collect()
}

fn names(group: &[String]) -> Vec<&str> {
    group.iter().map(String::as_str).collect()
}

/// What a judgement says about two candidates at a time: better, worse, and whether they tie.
pub fn comparisons(record: &Record) -> Vec<(&str, &str, bool)> {
    let all: Vec<&str> = record.candidates.iter().map(|c| c.id.as_str()).collect();
    match (&record.ranking, record.winner.as_deref(), record.outcome) {
        (Some(groups), ..) => {
            let groups: Vec<Vec<&str>> = groups.iter().map(|group| names(group)).collect();
            of_ranking(&groups)
        }
        (None, Some(winner), _) => {
            let others = all.into_iter().filter(|&id| id != winner);
            others.map(|other| (winner, other, false)).collect()
        }
        (None, None, Some(Outcome::Tie)) => ties(&all),
        _ => Vec::new(),
    }
}
