//! The judgements of a project as the rows of other tools.
//!
//! Filters choose judgements, [`aggregate`] makes one of several about an item, a tie policy says
//! what becomes of ties, and a format writes what it can carry unchanged. Everything that stays
//! behind is counted by reason, and [`manifest`] records it all beside the file.

pub mod aggregate;
pub mod filter;
pub mod manifest;
mod opinion;
mod output;

use super::formats::judged::{Judged, Said};
use super::formats::native::{Native, judged, said};
use super::formats::{Detail, OutFormat};
use super::item::{Item, SamplesError};
use super::labels::{Label, LabelsError};
use super::ledger::{Ledger, Walk};
use super::pairs::{Dropped, why_not};
use super::spill::RoomError;
use super::spill::seen::Seen;
use aggregate::{Aggregate, Votes};
use filter::{Filter, Labellers};
use opinion::{Opinion, Opinions};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
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

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A label or an item that cannot be read.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// Who takes the rows failed.
    #[error(transparent)]
    Write(#[from] io::Error),
}

impl From<RoomError> for ExportError {
    fn from(error: RoomError) -> Self {
        Self::Labels(error.into())
    }
}

impl From<SamplesError> for ExportError {
    fn from(error: SamplesError) -> Self {
        Self::Labels(error.into())
    }
}

/// Takes the rows.
pub type Sink<'a> = &'a mut dyn FnMut(&Value) -> io::Result<()>;

/// Hands the rows of a project to `sink`, one by one: labels by annotator name and then in the order they
/// were made, items in the order of the samples.
///
/// One judgement and its text are held at a time; majority and mean, those of one item.
///
/// # Errors
/// [`ExportError`], after the rows before.
pub fn export(ledger: &Ledger, options: &Options, sink: Sink) -> Result<Exported, ExportError> {
    let mut export = Export {
        options,
        filter: options.filters.decided(ledger)?,
        exported: Exported::default(),
        sink,
    };
    export.exported.counted = export.filter.labellers;
    match (options.format, options.aggregate) {
        (format, _) if format.is_unjudged() => export.unjudged(ledger)?,
        (OutFormat::Native, _) => export.native(ledger)?,
        (_, Aggregate::All) => export.each(ledger)?,
        (_, how) => export.aggregated(ledger, how)?,
    }
    Ok(export.exported)
}

/// What a margin of zero hides.
const NO_STRENGTH: &str = "that the strength is unknown (margin 0)";

struct Export<'a> {
    options: &'a Options,
    /// That of the options, decided.
    filter: Filter,
    exported: Exported,
    sink: Sink<'a>,
}

impl Export<'_> {
    /// Shows `take` the labels that the filter lets through, and counts all.
    fn chosen(
        &mut self,
        labels: Walk,
        mut take: impl FnMut(&mut Self, Label, Item) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        for label in labels {
            let (label, item) = label?;
            if self.filter.lets_through(&item, Some(&label.record)) {
                self.exported.judgements += 1;
                self.exported.simulated += usize::from(label.record.is_simulated());
                take(self, label, item)?;
            } else {
                self.exported.filtered_out += 1;
            }
        }
        Ok(())
    }

    /// Items or prompts, each once.
    fn unjudged(&mut self, ledger: &Ledger) -> Result<(), ExportError> {
        self.chosen(ledger.labels(), |_, _, _| Ok(()))?;
        let mut seen = Seen::new(ledger.room());
        for item in ledger.items() {
            let item = item?;
            let prompts = self.options.format != OutFormat::LabelStudioTasks;
            let fresh = !prompts || seen.insert(*item.prompt.sha256.as_bytes())?;
            if fresh && self.filter.lets_through(&item, None) {
                let answers = item.candidates.into_iter();
                let (texts, models): (Vec<_>, Vec<_>) =
                    answers.map(|c| (c.text, Some(c.policy))).unzip();
                let judged = Judged::new(item.prompt.text, texts).by(models);
                self.row(&judged)?;
            }
        }
        Ok(())
    }

    /// Records in full; adjudications last, since they name others.
    fn native(&mut self, ledger: &Ledger) -> Result<(), ExportError> {
        for labels in [ledger.opinions(), ledger.rulings()] {
            self.chosen(labels, |export, label, item| {
                let tie = said(&item, &label.record) == Said::Tie;
                if tie && export.options.ties == Ties::Drop {
                    export.exported.dropped.ties += 1;
                    return Ok(());
                }
                match Native::new(item, label.record, label.settled).write() {
                    Some(row) => export.emit(&row)?,
                    None => export.exported.dropped.not_expressible += 1,
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn each(&mut self, ledger: &Ledger) -> Result<(), ExportError> {
        self.chosen(ledger.labels(), |export, label, item| {
            if let Some(reason) = why_not(&label, &mut export.exported.dropped) {
                *reason += 1;
                return Ok(());
            }
            Ok(export.judgement(&judged(&item, &label.record))?)
        })
    }

    fn aggregated(&mut self, ledger: &Ledger, how: Aggregate) -> Result<(), ExportError> {
        let mut opinions = Opinions::new(ledger.room());
        self.chosen(ledger.labels(), |export, label, item| {
            // Both bad is a vote; for every other reason there is none.
            let mut dropped = export.exported.dropped;
            if let Some(reason) = why_not(&label, &mut dropped) {
                *reason += 1;
            }
            let both_bad = dropped.both_bad > export.exported.dropped.both_bad;
            if dropped != export.exported.dropped && !both_bad {
                export.exported.dropped = dropped;
            } else {
                opinions.add(label.item, &Opinion::new(&label, &item))?;
            }
            Ok(())
        })?;
        let mut items = ledger.in_order();
        opinions.by_item(|index, opinions| {
            if let Some(item) = items.item(index)? {
                self.combined(item, opinions, how)?;
            }
            Ok(())
        })
    }

    /// Several judgements of one item as one.
    fn combined(&mut self, item: Item, opinions: &[Opinion], how: Aggregate) -> io::Result<()> {
        let mut judged = opinions[0].text_of(item);
        let mut votes = Votes::default();
        for opinion in opinions {
            judged.said = opinion.said.clone();
            votes.add(&judged);
        }
        judged.said = Said::Nothing;
        if votes.are_both_bad(how) {
            self.exported.dropped.both_bad += 1;
        } else if self.options.format.is_listwise() {
            let Some(said) = votes.ranking(how) else {
                self.exported.dropped.no_majority += 1;
                return Ok(());
            };
            judged.said = said;
            self.judgement(&judged)?;
        } else {
            self.pairs_of(&judged, &votes, how)?;
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
