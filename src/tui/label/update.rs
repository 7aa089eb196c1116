//! What happens on each event: `update(&mut App, Event) -> Vec<Effect>`.
//!
//! Pure: no clock, no disk, no terminal. The screen moves on only when the driver reports that the
//! record is on disk ([`Event::Committed`]); until then keys that judge do nothing.

use std::rc::Rc;

use super::history;
use super::judge;
use super::marks;
use super::mouse;
use super::note;
use super::palette;
use super::ranking;
use super::state::{App, Desk, Ending, Pair, Screen};
use super::statistics;
use super::unsaved;
use super::view;
use crate::feedback::queue::Today;
use crate::tui::keys::{Action, Key, Step};

pub use super::event::{Effect, Event};

/// Applies one event.
pub fn update(app: &mut App, event: Event) -> Vec<Effect> {
    let effects = match event {
        Event::Key(key, at) => press(app, key, at),
        Event::Tick(now) => tick(app, now),
        Event::TakeOver => vec![Effect::Quit(Ending::TakenOver)],
        Event::Terminate => quit(app),
        other => {
            note_down(app, other);
            vec![]
        }
    };
    app.look();
    effects
}

/// Events that ask for nothing.
fn note_down(app: &mut App, event: Event) {
    match event {
        Event::Paste(text, at) => paste(app, &text, at),
        Event::Mouse(mouse, at) => {
            app.clock.key(at);
            mouse::used(app, mouse);
        }
        Event::Resize(width, height) => {
            app.size = (width, height);
            app.fit();
        }
        Event::Resumed(now) => app.clock.resume(now),
        Event::Opened(desk, now) => open(app, desk, now),
        Event::StillLocked(holder) => app.screen = Screen::Locked(holder),
        Event::Supply(pairs, now) => supply(app, pairs, now),
        Event::Listed(entries, left_out) => history::listed(app, entries, left_out),
        Event::Counted(report, left) => statistics::counted(app, report, left),
        Event::Edited(text, now) => note::edited(app, text, now),
        Event::Committed(id, now) => judge::committed(app, id, now),
        Event::Kept(kept) => {
            app.unkept = kept.err();
            if app.unkept.is_some() {
                // Not behind a hint, if no key follows.
                app.hint.clear();
            }
        }
        Event::CommitFailed(error) => {
            app.failure = Some(error);
            app.screen = Screen::ReadOnly;
        }
        Event::Key(..) | Event::Tick(_) | Event::TakeOver | Event::Terminate => {}
    }
}

fn tick(app: &mut App, now: u64) -> Vec<Effect> {
    app.clock.tick(now);
    match (&app.screen, app.asked) {
        (Screen::Locked(_), Some(_)) => vec![Effect::Open],
        _ => vec![],
    }
}

fn open(app: &mut App, desk: Desk, now: u64) {
    app.queue = desk.pairs.into_iter().map(Rc::new).collect();
    app.more = desk.more;
    app.number_round();
    app.judged_before = desk.judged;
    app.message = desk.notice;
    app.earlier = desk.earlier.len();
    app.done = desk.earlier;
    app.today_before = desk.today.map(|today| {
        let more = app.done.iter().filter(|done| done.adds_to(today.target));
        let done = today.done.saturating_sub(more.count());
        Today { done, ..today }
    });
    app.begun = desk.begun;
    app.begun_elsewhere = desk.begun_elsewhere;
    app.asked = None;
    show(app, now);
    if unsaved::take_up(app, None) {
        app.hint
            .push_str("What was begun here before is back; it is saved with the judgement.");
    }
    if app.setup.guidelines.is_some()
        && !desk.guidelines_read
        && (app.more || !app.queue.is_empty())
    {
        app.screen = Screen::Guidelines { first: true };
        app.fit();
    }
}

fn supply(app: &mut App, pairs: Vec<Pair>, now: u64) {
    app.more = !pairs.is_empty();
    let waiting = app.queue.is_empty();
    app.queue.extend(pairs.into_iter().map(Rc::new));
    app.number_round();
    if app.screen == Screen::WaitingForSamples {
        show(app, now);
    } else if waiting {
        // Something lies over the pair that has just come.
        app.fit();
    }
}

