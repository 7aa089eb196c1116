//! The work of one annotator, from the items of a batch and what was decided before.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use super::scale::{CANNOT_JUDGE_REASONS, Decision, Reason, SKIP_REASONS};
use super::state::{Desk, Done, Pair};
use crate::feedback::digest::Sha256;
use crate::feedback::item::Item;
use crate::feedback::queue::{Plan, Queue, Today, side_order};
use crate::feedback::record::{Kind, Outcome, Purpose, Record, Scale};
use crate::feedback::store::StoreError;
use crate::feedback::store::history::History;

/// How far back undo reaches into earlier sessions.
const EARLIER: usize = 20;

/// What decides the order of pairs, their sides, and what undo can show again.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Which items come, and in which order.
    pub plan: &'a Plan,
    /// The scale of this session.
    pub scale: Scale,
    /// The guidelines of today.
    pub guidelines_sha256: Option<Sha256>,
}

/// Lays out the pairs among `items` that are left, and the last decisions for undo.
///
/// # Errors
/// [`StoreError`] if an earlier record cannot be read.
pub fn lay_out(items: &[Item], history: &History, rules: Rules<'_>) -> Result<Desk, StoreError> {
    // A batch of pairs is the rule, and its text may be large: it is copied only to leave items out.
    let pairs: Cow<[Item]> = if items.iter().all(is_pair) {
        Cow::Borrowed(items)
    } else {
        Cow::Owned(items.iter().filter(|item| is_pair(item)).cloned().collect())
    };
    let seed = rules.plan.seed;
    let mut queue = Queue::new(&pairs, history, rules.plan);
    let total = queue.total();
    let mut left = Vec::with_capacity(queue.left());
    while let Some(task) = queue.current() {
        let mut item = pairs[task.index].clone();
        item.selector = task.choice.selector(&item, seed);
        left.push(pair(
            item,
            &history.annotator,
            task.slot,
            task.purpose,
            seed,
        ));
        queue.finish();
    }
    let earlier = earlier(&pairs, history, rules)?;
    let judged = total.saturating_sub(left.len() + earlier.len());
    let last = history
        .last_answer()
        .map(|event| history.record(event))
        .transpose()?;
    let read = last.and_then(|record| record.guidelines_sha256);
    let guidelines_read = read.is_some() && read == rules.guidelines_sha256;
    Ok(Desk {
        pairs: left,
        earlier,
        judged,
        guidelines_read,
        notice: notice(history, rules.plan.today(history)),
        more: false,
    })
}

/// How much of the day's target is done. And a line that a crash cut off is told, because its
/// judgement has to be made again.
fn notice(history: &History, today: Option<Today>) -> String {
    let lines: Vec<String> = history
        .torn
        .iter()
        .map(|torn| format!("{}:{}", torn.path.display(), torn.line))
        .collect();
    if lines.is_empty() {
        let words = |today: Today| format!("Today {} of {}.", today.done, today.target);
        return today.map(words).unwrap_or_default();
    }
    format!(
        "A crash cut off {}; that judgement comes up again.",
        lines.join(", ")
    )
}

/// Whether an item is two answers; more than two are ranked, not compared.
pub fn is_pair(item: &Item) -> bool {
    item.candidates.len() == 2
}

/// An item as the annotator sees it.
pub fn pair(item: Item, annotator: &str, slot: u8, purpose: Purpose, seed: u64) -> Pair {
    let (order_seed, order) = side_order(&item, annotator, slot, seed);
    let first = usize::from(order.first() != item.candidates.first().map(|c| &c.id));
    let sides = [first, 1 - first];
    Pair {
        item,
        slot,
        purpose,
        sides,
        order_seed,
    }
}

/// The last decisions that can be shown again, oldest first.
fn earlier(items: &[Item], history: &History, rules: Rules<'_>) -> Result<Vec<Done>, StoreError> {
    let by_id: HashMap<&str, &Item> = items.iter().map(|item| (item.id.as_str(), item)).collect();
    let answers = history
        .events()
        .iter()
        .rev()
        .filter(|e| e.is_answer() && !e.retracted);
    let mut earlier = Vec::new();
    for event in answers.take(EARLIER) {
        let item = event.item.as_deref().and_then(|id| by_id.get(id).copied());
        let effective = event
            .item
            .as_deref()
            .and_then(|id| history.effective(id, event.slot));
        let (Some(item), true) = (item, effective.is_some_and(|e| e.id == event.id)) else {
            break;
        };
        let record = history.record(event)?;
        let mut item = item.clone();
        item.selector = record.selector.clone().unwrap_or(item.selector);
        let purpose = record.purpose.unwrap_or(Purpose::Train);
        let seed = rules.plan.seed;
        let pair = pair(item, &history.annotator, event.slot, purpose, seed);
        let Some(decision) = decision(&record, &pair, rules.scale) else {
            break;
        };
        earlier.push(Done {
            pair: Rc::new(pair),
            id: event.id,
            decision,
        });
    }
    earlier.reverse();
    Ok(earlier)
}

/// What a record says about a pair, if it can be said on this scale.
fn decision(record: &Record, pair: &Pair, scale: Scale) -> Option<Decision> {
    if record.kind == Kind::Skip {
        return reason(record, SKIP_REASONS).map(Decision::Skip);
    }
    if record.scale != Some(scale) {
        return None;
    }
    match record.outcome? {
        Outcome::Prefer => {
            let winner = record.winner.as_deref()?;
            let side = [0, 1]
                .into_iter()
                .find(|&side| pair.answer(side).id == winner)?;
            Some(Decision::Prefer {
                side,
                strength: record.strength,
            })
        }
        Outcome::Tie => Some(Decision::Tie),
        Outcome::BothBad => Some(Decision::BothBad),
        Outcome::CannotJudge => reason(record, CANNOT_JUDGE_REASONS).map(Decision::CannotJudge),
    }
}

fn reason(record: &Record, reasons: &'static [Reason]) -> Option<&'static Reason> {
    let id = record.reason.as_deref()?;
    reasons.iter().find(|reason| reason.id == id)
}
