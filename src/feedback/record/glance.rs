//! The part of a line that opening a project needs: who, what, in which order.
//!
//! A record has thirty fields, and an annotator's folder can have a hundred thousand records; the
//! others are read and checked when somebody asks for the record itself.

use super::check::RuleError;
use super::line::{LineError, checked};
use super::{Kind, Origin, Outcome, Purpose, RECORD_VERSION, Record};
use crate::feedback::digest::Sha256;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::ops::Deref;
use ulid::Ulid;

/// A text that lies in the line itself, unless JSON escapes something in it: a hundred thousand lines
/// are looked at without a million allocations.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(transparent)]
pub struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    /// A text of its own.
    pub fn into_owned(self) -> String {
        self.0.into_owned()
    }
}

impl<'a> From<&'a String> for Text<'a> {
    fn from(text: &'a String) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// What is looked at on opening. The fields are those of [`super::Record`].
#[derive(Debug, Deserialize)]
pub struct Glance<'a> {
    v: u32,
    /// What happened.
    pub kind: Kind,
    /// Id of the event.
    #[serde(deserialize_with = "ulid")]
    pub id: Ulid,
    /// Its session.
    #[serde(deserialize_with = "ulid")]
    pub session: Ulid,
    /// Its number in the session.
    pub seq: u64,
    /// Who.
    #[serde(borrow)]
    pub annotator: Text<'a>,
    /// The event that this one edits or retracts.
    pub supersedes: Option<Ulid>,
    /// The samples file of the item.
    #[serde(borrow)]
    pub batch: Option<Text<'a>>,
    /// The item, except on session lines.
    #[serde(borrow)]
    pub item: Option<Text<'a>>,
    /// What it was shown for.
    pub purpose: Option<Purpose>,
    /// Repeat of the item.
    pub slot: Option<u8>,
    /// The decision.
    pub outcome: Option<Outcome>,
    /// How it came about.
    pub origin: Option<Origin>,
    /// Hash of the line before.
    pub prev: Sha256,
    #[serde(borrow, default)]
    candidates: Vec<Id<'a>>,
    #[serde(borrow)]
    display: Option<Order<'a>>,
    /// The better candidate.
    #[serde(borrow)]
    pub winner: Option<Text<'a>>,
    /// How much better.
    pub strength: Option<u8>,
    /// Groups of equals, best first.
    #[serde(borrow)]
    pub ranking: Option<Vec<Vec<Text<'a>>>>,
}

/// Reads an id where it lies; its own reader would make a text of each first.
fn ulid<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Ulid, D::Error> {
    let text = Text::deserialize(deserializer)?;
    Ulid::from_string(&text).map_err(D::Error::custom)
}

#[derive(Debug, Deserialize)]
struct Id<'a> {
    #[serde(borrow)]
    id: Text<'a>,
}

#[derive(Debug, Deserialize)]
struct Order<'a> {
    #[serde(borrow)]
    order: Vec<Text<'a>>,
}

impl<'a> From<&'a Record> for Glance<'a> {
    fn from(record: &'a Record) -> Self {
        let ids = record.candidates.iter().map(|c| Id { id: (&c.id).into() });
        let order = record.display.as_ref().map(|display| Order {
            order: display.order.iter().map(Text::from).collect(),
        });
        let groups = record.ranking.iter().flatten();
        let groups = groups.map(|group| group.iter().map(Text::from).collect());
        Self {
            v: record.v,
            kind: record.kind,
            id: record.id,
            session: record.session,
            seq: record.seq,
            annotator: (&record.annotator).into(),
            supersedes: record.supersedes,
            batch: record.batch.as_ref().map(Text::from),
            item: record.item.as_ref().map(Text::from),
            purpose: record.purpose,
            slot: record.slot,
            outcome: record.outcome,
            origin: record.origin,
            prev: record.prev,
            candidates: ids.collect(),
            display: order,
            winner: record.winner.as_ref().map(Text::from),
            strength: record.strength,
            ranking: record.ranking.is_some().then(|| groups.collect()),
        }
    }
}

impl<'a> Glance<'a> {
    /// Parses one line (without newline), after its checksum.
    ///
    /// # Errors
    /// [`LineError`].
    pub fn at(line: &'a [u8]) -> Result<Self, LineError> {
        let glance: Self = serde_json::from_str(checked(line)?)?;
        glance.check()?;
        Ok(glance)
    }

    fn check(&self) -> Result<(), RuleError> {
        if self.v != RECORD_VERSION {
            return Err(RuleError::Version(self.v));
        }
        let is_candidate = |id: &Text| self.candidates.iter().any(|c| c.id == *id);
        if let Some(winner) = self.winner.as_ref().filter(|winner| !is_candidate(winner)) {
            let reason = format!("{:?} is not a candidate", &**winner);
            return Err(RuleError::Invalid("winner", reason));
        }
        let Some(Order { order }) = &self.display else {
            return Ok(());
        };
        let all = self.candidates.iter().all(|c| order.contains(&c.id));
        if all && order.len() == self.candidates.len() {
            return Ok(());
        }
        let order: Vec<&str> = order.iter().map(Deref::deref).collect();
        let reason = format!("{order:?} is not a permutation of the candidates");
        Err(RuleError::Invalid("display.order", reason))
    }
}
