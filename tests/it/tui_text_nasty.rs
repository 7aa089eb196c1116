//! Text torture: 493 strings of our own in `fixtures/nasty_strings.jsonl`, after the idea of the Big
//! List of Naughty Strings, through every path that leads to the terminal.

use std::cell::RefCell;
use std::io::{self, Write};
use std::path::Path;
use std::rc::Rc;

use proptest::prelude::*;
use ratatui::backend::CrosstermBackend;
use ratatui::buffer::CellWidth;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use rlhf::feedback::lines::Lines;
use rlhf::tui::label::draw::draw;
use rlhf::tui::text::document::Document;
use rlhf::tui::text::row::Mark;
use rlhf::tui::text::{Row, diff, find, markdown, sanitise, wrap};
use serde::Deserialize;
use unicode_segmentation::UnicodeSegmentation;

use crate::cli_support::rlhf;
use crate::tui_stage::{Stage, conversation, guidelines, pair, setup};

#[derive(Deserialize)]
pub struct Case {
    pub name: String,
    pub text: String,
}

pub fn corpus() -> Vec<Case> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/nasty_strings.jsonl");
    let mut lines = Lines::open(&path, 1 << 20).unwrap();
    let mut cases = Vec::new();
    while let Some(row) = lines.next_row().unwrap() {
        cases.push(row.parse().unwrap());
    }
    assert_eq!(cases.len(), 493);
    cases
}

/// The characters of the original that a document accounts for: each drawn one, and each one that a
/// mark names. Spaces and tabs are left out, and so is the dotted circle under a bare accent.
fn accounted_for(document: &Document, original: &str) -> String {
    let mut seen = String::new();
    let original: Vec<char> = compared(original).chars().collect();
    for (i, row) in document.rows(1 << 30).iter().enumerate() {
        if i > 0 {
            seen.push('\n');
        }
        for span in &row.spans {
            if !span.marks.has(Mark::Control) {
                seen.push_str(&compared(&span.text));
                continue;
            }
            let mut rest = span.text.as_str();
            while !rest.is_empty() {
                rest = read_mark(rest, &original, &mut seen);
            }
        }
    }
    seen
}

fn compared(text: &str) -> String {
    text.replace("\r\n", "\n")
        .replace([' ', '\t', '\u{25cc}'], "")
}

/// Adds what a mark stands for to `seen`; returns what follows the mark.
fn read_mark<'a>(text: &'a str, original: &[char], seen: &mut String) -> &'a str {
    let first = text.chars().next().unwrap();
    if let Some(number) = text.strip_prefix("⟨U+") {
        let (number, rest) = number.split_once('⟩').unwrap();
        let named = char::from_u32(u32::from_str_radix(number, 16).unwrap()).unwrap();
        // A space after a sign that stands before its letter, such as U+08E2, is named with it.
        seen.push_str(&compared(&named.to_string()));
        return rest;
    }
    if let Some(count) = text.strip_prefix("⟨+") {
        let (count, rest) = count.split_once('⟩').unwrap();
        let from = seen.chars().count();
        seen.extend(&original[from..from + count.parse::<usize>().unwrap()]);
        return rest;
    }
    seen.push(match first {
        '␡' => '\x7f',
        picture => char::from_u32(u32::from(picture) - 0x2400).unwrap(),
    });
    &text[first.len_utf8()..]
}

/// What is wrong with rows that are to be drawn in `width` columns.
fn fault(rows: &[Row], width: usize) -> Option<String> {
    rows.iter().find_map(|row| {
        let text = row.text();
        let columns: usize = text
            .graphemes(true)
            .map(|g| usize::from(g.cell_width()))
            .sum();
        let printable = !text.contains(char::is_control)
            && text.graphemes(true).all(|g| g.cell_width() > 0)
            && row.spans.iter().all(|span| !span.text.is_empty());
        (columns > width || !printable).then(|| format!("{row:?} in {width}"))
    })
}

fn without_spaces(text: &str) -> String {
    text.replace([' ', '\n'], "")
}

#[test]
fn every_character_is_shown_or_named_exactly_once() {
    for Case { name, text } in corpus() {
        let document = Document::raw(&text);
        assert_eq!(accounted_for(&document, &text), compared(&text), "{name}");
        assert_eq!(sanitise(document.text()), document.text(), "{name}: twice");
    }
}

#[test]
fn every_string_wraps_into_every_width() {
    for Case { name, text } in corpus() {
        for width in [1, 2, 3, 7, 38, 58, 118] {
            let rows = wrap(&text, width);
            assert_eq!(fault(&rows, width), None, "{name}");
            let together: String = rows.iter().map(Row::text).collect();
            if width > 1 {
                let whole = without_spaces(&sanitise(&text));
                assert_eq!(without_spaces(&together), whole, "{name} in {width}");
            }
            let rendered = markdown::rows(&text, width);
            assert_eq!(fault(&rendered, width), None, "{name} as Markdown");
        }
    }
}

