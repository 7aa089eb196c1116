//! Our own rows: a record comes back as it was, but for where it now stands.

use super::{ImportError, temporary};
use crate::feedback::formats::native::Native;
use crate::feedback::record::{Origin, Record};
use crate::feedback::spill::Spill;
use crate::feedback::store::answered::key;
use std::path::Path;
use ulid::Ulid;

/// Ids of records in the file, and what they became here, for adjudications.
pub struct NewIds(Spill<16>);

impl NewIds {
    /// None yet. `folder` is where a temporary file may lie.
    pub fn new(folder: &Path) -> Self {
        Self(Spill::new(folder))
    }

    /// The record `old` of the file is `new` here.
    pub fn insert(&mut self, old: Ulid, new: Ulid) -> Result<(), ImportError> {
        let inserted = self.0.insert(key(&[&old.to_string()]), new.to_bytes());
        inserted.map_err(temporary)
    }

    fn get(&mut self, old: Ulid) -> Result<Option<Ulid>, ImportError> {
        let new = self.0.get(key(&[&old.to_string()])).map_err(temporary)?;
        Ok(new.map(Ulid::from_bytes))
    }
}

/// Prepares a record for another store. Its id, session, number and chain are made anew on writing;
/// what a person did on a screen becomes an import. An adjudication names its judgements by the ids
/// that they were given here; if they did not come along, it is a judgement like others.
///
/// # Errors
/// The temporary file of the ids cannot be read.
pub fn moved(native: &Native, new_ids: &mut NewIds) -> Result<Record, ImportError> {
    let mut record = native.record.clone();
    record.supersedes = None;
    record.adjudicates.clear();
    for &old in &native.record.adjudicates {
        record.adjudicates.extend(new_ids.get(old)?);
    }
    let stays = match record.origin {
        Some(Origin::Sim) => true,
        Some(Origin::Adjudication) => !record.adjudicates.is_empty(),
        _ => false,
    };
    if !stays {
        record.origin = Some(Origin::Import);
    }
    Ok(record)
}