/// Shows the pair at hand from its beginning.
pub(super) fn show(app: &mut App, now: u64) {
    app.clock.show(now);
    app.view = app.view.afresh();
    app.search = None;
    app.put_away = None;
    app.screen = app.base();
    app.fit();
}

fn press(app: &mut App, key: Key, at: u64) -> Vec<Effect> {
    app.clock.key(at);
    app.hint.clear();
    let context = app.context();
    if let Some(action) = app.setup.keymap.action(&context, key) {
        return act(app, action, Some(key), at);
    }
    if context.mode.is_text() && !edit_field(app, |field| field.press(key)) {
        app.hint.push_str("The text is full.");
    }
    vec![]
}

fn paste(app: &mut App, text: &str, at: u64) {
    app.clock.key(at);
    app.hint.clear();
    if !app.mode().is_text() {
        let c = app.key(app.mode_of(&app.base()), Action::Note);
        app.hint = match c.as_str() {
            "" => "Pasted text is ignored here.".to_owned(),
            c => format!("Pasted text is ignored here; {c} opens a comment for it."),
        };
    } else if !edit_field(app, |field| field.insert(text)) {
        app.hint
            .push_str("The pasted text does not fit: nothing was taken from it.");
    }
}

/// Changes the text that is being typed, and what follows from it.
fn edit_field(app: &mut App, change: impl FnOnce(&mut super::field::Field) -> bool) -> bool {
    let fits = match (&mut app.search, &mut app.screen) {
        (Some(field), _) | (None, Screen::Note(field)) => change(field),
        (None, Screen::Palette(palette)) => palette.edit(change),
        _ => true,
    };
    super::find::typed(app);
    fits
}

/// Does what a key or a command of the palette asks for.
pub(super) fn act(app: &mut App, action: Action, key: Option<Key>, at: u64) -> Vec<Effect> {
    let writing = app.committing.is_some() && app.failure.is_none();
    if judge::decides(action) && (writing || app.clock.is_stale(at)) {
        return vec![];
    }
    let character = matches!(key, Some(Key::Char(_)));
    if action == Action::Quit && character && app.types_unseen() {
        return vec![];
    }
    if app.reading && judge::writes(action) {
        app.hint.push_str("Read only: nothing can be judged here.");
        return vec![];
    }
    let digit = key.and_then(|key| app.setup.keymap.digit(key));
    match action {
        Action::Judge => judge::grade(app, key),
        Action::CommitSelected => judge::commit_selected(app),
        Action::BothBad => judge::decide(app, super::scale::Decision::BothBad),
        Action::ChooseReason => judge::choose_reason(app, digit),
        Action::Defer => judge::decide(app, super::scale::Decision::Defer),
        Action::Undo => judge::undo(app),
        Action::Redo => judge::redo(app),
        Action::Confirm => confirm(app, at),
        Action::History => vec![Effect::List],
        Action::Statistics => statistics::open(app),
        Action::Editor => note::editor(app),
        Action::Retry => vec![Effect::Open],
        Action::ReadOnly => {
            app.reading = true;
            vec![Effect::OpenReadOnly]
        }
        Action::TakeOver => {
            app.asked = Some(at);
            vec![Effect::TakeOver]
        }
        Action::Redraw => vec![Effect::Redraw],
        Action::Suspend => vec![Effect::Suspend],
        Action::Quit => quit(app),
        other => {
            turn(app, other, digit, at);
            vec![]
        }
    }
}

