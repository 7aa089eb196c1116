//! What lies over the pair or takes its place: reasons, hand-over, failures, help, the end.

use ratatui::layout::Rect;

use super::draft::Act;
use super::draw::Canvas;
use super::header::duration;
use super::layout::{self, Regions, centred, inside};
use super::palette::Palette;
use super::state::{App, Screen};
use super::{marks, note};
use crate::tui::keys::{Action, Mode};
use crate::tui::text::{Row, fit, sanitise, wrap};

/// After this long a session that was asked to end is taken to be stuck.
const PATIENCE_MS: u64 = 10_000;

/// Characters of an entry of the history that may be on the screen.
const MOST_OF_ENTRY: usize = 500;

/// Guidelines, help and prompt: a page to scroll.
pub(super) fn page(app: &App, canvas: &mut Canvas, title: &str) {
    let area = layout::page(app.size);
    let pane = app.view.page(&app.screen);
    let (first, last) = pane.range();
    let range = format!(" lines {first}–{last}/{} ", pane.rows().len());
    canvas.frame(area, &format!(" {title} "), &range, false);
    canvas.put_rows(inside(area), pane.visible());
}

/// The dialog that the state asks for, if any.
pub(super) fn over_pair(app: &App, canvas: &mut Canvas, regions: &Regions) {
    match &app.screen {
        Screen::CannotJudgeReason => reasons(app, canvas, "Cannot judge: why?"),
        Screen::SkipReason => reasons(app, canvas, "Skip: why?"),
        Screen::HandOver => hand_over(app, canvas),
        Screen::ReadOnly => read_only(app, canvas, regions),
        Screen::Note(field) => note::draw(app, canvas, field),
        Screen::Flags(cursor) => marks::draw_flags(app, canvas, *cursor),
        Screen::Aspects(cursor) => marks::draw_aspects(app, canvas, *cursor),
        Screen::Palette(palette) => commands(app, canvas, palette),
        _ => {}
    }
}

/// Entries of a list that are on the screen, so that the cursor is among them.
fn window(cursor: usize, count: usize, room: usize) -> std::ops::Range<usize> {
    let first = (cursor + 1).saturating_sub(room);
    first..(first + room).min(count)
}

fn commands(app: &App, canvas: &mut Canvas, palette: &Palette) {
    let found = palette.found();
    let room = usize::from(app.size.1 / 2).max(3);
    let width = usize::from(dialog_width(app).saturating_sub(4));
    let mut rows = vec![format!(":{}", palette.field.shown())];
    for place in window(palette.cursor, found.len(), room) {
        let command = found[place];
        let here = if place == palette.cursor { '>' } else { ' ' };
        let (name, keys) = (command.name, &command.keys);
        let help = if width < 60 { "" } else { command.help };
        rows.push(fit(&format!("{here} {name:<20}{keys:<10}{help}"), width));
    }
    if found.is_empty() {
        rows.push("  no such command".to_owned());
    }
    dialog(app, canvas, "Commands", &rows.join("\n"));
}

/// What was judged, newest first.
pub(super) fn history(app: &App, canvas: &mut Canvas) {
    let area = layout::page(app.size);
    let list = &app.history;
    let found = list.found();
    let count = found.len();
    let mut title = format!(" History · {}", list.kind.word());
    if !list.wanted().is_empty() {
        title = format!("{title} · /{}", fit(&sanitise(list.wanted()), 20));
    }
    let place = (list.cursor + 1).min(count);
    let left_out = match list.left_out {
        0 => String::new(),
        older => format!(" ({older} older not listed)"),
    };
    let right = format!(" {place}/{count}{left_out} ");
    canvas.frame(area, &format!("{title} "), &right, false);
    let inner = inside(area);
    let shown = window(list.cursor, count, usize::from(inner.height));
    let first = shown.start;
    let entries = found.skip(first).take(shown.len());
    for (place, (entry, y)) in entries.zip(inner.y..inner.bottom()).enumerate() {
        let here = place + first == list.cursor;
        // More than a row is not shown, and sanitising a megabyte takes its time.
        let words: String = entry.words().chars().take(MOST_OF_ENTRY).collect();
        let row = format!("{} {}", entry.when, sanitise(&words));
        let line = Rect {
            y,
            height: 1,
            ..inner
        };
        let (mark, style) = if here {
            (">", canvas.theme.selected())
        } else {
            (" ", canvas.theme.text())
        };
        let row = fit(&format!("{mark} {row}"), usize::from(inner.width));
        canvas.put(line, line.x, &row, style);
    }
    if count == 0 {
        canvas.put_rows(
            inner,
            &wrap("Nothing of this kind.", usize::from(inner.width)),
        );
    }
}

fn reasons(app: &App, canvas: &mut Canvas, title: &str) {
    let reasons = app.screen.reasons().iter().enumerate();
    let key = |i: usize| app.setup.keymap.digit_name(i + 1);
    let lines: Vec<String> = reasons
        .map(|(i, reason)| format!("{}  {}", key(i), reason.text))
        .collect();
    dialog(app, canvas, title, &lines.join("\n"));
}

