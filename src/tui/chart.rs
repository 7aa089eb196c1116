//! Charts of one row of text, for the terminal and for a pipe alike: no colour, no cursor.

use crate::stats::Interval;

/// A value with its interval on an axis from `ends.0` to `ends.1`: `  ┊ ──●───   `.
///
/// The row is `width` columns wide. `neutral` is where nothing is going on, such as one half; what
/// lies beyond the axis stands at its end.
pub fn whisker(
    width: usize,
    ends: (f64, f64),
    neutral: f64,
    value: f64,
    interval: Option<Interval>,
) -> String {
    let mut row = vec![' '; width];
    let place = |value: f64| {
        let share = ((value - ends.0) / (ends.1 - ends.0)).clamp(0.0, 1.0);
        (share * width.saturating_sub(1) as f64).round() as usize
    };
    if width == 0 || !value.is_finite() {
        return row.into_iter().collect();
    }
    row[place(neutral)] = '┊';
    if let Some(Interval { low, high }) = interval {
        row[place(low)..=place(high).max(place(low))].fill('─');
    }
    row[place(value)] = '●';
    row.into_iter().collect()
}

/// A bar for a share of `width` columns, to an eighth of a column: `███▌`.
pub fn bar(width: usize, share: f64) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * width as f64 * 8.0).round() as usize;
    "█".repeat(eighths / 8) + EIGHTHS[eighths % 8]
}

/// Rows of a chart with an axis.
const ROWS: usize = 8;

/// Counts as columns on an axis that begins at zero, on at most `width` columns; neighbours are added
/// where there are more counts. Nothing is a space; the least count is still seen. No rows without
/// counts or without room.
///
/// ```text
/// 120 ┤  ▂█
///     │ ▅██▃
///   0 └─────
/// ```
pub fn columns(width: usize, counts: &[usize]) -> Vec<String> {
    const LEVELS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let label = |most: usize| most.to_string().len() + 2;
    let room = width.saturating_sub(label(counts.iter().sum()));
    if room == 0 || counts.is_empty() {
        return Vec::new();
    }
    let few = counts.chunks(counts.len().div_ceil(room));
    let merged: Vec<usize> = few.map(|few| few.iter().sum()).collect();
    let most = merged.iter().copied().max().unwrap_or(0).max(1);
    // Narrow charts of few counts are widened, so that they can be read.
    let wide = (room / merged.len()).clamp(1, 4);
    let margin = label(most) - 2;
    let eighths = |count: usize| (count * ROWS * 8).div_ceil(most);
    let mut rows: Vec<String> = (0..ROWS)
        .rev()
        .map(|row| {
            let cell = |&count: &usize| LEVELS[eighths(count).saturating_sub(row * 8).min(8)];
            let cells: String = merged
                .iter()
                .flat_map(|count| std::iter::repeat_n(cell(count), wide))
                .collect();
            let axis = if row + 1 == ROWS {
                format!("{most} ┤")
            } else {
                format!("{:margin$} │", "")
            };
            (axis + &cells).trim_end().to_owned()
        })
        .collect();
    rows.push(format!(
        "{:>margin$} └{}",
        0,
        "─".repeat(merged.len() * wide)
    ));
    rows
}

/// A share with its interval, one step of a [`course`].
pub type Point = (f64, Option<Interval>);

