//! The judgements of a project as the rows of other tools.
//!
//! Filters choose judgements, [`aggregate`] makes one of several about an item, a tie policy says
//! what becomes of ties, and a format writes what it can carry unchanged. Everything that stays
//! behind is counted by reason, and [`manifest`] records it all beside the file.

pub mod aggregate;
pub mod filter;
pub mod manifest;
mod output;

use super::formats::judged::{Judged, Said};
use super::formats::native::{Native, judged};
use super::formats::{Detail, OutFormat};
use super::labels::{Label, Labels};
use super::pairs::{Dropped, why_not};
use super::record::Origin;
use aggregate::{Aggregate, Votes};
use filter::{Filter, Labellers};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::io;

pub use output::{OutputError, write_file};

/// What becomes of equally good answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ties {
    /// Left out and counted.
    Drop,
    /// Written in both directions: each answer wins once.
    Half,
    /// Written as ties.
    Keep,
}

/// What is exported, and how.
#[derive(Debug, Clone, Serialize)]
pub struct Options {
    /// Format of the rows.
    pub format: OutFormat,
    /// Which judgements.
    pub filters: Filter,
    /// What becomes of several judgements of one item.
    pub aggregate: Aggregate,
    /// What becomes of ties.
    pub ties: Ties,
}

/// Options that contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// The format cannot do this with ties.
    #[error("format {format} cannot {policy} ties; it can {possible}")]
    Ties {
        /// The format.
        format: &'static str,
        /// What was asked for.
        policy: &'static str,
        /// What it can do.
        possible: &'static str,
    },
    /// Native rows are single judgements.
    #[error("format native carries each judgement in full; --aggregate must be all")]
    NativeAggregate,
}

impl Options {
    /// Options with the format's own tie policy: keep where it can, else drop.
    pub fn new(format: OutFormat) -> Self {
        let ties = if format.has_ties() {
            Ties::Keep
        } else {
            Ties::Drop
        };
        Self {
            format,
            filters: Filter::default(),
            aggregate: Aggregate::All,
            ties,
        }
    }

    /// Checks that the format can do what is asked.
    ///
    /// # Errors
    /// [`OptionsError`] with what it can do.
    pub fn check(&self) -> Result<(), OptionsError> {
        let format = self.format;
        if format == OutFormat::Native && self.aggregate != Aggregate::All {
            return Err(OptionsError::NativeAggregate);
        }
        let listwise = format.is_listwise() || format.is_unjudged();
        let policy = match self.ties {
            Ties::Drop => return Ok(()),
            Ties::Half if !listwise => return Ok(()),
            Ties::Keep if format.has_ties() => return Ok(()),
            Ties::Half => "halve",
            Ties::Keep => "keep",
        };
        let possible = match (format.has_ties(), listwise) {
            (true, _) => "keep or drop them",
            (false, false) => "halve (both directions) or drop them; native and nemo keep ties",
            (false, true) => "only drop them",
        };
        Err(OptionsError::Ties {
            format: format.name(),
            policy,
            possible,
        })
    }
}

/// What was exported and what was not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Exported {
    /// Rows written.
    pub rows: usize,
    /// Judgements that the filters let through.
    pub judgements: usize,
    /// Those of them that simulated annotators made.
    pub simulated: usize,
    /// Judgements that the filters kept out.
    pub filtered_out: usize,
    /// Whose judgements these are.
    pub counted: Labellers,
    /// What did not become a row, by reason: judgements and their pairs, or items if aggregated.
    pub dropped: Dropped,
    /// Written, but without these details, which the format has no place for.
    pub not_carried: BTreeMap<&'static str, usize>,
}

/// Takes the rows.
type Sink<'a> = &'a mut dyn FnMut(&Value) -> io::Result<()>;

/// Hands the rows of a project to `sink`, one by one.
///
/// # Errors
/// What `sink` returns.
pub fn export(labels: &Labels, options: &Options, sink: Sink) -> io::Result<Exported> {
    let mut export = Export {
        options,
        exported: Exported::default(),
        sink,
    };
    let (chosen, counted) = options.filters.choose(labels);
    export.exported.counted = counted;
    export.exported.filtered_out = labels.labels.len() - chosen.len();
    export.exported.judgements = chosen.len();
    export.exported.simulated = chosen
        .iter()
        .filter(|label| label.record.is_simulated())
        .count();
    match (options.format, options.aggregate) {
        (format, _) if format.is_unjudged() => export.unjudged(labels)?,
        (OutFormat::Native, _) => export.native(labels, &chosen)?,
        (_, Aggregate::All) => export.each(labels, &chosen)?,
        (_, how) => export.aggregated(labels, &chosen, how)?,
    }
    Ok(export.exported)
}

/// What a margin of zero hides.
const NO_STRENGTH: &str = "that the strength is unknown (margin 0)";

struct Export<'a> {
    options: &'a Options,
    exported: Exported,
    sink: Sink<'a>,
}

