//! The statistics screen as cells. Reads the state, changes nothing.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::rows::RowKind;
use super::state::{App, PAGES, SMALLEST};
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
    rows(app, theme, body, buffer);
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
