//! What is judged: a prompt with 2..9 candidate answers.
//!
//! `samples/<batch>.jsonl` is append-only and the only home of the text. Ids are made from the
//! content, so the same row has the same id on every machine, and every hash is checked on reading.

use crate::feedback::digest::Sha256;
use serde::{Deserialize, Serialize};

mod file;
mod index;
mod some;
#[cfg(test)]
mod tests;

pub use file::{
    BatchFile, SamplesError, append_batch, batch_name, is_cut_off, read_all, read_all_with,
    read_batch,
};
pub use index::{InOrder, Index, Name, Place, Reader, name_of};
pub use some::read_some;

/// Version of the row written here.
pub const ITEM_VERSION: u32 = 1;
/// Longest row that is read, in bytes; a longer one is an error, not a reason to fill the memory.
pub const MAX_ROW_BYTES: usize = 8 << 20;
/// Most candidates one item may have: there are nine digit keys.
pub const MAX_CANDIDATES: usize = 9;

/// Why an item or a prompt is not usable.
#[derive(Debug, thiserror::Error)]
pub enum ItemError {
    /// The prompt has no text, or no messages with text.
    #[error("the prompt is empty")]
    EmptyPrompt,
    /// Fewer than 2 or more than 9 candidates.
    #[error("an item needs 2 to 9 candidates, found {0}")]
    CandidateCount(usize),
    /// Two candidates with one id: the winner would be ambiguous.
    #[error("candidate id {0:?} occurs twice")]
    DuplicateCandidate(String),
    /// The row was written by a newer version.
    #[error("row version {0} is not supported (this program reads version {ITEM_VERSION})")]
    Version(u32),
    /// The text was changed after its hash was taken.
    #[error("the SHA-256 of {what} does not match its text: expected {expected}, found {found}")]
    Hash {
        /// Which text: the prompt or a candidate.
        what: String,
        /// Hash in the row.
        expected: Sha256,
        /// Hash of the text.
        found: Sha256,
    },
    /// The row says it belongs to another batch.
    #[error("the row belongs to batch {0:?}, but the file is named otherwise")]
    Batch(String),
    /// A row that [`read_batch`] would refuse.
    #[error(
        "with this text the row in samples/ would have {0} bytes; {MAX_ROW_BYTES} are possible"
    )]
    TooLong(usize),
    /// A name that could leave its folder or break a file system.
    #[error(
        "{0:?} is not a valid batch name: use letters, digits, '.', '_' and '-', not first '.'"
    )]
    BatchName(String),
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// `system`, `user` or `assistant`.
    pub role: String,
    /// What was said.
    pub content: String,
}

/// A prompt: plain text to be continued, or a conversation to be answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptText {
    /// Text; the response continues it.
    Text(String),
    /// A conversation; the response is the next assistant message.
    Messages(Vec<Message>),
}

impl PromptText {
    /// SHA-256 of the text, or of the messages as compact JSON (`[{"role":…,"content":…},…]`).
    pub fn sha256(&self) -> Sha256 {
        match self {
            Self::Text(text) => Sha256::of(text),
            Self::Messages(messages) => Sha256::of(messages_json(messages)),
        }
    }

    /// True if there is nothing to answer: no text but white space.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.trim().is_empty(),
            Self::Messages(messages) => messages.iter().all(|m| m.content.trim().is_empty()),
        }
    }

    /// The prompt as one string for scorers that know no chat template: the text itself, or the
    /// message contents joined by newlines.
    pub fn plain(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Messages(messages) => {
                let contents: Vec<_> = messages.iter().map(|m| m.content.as_str()).collect();
                contents.join("\n")
            }
        }
    }
}

/// Strings serialise without failing; the fallback keeps this free of panics all the same.
fn messages_json(messages: &[Message]) -> String {
    serde_json::to_string(messages).unwrap_or_default()
}