/// Actions that change the screen and nothing else.
fn turn(app: &mut App, action: Action, digit: Option<usize>, at: u64) {
    match action {
        Action::CannotJudge => app.screen = Screen::CannotJudgeReason,
        Action::Skip => app.screen = Screen::SkipReason,
        Action::HandOver => app.screen = Screen::HandOver,
        Action::SendToRank => ranking::send(app, digit),
        Action::Move(step) => ranking::shift(app, step),
        Action::TieWithNext => ranking::tie(app),
        Action::RankAfresh => ranking::afresh(app),
        Action::Note => note::open(app),
        Action::NewLine => {
            edit_field(app, |field| field.insert("\n"));
        }
        Action::Flags => marks::open_flags(app),
        Action::Aspects => marks::open_aspects(app),
        Action::ToggleFlag => marks::toggle_flag(app, digit),
        Action::Toggle => marks::toggle_flag(app, None),
        Action::GradeAspect => marks::grade_aspect(app, digit),
        Action::Clear => marks::clear_aspect(app),
        Action::ZoomPrompt => open_page(app, Screen::Prompt),
        Action::Guidelines => open_page(app, Screen::Guidelines { first: false }),
        Action::Help => open_page(app, Screen::Help(String::new())),
        Action::Palette => palette::open(app),
        Action::Filter => history::filter(app),
        Action::Find => super::find::open(app),
        Action::FindNext => super::find::go(app, true),
        Action::FindPrevious => super::find::go(app, false),
        Action::Back => back(app, at),
        Action::NextPair => turn_queue(app, true, at),
        Action::PreviousPair => turn_queue(app, false, at),
        other => move_about(app, other),
    }
}

/// Actions that move what is seen.
fn move_about(app: &mut App, action: Action) {
    match action {
        Action::Scroll(step) => scroll_any(app, step),
        Action::ScrollFocused(step) => view::scroll_focused(app, step),
        Action::NextPane => view::focus_next(app, 1),
        Action::PreviousPane => view::focus_next(app, -1),
        Action::FocusSide(side) => view::focus_side(app, side),
        Action::Diff => view::toggle_diff(app),
        Action::Markdown => view::toggle_markdown(app),
        _ => {}
    }
}

/// Scrolls a page or the answers, or moves the cursor of the list that is open.
pub(super) fn scroll_any(app: &mut App, step: Step) {
    let page = usize::from(app.size.1.saturating_sub(4));
    let (flags, aspects) = (app.setup.flags.len(), app.setup.aspects.len());
    match &mut app.screen {
        Screen::Flags(cursor) => *cursor = step.applied(*cursor, flags, page),
        Screen::Aspects(cursor) => *cursor = step.applied(*cursor, aspects, page),
        Screen::Palette(palette) => palette.scroll(step, page),
        Screen::History => app.history.scroll(step, page),
        _ => view::scroll(app, step),
    }
}

pub(super) fn open_page(app: &mut App, screen: Screen) {
    if matches!(screen, Screen::Guidelines { .. }) && app.setup.guidelines.is_none() {
        app.hint.push_str("This project has no guidelines.md.");
        return;
    }
    app.view.turn_to(&screen);
    app.screen = screen;
    app.fit();
}

fn confirm(app: &mut App, at: u64) -> Vec<Effect> {
    if app.search.is_some() {
        super::find::confirm(app);
        return vec![];
    }
    match &app.screen {
        Screen::HandOver => vec![Effect::Quit(Ending::HandOver)],
        Screen::BatchDone => quit(app),
        Screen::Palette(_) => palette::run(app, at),
        Screen::History => {
            history::open_entry(app, at);
            vec![]
        }
        Screen::Note(_) => {
            note::keep(app);
            vec![]
        }
        _ => {
            back(app, at);
            vec![]
        }
    }
}

/// Closes what lies over the pair; over nothing, a judgement that was opened from the history.
fn back(app: &mut App, at: u64) {
    if app.search.is_some() {
        return super::find::leave(app);
    }
    note::put_away(app);
    match app.screen {
        Screen::Guidelines { first: true } => app.clock.show(at),
        Screen::Judging => return history::put_back(app, at),
        _ => {}
    }
    app.screen = app.base();
    app.fit();
}

/// Reading only: the next pair, or the one before.
fn turn_queue(app: &mut App, forward: bool, at: u64) {
    if forward {
        app.queue.rotate_left(usize::from(app.queue.len() > 1));
    } else {
        app.queue.rotate_right(usize::from(app.queue.len() > 1));
    }
    show(app, at);
}

fn quit(app: &App) -> Vec<Effect> {
    vec![Effect::Quit(match (&app.screen, &app.failure) {
        (_, Some(error)) => Ending::WriteFailed(error.clone()),
        (Screen::Locked(holder), _) => Ending::Locked(holder.clone()),
        (Screen::BatchDone, _) => Ending::BatchDone,
        _ => Ending::Quit,
    })]
}
