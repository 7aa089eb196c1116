//! What happens on each event: `update(&mut App, Event) -> Vec<Effect>`.
//!
//! Pure: no clock, no disk, no terminal. The screen moves on only when the driver reports that the
//! record is on disk ([`Event::Committed`]); until then keys that judge do nothing.

use std::rc::Rc;

use ulid::Ulid;

use super::draft::{Act, Draft, display};
use super::pane::scroll_both;
use super::scale::Decision;
use super::state::{App, Desk, Done, Ending, Pair, Screen, View};
use crate::feedback::record::Layout;
use crate::tui::keys::{Action, Key, Step};

/// Something that happened. Times are milliseconds of the driver's monotonic clock.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A key, and when it was read.
    Key(Key, u64),
    /// The terminal has this many columns and rows.
    Resize(u16, u16),
    /// Time passes.
    Tick(u64),
    /// The work was opened.
    Opened(Desk, u64),
    /// Somebody else has the work open; says who.
    StillLocked(String),
    /// The record being written is on disk, under this id.
    Committed(Ulid, u64),
    /// The record could not be written; says why.
    CommitFailed(String),
    /// More pairs, complete; none at all means that no more will come.
    Supply(Vec<Pair>, u64),
    /// The process was asked to end.
    Terminate,
}

/// What the driver is to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Write this record, then report [`Event::Committed`] or [`Event::CommitFailed`].
    Commit(Draft),
    /// Try to open the work, then report [`Event::Opened`] or [`Event::StillLocked`].
    Open,
    /// Draw everything afresh.
    Redraw,
    /// Give the terminal to the shell until it brings us back.
    Suspend,
    /// Leave the screen.
    Quit(Ending),
}

/// Applies one event.
pub fn update(app: &mut App, event: Event) -> Vec<Effect> {
    let effects = match event {
        Event::Key(key, at) => press(app, key, at),
        Event::Resize(width, height) => {
            app.size = (width, height);
            app.fit();
            vec![]
        }
        Event::Tick(now) => {
            app.clock.tick(now);
            vec![]
        }
        Event::Opened(desk, now) => {
            open(app, desk, now);
            vec![]
        }
        Event::StillLocked(holder) => {
            app.screen = Screen::Locked(holder);
            vec![]
        }
        Event::Committed(id, now) => {
            committed(app, id, now);
            vec![]
        }
        Event::CommitFailed(error) => {
            app.screen = Screen::ReadOnly(error);
            vec![]
        }
        Event::Supply(pairs, now) => {
            supply(app, pairs, now);
            vec![]
        }
        Event::Terminate => quit(app),
    };
    app.look();
    effects
}

fn supply(app: &mut App, pairs: Vec<Pair>, now: u64) {
    app.more = !pairs.is_empty();
    app.queue.extend(pairs.into_iter().map(Rc::new));
    if app.screen == Screen::WaitingForSamples {
        show(app, now);
    }
}

fn open(app: &mut App, desk: Desk, now: u64) {
    app.more = desk.more;
    app.queue = desk.pairs.into_iter().map(Rc::new).collect();
    app.judged_before = desk.judged;
    app.message = desk.notice;
    app.earlier = desk.earlier.len();
    app.done = desk.earlier;
    show(app, now);
    if app.setup.guidelines.is_some() && !desk.guidelines_read && !app.queue.is_empty() {
        app.screen = Screen::Guidelines { first: true };
        app.fit();
    }
}

/// Shows the pair at the head of the queue from its beginning.
fn show(app: &mut App, now: u64) {
    app.clock.show(now);
    app.view = View::default();
    app.screen = if app.queue.is_empty() && app.more {
        Screen::WaitingForSamples
    } else if app.queue.is_empty() {
        Screen::BatchDone
    } else {
        Screen::Judging
    };
    app.fit();
}