/// A prompt with its identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "PromptRow")]
pub struct Prompt {
    /// The prompt file's id, or one made from the hash.
    pub id: String,
    /// [`PromptText::sha256`].
    pub sha256: Sha256,
    /// `text` or `messages`.
    #[serde(flatten)]
    pub text: PromptText,
}

/// A prompt as it is read: serde would buffer the row to find out which of the two texts it has.
#[derive(Deserialize)]
struct PromptRow {
    id: String,
    sha256: Sha256,
    text: Option<String>,
    messages: Option<Vec<Message>>,
}

impl TryFrom<PromptRow> for Prompt {
    type Error = &'static str;

    fn try_from(row: PromptRow) -> Result<Self, Self::Error> {
        let text = match (row.text, row.messages) {
            (Some(text), None) => PromptText::Text(text),
            (None, Some(messages)) => PromptText::Messages(messages),
            _ => return Err("a prompt has either `text` or `messages`"),
        };
        let (id, sha256) = (row.id, row.sha256);
        Ok(Self { id, sha256, text })
    }
}

impl Prompt {
    /// A prompt with `id`, or with an id made from its hash.
    ///
    /// # Errors
    /// [`ItemError::EmptyPrompt`].
    pub fn new(id: Option<String>, text: PromptText) -> Result<Self, ItemError> {
        if text.is_empty() {
            return Err(ItemError::EmptyPrompt);
        }
        let sha256 = text.sha256();
        let id = id.unwrap_or_else(|| sha256.short());
        Ok(Self { id, sha256, text })
    }
}

/// How a response was drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sampler {
    /// Softmax temperature; 0 means greedy.
    pub temperature: f64,
    /// Nucleus mass; absent means 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Number of most probable tokens kept; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    /// Most tokens drawn.
    pub max_new_tokens: u32,
    /// Seed of the run that drew it.
    pub seed: u64,
    /// Whether the factors of products were rounded to bf16, or to f16 on a GPU that lacks it: the same seed draws other tokens then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub bf16: bool,
}

/// Why a response ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// A stop token.
    Stop,
    /// The token limit.
    Length,
}

/// One answer with its provenance.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// Made from the hash of the text; unique within the item.
    pub id: String,
    /// SHA-256 of the text.
    pub sha256: Sha256,
    /// The response in full.
    pub text: String,
    /// Name of the policy, or of the source of an imported answer.
    pub policy: String,
    /// Hash of its weights, where there are weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_sha256: Option<Sha256>,
    /// How it was drawn; absent for imported answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampler: Option<Sampler>,
    /// Why it ended; absent if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<FinishReason>,
    /// Response tokens; absent if unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_tokens: Option<u32>,
}

impl Candidate {
    /// An answer of which only text and source are known.
    pub fn new(text: String, policy: impl Into<String>) -> Self {
        let sha256 = Sha256::of(&text);
        let (id, policy) = (sha256.short(), policy.into());
        Self {
            id,
            sha256,
            text,
            policy,
            checkpoint_sha256: None,
            sampler: None,
            finish_reason: None,
            n_tokens: None,
        }
    }
}

/// Why an item was chosen, which corrects for active selection later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Selector {
    /// `all`, `random`, `uncertainty`, …
    pub name: String,
    /// The selection score, if there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// Seed of the selection.
    pub seed: u64,
}

/// One row of `samples/<batch>.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// [`ITEM_VERSION`].
    pub v: u32,
    /// Made from batch, prompt and candidates.
    pub id: String,
    /// Name of the file without `.jsonl`.
    pub batch: String,
    /// Round of the loop it belongs to; 0 is the first.
    pub round: u32,
    /// What is answered.
    pub prompt: Prompt,
    /// 2..9 answers in canonical order.
    pub candidates: Vec<Candidate>,
    /// Why it was chosen.
    pub selector: Selector,
}

