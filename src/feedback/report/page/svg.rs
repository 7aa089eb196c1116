//! Charts as inline SVG: no scripts, colours from the page's style sheet, a title and a description
//! for those who do not see them. The tables beside them hold the same numbers.

use super::escape::escape;
use crate::stats::Interval;
use std::fmt::Write;

/// Width of every chart in its own units: narrow enough to be read on a phone.
const WIDTH: f64 = 480.0;

/// What a chart is called.
#[derive(Debug, Clone)]
pub struct Caption {
    /// Unique on the page; letters and digits.
    pub id: String,
    /// What is shown.
    pub title: String,
    /// What can be seen, in a sentence.
    pub description: String,
    /// What the scale with the numbers means, with its unit.
    pub axis: String,
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
    /// The numbers in words, at the right, n among them.
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
            ticks: ticks
                .map(|at| (at, super::format::signed(at, 0).replace("+0", "0")))
                .to_vec(),
            neutral: Some(0.0),
        }
    }

    fn share_of(&self, value: f64) -> f64 {
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }
}

/// Values with intervals, one a row, its words above it.
pub fn dots(caption: &Caption, rows: &[Dot], axis: &Axis) -> String {
    const ROW: f64 = 40.0;
    const LEFT: f64 = 24.0;
    const PLOT: f64 = WIDTH - 2.0 * LEFT;
    let bottom = ROW * rows.len() as f64 + 6.0;
    let height = bottom + 38.0;
    let x = |value: f64| LEFT + PLOT * axis.share_of(value);
    let mut svg = open(caption, height);
    for (at, name) in &axis.ticks {
        let class = if axis.neutral == Some(*at) {
            "neutral"
        } else {
            "grid"
        };
        let at = x(*at);
        line(&mut svg, class, (at, 2.0), (at, bottom));
        text(&mut svg, "tick", (at, bottom + 15.0), "middle", name);
    }
    for (index, dot) in rows.iter().enumerate() {
        let y = ROW * index as f64;
        text(
            &mut svg,
            "label",
            (2.0, y + 14.0),
            "start",
            &shorten(&dot.label, 34),
        );
        text(&mut svg, "note", (WIDTH - 2.0, y + 14.0), "end", &dot.note);
        let y = y + 28.0;
        if let Some(Interval { low, high }) = dot.interval {
            line(&mut svg, "whisker", (x(low), y), (x(high), y));
        }
        circle(&mut svg, x(dot.value), y, 5);
    }
    text(
        &mut svg,
        "tick",
        (WIDTH / 2.0, height - 4.0),
        "middle",
        &caption.axis,
    );
    svg + "</svg>"
}

/// The frame of charts over time: the plot, with room for numbers on the left, the axis in words above
/// and the names of the first and the last step below.
const LEFT: f64 = 52.0;
const HEIGHT: f64 = 210.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = HEIGHT - 26.0;

/// Counts side by side, the first and the last with a name.
pub fn columns(caption: &Caption, counts: &[usize], ends: [&str; 2]) -> String {
    let most = counts.iter().copied().max().unwrap_or(0).max(1);
    let slot = (WIDTH - LEFT - 4.0) / counts.len().max(1) as f64;
    let mut svg = open(caption, HEIGHT);
    for share in [0.0, 0.5, 1.0] {
        let y = BOTTOM - (BOTTOM - TOP) * share;
        line(&mut svg, "grid", (LEFT, y), (WIDTH, y));
        // Half of an odd number is no count.
        if share != 0.5 || most % 2 == 0 {
            let count = super::format::number((most as f64 * share) as usize);
            text(&mut svg, "tick", (LEFT - 8.0, y + 4.0), "end", &count);
        }
    }
    for (index, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        // A count of one among thousands stays visible.
        let tall = ((BOTTOM - TOP) * count as f64 / most as f64).max(1.5);
        let wide = (slot * 0.8).min(40.0);
        let _ = write!(
            svg,
            "<rect class=\"column\" x=\"{:.1}\" y=\"{:.1}\" width=\"{wide:.1}\" height=\"{tall:.1}\"/>",
            LEFT + slot * (index as f64 + 0.5) - wide / 2.0,
            BOTTOM - tall
        );
    }
    close(svg, caption, ends)
}

