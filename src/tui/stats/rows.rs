//! The numbers of each page as rows of text: what the screen shows and what
//! `rlhf feedback stats` prints.

mod policies;

pub use policies::policies;

use crate::feedback::record::UtcMillis;
use crate::feedback::report::consensus::Alpha;
use crate::feedback::report::quality::{BLOCK, Block};
use crate::feedback::report::{Annotator, Group, Report, Share};
use crate::stats::Interval;
use crate::stats::length::Correlation;
use crate::stats::rating::Estimate;
use crate::tui::chart::{bar, spark, whisker};
use crate::tui::text::{columns, fit, sanitise};

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
    if let Some(median) = tally.median_active_ms {
        let rate = tally.per_active_hour.map_or(String::new(), |rate| {
            format!(", {rate:.0} per hour at work")
        });
        rows.text(format!("median time {:.1} s{rate}", median / 1000.0));
    }
}

/// How far annotators agree.
pub fn agreement(report: &Report, width: usize) -> Vec<Row> {
    let mut rows = Rows::default();
    for (name, group) in report.groups() {
        let Some(consensus) = &group.agreement else {
            continue;
        };
        rows.heading(&format!("Agreement of {}", name.to_lowercase()));
        rows.text(format!(
            "{} items judged by several: {} chose the same of A, tie and B",
            consensus.units,
            percent(consensus.raw)
        ));
        let alphas = [
            ("A, tie, B", consensus.nominal),
            ("grades", consensus.ordinal),
        ];
        for (what, alpha) in alphas {
            let Some(Alpha {
                alpha, interval, ..
            }) = alpha
            else {
                continue;
            };
            let chart = whisker(chart_width(width, 50), (-1.0, 1.0), 0.0, alpha, interval);
            let interval = brackets(interval, 3);
            rows.text(
                format!("Krippendorff's α, {what:9} {alpha:6.3} {interval:17} {chart}")
                    .trim_end()
                    .to_owned(),
            );
        }
        rows.faint("people on pairs: 63 to 77 % raw agreement is usual; α = 0 is chance");
        if !consensus.trend.is_empty() {
            let of: Vec<String> = consensus
                .trend
                .iter()
                .map(|t| format!("{:.0}", t.raw * 100.0))
                .collect();
            rows.text(format!("over time, % raw: {}", of.join(" ")));
        }
        for pair in &consensus.pairs {
            let quadratic = pair
                .kappa_quadratic
                .map_or(String::new(), |kappa| format!(", of grades {kappa:.3}"));
            let kappa = pair
                .kappa
                .map_or("undefined".into(), |kappa| format!("{kappa:.3}"));
            rows.text(format!(
                "{} and {}: {} on {} items, Cohen's κ {kappa}{quadratic}",
                clean(&pair.annotators[0]),
                clean(&pair.annotators[1]),
                percent(pair.raw),
                pair.items
            ));
        }
    }
    rows.0
}

/// Each annotator in one row.
pub fn annotators(report: &Report, width: usize) -> Vec<Row> {
    const HEADINGS: [&str; 7] = ["judged", "left", "agree", "time", "gold", "repeat", "tie"];
    let cells: Vec<(String, [String; 7])> = report
        .annotators
        .iter()
        .map(|(name, annotator)| (clean(name), annotator_cells(annotator)))
        .collect();
    let names = cells.iter().map(|(name, _)| columns(name));
    let widest = names
        .max()
        .unwrap_or(0)
        .clamp(9, 28)
        .min(width.saturating_sub(20).max(9));
    // Columns that find no room are left out, from the right.
    let room = width.saturating_sub(widest + 4) / 9;
    let line = |name: &str, cells: &[String]| {
        let cells: Vec<String> = cells
            .iter()
            .take(room.max(1))
            .map(|c| format!("{c:>8}"))
            .collect();
        format!("{} {}", pad(name, widest), cells.join(" "))
    };
    let mut rows = Rows::default();
    if cells.is_empty() {
        return rows.0;
    }
    rows.heading("Annotators");
    rows.faint(&line("", &HEADINGS.map(str::to_owned)));
    for (name, cells) in &cells {
        rows.text(line(name, cells));
    }
    rows.faint("agree: with others; gold: right; repeat: judged the same again");
    drift(&mut rows, report);
    rows.0
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
                "",
                both(&|b| Some(format!("{:.1} s", b.median_active_ms? / 1000.0))),
            ),
            ("left ", both(&|b| Some(percent(b.left?.share)))),
            ("ties ", both(&|b| Some(percent(b.ties)))),
            ("agree ", both(&|b| Some(percent(b.with_others?)))),
        ];
        let parts = parts
            .into_iter()
            .filter_map(|(what, both)| Some(what.to_owned() + &both?));
        let parts: Vec<String> = parts.collect();
        rows.text(format!("{}: {}", clean(name), parts.join(", ")));
    }
}

