//! What is judged.

use std::path::Path;

use color_eyre::eyre::bail;

use super::LabelArgs;
use crate::feedback::answers;
use crate::feedback::item::{self, Item};
use crate::feedback::known::GOLD_PREFIX;

/// The items to judge: of a file of answers, of one batch, or of the whole project.
pub fn items(args: &LabelArgs) -> color_eyre::Result<Vec<Item>> {
    let samples = args.dir.join("samples");
    let items = match (&args.file, &args.batch) {
        (Some(file), _) => import(file, &samples)?,
        (None, Some(batch)) => read_batch(&samples, batch)?,
        (None, None) => item::read_all(&samples)?,
    };
    if items.is_empty() {
        bail!(
            "{} has nothing to judge; make pairs with `rlhf sample`, or name a file of answers: \
             rlhf label answers.jsonl",
            samples.display()
        );
    }
    Ok(items)
}

/// Items with a known answer come among others, never as work of their own.
///
/// # Errors
/// A name that is kept for them.
pub fn refuse_gold(batch: &str) -> color_eyre::Result<()> {
    if batch.starts_with(GOLD_PREFIX) {
        bail!(
            "{batch}: names that begin with `{GOLD_PREFIX}` are kept for items with a known answer, \
             which come among others; give the file another name, or leave --batch out"
        );
    }
    Ok(())
}

fn read_batch(samples: &Path, batch: &str) -> color_eyre::Result<Vec<Item>> {
    refuse_gold(batch)?;
    let path = samples.join(format!("{batch}.jsonl"));
    if !path.exists() {
        bail!(
            "there is no {}; a batch is the name of a file in samples/ without .jsonl",
            path.display()
        );
    }
    Ok(item::read_batch(&path)?)
}

/// Copies the rows of a file of answers to `samples/`, where text lives, and returns them.
fn import(file: &Path, samples: &Path) -> color_eyre::Result<Vec<Item>> {
    let batch = item::batch_name(file);
    refuse_gold(&batch)?;
    let answers = answers::read(file, &batch)?;
    if answers.duplicates > 0 {
        let (dropped, rows) = (answers.duplicates, answers.too_few);
        eprintln!(
            "note: {dropped} duplicate answers dropped, {rows} rows without two answers left out"
        );
    }
    if answers.items.is_empty() {
        bail!(
            "{}: no row has two different answers; expected rows such as {}",
            file.display(),
            answers::EXAMPLE
        );
    }
    answers::add_new(samples, &batch, &answers.items)?;
    Ok(answers.items)
}
