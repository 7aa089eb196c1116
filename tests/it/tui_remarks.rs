//! What is said beside a judgement: comment, flags, aspects; and pairs that are put at the end.

use std::collections::BTreeMap;

use rlhf::tui::label::field::Field;
use rlhf::tui::label::state::{Ending, Screen, Setup};
use rlhf::tui::label::update::{Effect, Event};

use crate::tui_stage::{Stage, pair, pairs, setup};

const SPLIT: (u16, u16) = (120, 36);

fn stage() -> Stage {
    Stage::new(setup(), SPLIT, pairs(3))
}

#[test]
fn a_comment_left_with_esc_comes_back_with_the_next_c_and_goes_with_the_pair() {
    let mut stage = Stage::new(setup(), (120, 36), pairs(2));
    stage.press("c").write("kept").press("<enter> c");
    stage.write(" and more").press("<esc>");
    assert_eq!(stage.app.remarks.note, "kept");
    let c = "The comment is as it was; c brings back what was typed.";
    assert_eq!(stage.app.hint, c);
    assert!(stage.press("c").screen().contains("kept and more▏"));
    stage.press("<esc> 3 c");
    assert_eq!(stage.drafts[0].remarks.note, "kept");
    assert_eq!(stage.app.screen, Screen::Note(Field::new("")));
    // Nothing was typed: nothing is said.
    assert_eq!(stage.press("<esc>").app.hint, "");
}

#[test]
fn a_comment_is_saved_with_the_judgement_and_is_gone_with_the_next_pair() {
    let mut stage = stage();
    stage.press("c").write("B ignores q and u").press("<enter>");
    assert_eq!(
        stage.app.hint,
        "The comment is saved together with the judgement."
    );
    assert!(stage.screen().contains("c comment: \"B ignores q and u\""));
    stage.press("3 7");
    assert_eq!(stage.drafts[0].remarks.note, "B ignores q and u");
    assert_eq!(stage.drafts[1].remarks.note, "");
}

#[test]
fn undo_brings_the_comment_back_and_redo_writes_it_again() {
    let mut stage = stage();
    stage.press("c").write("why").press("<enter> F 1 <esc> 3 u");
    assert_eq!(stage.app.remarks.note, "why");
    assert_eq!(stage.app.remarks.flags, ["unsafe"]);
    stage.press("U");
    let again = &stage.drafts[2].remarks;
    assert_eq!(
        (again.note.as_str(), again.flags.as_slice()),
        ("why", &["unsafe".to_owned()][..])
    );
}

#[test]
fn escape_leaves_the_comment_as_it_was() {
    let mut stage = stage();
    stage
        .press("c")
        .write("one")
        .press("<enter> c")
        .write(" two")
        .press("<esc>");
    assert_eq!(stage.app.remarks.note, "one");
    assert_eq!(stage.app.screen, Screen::Judging);
}

#[test]
fn a_comment_has_lines_and_takes_what_is_pasted() {
    let mut stage = stage();
    stage.press("c").write("one").press("<ctrl-j>");
    stage.event(Event::Paste("1959\r\nu b".into(), 9_000));
    stage.press("<enter> 3");
    assert_eq!(stage.drafts[0].remarks.note, "one\n1959\nu b");
    assert_eq!(stage.drafts.len(), 1);
}

#[test]
fn pasted_text_is_never_keys() {
    let mut stage = stage();
    stage.event(Event::Paste("3 7 b\n".into(), 1_000));
    assert_eq!(stage.describe(), "Judging question 1 done[] redo[]");
    assert!(stage.app.hint.starts_with("Pasted text is ignored here"));
}

#[test]
fn the_editor_gets_the_comment_and_gives_it_back() {
    let mut stage = stage();
    stage.press("c").write("short").press("<ctrl-o>");
    assert_eq!(stage.effects, [Effect::Edit("short".into())]);
    stage.event(Event::Edited(Ok("long\ntext\n".into()), 9_000));
    stage.press("<enter> 3");
    assert_eq!(stage.drafts[0].remarks.note, "long\ntext");
}

#[test]
fn an_editor_that_fails_or_writes_a_book_leaves_the_comment() {
    let mut stage = stage();
    stage.press("c").write("kept");
    stage.event(Event::Edited(Err("vim: not found".into()), 9_000));
    assert_eq!(stage.app.hint, "The editor failed: vim: not found");
    stage.event(Event::Edited(Ok("x".repeat(8_001)), 9_500));
    assert!(stage.app.hint.contains("longer than 8000 bytes"));
    stage.press("<enter>");
    assert_eq!(stage.app.remarks.note, "kept");
}

