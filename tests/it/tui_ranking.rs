//! Ranking three to nine answers.

use rlhf::feedback::record::{Layout, Scale};
use rlhf::tui::label::scale::Decision;
use rlhf::tui::label::state::{Pair, Screen, Setup};

use crate::tui_stage::{Stage, pair, ranking, setup};

const SPLIT: (u16, u16) = (120, 36);

fn four() -> Pair {
    ranking("Name a city.", &["Paris", "Bread", "Rome", "Oslo"])
}

fn stage() -> Stage {
    Stage::new(setup(), SPLIT, vec![four(), pair("q", "a", "b")])
}

#[test]
fn digits_rank_the_answer_on_the_screen_and_go_on_to_the_next() {
    let mut stage = stage();
    stage.press("1 4 2");
    assert_eq!(stage.app.ranks().describe(), "A > C > B");
    assert_eq!(stage.app.view.side, 3);
    stage.press("<enter>");
    assert_eq!(
        stage.app.hint,
        "Answer D has no rank yet: a digit gives it one."
    );
    stage.press("2 <enter>");
    assert_eq!(stage.describe(), "Judging q done[A > C = D > B] redo[]");
    let draft = &stage.drafts[0];
    assert_eq!(
        (draft.scale, draft.display.layout),
        (Scale::KWay, Layout::List)
    );
    assert_eq!(draft.display.viewed.len(), 4);
    assert!(draft.display.viewed.values().all(|&share| share == 1.0));
}

#[test]
fn answers_move_and_tie() {
    let mut stage = stage();
    stage.press("1 2 3 4 h J J =");
    let Some(Decision::Rank(ranks)) = stage.app.selected else {
        panic!("{:?}", stage.app.selected)
    };
    // Only three moves are left of D, the last: C was on the screen after h.
    assert_eq!(ranks.describe(), "A > B > D > C");
    stage.press("K = r");
    assert_eq!(stage.app.selected, None);
    assert_eq!(stage.app.view.side, 0);
}

#[test]
fn a_ranking_needs_every_answer_to_have_been_on_the_screen() {
    let mut stage = stage();
    stage.press("b");
    assert_eq!(
        stage.app.hint,
        "Answer B has not been on the screen yet: Tab shows it."
    );
    stage.press("<tab> <tab> <tab> b");
    assert_eq!(stage.describe(), "Judging q done[both bad] redo[]");
    assert_eq!(stage.drafts[0].scale, Scale::KWay);
}

#[test]
fn undo_shows_the_ranking_again() {
    let mut stage = stage();
    stage.press("4 3 2 1 <enter> u");
    assert_eq!(stage.app.ranks().describe(), "D > C > B > A");
    stage.press("<enter>");
    assert_eq!(stage.describe(), "Judging q done[D > C > B > A] redo[]");
}

#[test]
fn ranks_beyond_the_last_answer_do_not_exist() {
    let mut stage = stage();
    stage.press("5");
    assert_eq!(stage.app.hint, "There are only 4 ranks.");
    assert_eq!(stage.app.selected, None);
}

#[test]
fn pairs_and_rankings_have_keys_of_their_own() {
    let careful = Setup {
        auto_commit: false,
        ..setup()
    };
    let mut stage = Stage::new(careful, SPLIT, vec![pair("q", "a", "b"), four()]);
    stage.press("r");
    assert!(stage.app.hint.starts_with("Two answers are judged"));
    stage.press("7 <enter> a");
    assert_eq!(
        stage.describe(),
        "Ranking Name a city. done[B slightly better] redo[]"
    );
}

#[test]
fn undo_brings_back_a_ranking_that_was_wiped_and_only_then_a_judgement() {
    let mut stage = Stage::new(setup(), SPLIT, vec![pair("q", "a", "b"), four()]);
    stage.press("7 2 1 r");
    assert_eq!(stage.app.selected, None);
    assert_eq!(
        stage.app.hint,
        "No answer has a rank; undo brings the ranking back."
    );
    stage.press("u");
    assert_eq!(stage.app.ranks().describe(), "B > A");
    assert_eq!(stage.app.view.side, 2, "the first without a rank");
    assert_eq!(stage.app.done.len(), 1, "the judgement stands");
    stage.press("u");
    assert_eq!(stage.app.done.len(), 0);
    // What was begun since the wiping is not overwritten.
    stage.press("U r 3 u");
    assert!(
        stage.describe().starts_with("Judging q done[]"),
        "{}",
        stage.describe()
    );
}

#[test]
fn aspects_are_not_offered_where_the_record_cannot_carry_them() {
    let mut stage = stage();
    stage.press("a");
    assert_eq!(stage.app.screen, Screen::Judging);
    assert!(stage.screen().contains("Aspects compare two answers"));
    stage.press("1 2 3 4 <enter>");
    assert!(stage.drafts[0].remarks.aspects.is_empty());
}