fn press(app: &mut App, key: Key, at: u64) -> Vec<Effect> {
    app.clock.key(at);
    app.hint.clear();
    let writing = app.committing.is_some() && !matches!(app.screen, Screen::ReadOnly(_));
    let Some(action) = app.context().action(key) else {
        return vec![];
    };
    if decides(action) && (writing || app.clock.is_stale(at)) {
        return vec![];
    }
    match action {
        Action::Judge => return judge(app, key),
        Action::CommitSelected => return app.selected.map_or(vec![], |chosen| decide(app, chosen)),
        Action::BothBad => return decide(app, Decision::BothBad),
        Action::ChooseReason => return choose_reason(app, key),
        Action::Undo => return undo(app),
        Action::Redo => return redo(app),
        Action::Confirm => return confirm(app, at),
        Action::Retry => return vec![Effect::Open],
        Action::Redraw => return vec![Effect::Redraw],
        Action::Suspend => return vec![Effect::Suspend],
        Action::Quit => return quit(app),
        Action::CannotJudge => app.screen = Screen::CannotJudgeReason,
        Action::Skip => app.screen = Screen::SkipReason,
        Action::HandOver => app.screen = Screen::HandOver,
        Action::Guidelines => open_page(app, Screen::Guidelines { first: false }),
        Action::Help => open_page(app, Screen::Help),
        Action::Back => back(app, at),
        Action::Scroll(step) => scroll(app, step),
        Action::ScrollFocused(step) => scroll_focused(app, step),
        Action::NextPane => focus_next(app, 1),
        Action::PreviousPane => focus_next(app, -1),
        Action::FocusSide(side) => focus(app, side),
    }
    vec![]
}

/// Actions that may end in a record about the pair on the screen. A key that was typed before this
/// pair appeared was meant for another one.
fn decides(action: Action) -> bool {
    use Action::{BothBad, CannotJudge, ChooseReason, CommitSelected, HandOver, Judge, Redo, Skip};
    let decisions = [
        BothBad,
        CannotJudge,
        ChooseReason,
        CommitSelected,
        HandOver,
        Judge,
        Redo,
    ];
    decisions.contains(&action) || matches!(action, Skip | Action::Undo)
}

fn judge(app: &mut App, key: Key) -> Vec<Effect> {
    let Some(decision) = app.decision(key) else {
        return vec![];
    };
    if app.setup.auto_commit {
        return decide(app, decision);
    }
    if app.selected.is_some_and(|chosen| chosen != decision) {
        app.clock.change();
    }
    app.selected = Some(decision);
    let words = decision.describe(app.setup.scale);
    app.hint = format!("selected: {words} · Enter saves it");
    vec![]
}

/// Writes a decision about the pair on the screen, if both answers have been on it.
fn decide(app: &mut App, decision: Decision) -> Vec<Effect> {
    let unjudged = matches!(decision, Decision::CannotJudge(_) | Decision::Skip(_));
    if !unjudged && let Some(side) = unseen_side(app) {
        let side = ["A", "B"][side];
        app.hint = format!("Answer {side} has not been on the screen yet: Tab shows it.");
        return vec![];
    }
    commit(app, Act::Decide(decision))
}

fn unseen_side(app: &App) -> Option<usize> {
    let pair = app.pair()?;
    let again = app
        .undone
        .last()
        .is_some_and(|undone| Rc::ptr_eq(&undone.pair, pair));
    let unseen = app
        .view
        .answers
        .iter()
        .position(|answer| answer.seen() == 0.0);
    unseen.filter(|_| !again)
}

fn choose_reason(app: &mut App, key: Key) -> Vec<Effect> {
    let Key::Char(digit) = key else { return vec![] };
    let place = digit.to_digit(10).unwrap_or(0) as usize;
    let Some(reason) = place
        .checked_sub(1)
        .and_then(|i| app.screen.reasons().get(i))
    else {
        return vec![];
    };
    let skip = app.screen == Screen::SkipReason;
    app.screen = Screen::Judging;
    decide(
        app,
        if skip {
            Decision::Skip(reason)
        } else {
            Decision::CannotJudge(reason)
        },
    )
}

fn undo(app: &mut App) -> Vec<Effect> {
    let Some(last) = app.done.last() else {
        app.hint.push_str("Nothing to take back.");
        return vec![];
    };
    let target = last.id;
    commit(app, Act::Retract(target))
}

fn redo(app: &mut App) -> Vec<Effect> {
    let Some(undone) = app.undone.last() else {
        app.hint.push_str("Nothing to redo.");
        return vec![];
    };
    let decision = undone.decision;
    commit(app, Act::Decide(decision))
}