/// Shares with their intervals over steps of equal width, from 0 to 100 %.
pub fn course(caption: &Caption, values: &[(f64, Interval)], ends: [&str; 2]) -> String {
    let y = |value: f64| BOTTOM - (BOTTOM - TOP) * value.clamp(0.0, 1.0);
    let step = (WIDTH - LEFT - 24.0) / values.len().saturating_sub(1).max(1) as f64;
    let mut svg = open(caption, HEIGHT);
    for tick in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let name = format!("{:.0} %", tick * 100.0);
        line(&mut svg, "grid", (LEFT, y(tick)), (WIDTH, y(tick)));
        text(&mut svg, "tick", (LEFT - 8.0, y(tick) + 4.0), "end", &name);
    }
    let x = |index: usize| LEFT + 12.0 + step * index as f64;
    for (index, (_, interval)) in values.iter().enumerate() {
        let (low, high) = (y(interval.low), y(interval.high));
        line(&mut svg, "whisker", (x(index), low), (x(index), high));
    }
    let points = values.iter().enumerate();
    let points: Vec<String> = points
        .map(|(index, (value, _))| format!("{:.1},{:.1}", x(index), y(*value)))
        .collect();
    let _ = write!(
        svg,
        "<polyline class=\"line\" points=\"{}\"/>",
        points.join(" ")
    );
    for (index, (value, _)) in values.iter().enumerate() {
        circle(&mut svg, x(index), y(*value), 4);
    }
    close(svg, caption, ends)
}

/// The axis in words, and the names of the first and the last step; nothing follows.
fn close(mut svg: String, caption: &Caption, ends: [&str; 2]) -> String {
    let y = HEIGHT - 8.0;
    text(&mut svg, "tick", (2.0, 12.0), "start", &caption.axis);
    text(&mut svg, "tick", (LEFT, y), "start", ends[0]);
    text(&mut svg, "tick", (WIDTH - 2.0, y), "end", ends[1]);
    svg + "</svg>"
}

fn line(svg: &mut String, class: &str, from: (f64, f64), to: (f64, f64)) {
    let _ = write!(
        svg,
        "<line class=\"{class}\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{:.1}\" y2=\"{:.1}\"/>",
        from.0, to.0, from.1, to.1
    );
}

fn circle(svg: &mut String, x: f64, y: f64, radius: u8) {
    let _ = write!(
        svg,
        "<circle class=\"dot\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"/>"
    );
}

fn text(svg: &mut String, class: &str, at: (f64, f64), anchor: &str, text: &str) {
    let _ = write!(
        svg,
        "<text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
        at.0,
        at.1,
        escape(text)
    );
}

fn open(caption: &Caption, height: f64) -> String {
    let Caption {
        id,
        title,
        description,
        ..
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
            axis: "wins, %".into(),
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
            note: "75 % of 8".into(),
        };
        let svg = dots(&caption(), &[dot], &Axis::share());
        // The plot goes from 24 to 456.
        assert!(
            svg.contains("<circle class=\"dot\" cx=\"348.0\" cy=\"28.0\" r=\"5\"/>"),
            "{svg}"
        );
        assert!(
            svg.contains("x1=\"240.0\" x2=\"456.0\" y1=\"28.0\""),
            "{svg}"
        );
        assert!(
            svg.contains("<title id=\"c-t\">Win &lt;rates&gt;</title>"),
            "{svg}"
        );
        assert!(svg.contains(">a &amp; b</text>"), "{svg}");
        assert!(svg.contains(">wins, %</text>"), "{svg}");
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
    fn a_course_has_every_point_in_its_interval() {
        let interval = Interval {
            low: 0.25,
            high: 1.0,
        };
        let values = [(0.5, interval), (0.75, interval)];
        let svg = course(&caption(), &values, ["a", "b"]);
        // 0 % at 184, 100 % at 26; the first point at 64, the last at 468.
        assert!(svg.contains("points=\"64.0,105.0 468.0,65.5\""), "{svg}");
        assert!(
            svg.contains(
                "<line class=\"whisker\" x1=\"64.0\" x2=\"64.0\" y1=\"144.5\" y2=\"26.0\"/>"
            ),
            "{svg}"
        );
        assert_eq!(svg.matches("<circle").count(), 2);
    }

    #[test]
    fn a_column_has_its_share_of_the_height() {
        let svg = columns(&caption(), &[10, 0, 5], ["a", "b"]);
        assert_eq!(svg.matches("<rect").count(), 2);
        assert!(
            svg.contains("height=\"158.0\"") && svg.contains("height=\"79.0\""),
            "{svg}"
        );
    }
}
