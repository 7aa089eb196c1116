//! The part of a line that opening a project needs: who, what, in which order.
//!
//! A record has thirty fields, and an annotator's folder can have a hundred thousand records; the
//! others are read and checked when somebody asks for the record itself.

use super::check::RuleError;
use super::line::{LineError, checked};
use super::{Kind, Outcome, Purpose, RECORD_VERSION, Record};
use crate::feedback::digest::Sha256;
use serde::Deserialize;
use ulid::Ulid;

/// What is looked at on opening. The fields are those of [`super::Record`].
#[derive(Debug, Deserialize)]
pub struct Glance {
    v: u32,
    /// What happened.
    pub kind: Kind,
    /// Id of the event.
    pub id: Ulid,
    /// Its session.
    pub session: Ulid,
    /// Its number in the session.
    pub seq: u64,
    /// Who.
    pub annotator: String,
    /// The event that this one edits or retracts.
    pub supersedes: Option<Ulid>,
    /// The item, except on session lines.
    pub item: Option<String>,
    /// What it was shown for.
    pub purpose: Option<Purpose>,
    /// Repeat of the item.
    pub slot: Option<u8>,
    /// The decision.
    pub outcome: Option<Outcome>,
    /// Hash of the line before.
    pub prev: Sha256,
    #[serde(default)]
    candidates: Vec<Id>,
    display: Option<Order>,
    /// The better candidate.
    pub winner: Option<String>,
    /// How much better.
    pub strength: Option<u8>,
    /// Groups of equals, best first.
    pub ranking: Option<Vec<Vec<String>>>,
}

#[derive(Debug, Deserialize)]
struct Id {
    id: String,
}

#[derive(Debug, Deserialize)]
struct Order {
    order: Vec<String>,
}

impl From<&Record> for Glance {
    fn from(record: &Record) -> Self {
        let ids = record.candidates.iter().map(|c| Id { id: c.id.clone() });
        let order = record.display.as_ref().map(|display| Order {
            order: display.order.clone(),
        });
        Self {
            v: record.v,
            kind: record.kind,
            id: record.id,
            session: record.session,
            seq: record.seq,
            annotator: record.annotator.clone(),
            supersedes: record.supersedes,
            item: record.item.clone(),
            purpose: record.purpose,
            slot: record.slot,
            outcome: record.outcome,
            prev: record.prev,
            candidates: ids.collect(),
            display: order,
            winner: record.winner.clone(),
            strength: record.strength,
            ranking: record.ranking.clone(),
        }
    }
}

impl Glance {
    /// Parses one line (without newline), after its checksum.
    ///
    /// # Errors
    /// [`LineError`].
    pub fn at(line: &[u8]) -> Result<Self, LineError> {
        let glance: Self = serde_json::from_str(checked(line)?)?;
        glance.check()?;
        Ok(glance)
    }

    fn check(&self) -> Result<(), RuleError> {
        if self.v != RECORD_VERSION {
            return Err(RuleError::Version(self.v));
        }
        let is_candidate = |id: &String| self.candidates.iter().any(|c| c.id == *id);
        if let Some(winner) = self.winner.as_ref().filter(|winner| !is_candidate(winner)) {
            let reason = format!("{winner:?} is not a candidate");
            return Err(RuleError::Invalid("winner", reason));
        }
        let Some(Order { order }) = &self.display else {
            return Ok(());
        };
        let all = self.candidates.iter().all(|c| order.contains(&c.id));
        if all && order.len() == self.candidates.len() {
            return Ok(());
        }
        let reason = format!("{order:?} is not a permutation of the candidates");
        Err(RuleError::Invalid("display.order", reason))
    }
}
