//! The comment: opened, kept, or written in an editor.

use super::dialog;
use super::draw::Canvas;
use super::field::{Field, LONGEST};
use super::state::{App, Screen};
use super::update::Effect;
use crate::tui::keys::Action;
use crate::tui::text::wrap;

/// Opens the comment of the pair on the screen, or of the judgement at the cursor of the history.
pub(super) fn open(app: &mut App) {
    if app.screen == Screen::History {
        let at = app.clock.now_ms();
        super::history::open_entry(app, at);
    }
    if app.screen == Screen::Judging {
        let text = app.put_away.take();
        let text = text.as_deref().unwrap_or(&app.remarks.note);
        app.screen = Screen::Note(Field::new(text));
    }
}

/// Esc: the comment is as it was before. What was typed is not lost with one wrong key.
pub(super) fn put_away(app: &mut App) {
    let Screen::Note(field) = &app.screen else {
        return;
    };
    let typed = field.text().trim();
    if !typed.is_empty() && typed != app.remarks.note {
        app.put_away = Some(typed.to_owned());
        let c = app.key(app.mode_of(&app.base()), Action::Note);
        app.hint = format!("The comment is as it was; {c} brings back what was typed.");
    }
}

/// Enter: the comment is kept and saved with the judgement.
pub(super) fn keep(app: &mut App) {
    if let Screen::Note(field) = &app.screen {
        app.remarks.note = field.text().trim().to_owned();
    }
    app.screen = app.base();
    app.hint = match (app.remarks.note.is_empty(), &app.revision) {
        (true, _) => "No comment.".to_owned(),
        (false, None) => "The comment is saved together with the judgement.".to_owned(),
        (false, Some(_)) => {
            let [enter, esc] = [Action::CommitSelected, Action::Back]
                .map(|action| app.key(app.mode_of(&app.screen), action));
            format!("{enter} saves the comment; {esc} leaves all as it was.")
        }
    };
}

/// Ctrl-O: the comment goes to the editor.
pub(super) fn editor(app: &App) -> Vec<Effect> {
    match &app.screen {
        Screen::Note(field) => vec![Effect::Edit(field.text().to_owned())],
        _ => vec![],
    }
}

/// The editor was left.
pub(super) fn edited(app: &mut App, text: Result<String, String>, now: u64) {
    app.clock.key(now);
    match text {
        Ok(text) if text.len() > LONGEST => {
            app.hint = format!("The comment is longer than {LONGEST} bytes: it was not taken.");
        }
        Ok(text) => {
            if let Screen::Note(field) = &mut app.screen {
                *field = Field::new(text.trim_end());
            }
        }
        Err(error) => app.hint = format!("The editor failed: {error}"),
    }
}

/// The comment over the lower half of the answers.
pub(super) fn draw(app: &App, canvas: &mut Canvas, field: &Field) {
    let width = usize::from(dialog::dialog_width(app).saturating_sub(4));
    let rows = wrap(&field.shown(), width);
    let cursor = wrap(&format!("{}x", field.before()), width).len();
    let most = usize::from(app.size.1 / 2).max(3);
    let first = cursor.saturating_sub(most);
    let last = (first + most).min(rows.len());
    dialog::low_dialog(app, canvas, "Comment", &rows[first..last]);
}
