//! How far annotators agree, as rows.

use super::{Row, Rows, brackets, chart_width, clean, minute, percent, percents};
use crate::feedback::report::Report;
use crate::feedback::report::consensus::{Alpha, Consensus, Kappa, Pair};
use crate::tui::chart::{Point, course, whisker};

/// How far annotators agree.
pub fn agreement(report: &Report, width: usize) -> Vec<Row> {
    let mut rows = Rows::default();
    for (name, group) in report.groups() {
        let Some(consensus) = &group.agreement else {
            continue;
        };
        rows.heading(&format!("Agreement of {}", name.to_lowercase()));
        raw(&mut rows, consensus);
        alphas(&mut rows, consensus, width);
        rows.faint("people on pairs: 63 to 77 % raw agreement is usual; α = 0 is chance");
        trend(&mut rows, consensus, width);
        for pair in &consensus.pairs {
            rows.text(pair_text(pair));
        }
    }
    rows.0
}

fn raw(rows: &mut Rows, consensus: &Consensus) {
    let units = match consensus.units {
        same if same == consensus.items => String::new(),
        units => format!(" ({units} pairs of answers)"),
    };
    rows.text(format!(
        "{} items{units} judged by several: {} {} chose the same of A, tie and B",
        consensus.items,
        percent(consensus.raw),
        percents(consensus.raw_interval)
    ));
    if consensus.ranked_units > 0 {
        rows.faint(&format!(
            "{} pairs follow from rankings: each ranking of K answers counts as its K(K−1)/2 pairs, and \
             intervals draw whole items",
            consensus.ranked_units
        ));
    }
}

fn alphas(rows: &mut Rows, consensus: &Consensus, width: usize) {
    let alphas = [
        ("A, tie, B", consensus.nominal),
        ("grades", consensus.ordinal),
    ];
    for (what, alpha) in alphas {
        let Some(Alpha {
            units,
            alpha,
            interval,
        }) = alpha
        else {
            continue;
        };
        let chart = whisker(chart_width(width, 60), (-1.0, 1.0), 0.0, alpha, interval);
        let of = format!("of {units}");
        let interval = brackets(interval, 3);
        let row = format!("Krippendorff's α, {what:9} {alpha:6.3} {interval:17} {of:9} {chart}");
        rows.text(row.trim_end().to_owned());
    }
}

fn trend(rows: &mut Rows, consensus: &Consensus, width: usize) {
    if consensus.untimed_units > 0 {
        rows.faint(&format!(
            "{} pairs of answers are in no trend: fewer than two of those who judged them have a time, since \
             imports have none",
            consensus.untimed_units
        ));
    }
    let (Some(first), Some(last)) = (consensus.trend.first(), consensus.trend.last()) else {
        return;
    };
    let units = || consensus.trend.iter().map(|point| point.units);
    let of = match (units().min(), units().max()) {
        (Some(least), Some(most)) if least < most => format!("{least} or {most}"),
        (least, _) => least.unwrap_or(0).to_string(),
    };
    rows.text(format!(
        "raw agreement over time, {} stretches of {of} pairs of answers:",
        consensus.trend.len()
    ));
    let points: Vec<Point> = consensus
        .trend
        .iter()
        .map(|point| (point.raw, Some(point.interval)))
        .collect();
    for line in course(chart_width(width, 4), &points) {
        rows.text(line);
    }
    rows.faint(&format!(
        "until {} … {} UTC",
        minute(first.until),
        minute(last.until)
    ));
}

fn pair_text(pair: &Pair) -> String {
    let kappa = |kappa: Option<Kappa>| {
        kappa.map_or("undefined".into(), |Kappa { kappa, interval }| {
            format!("{kappa:.3} {}", brackets(interval, 3))
                .trim_end()
                .to_owned()
        })
    };
    let quadratic = match pair.kappa_quadratic {
        None => String::new(),
        some => format!(", of grades (quadratic) {}", kappa(some)),
    };
    let pairs = match pair.comparisons {
        same if same == pair.items => String::new(),
        comparisons => format!(" ({comparisons} pairs)"),
    };
    format!(
        "{} and {}: {} on {} items{pairs}, Cohen's κ {}{quadratic}",
        clean(&pair.annotators[0]),
        clean(&pair.annotators[1]),
        percent(pair.raw),
        pair.items,
        kappa(pair.kappa)
    )
}