/// Shares with their intervals, step by step, on an axis from 0 to 100 %, on at most `width` columns.
/// No rows without points or where there is no column for each.
///
/// ```text
/// 100 % ┤  ╷
///       │  ●  ╷
///       │  ╵  ●
///   0 % └──────
/// ```
pub fn course(width: usize, points: &[Point]) -> Vec<String> {
    const AXIS: usize = 7;
    let step = width.saturating_sub(AXIS) / points.len().max(1);
    if step == 0 || points.is_empty() {
        return Vec::new();
    }
    let step = step.min(8);
    // Row 0 is the lowest: from 0 to 1/ROWS.
    let row_of = |share: f64| ((share * ROWS as f64) as usize).min(ROWS - 1);
    let cell = |row: usize, (value, interval): &Point| {
        let ends = interval.map(|i| (row_of(i.low), row_of(i.high)));
        match ends {
            _ if row == row_of(*value) => '●',
            Some((low, high)) if (low..=high).contains(&row) => '│',
            _ => ' ',
        }
    };
    let line = |row: usize| -> String {
        let before = " ".repeat(step / 2);
        let after = " ".repeat(step - step / 2 - 1);
        let cells = points
            .iter()
            .map(|point| format!("{before}{}{after}", cell(row, point)));
        cells.collect()
    };
    let axis = |row: usize| match row + 1 {
        ROWS => "100 % ┤",
        _ if row == ROWS / 2 => " 50 % ┤",
        _ => "      │",
    };
    let mut rows: Vec<String> = (0..ROWS)
        .rev()
        .map(|row| (axis(row).to_owned() + &line(row)).trim_end().to_owned())
        .collect();
    rows.push("  0 % └".to_owned() + &"─".repeat(step * points.len()));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whisker_stands_where_its_value_is() {
        let interval = Interval {
            low: 0.6,
            high: 0.9,
        };
        let row = whisker(11, (0.0, 1.0), 0.5, 0.7, Some(interval));
        assert_eq!(row, "     ┊─●── ");
        assert_eq!(whisker(5, (0.0, 1.0), 0.5, 7.0, None), "  ┊ ●");
        let endless = Interval {
            low: f64::NEG_INFINITY,
            high: f64::INFINITY,
        };
        assert_eq!(whisker(5, (0.0, 1.0), 0.5, 0.5, Some(endless)), "──●──");
        assert_eq!(whisker(3, (0.0, 1.0), 0.5, f64::NAN, None), "   ");
        assert_eq!(whisker(0, (0.0, 1.0), 0.5, 0.5, None), "");
    }

    #[test]
    fn bars_have_eighths() {
        assert_eq!(
            [0.0, 0.5, 1.0, 2.0].map(|share| bar(4, share)),
            ["", "██", "████", "████"]
        );
        assert_eq!(bar(4, 0.40625), "█▋");
    }

    #[test]
    fn the_highest_column_is_full_and_the_least_is_seen() {
        let rows = columns(20, &[64, 1, 0, 32]);
        assert_eq!(rows.len(), ROWS + 1);
        assert_eq!(rows[0], "64 ┤████");
        // Half of the height is four rows of eight.
        assert_eq!(rows[3], "   │████");
        assert_eq!(rows[4], "   │████        ████");
        assert_eq!(rows[7], "   │████▁▁▁▁    ████");
        assert_eq!(rows[8], " 0 └────────────────");
        // Three columns for six counts: neighbours are added.
        let merged = columns(6, &[1, 1, 2, 2, 0, 0]);
        assert_eq!(merged[0], "4 ┤ █");
        assert_eq!(merged[7], "0 ┤".replace("0 ┤", "  │") + "██");
        assert!(columns(0, &[1]).is_empty() && columns(9, &[]).is_empty());
    }

    #[test]
    fn a_course_shows_each_value_in_its_interval() {
        let interval = |low, high| Some(Interval { low, high });
        let rows = course(11, &[(0.9, None), (0.3, interval(0.2, 0.6))]);
        // Eighths: 0.9 is in the eighth, 0.3 in the third, 0.2 to 0.6 from the second to the fifth.
        assert_eq!(rows[0], "100 % ┤ ●");
        assert_eq!(rows[2], "      │");
        assert_eq!(rows[3], " 50 % ┤   │");
        assert_eq!(rows[5], "      │   ●");
        assert_eq!(rows[6], "      │   │");
        assert_eq!(rows[7], "      │");
        assert_eq!(rows[8], "  0 % └────");
        assert!(course(7, &[(0.5, None)]).is_empty());
    }
}
