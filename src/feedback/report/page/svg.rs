//! Charts as inline SVG: no scripts, colours from the page's style sheet, a title and a description
//! for those who do not see them. The tables beside them hold the same numbers.

use super::escape::escape;
use crate::stats::Interval;
use std::fmt::Write;

/// Width of every chart in its own units.
const WIDTH: f64 = 760.0;

/// What a chart is called.
#[derive(Debug, Clone)]
pub struct Caption {
    /// Unique on the page; letters and digits.
    pub id: String,
    /// What is shown.
    pub title: String,
    /// What can be seen, in a sentence.
    pub description: String,
}

/// A value with its interval: one row of [`dots`].
#[derive(Debug, Clone)]
pub struct Dot {
    /// What it is about.
    pub label: String,
    /// The value.
    pub value: f64,
    /// Its interval, drawn as a bar.
    pub interval: Option<Interval>,
    /// The numbers in words, at the right.
    pub note: String,
}

/// The horizontal axis of [`dots`].
#[derive(Debug, Clone)]
pub struct Axis {
    /// Left end.
    pub low: f64,
    /// Right end.
    pub high: f64,
    /// Values to be marked, with their names.
    pub ticks: Vec<(f64, String)>,
    /// Where nothing is going on, such as 50 %: a line through all rows.
    pub neutral: Option<f64>,
}

impl Axis {
    /// From 0 % to 100 %, neutral at 50 %.
    pub fn share() -> Self {
        let ticks = [0.0, 0.25, 0.5, 0.75, 1.0];
        Self {
            low: 0.0,
            high: 1.0,
            ticks: ticks
                .map(|at| (at, format!("{:.0} %", at * 100.0)))
                .to_vec(),
            neutral: Some(0.5),
        }
    }

    /// Wide enough for `dots` and for zero, which is neutral.
    pub fn around_zero(dots: &[Dot]) -> Self {
        let ends = dots.iter().flat_map(|dot| {
            let interval = dot.interval.unwrap_or(Interval {
                low: dot.value,
                high: dot.value,
            });
            [dot.value, interval.low, interval.high]
        });
        let reach = ends
            .filter(|end| end.is_finite())
            .fold(1.0, |a: f64, b| a.max(b.abs()));
        let step = 10.0_f64.powf((reach * 1.1).log10().floor());
        let high = (reach * 1.05 / step).ceil() * step;
        let ticks = [-high, -high / 2.0, 0.0, high / 2.0, high];
        Self {
            low: -high,
            high,
            ticks: ticks.map(|at| (at, format!("{at:+.0}"))).to_vec(),
            neutral: Some(0.0),
        }
    }

    fn share_of(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

/// Values with intervals, one a row.
pub fn dots(caption: &Caption, rows: &[Dot], axis: &Axis) -> String {
    const ROW: f64 = 26.0;
    const LEFT: f64 = 230.0;
    const PLOT: f64 = 320.0;
    let height = ROW * rows.len() as f64 + 30.0;
    let bottom = height - 24.0;
    let x = |value: f64| LEFT + PLOT * axis.share_of(value);
    let mut svg = open(caption, height);
    for (at, name) in &axis.ticks {
        let class = if axis.neutral == Some(*at) {
            "neutral"
        } else {
            "grid"
        };
        let at = x(*at);
        let _ = write!(
            svg,
            "<line class=\"{class}\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"2\" y2=\"{bottom:.1}\"/>\
             <text class=\"tick\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            height - 8.0,
            escape(name)
        );
    }
    for (index, dot) in rows.iter().enumerate() {
        let y = ROW * index as f64 + ROW / 2.0;
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            LEFT - 14.0,
            y + 4.5,
            escape(&shorten(&dot.label, 30))
        );
        if let Some(interval) = dot.interval {
            let _ = write!(
                svg,
                "<line class=\"whisker\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
                x(interval.low),
                x(interval.high)
            );
        }
        let _ = write!(
            svg,
            "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{y:.1}\" r=\"5\"/>\
             <text class=\"note\" x=\"{:.1}\" y=\"{:.1}\">{}</text>",
            x(dot.value),
            LEFT + PLOT + 16.0,
            y + 4.5,
            escape(&dot.note)
        );
    }
    svg + "</svg>"
}

/// Counts side by side, the first and the last with a name.
pub fn columns(caption: &Caption, counts: &[usize], ends: [&str; 2]) -> String {
    const HEIGHT: f64 = 180.0;
    const LEFT: f64 = 60.0;
    const BOTTOM: f64 = HEIGHT - 26.0;
    const TOP: f64 = 12.0;
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let slot = (WIDTH - LEFT - 10.0) / counts.len().max(1) as f64;
    let mut svg = open(caption, HEIGHT);
    for share in [0.0, 0.5, 1.0] {
        let y = BOTTOM - (BOTTOM - TOP) * share;
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>",
        );
        // Half of an odd number is no count.
        if share != 0.5 || most % 2 == 0 {
            let _ = write!(
                svg,
                "<text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{:.0}</text>",
                LEFT - 8.0,
                y + 4.0,
                most as f64 * share
            );
        }
    }
    for (index, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        // A count of one among thousands stays visible.
        let tall = ((BOTTOM - TOP) * count as f64 / most as f64).max(1.5);
        let wide = (slot * 0.8).min(48.0);
        let _ = write!(
            svg,
            "<rect class=\"column\" x=\"{:.1}\" y=\"{:.1}\" width=\"{wide:.1}\" height=\"{tall:.1}\"/>",
            LEFT + slot * (index as f64 + 0.5) - wide / 2.0,
            BOTTOM - tall
        );
    }
    close(svg, LEFT, HEIGHT, ends)
}

