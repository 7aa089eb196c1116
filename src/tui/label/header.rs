//! The first row of the screen.

use ratatui::layout::Rect;

use super::draw::Canvas;
use super::state::{App, Role, Screen};
use crate::feedback::queue::Today;
use crate::tui::text::{columns, fit, sanitise};

/// Where we are in the batch, and whether everything is saved.
pub(super) fn draw(app: &App, canvas: &mut Canvas, area: Rect) {
    let round = app
        .round
        .map_or(String::new(), |round| format!("round {round} · "));
    let annotator = sanitise(&app.setup.annotator).replace('\n', "␊");
    let work = work(&app.setup.role, area.width);
    let left = match area.width {
        ..64 => format!(" {work}"),
        64..100 => format!(" {work}  {round}blind"),
        _ => format!(" {work}  {round}annotator {} · blind", fit(&annotator, 24)),
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

/// What is done here, with as many words as fit.
fn work(role: &Role, width: u16) -> String {
    match role {
        Role::Annotator => "label".to_owned(),
        Role::Adjudicator => "adjudicate".to_owned(),
        Role::Reviewer(_) if width < 64 => "review".to_owned(),
        Role::Reviewer(of) => format!("review of {}", fit(&sanitise(of).replace('\n', "␊"), 16)),
    }
}

fn saved(app: &App) -> &'static str {
    match app.screen {
        _ if app.failure.is_some() => "NOT SAVED",
        Screen::Locked(_) => "open elsewhere",
        _ if app.reading => "read only",
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
    if app.more {
        // More is being made: shares and remaining times would be wrong.
        return [vec![format!("{judged}/{total}+")], today(app)].concat();
    }
    let mut parts = vec![format!("{judged}/{total} {bar}{}%", judged * 100 / total)];
    parts.extend(today(app));
    if let Some(per_minute) = app.rate().filter(|_| app.setup.show_rate) {
        parts.push(format!("{per_minute:.1}/min"));
        let left = app.queue.len() as f64;
        if left > 0.0 {
            parts.push(format!("ETA {}", duration(left / per_minute * 60.0)));
        }
    }
    parts
}

/// How much of the day's target is done, if there is one.
fn today(app: &App) -> Vec<String> {
    let words = |today: Today| {
        let mark = if today.is_reached() { " ✓" } else { "" };
        format!("today {}/{}{mark}", today.done, today.target.per_day)
    };
    app.today().map(words).into_iter().collect()
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
