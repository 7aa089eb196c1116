//! Draws the labelling screen as SVG, cell by cell as a terminal would show it:
//! `cargo run --release --example screenshot > docs/label.svg`
//!
//! The pair is made up; the cells come from the same code that draws the terminal.

use std::fmt::Write as _;

use ratatui::buffer::{Buffer, Cell, CellWidth};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};
use rlhf::feedback::item::{Candidate, Item, ItemError, Message, Prompt, PromptText, Selector};
use rlhf::feedback::record::Purpose;
use rlhf::tui::keys::Key;
use rlhf::tui::label::draw::draw;
use rlhf::tui::label::state::{App, Desk, Pair, Setup};
use rlhf::tui::label::update::{Event, update};
use rlhf::tui::theme::Theme;

/// Columns and rows.
const SIZE: (u16, u16) = (120, 30);
/// Pixels of one cell.
const CELL: (f64, f64) = (8.4, 18.0);
/// Colours of a dark terminal.
const BACKGROUND: &str = "#16181d";
const TEXT: &str = "#d0d4dc";

fn pair() -> Result<Pair, ItemError> {
    let turn = |role: &str, content: &str| Message {
        role: role.to_owned(),
        content: content.to_owned(),
    };
    let prompt = PromptText::Messages(vec![
        turn(
            "user",
            "My bread is dense. I use 500 g flour and 350 g water.",
        ),
        turn(
            "assistant",
            "How long do you let it rise, and how warm is the room?",
        ),
        turn(
            "user",
            "4 hours at 18 °C. 外の皮は硬いです。 What should I change first?",
        ),
    ]);
    let answers = [
        "Let it rise longer. At 18 °C the dough needs 8 to 10 hours, until it has grown by half.\n\n\
         The crust is hard because the loaf stays in the oven too long: once the dough has risen, \
         bake it for 40 minutes at 230 °C.",
        "Dense bread can have many reasons! Here are some things that you could try:\n\n\
         1. Try another flour.\n2. Try more water.\n3. Let it rise longer.\n4. Use a hotter oven.\n\
         5. Knead it more.",
    ];
    let candidates = answers.map(|text| Candidate::new(text.to_owned(), "policy"));
    let selector = Selector {
        name: "all".to_owned(),
        score: None,
        seed: 0,
    };
    let prompt = Prompt::new(None, prompt)?;
    Ok(Pair {
        item: Item::new("round-3", 3, prompt, candidates.to_vec(), selector)?,
        slot: 0,
        purpose: Purpose::Train,
        sides: vec![0, 1],
        order_seed: 0,
    })
}

/// The screen after a comment was written.
fn screen() -> Result<Buffer, ItemError> {
    let setup = Setup {
        theme: Theme::DARK,
        ..Setup::new("ann_7f3a".to_owned())
    };
    let mut app = App::new(setup, SIZE, 0);
    let desk = Desk {
        pairs: vec![pair()?; 588],
        judged: 412,
        ..Desk::default()
    };
    update(&mut app, Event::Opened(desk, 0));
    let comment = "B ignores the 18 °C clue".chars().map(Key::Char);
    let keys = [Key::Char('c')]
        .into_iter()
        .chain(comment)
        .chain([Key::Enter]);
    for (at, key) in keys.enumerate() {
        update(&mut app, Event::Key(key, 1000 + at as u64));
    }
    let mut buffer = Buffer::empty(Rect::new(0, 0, SIZE.0, SIZE.1));
    draw(&app, &mut buffer);
    Ok(buffer)
}

/// The colours of the theme, as a terminal with 256 of them shows them.
fn colour(colour: Color) -> &'static str {
    match colour {
        Color::Indexed(111) => "#87afff",
        Color::Indexed(115) => "#87d7af",
        Color::Indexed(117) => "#87d7ff",
        Color::Indexed(221) => "#ffd75f",
        Color::Indexed(244) => "#808080",
        _ => TEXT,
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

fn write_cell(svg: &mut String, cell: &Cell, x: u16, y: u16) {
    let (left, top) = (f64::from(x) * CELL.0, f64::from(y) * CELL.1);
    let (mut ink, paper) = (colour(cell.fg), colour(cell.fg));
    let wide = f64::from(cell.cell_width().max(1)) * CELL.0;
    if cell.modifier.contains(Modifier::REVERSED) {
        ink = BACKGROUND;
        let _ = write!(
            svg,
            r#"<rect x="{left:.1}" y="{top:.1}" width="{wide:.1}" height="{}" fill="{paper}"/>"#,
            CELL.1
        );
    }
    if cell.symbol() == " " {
        return;
    }
    let mut style = String::new();
    if cell.modifier.contains(Modifier::BOLD) {
        style.push_str(r#" font-weight="bold""#);
    }
    if cell.modifier.contains(Modifier::UNDERLINED) {
        style.push_str(r#" text-decoration="underline""#);
    }
    let text = escaped(cell.symbol());
    let baseline = top + CELL.1 * 0.75;
    let _ = write!(
        svg,
        r#"<text x="{left:.1}" y="{baseline:.1}" fill="{ink}" textLength="{wide:.1}"{style}>{text}</text>"#
    );
}

fn main() -> Result<(), ItemError> {
    let buffer = screen()?;
    let (width, height) = (f64::from(SIZE.0) * CELL.0, f64::from(SIZE.1) * CELL.1);
    let mut svg = format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0} {height:.0}" font-family="DejaVu Sans Mono, Menlo, Consolas, Noto Sans Mono CJK JP, monospace" font-size="14"><rect width="100%" height="100%" rx="6" fill="{BACKGROUND}"/>"#
    );
    for y in 0..SIZE.1 {
        let mut x = 0;
        while x < SIZE.0 {
            let cell = &buffer[(x, y)];
            write_cell(&mut svg, cell, x, y);
            x += cell.cell_width().max(1);
        }
        svg.push('\n');
    }
    println!("{svg}</svg>");
    Ok(())
}