#[test]
fn flags_are_set_by_digit_and_by_cursor() {
    let mut stage = stage();
    stage.press("F 2 j <space> k k <space> <space> <enter> 5");
    assert_eq!(
        stage.drafts[0].remarks.flags,
        ["off-topic", "personal-data"]
    );
    let none = Setup {
        flags: vec![],
        ..setup()
    };
    let mut stage = Stage::new(none, SPLIT, pairs(1));
    stage.press("F");
    assert_eq!(stage.app.hint, "This project has no flags.");
}

#[test]
fn aspects_are_graded_one_after_the_other() {
    let mut stage = stage();
    stage.press("a 1 5 9 k x <enter> 3");
    let aspects = &stage.drafts[0].remarks.aspects;
    let expected = BTreeMap::from([("harmless".to_owned(), -4), ("helpful".to_owned(), 4)]);
    assert_eq!(*aspects, expected);
}

#[test]
fn aspects_are_recorded_by_candidate_and_not_by_side() {
    let mut flipped = pair("q", "first", "second");
    flipped.sides = vec![1, 0];
    let mut stage = Stage::new(setup(), SPLIT, vec![flipped]);
    stage.press("a 2 <enter> 3");
    let draft = &stage.drafts[0];
    let recorded = draft.remarks.recorded_aspects(&draft.pair);
    assert_eq!(recorded, BTreeMap::from([("helpful".to_owned(), -3)]));
}

#[test]
fn deferring_puts_a_pair_at_the_end_and_can_be_taken_back() {
    let mut stage = stage();
    stage.press(">");
    assert_eq!(
        stage.describe(),
        "Judging question 2 done[put at the end] redo[]"
    );
    assert_eq!((stage.app.judged(), stage.app.total()), (0, 3));
    stage.press("3 3");
    assert!(stage.describe().starts_with("Judging question 1 "));
    assert_eq!((stage.app.judged(), stage.app.total()), (2, 3));
    assert_eq!(
        stage.app.counts(),
        "2 judged (2 preferred, 1 put at the end)"
    );
    stage.press("u u u");
    assert!(stage.describe().starts_with("Judging question 1 done[]"));
    assert_eq!(stage.app.queue.len(), 3);
    stage.press("U");
    assert!(stage.describe().starts_with("Judging question 2 "));
}

#[test]
fn a_comment_made_after_an_undo_is_kept_by_redo() {
    let mut stage = Stage::new(setup(), (120, 36), pairs(2));
    stage
        .press("3 u c")
        .write("on second thoughts")
        .press("<enter> U");
    assert_eq!(
        stage.drafts.last().unwrap().remarks.note,
        "on second thoughts"
    );
}

#[test]
fn undo_keeps_what_was_begun_and_redo_what_was_said() {
    let mut stage = Stage::new(setup(), (120, 36), pairs(3));
    stage
        .press("c")
        .write("one")
        .press("<enter> 3 c")
        .write("two")
        .press("<enter> 7 c");
    stage.write("begun").press("<enter> u u U U");
    let notes: Vec<&str> = stage
        .drafts
        .iter()
        .map(|draft| draft.remarks.note.as_str())
        .collect();
    assert_eq!(notes, ["one", "two", "", "", "one", "two"]);
    assert_eq!(stage.app.remarks.note, "begun");
    stage.press("5");
    assert_eq!(stage.drafts.last().unwrap().remarks.note, "begun");
}

#[test]
fn a_terminal_that_became_too_small_loses_no_comment() {
    let mut stage = Stage::new(setup(), SPLIT, pairs(1));
    stage.press("c").write("B forgets the s");
    stage.event(Event::Resize(30, 8));
    assert!(
        stage.screen().contains("writing is kept"),
        "{}",
        stage.screen()
    );
    stage.write("q");
    assert_eq!(stage.effects, [], "q is a letter here");
    stage.event(Event::Resize(120, 36));
    stage.write("alt").press("<enter>");
    assert_eq!(stage.app.remarks.note, "B forgets the salt");
    stage.event(Event::Resize(30, 8));
    stage.write("q");
    assert_eq!(stage.effects, [Effect::Quit(Ending::Quit)]);
}
