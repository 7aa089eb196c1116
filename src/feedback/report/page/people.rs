//! Annotators on the page: agreement, habits, pace, quality.

use super::format::{
    brackets, number, or_dash, p_value, percent, percents, plain, scrolled, share_text, signed,
    table,
};
use super::svg::{Axis, Caption, Dot, columns, course, dots};
use super::{Names, Part, figure};
use crate::feedback::record::{SIM_PREFIX, UtcMillis};
use crate::feedback::report::bias::Effect;
use crate::feedback::report::consensus::{Alpha, Consensus, Kappa};
use crate::feedback::report::pace::Pace;
use crate::feedback::report::quality::Block;
use crate::feedback::report::{Annotator, Report, Share};
use crate::stats::Interval;
use crate::stats::length::Correlation;
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
            let (interval, units) = (brackets(interval, 3), number(units));
            let alpha = plain(alpha, 3);
            format!("<p>Krippendorff’s α, {name}: <strong>{alpha}</strong> {interval} on {units} pairs of answers.</p>")
        })
    };
    let mut html = format!(
        "<p>{} items ({} pairs of answers) were judged by several. Two annotators of a pair chose the same of A, \
         tie and B in <strong>{}</strong> {}. Published raw agreement of people on pairs is 63–77 %.</p>",
        number(consensus.items),
        number(consensus.units),
        percent(consensus.raw),
        percents(consensus.raw_interval)
    );
    if consensus.ranked_units > 0 {
        let _ = write!(
            html,
            "<p>{} of the pairs follow from rankings: a ranking of K answers counts as its K(K−1)/2 pairs. \
             Intervals draw whole items.</p>",
            number(consensus.ranked_units)
        );
    }
    html += &alpha("nominal on A, tie and B", &consensus.nominal);
    html += &alpha("ordinal on the grades −4 to 4", &consensus.ordinal);
    html + &trend(part, consensus) + &pairs(consensus, names)
}

fn trend(part: &Part, consensus: &Consensus) -> String {
    let mut html = String::new();
    if consensus.untimed_units > 0 {
        let _ = write!(
            html,
            "<p class=\"faint\">{} pairs of answers are in no trend: fewer than two of those who judged them have a \
             time, since imports have none.</p>",
            number(consensus.untimed_units)
        );
    }
    let (Some(first), Some(last)) = (consensus.trend.first(), consensus.trend.last()) else {
        return html;
    };
    let ends = [minute(first.until), minute(last.until)];
    let raw = consensus.trend.iter();
    let raw: Vec<_> = raw.map(|point| (point.raw, point.interval)).collect();
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
        axis: format!(
            "raw agreement, with 95 % intervals; {} or {} pairs of answers a point",
            first.units,
            first.units + 1
        ),
    };
    let rows: Vec<Vec<String>> = consensus
        .trend
        .iter()
        .map(|point| {
            vec![
                minute(point.until),
                number(point.units),
                percent(point.raw),
                percents(Some(point.interval)),
                or_dash(point.alpha, 3),
            ]
        })
        .collect();
    html + &figure(&caption, &course(&caption, &raw, [&ends[0], &ends[1]]))
        + &table(
            "All numbers",
            &[
                "until, UTC",
                "pairs of answers",
                "raw",
                "95 % interval",
                "α, nominal",
            ],
            &rows,
        )
}

