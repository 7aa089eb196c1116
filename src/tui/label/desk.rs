//! The work of one annotator, from the items of a batch and what was decided before.

use std::collections::HashMap;
use std::rc::Rc;

use super::draft::Look;
use super::history::Entry;
use super::ranks::Ranks;
use super::scale::{CANNOT_JUDGE_REASONS, Decision, Reason, SKIP_REASONS};
use super::state::{Desk, Done, Pair, Remarks};
use super::unsaved::Unsaved;
use crate::feedback::digest::Sha256;
use crate::feedback::item::Item;
use crate::feedback::queue::{Plan, Queue, Today, side_order};
use crate::feedback::record::{Kind, Origin, Outcome, Purpose, Record, Scale, UtcMillis};
use crate::feedback::store::StoreError;
use crate::feedback::store::begun::Begun;
use crate::feedback::store::history::{Event, History, Torn};

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
    let today = rules.plan.today(history);
    Ok(Desk {
        pairs: left,
        earlier,
        judged,
        guidelines_read,
        notice: notice(history, today),
        today,
        ..Desk::default()
    })
}

/// Lays out what earlier sessions began: on pairs of the desk that still wait, on judgements that still
/// stand, and, untouched, what belongs to other work.
pub fn bring_back(desk: &mut Desk, begun: &[Begun], items: &[Item], history: &History, seed: u64) {
    let waiting = |begun: &Begun| {
        let is_it = |pair: &&Pair| {
            let ruling = pair.purpose == Purpose::Adjudication;
            (&pair.item.id, pair.slot, ruling) == (&begun.item, begun.slot, begun.ruling)
        };
        desk.pairs.iter().find(is_it).cloned()
    };
    let standing = |begun: &Begun| {
        let item = items.iter().find(|item| item.id == begun.item)?.clone();
        let (who, slot) = (&history.annotator, begun.slot);
        Some(pair(item, who, slot, Purpose::Train, seed))
    };
    let (mut here, mut elsewhere) = (Vec::new(), Vec::new());
    for begun in begun.iter().filter(|begun| begun.is_open(history)) {
        let pair = match begun.changes {
            None => waiting(begun),
            Some(_) => standing(begun),
        };
        match pair {
            Some(pair) => here.push(Unsaved::of(begun, Rc::new(pair))),
            None => elsewhere.push(begun.clone()),
        }
    }
    (desk.begun, desk.begun_elsewhere) = (here, elsewhere);
}

/// How much of the day's target is done. And a line that a crash cut off is told once, because its
/// judgement has to be made again.
fn notice(history: &History, today: Option<Today>) -> String {
    let target = |today: Today| format!("Today {} of {}.", today.done, today.target.per_day);
    let torn = history.torn.iter().filter(|torn| !torn.kept);
    let cut_off = |torn: &Torn| {
        let (path, line) = (torn.path.display(), torn.line);
        format!("A crash cut off {path}:{line}; that judgement comes up again.")
    };
    let notices: Vec<String> = today
        .map(target)
        .into_iter()
        .chain(torn.map(cut_off))
        .collect();
    notices.join(" ")
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

/// The last decisions that can be shown again, oldest first. Those about other items, and rulings,
/// belong to other work and are passed over; one that this screen cannot say ends the list. A moderator
/// takes back rulings of this session only, never what they said as an annotator.
fn earlier(items: &[Item], history: &History, rules: Rules<'_>) -> Result<Vec<Done>, StoreError> {
    let mut earlier = Vec::new();
    if rules.plan.disputes.is_some() {
        return Ok(earlier);
    }
    let by_id: HashMap<&str, &Item> = items.iter().map(|item| (item.id.as_str(), item)).collect();
    let ruled = Some(Purpose::Adjudication);
    let standing = |e: &&Event| e.is_answer() && !e.retracted && e.purpose != ruled;
    for event in history.events().iter().rev().filter(standing) {
        if earlier.len() == EARLIER {
            break;
        }
        let Some(item) = event.item.as_deref().and_then(|id| by_id.get(id)) else {
            continue;
        };
        let Some(done) = done(item, event, history, rules)? else {
            break;
        };
        earlier.push(done);
    }
    earlier.reverse();
    Ok(earlier)
}

/// An event as the screen would have made it, if it can be said on the scale of today.
fn done(
    item: &Item,
    event: &Event,
    history: &History,
    rules: Rules<'_>,
) -> Result<Option<Done>, StoreError> {
    let record = history.record(event)?;
    let pair = judged_pair(item, &record, event, history, rules.plan.seed);
    let today = pair.scale(rules.scale);
    if record.scale.is_some_and(|scale| scale != today) {
        return Ok(None);
    }
    let Some(decision) = decision(&record, &pair) else {
        return Ok(None);
    };
    // What stands again once this is taken back: an edit and a second opinion bring up no pair.
    let former = history.former(event).filter(|e| e.kind != Kind::Defer);
    let judged = former.filter(|former| former.kind == Kind::Judgement);
    let look = |(display, time)| Look { display, time };
    Ok(Some(Done {
        remarks: Remarks::of(&record, &pair),
        pair: Rc::new(pair),
        id: event.id,
        decision,
        edits: record.supersedes.or(judged.map(|former| former.id)),
        revision: former.is_some(),
        look: record.display.zip(record.time).map(look),
    }))
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

/// A time of day as the annotator's clock showed it: `2026-11-21 21:12`.
fn local_time(ts: UtcMillis) -> String {
    let moment = jiff::Timestamp::from_millisecond(ts.0).unwrap_or_default();
    let here = moment.to_zoned(jiff::tz::TimeZone::system());
    here.strftime("%Y-%m-%d %H:%M").to_string()
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
        let when = local_time(record.ts);
        entries.push(Entry {
            id: event.id,
            remarks: Remarks::of(&record, &pair),
            decision,
            scale: record.scale.unwrap_or(pair.scale(Scale::Nine)),
            when,
            pair: Rc::new(pair),
        });
    }
    Ok((entries, left_out))
}
