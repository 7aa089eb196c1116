//! Other tools' preference files as items and judgements of a project.

use super::answers::add_new;
use super::item::{Candidate, Item, ItemError, Prompt, SamplesError, Selector};
use super::lines::RowError;
use super::pairs::{PairsError, PreferencePair, read_file};
use super::record::{Origin, Purpose, Scale};
use super::store::StoreError;
use super::store::decision::{Decision, Shown, Verdict};
use super::store::session::Session;
use super::store::stamps::Stamps;
use serde::Serialize;
use std::collections::HashMap;
use std::path::Path;

/// Why a file was not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file.
    #[error(transparent)]
    Pairs(#[from] PairsError),
    /// A row that is a pair and cannot be an item.
    #[error("{origin}: {source}")]
    Item {
        /// File and line.
        origin: String,
        /// What is wrong with it.
        source: ItemError,
    },
    /// The samples file.
    #[error(transparent)]
    Samples(#[from] SamplesError),
    /// The session file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A person's records cannot be made by a program's name, nor the other way round.
    #[error(
        "{0:?}: imported judgements need a name that does not start with `sim:`, which marks the \
         simulated annotators of this program"
    )]
    Simulated(String),
    /// The number of a repeat has one byte.
    #[error("{0}: more than 256 judgements of the same two answers")]
    TooManyRepeats(String),
}

/// Where a file goes.
#[derive(Debug, Clone)]
pub struct Target<'a> {
    /// The project.
    pub dir: &'a Path,
    /// Name of the samples file.
    pub batch: &'a str,
    /// Who judged.
    pub annotator: &'a str,
    /// Leave bad rows out instead of refusing the file.
    pub skip_bad: bool,
}

/// What became of a file.
#[derive(Debug, Default, Serialize)]
pub struct Imported {
    /// Rows that were pairs.
    pub rows: usize,
    /// Items that are new in `samples/`.
    pub new_items: usize,
    /// Judgements that were written.
    pub judgements: usize,
    /// Rows that an earlier import had brought.
    pub already_there: usize,
    /// Rows whose two answers are the same but for white space.
    pub duplicates: usize,
    /// Bad rows that were skipped.
    #[serde(serialize_with = "as_text")]
    pub skipped: Vec<RowError>,
}

fn as_text<S: serde::Serializer>(errors: &[RowError], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(errors.iter().map(ToString::to_string))
}

/// Reads a preference file into a project: text to `samples/`, judgements, with origin `import`, to
/// `feedback/`. The same pair in several rows is several judgements; a second import of the same
/// file adds nothing.
///
/// # Errors
/// [`ImportError`]; nothing is written if a row is bad and not to be skipped.
pub fn import(file: &Path, target: &Target, stamps: Stamps) -> Result<Imported, ImportError> {
    if target.annotator.starts_with(super::record::SIM_PREFIX) {
        return Err(ImportError::Simulated(target.annotator.to_owned()));
    }
    let read = read_file(file, target.skip_bad)?;
    let mut imported = Imported {
        rows: read.pairs.len(),
        skipped: read.skipped,
        ..Imported::default()
    };
    let mut rows = Vec::new();
    let mut judged: HashMap<String, u8> = HashMap::new();
    for pair in &read.pairs {
        if pair
            .chosen
            .split_whitespace()
            .eq(pair.rejected.split_whitespace())
        {
            imported.duplicates += 1;
        } else {
            rows.push(Labelled::new(pair, target.batch, &mut judged)?);
        }
    }
    let feedback = target.dir.join("feedback");
    let mut session = Session::open(&feedback, target.annotator, stamps)?.synced_on_close();
    let new = rows.iter().filter(|row| row.slot == 0);
    let new: Vec<Item> = new.map(|row| row.item.clone()).collect();
    imported.new_items = add_new(&target.dir.join("samples"), target.batch, &new)?;
    for row in rows {
        let there = session
            .history()
            .effective(&row.item.id, row.slot)
            .is_some();
        if !there {
            row.judge(&mut session)?;
        }
        imported.already_there += usize::from(there);
        imported.judgements += usize::from(!there);
    }
    session.close()?;
    Ok(imported)
}

/// A row as an item and a judgement of it.
struct Labelled {
    item: Item,
    winner: String,
    /// How often the same two answers were judged on earlier rows.
    slot: u8,
}

impl Labelled {
    fn new(
        pair: &PreferencePair,
        batch: &str,
        judged: &mut HashMap<String, u8>,
    ) -> Result<Self, ImportError> {
        let failed = |source| ImportError::Item {
            origin: pair.origin.clone(),
            source,
        };
        let policy = pair.source.as_deref().unwrap_or(batch);
        let answers = [&pair.chosen, &pair.rejected];
        let mut candidates = answers.map(|text| Candidate::new(text.clone(), policy));
        let winner = candidates[0].id.clone();
        // The canonical order must not tell which answer was preferred.
        candidates.sort_by(|a, b| a.id.cmp(&b.id));
        let prompt = Prompt::new(None, pair.prompt.clone()).map_err(failed)?;
        let selector = Selector {
            name: "all".into(),
            score: None,
            seed: 0,
        };
        let item = Item::new(batch, 0, prompt, candidates.into(), selector).map_err(failed)?;
        let slot = match judged.get(&item.id) {
            None => 0,
            Some(slot) => {
                let next = slot.checked_add(1);
                next.ok_or_else(|| ImportError::TooManyRepeats(pair.origin.clone()))?
            }
        };
        judged.insert(item.id.clone(), slot);
        Ok(Self { item, winner, slot })
    }

    fn judge(self, session: &mut Session) -> Result<(), StoreError> {
        let shown = Shown {
            item: &self.item,
            slot: self.slot,
            purpose: Purpose::Train,
            origin: Origin::Import,
            display: None,
            time: None,
        };
        let verdict = Verdict::Prefer {
            winner: self.winner,
            strength: None,
        };
        session.judge(&shown, Decision::new(verdict, Scale::Binary))?;
        Ok(())
    }
}
