//! The statistics screen as cells. Reads the state, changes nothing.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::widgets::{Axis, Chart, Dataset, GraphType, Widget};

use super::rows::{RowKind, minute};
use super::state::{App, PAGES, Page, SMALLEST};
use crate::feedback::report::pace::Pace;
use crate::tui::text::{columns, fit, sanitise};
use crate::tui::theme::Theme;

/// Keys at the foot, with a shorter form for narrow screens.
const FOOTER: &str = "1-6 Tab page   j/k scroll   r count again   q quit";
const NARROW: &str = "1-6 page  j/k scroll  q quit";

/// Draws the whole screen.
pub fn draw(app: &App, theme: Theme, buffer: &mut Buffer) {
    let area = buffer.area;
    if !app.fits() {
        let (width, height) = SMALLEST;
        let text = format!("too small: {width}x{height} needed");
        put(buffer, (0, 0), &text, theme.text());
        return;
    }
    title(app, theme, buffer);
    tabs(app, theme, buffer);
    let body = Rect {
        y: 2,
        height: area.height - 3,
        ..area
    };
    let chart = Rect {
        height: app.chart_rows().min(body.height),
        ..body
    };
    match app.page {
        Page::Pace if chart.height > 0 => pace(app, theme, chart, buffer),
        Page::Agreement if chart.height > 0 => trend(app, theme, chart, buffer),
        _ => {}
    }
    let text = Rect {
        y: body.y + chart.height,
        height: body.height - chart.height,
        ..body
    };
    rows(app, theme, text, buffer);
    footer(app, theme, buffer);
}

fn put(buffer: &mut Buffer, (x, y): (u16, u16), text: &str, style: Style) -> u16 {
    let room = usize::from(buffer.area.width.saturating_sub(x));
    buffer.set_stringn(x, y, text, room, style).0
}

fn title(app: &App, theme: Theme, buffer: &mut Buffer) {
    let x = put(buffer, (1, 0), "statistics", theme.strong());
    let title = sanitise(&app.title).replace('\n', "␊");
    let room = usize::from(app.size.0.saturating_sub(x + 4));
    let x = put(buffer, (x + 2, 0), &fit(&title, room), theme.faint());
    let state = if app.counting { "counting …" } else { "" };
    let at = app.size.0.saturating_sub(columns(state) as u16 + 1);
    if at > x {
        put(buffer, (at, 0), state, theme.faint());
    }
}

/// The open page is reversed and bracketed; where not all names fit, only its own is written out.
fn tabs(app: &App, theme: Theme, buffer: &mut Buffer) {
    let all: usize = PAGES.iter().map(|(.., name)| name.len() + 5).sum();
    let narrow = all > usize::from(app.size.0);
    let mut x = 1;
    for (index, (page, _, name)) in PAGES.iter().enumerate() {
        let open = *page == app.page;
        let label = match (open, narrow) {
            (true, _) => format!("[{} {name}]", index + 1),
            (false, true) => format!(" {} ", index + 1),
            (false, false) => format!(" {} {name} ", index + 1),
        };
        let style = if open { theme.selected() } else { theme.text() };
        x = put(buffer, (x, 1), &label, style) + 1;
    }
}

fn rows(app: &App, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let rows = app.rows();
    if rows.is_empty() {
        put(buffer, (3, area.y), "nothing to show yet", theme.faint());
    }
    for (row, y) in rows.iter().skip(app.top).zip(area.y..area.bottom()) {
        let style = match row.kind {
            RowKind::Heading => theme.strong(),
            RowKind::Text => theme.text(),
            RowKind::Faint => theme.faint(),
        };
        let text = fit(&row.text, usize::from(area.width.saturating_sub(1)));
        put(buffer, (1, y), &text, style);
    }
}

fn footer(app: &App, theme: Theme, buffer: &mut Buffer) {
    let y = app.size.1 - 1;
    if let Some(problem) = &app.problem {
        let text = format!("not counted: {}", sanitise(problem).replace('\n', " "));
        put(
            buffer,
            (1, y),
            &fit(&text, usize::from(app.size.0) - 2),
            theme.warning(),
        );
        return;
    }
    let keys = if app.size.0 < 64 { NARROW } else { FOOTER };
    let x = put(buffer, (1, y), keys, theme.faint());
    let (all, shown) = (app.rows().len(), app.height());
    if all > shown {
        let place = format!("{}-{} of {all}", app.top + 1, (app.top + shown).min(all));
        let at = app.size.0.saturating_sub(place.len() as u16 + 1);
        if at > x + 1 {
            put(buffer, (at, y), &place, theme.faint());
        }
    }
}

fn pace(app: &App, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let all: Vec<(&str, &Pace)> = app
        .report
        .groups()
        .filter_map(|(name, group)| Some((name, group.pace.as_ref()?)))
        .collect();
    let Some((name, pace)) = all.first() else {
        return;
    };
    let points: Vec<(f64, f64)> = pace
        .counts
        .iter()
        .enumerate()
        .map(|(at, &count)| (at as f64, count as f64))
        .collect();
    let most = pace.counts.iter().copied().max().unwrap_or(0).max(1);
    let last = points.len().saturating_sub(1).max(1) as f64;
    let labels = [minute(pace.first), minute(pace.last)];
    let title = format!("{} per {}", name.to_lowercase(), pace.step);
    let frame = Frame {
        title,
        x: last,
        // Room for the title above the highest bar.
        y: most as f64 * 1.15,
        ends: labels,
        marks: ["0".into(), most.to_string()],
    };
    // A single step has no line to its neighbour.
    let points = if points.len() == 1 {
        vec![points[0], (1.0, points[0].1)]
    } else {
        points
    };
    frame.draw(&points, GraphType::Bar, theme, area, buffer);
}

fn trend(app: &App, theme: Theme, area: Rect, buffer: &mut Buffer) {
    let Some(trend) = app.trend() else {
        return;
    };
    let points: Vec<(f64, f64)> = trend
        .iter()
        .enumerate()
        .map(|(at, raw)| (at as f64, raw * 100.0))
        .collect();
    let frame = Frame {
        title: "raw agreement, %".into(),
        x: points.len().saturating_sub(1).max(1) as f64,
        y: 100.0,
        ends: ["first items".into(), "last items".into()],
        marks: ["0".into(), "100".into()],
    };
    frame.draw(&points, GraphType::Line, theme, area, buffer);
}

/// Axes of a chart that begin at zero.
struct Frame {
    title: String,
    x: f64,
    y: f64,
    ends: [String; 2],
    marks: [String; 2],
}

impl Frame {
    fn draw(
        self,
        points: &[(f64, f64)],
        kind: GraphType,
        theme: Theme,
        area: Rect,
        buffer: &mut Buffer,
    ) {
        let data = Dataset::default()
            .marker(Marker::Braille)
            .graph_type(kind)
            .style(theme.focus())
            .data(points);
        let x = Axis::default()
            .bounds([0.0, self.x])
            .labels(self.ends)
            .style(theme.faint());
        let y = Axis::default()
            .title(self.title)
            .bounds([0.0, self.y])
            .labels(self.marks)
            .style(theme.faint());
        Chart::new(vec![data])
            .x_axis(x)
            .y_axis(y)
            .render(area, buffer);
    }
}