fn hand_over(app: &App, canvas: &mut Canvas) {
    let name = app.setup.hand_over.as_deref().unwrap_or_default();
    let left = app.queue.len();
    let [yes, no] = [Action::Confirm, Action::Back].map(|action| app.key(Mode::HandOver, action));
    let text = format!(
        "A program, not a person, will judge the remaining {left} pairs. Its judgements are saved \
         under the name {name} and stay marked as simulated. Yours are kept.\n\n\
         {yes:<5}yes, let {name} take over\n\
         {no:<5}no, I go on"
    );
    dialog(app, canvas, "Hand over to the simulated labeller?", &text);
}

/// At the top, so that the answers and the judgement below stay in view.
fn read_only(app: &App, canvas: &mut Canvas, regions: &Regions) {
    let error = app.failure.as_deref().unwrap_or_default();
    let decision = app.committing.as_ref().map(|draft| draft.act);
    let what = match decision {
        Some(Act::Decide(decision)) => decision.describe(app.setup.scale),
        _ => "undo".to_owned(),
    };
    let quit = app.key(Mode::ReadOnly, Action::Quit);
    let text = format!(
        "This could not be written: {what}.\n{error}\nEverything before it is saved. Quit with {quit}, \
         fix the cause and start again: this pair comes up again."
    );
    let width = app.size.0;
    let rows = wrap(&text, usize::from(width.saturating_sub(4)));
    let room = regions.answers.pane(0).bottom().saturating_sub(1);
    let area = Rect {
        x: 0,
        y: 1,
        width,
        height: (rows.len() as u16 + 2).min(room),
    };
    canvas.frame(area, " NOT SAVED: read-only ", "", true);
    canvas.put_rows(inside(area), &rows);
}

/// Somebody else has the work open.
pub(super) fn locked(app: &App, canvas: &mut Canvas, holder: &str) {
    let text = match app.asked {
        Some(asked) if app.clock.now_ms().saturating_sub(asked) > PATIENCE_MS => format!(
            "{holder}\n\nIt was asked to save and end, and does not answer: it may be suspended \
             (fg brings it back), a comment may be open in an editor there, or its machine may be gone. \
             End that process, or read only."
        ),
        Some(_) => format!("{holder}\n\nIt was asked to save and end. This takes a second or two."),
        // The footer has the keys, too.
        None if app.size.1 < 16 => format!("{holder}\n\nEverything judged there is saved."),
        None => {
            let keys = [Action::TakeOver, Action::ReadOnly, Action::Retry];
            let [take, read, again] = keys.map(|action| app.key(Mode::Locked, action));
            format!(
                "{holder}\n\nEverything judged there is saved.\n\n\
                 {take:<7}take over here: that session saves and ends\n\
                 {read:<7}read only\n\
                 {again:<7}try again, once it was left"
            )
        }
    };
    dialog(app, canvas, "Open elsewhere", &text);
}

/// More pairs are being made.
pub(super) fn waiting(app: &App, canvas: &mut Canvas) {
    let text = format!(
        "Everything that is ready is judged. A pair appears as soon as both of its answers are \
         complete.\n\nthis session  {}",
        app.counts()
    );
    dialog(app, canvas, "Waiting for answers", &text);
}

/// Nothing is left.
pub(super) fn batch_done(app: &App, canvas: &mut Canvas) {
    let minutes = duration(app.clock.session_active_ms() as f64 / 1000.0);
    let counts = app.counts();
    let [finish, undo] = [Action::Confirm, Action::Undo].map(|action| app.key(Mode::Done, action));
    let text = format!(
        "Nothing is left to judge.\n\n\
         this session  {counts}\n\
         active time   {minutes}\n\
         in all        {} of {}\n\n\
         Everything is saved. {finish} finishes; {undo} takes back the last judgement.",
        app.judged(),
        app.total(),
    );
    dialog(app, canvas, "Done", &text);
}

/// The terminal cannot hold a pair.
pub(super) fn too_small(app: &App, canvas: &mut Canvas, area: Rect) {
    let (width, height) = layout::MIN_SIZE;
    let mut text = format!(
        "terminal too small: {}x{}, needs {width}x{height}",
        area.width, area.height
    );
    if app.types_unseen() {
        text.push_str("; what you are writing is kept, and keys wait until it can be seen");
    }
    canvas.put_rows(area, &wrap(&text, usize::from(area.width)));
}

/// A box in the middle with a title and wrapped text.
pub(super) fn dialog(app: &App, canvas: &mut Canvas, title: &str, text: &str) {
    let rows = wrap(text, usize::from(dialog_width(app).saturating_sub(4)));
    let area = centred(dialog_width(app), rows.len() as u16 + 2, app.size);
    canvas.frame(area, &format!(" {title} "), "", true);
    canvas.put_rows(inside(area), &rows);
}

/// Columns of a dialog with its border.
pub(super) fn dialog_width(app: &App) -> u16 {
    app.size.0.min(76)
}

/// A box over the end of the answers, so that most of them can be read beside it.
pub(super) fn low_dialog(app: &App, canvas: &mut Canvas, title: &str, rows: &[Row]) {
    let Some(regions) = app.regions() else { return };
    let height = (rows.len() as u16 + 2).min(app.size.1.saturating_sub(2));
    let below = regions.answers.whole().bottom();
    let area = Rect {
        y: below.saturating_sub(height).max(1),
        ..centred(dialog_width(app), height, app.size)
    };
    canvas.frame(area, &format!(" {title} "), "", true);
    canvas.put_rows(inside(area), rows);
}
