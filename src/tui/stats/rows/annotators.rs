//! Everybody in one row, and how their work changed.

use super::{Row, Rows, brackets, clean, median_time, p_value, pad, percent};
use crate::feedback::record::SIM_PREFIX;
use crate::feedback::report::quality::{BLOCK, Block, Peer};
use crate::feedback::report::{Annotator, Report, Share};
use crate::stats::Interval;
use crate::tui::text::columns;

const COLUMNS: usize = 9;
const HEADINGS: [&str; COLUMNS] = [
    "judged",
    "tie",
    "both bad",
    "time",
    "left won",
    "p",
    "agrees",
    "gold right",
    "repeated",
];

/// A cell without anything.
const NOTHING: &str = "–";

type Cells = (String, [String; COLUMNS]);

/// Each annotator in one row: people, then programs.
pub fn annotators(report: &Report, width: usize) -> Vec<Row> {
    let mut rows = Rows::default();
    for (heading, programs) in [
        ("Annotators: people", false),
        ("Annotators: programs", true),
    ] {
        let own = report.annotators.iter();
        let own = own.filter(|(name, _)| name.starts_with(SIM_PREFIX) == programs);
        let cells: Vec<Cells> = own
            .map(|(name, annotator)| (clean(name), cells(annotator)))
            .collect();
        if !cells.is_empty() {
            rows.heading(heading);
            tables(&mut rows, &cells, width);
        }
    }
    if !rows.0.is_empty() {
        rows.faint(
            "share [95 % interval] of n; time: median at work; left: exact binomial p; agrees: with the \
             others of its kind; repeated: judged the same again",
        );
        drift(&mut rows, report);
    }
    rows.0
}

/// As many columns side by side as find room, the others below. A column in which nobody has anything
/// is left out.
fn tables(rows: &mut Rows, cells: &[Cells], width: usize) {
    let names = cells.iter().map(|(name, _)| columns(name));
    let widest = names.max().unwrap_or(0).clamp(4, 24);
    let said = |at: &usize| cells.iter().any(|(_, cells)| cells[*at] != NOTHING);
    let shown: Vec<usize> = (0..COLUMNS).filter(said).collect();
    let wide = |at: usize| {
        let of = cells.iter().map(|(_, cells)| columns(&cells[at]));
        of.max().unwrap_or(0).max(columns(HEADINGS[at])) + 2
    };
    let room = width.saturating_sub(widest + 4);
    let mut rest = &shown[..];
    while !rest.is_empty() {
        let fits = |n: &usize| rest[..*n].iter().map(|&at| wide(at)).sum::<usize>() <= room;
        let (now, later) = rest.split_at((1..=rest.len()).rev().find(fits).unwrap_or(1));
        let line = |name: &str, cells: &[String; COLUMNS]| {
            let cell = |&at: &usize| " ".repeat(wide(at) - columns(&cells[at])) + &cells[at];
            pad(name, widest) + &now.iter().map(cell).collect::<String>()
        };
        rows.faint(&line("", &HEADINGS.map(str::to_owned)));
        for (name, cells) in cells {
            rows.text(line(name, cells));
        }
        rest = later;
    }
}

fn cells(annotator: &Annotator) -> [String; COLUMNS] {
    let (tally, quality) = (&annotator.tally, &annotator.quality);
    let rate = |n: usize| percent(n as f64 / tally.judgements.max(1) as f64);
    let share = |share: Option<Share>| {
        share.map_or(NOTHING.to_owned(), |s| of(s.share, Some(s.interval()), s.n))
    };
    let peer = |Peer {
                    n, share, interval, ..
                }: Peer| of(share, Some(interval), n);
    [
        tally.judgements.to_string(),
        rate(tally.tie),
        rate(tally.both_bad),
        median_time(tally).unwrap_or(NOTHING.to_owned()),
        share(tally.left),
        tally.left_p.map_or(NOTHING.to_owned(), p_value),
        quality.with_others.map_or(NOTHING.to_owned(), peer),
        share(quality.gold),
        share(quality.repeats.map(|repeats| repeats.same)),
    ]
}

/// `52 % [37, 67] of 40`.
fn of(share: f64, interval: Option<Interval>, n: usize) -> String {
    let per_cent = interval.map(|interval| Interval {
        low: interval.low * 100.0,
        high: interval.high * 100.0,
    });
    format!("{:.0} % {} of {n}", share * 100.0, brackets(per_cent, 0))
}

/// The first stretch of work of each annotator beside the last.
fn drift(rows: &mut Rows, report: &Report) {
    let several = |(_, annotator): &(&String, &Annotator)| annotator.quality.blocks.len() > 1;
    let mut drifting = report.annotators.iter().filter(several).peekable();
    if drifting.peek().is_some() {
        rows.heading(&format!("Drift: the first {BLOCK} judgements → the last"));
    }
    for (name, annotator) in drifting {
        let blocks = [
            annotator.quality.blocks.first(),
            annotator.quality.blocks.last(),
        ];
        let both = |of: &dyn Fn(&Block) -> Option<String>| {
            let [first, last] = blocks.map(|block| block.and_then(of));
            Some(format!("{} → {}", first?, last?))
        };
        let parts = [
            (
                "median ",
                both(&|b| Some(format!("{:.1} s", b.median_active_ms? / 1000.0))),
            ),
            ("left ", both(&|b| Some(percent(b.left?.share)))),
            ("ties ", both(&|b| Some(percent(b.ties)))),
            ("agrees ", both(&|b| Some(percent(b.with_others?)))),
            ("of ", both(&|b| Some(b.judgements.to_string()))),
        ];
        let parts = parts
            .into_iter()
            .filter_map(|(what, both)| Some(what.to_owned() + &both?));
        let parts: Vec<String> = parts.collect();
        rows.text(format!("{}: {}", clean(name), parts.join(", ")));
    }
}
