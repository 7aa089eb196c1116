//! Find: a text in the prompt and the answers, or in the help and the history.

use std::ops::Range;

use super::field::Field;
use super::state::{App, Screen};
use super::view::focus;
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

    /// Marks what was found in a document.
    pub(super) fn mark(&self, stop: usize, document: Document) -> Document {
        let here = self.hits.iter().filter(|hit| hit.stop == stop);
        let all: Vec<_> = here.map(|hit| hit.at.clone()).collect();
        let current = self.hits.get(self.current);
        let current: Vec<_> = current
            .filter(|hit| hit.stop == stop)
            .map(|hit| hit.at.clone())
            .into_iter()
            .collect();
        document
            .mark(&all, Mark::Match)
            .mark(&current, Mark::CurrentMatch)
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
    app.view.page.rewrap();
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
    app.view.find = Find::of(query, &app.view.documents(&pair));
    app.view.rewrap();
    app.fit();
}

/// The same search in a text that is shown in another way now.
pub(super) fn search_again(app: &mut App) {
    let query = app.view.find.query.clone();
    app.view.find = Find::default();
    find(app, &query);
}

/// `n` and `N`: to the next match or to the one before, around the ends.
pub(super) fn go(app: &mut App, forward: bool) {
    let find = &mut app.view.find;
    let count = find.hits.len();
    if count == 0 {
        app.hint
            .push_str("Nothing was searched for; / finds a text.");
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
    app.view.rewrap();
    app.fit();
    focus(app, hit.stop);
    let pane = app.view.pane(hit.stop);
    if let Some(place) = places(pane.rows(), &hit.at).first() {
        pane.show_row(place.row);
    }
}
