//! Find: a text in the prompt and the answers, or in the help and the history.

use std::ops::Range;

use ratatui::layout::Rect;

use super::draw::Canvas;
use super::field::Field;
use super::state::{App, Screen};
use super::view::{View, focus};
use crate::tui::keys::{Action, Mode};
use crate::tui::text::document::Document;
use crate::tui::text::find::{matches, places};
use crate::tui::text::row::Mark;

/// Where a text was found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hit {
    /// The pane as `View::pane` counts: an answer, or the prompt behind the last of them.
    stop: usize,
    /// Bytes of its document.
    at: Range<usize>,
}

/// A search in the pair on the screen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Find {
    query: String,
    /// The prompt's first, then A's, B's and so on: as one reads.
    hits: Vec<Hit>,
    current: usize,
}

impl Find {
    fn of(query: &str, documents: &[Document]) -> Self {
        let prompt = documents.len().saturating_sub(1);
        let order = std::iter::once(prompt).chain(0..prompt);
        let hits = order.flat_map(|stop| {
            let found = documents.get(stop).map(|d| matches(d.text(), query));
            let found = found.unwrap_or_default().into_iter();
            found.map(move |at| Hit { stop, at })
        });
        Self {
            query: query.to_owned(),
            hits: hits.collect(),
            current: 0,
        }
    }

    /// What was found in a stretch of a stop's document, and whether it is the current match.
    fn among(&self, stop: usize, shown: Range<usize>) -> impl Iterator<Item = (&Hit, bool)> {
        let hits = self.hits.iter().enumerate();
        hits.filter(move |(_, hit)| {
            hit.stop == stop && hit.at.start < shown.end && shown.start < hit.at.end
        })
        .map(|(place, hit)| (hit, place == self.current))
    }
}

/// Marks what was found in the rows of a pane that are on the screen.
pub(super) fn draw(view: &View, canvas: &mut Canvas, area: Rect, stop: usize) {
    let rows = view.shown(stop).visible();
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return;
    };
    for (hit, current) in view.find.among(stop, first.at.start..last.at.end) {
        let mark = if current {
            Mark::CurrentMatch
        } else {
            Mark::Match
        };
        for place in places(rows, &hit.at) {
            let found = Rect {
                x: area.x + place.columns.start as u16,
                y: area.y + place.row as u16,
                width: place.columns.len() as u16,
                height: 1,
            };
            let style = canvas.theme.mark(mark);
            canvas.buffer.set_style(found.intersection(area), style);
        }
    }
}

/// `/`: asks for a text.
pub(super) fn open(app: &mut App) {
    let before = match &app.screen {
        Screen::Help(wanted) => wanted,
        Screen::History => app.history.wanted(),
        _ => &app.view.find.query,
    };
    app.search = Some(Field::new(before));
}

/// Lists are narrowed while one types.
pub(super) fn typed(app: &mut App) {
    let Some(text) = app.search.as_ref().map(|field| field.text().to_owned()) else {
        return;
    };
    match &mut app.screen {
        Screen::Help(wanted) => *wanted = text,
        Screen::History => return app.history.want(text),
        _ => return,
    }
    app.view.page_mut(&app.screen).rewrap();
    app.fit();
}

/// Enter: keeps what a list was narrowed to, or finds the text in the pair.
pub(super) fn confirm(app: &mut App) {
    let Some(field) = app.search.take() else {
        return;
    };
    if matches!(app.screen, Screen::Help(_) | Screen::History) {
        return;
    }
    find(app, field.text());
    if app.view.find.hits.is_empty() && !field.text().is_empty() {
        app.hint = format!("{:?} was not found.", field.text());
    } else {
        show_current(app);
    }
}

/// Esc: a list is whole again, a search is over.
pub(super) fn leave(app: &mut App) {
    app.search = Some(Field::default());
    typed(app);
    app.search = None;
    if !matches!(app.screen, Screen::Help(_) | Screen::History) {
        find(app, "");
    }
}

fn find(app: &mut App, query: &str) {
    let Some(pair) = app.pair().cloned() else {
        return;
    };
    let texts = app.view.texts(&pair);
    app.view.find = Find::of(query, &texts.documents);
}

/// The same search in a text that is shown in another way now.
pub(super) fn search_again(app: &mut App) {
    let Find { query, current, .. } = std::mem::take(&mut app.view.find);
    find(app, &query);
    let last = app.view.find.hits.len().saturating_sub(1);
    app.view.find.current = current.min(last);
}

/// `n` and `N`: to the next match or to the one before, around the ends.
pub(super) fn go(app: &mut App, forward: bool) {
    let find = &mut app.view.find;
    let count = find.hits.len();
    if count == 0 {
        let slash = app.key(Mode::Judging, Action::Find);
        app.hint = format!("Nothing was searched for; {slash} finds a text.");
        return;
    }
    find.current = (find.current + if forward { 1 } else { count - 1 }) % count;
    show_current(app);
}

/// Brings the current match onto the screen.
fn show_current(app: &mut App) {
    let find = &app.view.find;
    let Some(hit) = find.hits.get(find.current).cloned() else {
        return;
    };
    app.hint = format!("match {} of {}", find.current + 1, find.hits.len());
    focus(app, hit.stop);
    let pane = app.view.pane(hit.stop);
    if let Some(place) = places(pane.rows(), &hit.at).first() {
        pane.show_row(place.row);
    }
}
