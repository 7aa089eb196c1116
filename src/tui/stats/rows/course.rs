//! Judgements over time as rows.

use super::{Row, Rows, chart_width, minute, untimed};
use crate::feedback::report::Report;
use crate::tui::chart::columns;

/// Judgements over time.
pub fn pace(report: &Report, width: usize) -> Vec<Row> {
    let mut rows = Rows::default();
    for (name, group) in report.groups() {
        let Some(pace) = &group.pace else {
            if group.untimed > 0 {
                rows.heading(&format!("Over time, {}", name.to_lowercase()));
                rows.faint(&untimed(group.untimed));
            }
            continue;
        };
        rows.heading(&format!(
            "Judgements per {}, {}: {} in all",
            pace.step,
            name.to_lowercase(),
            pace.counts.iter().sum::<usize>()
        ));
        for line in columns(chart_width(width, 4), &pace.counts) {
            rows.text(line);
        }
        let (first, last) = (minute(pace.first), minute(pace.last));
        rows.faint(&format!("{first} to {last} UTC"));
        if let Some(rate) = group.tally.per_active_hour {
            rows.text(format!(
                "{rate:.0} per hour at work, of {} judgements with a time",
                group.tally.timed
            ));
        }
        if group.untimed > 0 {
            rows.faint(&untimed(group.untimed));
        }
    }
    rows.0
}
