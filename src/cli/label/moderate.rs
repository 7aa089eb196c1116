//! `rlhf label --adjudicate` and `--review`: settle what others judged.

use color_eyre::eyre::bail;

use super::LabelArgs;
use crate::feedback::disputes::{disagreements, judgements_of, upheld};
use crate::feedback::item::Item;
use crate::feedback::labels::{Folders, Labels};
use crate::feedback::queue::Plan;
use crate::tui::label::state::Role;

/// What a judgement is for, as the screen says it.
pub fn role(args: &LabelArgs) -> Role {
    match &args.review {
        Some(annotator) => Role::Reviewer(annotator.clone()),
        None if args.adjudicate => Role::Adjudicator,
        None => Role::Annotator,
    }
}

/// The items in dispute, and the plan that brings them up.
///
/// # Errors
/// Files that cannot be read; nothing to settle.
pub fn work(args: &LabelArgs, seed: u64) -> color_eyre::Result<(Vec<Item>, Plan)> {
    let labels = Labels::read(&Folders::of(&args.dir))?;
    let disputes = match &args.review {
        Some(annotator) => judgements_of(&labels, annotator),
        None => disagreements(&labels),
    };
    let is_disputed = |item: &Item| {
        let batch = args.batch.as_ref();
        disputes.contains_key(&item.id) && batch.is_none_or(|batch| *batch == item.batch)
    };
    let items: Vec<Item> = labels.items.into_iter().filter(is_disputed).collect();
    if items.is_empty() {
        match &args.review {
            Some(annotator) => bail!("{annotator:?} has no judgements that are not settled"),
            None => bail!("nothing to settle: where several people judged an item, they agree"),
        }
    }
    let plan = Plan {
        disputes: Some(disputes),
        ..Plan::seeded(seed)
    };
    Ok((items, plan))
}

/// Says how often each annotator's judgements were upheld: only now, when they are settled.
///
/// # Errors
/// Files that cannot be read.
pub fn print_upheld(args: &LabelArgs, moderator: &str) -> color_eyre::Result<()> {
    let labels = Labels::read(&Folders::of(&args.dir))?;
    for (annotator, same, all) in upheld(&labels, moderator) {
        println!("{annotator}: {same} of {all} settled judgements upheld");
    }
    Ok(())
}
