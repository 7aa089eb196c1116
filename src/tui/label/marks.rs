//! Flags and aspects: lists of marks beside the judgement.

use super::dialog;
use super::draw::Canvas;
use super::remarks::{aspect_grade, aspect_words};
use super::state::{App, Screen};
use crate::tui::text::wrap;

pub(super) fn open_flags(app: &mut App) {
    if app.setup.flags.is_empty() {
        app.hint.push_str("This project has no flags.");
    } else {
        app.screen = Screen::Flags(0);
    }
}

/// The record has one number per aspect, positive where the first of two candidates is better. Of
/// three or more that would be true of no particular two, so nothing is offered for them.
pub(super) fn open_aspects(app: &mut App) {
    if app.pair().is_some_and(|pair| pair.is_ranking()) {
        app.hint
            .push_str("Aspects compare two answers, not three or more; a comment can say it.");
    } else if app.setup.aspects.is_empty() {
        app.hint.push_str("This project has no aspects.");
    } else {
        app.screen = Screen::Aspects(0);
    }
}

/// Sets or clears a flag: the numbered one, or the one at the cursor.
pub(super) fn toggle_flag(app: &mut App, digit: Option<usize>) {
    let Screen::Flags(cursor) = &mut app.screen else {
        return;
    };
    let place = digit.map_or(*cursor, |digit| digit - 1);
    if let Some(flag) = app.setup.flags.get(place) {
        *cursor = place;
        app.remarks.toggle(flag, &app.setup.flags);
    }
}

/// Grades the aspect at the cursor and goes to the next.
pub(super) fn grade_aspect(app: &mut App, digit: Option<usize>) {
    let (Screen::Aspects(cursor), Some(digit)) = (&mut app.screen, digit) else {
        return;
    };
    if let Some(aspect) = app.setup.aspects.get(*cursor) {
        let grade = aspect_grade(digit);
        app.remarks.aspects.insert(aspect.clone(), grade);
        *cursor = (*cursor + 1).min(app.setup.aspects.len() - 1);
    }
}

pub(super) fn clear_aspect(app: &mut App) {
    if let Screen::Aspects(cursor) = app.screen
        && let Some(aspect) = app.setup.aspects.get(cursor)
    {
        app.remarks.aspects.remove(aspect);
    }
}

/// Every flag, with a mark before those that are set.
pub(super) fn draw_flags(app: &App, canvas: &mut Canvas, cursor: usize) {
    let flags = app.setup.flags.iter().enumerate();
    let rows: Vec<String> = flags
        .map(|(place, flag)| {
            let set = if app.remarks.flags.contains(flag) {
                'x'
            } else {
                ' '
            };
            let key = app.setup.keymap.digit_name(place + 1);
            format!("{} {key} [{set}] {flag}", pointer(place == cursor))
        })
        .collect();
    low(app, canvas, "Flags", &rows);
}

/// Every aspect with its grade.
pub(super) fn draw_aspects(app: &App, canvas: &mut Canvas, cursor: usize) {
    let widest = app.setup.aspects.iter().map(|a| a.chars().count()).max();
    let aspects = app.setup.aspects.iter().enumerate();
    let mut rows: Vec<String> = aspects
        .map(|(place, aspect)| {
            let grade = app.remarks.aspects.get(aspect);
            let words = grade.map_or("not judged".to_owned(), |&grade| aspect_words(grade));
            let pad = widest.unwrap_or(0);
            format!("{} {aspect:pad$}  {words}", pointer(place == cursor))
        })
        .collect();
    rows.push(String::new());
    rows.push("1 A much better … 5 alike … 9 B much better".to_owned());
    low(app, canvas, "Aspects", &rows);
}

fn low(app: &App, canvas: &mut Canvas, title: &str, rows: &[String]) {
    let width = usize::from(dialog::dialog_width(app).saturating_sub(4));
    dialog::low_dialog(app, canvas, title, &wrap(&rows.join("\n"), width));
}

fn pointer(here: bool) -> char {
    if here { '>' } else { ' ' }
}