fn annotator_cells(annotator: &Annotator) -> [String; 7] {
    let (tally, quality) = (&annotator.tally, &annotator.quality);
    let share = |share: Option<f64>| share.map_or("–".to_owned(), percent);
    let seconds = |ms: f64| format!("{:.1} s", ms / 1000.0);
    [
        tally.judgements.to_string(),
        share(tally.left.map(|left| left.share)),
        share(quality.with_others.map(|peer| peer.share)),
        tally.median_active_ms.map_or("–".to_owned(), seconds),
        share(quality.gold.map(|gold| gold.share)),
        share(quality.repeats.map(|repeats| repeats.same.share)),
        percent(tally.tie as f64 / tally.judgements.max(1) as f64),
    ]
}

/// Sides and lengths.
pub fn habits(report: &Report, width: usize) -> Vec<Row> {
    let mut rows = Rows::default();
    for (name, group) in report.groups() {
        let bias = &group.bias;
        let shares = [
            ("the left answer won", group.tally.left),
            ("the longer answer won", bias.longer_of_unequal),
        ];
        if shares.iter().all(|(_, share)| share.is_none()) {
            continue;
        }
        rows.heading(&format!("Habits of {}", name.to_lowercase()));
        for (what, share) in shares {
            let Some(share) = share else { continue };
            rows.text(format!("{what} {}", share_text(&share)));
            let interval = Interval {
                low: share.low,
                high: share.high,
            };
            let chart = chart_width(width, 18);
            let chart = whisker(chart, (0.0, 1.0), 0.5, share.share, Some(interval));
            rows.text(format!("  0 % {chart} 100 %"));
        }
        if let Some(p) = group.tally.left_p {
            rows.text(format!(
                "left or right by chance: p {} (exact binomial)",
                p_value(p)
            ));
        }
        let worth = [
            ("left, all else equal", bias.side),
            ("length, all else equal", bias.length),
        ];
        for (what, estimate) in worth {
            if let Some(estimate) = estimate {
                rows.text(format!("{what}: {}", estimate_text(&estimate)));
            }
        }
        if let Some(Correlation { n, r, interval }) = bias.length_correlation {
            let interval = brackets(interval, 3);
            rows.text(format!(
                "length and verdict: r {r:+.3} {interval} of {n} (Pearson)"
            ));
        }
    }
    rows.0
}

fn estimate_text(estimate: &Estimate) -> String {
    let p = estimate
        .p
        .map_or(String::new(), |p| format!(", p {}", p_value(p)));
    format!(
        "{:+.3} {} log odds{p}",
        estimate.value,
        brackets(estimate.interval(), 3)
    )
}

/// Judgements over time.
pub fn pace(report: &Report, width: usize) -> Vec<Row> {
    let mut rows = Rows::default();
    for (name, group) in report.groups() {
        let Some(pace) = &group.pace else { continue };
        rows.heading(&format!(
            "Judgements per {}, {}",
            pace.step,
            name.to_lowercase()
        ));
        rows.text(spark(chart_width(width, 4), &pace.counts));
        let most = pace.counts.iter().max().copied().unwrap_or(0);
        let (first, last) = (minute(pace.first), minute(pace.last));
        rows.faint(&format!("{first} to {last} UTC, at most {most}"));
    }
    rows.0
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
    let (low, high) = (percent(share.low), percent(share.high));
    format!("{} of {} [{low}, {high}]", percent(share.share), share.n)
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