#[test]
fn every_string_can_be_compared_and_found() {
    let cases = corpus();
    for (one, two) in cases.iter().zip(cases.iter().skip(1)) {
        let [a, b] = [&one.text, &two.text].map(|text| Document::raw(text));
        let [in_a, in_b] = diff::words(a.text(), b.text());
        let found = find::matches(a.text(), a.text());
        let expected = usize::from(!a.text().is_empty());
        assert_eq!(found.len(), expected, "{}: finds itself once", one.name);
        let rows = a
            .mark(&in_a, Mark::Differs)
            .mark(&found, Mark::Match)
            .rows(38);
        assert_eq!(fault(&rows, 38), None, "{}", one.name);
        assert_eq!(fault(&b.mark(&in_b, Mark::Differs).rows(38), 38), None);
    }
}

/// Everything that is written to a terminal.
#[derive(Clone, Default)]
struct Wire(Rc<RefCell<Vec<u8>>>);

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The bytes that the real backend sends to draw the stage.
pub fn bytes_of(stage: &Stage) -> Vec<u8> {
    let wire = Wire::default();
    let (width, height) = stage.app.size;
    let viewport = Viewport::Fixed(Rect::new(0, 0, width, height));
    let backend = CrosstermBackend::new(wire.clone());
    let mut terminal = Terminal::with_options(backend, TerminalOptions { viewport }).unwrap();
    terminal
        .draw(|frame| draw(&stage.app, frame.buffer_mut()))
        .unwrap();
    wire.0.take()
}

/// The first thing on the wire that our own drawing never sends: the backend moves the cursor
/// (`CSI H`), sets styles (`CSI m`) and hides the cursor (`CSI ? 25 l`), and prints.
pub fn foreign(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).unwrap();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let own = match c {
            '\x1b' => sequence(rest),
            '\u{61c}'
            | '\u{200b}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}' => None,
            _ => (!c.is_control()).then_some(c.len_utf8()),
        };
        let Some(length) = own else {
            return Some(format!("{:?}", rest.chars().take(20).collect::<String>()));
        };
        rest = &rest[length..];
    }
    None
}

/// The length of one of our own escape sequences.
fn sequence(text: &str) -> Option<usize> {
    if text.starts_with("\x1b[?25l") {
        return Some("\x1b[?25l".len());
    }
    let parameters = text.strip_prefix("\x1b[")?;
    let end = parameters.find(|c: char| !c.is_ascii_digit() && c != ';')?;
    parameters[end..].starts_with(['H', 'm']).then_some(end + 3)
}

#[test]
fn the_check_of_the_wire_sees_what_is_not_ours() {
    assert_eq!(
        foreign("\x1b[1;2H\x1b[38;5;4mtext 外\x1b[?25l".as_bytes()),
        None
    );
    for (bytes, seen) in [
        ("a\x1b[2Jb", "\"\\u{1b}[2Jb\""),
        ("\x1b]0;t\x07", "\"\\u{1b}]0;t\\u{7}\""),
        ("a\u{9b}2J", "\"\\u{9b}2J\""),
        ("\u{202e}", "\"\\u{202e}\""),
    ] {
        assert_eq!(foreign(bytes.as_bytes()).as_deref(), Some(seen));
    }
}

#[test]
fn no_byte_of_a_text_reaches_the_terminal_as_control() {
    for Case { name, text } in corpus() {
        let prompt = format!("Q {text}");
        let other = format!("{text} B");
        for size in [(120, 36), (80, 24), (40, 12)] {
            let mut nasty = setup();
            nasty.annotator.clone_from(&text);
            nasty.question.clone_from(&text);
            let pairs = [
                pair(&prompt, &other, &prompt),
                conversation(&[(&text, &prompt)], &prompt, &other),
            ];
            for pair in pairs {
                let stage = Stage::new(nasty.clone(), size, vec![pair]);
                assert_eq!(foreign(&bytes_of(&stage)), None, "{name} at {size:?}");
            }
        }
        let mut nasty = setup();
        nasty.guidelines = Some(guidelines(&text));
        let stage = Stage::new(nasty, (120, 36), vec![pair("q", "a", "b")]);
        assert_eq!(foreign(&bytes_of(&stage)), None, "{name} as guidelines");
    }
}

#[test]
fn the_rows_of_both_answers_are_on_the_screen() {
    for Case { name, text } in corpus() {
        let (a, b) = (format!("one {text}"), format!("two {text}"));
        let screen = Stage::new(setup(), (120, 36), vec![pair("q", &a, &b)]).screen();
        for answer in [a, b] {
            for row in wrap(&answer, 56).iter().take(10) {
                let row = row.text();
                assert!(
                    screen.contains(row.trim_end()),
                    "{name}: {row:?} in\n{screen}"
                );
            }
        }
    }
}

