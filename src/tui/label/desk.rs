//! The work of one annotator, from the items of a batch and what was decided before.

use std::collections::HashMap;
use std::rc::Rc;

use super::history::Entry;
use super::ranks::Ranks;
use super::scale::{CANNOT_JUDGE_REASONS, Decision, Reason, SKIP_REASONS};
use super::state::{Desk, Done, Pair, Remarks};
use crate::feedback::digest::Sha256;
use crate::feedback::item::Item;
use crate::feedback::queue::{Plan, Queue, Today, side_order};
use crate::feedback::record::{Kind, Origin, Outcome, Purpose, Record, Scale};
use crate::feedback::store::StoreError;
use crate::feedback::store::history::{Event, History};

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
    let seed = rules.plan.seed;
    let mut queue = Queue::new(items, history, rules.plan);
    let total = queue.total();
    let mut left = Vec::with_capacity(queue.left());
    while let Some(task) = queue.current() {
        let mut item = items[task.index].clone();
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
    let earlier = earlier(items, history, rules)?;
    let counted = earlier.iter().filter(|done| done.counts()).count();
    let judged = total.saturating_sub(left.len() + counted);
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

/// An item as the annotator sees it.
pub fn pair(item: Item, annotator: &str, slot: u8, purpose: Purpose, seed: u64) -> Pair {
    let (order_seed, order) = side_order(&item, annotator, slot, seed);
    let place = |id: &String| item.candidates.iter().position(|c| c.id == *id);
    let sides = order.iter().filter_map(place).collect();
    Pair {
        item,
        slot,
        purpose,
        sides,
        order_seed,
    }
}

/// The pair that a record is about, as it was shown.
fn judged_pair(item: &Item, record: &Record, event: &Event, history: &History, seed: u64) -> Pair {
    let mut item = item.clone();
    item.selector = record.selector.clone().unwrap_or(item.selector);
    let purpose = record.purpose.unwrap_or(Purpose::Train);
    pair(item, &history.annotator, event.slot, purpose, seed)
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
    // A moderator takes back rulings of this session only, never what they said as an annotator.
    let reach = if rules.plan.disputes.is_some() {
        0
    } else {
        EARLIER
    };
    for event in answers.take(reach) {
        let item = event.item.as_deref().and_then(|id| by_id.get(id).copied());
        let effective = event
            .item
            .as_deref()
            .and_then(|id| history.effective(id, event.slot));
        let (Some(item), true) = (item, effective.is_some_and(|e| e.id == event.id)) else {
            break;
        };
        let record = history.record(event)?;
        if record.origin == Some(Origin::Adjudication) {
            break;
        }
        let pair = judged_pair(item, &record, event, history, rules.plan.seed);
        let same_scale = record
            .scale
            .is_none_or(|scale| scale == pair.scale(rules.scale));
        // An edit is undone in its own session; here it would need what it replaced.
        let sayable = same_scale && record.supersedes.is_none();
        let Some(decision) = decision(&record, &pair).filter(|_| sayable) else {
            break;
        };
        earlier.push(Done {
            remarks: Remarks::of(&record, &pair),
            pair: Rc::new(pair),
            id: event.id,
            decision,
            edits: None,
            revision: false,
        });
    }
    earlier.reverse();
    Ok(earlier)
}

/// What a record says about a pair, if the screen can say it.
fn decision(record: &Record, pair: &Pair) -> Option<Decision> {
    match record.kind {
        Kind::Skip => return reason(record, SKIP_REASONS).map(Decision::Skip),
        Kind::Defer => return Some(Decision::Defer),
        _ => {}
    }
    match record.outcome? {
        Outcome::Prefer | Outcome::Tie if record.ranking.is_some() => ranking(record, pair),
        Outcome::Prefer => Some(Decision::Prefer {
            side: pair.side_of(record.winner.as_deref()?)?,
            strength: record.strength,
        }),
        Outcome::Tie => Some(Decision::Tie),
        Outcome::BothBad => Some(Decision::BothBad),
        Outcome::CannotJudge => reason(record, CANNOT_JUDGE_REASONS).map(Decision::CannotJudge),
    }
}

fn ranking(record: &Record, pair: &Pair) -> Option<Decision> {
    let side = |id: &String| pair.side_of(id);
    let group = |ids: &Vec<String>| ids.iter().map(side).collect::<Option<Vec<usize>>>();
    let groups = record.ranking.as_ref()?.iter().map(group);
    let groups: Vec<Vec<usize>> = groups.collect::<Option<_>>()?;
    let ranks = Ranks::of_groups(pair.answers(), &groups);
    Some(Decision::Rank(ranks))
}

fn reason(record: &Record, reasons: &'static [Reason]) -> Option<&'static Reason> {
    let id = record.reason.as_deref()?;
    reasons.iter().find(|reason| reason.id == id)
}

/// Most entries of the history that are listed. Each is read from its file, some 20 µs.
const LISTED: usize = 5000;

/// The judgements and skips that stand, newest first, and how many older ones are left out. What is
/// not about `items`, or not sayable on the screen, is left out too.
///
/// # Errors
/// [`StoreError`] if a record cannot be read.
pub fn list<'a>(
    items: impl IntoIterator<Item = &'a Item>,
    history: &History,
    seed: u64,
) -> Result<(Vec<Entry>, usize), StoreError> {
    let by_id: HashMap<&str, &Item> = items
        .into_iter()
        .map(|item| (item.id.as_str(), item))
        .collect();
    let mut events: Vec<_> = history
        .all_effective()
        .filter(|event| event.kind != Kind::Defer)
        .collect();
    events.reverse();
    let left_out = events.len().saturating_sub(LISTED);
    let mut entries = Vec::new();
    for event in events.into_iter().take(LISTED) {
        let item = event.item.as_deref().and_then(|id| by_id.get(id).copied());
        let Some(item) = item else { continue };
        let record = history.record(event)?;
        // A ruling names the judgements that it settles, which this screen does not know.
        if record.origin == Some(Origin::Adjudication) {
            continue;
        }
        let pair = judged_pair(item, &record, event, history, seed);
        let Some(decision) = decision(&record, &pair) else {
            continue;
        };
        let when = record.ts.to_string();
        entries.push(Entry {
            id: event.id,
            remarks: Remarks::of(&record, &pair),
            decision,
            scale: record.scale.unwrap_or(pair.scale(Scale::Nine)),
            when: when.get(..16).unwrap_or(&when).replace('T', " "),
            pair: Rc::new(pair),
        });
    }
    Ok((entries, left_out))
}