impl Export<'_> {
    /// Items or prompts, each once.
    fn unjudged(&mut self, labels: &Labels) -> io::Result<()> {
        let mut seen = HashSet::new();
        for item in &labels.items {
            let prompts = self.options.format != OutFormat::LabelStudioTasks;
            let fresh = !prompts || seen.insert(item.prompt.sha256);
            if fresh && self.options.filters.lets_through(item, None) {
                let answers = item
                    .candidates
                    .iter()
                    .map(|candidate| candidate.text.clone());
                let models = item.candidates.iter().map(|c| Some(c.policy.clone()));
                let judged = Judged::new(item.prompt.text.clone(), answers).by(models);
                self.row(&judged)?;
            }
        }
        Ok(())
    }

    /// Records in full; adjudications last, since they name others.
    fn native(&mut self, labels: &Labels, chosen: &[&Label]) -> io::Result<()> {
        let is_adjudication = |label: &&Label| label.record.origin == Some(Origin::Adjudication);
        let (last, first): (Vec<&Label>, Vec<&Label>) =
            chosen.iter().copied().partition(is_adjudication);
        for label in first.into_iter().chain(last) {
            let tie = judged(labels.item(label), &label.record).said == Said::Tie;
            if tie && self.options.ties == Ties::Drop {
                self.exported.dropped.ties += 1;
                continue;
            }
            let item = labels.item(label).clone();
            match Native::new(item, label.record.clone(), label.settled).write() {
                Some(row) => self.emit(&row)?,
                None => self.exported.dropped.not_expressible += 1,
            }
        }
        Ok(())
    }

    fn each(&mut self, labels: &Labels, chosen: &[&Label]) -> io::Result<()> {
        for label in chosen {
            if let Some(reason) = why_not(label, &mut self.exported.dropped) {
                *reason += 1;
                continue;
            }
            self.judgement(&judged(labels.item(label), &label.record))?;
        }
        Ok(())
    }

    fn aggregated(&mut self, labels: &Labels, chosen: &[&Label], how: Aggregate) -> io::Result<()> {
        let mut by_item: BTreeMap<usize, (Judged, Votes)> = BTreeMap::new();
        for label in chosen {
            // Both bad is a vote; for every other reason there is none.
            let mut dropped = self.exported.dropped;
            if let Some(reason) = why_not(label, &mut dropped) {
                *reason += 1;
            }
            let both_bad = dropped.both_bad > self.exported.dropped.both_bad;
            if dropped != self.exported.dropped && !both_bad {
                self.exported.dropped = dropped;
                continue;
            }
            let judged = judged(labels.item(label), &label.record);
            let (_, votes) = by_item
                .entry(label.item)
                .or_insert_with(|| (text_of(&judged), Votes::default()));
            votes.add(&judged);
        }
        for (mut judged, votes) in by_item.into_values() {
            if votes.are_both_bad(how) {
                self.exported.dropped.both_bad += 1;
            } else if self.options.format.is_listwise() {
                let Some(said) = votes.ranking(how) else {
                    self.exported.dropped.no_majority += 1;
                    continue;
                };
                judged.said = said;
                self.judgement(&judged)?;
            } else {
                self.pairs_of(&judged, &votes, how)?;
            }
        }
        Ok(())
    }

    fn pairs_of(&mut self, judged: &Judged, votes: &Votes, how: Aggregate) -> io::Result<()> {
        for (a, b) in votes.pairs() {
            match votes.verdict(a, b, how) {
                None => self.exported.dropped.no_majority += 1,
                Some(said) => {
                    let two = two_of(judged, a, b, said);
                    self.judgement(&two)?;
                }
            }
        }
        Ok(())
    }

    /// One judgement: as it is where the format lists all answers, else two answers at a time.
    fn judgement(&mut self, judged: &Judged) -> io::Result<()> {
        let all_tie = judged.said == Said::Tie
            || matches!(&judged.said, Said::Ranking(groups) if groups.len() == 1);
        if self.options.format.is_listwise() {
            if all_tie && self.options.ties == Ties::Drop {
                self.exported.dropped.ties += 1;
                return Ok(());
            }
            return self.row(judged);
        }
        for (a, b, tie) in judged.comparisons() {
            let prefer = Said::Prefer {
                winner: 0,
                strength: judged.strength(),
            };
            match (tie, self.options.ties) {
                (false, _) => self.row(&two_of(judged, a, b, prefer))?,
                (true, Ties::Half) => {
                    self.row(&two_of(judged, a, b, prefer.clone()))?;
                    self.row(&two_of(judged, b, a, prefer))?;
                }
                (true, _) => self.exported.dropped.ties += 1,
            }
        }
        Ok(())
    }

    fn row(&mut self, judged: &Judged) -> io::Result<()> {
        let Some(rows) = self.options.format.write(judged) else {
            self.exported.dropped.not_expressible += 1;
            return Ok(());
        };
        for (detail, name) in Detail::ALL {
            if detail.is_in(judged) && !self.options.format.carries(detail) {
                *self.exported.not_carried.entry(name).or_default() += 1;
            }
        }
        if self.options.format.has_margin() && judged.strength().is_none() {
            *self.exported.not_carried.entry(NO_STRENGTH).or_default() += 1;
        }
        rows.iter().try_for_each(|row| self.emit(row))
    }

    fn emit(&mut self, row: &Value) -> io::Result<()> {
        self.exported.rows += 1;
        (self.sink)(row)
    }
}

/// The text of a judgement and where it is from, without what was said.
fn text_of(judged: &Judged) -> Judged {
    Judged {
        answers: judged.answers.clone(),
        source: judged.source.clone(),
        ..Judged::new(judged.prompt.clone(), [])
    }
}

/// Two answers of several. Where nobody knows how they stood, they stand in the order of the item, which
/// does not tell the better one.
fn two_of(judged: &Judged, a: usize, b: usize, said: Said) -> Judged {
    let left_first = match judged.shown.iter().find(|shown| [a, b].contains(shown)) {
        Some(&left) => left == a,
        None => a < b,
    };
    Judged {
        shown: if left_first { vec![0, 1] } else { vec![1, 0] },
        answers: vec![judged.answers[a].clone(), judged.answers[b].clone()],
        said,
        ..judged.clone()
    }
}
