//! Sides and lengths as rows.

use super::{Row, Rows, brackets, chart_width, p_value, share_text};
use crate::feedback::report::bias::{Bias, Effect};
use crate::feedback::report::{Group, Report};
use crate::stats::length::Correlation;
use crate::tui::chart::whisker;

/// Sides and lengths.
pub fn habits(report: &Report, width: usize) -> Vec<Row> {
    let mut rows = Rows::default();
    for (name, group) in report.groups() {
        let shares = shares(&mut rows, name, group, width);
        if shares {
            effects(&mut rows, &group.bias);
            correlations(&mut rows, &group.bias);
        }
    }
    rows.0
}

/// Whether there are any.
fn shares(rows: &mut Rows, name: &str, group: &Group, width: usize) -> bool {
    let shares = [
        ("the left answer won", group.tally.left),
        ("the longer answer won", group.bias.longer_of_unequal),
    ];
    if shares.iter().all(|(_, share)| share.is_none()) {
        return false;
    }
    rows.heading(&format!("Habits of {}", name.to_lowercase()));
    for (what, share) in shares {
        let Some(share) = share else { continue };
        rows.text(format!("{what} {}", share_text(&share)));
        let chart = chart_width(width, 18);
        let chart = whisker(chart, (0.0, 1.0), 0.5, share.share, Some(share.interval()));
        rows.text(format!("  0 % {chart} 100 %"));
    }
    if let Some(p) = group.tally.left_p {
        rows.text(format!(
            "left or right by chance: p {} (exact binomial)",
            p_value(p)
        ));
    }
    true
}

fn effects(rows: &mut Rows, bias: &Bias) {
    let worth = [
        (
            "standing on the left, policies and lengths equal (γ)",
            bias.side,
        ),
        ("length, policies and sides equal", bias.length),
    ];
    for (what, effect) in worth {
        let Some(Effect {
            n,
            estimate,
            interval,
        }) = effect
        else {
            continue;
        };
        let p = estimate
            .p
            .map_or(String::new(), |p| format!(", p {}", p_value(p)));
        rows.text(format!(
            "{what}: {:+.3} {} log odds of {n} comparisons{p}",
            estimate.value,
            brackets(interval, 3)
        ));
    }
    if bias.length.is_some() {
        rows.faint("per unit of (own length − other's) / both; errors by prompt");
    }
}

fn correlations(rows: &mut Rows, bias: &Bias) {
    let of = [
        (
            "verdict (better 1, tie 0, worse −1)",
            bias.length_correlation,
        ),
        (
            "grade (−4 to 4, graded ones only)",
            bias.length_grade_correlation,
        ),
    ];
    for (what, found) in of {
        if let Some(Correlation { n, r, interval }) = found {
            rows.text(format!(
                "length and {what}: r {r:+.3} {} of {n} (Pearson)",
                brackets(interval, 3)
            ));
        }
    }
}
