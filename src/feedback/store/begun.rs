//! What an annotator has begun to say and not saved: `feedback/<annotator>/draft.json`.
//!
//! It stands beside the lock, belongs to whoever has it, and is replaced whole; the records know
//! nothing of it. It is gone when nothing is begun. Answers are named by id, so that it means the same
//! whatever the side on which they stand.

use super::StoreError;
use super::history::History;
use super::log::{for_writing, replace};
use crate::feedback::record::{Kind, Purpose};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use ulid::Ulid;

/// Something begun.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Begun {
    /// The item that it is about.
    pub item: String,
    /// Repeat of the item, 0 for the first.
    pub slot: u8,
    /// The judgement or skip that was being changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Ulid>,
    /// Said as an adjudicator: it belongs to a ruling, not to an annotator's own judgement.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ruling: bool,
    /// The comment.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// Marks such as `unsafe`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
    /// −4..4 per aspect; positive favours the first canonical candidate.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub aspects: BTreeMap<String, i8>,
    /// What was selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<Chosen>,
}

/// A decision that was selected and not committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Chosen {
    /// One candidate.
    Prefer {
        /// Its id.
        winner: String,
        /// 1 barely … 4 much; `None` on a binary scale.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        strength: Option<u8>,
    },
    /// Equally good.
    Tie,
    /// None is acceptable.
    BothBad,
    /// Ranks by candidate id, 1 best; a ranking in the making lacks some.
    Ranks(BTreeMap<String, u8>),
}

impl Begun {
    /// Whether both are about the same judgement to be.
    pub fn is_about(&self, other: &Self) -> bool {
        let subject = |begun: &Self| (begun.slot, begun.changes, begun.ruling);
        self.item == other.item && subject(self) == subject(other)
    }

    /// Whether it can still be saved, as far as the annotator's events tell: nothing was decided
    /// instead, and what was being changed stands.
    pub fn is_open(&self, history: &History) -> bool {
        let event = history.effective(&self.item, self.slot);
        match self.changes {
            Some(id) => event.is_some_and(|event| event.id == id),
            None => event.is_none_or(|event| match event.kind {
                Kind::Defer => true,
                // An adjudicator rules on what they skipped as an annotator.
                Kind::Skip => self.ruling && event.purpose != Some(Purpose::Adjudication),
                _ => false,
            }),
        }
    }
}

fn place(folder: &Path) -> PathBuf {
    folder.join("draft.json")
}

/// What lies in an annotator's folder.
pub(super) fn read(folder: &Path) -> Result<Vec<Begun>, StoreError> {
    let path = place(folder);
    let json = match std::fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        json => json.map_err(StoreError::io(&path))?,
    };
    serde_json::from_slice(&json).map_err(|source| StoreError::Draft { path, source })
}

/// Replaces what lies there; it is on disk when this returns.
pub(super) fn write(folder: &Path, begun: &[Begun]) -> Result<(), StoreError> {
    let path = place(folder);
    let write = || match begun {
        [] => match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        },
        _ => replace(&path, &serde_json::to_vec(begun)?, true),
    };
    write().map_err(|error| StoreError::io(&path)(for_writing(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_begun_is_found_again_and_gone_when_nothing_is() {
        let dir = tempfile::tempdir().unwrap();
        let begun = Begun {
            item: "a".into(),
            slot: 1,
            note: "B ignores\nthe clue".into(),
            aspects: [("clear".to_owned(), -4)].into(),
            chosen: Some(Chosen::Ranks([("x".to_owned(), 2)].into())),
            ..Begun::default()
        };
        assert_eq!(read(dir.path()).unwrap(), []);
        write(dir.path(), std::slice::from_ref(&begun)).unwrap();
        assert_eq!(read(dir.path()).unwrap(), [begun]);
        write(dir.path(), &[]).unwrap();
        assert!(!place(dir.path()).exists());
        write(dir.path(), &[]).unwrap();
    }

    #[test]
    fn a_damaged_draft_is_an_error_that_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(place(dir.path()), "[{\"item\": 3}]").unwrap();
        let error = read(dir.path()).unwrap_err().to_string();
        assert!(
            error.contains("draft.json: invalid type: integer `3`"),
            "{error}"
        );
        assert!(error.contains("move it elsewhere"), "{error}");
    }
}
