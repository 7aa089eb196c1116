//! What stands beside the text: that there is more to read, and what was said.

use crate::tui_stage::{Stage, pair, setup};

/// The first row of the screen that has this in it.
fn row_with(stage: &Stage, text: &str) -> String {
    let screen = stage.screen();
    let row = screen.lines().find(|row| row.contains(text));
    row.unwrap_or_else(|| panic!("no {text:?} in:\n{screen}"))
        .to_owned()
}

#[test]
fn text_from_right_to_left_says_that_there_is_more_of_it() {
    let long = "שלום עולם\n".repeat(64).trim_end().to_owned();
    let split = Stage::new(setup(), (120, 36), vec![pair("q", &long, "b")]);
    let titles = row_with(&split, " A · ");
    assert!(
        titles.contains("right-to-left, in logical order"),
        "{titles}"
    );
    assert!(titles.contains("/64 ▼"), "{titles}");
    for size in [(80, 24), (40, 12)] {
        let flip = Stage::new(setup(), size, vec![pair(&long, &long, "b")]);
        let more = flip.screen().matches("/64 ▼").count();
        assert_eq!(more, 2, "prompt and answer at {size:?}:\n{}", flip.screen());
    }
}

#[test]
fn a_long_comment_hides_no_flag() {
    for size in [(80, 24), (60, 20), (40, 16)] {
        let mut stage = Stage::new(setup(), size, vec![pair("q", "a", "b")]);
        stage.press("c");
        stage.write("a comment of more than thirty characters, as comments are");
        stage.press("<enter>");
        let before = row_with(&stage, "\"a ");
        stage.press("F 1 <esc>");
        let after = row_with(&stage, "\"a ");
        assert_ne!(before, after, "{size:?}");
        assert!(after.contains("unsafe"), "{after}");
    }
    let mut stage = Stage::new(setup(), (80, 24), vec![pair("q", "a", "b")]);
    stage.press("c");
    stage.write("short");
    stage.press("<enter> F 1 <esc>");
    assert!(row_with(&stage, "both bad").contains("comment: \"short\""));
    assert!(row_with(&stage, "both bad").contains("flags: unsafe"));
}
