//! The labelling screen's core: (state, keys, state).

use rlhf::feedback::record::{Layout, Purpose, Scale, Time};

use rlhf::tui::keys::Key;
use rlhf::tui::label::draft::Act;
use rlhf::tui::label::scale::Decision;
use rlhf::tui::label::state::{Desk, Ending, Pair, Screen, Setup};
use rlhf::tui::label::update::{Effect, Event};

use crate::tui_stage::{Stage, guidelines, pair, pairs, setup};

const SPLIT: (u16, u16) = (120, 36);
const FLIP: (u16, u16) = (80, 24);

/// Three short pairs side by side: keys → state.
fn check(keys: &str, after: &str) {
    let mut stage = Stage::new(setup(), SPLIT, pairs(3));
    assert_eq!(stage.press(keys).describe(), after, "after {keys:?}");
}

#[test]
fn digits_are_spatial() {
    check("", "Judging question 1 done[] redo[]");
    check("1", "Judging question 2 done[A much better] redo[]");
    check(
        "4 6",
        "Judging question 3 done[A barely better, B barely better] redo[]",
    );
    check("5 2 8", "Done - done[tie, A better, B better] redo[]");
}

#[test]
fn tie_both_bad_and_cannot_judge_are_three_facts() {
    check("5", "Judging question 2 done[tie] redo[]");
    check("b", "Judging question 2 done[both bad] redo[]");
    check("0", "Reason question 1 done[] redo[]");
    check(
        "0 2",
        "Judging question 2 done[cannot judge: it is in a language I do not read well] redo[]",
    );
    check("0 5", "Reason question 1 done[] redo[]");
    check("0 <esc>", "Judging question 1 done[] redo[]");
    check("0 q", "Judging question 1 done[] redo[]");
}

#[test]
fn skipping_asks_for_a_reason() {
    check(
        "s 4",
        "Judging question 2 done[skipped: I know where an answer comes from] redo[]",
    );
    check(
        "s <esc> 3",
        "Judging question 2 done[A slightly better] redo[]",
    );
}

#[test]
fn undo_and_redo_walk_through_everything_that_was_done() {
    check("u", "Judging question 1 done[] redo[]");
    check(
        "3 b u",
        "Judging question 2 done[A slightly better] redo[both bad]",
    );
    check(
        "3 b u u",
        "Judging question 1 done[] redo[both bad, A slightly better]",
    );
    check(
        "3 b u u U",
        "Judging question 2 done[A slightly better] redo[both bad]",
    );
    check(
        "3 b u u U <ctrl-r>",
        "Judging question 3 done[A slightly better, both bad] redo[]",
    );
    check(
        "3 b 7 u",
        "Judging question 3 done[A slightly better, both bad] redo[B slightly better]",
    );
    check(
        "s 1 u",
        "Judging question 1 done[] redo[skipped: the prompt is unclear]",
    );
}

#[test]
fn another_judgement_ends_the_redo_history() {
    check("3 b u u 9", "Judging question 2 done[B much better] redo[]");
    check(
        "3 b u u 3",
        "Judging question 2 done[A slightly better] redo[both bad]",
    );
    check(
        "3 b u u 9 U",
        "Judging question 2 done[B much better] redo[]",
    );
}

#[test]
fn undo_is_more_than_ten_deep() {
    let mut stage = Stage::new(setup(), SPLIT, pairs(15));
    stage.press(&"7 ".repeat(14)).press(&"u ".repeat(14));
    assert!(
        stage
            .describe()
            .starts_with("Judging question 1 done[] redo[B slightly better, ")
    );
    stage.press(&"U ".repeat(14));
    assert!(stage.describe().starts_with("Judging question 15 "));
    assert_eq!((stage.drafts.len(), stage.app.undone.len()), (42, 0));
}

#[test]
fn a_retraction_names_the_record_that_is_taken_back() {
    let mut stage = Stage::new(setup(), SPLIT, pairs(2));
    stage.press("3 7 u u");
    let acts: Vec<Act> = stage.drafts.iter().map(|draft| draft.act).collect();
    let id = |n| ulid::Ulid::from_parts(0, n);
    assert_eq!(acts[2..], [Act::Retract(id(2)), Act::Retract(id(1))]);
    assert_eq!(stage.drafts[2].pair.prompt_text(), "question 2");
}

