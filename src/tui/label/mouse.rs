//! The mouse: a click focuses a pane, the wheel scrolls. Everything works without it.

use ratatui::layout::Position;

use super::pane::scroll_both;
use super::state::{App, Screen};
use super::update::scroll_any;
use super::view::focus;
use crate::tui::keys::Step;

/// Where a click or the wheel of a mouse landed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mouse {
    /// What was done.
    pub what: MouseAction,
    /// Column, from 0.
    pub x: u16,
    /// Row, from 0.
    pub y: u16,
}

/// What can be done with a mouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MouseAction {
    /// The left button.
    Click,
    /// The wheel, by one notch.
    Wheel(Step),
}

/// Rows that one notch of the wheel scrolls.
const NOTCH: usize = 3;

/// A click focuses the pane under it; the wheel scrolls what is open.
pub(super) fn used(app: &mut App, mouse: Mouse) {
    if app.search.is_some() || !matches!(app.screen, Screen::Judging | Screen::ReadOnly) {
        if let MouseAction::Wheel(step) = mouse.what {
            (0..NOTCH).for_each(|_| scroll_any(app, step));
        }
        return;
    }
    let stop = stop_at(app, mouse.x, mouse.y);
    match mouse.what {
        MouseAction::Click => {
            if let Some(stop) = stop {
                focus(app, stop);
            }
        }
        MouseAction::Wheel(step) => {
            let prompt = stop == Some(app.view.answers.len());
            for _ in 0..NOTCH {
                if prompt {
                    app.view.prompt.scroll(step);
                } else if app.flips() {
                    let side = app.view.side;
                    app.view.pane(side).scroll(step);
                } else {
                    scroll_both(&mut app.view.answers, step);
                }
            }
        }
    }
}

/// The pane under a cell, as [`focus`] counts them.
fn stop_at(app: &App, x: u16, y: u16) -> Option<usize> {
    let regions = app.regions()?;
    let at = Position { x, y };
    if regions.prompt.contains(at) {
        return Some(app.view.answers.len());
    }
    if app.flips() {
        let inside = regions.answers.whole().contains(at);
        return inside.then_some(app.view.side);
    }
    (0..app.view.answers.len()).find(|&side| regions.answers.pane(side).contains(at))
}
