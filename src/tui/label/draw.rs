//! The labelling screen as cells. Reads the state, changes nothing, decides nothing.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::widgets::{Block, BorderType, Clear, Widget};

use super::dialog;
use super::layout::{Answers, Regions, inside};
use super::pane::Pane;
use super::scale_row;
use super::state::{App, Pair, Screen};
use crate::tui::keys::GAP;
use crate::tui::text::{columns, fit};
use crate::tui::theme::Theme;

/// Where the cells go and how they look.
pub(super) struct Canvas<'a> {
    pub(super) buffer: &'a mut Buffer,
    pub(super) theme: Theme,
}

impl Canvas<'_> {
    /// Writes text that was sanitised before, cut to the columns there are; returns the column
    /// after it.
    pub(super) fn put(&mut self, area: Rect, x: u16, text: &str, style: Style) -> u16 {
        if area.is_empty() || x >= area.right() {
            return x;
        }
        let room = usize::from(area.right() - x);
        self.buffer.set_stringn(x, area.y, text, room, style).0
    }

    /// Writes text at the right end of an area, if it fits there.
    fn put_right(&mut self, area: Rect, from: u16, text: &str, style: Style) {
        let x = area.right().saturating_sub(columns(text) as u16);
        if x >= from {
            self.put(area, x, text, style);
        }
    }

    /// Writes rows of text from the top of an area.
    pub(super) fn put_rows(&mut self, area: Rect, rows: &[String]) {
        for (row, y) in rows.iter().zip(area.y..area.bottom()) {
            let style = self.theme.text();
            self.put(
                Rect {
                    y,
                    height: 1,
                    ..area
                },
                area.x,
                row,
                style,
            );
        }
    }

    /// A border with a title at the left and another at the right.
    pub(super) fn frame(&mut self, area: Rect, left: &str, right: &str, focused: bool) {
        let theme = self.theme;
        let (kind, style) = if focused {
            (BorderType::Double, theme.focus())
        } else {
            (BorderType::Plain, theme.faint())
        };
        Clear.render(area, self.buffer);
        Block::bordered()
            .border_type(kind)
            .border_style(style)
            .render(area, self.buffer);
        let top = Rect {
            width: area.width.saturating_sub(1),
            height: 1,
            ..area
        };
        let end = self.put(top, area.x + 2, left, theme.strong());
        self.put_right(
            Rect {
                width: top.width.saturating_sub(1),
                ..top
            },
            end + 1,
            right,
            theme.faint(),
        );
    }

    /// Keys and words, such as `u undo   ? help`.
    fn put_keys(&mut self, area: Rect, x: u16, keys: &[(&str, &str)]) -> u16 {
        keys.iter().fold(x, |x, (key, word)| {
            let x = self.put(area, x, key, self.theme.strong());
            self.put(area, x + 1, word, self.theme.text()) + GAP as u16
        })
    }
}

/// Draws the whole screen.
pub fn draw(app: &App, theme: Theme, buffer: &mut Buffer) {
    let area = buffer.area;
    let mut canvas = Canvas { buffer, theme };
    let Some(regions) = app.regions() else {
        dialog::too_small(&mut canvas, area);
        return;
    };
    header(app, &mut canvas, regions.header);
    footer(app, &mut canvas, regions.footer);
    match &app.screen {
        Screen::Guidelines { .. } => dialog::page(app, &mut canvas, "Guidelines"),
        Screen::Help => dialog::page(app, &mut canvas, "Help"),
        Screen::Locked(holder) => dialog::locked(app, &mut canvas, holder),
        Screen::WaitingForSamples => dialog::waiting(app, &mut canvas),
        Screen::BatchDone => {
            dialog::batch_done(app, &mut canvas);
            last(app, &mut canvas, regions.last);
        }
        _ => {
            pair(app, &mut canvas, &regions);
            dialog::over_pair(app, &mut canvas, &regions);
        }
    }
}

fn header(app: &App, canvas: &mut Canvas, area: Rect) {
    let round = app.pair().map_or(String::new(), |pair| {
        format!("round {} · ", pair.item.round)
    });
    let annotator = &app.setup.annotator;
    let left = match area.width {
        ..64 => " label".to_owned(),
        64..100 => format!(" label  {round}blind"),
        _ => format!(" label  {round}annotator {} · blind", fit(annotator, 24)),
    };
    let end = canvas.put(area, 0, &left, canvas.theme.strong());
    let mut parts = progress(app, area.width);
    parts.push(saved(app).to_owned());
    let style = if saved(app) == "NOT SAVED" {
        canvas.theme.warning()
    } else {
        canvas.theme.text()
    };
    while parts.len() > 1 && columns(&parts.join("   ")) + usize::from(end) + 2 > area.width.into()
    {
        // The rate and the remaining time go first, the count last.
        parts.remove(parts.len() - 2);
    }
    canvas.put_right(area, end, &format!("{} ", parts.join("   ")), style);
}

