//! One event of an annotator: schema v1, one JSON object per line.
//!
//! The field names of [`Record`] are the names in the file. Nothing here does I/O or reads a clock:
//! ids, time and randomness come in as arguments. [`mod@line`] turns a record into a line with its hash
//! chain and checksum and back; [`check`] holds the rules a single record must obey; [`glance`] reads
//! the few fields that opening a project needs. Rules between
//! records (gap-free `seq`, targets that exist) belong to [`crate::feedback::store`].

pub mod check;
pub mod glance;
pub mod line;

use super::digest::Sha256;
use super::item::{Candidate, FinishReason, Item, Sampler, Selector};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use ulid::Ulid;

/// Version of the schema.
pub const RECORD_VERSION: u32 = 1;
/// Annotators whose name starts with this are programs, never people.
pub const SIM_PREFIX: &str = "sim:";
/// The question put to annotators unless a project asks another.
pub const QUESTION: &str = "Which answer is better?";

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An item was judged.
    Judgement,
    /// An earlier event is taken back; `supersedes` names it.
    Retract,
    /// The item is left unjudged for good.
    Skip,
    /// The item comes again at the end of the queue.
    Defer,
    /// First line of a session.
    SessionStart,
    /// The session ended in good order.
    SessionEnd,
}

/// What a judgement is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Training data.
    Train,
    /// Evaluation only.
    Eval,
    /// A check against a known answer, which is never stored here.
    Gold,
    /// The same item again, to measure consistency.
    Repeat,
    /// Settles a disagreement of others.
    Adjudication,
}

/// The four facts a judgement can state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// One candidate is better, or a ranking was given.
    Prefer,
    /// Equally good.
    Tie,
    /// None is acceptable.
    BothBad,
    /// This annotator cannot tell; `reason` says why.
    CannotJudge,
}

/// How a judgement came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A person at the labelling screen.
    Screen,
    /// Read from another tool's file.
    Import,
    /// A simulated annotator.
    Sim,
    /// A person who settles a disagreement; `adjudicates` lists the judgements.
    Adjudication,
}

/// The answers that were possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Scale {
    /// Better or worse.
    #[serde(rename = "binary")]
    Binary,
    /// Three strengths per side and a tie.
    #[serde(rename = "7")]
    Seven,
    /// Four strengths per side and a tie.
    #[serde(rename = "9")]
    Nine,
    /// A ranking of all candidates.
    #[serde(rename = "kway")]
    KWay,
}

impl Scale {
    /// The greatest strength; `None` where a preference has no strength.
    pub fn max_strength(self) -> Option<u8> {
        match self {
            Self::Binary | Self::KWay => None,
            Self::Seven => Some(3),
            Self::Nine => Some(4),
        }
    }
}

/// How the answers stood on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Side by side.
    Split,
    /// One at a time.
    Flip,
    /// A list to be ranked.
    List,
    /// No screen: a program read them.
    None,
}

/// Wall clock, milliseconds since 1970 in UTC; RFC 3339 with milliseconds in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcMillis(pub i64);

impl fmt::Display for UtcMillis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = jiff::Timestamp::from_millisecond(self.0).map_err(|_| fmt::Error)?;
        write!(f, "{time:.3}")
    }
}

impl Serialize for UtcMillis {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = jiff::Timestamp::from_millisecond(self.0).map_err(serde::ser::Error::custom)?;
        serializer.collect_str(&format_args!("{time:.3}"))
    }
}

impl<'de> Deserialize<'de> for UtcMillis {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let time: jiff::Timestamp = text.parse().map_err(serde::de::Error::custom)?;
        Ok(Self(time.as_millisecond()))
    }
}

/// Which prompt was answered; its text is in `samples/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PromptRef {
    /// [`crate::feedback::item::Prompt::id`].
    pub id: String,
    /// Hash of the prompt.
    pub sha256: Sha256,
}

/// Which answer was judged; its text is in `samples/`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CandidateRef {
    /// [`Candidate::id`].
    pub id: String,
    /// Hash of the text.
    pub sha256: Sha256,
    /// Policy, or source of an imported answer.
    pub policy: String,
    /// Hash of its weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_sha256: Option<Sha256>,
    /// How it was drawn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampler: Option<Sampler>,
    /// Why it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<FinishReason>,
    /// Response tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_tokens: Option<u32>,
}

impl From<&Candidate> for CandidateRef {
    fn from(candidate: &Candidate) -> Self {
        Self {
            id: candidate.id.clone(),
            sha256: candidate.sha256,
            policy: candidate.policy.clone(),
            checkpoint_sha256: candidate.checkpoint_sha256,
            sampler: candidate.sampler.clone(),
            finish_reason: candidate.finish_reason,
            n_tokens: candidate.n_tokens,
        }
    }
}

