//! What happens on each event. Pure: no clock, no files.

use super::state::{App, PAGES, Page};
use crate::feedback::report::Report;
use crate::tui::keys::Key;

/// Something happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A key.
    Key(Key),
    /// The terminal has this many columns and rows now.
    Resize(u16, u16),
    /// The labels on the disk are being counted again.
    Counting,
    /// They were counted.
    Counted(Box<Report>),
    /// They could not be read; the reason.
    Failed(String),
}

/// What the driver is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Count again, now.
    Count,
    /// Draw everything anew.
    Redraw,
    /// Give the terminal to the shell for a while.
    Suspend,
    /// Leave the screen.
    Quit,
}

/// Changes the state; returns what is to be done outside it.
pub fn update(app: &mut App, event: Event) -> Option<Effect> {
    let effect = match event {
        Event::Key(key) => on_key(app, key),
        Event::Resize(width, height) => {
            app.size = (width, height);
            None
        }
        Event::Counting => {
            app.counting = true;
            None
        }
        Event::Counted(report) => {
            (app.report, app.counting, app.problem) = (*report, false, None);
            None
        }
        Event::Failed(reason) => {
            (app.counting, app.problem) = (false, Some(reason));
            None
        }
    };
    app.top = app.top.min(app.last_top());
    effect
}

fn on_key(app: &mut App, key: Key) -> Option<Effect> {
    let page = app.height().saturating_sub(1).max(1);
    match key {
        Key::Char('q') | Key::Esc | Key::Ctrl('c') => return Some(Effect::Quit),
        Key::Char('r') => {
            app.counting = true;
            return Some(Effect::Count);
        }
        Key::Ctrl('l') => return Some(Effect::Redraw),
        Key::Ctrl('z') => return Some(Effect::Suspend),
        Key::Char('j') | Key::Down => app.top = app.top.saturating_add(1),
        Key::Char('k') | Key::Up => app.top = app.top.saturating_sub(1),
        Key::PageDown | Key::Char(' ') => app.top = app.top.saturating_add(page),
        Key::PageUp => app.top = app.top.saturating_sub(page),
        Key::Char('g') | Key::Home => app.top = 0,
        Key::Char('G') | Key::End => app.top = usize::MAX,
        Key::Tab | Key::Right | Key::Char('l') => turn(app, 1),
        Key::BackTab | Key::Left | Key::Char('h') => turn(app, PAGES.len() - 1),
        _ => {
            if let Some((page, ..)) = PAGES.iter().find(|(_, own, _)| *own == key) {
                open(app, *page);
            }
        }
    }
    None
}

fn turn(app: &mut App, by: usize) {
    let now = PAGES
        .iter()
        .position(|(page, ..)| *page == app.page)
        .unwrap_or(0);
    open(app, PAGES[(now + by) % PAGES.len()].0);
}

fn open(app: &mut App, page: Page) {
    (app.page, app.top) = (page, 0);
}