fn saved(app: &App) -> &'static str {
    match app.screen {
        Screen::ReadOnly(_) => "NOT SAVED",
        Screen::Locked(_) => "open elsewhere",
        _ if app.committing.is_some() => "saving…",
        _ if app.clock.is_idle() => "paused",
        _ => "saved",
    }
}

/// How far we are: count, share, rate, remaining time.
fn progress(app: &App, width: u16) -> Vec<String> {
    let (judged, total) = (app.judged(), app.total());
    if total == 0 {
        return vec![];
    }
    let bar = if width < 100 {
        String::new()
    } else {
        bar(judged, total)
    };
    let mut parts = vec![format!("{judged}/{total} {bar}{}%", judged * 100 / total)];
    if let Some(per_minute) = app.rate().filter(|_| app.setup.show_rate) {
        parts.push(format!("{per_minute:.1}/min"));
        let left = app.queue.len() as f64;
        if left > 0.0 {
            parts.push(format!("ETA {}", duration(left / per_minute * 60.0)));
        }
    }
    parts
}

fn bar(done: usize, total: usize) -> String {
    let filled = done * 20 / total;
    format!("[{}{}] ", "#".repeat(filled), "-".repeat(20 - filled))
}

/// Seconds as people say them: `45s`, `12m`, `3h22m`.
pub fn duration(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds % 3600 / 60),
    }
}

fn footer(app: &App, canvas: &mut Canvas, area: Rect) {
    let keys = app
        .context()
        .footer(usize::from(area.width.saturating_sub(1)));
    canvas.put_keys(area, 1, &keys);
}

fn pair(app: &App, canvas: &mut Canvas, regions: &Regions) {
    let Some(pair) = app.pair() else { return };
    let view = &app.view;
    let focused = view.focused && view.on_prompt;
    canvas.frame(
        regions.prompt,
        &prompt_title(pair),
        &prompt_range(&view.prompt, regions.prompt.width),
        focused,
    );
    canvas.put_rows(inside(regions.prompt), view.prompt.visible());
    match regions.answers {
        Answers::Split(panes) => {
            for (side, (area, name)) in panes.into_iter().zip([" A ", " B "]).enumerate() {
                let focused = view.focused && !view.on_prompt && view.side == side;
                answer(canvas, area, name, &view.answers[side], focused);
            }
        }
        Answers::Flip(area) => {
            answer(canvas, area, " A   B ", &view.answers[view.side], false);
            let (x, name) = [(area.x + 2, "[A]"), (area.x + 6, "[B]")][view.side];
            canvas.put(Rect { height: 1, ..area }, x, name, canvas.theme.selected());
        }
    }
    scale_row::draw(app, canvas, regions.scale);
    beside(app, canvas, regions.beside);
    last(app, canvas, regions.last);
}

fn last(app: &App, canvas: &mut Canvas, area: Rect) {
    let (text, style) = match app.hint.as_str() {
        "" => (&app.message, canvas.theme.text()),
        _ => (&app.hint, canvas.theme.warning()),
    };
    canvas.put(
        area,
        1,
        &fit(text, usize::from(area.width).saturating_sub(2)),
        style,
    );
}

fn prompt_title(pair: &Pair) -> String {
    match pair.turns() {
        0 | 1 => " Prompt ".to_owned(),
        turns => format!(" Prompt · {turns} turns "),
    }
}

fn prompt_range(pane: &Pane, width: u16) -> String {
    if !pane.overflows() {
        return String::new();
    }
    if width < 64 {
        range(pane).replace("lines ", "")
    } else {
        format!(" Tab reads on ·{}", range(pane))
    }
}

/// `lines 1–16/31 ▼`, or with a check mark when nothing is hidden below.
fn range(pane: &Pane) -> String {
    let (first, last) = pane.range();
    let total = pane.rows().len();
    let mark = if last < total { '▼' } else { '✓' };
    format!(" lines {first}–{last}/{total} {mark} ")
}

/// One renderer for both sides: a difference would bias.
fn answer(canvas: &mut Canvas, area: Rect, name: &str, pane: &Pane, focused: bool) {
    canvas.frame(area, name, &range(pane), focused);
    canvas.put_rows(inside(area), pane.visible());
}

fn beside(app: &App, canvas: &mut Canvas, area: Rect) {
    let end = canvas.put_keys(area, 2, &[("b", "both bad"), ("0", "cannot judge")]);
    let question = fit(
        &app.setup.question,
        usize::from(area.width.saturating_sub(end + 1)),
    );
    canvas.put(area, end, &question, canvas.theme.faint());
}
