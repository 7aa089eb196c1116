//! Win rates, ratings and aspects on the page.

use super::format::{
    brackets, number, p_value, percent, percents, scrolled, share_text, signed, table,
};
use super::svg::{Axis, Caption, Dot, dots};
use super::{Part, escape, figure};
use crate::feedback::report::Power;
use crate::feedback::report::outcome::{PolicyPair, Table};
use std::fmt::Write;

/// Which policy wins.
pub fn section(part: &Part, power: &[Power]) -> String {
    let outcomes = &part.group.outcomes;
    if outcomes.policies.is_empty() {
        return String::new();
    }
    let mut html = win_rates(part);
    match (&outcomes.ratings, &outcomes.no_ratings) {
        (Some(table), _) => html += &ratings(part, table),
        (None, Some(reason)) => {
            let _ = write!(
                html,
                "<p><strong>No ratings:</strong> {}.</p>",
                escape(reason)
            );
        }
        (None, None) => {}
    }
    html + &labels(&outcomes.policies, power)
}

fn win_rates(part: &Part) -> String {
    let pairs = part.group.policies();
    let rows: Vec<Dot> = pairs.iter().filter_map(win_rate).collect();
    let caption = Caption {
        id: format!("{}-wins", part.id),
        title: "Wins among decisive comparisons".into(),
        description: described(&rows),
        axis: "wins of the first policy among decisive comparisons, with 95 % intervals".into(),
    };
    let cells = |pair: &PolicyPair| {
        let share = |share: &Option<_>| share.as_ref().map_or("–".into(), share_text);
        let controlled = pair.controlled.map_or("–".into(), |c| {
            let interval = percents(c.interval);
            format!("{} of {} {interval}", percent(c.share), number(c.n))
        });
        vec![
            format!("{} against {}", pair.policy, pair.against),
            number(pair.wins),
            number(pair.losses),
            number(pair.ties),
            share(&pair.win_rate),
            percents(pair.by_prompt),
            share(&pair.ties_as_half),
            controlled,
            share(&pair.both_bad_rate),
        ]
    };
    let headings = [
        "policies",
        "won",
        "lost",
        "ties",
        "wins among decisive",
        "by prompt",
        "ties as half",
        "at equal length and side",
        "both bad",
    ];
    let rows_of_table: Vec<Vec<String>> = pairs.iter().map(cells).collect();
    let mut html = String::from(
        "<p>Wins of the first policy among decisive comparisons. The interval is Wilson's; where a prompt has \
         several labels it comes from a bootstrap over prompts. Gold items and repeats are left out, and an \
         adjudication replaces what it settles. The rate at equal length and side is that of a Bradley–Terry model with \
         both as covariates, ties as half; n is that of all comparisons in it.</p>",
    );
    html += &figure(&caption, &dots(&caption, &rows, &Axis::share()));
    html + &scrolled(&headings, &rows_of_table) + &by_selector(pairs)
}

fn win_rate(pair: &PolicyPair) -> Option<Dot> {
    let share = pair.win_rate?;
    let interval = pair.by_prompt.unwrap_or(share.interval());
    Some(Dot {
        label: format!("{} / {}", pair.policy, pair.against),
        value: share.share,
        interval: Some(interval),
        note: format!(
            "{} of {} {}",
            percent(share.share),
            number(share.n),
            percents(Some(interval))
        ),
    })
}

fn described(rows: &[Dot]) -> String {
    let each: Vec<String> = rows
        .iter()
        .map(|dot| format!("{}: {}", dot.label, dot.note))
        .collect();
    each.join("; ")
}

fn by_selector(pairs: &[PolicyPair]) -> String {
    let rows = pairs.iter().flat_map(|pair| {
        let names = format!("{} against {}", pair.policy, pair.against);
        let each = pair.by_selector.iter();
        each.map(move |(selector, share)| vec![names.clone(), selector.clone(), share_text(share)])
    });
    let rows: Vec<_> = rows.collect();
    table(
        "By how items were chosen: only a random choice estimates the win rate over all prompts",
        &["policies", "chosen by", "wins among decisive"],
        &rows,
    )
}

