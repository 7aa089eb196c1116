//! The statistics screen: what keys do, and what it looks like at 120x36, 80x24 and 40x12.

use insta::assert_snapshot;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use rlhf::feedback::report::Report;
use rlhf::tui::keys::Key;
use rlhf::tui::stats::draw::draw;
use rlhf::tui::stats::state::{App, PAGES, Page};
use rlhf::tui::stats::update::{Effect, Event, update};
use rlhf::tui::theme::Theme;

use crate::cli_support::rlhf;
use crate::stats_stage::{Project, campaign};

fn app(report: Report, size: (u16, u16)) -> App {
    App::new("my-project".into(), report, size)
}

fn screen(app: &App) -> String {
    let (width, height) = app.size;
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    draw(app, Theme::PLAIN, &mut buffer);
    let row = |y: u16| {
        let row: String = (0..width).map(|x| buffer[(x, y)].symbol()).collect();
        row.trim_end().to_owned() + "\n"
    };
    (0..height).map(row).collect()
}

fn press(app: &mut App, keys: &[Key]) -> Vec<Effect> {
    keys.iter()
        .filter_map(|key| update(app, Event::Key(*key)))
        .collect()
}

#[test]
fn every_page_at_every_size() {
    let report = campaign().report();
    for (width, height) in [(120, 36), (80, 24), (40, 12)] {
        let mut app = app(report.clone(), (width, height));
        for (page, key, name) in PAGES {
            assert_eq!(press(&mut app, &[key]), []);
            assert_eq!(app.page, page);
            assert_snapshot!(format!("{name}_{width}x{height}"), screen(&app));
        }
    }
}

#[test]
fn an_empty_project_and_a_tiny_terminal_are_shown_too() {
    let empty = Project::default().report();
    let mut app = app(empty, (40, 12));
    for (_, key, _) in PAGES {
        press(&mut app, &[key]);
        screen(&app);
    }
    assert!(screen(&app).contains("nothing to show yet"));
    for size in [(1, 1), (29, 8), (30, 7)] {
        app.size = size;
        let expected: String = "too small: 30x8 needed"
            .chars()
            .take(usize::from(size.0))
            .collect();
        assert!(screen(&app).starts_with(&expected), "{size:?}");
    }
}

#[test]
fn no_size_panics_on_any_page() {
    let report = campaign().report();
    for width in (1..=140).step_by(7).chain([300]) {
        for height in (1..=50).step_by(3) {
            let mut app = app(report.clone(), (width, height));
            for (_, key, _) in PAGES {
                press(&mut app, &[key, Key::Char('G')]);
                screen(&app);
            }
        }
    }
}

#[test]
fn pages_turn_both_ways_and_scroll_to_their_ends() {
    let mut app = app(campaign().report(), (80, 24));
    press(&mut app, &[Key::Tab]);
    assert_eq!(app.page, Page::Policies);
    press(&mut app, &[Key::BackTab, Key::Left]);
    assert_eq!(app.page, Page::Pace);
    press(&mut app, &[Key::Char('2'), Key::Char('j'), Key::Char('j')]);
    assert_eq!(app.top, 2);
    press(&mut app, &[Key::Char('G')]);
    assert_eq!(app.top, app.last_top());
    assert!(app.top > 2);
    press(&mut app, &[Key::Char('j')]);
    assert_eq!(app.top, app.last_top());
    press(&mut app, &[Key::PageUp, Key::Char('g'), Key::Char('k')]);
    assert_eq!(app.top, 0);
    // A larger terminal has fewer rows left to scroll.
    press(&mut app, &[Key::Char('G')]);
    update(&mut app, Event::Resize(80, 200));
    assert_eq!(app.top, 0);
}

#[test]
fn a_new_count_replaces_the_old_and_a_failed_one_keeps_it() {
    let mut app = app(Project::default().report(), (80, 24));
    assert_eq!(press(&mut app, &[Key::Char('r')]), [Effect::Count]);
    assert!(screen(&app).contains("counting …"));
    let report = campaign().report();
    update(&mut app, Event::Counted(Box::new(report.clone())));
    assert!(!app.counting && app.report == report);
    update(
        &mut app,
        Event::Failed("feedback/ada/x.jsonl:3: checksum\u{1b}[2J".into()),
    );
    assert_eq!(app.report, report);
    assert!(screen(&app).contains("not counted: feedback/ada/x.jsonl:3: checksum␛[2J"));
    let keys = [Key::Ctrl('l'), Key::Ctrl('z'), Key::Char('q'), Key::Esc];
    let effects = [Effect::Redraw, Effect::Suspend, Effect::Quit, Effect::Quit];
    assert_eq!(press(&mut app, &keys), effects);
}

#[test]
fn without_a_terminal_the_screen_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("samples")).unwrap();
    let (code, _, err) = rlhf(dir.path(), &["feedback", "stats", "--watch"]);
    assert!(
        code == 2 && err.contains("leave out --watch for text"),
        "{err}"
    );
    let (code, out, _) = rlhf(dir.path(), &["feedback", "stats"]);
    assert_eq!((code, out.as_str()), (0, "0 of 0 items judged by people\n"));
}
