//! Ranking three to nine answers: keys, and how it is drawn.

use ratatui::layout::Rect;

use super::draw::Canvas;
use super::layout::{inside, ranking_list, ranking_text};
use super::pair::letter;
use super::ranks::Ranks;
use super::scale::Decision;
use super::state::{App, Pair};
use super::view;
use crate::tui::keys::{Action, Mode, Step};
use crate::tui::text::{Row, fit};

/// Rows in which the first words of an answer are looked for.
const FIRST_WORDS: usize = 20;

/// Sends the answer on the screen to a rank and shows the next that has none.
pub(super) fn send(app: &mut App, digit: Option<usize>) {
    let (Some(rank), side) = (digit, app.view.side) else {
        return;
    };
    if rank > app.view.answers.len() {
        app.hint = format!("There are only {} ranks.", app.view.answers.len());
        return;
    }
    let mut ranks = app.ranks();
    if ranks.rank(side).is_some_and(|old| usize::from(old) != rank) {
        app.clock.change();
    }
    ranks.send(side, rank);
    app.selected = Some(Decision::Rank(ranks));
    let next = ranks.unranked().find(|&other| other > side);
    match next.or_else(|| ranks.unranked().next()) {
        Some(next) => view::focus(app, next),
        None => app.hint = ranked(app, ranks),
    }
}

/// A ranking in words, and what saves it once it is whole.
fn ranked(app: &App, ranks: Ranks) -> String {
    let words = ranks.describe();
    if ranks.unranked().next().is_some() {
        return words;
    }
    let enter = app.key(Mode::Ranking, Action::CommitSelected);
    format!("{words} · {enter} saves it")
}

/// Moves the answer on the screen in the ranking.
pub(super) fn shift(app: &mut App, step: Step) {
    change(app, |ranks, side| ranks.shift(side, step));
}

/// Ties the answer on the screen with the next in the ranking.
pub(super) fn tie(app: &mut App) {
    change(app, Ranks::tie_with_next);
}

fn change(app: &mut App, change: impl FnOnce(&mut Ranks, usize) -> bool) {
    let (mut ranks, side) = (app.ranks(), app.view.side);
    if change(&mut ranks, side) {
        app.clock.change();
        app.selected = Some(Decision::Rank(ranks));
        app.hint = ranked(app, ranks);
    } else if ranks.rank(side).is_none() {
        app.hint = format!(
            "Answer {} has no rank yet: a digit gives it one.",
            letter(side)
        );
    } else {
        app.hint.push_str("It is the last already.");
    }
}

/// Forgets all ranks, until undo brings them back.
pub(super) fn afresh(app: &mut App) {
    if app.pair().is_some_and(|pair| pair.is_ranking()) {
        if let Some(Decision::Rank(ranks)) = app.selected.take() {
            app.view.wiped = Some(ranks);
            app.hint
                .push_str("No answer has a rank; undo brings the ranking back.");
        }
        view::focus(app, 0);
    } else {
        app.hint
            .push_str("Two answers are judged, not ranked: press one of the digits.");
    }
}

/// Brings back what was wiped, if no ranking was begun since.
pub(super) fn bring_back(app: &mut App) -> bool {
    let wiped = app.view.wiped.take().filter(|_| app.selected.is_none());
    if let Some(ranks) = wiped {
        app.selected = Some(Decision::Rank(ranks));
        if let Some(next) = ranks.unranked().next() {
            view::focus(app, next);
        }
        app.hint = format!("The ranking is back: {}.", ranks.describe());
    }
    wiped.is_some()
}

/// The answers in order of merit at the left, and the one that is read.
pub(super) fn draw(app: &App, canvas: &mut Canvas, answers: super::layout::Answers, pair: &Pair) {
    let (list, text) = (ranking_list(answers), ranking_text(answers));
    let side = app.view.side;
    if !list.is_empty() {
        canvas.frame(list, " Ranking ", "", false);
        draw_list(app, canvas, inside(list));
    }
    let Some(pane) = app.view.answers.get(side) else {
        return;
    };
    canvas.frame(text, "", &super::draw::range(pane), false);
    let mut x = text.x + 2;
    for other in 0..pair.answers() {
        let (label, style) = if other == side {
            (format!("[{}]", letter(other)), canvas.theme.selected())
        } else {
            (format!(" {} ", letter(other)), canvas.theme.strong())
        };
        x = canvas.put(Rect { height: 1, ..text }, x, &label, style);
    }
    super::draw::text(&app.view, canvas, text, side);
}

/// One row per answer: rank, letter, first words.
fn draw_list(app: &App, canvas: &mut Canvas, area: Rect) {
    let ranks = app.ranks();
    let mut order: Vec<usize> = ranks.groups().concat();
    order.extend(ranks.unranked());
    for (side, y) in order.into_iter().zip(area.y..area.bottom()) {
        let rank = ranks.rank(side).map_or("-".into(), |rank| rank.to_string());
        let here = if side == app.view.side { '>' } else { ' ' };
        // The list is narrower than the pane, so a row of the pane is all that fits.
        let mut rows = app.view.shown(side).rows().iter().take(FIRST_WORDS);
        let words = rows.find(|row| !row.at.is_empty()).map(Row::text);
        let first = words.unwrap_or_default();
        let row = format!("{here} {rank}  {}  {first}", letter(side));
        let line = Rect {
            y,
            height: 1,
            ..area
        };
        let style = canvas.theme.text();
        canvas.put(line, line.x, &fit(&row, usize::from(line.width)), style);
    }
}

/// The row below the answers: the ranking so far.
pub(super) fn draw_row(app: &App, canvas: &mut Canvas, area: Rect) {
    let ranks = app.ranks();
    let mut row = ranks.describe();
    let left: Vec<String> = ranks
        .unranked()
        .map(|side| letter(side).to_string())
        .collect();
    if !left.is_empty() {
        let gap = if row.is_empty() { "" } else { "   " };
        row = format!("{row}{gap}no rank yet: {}", left.join(" "));
    }
    let end = canvas.put(area, 1, "rank ", canvas.theme.strong());
    canvas.put(area, end + 1, &row, canvas.theme.text());
}
