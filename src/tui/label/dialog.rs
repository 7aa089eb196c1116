//! What lies over the pair or takes its place: reasons, hand-over, failures, help, the end.

use ratatui::layout::Rect;

use super::draft::Act;
use super::draw::{Canvas, duration};
use super::layout::{self, Regions, centred, inside};
use super::state::{App, Screen};
use crate::tui::text::wrap;

/// Guidelines and help: a page to scroll.
pub(super) fn page(app: &App, canvas: &mut Canvas, title: &str) {
    let area = layout::page(app.size);
    let pane = &app.view.page;
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
        Screen::ReadOnly(error) => read_only(app, canvas, regions, error),
        _ => {}
    }
}

fn reasons(app: &App, canvas: &mut Canvas, title: &str) {
    let reasons = app.screen.reasons().iter().enumerate();
    let lines: Vec<String> = reasons
        .map(|(i, reason)| format!("{}  {}", i + 1, reason.text))
        .collect();
    dialog(app, canvas, title, &lines.join("\n"));
}

fn hand_over(app: &App, canvas: &mut Canvas) {
    let name = app.setup.hand_over.as_deref().unwrap_or_default();
    let left = app.queue.len();
    let text = format!(
        "A program, not a person, will judge the remaining {left} pairs. Its judgements are saved \
         under the name {name} and stay marked as simulated. Yours are kept.\n\n\
         y    yes, let {name} take over\n\
         Esc  no, I go on"
    );
    dialog(app, canvas, "Hand over to the simulated labeller?", &text);
}

/// At the top, so that the answers and the judgement below stay in view.
fn read_only(app: &App, canvas: &mut Canvas, regions: &Regions, error: &str) {
    let decision = app.committing.as_ref().map(|draft| draft.act);
    let what = match decision {
        Some(Act::Decide(decision)) => decision.describe(app.setup.scale),
        _ => "undo".to_owned(),
    };
    let text = format!(
        "This could not be written: {what}.\n{error}\nEverything before it is saved. Quit with q, \
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
    let text = format!(
        "{holder}\n\nEverything judged there is saved. Quit that session, then Enter tries again."
    );
    dialog(app, canvas, "Open elsewhere", &text);
}

/// More answers are being written.
pub(super) fn waiting(app: &App, canvas: &mut Canvas) {
    let text = "The next answers are being written. A pair appears when both are complete.\n\n\
                Everything is saved.";
    dialog(app, canvas, "Waiting for samples", text);
}

/// Nothing is left.
pub(super) fn batch_done(app: &App, canvas: &mut Canvas) {
    let minutes = duration(app.clock.session_active_ms() as f64 / 1000.0);
    let counts = app.counts();
    let text = format!(
        "Nothing is left to judge.\n\n\
         this session  {counts}\n\
         active time   {minutes}\n\
         in all        {} of {}\n\n\
         Everything is saved. Enter finishes; u takes back the last judgement.",
        app.judged(),
        app.total(),
    );
    dialog(app, canvas, "Done", &text);
}

/// The terminal cannot hold a pair.
pub(super) fn too_small(canvas: &mut Canvas, area: Rect) {
    let (width, height) = layout::MIN_SIZE;
    let text = format!(
        "terminal too small: {}x{}, needs {width}x{height}",
        area.width, area.height
    );
    canvas.put_rows(area, &wrap(&text, usize::from(area.width)));
}

/// A box in the middle with a title and wrapped text.
fn dialog(app: &App, canvas: &mut Canvas, title: &str, text: &str) {
    let width = app.size.0.min(76);
    let rows = wrap(text, usize::from(width.saturating_sub(4)));
    let area = centred(width, rows.len() as u16 + 2, app.size);
    canvas.frame(area, &format!(" {title} "), "", true);
    canvas.put_rows(inside(area), &rows);
}
