//! The texts of a few items, for programs that pass over all and show some.

use super::Item;
use super::file::{SamplesError, each_part, failed};
use super::index::SHARE;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::Path;

/// Reads the items with the batch and the id of `items`, in their order, from `samples/`.
///
/// # Errors
/// [`SamplesError`] if one of them is not there any more, or a file cannot be read.
pub fn read_some(samples: &Path, items: &[&Item]) -> Result<Vec<Item>, SamplesError> {
    let path = |batch: &str| samples.join(format!("{batch}.jsonl"));
    let batches: BTreeSet<&str> = items.iter().map(|item| &*item.batch).collect();
    let mut found: HashMap<(String, String), Item> = HashMap::new();
    for batch in batches {
        let is = |known: &&Item, item: &Item| (&known.batch, &known.id) == (&item.batch, &item.id);
        let wanted = |item: &Item| items.iter().any(|known| is(known, item));
        let keep = |item: Item, _| Some(item).filter(wanted);
        each_part(&path(batch), SHARE, &keep, &mut |part, _| {
            found.extend(part.into_iter().flatten().map(|item| (name(&item), item)));
            Ok(())
        })?;
    }
    let text_of = |item: &&Item| {
        let gone = || io::Error::other(format!("item {} is not there any more", item.id));
        let text = found.get(&name(item)).cloned();
        text.ok_or_else(|| failed(&path(&item.batch))(gone()))
    };
    items.iter().map(text_of).collect()
}

fn name(item: &Item) -> (String, String) {
    (item.batch.clone(), item.id.clone())
}
