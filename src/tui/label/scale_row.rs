//! The row of grades from A to B, with as many words as fit.

use ratatui::layout::Rect;

use super::draft::Act;
use super::draw::Canvas;
use super::scale::{Decision, Grade, grades};
use super::state::App;
use crate::tui::text::columns;

/// How the row is written, roomiest first.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    /// Every word, the tie set apart.
    Roomy,
    /// Every word, some shortened, one column between entries.
    Dense,
    /// Bare digits; the ends are still A and B.
    Digits,
}

/// One entry: where it begins, its key, its word.
struct Entry {
    x: usize,
    key: String,
    word: &'static str,
    decision: Option<Decision>,
}

impl Entry {
    /// Columns of key and word without the column at either side, where brackets go.
    fn columns(&self) -> usize {
        columns(&self.key) + columns(self.word) + usize::from(!self.word.is_empty())
    }
}

/// Draws the row; what is selected or being written is reversed and in brackets.
pub(super) fn draw(app: &App, canvas: &mut Canvas, area: Rect) {
    let chosen = match app.committing.as_ref().map(|draft| draft.act) {
        Some(Act::Decide(decision)) => Some(decision),
        _ => app.selected,
    };
    let forms = [Form::Roomy, Form::Dense, Form::Digits].map(|form| entries(app, form));
    let fits = |row: &&Vec<Entry>| {
        row.last()
            .is_some_and(|end| end.x + end.columns() < usize::from(area.width))
    };
    let row = forms.iter().find(fits).unwrap_or(&forms[2]);
    for entry in row {
        draw_entry(entry, canvas, area);
    }
    // Last, because in the dense form its brackets stand where its neighbours end and begin.
    for entry in row
        .iter()
        .filter(|entry| entry.decision.is_some() && entry.decision == chosen)
    {
        let text = format!(
            "[{}]",
            [entry.key.as_str(), entry.word].join(" ").trim_end()
        );
        canvas.put(area, entry.x as u16 - 1, &text, canvas.theme.selected());
    }
}

fn draw_entry(entry: &Entry, canvas: &mut Canvas, area: Rect) {
    let end = canvas.put(area, entry.x as u16, &entry.key, canvas.theme.strong());
    canvas.put(area, end + 1, entry.word, canvas.theme.text());
}

fn entries(app: &App, form: Form) -> Vec<Entry> {
    let (margin, between) = match form {
        Form::Roomy => (2, 2),
        Form::Dense => (0, 1),
        Form::Digits => (0, 2),
    };
    let mut x = 1 + margin;
    let mut row = Vec::new();
    let mut add = |key: String, word, decision, gap: usize| {
        let entry = Entry {
            x: x + gap,
            key,
            word,
            decision,
        };
        x = entry.x + entry.columns() + between;
        row.push(entry);
    };
    add("A".to_owned(), "", None, 0);
    let mut apart = false;
    for grade in grades(app.setup.scale) {
        let tie = grade.decision == Decision::Tie;
        let gap = if tie || apart { margin } else { 0 };
        apart = tie;
        add(
            key(app, grade),
            word(grade, form),
            Some(grade.decision),
            gap,
        );
    }
    add("B".to_owned(), "", None, margin);
    row
}

fn key(app: &App, grade: &Grade) -> String {
    let digit = grade.key.to_digit(10).unwrap_or(0);
    app.setup.keymap.digit_name(digit as usize)
}

fn word(grade: &Grade, form: Form) -> &'static str {
    match (form, grade.word) {
        (Form::Digits, _) => "",
        (Form::Dense, "slightly") => "slight",
        (_, word) => word,
    }
}