#[test]
fn a_megabyte_in_one_line_is_drawn_compared_and_searched() {
    let lines = [
        "x".repeat(1 << 20),
        "外".repeat(1 << 18),
        "\u{1b}[31m".repeat(1 << 16),
        "👩\u{200d}👧".repeat(1 << 15),
        "e\u{301}".repeat(1 << 17),
        "> ".repeat(1 << 17) + "\n" + &"lazy\n".repeat(1 << 14),
        "*a".repeat(1 << 17),
        "[".repeat(1 << 17),
    ];
    let other = "y z ".repeat(1 << 18);
    for line in &lines {
        let stage = Stage::new(setup(), (120, 36), vec![pair("q", line, &other)]);
        assert_eq!(foreign(&bytes_of(&stage)), None);
        let [a, b] = [line, &other].map(|text| Document::raw(text));
        let [_, in_b] = diff::words(a.text(), b.text());
        assert_eq!((in_b.len(), in_b[0].clone()), (1, 0..other.len() - 1));
        assert_eq!(find::matches(a.text(), "not there").len(), 0);
        assert_eq!(fault(&markdown::rows(line, 58), 58), None);
    }
}

#[test]
fn a_sign_before_its_letter_does_not_swallow_a_mark() {
    assert_eq!(sanitise("\u{110cd}\0"), "\u{110cd}\u{25cc}␀");
    assert_eq!(sanitise("\u{110cd}a"), "\u{110cd}a");
}

fn any_text() -> impl Strategy<Value = String> {
    let nasty: Vec<String> = corpus().into_iter().map(|case| case.text).collect();
    let piece = prop_oneof![
        2 => prop::sample::select(nasty).prop_map(|text| text.chars().take(12).collect()),
        2 => any::<char>().prop_map(String::from),
        1 => "[ \n*_`#>\\[\\]()|~0-9a-zé外-]{1,6}",
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn any_text_is_accounted_for(text in any_text()) {
        let document = Document::raw(&text);
        prop_assert_eq!(accounted_for(&document, &text), compared(&text));
    }

    #[test]
    fn any_markdown_fits_and_keeps_its_letters(text in any_text(), width in 1_usize..60) {
        prop_assert_eq!(fault(&markdown::rows(&text, width), width), None);
    }

    #[test]
    fn any_diff_names_whole_words_in_order(a in any_text(), b in any_text()) {
        let texts = [sanitise(&a), sanitise(&b)];
        let differing = diff::words(&texts[0], &texts[1]);
        let same: Vec<String> = texts.iter().zip(&differing).map(|(text, ranges)| {
            let (mut end, mut same) = (0, String::new());
            for range in ranges {
                assert!(end <= range.start && range.start < range.end, "{ranges:?}");
                same.push_str(&text[end..range.start]);
                end = range.end;
            }
            same + &text[end..]
        }).collect();
        let words = |text: &str| text.split_whitespace().collect::<String>();
        prop_assert_eq!(words(&same[0]), words(&same[1]), "what is not marked is equal");
    }

    #[test]
    fn any_match_is_where_the_screen_shows_it(text in any_text(), width in 2_usize..60) {
        let document = Document::raw(&text);
        let Some(query) = document.text().graphemes(true).find(|g| !g.trim().is_empty()) else {
            return Ok(());
        };
        let rows = document.rows(width);
        let found = find::matches(document.text(), &query.to_uppercase());
        for range in found.iter().chain(&find::matches(document.text(), query)) {
            for place in find::places(&rows, range) {
                prop_assert!(place.row < rows.len() && place.columns.end <= width);
            }
        }
        prop_assert!(find::matches(document.text(), query)[0].start <= document.text().find(query).unwrap());
    }
}

#[test]
fn what_a_command_quotes_from_a_file_cannot_move_the_cursor() {
    let folder = tempfile::tempdir().unwrap();
    let samples = folder.path().join("samples");
    std::fs::create_dir(&samples).unwrap();
    let row = "{\"\\u001b]0;title\\u0007\\u202e\": 1}\n";
    std::fs::write(samples.join("b.jsonl"), row).unwrap();
    for command in ["check", "stats"] {
        let (code, out, err) = rlhf(folder.path(), &["feedback", command]);
        assert_eq!(code, 1, "{command}: {out}{err}");
        assert!(
            (out.clone() + &err).contains("b.jsonl:1"),
            "{command}: {out}{err}"
        );
        let quiet = |c: char| !c.is_control() || c == '\n';
        assert!(out.chars().chain(err.chars()).all(quiet), "{out:?} {err:?}");
        assert!(!(out + &err).contains('\u{202e}'), "{command}");
    }
}