#[test]
fn other_scales_have_other_keys() {
    let on = |scale, keys: &str| {
        let mut stage = Stage::new(Setup { scale, ..setup() }, SPLIT, pairs(3));
        stage.press(keys).describe()
    };
    assert_eq!(
        on(Scale::Seven, "4 7 8 9"),
        "Judging question 3 done[tie, B much better] redo[]"
    );
    assert_eq!(
        on(Scale::Binary, "1 <right> 5"),
        "Done - done[A better, B better, tie] redo[]"
    );
    assert_eq!(
        on(Scale::Binary, "3 9 <left>"),
        "Judging question 2 done[A better] redo[]"
    );
    assert_eq!(
        on(Scale::Nine, "<left> <right>"),
        "Judging question 1 done[] redo[]"
    );
}

#[test]
fn without_auto_commit_a_digit_selects_and_enter_saves() {
    let careful = Setup {
        auto_commit: false,
        ..setup()
    };
    let mut stage = Stage::new(careful, SPLIT, pairs(3));
    stage.press("<enter> 3 8 7");
    assert_eq!(stage.describe(), "Judging question 1 done[] redo[]");
    assert!(stage.drafts.is_empty());
    assert_eq!(
        stage.app.hint,
        "selected: B slightly better · Enter saves it"
    );
    stage.press("<enter>");
    assert_eq!(
        stage.describe(),
        "Judging question 2 done[B slightly better] redo[]"
    );
    assert_eq!(stage.drafts[0].time.changes, 2);
}

#[test]
fn enter_does_nothing_when_digits_commit() {
    check(
        "3 u <enter>",
        "Judging question 1 done[] redo[A slightly better]",
    );
}

#[test]
fn the_screen_waits_for_the_disk() {
    let mut stage = Stage::new(setup(), SPLIT, pairs(2));
    let keys = [
        Key::Char('3'),
        Key::Char('9'),
        Key::Char('u'),
        Key::Char('s'),
    ];
    let mut effects = vec![];
    for (at, key) in (1000..).zip(keys) {
        effects.extend(rlhf::tui::label::update::update(
            &mut stage.app,
            Event::Key(key, at),
        ));
    }
    assert_eq!(
        effects.len(),
        1,
        "one commit and nothing before it is on disk: {effects:?}"
    );
    assert_eq!(stage.describe(), "Judging question 1 done[] redo[]");
    stage.event(Event::Committed(ulid::Ulid::nil(), 2000));
    assert_eq!(
        stage.describe(),
        "Judging question 2 done[A slightly better] redo[]"
    );
}

#[test]
fn a_key_typed_before_the_pair_appeared_does_not_judge_it() {
    let mut stage = Stage::new(setup(), SPLIT, pairs(3));
    stage.event(Event::Key(Key::Char('3'), 500));
    // The disk was slow: the next pair appeared 400 ms after the key.
    stage.app.clock.show(900);
    stage.event(Event::Key(Key::Char('9'), 899));
    assert_eq!(
        stage.describe(),
        "Judging question 2 done[A slightly better] redo[]"
    );
    stage.event(Event::Key(Key::Char('9'), 900));
    assert_eq!(
        stage.describe(),
        "Judging question 3 done[A slightly better, B much better] redo[]"
    );
}

#[test]
fn a_failed_write_turns_the_screen_read_only_and_keeps_the_judgement() {
    let mut stage = Stage::new(setup(), SPLIT, pairs(3));
    stage.press("3");
    stage.disk_error = Some("No space left on device");
    stage.press("8 9 u U b s 0 <enter>");
    assert_eq!(
        stage.describe(),
        "ReadOnly question 2 done[A slightly better] redo[]"
    );
    assert_eq!(stage.drafts.len(), 2);
    let held = stage.app.committing.as_ref().map(|draft| draft.act);
    let b_better = Decision::Prefer {
        side: 1,
        strength: Some(3),
    };
    assert_eq!(held, Some(Act::Decide(b_better)));
    stage.press("q");
    let error = "No space left on device".to_owned();
    assert_eq!(stage.effects, [Effect::Quit(Ending::WriteFailed(error))]);
}

#[test]
fn nothing_is_judged_before_both_answers_were_on_the_screen() {
    let mut stage = Stage::new(setup(), FLIP, pairs(2));
    stage.press("3");
    assert_eq!(stage.describe(), "Judging question 1 done[] redo[]");
    assert_eq!(
        stage.app.hint,
        "Answer B has not been on the screen yet: Tab shows it."
    );
    assert_eq!(
        stage.press("<tab> 3").describe(),
        "Judging question 2 done[A slightly better] redo[]"
    );
    assert_eq!(stage.drafts[0].display.layout, Layout::Flip);
    // Taken back, it need not be read twice; skipping needs no reading at all.
    assert_eq!(
        stage.press("u 9").describe(),
        "Judging question 2 done[B much better] redo[]"
    );
    assert!(stage.press("s 2").describe().starts_with("Done"));
}

