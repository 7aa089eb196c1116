//! Annotators on the page: agreement, habits, pace, quality.

use super::format::{brackets, number, open_table, or_dash, p_value, percent, table};
use super::svg::{Axis, Caption, Dot, columns, course, dots};
use super::{Names, Part, escape, share_text};
use crate::feedback::record::UtcMillis;
use crate::feedback::report::consensus::{Alpha, Consensus};
use crate::feedback::report::{Annotator, Report, Share};
use crate::stats::Interval;
use crate::stats::length::Correlation;
use crate::stats::rating::Estimate;
use std::fmt::Write;

/// How far annotators agree.
pub fn agreement(part: &Part, names: &Names) -> String {
    let Some(consensus) = &part.group.agreement else {
        return String::new();
    };
    let alpha = |name: &str, alpha: &Option<Alpha>| {
        alpha.map_or(String::new(), |alpha| {
            let Alpha {
                units,
                alpha,
                interval,
            } = alpha;
            let interval = brackets(interval, 3);
            format!("<p>Krippendorff’s α, {name}: <strong>{alpha:.3}</strong> {interval} on {units} items.</p>")
        })
    };
    let mut html = format!(
        "<p>{} items were judged by several. Two annotators of an item chose the same of A, tie and B in \
         <strong>{}</strong>. Published raw agreement of people on pairs is 63–77 %.</p>",
        number(consensus.units),
        percent(consensus.raw)
    );
    html += &alpha("nominal on A, tie and B", &consensus.nominal);
    html += &alpha("ordinal on the grades −4 to 4", &consensus.ordinal);
    html + &trend(part, consensus) + &pairs(consensus, names)
}

fn trend(part: &Part, consensus: &Consensus) -> String {
    let (Some(first), Some(last)) = (consensus.trend.first(), consensus.trend.last()) else {
        return String::new();
    };
    let ends = [day(first.until), day(last.until)];
    let raw: Vec<Option<f64>> = consensus
        .trend
        .iter()
        .map(|point| Some(point.raw))
        .collect();
    let caption = Caption {
        id: format!("{}-trend", part.id),
        title: "Raw agreement over time".into(),
        description: format!(
            "From {} until {} to {} until {}",
            percent(first.raw),
            ends[0],
            percent(last.raw),
            ends[1]
        ),
    };
    let rows: Vec<Vec<String>> = consensus
        .trend
        .iter()
        .map(|point| {
            vec![
                point.until.to_string(),
                number(point.units),
                percent(point.raw),
                or_dash(point.alpha, 3),
            ]
        })
        .collect();
    format!("<h3>{}</h3>", caption.title)
        + &course(&caption, &raw, [&ends[0], &ends[1]])
        + &table("All numbers", &["until", "items", "raw", "α"], &rows)
}

fn pairs(consensus: &Consensus, names: &Names) -> String {
    let rows: Vec<Vec<String>> = consensus
        .pairs
        .iter()
        .map(|pair| {
            let [a, b] = pair.annotators.each_ref().map(|name| names.of(name));
            vec![
                format!("{a} and {b}"),
                number(pair.items),
                percent(pair.raw),
                or_dash(pair.kappa, 3),
                or_dash(pair.kappa_quadratic, 3),
            ]
        })
        .collect();
    table(
        "Every two annotators",
        &[
            "annotators",
            "items",
            "raw",
            "Cohen’s κ",
            "κ of grades, quadratic",
        ],
        &rows,
    )
}

/// Sides and lengths.
pub fn habits(part: &Part) -> String {
    let (tally, bias) = (&part.group.tally, &part.group.bias);
    let mut html = String::new();
    if let Some(left) = &tally.left {
        let _ = write!(
            html,
            "<p>The answer on the left won {} (exact binomial p {}).</p>",
            share_text(left),
            escape(&p_value(tally.left_p))
        );
    }
    if let Some(longer) = &bias.longer_of_unequal {
        let _ = write!(html, "<p>The longer answer won {}.</p>", share_text(longer));
    }
    let worth = |what: &str, estimate: &Option<Estimate>| {
        estimate.map_or(String::new(), |estimate| {
            let Estimate { value, p, .. } = estimate;
            let (interval, p) = (brackets(estimate.interval(), 3), escape(&p_value(p)));
            format!("<p>{what}: {value:+.3} {interval} log odds, p {p}.</p>")
        })
    };
    html += &worth(
        "Standing on the left, policies and lengths being equal (γ)",
        &bias.side,
    );
    html += &worth(
        "Length, policies and sides being equal, per unit of (own − other’s) / both",
        &bias.length,
    );
    if let Some(Correlation { n, r, interval }) = bias.length_correlation {
        let _ = write!(
            html,
            "<p>Length difference and verdict, −4 to 4, correlate with r = {r:+.3} {} in {n} comparisons \
             (Pearson).</p>",
            brackets(interval, 3)
        );
    }
    html
}

