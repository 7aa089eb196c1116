//! What one annotator said about an item, without the text: all that is kept of a judgement until those of
//! the others are there.

use super::ExportError;
use crate::feedback::formats::judged::{Judged, Said};
use crate::feedback::formats::native::{policy, said};
use crate::feedback::item::Item;
use crate::feedback::labels::Label;
use crate::feedback::spill::Room;
use crate::feedback::spill::sort::{Fields, Sorter};
use serde::{Deserialize, Serialize};
use std::io;

/// A judgement, without its item.
#[derive(Serialize, Deserialize)]
pub struct Opinion {
    /// What was said about the answers.
    pub said: Said,
    /// The models that gave the answers, where the record names others than the item.
    models: Option<Box<[String]>>,
}

impl Opinion {
    /// What `label` says about `item`.
    pub fn new(label: &Label, item: &Item) -> Self {
        let record = &label.record;
        let mut each = item.candidates.iter();
        let others = each.any(|candidate| policy(candidate, record) != candidate.policy);
        let models = item.candidates.iter();
        let models = models.map(|candidate| policy(candidate, record).to_owned());
        Self {
            said: said(item, record),
            models: others.then(|| models.collect()),
        }
    }

    /// The text of the item and where it is from, without what was said; the models as they are named here.
    pub fn text_of(&self, item: Item) -> Judged {
        let (texts, models): (Vec<_>, Vec<_>) = item
            .candidates
            .into_iter()
            .map(|c| (c.text, c.policy))
            .unzip();
        let models = self.models.clone().map_or(models, Vec::from);
        let judged = Judged::new(item.prompt.text, texts).by(models.into_iter().map(Some));
        Judged {
            source: Some(item.batch),
            ..judged
        }
    }
}

/// Takes opinions in the order of the labels.
pub struct Opinions {
    /// Rows of the item's index, the number of the opinion, and the opinion.
    rows: Sorter,
    taken: u64,
}

impl Opinions {
    /// None yet.
    pub fn new(room: &Room) -> Self {
        Self {
            rows: Sorter::new(room),
            taken: 0,
        }
    }

    /// Takes the opinion about the item with an index.
    pub fn add(&mut self, item: usize, opinion: &Opinion) -> Result<(), ExportError> {
        let mut row = (item as u64).to_be_bytes().to_vec();
        row.extend(self.taken.to_be_bytes());
        serde_json::to_writer(&mut row, opinion).map_err(io::Error::from)?;
        self.taken += 1;
        Ok(self.rows.push(&row)?)
    }

    /// Shows `take` the opinions about each item, in the order of the items; those about the same one in
    /// the order they came.
    pub fn by_item(
        self,
        mut take: impl FnMut(u64, &[Opinion]) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let sorted = self.rows.sorted()?;
        let mut rows = sorted.rows()?;
        let (mut item, mut opinions) = (0, Vec::new());
        loop {
            let row = rows.next_row()?;
            let index = row.map(|row| Fields(row).u64());
            if index != Some(item) && !opinions.is_empty() {
                take(item, &opinions)?;
                opinions.clear();
            }
            let Some(row) = row else {
                return Ok(());
            };
            let mut fields = Fields(row);
            (item, _) = (fields.u64(), fields.u64());
            opinions.push(serde_json::from_slice(fields.0).map_err(io::Error::from)?);
        }
    }
}