fn pairs(consensus: &Consensus, names: &Names) -> String {
    let kappa = |kappa: Option<Kappa>| {
        kappa.map_or("–".to_owned(), |Kappa { kappa, interval }| {
            format!("{} {}", plain(kappa, 3), brackets(interval, 3))
        })
    };
    let rows: Vec<Vec<String>> = consensus
        .pairs
        .iter()
        .map(|pair| {
            let [a, b] = pair.annotators.each_ref().map(|name| names.of(name));
            vec![
                format!("{a} and {b}"),
                number(pair.items),
                number(pair.comparisons),
                percent(pair.raw),
                kappa(pair.kappa),
                kappa(pair.kappa_quadratic),
            ]
        })
        .collect();
    table(
        "Every two annotators",
        &[
            "annotators",
            "items",
            "pairs of answers",
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
    let won = |share: Option<Share>, p: String| {
        let share = share?;
        let interval = percents(Some(share.interval()));
        Some([percent(share.share), interval, number(share.n), p])
    };
    let worth = |effect: Option<Effect>| {
        let Effect {
            n,
            estimate,
            interval,
        } = effect?;
        let value = format!("{} log odds", signed(estimate.value, 3));
        Some([value, brackets(interval, 3), number(n), p_value(estimate.p)])
    };
    let correlated = |correlation: Option<Correlation>| {
        let Correlation { n, r, interval } = correlation?;
        let value = format!("r = {}", signed(r, 3));
        Some([value, brackets(interval, 3), number(n), "–".into()])
    };
    let rows = [
        (
            "The answer on the left won (p: exact binomial)",
            won(tally.left, p_value(tally.left_p)),
        ),
        (
            "Standing on the left, policies and lengths being equal (γ)",
            worth(bias.side),
        ),
        (
            "The longer answer won",
            won(bias.longer_of_unequal, "–".into()),
        ),
        (
            "Length, policies and sides being equal, per unit of (own − other’s) / both",
            worth(bias.length),
        ),
        (
            "Length difference and verdict (better 1, tie 0, worse −1), Pearson",
            correlated(bias.length_correlation),
        ),
        (
            "Length difference and grade (−4 to 4), of graded ones, Pearson",
            correlated(bias.length_grade_correlation),
        ),
    ];
    let rows = rows.into_iter().filter_map(|(what, cells)| {
        let mut row = vec![what.to_owned()];
        row.extend(cells?);
        Some(row)
    });
    let rows: Vec<Vec<String>> = rows.collect();
    if rows.is_empty() {
        return String::new();
    }
    let headings = ["habit", "value", "95 % interval", "comparisons", "p"];
    "<p>γ and the worth of length come from one Bradley–Terry model with both; errors by prompt. Lengths are in \
     characters.</p>"
        .to_owned()
        + &scrolled(&headings, &rows)
}

/// Judgements over time.
pub fn pace(part: &Part) -> String {
    let mut html = String::new();
    if let Some(pace) = &part.group.pace {
        html += &counts(part, pace);
    }
    if part.group.untimed > 0 {
        let _ = write!(
            html,
            "<p class=\"faint\">{} imported judgements do not say when they were made: they are in no course over \
             time and in no drift.</p>",
            number(part.group.untimed)
        );
    }
    html
}

fn counts(part: &Part, pace: &Pace) -> String {
    let most = pace.counts.iter().copied().max().unwrap_or(0);
    let caption = Caption {
        id: format!("{}-pace", part.id),
        title: format!("Judgements per {}", pace.step),
        description: format!(
            "From {} to {}, at most {most} per {}",
            pace.first, pace.last, pace.step
        ),
        axis: format!(
            "judgements per {}, {} in all; time in UTC",
            pace.step,
            number(pace.counts.iter().sum())
        ),
    };
    let ends = [minute(pace.first), minute(pace.last)];
    let chart = columns(&caption, &pace.counts, [&ends[0], &ends[1]]);
    let steps = pace.counts.iter().zip(0..).filter(|(count, _)| **count > 0);
    let rows: Vec<Vec<String>> = steps
        .map(|(count, at): (&usize, i64)| {
            let begin = UtcMillis(pace.start.0 + at * pace.step_ms);
            vec![minute(begin), number(*count)]
        })
        .collect();
    let mut html = figure(&caption, &chart);
    let tally = &part.group.tally;
    if let Some(rate) = tally.per_active_hour {
        let timed = number(tally.timed);
        let _ = write!(
            html,
            "<p>{rate:.0} per hour at work, of {timed} judgements with a time.</p>"
        );
    }
    html + &table("All numbers", &["from, UTC", "judgements"], &rows)
}

fn minute(time: UtcMillis) -> String {
    time.to_string()
        .chars()
        .take(16)
        .collect::<String>()
        .replace('T', " ")
}

/// Quality of each annotator: people, then programs.
pub fn annotators(report: &Report, names: &Names) -> String {
    let mut html = String::from(
        "<section id=\"annotators\"><h2>Annotators</h2><p>No label is deleted for what stands here: weigh or exclude \
         at export, and record the rule. Shares have Wilson’s interval; the one of the agreement with others counts \
         each pair of answers once.</p>",
    );
    for (heading, programs) in [("People", false), ("Programs", true)] {
        let own = report.annotators.iter();
        let own = own.filter(|(name, _)| name.starts_with(SIM_PREFIX) == programs);
        let own: Vec<(&str, &Annotator)> = own.map(|(name, a)| (names.of(name), a)).collect();
        if !own.is_empty() {
            let _ = write!(html, "<h3>{heading}</h3>");
            html += &left_shares(&heading.to_lowercase(), &own);
            html += &quality(&own);
            html += &drift(&own);
        }
    }
    html + "</section>"
}

fn quality(annotators: &[(&str, &Annotator)]) -> String {
    let headings = [
        "annotator",
        "judged",
        "ties",
        "both bad",
        "cannot judge",
        "skipped",
        "left won",
        "p",
        "median time",
        "agrees with others",
        "gold right",
        "repeats the same",
    ];
    let rows: Vec<Vec<String>> = annotators.iter().map(|(name, a)| row(name, a)).collect();
    scrolled(&headings, &rows)
}

fn left_shares(id: &str, annotators: &[(&str, &Annotator)]) -> String {
    let row = |(name, annotator): &(&str, &Annotator)| {
        let left = annotator.tally.left?;
        Some(Dot {
            label: (*name).to_owned(),
            value: left.share,
            interval: Some(left.interval()),
            note: share_text(&left),
        })
    };
    let rows: Vec<Dot> = annotators.iter().filter_map(row).collect();
    if rows.is_empty() {
        return String::new();
    }
    let each: Vec<String> = rows
        .iter()
        .map(|dot| format!("{}: {}", dot.label, dot.note))
        .collect();
    let caption = Caption {
        id: format!("{id}-left"),
        title: "How often the left answer won".into(),
        description: each.join("; "),
        axis: "share of decisive judgements on a screen, with 95 % intervals".into(),
    };
    figure(&caption, &dots(&caption, &rows, &Axis::share()))
}

fn row(name: &str, annotator: &Annotator) -> Vec<String> {
    let (tally, quality) = (&annotator.tally, &annotator.quality);
    let of = |share: Option<Share>| share.map_or("–".into(), |share| share_text(&share));
    let time = |ms: f64| {
        let interval = tally.median_active_interval.map(|interval| Interval {
            low: interval.low / 1000.0,
            high: interval.high / 1000.0,
        });
        format!("{:.1} s {}", ms / 1000.0, brackets(interval, 1))
    };
    vec![
        name.to_owned(),
        number(tally.judgements),
        number(tally.tie),
        number(tally.both_bad),
        number(tally.cannot_judge),
        number(tally.skipped),
        of(tally.left),
        p_value(tally.left_p),
        tally.median_active_ms.map_or("–".into(), time),
        quality.with_others.map_or("–".into(), |peer| {
            let (n, interval) = (number(peer.n), percents(Some(peer.interval)));
            format!("{} of {n} {interval}", percent(peer.share))
        }),
        of(quality.gold),
        of(quality.repeats.map(|repeats| repeats.same)),
    ]
}

/// First and last stretch of those who did more than one.
fn drift(annotators: &[(&str, &Annotator)]) -> String {
    let rows = annotators.iter().filter_map(|(name, annotator)| {
        let [first, .., last] = &annotator.quality.blocks[..] else {
            return None;
        };
        let seconds =
            |ms: Option<f64>| ms.map_or("–".into(), |ms| format!("{:.1} s", ms / 1000.0));
        let share = |share: Option<f64>| share.map_or("–".into(), percent);
        let both = |of: &dyn Fn(&Block) -> String| format!("{} → {}", of(first), of(last));
        Some(vec![
            (*name).to_owned(),
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
