//! The statistics of the campaign, read beside the work.
//!
//! While pairs are left only counts and pace are shown. Win rates, sides and lengths could steer the
//! next judgement, and agreement, gold and repeats, which move with every judgement, would say how
//! others judged a pair that undo can still bring back. All of it follows when nothing is left, in
//! any batch of the project: a win rate steers judgements of another batch just as well.

use super::header::duration;
use super::state::{App, Screen};
use super::update::{Effect, open_page};
use crate::feedback::report::Report;
use crate::tui::stats::rows::{self, Row, RowKind};
use crate::tui::text::document::Document;
use crate::tui::text::row::Mark;

type Page = fn(&Report, usize) -> Vec<Row>;

/// What can be seen while pairs are left.
const BLIND: &[Page] = &[rows::overview, rows::pace];
/// What can be seen when none is.
const ALL: &[Page] = &[
    rows::overview,
    rows::policies,
    rows::agreement,
    rows::annotators,
    rows::habits,
    rows::pace,
];

/// Opens the page; what was counted before is shown until it is counted again.
pub(super) fn open(app: &mut App) -> Vec<Effect> {
    open_page(app, Screen::Statistics);
    vec![Effect::Count]
}

/// The labels on the disk are counted.
pub(super) fn counted(app: &mut App, report: Result<Box<Report>, String>, left: usize) {
    (app.statistics, app.left_anywhere) = (Some(report), left);
    if app.screen == Screen::Statistics {
        app.view.page_mut(&app.screen).rewrap();
        app.fit();
    }
}

/// The page for so many columns.
pub(super) fn document(app: &App, width: usize) -> Document {
    let mut page = session(app);
    match &app.statistics {
        None => page.push(row(
            RowKind::Faint,
            "counting what everybody judged …".into(),
        )),
        Some(Err(problem)) => page.push(row(RowKind::Text, format!("not counted: {problem}"))),
        Some(Ok(report)) => {
            let here = app.pair().is_some() || app.more;
            let blind = here || app.left_anywhere > 0;
            if !here && blind {
                let left = format!("{} pairs are left in other batches.", app.left_anywhere);
                page.push(row(RowKind::Faint, left));
            }
            if blind {
                let why = "Policies, agreement, sides and lengths follow when nothing is left: \
                           they could steer a judgement.";
                page.push(row(RowKind::Faint, why.to_owned()));
            }
            for rows in if blind { BLIND } else { ALL } {
                page.push(row(RowKind::Text, String::new()));
                page.extend(rows(report, width));
            }
        }
    }
    marked(&page)
}

/// What this person did since the screen was opened.
fn session(app: &App) -> Vec<Row> {
    let active = duration(app.clock.session_active_ms() as f64 / 1000.0);
    let rate = app.rate().filter(|_| app.setup.show_rate);
    let rate = rate.map_or(String::new(), |rate| format!(", {rate:.1} per minute"));
    let all = format!("  {} of {} pairs in all", app.judged(), app.total());
    vec![
        row(RowKind::Heading, "This session".to_owned()),
        row(RowKind::Text, format!("  {}", app.counts())),
        row(RowKind::Text, format!("  {active} at work{rate}")),
        row(RowKind::Text, all),
        row(RowKind::Text, String::new()),
    ]
}

fn row(kind: RowKind, text: String) -> Row {
    Row { text, kind }
}

fn marked(page: &[Row]) -> Document {
    let mut text = String::new();
    let (mut headings, mut faint) = (Vec::new(), Vec::new());
    for row in page {
        let start = text.len();
        // One line each, so that nothing moves when the document is sanitised.
        text.push_str(&crate::tui::text::sanitise(&row.text).replace('\n', "␊"));
        match row.kind {
            RowKind::Heading => headings.push(start..text.len()),
            RowKind::Faint => faint.push(start..text.len()),
            RowKind::Text => {}
        }
        text.push('\n');
    }
    Document::raw(text.trim_end())
        .mark(&headings, Mark::Heading)
        .mark(&faint, Mark::Structure)
}
