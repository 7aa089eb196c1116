//! Which judgements are exported.

use crate::feedback::formats::native::policy;
use crate::feedback::item::Item;
use crate::feedback::labels::LabelsError;
use crate::feedback::ledger::Ledger;
use crate::feedback::record::{Kind, Record};
use serde::Serialize;

/// Whose judgements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Labellers {
    /// Everybody's.
    #[default]
    All,
    /// People's; everybody's only if there is none of people.
    PeopleFirst,
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
    /// This filter with [`Labellers::PeopleFirst`] decided: people's, if one of their judgements passes.
    ///
    /// # Errors
    /// A label that cannot be read, of those that are looked at to decide.
    pub fn decided(&self, ledger: &Ledger) -> Result<Self, LabelsError> {
        let with = |labellers| Self {
            labellers,
            ..self.clone()
        };
        if self.labellers != Labellers::PeopleFirst {
            return Ok(self.clone());
        }
        let people = with(Labellers::People);
        for label in ledger.of_people() {
            let (label, item) = label?;
            // What somebody only put aside is no judgement.
            let is_judgement = label.record.kind == Kind::Judgement;
            if is_judgement && people.lets_through(&item, Some(&label.record)) {
                return Ok(people);
            }
        }
        Ok(with(Labellers::All))
    }

    /// True for an item (and a judgement of it) that is exported.
    pub fn lets_through(&self, item: &Item, record: Option<&Record>) -> bool {
        let labeller = record.is_none_or(|record| match self.labellers {
            Labellers::All | Labellers::PeopleFirst => true,
            Labellers::People => !record.is_simulated(),
            Labellers::Simulated => record.is_simulated(),
        });
        let annotator = record.is_none_or(|record| any(&self.annotators, &record.annotator));
        let mut policies = item.candidates.iter().map(|candidate| {
            record.map_or(candidate.policy.as_str(), |record| {
                policy(candidate, record)
            })
        });
        let policy = self.policies.is_empty()
            || policies.any(|found| self.policies.iter().any(|wanted| wanted == found));
        let place = any(&self.batches, &item.batch) && any(&self.rounds, &item.round);
        labeller && annotator && policy && place
    }
}

fn any<T: PartialEq>(wanted: &[T], value: &T) -> bool {
    wanted.is_empty() || wanted.contains(value)
}
