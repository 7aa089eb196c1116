//! What everybody judged, and how much is left to one annotator in the whole project.

use std::path::Path;

use crate::feedback::item::Item;
use crate::feedback::known::GOLD_PREFIX;
use crate::feedback::labels::{Folders, Labels};
use crate::feedback::queue::{Plan, Queue};
use crate::feedback::report::Report;
use crate::feedback::store::StoreError;
use crate::feedback::store::load::load;
use crate::feedback::store::stamps::Stamps;

/// Everybody's labels, and how many pairs are left to this annotator; or why they could not be read.
pub(super) type Counted = Result<(Box<Report>, usize), String>;
/// Reads everybody's labels. Pairs are left in any batch: what everybody said about one could steer
/// its judgement, whichever batch is on the screen.
pub(super) fn count(feedback: &Path, annotator: &str, plan: Plan) -> Counted {
    let folders = Folders::of(feedback);
    let labels = Labels::without_texts(&folders).map_err(|error| error.to_string())?;
    let report = Report::of(&labels, &folders).map_err(|error| error.to_string())?;
    let left = left(&labels.items, feedback, annotator, plan);
    Ok((Box::new(report), left.map_err(|error| error.to_string())?))
}

/// How many of `items` are left to an annotator. Checks are no work of their own.
fn left(
    items: &[Item],
    feedback: &Path,
    annotator: &str,
    mut plan: Plan,
) -> Result<usize, StoreError> {
    (plan.checks.gold_share, plan.checks.repeat_share) = (0.0, 0.0);
    let gold = |item: &&Item| item.batch.starts_with(GOLD_PREFIX);
    let known = items.iter().filter(gold).map(|item| item.id.clone());
    plan.checks.known.extend(known);
    let history = load(feedback, annotator)?;
    let plan = plan.divided(feedback, items, &history, now_ms())?;
    Ok(Queue::new(items, &history, &plan).left())
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    u64::try_from(Stamps::system().now().0).unwrap_or(0)
}