fn commit(app: &mut App, act: Act) -> Vec<Effect> {
    let pair = match act {
        Act::Decide(_) => app.pair().cloned(),
        Act::Retract(_) => app.done.last().map(|done| Rc::clone(&done.pair)),
    };
    let Some(pair) = pair else { return vec![] };
    let layout = if app.flips() {
        Layout::Flip
    } else {
        Layout::Split
    };
    let seen = [0, 1].map(|side| app.view.answers[side].seen());
    let draft = Draft {
        act,
        display: display(&pair, app.size, layout, seen),
        pair,
        time: app.clock.time(),
        scale: app.setup.scale,
    };
    app.committing = Some(draft.clone());
    vec![Effect::Commit(draft)]
}

fn committed(app: &mut App, id: Ulid, now: u64) {
    let Some(draft) = app.committing.take() else {
        return;
    };
    match draft.act {
        Act::Decide(decision) => settle(
            app,
            Done {
                pair: draft.pair,
                id,
                decision,
            },
        ),
        Act::Retract(_) => take_back(app),
    }
    show(app, now);
}

fn settle(app: &mut App, done: Done) {
    app.queue.pop_front();
    let redone = app
        .undone
        .pop_if(|undone| Rc::ptr_eq(&undone.pair, &done.pair));
    // Another decision than before starts a new history: the rest of the old one comes up anyway.
    if redone.is_none_or(|undone| undone.decision != done.decision) {
        app.undone.clear();
    }
    let words = done.decision.describe(app.setup.scale);
    app.message = format!("last: {words} · u undo");
    app.selected = None;
    app.done.push(done);
}

fn take_back(app: &mut App) {
    let Some(done) = app.done.pop() else { return };
    app.earlier = app.earlier.min(app.done.len());
    let words = done.decision.describe(app.setup.scale);
    app.message = format!("taken back: {words} · U redo");
    app.selected = Some(done.decision);
    app.queue.push_front(Rc::clone(&done.pair));
    app.undone.push(done);
}

fn open_page(app: &mut App, screen: Screen) {
    if matches!(screen, Screen::Guidelines { .. }) && app.setup.guidelines.is_none() {
        app.hint.push_str("This project has no guidelines.md.");
        return;
    }
    app.screen = screen;
    app.view.page = super::pane::Pane::default();
    app.fit();
}

fn confirm(app: &mut App, at: u64) -> Vec<Effect> {
    match app.screen {
        Screen::HandOver => vec![Effect::Quit(Ending::HandOver)],
        Screen::BatchDone => quit(app),
        _ => {
            back(app, at);
            vec![]
        }
    }
}

fn back(app: &mut App, at: u64) {
    if app.screen == (Screen::Guidelines { first: true }) {
        app.clock.show(at);
    }
    app.screen = Screen::Judging;
}

fn scroll(app: &mut App, step: Step) {
    let flips = app.flips();
    match app.screen {
        Screen::Guidelines { .. } | Screen::Help => app.view.page.scroll(step),
        _ if app.view.on_prompt || flips => scroll_focused(app, step),
        _ => scroll_both(&mut app.view.answers, step),
    }
}

fn scroll_focused(app: &mut App, step: Step) {
    let view = &mut app.view;
    view.focused = true;
    let pane = if view.on_prompt {
        &mut view.prompt
    } else {
        &mut view.answers[view.side]
    };
    pane.scroll(step);
}

/// A → B → the prompt, if it is longer than its box → A.
fn focus_next(app: &mut App, step: isize) {
    let stops = if app.view.prompt.overflows() { 3 } else { 2 };
    let here = if app.view.on_prompt {
        2
    } else {
        app.view.side as isize
    };
    // The first Tab on a split screen shows where the focus is; it need not move.
    let step = if app.view.focused || app.flips() {
        step
    } else {
        0
    };
    focus(app, (here + step).rem_euclid(stops) as usize);
}

/// Gives the focus to A (0), B (1) or the prompt (2).
fn focus(app: &mut App, stop: usize) {
    app.view.focused = true;
    app.view.on_prompt = stop == 2;
    if stop < 2 {
        app.view.side = stop;
    }
}

fn quit(app: &App) -> Vec<Effect> {
    vec![Effect::Quit(match &app.screen {
        Screen::ReadOnly(error) => Ending::WriteFailed(error.clone()),
        Screen::Locked(holder) => Ending::Locked(holder.clone()),
        Screen::BatchDone => Ending::BatchDone,
        _ => Ending::Quit,
    })]
}