/// A line over steps of equal width, from 0 to 1 or from −1 if a value is negative. Missing values
/// are gaps.
pub fn course(caption: &Caption, values: &[Option<f64>], ends: [&str; 2]) -> String {
    const HEIGHT: f64 = 180.0;
    const LEFT: f64 = 60.0;
    const BOTTOM: f64 = HEIGHT - 26.0;
    const TOP: f64 = 12.0;
    let low = if values.iter().flatten().any(|v| *v < 0.0) {
        -1.0
    } else {
        0.0
    };
    let y = |value: f64| BOTTOM - (BOTTOM - TOP) * (value - low) / (1.0 - low);
    let step = (WIDTH - LEFT - 20.0) / values.len().saturating_sub(1).max(1) as f64;
    let mut svg = open(caption, HEIGHT);
    for tick in [-1.0, -0.5, 0.0, 0.5, 1.0]
        .into_iter()
        .filter(|tick| *tick >= low)
    {
        let at = y(tick);
        let _ = write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{tick:.1}</text>",
            LEFT - 8.0,
            at + 4.0
        );
    }
    let place = |(index, value): (usize, &Option<f64>)| {
        value.map(|value| (LEFT + 10.0 + step * index as f64, y(value)))
    };
    let points: Vec<Option<(f64, f64)>> = values.iter().enumerate().map(place).collect();
    for run in points.split(Option::is_none).filter(|run| run.len() > 1) {
        let path: Vec<String> = run
            .iter()
            .flatten()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let _ = write!(
            svg,
            "<polyline class=\"line\" points=\"{}\"/>",
            path.join(" ")
        );
    }
    for (x, y) in points.iter().flatten() {
        let _ = write!(
            svg,
            "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>"
        );
    }
    close(svg, LEFT, HEIGHT, ends)
}

/// The names of the first and the last step, below a chart that begins at `left`; nothing follows.
fn close(mut svg: String, left: f64, height: f64, ends: [&str; 2]) -> String {
    let y = height - 8.0;
    let _ = write!(
        svg,
        "<text class=\"tick\" x=\"{left}\" y=\"{y}\">{}</text>\
         <text class=\"tick\" x=\"{WIDTH}\" y=\"{y}\" text-anchor=\"end\">{}</text></svg>",
        escape(ends[0]),
        escape(ends[1])
    );
    svg
}

fn open(caption: &Caption, height: f64) -> String {
    let Caption {
        id,
        title,
        description,
    } = caption;
    format!(
        "<svg role=\"img\" aria-labelledby=\"{id}-t {id}-d\" viewBox=\"0 0 {WIDTH} {height}\">\
         <title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>",
        escape(title),
        escape(description)
    )
}

/// The first `most` characters, or one fewer and `…`.
fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caption() -> Caption {
        Caption {
            id: "c".into(),
            title: "Win <rates>".into(),
            description: "One of two".into(),
        }
    }

    #[test]
    fn a_dot_stands_where_its_value_is() {
        let dot = Dot {
            label: "a & b".into(),
            value: 0.75,
            interval: Some(Interval {
                low: 0.5,
                high: 1.5,
            }),
            note: "75 %".into(),
        };
        let svg = dots(&caption(), &[dot], &Axis::share());
        // The plot goes from 230 to 550.
        assert!(
            svg.contains("<circle class=\"dot\" cx=\"470.0\" cy=\"13.0\" r=\"5\"/>"),
            "{svg}"
        );
        assert!(
            svg.contains("x1=\"390.0\" x2=\"550.0\" y1=\"13.0\""),
            "{svg}"
        );
        assert!(
            svg.contains("<title id=\"c-t\">Win &lt;rates&gt;</title>"),
            "{svg}"
        );
        assert!(svg.contains(">a &amp; b</text>"), "{svg}");
    }

    #[test]
    fn the_axis_holds_everything_and_is_round() {
        let dot = |value| Dot {
            label: String::new(),
            value,
            interval: Some(Interval {
                low: value - 20.0,
                high: value + 20.0,
            }),
            note: String::new(),
        };
        let axis = Axis::around_zero(&[dot(-35.0), dot(120.0)]);
        assert_eq!((axis.low, axis.high), (-200.0, 200.0));
        assert_eq!(Axis::around_zero(&[]).high, 2.0);
    }

    #[test]
    fn gaps_divide_a_course() {
        let values = [Some(0.5), Some(0.6), None, Some(1.0)];
        let svg = course(&caption(), &values, ["a", "b"]);
        assert_eq!(svg.matches("<polyline").count(), 1);
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(!svg.contains("-1.0</text>"));
    }

    #[test]
    fn a_column_has_its_share_of_the_height() {
        let svg = columns(&caption(), &[10, 0, 5], ["a", "b"]);
        assert_eq!(svg.matches("<rect").count(), 2);
        assert!(
            svg.contains("height=\"142.0\"") && svg.contains("height=\"71.0\""),
            "{svg}"
        );
    }
}
