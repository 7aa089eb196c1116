//! Text made safe to draw: what hostile model output looks like, and that it always fits.

use proptest::prelude::*;
use ratatui::buffer::{Buffer, CellWidth};
use ratatui::layout::Rect;
use ratatui::style::Style;
use rlhf::tui::text::document::Document;
use rlhf::tui::text::graphemes::clusters;
use rlhf::tui::text::row::Mark;
use rlhf::tui::text::{columns, fit, sanitise};
use unicode_segmentation::UnicodeSegmentation;

/// The width as ratatui will draw it, measured independently of `text::columns`.
fn drawn_width(row: &str) -> usize {
    let cells = row.graphemes(true).map(|g| usize::from(g.cell_width()));
    cells.sum()
}

/// The rows of a text without their marks.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let rows = rlhf::tui::text::wrap(text, width);
    rows.iter().map(ToString::to_string).collect()
}

#[test]
fn control_and_hidden_characters_become_visible_marks() {
    let cases = [
        ("\u{1b}[31mred", "␛[31mred"),
        ("\u{1b}]0;title\u{7}", "␛]0;title␇"),
        ("a\tb\tcd", "a   b   cd"),
        ("\t中\tx", "    中  x"),
        ("one\r\ntwo\rthree\r", "one\ntwo␍three␍"),
        ("del\u{7f} nel\u{85}", "del␡ nel⟨U+0085⟩"),
        ("\u{202e}evil\u{2066}", "⟨U+202E⟩evil⟨U+2066⟩"),
        ("ze\u{200b}ro\u{feff}", "ze⟨U+200B⟩ro⟨U+FEFF⟩"),
        ("a\u{200d}b", "a⟨U+200D⟩b"),
        ("soft\u{ad}hyphen\u{2028}", "soft⟨U+00AD⟩hyphen⟨U+2028⟩"),
        ("tag\u{e0041}\u{e0042}", "tag⟨U+E0041⟩⟨U+E0042⟩"),
        ("\u{200b}🏽", "⟨U+200B⟩◌🏽"),
        ("\u{1161}🏽", "⟨U+1161⟩⟨U+1F3FD⟩"),
        ("\u{301}accent", "◌\u{301}accent"),
        ("\u{200b}\u{301}", "⟨U+200B⟩◌\u{301}"),
        ("中\u{200d}国 👩\u{200d}", "中⟨U+200D⟩国 👩⟨U+200D⟩"),
        ("é\u{fe0f}", "é⟨U+FE0F⟩"),
        ("\u{e000}\u{ffff}\u{10ffff}", "⟨U+E000⟩⟨U+FFFF⟩⟨U+10FFFF⟩"),
        ("\u{fff9}a\u{fffa}b\u{fffb}", "⟨U+FFF9⟩a⟨U+FFFA⟩b⟨U+FFFB⟩"),
    ];
    for (input, shown) in cases {
        assert_eq!(sanitise(input), shown, "{input:?}");
    }
}

#[test]
fn honest_emoji_and_scripts_stay_whole() {
    for text in [
        "👩\u{200d}👩\u{200d}👧\u{200d}👦",
        "❤\u{fe0f} 1\u{fe0f}\u{20e3} 🇯🇵 👍🏽",
        "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}",
        "葛\u{e0100}城 ᠠ\u{180b}",
        "می\u{200c}خواهم क्\u{200d}ष e\u{301} 外の皮は硬いです。",
    ] {
        assert_eq!(sanitise(text), text);
    }
}

#[test]
fn a_tower_of_accents_is_cut_and_counted() {
    let tower = format!("e{}", "\u{301}".repeat(1000));
    let shown = format!("e{}⟨+985⟩", "\u{301}".repeat(15));
    assert_eq!(sanitise(&tower), shown);
}

#[test]
fn rows_break_at_spaces_and_keep_indentation_and_blank_lines() {
    assert_eq!(wrap("the quick brown fox", 10), ["the quick ", "brown fox"]);
    assert_eq!(
        wrap("    let x = 1;\n\nend", 9),
        ["    let x", "= 1;", "", "end"]
    );
    assert_eq!(
        wrap("      verylongword", 8),
        ["      ve", "rylongwo", "rd"]
    );
    assert_eq!(wrap("exact fit", 5), ["exact", "fit"]);
    assert_eq!(wrap("", 5), [""]);
}

#[test]
fn wide_text_breaks_between_characters_but_not_before_a_full_stop() {
    assert_eq!(
        wrap("外の皮は硬いです。", 6),
        ["外の皮", "は硬い", "です。"]
    );
    assert_eq!(wrap("皮は硬い。", 8), ["皮は硬", "い。"]);
    assert_eq!(wrap("see 外の皮", 7), ["see 外", "の皮"]);
    assert_eq!(wrap("🎉🎉🎉", 5), ["🎉🎉", "🎉"]);
    assert_eq!(wrap("中a", 1), ["\u{fffd}", "a"]);
    assert_eq!(
        wrap("\u{1100}\u{1100}\u{1100}", 5),
        ["\u{1100}\u{1100}", "\u{1100}"]
    );
}