/// Judgements over time.
pub fn pace(part: &Part) -> String {
    let Some(pace) = &part.group.pace else {
        return String::new();
    };
    let most = pace.counts.iter().copied().max().unwrap_or(0);
    let caption = Caption {
        id: format!("{}-pace", part.id),
        title: format!("Judgements per {}", pace.step),
        description: format!(
            "From {} to {}, at most {most} per {}",
            pace.first, pace.last, pace.step
        ),
    };
    let ends = [minute(pace.first), minute(pace.last)];
    let mut html = columns(&caption, &pace.counts, [&ends[0], &ends[1]]);
    let _ = write!(
        html,
        "<p class=\"faint\">Judgements per {}, UTC.",
        pace.step
    );
    if let Some(rate) = part.group.tally.per_active_hour {
        let _ = write!(html, " Per hour at work: {rate:.0}.");
    }
    html + "</p>"
}

fn minute(time: UtcMillis) -> String {
    time.to_string()
        .chars()
        .take(16)
        .collect::<String>()
        .replace('T', " ")
}

fn day(time: UtcMillis) -> String {
    time.to_string().chars().take(10).collect()
}

/// Quality of each annotator.
pub fn annotators(report: &Report, names: &Names) -> String {
    let rows: Vec<Vec<String>> = report
        .annotators
        .iter()
        .map(|(name, annotator)| row(names.of(name), annotator))
        .collect();
    let headings = [
        "annotator",
        "judged",
        "ties",
        "both bad",
        "left won",
        "p",
        "median time",
        "agrees with others",
        "gold right",
        "repeats the same",
    ];
    let mut html = String::from(
        "<section id=\"annotators\"><h2>Annotators</h2><p>No label is deleted for what stands here: weigh or exclude \
         at export, and record the rule.</p>",
    );
    html += &left_shares(report, names);
    let _ = write!(
        html,
        "<div class=\"scroll\">{}</div>",
        open_table(&headings, &rows)
    );
    html + &drift(report, names) + "</section>"
}

fn left_shares(report: &Report, names: &Names) -> String {
    let row = |(name, annotator): (&String, &Annotator)| {
        let left = annotator.tally.left?;
        Some(Dot {
            label: names.of(name).to_owned(),
            value: left.share,
            interval: Some(Interval {
                low: left.low,
                high: left.high,
            }),
            note: format!("{} of {}", percent(left.share), left.n),
        })
    };
    let rows: Vec<Dot> = report.annotators.iter().filter_map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    let each: Vec<String> = rows
        .iter()
        .map(|dot| format!("{}: {}", dot.label, dot.note))
        .collect();
    let caption = Caption {
        id: "left".into(),
        title: "How often the left answer won".into(),
        description: each.join("; "),
    };
    format!("<h3>{}</h3>", caption.title) + &dots(&caption, &rows, &Axis::share())
}

fn row(name: &str, annotator: &Annotator) -> Vec<String> {
    let (tally, quality) = (&annotator.tally, &annotator.quality);
    let of = |share: Option<Share>| {
        share.map_or("–".into(), |s| format!("{} of {}", percent(s.share), s.n))
    };
    vec![
        name.to_owned(),
        number(tally.judgements),
        number(tally.tie),
        number(tally.both_bad),
        of(tally.left),
        p_value(tally.left_p),
        tally
            .median_active_ms
            .map_or("–".into(), |ms| format!("{:.1} s", ms / 1000.0)),
        quality
            .with_others
            .map_or("–".into(), |p| format!("{} of {}", percent(p.share), p.n)),
        of(quality.gold),
        of(quality.repeats.map(|repeats| repeats.same)),
    ]
}

/// First and last stretch of those who did more than one.
fn drift(report: &Report, names: &Names) -> String {
    let rows = report.annotators.iter().filter_map(|(name, annotator)| {
        let [first, .., last] = &annotator.quality.blocks[..] else {
            return None;
        };
        let seconds =
            |ms: Option<f64>| ms.map_or("–".into(), |ms| format!("{:.1} s", ms / 1000.0));
        let share = |share: Option<f64>| share.map_or("–".into(), percent);
        let both = |of: &dyn Fn(&crate::feedback::report::quality::Block) -> String| {
            format!("{} → {}", of(first), of(last))
        };
        Some(vec![
            names.of(name).to_owned(),
            number(annotator.quality.blocks.len()),
            both(&|block| seconds(block.median_active_ms)),
            both(&|block| share(block.left.map(|left| left.share))),
            both(&|block| percent(block.ties)),
            both(&|block| share(block.with_others)),
        ])
    });
    table(
        "Drift: the first 50 judgements and the last",
        &[
            "annotator",
            "stretches",
            "median time",
            "left won",
            "ties",
            "agrees with others",
        ],
        &rows.collect::<Vec<_>>(),
    )
}