#[test]
fn what_was_seen_is_recorded_as_a_share() {
    let long = (1..=46)
        .map(|i| format!("line {i}"))
        .collect::<Vec<_>>()
        .join("\n");
    let mut stage = Stage::new(setup(), SPLIT, vec![pair("q", "short", &long)]);
    stage.press("3");
    let draft = &stage.drafts[0];
    let ids = [0, 1].map(|side| draft.pair.answer(side).id.clone());
    assert_eq!(
        (draft.display.viewed[&ids[0]], draft.display.viewed[&ids[1]]),
        (1.0, 0.5)
    );
    assert_eq!(draft.display.order, ids);
    assert_eq!(
        (draft.display.size, draft.display.blind),
        (Some([120, 36]), true)
    );
}

#[test]
fn the_winner_is_an_answer_and_not_a_side() {
    let mut flipped = pair("q", "first", "second");
    flipped.sides = vec![1, 0];
    let mut stage = Stage::new(setup(), SPLIT, vec![flipped]);
    stage.press("1");
    let draft = &stage.drafts[0];
    assert_eq!(draft.pair.answer(0).text, "second");
    assert_eq!(draft.display.order[0], draft.pair.item.candidates[1].id);
}

#[test]
fn times_are_measured_from_the_appearance_of_the_pair() {
    let mut stage = Stage::new(setup(), SPLIT, pairs(2));
    stage.press("j j 3");
    let time = Time {
        shown_ms: 3000,
        active_ms: 3000,
        first_key_ms: Some(1000),
        changes: 0,
    };
    assert_eq!(stage.drafts[0].time, time);
    stage.now += 600_000;
    stage.press("3");
    let time = Time {
        shown_ms: 600_990,
        active_ms: 180_000,
        first_key_ms: Some(600_990),
        changes: 0,
    };
    assert_eq!(stage.drafts[1].time, time);
}

#[test]
fn guidelines_come_first_and_the_clock_starts_after_them() {
    let asked = Setup {
        guidelines: Some(guidelines("Be fair.")),
        ..setup()
    };
    let mut stage = Stage::new(asked, SPLIT, pairs(2));
    assert_eq!(stage.describe(), "Guidelines question 1 done[] redo[]");
    stage.press("3 b j <enter> 3");
    assert_eq!(
        stage.describe(),
        "Judging question 2 done[A slightly better] redo[]"
    );
    assert_eq!(stage.drafts[0].time.shown_ms, 1000);
    assert_eq!(
        stage.press("i").describe(),
        "Guidelines question 2 done[A slightly better] redo[]"
    );
    assert_eq!(stage.press("<esc> <tab>").app.screen, Screen::Judging);
    assert_eq!(
        Stage::new(setup(), SPLIT, pairs(1)).press("i").app.screen,
        Screen::Judging
    );
}

#[test]
fn handing_over_exists_only_on_offer_and_asks_first() {
    let mut alone = Stage::new(setup(), SPLIT, pairs(2));
    assert_eq!(
        alone.press("X").describe(),
        "Judging question 1 done[] redo[]"
    );
    let offered = Setup {
        hand_over: Some("sim:gold".into()),
        ..setup()
    };
    let mut stage = Stage::new(offered, SPLIT, pairs(2));
    assert_eq!(
        stage.press("X").describe(),
        "HandOver question 1 done[] redo[]"
    );
    stage.press("1 5 X <enter> b u");
    assert_eq!(stage.describe(), "HandOver question 1 done[] redo[]");
    assert_eq!(
        stage.press("n 3").describe(),
        "Judging question 2 done[A slightly better] redo[]"
    );
    assert!(stage.effects.is_empty());
    stage.press("X y");
    assert_eq!(stage.effects, [Effect::Quit(Ending::HandOver)]);
}

#[test]
fn the_end_can_be_taken_back_and_says_that_it_is_the_end() {
    let mut stage = Stage::new(setup(), SPLIT, pairs(1));
    assert_eq!(
        stage.press("7").describe(),
        "Done - done[B slightly better] redo[]"
    );
    assert_eq!(
        stage.press("u").describe(),
        "Judging question 1 done[] redo[B slightly better]"
    );
    stage.press("U <enter>");
    assert_eq!(stage.effects, [Effect::Quit(Ending::BatchDone)]);
}

