//! Which judgements are exported.

use crate::feedback::item::Item;
use crate::feedback::record::Record;
use serde::Serialize;

/// Whose judgements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Labellers {
    /// Everybody's.
    #[default]
    All,
    /// People's only.
    People,
    /// Simulated annotators' only.
    Simulated,
}

/// What a judgement must be to be exported. An empty list lets everything through.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Filter {
    /// Made by one of these.
    pub annotators: Vec<String>,
    /// About an item of one of these batches.
    pub batches: Vec<String>,
    /// About an item of one of these rounds.
    pub rounds: Vec<u32>,
    /// About an item with an answer of one of these policies.
    pub policies: Vec<String>,
    /// Made by people, by programs, or by either.
    pub labellers: Labellers,
}

impl Filter {
    /// True for an item (and a judgement of it) that is exported.
    pub fn lets_through(&self, item: &Item, record: Option<&Record>) -> bool {
        let labeller = record.is_none_or(|record| match self.labellers {
            Labellers::All => true,
            Labellers::People => !record.is_simulated(),
            Labellers::Simulated => record.is_simulated(),
        });
        let annotator = record.is_none_or(|record| any(&self.annotators, &record.annotator));
        let policies = item.candidates.iter().map(|candidate| &candidate.policy);
        let policy =
            self.policies.is_empty() || policies.into_iter().any(|p| self.policies.contains(p));
        let place = any(&self.batches, &item.batch) && any(&self.rounds, &item.round);
        labeller && annotator && policy && place
    }
}

fn any<T: PartialEq>(wanted: &[T], value: &T) -> bool {
    wanted.is_empty() || wanted.contains(value)
}