impl Item {
    /// A row ready to be written.
    ///
    /// # Errors
    /// [`ItemError`] if the batch name, the number of candidates or a candidate id is not usable.
    pub fn new(
        batch: &str,
        round: u32,
        prompt: Prompt,
        candidates: Vec<Candidate>,
        selector: Selector,
    ) -> Result<Self, ItemError> {
        let id = Self::id_of(batch, &prompt, &candidates);
        let batch = batch.to_owned();
        let item = Self {
            v: ITEM_VERSION,
            id,
            batch,
            round,
            prompt,
            candidates,
            selector,
        };
        item.check()?;
        Ok(item)
    }

    /// The id of an item with this content.
    pub fn id_of(batch: &str, prompt: &Prompt, candidates: &[Candidate]) -> String {
        let hashes: Vec<_> = candidates.iter().map(|c| c.sha256.to_string()).collect();
        let (prompt_sha, names) = (prompt.sha256.to_string(), [batch, &prompt.id]);
        let parts = names.into_iter().chain([prompt_sha.as_str()]);
        let parts = parts
            .chain(hashes.iter().map(String::as_str))
            .map(str::as_bytes);
        Sha256::of_parts(parts).short()
    }

    /// The row as it stands in a samples file, without its newline.
    ///
    /// # Errors
    /// [`ItemError::TooLong`] if it could not be read back.
    pub fn row(&self) -> Result<Vec<u8>, ItemError> {
        // Strings and numbers serialise without failing.
        let row = serde_json::to_vec(self).unwrap_or_default();
        match row.len() {
            length if length < MAX_ROW_BYTES => Ok(row),
            length => Err(ItemError::TooLong(length)),
        }
    }

    /// Characters of each candidate's text.
    pub fn lengths(&self) -> Vec<u32> {
        let each = self.candidates.iter();
        each.map(|candidate| candidate.text.chars().count() as u32)
            .collect()
    }

    /// The same, and lets go of the texts, the prompt's among them. The hashes stay.
    pub fn take_lengths(&mut self) -> Vec<u32> {
        let lengths = self.lengths();
        for candidate in &mut self.candidates {
            candidate.text = String::new();
        }
        self.prompt.text = PromptText::Text(String::new());
        lengths
    }

    /// The candidate with this id.
    pub fn candidate(&self, id: &str) -> Option<&Candidate> {
        self.candidates.iter().find(|candidate| candidate.id == id)
    }

    /// Checks everything a row promises, hashes included.
    ///
    /// # Errors
    /// The first broken promise.
    pub fn check(&self) -> Result<(), ItemError> {
        if self.v != ITEM_VERSION {
            return Err(ItemError::Version(self.v));
        }
        if !is_safe_name(&self.batch) {
            return Err(ItemError::BatchName(self.batch.clone()));
        }
        if self.prompt.text.is_empty() {
            return Err(ItemError::EmptyPrompt);
        }
        let (stated, found) = (self.prompt.sha256, self.prompt.text.sha256());
        check_hash(|| "the prompt".into(), stated, found)?;
        self.check_candidates()
    }

    fn check_candidates(&self) -> Result<(), ItemError> {
        if !(2..=MAX_CANDIDATES).contains(&self.candidates.len()) {
            return Err(ItemError::CandidateCount(self.candidates.len()));
        }
        for (index, candidate) in self.candidates.iter().enumerate() {
            let found = Sha256::of(&candidate.text);
            let what = || format!("candidate {}", candidate.id);
            check_hash(what, candidate.sha256, found)?;
            if self.candidates[..index]
                .iter()
                .any(|earlier| earlier.id == candidate.id)
            {
                return Err(ItemError::DuplicateCandidate(candidate.id.clone()));
            }
        }
        Ok(())
    }
}

fn check_hash(
    what: impl FnOnce() -> String,
    expected: Sha256,
    found: Sha256,
) -> Result<(), ItemError> {
    if expected == found {
        return Ok(());
    }
    Err(ItemError::Hash {
        what: what(),
        expected,
        found,
    })
}

/// True for names that are safe as one path component on every file system: 1..=64 of letters,
/// digits, `.`, `_`, `-`, not starting with `.` or `-`.
pub fn is_safe_name(name: &str) -> bool {
    let ok = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(ok) && !name.starts_with(['.', '-'])
}
