//! Judging, taking back, judging again: from a key to a record that is to be written, and what
//! follows once it is on disk.

use std::rc::Rc;

use ulid::Ulid;

use super::draft::{Act, Draft, Look, display};
use super::pair::letter;
use super::pane::Pane;
use super::scale::Decision;
use super::state::{App, Done, Pair, Remarks, Screen};
use super::unsaved;
use super::update::{Effect, show};
use crate::feedback::record::Layout;
use crate::tui::keys::{Action, Key, Mode};

/// Why an entry of the history that is open has to be left before undo or redo.
fn close_first(app: &App) -> String {
    let esc = app.key(Mode::Judging, Action::Back);
    format!("{esc} leaves this entry first.")
}

/// Actions that may end in a record about the pair on the screen. A key that was typed before this
/// pair appeared was meant for another one.
pub(super) fn decides(action: Action) -> bool {
    matches!(
        action,
        Action::Judge
            | Action::SendToRank
            | Action::CommitSelected
            | Action::BothBad
            | Action::CannotJudge
            | Action::ChooseReason
            | Action::Skip
            | Action::Defer
            | Action::HandOver
            | Action::Undo
            | Action::Redo
    )
}

/// Actions that need the right to write.
pub(super) fn writes(action: Action) -> bool {
    decides(action) || matches!(action, Action::Note | Action::Flags | Action::Aspects)
}

/// The grade under a key: commits it, or selects it for Enter to commit.
pub(super) fn grade(app: &mut App, key: Option<Key>) -> Vec<Effect> {
    let Some(decision) = key.and_then(|key| app.decision(key)) else {
        return vec![];
    };
    if app.setup.auto_commit && app.revision.is_none() {
        return decide(app, decision);
    }
    if app.selected.is_some_and(|chosen| chosen != decision) {
        app.clock.change();
    }
    app.selected = Some(decision);
    let words = decision.describe(app.setup.scale);
    let enter = app.key(Mode::Judging, Action::CommitSelected);
    app.hint = format!("selected: {words} · {enter} saves it");
    vec![]
}

/// Enter: the grade that is selected, or the ranking if every answer has a rank.
pub(super) fn commit_selected(app: &mut App) -> Vec<Effect> {
    if let Some(Decision::Rank(ranks)) = app.selected
        && let Some(side) = ranks.unranked().next()
    {
        let side = letter(side);
        app.hint = format!("Answer {side} has no rank yet: a digit gives it one.");
        return vec![];
    }
    if let Some(chosen) = app.selected {
        return decide(app, chosen);
    }
    app.hint.push_str("Nothing is selected yet.");
    vec![]
}

/// Writes a decision about the pair on the screen, if all answers have been on it.
pub(super) fn decide(app: &mut App, decision: Decision) -> Vec<Effect> {
    let unjudged = matches!(
        decision,
        Decision::CannotJudge(_) | Decision::Skip(_) | Decision::Defer
    );
    if !unjudged && let Some(side) = unseen_side(app) {
        let side = letter(side);
        let tab = app.key(Mode::Judging, Action::NextPane);
        app.hint = format!("Answer {side} has not been on the screen yet: {tab} shows it.");
        return vec![];
    }
    let Some(pair) = app.pair().cloned() else {
        return vec![];
    };
    let (edits, revision) = match &app.revision {
        Some(revision) => (revision.entry.edits(), true),
        None => (None, false),
    };
    let remarks = app.remarks.clone();
    let mut look = look(app, &pair);
    if let Some((before, former)) = taken_back(app, &pair) {
        look = look.after(before, former != decision);
    }
    let over = (edits, revision);
    commit(app, Act::Decide(decision), pair, look, remarks, over)
}

/// The look at the pair that ended in a judgement which was just taken back, and that judgement.
fn taken_back<'a>(app: &'a App, pair: &Pair) -> Option<(&'a Look, Decision)> {
    let undone = app.undone.last().filter(|undone| undone.pair.is(pair))?;
    let again = !undone.revision && app.revision.is_none();
    let look = undone.look.as_ref().filter(|_| again)?;
    Some((look, undone.decision))
}

fn unseen_side(app: &App) -> Option<usize> {
    let pair = app.pair()?;
    let again = app.undone.last().is_some_and(|undone| undone.pair.is(pair));
    let answers = &app.view.answers;
    let unseen = answers.iter().position(|answer| answer.seen() == 0.0);
    unseen.filter(|_| !again && app.revision.is_none())
}

pub(super) fn choose_reason(app: &mut App, digit: Option<usize>) -> Vec<Effect> {
    let place = digit.and_then(|digit| digit.checked_sub(1));
    let Some(reason) = place.and_then(|place| app.screen.reasons().get(place)) else {
        return vec![];
    };
    let skip = app.screen == Screen::SkipReason;
    app.screen = app.base();
    let decision = if skip {
        Decision::Skip(reason)
    } else {
        Decision::CannotJudge(reason)
    };
    decide(app, decision)
}

pub(super) fn undo(app: &mut App) -> Vec<Effect> {
    if super::ranking::bring_back(app) {
        return vec![];
    }
    if app.revision.is_some() {
        app.hint = close_first(app);
        return vec![];
    }
    let Some(last) = app.done.last() else {
        app.hint.push_str("Nothing to take back.");
        return vec![];
    };
    let (id, pair) = (last.id, Rc::clone(&last.pair));
    let look = look(app, &pair);
    let nothing = Remarks::default();
    commit(app, Act::Retract(id), pair, look, nothing, (None, false))
}