fn ratings(part: &Part, ratings: &Table) -> String {
    let row = |rated: &crate::feedback::report::outcome::Rated| Dot {
        label: rated.policy.clone(),
        value: rated.elo,
        interval: rated.interval,
        note: format!(
            "{} {} of {}",
            signed(rated.elo, 0),
            brackets(rated.interval, 0),
            number(rated.comparisons)
        ),
    };
    let rows: Vec<Dot> = ratings.rated.iter().map(row).collect();
    let caption = Caption {
        id: format!("{}-elo", part.id),
        title: format!("Elo above {}", ratings.anchor),
        description: described(&rows),
        axis: format!("Elo points above {}, with 95 % intervals", ratings.anchor),
    };
    let mut html = format!(
        "<h4>Ratings</h4><p>Bradley–Terry by maximum likelihood over all {} comparisons, ties as half, in Elo points \
         above <em>{}</em>; errors clustered by prompt. Compare two policies by their difference in the table, \
         not by whether bars overlap.</p>",
        number(ratings.comparisons),
        escape(&ratings.anchor)
    );
    if ratings.prior {
        html += "<p>A policy always won or always lost; a weak prior keeps its rating finite.</p>";
    }
    html += &figure(&caption, &dots(&caption, &rows, &Axis::around_zero(&rows)));
    let differences: Vec<Vec<String>> = ratings
        .differences
        .iter()
        .map(|difference| {
            vec![
                format!("{} above {}", difference.policy, difference.against),
                signed(difference.elo, 0),
                brackets(difference.interval, 0),
                p_value(difference.p),
            ]
        })
        .collect();
    html + &scrolled(
        &["difference", "Elo points", "95 % interval", "p"],
        &differences,
    )
}

fn labels(pairs: &[PolicyPair], power: &[Power]) -> String {
    let mut html = String::from(
        "<h4>How many labels</h4><p>Decisive labels that show a true win rate to differ from \
         50 % (two-sided 5 %, power 80 %)",
    );
    let each: Vec<String> = power
        .iter()
        .map(|power| {
            format!(
                "{}: {}",
                rate(power.win_rate),
                number(power.labels as usize)
            )
        })
        .collect();
    let _ = write!(html, ": {}.</p>", each.join(", "));
    let missing = |more: u64| match more {
        0 => "enough".to_owned(),
        more => format!("{} more", number(more as usize)),
    };
    let rows = pairs.iter().map(|pair| {
        let present = pair.win_rate.zip(pair.labels_needed);
        let present = present.map_or("–".to_owned(), |(share, needed)| {
            let more = missing(needed.saturating_sub(pair.decisive() as u64));
            format!("{}: {more}", percent(share.share))
        });
        let mut cells = vec![
            format!("{} against {}", pair.policy, pair.against),
            number(pair.decisive()),
            present,
        ];
        cells.extend(pair.more_labels.iter().map(|more| missing(more.labels)));
        cells
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let asked: Vec<String> = power.iter().map(|power| rate(power.win_rate)).collect();
    let mut headings = vec!["policies", "decisive so far", "at the present win rate"];
    headings.extend(asked.iter().map(String::as_str));
    html + &scrolled(&headings, &rows)
}

/// `60 %`, `57.5 %`.
fn rate(win_rate: f64) -> String {
    format!("{} %", (win_rate * 1e5).round() / 1e3)
}

/// Judgements per aspect.
pub fn aspects(part: &Part) -> String {
    let mut html = String::new();
    for aspect in &part.group.aspects {
        let overall = aspect.with_overall.as_ref().map_or(String::new(), |share| {
            format!(
                " The better answer in it was the better one overall in {}.",
                share_text(share)
            )
        });
        let _ = write!(
            html,
            "<h4>{}</h4><p>{} judgements, {} without a difference.{}</p>",
            escape(&aspect.name),
            number(aspect.n),
            number(aspect.ties),
            escape(&overall)
        );
        let rows: Vec<Vec<String>> = aspect
            .policies
            .iter()
            .map(|pair| {
                vec![
                    format!("{} over {}", pair.policy, pair.against),
                    number(pair.n),
                    format!("{} {}", signed(pair.mean, 2), brackets(pair.interval, 2)),
                ]
            })
            .collect();
        if !rows.is_empty() {
            html += &scrolled(&["policies", "judgements", "mean grade, −4 to 4"], &rows);
        }
    }
    html
}