/// What was shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Display {
    /// Candidate ids from left to right: a permutation of the candidates.
    pub order: Vec<String>,
    /// The seed that `order` follows from (see [`crate::feedback::queue::side_order`]).
    pub order_seed: u64,
    /// True if nothing on the screen told the policies apart.
    pub blind: bool,
    /// Columns and rows of the terminal; absent without a screen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<[u16; 2]>,
    /// How the answers stood.
    pub layout: Layout,
    /// Share of each answer that was on the screen, 0..1.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub viewed: BTreeMap<String, f64>,
}

/// Where the time went, by a monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Time {
    /// From the item's appearance to the decision.
    pub shown_ms: u64,
    /// The same without idle time.
    pub active_ms: u64,
    /// To the first key; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_key_ms: Option<u64>,
    /// How often the decision was changed before it was committed.
    pub changes: u32,
}

/// The program that wrote the record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// Program name.
    pub name: String,
    /// Program version.
    pub version: String,
}

impl Tool {
    /// This program.
    pub fn this() -> Self {
        Self {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}

/// One event. Optional fields are absent from the file when they are `None` or empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// [`RECORD_VERSION`].
    pub v: u32,
    /// What happened.
    pub kind: Kind,
    /// Id of this event.
    pub id: Ulid,
    /// The session it belongs to: the file's name.
    pub session: Ulid,
    /// 0, 1, 2, … within the session.
    pub seq: u64,
    /// Wall clock.
    pub ts: UtcMillis,
    /// Pseudonym; [`SIM_PREFIX`] for programs.
    pub annotator: String,
    /// The judgement that this one edits, or the event that this one retracts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersedes: Option<Ulid>,
    /// Round of the loop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// Samples file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<String>,
    /// Item in that file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item: Option<String>,
    /// What the judgement is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    /// Why the item was chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
    /// The guidelines the annotator had read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guidelines_sha256: Option<Sha256>,
    /// What was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// Which prompt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<PromptRef>,
    /// 2..9 answers in canonical order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<CandidateRef>,
    /// What was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<Display>,
    /// The decision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// 0 for the first time this annotator sees the item, 1.. for repeats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u8>,
    /// How the record came about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Judgements of others that this one settles.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adjudicates: Vec<Ulid>,
    /// Id of the better candidate: an identity, never a side.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub winner: Option<String>,
    /// 1 barely, 2 slightly, 3 better, 4 much.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strength: Option<u8>,
    /// The answers that were possible.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// Groups of equals, best first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ranking: Option<Vec<Vec<String>>>,
    /// −4..4 per aspect; positive favours the first canonical candidate.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aspects: BTreeMap<String, i8>,
    /// Marks such as `unsafe`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// The annotator's comment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Why skipped, or why it cannot be judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where the time went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Time>,
    /// The program.
    pub tool: Tool,
    /// SHA-256 of the previous line without its newline; zeros on the first line.
    pub prev: Sha256,
    /// The checksum is checked on the bytes of the line, before they are parsed.
    #[serde(default, skip_serializing)]
    crc: IgnoredAny,
}

/// What every event carries.
#[derive(Debug, Clone)]
pub struct Header {
    /// Id of the event.
    pub id: Ulid,
    /// Its session.
    pub session: Ulid,
    /// Its number in the session.
    pub seq: u64,
    /// Wall clock.
    pub ts: UtcMillis,
    /// Who.
    pub annotator: String,
}

impl Record {
    /// An event of which only the header is filled.
    pub fn new(kind: Kind, header: Header) -> Self {
        Self {
            v: RECORD_VERSION,
            kind,
            id: header.id,
            session: header.session,
            seq: header.seq,
            ts: header.ts,
            annotator: header.annotator,
            supersedes: None,
            round: None,
            batch: None,
            item: None,
            purpose: None,
            selector: None,
            guidelines_sha256: None,
            question: None,
            prompt: None,
            candidates: Vec::new(),
            display: None,
            outcome: None,
            slot: None,
            origin: None,
            adjudicates: Vec::new(),
            winner: None,
            strength: None,
            scale: None,
            ranking: None,
            aspects: BTreeMap::new(),
            flags: Vec::new(),
            note: None,
            reason: None,
            time: None,
            tool: Tool::this(),
            prev: Sha256::ZERO,
            crc: IgnoredAny,
        }
    }

    /// Fills in what an item says about itself.
    #[must_use]
    pub fn about(mut self, item: &Item, slot: u8) -> Self {
        self.round = Some(item.round);
        self.batch = Some(item.batch.clone());
        self.item = Some(item.id.clone());
        self.selector = Some(item.selector.clone());
        self.prompt = Some(PromptRef {
            id: item.prompt.id.clone(),
            sha256: item.prompt.sha256,
        });
        self.candidates = item.candidates.iter().map(CandidateRef::from).collect();
        self.slot = Some(slot);
        self
    }

    /// True if a program, not a person, made the decision.
    pub fn is_simulated(&self) -> bool {
        self.annotator.starts_with(SIM_PREFIX)
    }

    /// The candidate with this id.
    pub fn candidate(&self, id: &str) -> Option<&CandidateRef> {
        self.candidates.iter().find(|candidate| candidate.id == id)
    }
}
