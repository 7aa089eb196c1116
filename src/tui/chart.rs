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

/// Counts as a row of columns, `▁▃█ ▂`, at most `width` of them: neighbours are added where there are
/// more. Nothing is a space; the least count is still seen.
pub fn spark(width: usize, counts: &[usize]) -> String {
    const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    if width == 0 || counts.is_empty() {
        return String::new();
    }
    let merged: Vec<usize> = counts
        .chunks(counts.len().div_ceil(width))
        .map(|few| few.iter().sum())
        .collect();
    let most = merged.iter().copied().max().unwrap_or(0).max(1);
    let level = |&count: &usize| match count {
        0 => ' ',
        _ => LEVELS[(count * LEVELS.len()).div_ceil(most) - 1],
    };
    merged.iter().map(level).collect()
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
        assert_eq!(spark(10, &[0, 1, 80, 40]), " ▁█▄");
        assert_eq!(spark(2, &[1, 1, 4, 4]), "▂█");
        assert_eq!(spark(0, &[1]), "");
    }
}
