//! Win rates, ratings and aspects as rows.

use super::{Row, Rows, brackets, chart_width, clean, p_value, pad, percent, share_text, versus};
use crate::feedback::report::outcome::{PolicyPair, Table};
use crate::feedback::report::{Power, Report};
use crate::stats::Interval;
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
        if let Some(table) = group
            .outcomes
            .ratings
            .as_ref()
            .filter(|t| t.rated.len() > 2)
        {
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
                    "  {names}: mean grade {:+.2} {interval}",
                    pair.mean
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
        let wilson = Interval {
            low: share.low,
            high: share.high,
        };
        let interval = pair.by_prompt.unwrap_or(wilson);
        let chart = chart_width(width, 18);
        let chart = whisker(chart, (0.0, 1.0), 0.5, share.share, Some(interval));
        rows.text(format!("  0 % {chart} 100 %"));
    }
    if let Some(interval) = pair.by_prompt {
        rows.text(format!(
            "  prompts have several labels: [{}, {}] by prompt",
            percent(interval.low),
            percent(interval.high)
        ));
    }
    if let Some(half) = &pair.ties_as_half {
        rows.text(format!("  ties as half {}", share_text(half)));
    }
    if let Some(controlled) = pair.controlled {
        let interval = controlled.interval.map_or(String::new(), |interval| {
            format!(" [{}, {}]", percent(interval.low), percent(interval.high))
        });
        let share = percent(controlled.share);
        rows.text(format!("  at equal length and side {share}{interval}"));
    }
    if let Some(bad) = pair.both_bad_rate.filter(|bad| bad.share > 0.0) {
        rows.text(format!("  both bad {}", share_text(&bad)));
    }
    for (selector, share) in &pair.by_selector {
        rows.text(format!(
            "  chosen by {}: {}",
            clean(selector),
            share_text(share)
        ));
    }
    if let Some(needed) = pair.labels_needed {
        let decisive = (pair.wins + pair.losses) as u64;
        let more = match needed.saturating_sub(decisive) {
            0 => "there are enough".to_owned(),
            more => format!("{more} more"),
        };
        rows.text(format!(
            "  to show this win rate takes {needed} decisive labels: {more}"
        ));
    }
}

fn ratings(rows: &mut Rows, table: &Table, width: usize) {
    rows.faint(&format!(
        "Elo above {}, Bradley–Terry, ties as half",
        clean(&table.anchor)
    ));
    let names: Vec<String> = table
        .rated
        .iter()
        .map(|rated| clean(&rated.policy))
        .collect();
    let widest = names
        .iter()
        .map(|name| columns(name))
        .max()
        .unwrap_or(0)
        .min(24);
    let ends = table.rated.iter().filter_map(|rated| rated.interval);
    let reach = ends
        .flat_map(|interval| [interval.low.abs(), interval.high.abs()])
        .filter(|end| end.is_finite())
        .chain(table.rated.iter().map(|rated| rated.elo.abs()))
        .fold(1.0, f64::max);
    for (rated, name) in table.rated.iter().zip(&names) {
        let chart = chart_width(width, widest + 32);
        let chart = whisker(chart, (-reach, reach), 0.0, rated.elo, rated.interval);
        let (name, interval) = (pad(name, widest), brackets(rated.interval, 0));
        rows.text(
            format!("{name} {:+6.0} {interval:16} {chart}", rated.elo)
                .trim_end()
                .to_owned(),
        );
    }
    for difference in &table.differences {
        let p = difference
            .p
            .map_or(String::new(), |p| format!(", p {}", p_value(p)));
        rows.text(format!(
            "{} above {}: {:+.0} {}{p}",
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
        .map(|power| format!("{:.0} %: {}", power.win_rate * 100.0, power.labels))
        .collect();
    rows.text(each.join("   "));
    rows.faint("two-sided test at 5 %, power 80 %");
}