#[test]
fn quitting_suspending_and_signals_reach_the_driver() {
    let mut stage = Stage::new(setup(), SPLIT, pairs(1));
    stage.press("<ctrl-z> <ctrl-l> q");
    stage.event(Event::Terminate);
    let quit = Effect::Quit(Ending::Quit);
    assert_eq!(
        stage.effects,
        [Effect::Suspend, Effect::Redraw, quit.clone(), quit.clone()]
    );
    assert_eq!(
        Stage::new(setup(), SPLIT, pairs(1))
            .press("X ? <ctrl-c>")
            .effects,
        [quit]
    );
}

#[test]
fn a_lock_held_elsewhere_is_shown_and_can_be_tried_again() {
    let mut stage = Stage::locked(setup(), SPLIT);
    stage.event(Event::StillLocked("open in process 7 on host x".into()));
    stage.press("3 u <enter> q");
    let ending = Ending::Locked("open in process 7 on host x".into());
    assert_eq!(stage.effects, [Effect::Open, Effect::Quit(ending)]);
}

#[test]
fn a_terminal_that_is_too_small_judges_nothing() {
    let mut stage = Stage::new(setup(), (39, 50), pairs(1));
    assert_eq!(
        stage.press("3 b u s 0 X ?").describe(),
        "TooSmall question 1 done[] redo[]"
    );
    stage.event(Event::Resize(120, 36));
    assert_eq!(
        stage.press("3").describe(),
        "Done - done[A slightly better] redo[]"
    );
}

#[test]
fn both_answers_scroll_together_and_one_alone() {
    let lines = |n: usize| {
        (1..=n)
            .map(|i| i.to_string())
            .collect::<Vec<_>>()
            .join("\n")
    };
    let mut stage = Stage::new(setup(), SPLIT, vec![pair("q", &lines(43), &lines(63))]);
    let tops = |stage: &Stage| [0, 1].map(|side| stage.app.view.answers[side].range().0);
    stage.press("j j j j");
    assert_eq!(tops(&stage), [3, 5]);
    stage.press("l J");
    assert_eq!(tops(&stage), [3, 6]);
    stage.press("G");
    assert_eq!(tops(&stage), [21, 41]);
    stage.press("h K k g");
    assert_eq!(tops(&stage), [1, 1]);
}

#[test]
fn tab_reaches_a_prompt_that_overflows_and_only_such_a_one() {
    let prompt = "word ".repeat(300);
    let mut stage = Stage::new(
        setup(),
        SPLIT,
        vec![pair(&prompt, "a", "b"), pair("q", "a", "b")],
    );
    stage.press("<tab> <tab> <tab>");
    assert!(stage.app.view.on_prompt);
    stage.press("<pgdn>");
    assert_eq!(stage.app.view.prompt.range().0, 4);
    assert_eq!(stage.press("<tab>").app.view.side, 0);
    stage.press("3 <tab> <tab> <tab>");
    assert!(!stage.app.view.on_prompt);
}

#[test]
fn a_pair_that_arrives_under_the_palette_is_there() {
    let mut stage = Stage::locked(setup(), (120, 36));
    let desk = Desk {
        more: true,
        ..Desk::default()
    };
    stage.event(Event::Opened(desk, 0));
    stage.press(":");
    stage.event(Event::Supply(pairs(1), 2000));
    assert!(stage.screen().contains("question 1"));
    stage.press("<esc> 3");
    assert_eq!(stage.drafts.len(), 1);
}

#[test]
fn guidelines_come_before_the_first_live_pair_too() {
    let mut asked = setup();
    asked.guidelines = Some(guidelines("Be fair."));
    let mut stage = Stage::locked(asked, (120, 36));
    let desk = Desk {
        more: true,
        ..Desk::default()
    };
    stage.event(Event::Opened(desk, 0));
    assert!(stage.screen().contains("Be fair."));
}

#[test]
fn the_round_in_the_header_does_not_tell_a_check_from_a_pair() {
    let mut check = pair("what is two and two?", "four", "five");
    check.item.round = 0;
    let mut stage = Stage::new(setup(), (120, 36), vec![pair("q", "a", "b"), check]);
    assert!(stage.screen().contains("round 3"));
    stage.press("3");
    assert!(stage.screen().contains("two and two") && stage.screen().contains("round 3"));
}

#[test]
fn a_skipped_pair_does_not_come_back_as_a_repeat() {
    let first = pair("q", "a", "b");
    let again = Pair {
        slot: 1,
        purpose: Purpose::Repeat,
        ..first.clone()
    };
    let mut stage = Stage::new(setup(), (120, 36), vec![first, again]);
    stage.press("s 1");
    assert_eq!((stage.drafts.len(), stage.app.queue.len()), (1, 0));
}
