//! Win rates, ratings and aspects as rows.

use super::{
    Row, Rows, brackets, chart_width, clean, p_value, pad, percent, percents, share_text, versus,
};
use crate::feedback::report::outcome::{Controlled, PolicyPair, Table};
use crate::feedback::report::{Power, Report};
use crate::tui::chart::whisker;
use crate::tui::text::columns;

/// Which policy wins.
pub fn policies(report: &Report, width: usize) -> Vec<Row> {
    let mut rows = Rows::default();
    for (name, group) in report
        .groups()
        .filter(|(_, group)| !group.policies().is_empty())
    {
        rows.heading(&format!("Policies, by {}", name.to_lowercase()));
        group
            .policies()
            .iter()
            .for_each(|pair| policy_pair(&mut rows, pair, width));
        if let Some(reason) = &group.outcomes.no_ratings {
            rows.text(format!("no ratings: {}", clean(reason)));
        }
        if let Some(table) = &group.outcomes.ratings {
            ratings(&mut rows, table, width);
        }
        for aspect in &group.aspects {
            let overall = aspect.with_overall.as_ref().map_or(String::new(), |share| {
                format!("; as overall {}", share_text(share))
            });
            rows.text(format!(
                "{}: {} judgements{overall}",
                clean(&aspect.name),
                aspect.n
            ));
            for pair in &aspect.policies {
                let names = versus(&pair.policy, &pair.against);
                let interval = brackets(pair.interval, 2);
                rows.text(format!(
                    "  {names}: mean grade {:+.2} {interval} of {}, −4 to 4",
                    pair.mean, pair.n
                ));
            }
        }
    }
    if !rows.0.is_empty() {
        power(&mut rows, &report.power);
    }
    rows.0
}

fn policy_pair(rows: &mut Rows, pair: &PolicyPair, width: usize) {
    rows.text(format!(
        "{}: {} won, {} lost, {} ties, {} both bad",
        versus(&pair.policy, &pair.against),
        pair.wins,
        pair.losses,
        pair.ties,
        pair.both_bad
    ));
    if let Some(share) = &pair.win_rate {
        rows.text(format!("  wins among decisive {}", share_text(share)));
        let interval = pair.by_prompt.unwrap_or(share.interval());
        let chart = chart_width(width, 18);
        let chart = whisker(chart, (0.0, 1.0), 0.5, share.share, Some(interval));
        rows.text(format!("  0 % {chart} 100 %"));
    }
    if let Some(interval) = pair.by_prompt {
        rows.text(format!(
            "  prompts have several labels: {} by prompt",
            percents(Some(interval))
        ));
    }
    if let Some(half) = &pair.ties_as_half {
        rows.text(format!("  ties as half {}", share_text(half)));
    }
    if let Some(Controlled { n, share, interval }) = pair.controlled {
        rows.text(format!(
            "  at equal length and side {} {} (ties as half; regression on {n} comparisons)",
            percent(share),
            percents(interval)
        ));
    }
    if let Some(bad) = pair.both_bad_rate {
        rows.text(format!("  both bad {}", share_text(&bad)));
    }
    for (selector, share) in &pair.by_selector {
        rows.text(format!(
            "  chosen by {}: {}",
            clean(selector),
            share_text(share)
        ));
    }
    more(rows, pair);
}

/// How many labels are missing.
fn more(rows: &mut Rows, pair: &PolicyPair) {
    let missing = |more: u64| match more {
        0 => "enough".to_owned(),
        more => format!("{more} more"),
    };
    if let Some(needed) = pair.labels_needed {
        rows.text(format!(
            "  to show this win rate takes {needed} decisive labels: {}",
            missing(needed.saturating_sub(pair.decisive() as u64))
        ));
    }
    let each = pair.more_labels.iter();
    let each = each.map(|more| format!("{} {}", rate(more.win_rate), missing(more.labels)));
    let each: Vec<String> = each.collect();
    rows.text(format!("  to show a true win rate of {}", each.join(", ")));
}

/// `60 %`, `57.5 %`.
fn rate(win_rate: f64) -> String {
    format!("{} %", (win_rate * 1e5).round() / 1e3)
}

fn ratings(rows: &mut Rows, table: &Table, width: usize) {
    rows.faint(&format!(
        "Elo above {}, Bradley–Terry on {} comparisons, ties as half; errors by prompt",
        clean(&table.anchor),
        table.comparisons
    ));
    let names: Vec<String> = table
        .rated
        .iter()
        .map(|rated| clean(&rated.policy))
        .collect();
    let widest = names.iter().map(|name| columns(name)).max();
    let widest = widest.unwrap_or(0).min(24);
    let ends = table.rated.iter().filter_map(|rated| rated.interval);
    let reach = ends
        .flat_map(|interval| [interval.low.abs(), interval.high.abs()])
        .filter(|end| end.is_finite())
        .chain(table.rated.iter().map(|rated| rated.elo.abs()))
        .fold(1.0, f64::max);
    for (rated, name) in table.rated.iter().zip(&names) {
        let chart = chart_width(width, widest + 42);
        let chart = whisker(chart, (-reach, reach), 0.0, rated.elo, rated.interval);
        let (name, interval) = (pad(name, widest), brackets(rated.interval, 0));
        let of = format!("of {}", rated.comparisons);
        let row = format!("{name} {:+6.0} {interval:16} {of:9} {chart}", rated.elo);
        rows.text(row.trim_end().to_owned());
    }
    for difference in &table.differences {
        let p = difference
            .p
            .map_or(String::new(), |p| format!(", p {}", p_value(p)));
        rows.text(format!(
            "{} above {}: {:+.0} {} Elo{p}",
            clean(&difference.policy),
            clean(&difference.against),
            difference.elo,
            brackets(difference.interval, 0)
        ));
    }
    if table.prior {
        rows.faint("a policy always won or lost: a weak prior keeps its rating finite");
    }
}

fn power(rows: &mut Rows, power: &[Power]) {
    rows.heading("How many decisive labels a win rate needs");
    let each: Vec<String> = power
        .iter()
        .map(|power| format!("{}: {}", rate(power.win_rate), power.labels))
        .collect();
    rows.text(each.join("   "));
    rows.faint("two-sided test at 5 %, power 80 %; another one with --win-rate 0.58");
}
