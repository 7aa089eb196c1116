//! Our own rows: a record comes back as it was, but for where it now stands.

use crate::feedback::formats::native::Native;
use crate::feedback::record::{Origin, Record};
use std::collections::HashMap;
use ulid::Ulid;

/// Prepares a record for another store. Its id, session, number and chain are made anew on writing;
/// what a person did on a screen becomes an import. An adjudication names its judgements by the ids
/// that they were given here; if they did not come along, it is a judgement like others.
pub fn moved(native: &Native, new_ids: &HashMap<Ulid, Ulid>) -> Record {
    let mut record = native.record.clone();
    record.supersedes = None;
    let settled = record.adjudicates.iter().filter_map(|id| new_ids.get(id));
    record.adjudicates = settled.copied().collect();
    let stays = match record.origin {
        Some(Origin::Sim) => true,
        Some(Origin::Adjudication) => !record.adjudicates.is_empty(),
        _ => false,
    };
    if !stays {
        record.origin = Some(Origin::Import);
    }
    record
}