pub(super) fn redo(app: &mut App) -> Vec<Effect> {
    if app.revision.is_some() {
        app.hint = close_first(app);
        return vec![];
    }
    let Some(undone) = app.undone.last() else {
        app.hint.push_str("Nothing to redo.");
        return vec![];
    };
    let at_hand = !undone.revision && app.pair().is_some_and(|pair| pair.is(&undone.pair));
    let mut again = undone.clone();
    if at_hand {
        // What was said about the pair since the undo goes along.
        again.remarks = app.remarks.clone();
    }
    // The judgement is that of before, and so are what was seen for it and the time that it took.
    let look = again.look.unwrap_or_else(|| look(app, &again.pair));
    let over = (again.edits, again.revision);
    let act = Act::Decide(again.decision);
    commit(app, act, again.pair, look, again.remarks, over)
}

/// Hands a record to the driver; `over` is the judgement that it edits, and whether the pair had
/// been decided before.
fn commit(
    app: &mut App,
    act: Act,
    pair: Rc<Pair>,
    look: Look,
    remarks: Remarks,
    over: (Option<Ulid>, bool),
) -> Vec<Effect> {
    let draft = Draft {
        act,
        scale: pair.scale(app.setup.scale),
        pair,
        display: look.display,
        time: look.time,
        remarks,
        edits: over.0,
        revision: over.1,
    };
    app.committing = Some(draft.clone());
    vec![Effect::Commit(draft)]
}

/// How `pair` stands on the screen, and for how long; unseen if another one does.
fn look(app: &App, pair: &Pair) -> Look {
    let layout = match (pair.is_ranking(), app.flips()) {
        (true, _) => Layout::List,
        (false, true) => Layout::Flip,
        (false, false) => Layout::Split,
    };
    let on_screen = app.pair().is_some_and(|shown| shown.is(pair));
    let seen = |side: usize| app.view.answers.get(side).map_or(0.0, Pane::seen);
    let seen: Vec<f64> = (0..pair.answers())
        .map(|side| if on_screen { seen(side) } else { 0.0 })
        .collect();
    Look {
        display: display(pair, app.size, layout, &seen),
        time: app.clock.time(),
    }
}

/// The record is on disk: the screen moves on.
pub(super) fn committed(app: &mut App, id: Ulid, now: u64) {
    let Some(draft) = app.committing.take() else {
        return;
    };
    let aside = app.revision.take().map(|revision| revision.aside);
    match draft.act {
        Act::Decide(decision) => settle(
            app,
            Done {
                pair: draft.pair,
                id,
                decision,
                remarks: draft.remarks,
                edits: draft.edits,
                revision: draft.revision,
                look: Some(Look {
                    display: draft.display,
                    time: draft.time,
                }),
            },
        ),
        Act::Retract(_) => take_back(app),
    }
    show(app, now);
    if let Some(aside) = aside.filter(|_| draft.revision) {
        super::history::restore(app, aside);
    }
}

fn settle(app: &mut App, done: Done) {
    if !done.revision {
        if done.decision == Decision::Defer {
            unsaved::put_by(app);
        }
        (app.remarks, app.selected) = (Remarks::default(), None);
        if let Some(place) = app.queue.iter().position(|pair| pair.is(&done.pair)) {
            app.queue.remove(place);
        }
        if matches!(done.decision, Decision::Skip(_) | Decision::Defer) {
            // What was not judged does not come a second time.
            app.queue.retain(|pair| !pair.repeats(&done.pair));
        }
        if done.decision == Decision::Defer {
            app.queue.push_back(Rc::clone(&done.pair));
        }
    }
    let redone = app
        .undone
        .pop_if(|undone| undone.pair.is(&done.pair) && undone.revision == done.revision);
    // Another decision than before starts a new history: the rest of the old one comes up anyway.
    if redone.is_none_or(|undone| undone.decision != done.decision) {
        app.undone.clear();
    }
    let words = done.decision.describe(app.setup.scale);
    let what = match done.decision {
        _ if done.revision => "changed to",
        Decision::Skip(_) | Decision::Defer => "last",
        _ if app.setup.role.settles() => "settled",
        _ => "last",
    };
    let undo = app.key(Mode::Judging, Action::Undo);
    app.message = format!("{what}: {words} · {undo} undo");
    let before = app.today();
    app.done.push(done);
    if let (Some(before), Some(now)) = (before, app.today())
        && now.is_reached()
        && !before.is_reached()
    {
        let target = now.target.per_day;
        let reached = format!(" · today's target of {target} is reached");
        app.message.push_str(&reached);
    }
    if !app.done.last().is_some_and(|done| done.revision) {
        unsaved::take_up(app, None);
    }
}

fn take_back(app: &mut App) {
    let Some(done) = app.done.pop() else { return };
    app.earlier = app.earlier.min(app.done.len());
    let words = done.decision.describe(app.setup.scale);
    let what = if done.revision {
        "the former judgement stands again, not"
    } else {
        "taken back:"
    };
    let redo = app.key(Mode::Judging, Action::Redo);
    app.message = format!("{what} {words} · {redo} redo");
    if !done.revision {
        unsaved::put_by(app);
        let deferred = done.decision == Decision::Defer;
        let again = |pair: &Rc<Pair>| deferred && pair.is(&done.pair);
        if let Some(place) = app.queue.iter().rposition(again) {
            app.queue.remove(place);
        }
        app.queue.push_front(Rc::clone(&done.pair));
        app.selected = Some(done.decision).filter(|_| !deferred);
        app.remarks = done.remarks.clone();
        // On a pair that was put off, what was said is begun still.
        unsaved::take_up(app, None);
    }
    app.undone.push(done);
}
