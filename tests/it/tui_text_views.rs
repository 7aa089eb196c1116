//! The other views of a text: Markdown rendered, words that differ, matches; and their styles.

use ratatui::style::{Color, Modifier, Style};
use rlhf::tui::text::document::Document;
use rlhf::tui::text::row::{Mark, Marks};
use rlhf::tui::text::{diff, find, markdown};
use rlhf::tui::theme::Theme;

fn rendered(text: &str, width: usize) -> Vec<String> {
    let rows = markdown::rows(text, width);
    rows.iter()
        .map(|row| row.text().trim_end().to_owned())
        .collect()
}

/// The spans of the first row with their marks.
fn spans(document: Document) -> Vec<(String, Vec<Mark>)> {
    let rows = document.rows(80);
    let spans = rows[0].spans.iter();
    spans
        .map(|span| (span.text.clone(), span.marks.iter().collect()))
        .collect()
}

fn marked(text: &str, marks: &[Mark]) -> (String, Vec<Mark>) {
    (text.to_owned(), marks.to_vec())
}

#[test]
fn markdown_keeps_its_shape_in_text() {
    let text = "# Title\nA *word* and\n**two** lines.\n\n- one\n- two\n  1. inner\n\n> quoted text that is longer\n\n\
                ```rust\nlet x = 1;\n\n    deep();\n```\nend";
    assert_eq!(
        rendered(text, 20),
        [
            "# Title",
            "",
            "A word and",
            "two lines.",
            "",
            "• one",
            "• two",
            "  1. inner",
            "",
            "│ quoted text that",
            "│ is longer",
            "",
            "```rust",
            "let x = 1;",
            "",
            "    deep();",
            "```",
            "",
            "end",
        ]
    );
}

#[test]
fn every_link_definition_is_listed_the_second_of_a_label_too() {
    let twice = "[a]: http://one.example\n[a]: http://two.example \"Two\"\n\nSee [a], [b](http://c.example \"t]:\").\n";
    assert_eq!(
        rendered(twice, 90),
        [
            "See a (http://one.example), b (http://c.example \"t]:\").",
            "",
            "[a]: http://one.example",
            "[a]: http://two.example \"Two\"",
        ]
    );
    let inside = "text\n\n> [a]: http://one.example\n>\n> quoted\n\n- item\n- [A]: http://three.example\n\n[x]: y\n";
    let shown = rendered(inside, 90).join("\n");
    for definition in [
        "[a]: http://one.example",
        "[A]: http://three.example",
        "[x]: y",
    ] {
        assert_eq!(
            shown.matches(definition).count(),
            1,
            "{definition} in\n{shown}"
        );
    }
    assert_eq!(rendered("a [b]: c", 90), ["a [b]: c"], "no definition");
}

#[test]
fn list_text_is_indented_and_code_breaks_where_the_row_is_full() {
    assert_eq!(
        rendered("- a list item that wraps", 20),
        ["• a list item that", "  wraps"]
    );
    assert_eq!(
        rendered("```\nlet name = value;\n```", 12),
        ["```", "let name = v", "alue;", "```"]
    );
    assert_eq!(
        rendered("1. a\n\n   b\n2. c", 20),
        ["1. a", "", "   b", "", "2. c"]
    );
}

#[test]
fn nothing_that_was_written_is_hidden() {
    let cases = [
        (
            "[here](http://evil.example \"title\")",
            "here (http://evil.example \"title\")",
        ),
        ("<http://auto.example>", "http://auto.example"),
        ("![alt](pic.png)", "image: alt (pic.png)"),
        ("<!-- hidden -->", "<!-- hidden -->"),
        ("a <b>c</b>", "a <b>c</b>"),
        ("[unused]: http://x.example", "[unused]: http://x.example"),
        ("| a | b |", "| a | b |"),
        ("~~gone~~ `x`", "~~gone~~ `x`"),
        ("- [x] done", "• [x] done"),
        ("&#27;[31m &#8238;x", "␛[31m ⟨U+202E⟩x"),
    ];
    for (text, shown) in cases {
        assert_eq!(rendered(text, 80), [shown], "{text}");
    }
}

#[test]
fn markdown_marks_can_lie_over_each_other() {
    assert_eq!(
        spans(markdown::document("# a *b **c*** `d`")),
        [
            marked("# ", &[Mark::Structure]),
            marked("a ", &[Mark::Heading]),
            marked("b ", &[Mark::Heading, Mark::Emphasis]),
            marked("c", &[Mark::Heading, Mark::Strong, Mark::Emphasis]),
            marked(" ", &[Mark::Heading]),
            marked("`", &[Mark::Structure, Mark::Heading]),
            marked("d", &[Mark::Heading, Mark::Code]),
            marked("`", &[Mark::Structure, Mark::Heading]),
        ]
    );
    assert_eq!(
        spans(markdown::document("*e*\u{301}x")),
        [marked("e\u{301}", &[Mark::Emphasis]), marked("x", &[])],
        "half a grapheme cannot be drawn"
    );
}

#[test]
fn both_sides_of_a_diff_look_alike() {
    let [a, b] = ["Rest it for 40 minutes.", "Rest it 45 minutes."].map(Document::raw);
    let [in_a, in_b] = diff::words(a.text(), b.text());
    assert_eq!(
        spans(a.mark(&in_a, Mark::Differs)),
        [
            marked("Rest it ", &[]),
            marked("for 40", &[Mark::Differs]),
            marked(" minutes.", &[])
        ]
    );
    assert_eq!(
        spans(b.mark(&in_b, Mark::Differs)),
        [
            marked("Rest it ", &[]),
            marked("45", &[Mark::Differs]),
            marked(" minutes.", &[])
        ]
    );
}

#[test]
fn matches_are_marked_in_the_rendered_text_too() {
    let document = markdown::document("- Say **hel**lo");
    let found = find::matches(document.text(), "HELLO");
    let rows = document.mark(&found, Mark::Match).rows(40);
    let place = find::places(&rows, &found[0]).remove(0);
    assert_eq!((place.row, place.columns), (0, 6..11));
    let last = rows[0].spans.last().unwrap();
    assert_eq!(
        (last.text.as_str(), last.marks.has(Mark::Match)),
        ("lo", true)
    );
}

#[test]
fn without_colour_what_matters_still_stands_out() {
    let plain = Theme::PLAIN;
    for mark in [
        Mark::Control,
        Mark::Differs,
        Mark::Match,
        Mark::CurrentMatch,
        Mark::Heading,
    ] {
        let style = plain.marked(Marks::default().with(mark));
        assert!(!style.add_modifier.is_empty(), "{mark:?}");
        assert_eq!((style.fg, style.bg), (None, None), "{mark:?}");
    }
    assert_eq!(plain.marked(Marks::default()), Style::new());
    let both = Marks::default().with(Mark::Strong).with(Mark::Match);
    let style = Theme::TERMINAL.marked(both);
    assert_eq!(style.add_modifier, Modifier::BOLD | Modifier::REVERSED);
    let code = Theme::TERMINAL.marked(Marks::default().with(Mark::Code));
    assert_eq!(code.fg, Some(Color::Cyan));
}
