//! What one annotator said about an item, without the text: all that is held of a judgement until those of
//! the others are there.

use crate::feedback::formats::judged::{Judged, Said};
use crate::feedback::formats::native::{policy, said};
use crate::feedback::item::Item;
use crate::feedback::labels::Label;

/// A judgement, by the index of its item.
pub struct Opinion {
    item: u32,
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
            item: label.item as u32,
            said: said(item, record),
            models: others.then(|| models.collect()),
        }
    }

    /// [`Label::item`].
    pub fn item(&self) -> usize {
        self.item as usize
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

/// Those about one item together, in the order of the items; those about the same one in the order they
/// came.
pub fn by_item(opinions: &mut [Opinion]) -> impl Iterator<Item = &[Opinion]> {
    opinions.sort_by_key(|opinion| opinion.item);
    opinions.chunk_by(|a, b| a.item == b.item)
}
