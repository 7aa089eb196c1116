//! The numbers of each page as rows of text: what the screen shows and what
//! `rlhf feedback stats` prints.

mod agreement;
mod annotators;
mod course;
mod habits;
mod policies;

pub use agreement::agreement;
pub use annotators::annotators;
pub use course::pace;
pub use habits::habits;
pub use policies::policies;

use crate::feedback::record::UtcMillis;
use crate::feedback::report::tally::Tally;
use crate::feedback::report::{Group, Report, Share};
use crate::stats::Interval;
use crate::tui::chart::bar;
use crate::tui::text::{columns, fit, sanitise, wrap};

/// Widest chart.
const WIDEST: usize = 60;

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its text: printable, of one line, perhaps wider than the screen.
    pub text: String,
    /// What it is.
    pub kind: RowKind,
}

/// How a row looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowKind {
    /// Begins a part.
    Heading,
    /// Says something.
    Text,
    /// Explains something.
    Faint,
}

/// Rows being made.
#[derive(Debug, Default)]
struct Rows(Vec<Row>);

impl Rows {
    fn push(&mut self, kind: RowKind, text: String) {
        self.0.push(Row { text, kind });
    }

    fn heading(&mut self, text: &str) {
        if !self.0.is_empty() {
            self.push(RowKind::Text, String::new());
        }
        self.push(RowKind::Heading, text.to_owned());
    }

    fn text(&mut self, text: String) {
        self.push(RowKind::Text, format!("  {text}"));
    }

    fn faint(&mut self, text: &str) {
        self.push(RowKind::Faint, format!("  {text}"));
    }
}

/// `rows` on a screen of `width` columns: what is wider goes on below, two columns further in.
pub fn wrapped(rows: Vec<Row>, width: usize) -> Vec<Row> {
    let mut narrow = Vec::with_capacity(rows.len());
    for row in rows {
        if columns(&row.text) <= width {
            narrow.push(row);
            continue;
        }
        let body = row.text.trim_start();
        let indent = (row.text.len() - body.len()).min(width / 2);
        let lines = wrap(body, width.saturating_sub(indent + 2).max(1));
        for (at, line) in lines.iter().enumerate() {
            let indent = if at == 0 { indent } else { indent + 2 };
            let text = " ".repeat(indent) + line.text().trim_end();
            let kind = row.kind;
            narrow.push(Row { text, kind });
        }
    }
    narrow
}

/// What there is: counts of people and of programs.
pub fn overview(report: &Report, width: usize) -> Vec<Row> {
    let mut rows = Rows::default();
    let by_people = format!(
        "{} of {} items judged by people",
        report.people.judged_items, report.items
    );
    rows.heading(&match report.simulated.judged_items {
        0 => by_people,
        n => format!("{by_people}, {n} by programs"),
    });
    if report.figures_of.is_some() {
        rows.faint(report.rule);
    }
    if report.figures_of == Some("simulated") {
        rows.text("no person judged here: every figure is of programs".to_owned());
    }
    for (name, group) in report.groups() {
        rows.heading(name);
        counts(&mut rows, group, width);
    }
    rows.0
}

fn counts(rows: &mut Rows, group: &Group, width: usize) {
    let tally = &group.tally;
    rows.text(format!(
        "{} judgements: {} prefer, {} tie, {} both bad, {} cannot judge; {} skipped",
        tally.judgements,
        tally.prefer,
        tally.tie,
        tally.both_bad,
        tally.cannot_judge,
        tally.skipped
    ));
    let outcomes = [
        ("prefer", tally.prefer),
        ("tie", tally.tie),
        ("both bad", tally.both_bad),
        ("cannot judge", tally.cannot_judge),
    ];
    for (name, n) in outcomes.into_iter().filter(|(_, n)| *n > 0) {
        let share = n as f64 / tally.judgements as f64;
        let bar = bar(chart_width(width, 26), share);
        rows.text(format!("{name:12} {:>8} {bar}", percent(share)));
    }
    if tally.adjudications > 0 {
        rows.text(format!(
            "{} settle a disagreement of others",
            tally.adjudications
        ));
    }
    if let Some(time) = median_time(tally) {
        let rate = tally.per_active_hour.map_or(String::new(), |rate| {
            format!(", {rate:.0} per hour at work")
        });
        rows.text(format!(
            "median time {time} of {} judgements{rate}",
            tally.timed
        ));
    }
    if group.untimed > 0 {
        rows.text(untimed(group.untimed));
    }
}

/// Why some judgements are in no course over time.
fn untimed(judgements: usize) -> String {
    format!(
        "{judgements} imported judgements do not say when they were made: they are in no course over \
         time and in no drift"
    )
}

/// `4.2 s [3.9, 4.6]`.
fn median_time(tally: &Tally) -> Option<String> {
    let interval = tally.median_active_interval.map(|interval| Interval {
        low: interval.low / 1000.0,
        high: interval.high / 1000.0,
    });
    let median = tally.median_active_ms? / 1000.0;
    Some(
        format!("{median:.1} s {}", brackets(interval, 1))
            .trim_end()
            .to_owned(),
    )
}

/// Year to minute.
pub fn minute(time: UtcMillis) -> String {
    time.to_string()
        .chars()
        .take(16)
        .collect::<String>()
        .replace('T', " ")
}

/// A name from a file as one line that is safe to print.
fn clean(text: &str) -> String {
    sanitise(text).replace('\n', "␊")
}

fn versus(policy: &str, against: &str) -> String {
    format!("{} against {}", clean(policy), clean(against))
}

fn pad(text: &str, width: usize) -> String {
    let text = fit(text, width);
    let missing = width.saturating_sub(columns(&text));
    text + &" ".repeat(missing)
}

/// What remains for a chart beside `taken` columns of text.
fn chart_width(width: usize, taken: usize) -> usize {
    width.saturating_sub(taken).min(WIDEST)
}

fn share_text(share: &Share) -> String {
    let (n, interval) = (share.n, percents(Some(share.interval())));
    format!("{} of {n} {interval}", percent(share.share))
}

/// `[37.5 %, 66.7 %]`, or nothing.
fn percents(interval: Option<Interval>) -> String {
    interval.map_or(String::new(), |Interval { low, high }| {
        format!("[{}, {}]", percent(low), percent(high))
    })
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn brackets(interval: Option<Interval>, decimals: usize) -> String {
    let finite = interval.filter(|i| i.low.is_finite() && i.high.is_finite());
    finite.map_or(String::new(), |Interval { low, high }| {
        format!("[{low:.decimals$}, {high:.decimals$}]")
    })
}

fn p_value(p: f64) -> String {
    if p < 0.001 {
        "< 0.001".into()
    } else {
        format!("{p:.3}")
    }
}