#[test]
fn what_stands_for_a_character_is_marked_as_such() {
    let rows = Document::raw("a\u{1b}[31m ⟨U+202E⟩ \u{202e}b").rows(80);
    let spans = rows[0].spans.iter();
    let spans: Vec<_> = spans
        .map(|s| (s.text.as_str(), s.marks.has(Mark::Control)))
        .collect();
    assert_eq!(
        spans,
        [
            ("a", false),
            ("␛", true),
            ("[31m ⟨U+202E⟩ ", false),
            ("⟨U+202E⟩", true),
            ("b", false)
        ]
    );
}

#[test]
fn a_megabyte_in_one_line_is_wrapped_without_loss() {
    let long = "abcde fghij ".repeat(90_000);
    let rows = wrap(&long, 57);
    assert!(rows.iter().all(|row| columns(row) <= 57));
    let letters = |text: &str| text.chars().filter(|c| *c != ' ').count();
    assert_eq!(rows.iter().map(|row| letters(row)).sum::<usize>(), 900_000);
    assert_eq!(wrap(&"x".repeat(1_000_000), 50).len(), 20_000);
}

#[test]
fn a_text_too_long_for_its_place_ends_in_an_ellipsis() {
    assert_eq!(fit("batch", 5), "batch");
    assert_eq!(fit("batches", 5), "batc…");
    assert_eq!(fit("外の皮", 5), "外の…");
    assert_eq!(fit("ab", 0), "");
}

/// Text from the characters that break terminals, mixed with ordinary ones.
fn hostile() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "a",
        " ",
        "word",
        "\t",
        "\n",
        "\r",
        "\u{1b}[2J",
        "\u{9b}",
        "\0",
        "\u{202e}",
        "\u{2067}",
        "\u{200b}",
        "\u{200d}",
        "\u{fe0f}",
        "\u{301}",
        "\u{20e3}",
        "👩",
        "🏽",
        "🇩",
        "🇪",
        "中",
        "。",
        "ｶ",
        "\u{ff9e}",
        "ᄀ",
        "\u{1161}",
        "\u{11a8}",
        "क",
        "\u{94d}",
        "\u{600}",
        "\u{e0041}",
        "\u{3164}",
        "\u{3000}",
        "\u{a0}",
        "ﷺ",
        "لا",
        "🏴",
    ]);
    let piece = prop_oneof![
        4 => pieces.prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..80).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn wrapped_rows_fit_and_are_printable(text in hostile(), width in 1_usize..70) {
        for row in wrap(&text, width) {
            prop_assert!(drawn_width(&row) <= width, "{row:?} in {width}");
            prop_assert!(!row.contains(char::is_control), "{row:?}");
            prop_assert!(row.graphemes(true).all(|g| g.cell_width() > 0), "{row:?}");
        }
    }

    #[test]
    fn clusters_are_those_of_the_unicode_standard(text in hostile()) {
        let ours: Vec<_> = clusters(&text).collect();
        prop_assert_eq!(ours, text.graphemes(true).collect::<Vec<_>>());
    }

    #[test]
    fn rows_together_are_the_sanitised_text(text in hostile(), width in 2_usize..70) {
        let document = Document::raw(&text);
        prop_assert_eq!(document.text(), sanitise(&text));
        let mut end = 0;
        for row in document.rows(width) {
            let between = &document.text()[end..row.at.start];
            prop_assert!(between.chars().all(|c| " \n".contains(c)), "{between:?} was left out");
            prop_assert_eq!(row.text(), &document.text()[row.at.clone()]);
            end = row.at.end;
        }
        let after = &document.text()[end..];
        prop_assert!(after.chars().all(|c| c == ' '), "{after:?} was left out");
    }

    #[test]
    fn drawing_a_wrapped_row_stays_in_its_columns(text in hostile(), width in 1_u16..40) {
        for row in wrap(&text, usize::from(width)) {
            let mut buffer = Buffer::empty(Rect::new(0, 0, width + 2, 1));
            let (end, _) = buffer.set_stringn(0, 0, &row, usize::from(width), Style::new());
            prop_assert_eq!(usize::from(end), drawn_width(&row));
        }
    }

    #[test]
    fn sanitising_twice_changes_nothing_more(text in hostile()) {
        let once = sanitise(&text);
        prop_assert_eq!(sanitise(&once), once);
    }

    #[test]
    fn fitted_text_fits(text in hostile(), width in 0_usize..30) {
        prop_assert!(drawn_width(&fit(&sanitise(&text).replace('\n', " "), width)) <= width);
    }
}
