//! Palette, help, find, and the ways to look at a pair.

use std::rc::Rc;

use rlhf::tui::keys::{Keymap, Mode, Step};
use rlhf::tui::label::mouse::{Mouse, MouseAction};
use rlhf::tui::label::state::{Desk, Ending, Screen, Setup};
use rlhf::tui::label::update::{Effect, Event};

use crate::stats_stage::campaign;
use crate::tui_stage::{Stage, conversation, pair, pairs, reversed, setup};

const SPLIT: (u16, u16) = (120, 36);
const FLIP: (u16, u16) = (80, 24);

#[test]
fn the_palette_runs_what_is_found_by_name_or_by_words() {
    let mut stage = Stage::new(setup(), SPLIT, pairs(3));
    stage.press("3 :").write("take back").press("<enter>");
    assert_eq!(
        stage.describe(),
        "Judging question 1 done[] redo[A slightly better]"
    );
    stage.press(":").write("both-bad").press("<enter>");
    assert_eq!(stage.describe(), "Judging question 2 done[both bad] redo[]");
    stage.press(":").write("no such thing").press("<enter>");
    assert_eq!(stage.app.hint, "No command is called like that.");
    assert_eq!(stage.press("<esc>").app.screen, Screen::Judging);
}

#[test]
fn the_palette_moves_its_cursor_with_the_arrows() {
    let mut stage = Stage::new(setup(), SPLIT, pairs(3));
    stage.press(":").write("judge").press("<down> <down> <up>");
    let Screen::Palette(palette) = &stage.app.screen else {
        panic!("{:?}", stage.app.screen)
    };
    assert_eq!(palette.cursor, 1);
    assert_eq!(palette.found()[1].name, "undo");
}

#[test]
fn the_help_is_searched_while_one_types() {
    let mut stage = Stage::new(setup(), SPLIT, pairs(1));
    stage.press("? /").write("comment");
    let screen = stage.screen();
    assert!(screen.contains("c         write a comment"), "{screen}");
    assert!(!screen.contains("skip this pair"), "{screen}");
    stage.press("<enter>");
    assert!(!stage.screen().contains("skip this pair"));
    stage.press("/ <esc>");
    assert!(stage.screen().contains("skip this pair"));
    assert_eq!(stage.press("?").app.screen, Screen::Judging);
}

#[test]
fn the_help_and_the_footer_follow_keys_that_were_moved() {
    let moved = [("undo".to_owned(), "z".to_owned())].into_iter().collect();
    let moved = Setup {
        keymap: Keymap::remapped(&moved).unwrap(),
        ..setup()
    };
    let mut stage = Stage::new(moved, SPLIT, pairs(2));
    assert!(stage.screen().contains("z undo"));
    stage.press("3 u");
    assert!(stage.describe().starts_with("Judging question 2 "));
    assert_eq!(stage.app.message, "last: A slightly better · z undo");
    stage.press("z");
    assert!(stage.describe().starts_with("Judging question 1 "));
    stage.press("?");
    assert!(
        stage
            .screen()
            .contains("z         take back the last judgement")
    );
}

#[test]
fn no_message_names_a_key_that_was_moved() {
    let moved = [("comment", "C"), ("quit", "Q"), ("undo", "z")];
    let moved = moved.map(|(action, key)| (action.to_owned(), key.to_owned()));
    let moved = Setup {
        keymap: Keymap::remapped(&moved.into_iter().collect()).unwrap(),
        ..setup()
    };
    let mut stage = Stage::new(moved, SPLIT, pairs(1));
    stage.event(Event::Paste("7".into(), 1));
    assert_eq!(
        stage.app.hint,
        "Pasted text is ignored here; C opens a comment for it."
    );
    stage.press("C").write("why").press("<esc>");
    assert_eq!(
        stage.app.hint,
        "The comment is as it was; C brings back what was typed."
    );
    stage.disk_error = Some("No space left");
    assert!(
        stage
            .press("3")
            .screen()
            .contains("Quit with Q, fix the cause")
    );
    let done = Stage::new(stage.app.setup.clone(), SPLIT, vec![]);
    assert!(done.screen().contains("z takes back the last judgement"));
}

#[test]
fn find_goes_through_prompt_and_answers_and_around() {
    let long = format!("{}needle", "row\n".repeat(60));
    let mut stage = Stage::new(setup(), SPLIT, vec![pair("a Needle?", &long, "NEEDLE")]);
    stage.press("/").write("needle").press("<enter>");
    assert_eq!(stage.app.hint, "match 1 of 3");
    assert!(stage.app.view.on_prompt);
    stage.press("n");
    assert_eq!((stage.app.view.side, stage.app.view.on_prompt), (0, false));
    assert!(stage.screen().contains("lines 39–61/61"));
    stage.press("n n");
    assert_eq!(stage.app.hint, "match 1 of 3");
    stage.press("N");
    assert_eq!(
        (stage.app.hint.as_str(), stage.app.view.side),
        ("match 3 of 3", 1)
    );
    stage.press("/").write("x").press("<enter>");
    assert_eq!(stage.app.hint, "\"needlex\" was not found.");
    stage.press("/ <esc> n");
    assert!(stage.app.hint.starts_with("Nothing was searched for"));
}

#[test]
fn diff_and_markdown_stay_from_pair_to_pair() {
    let mut stage = Stage::new(
        setup(),
        SPLIT,
        vec![
            pair("q", "Bake it **longer**.", "Bake it **hotter**."),
            pair("r", "1", "2"),
        ],
    );
    stage.press("m d");
    assert!(
        stage.screen().contains("Bake it longer."),
        "{}",
        stage.screen()
    );
    let marked = stage.app.view.answers[0].rows()[0].spans.iter();
    let differs = rlhf::tui::text::row::Mark::Differs;
    let words: Vec<_> = marked
        .filter(|span| span.marks.has(differs))
        .map(|s| &s.text)
        .collect();
    assert_eq!(words, ["longer"]);
    stage.press("3");
    assert!(stage.app.view.markdown && stage.app.view.diff);
    stage.press("u m d");
    assert!(stage.screen().contains("Bake it **longer**."));
}

#[test]
fn the_whole_prompt_is_read_in_its_own_page() {
    let turns = [("user", "one"), ("assistant", "two"), ("user", "three")];
    let mut stage = Stage::new(setup(), FLIP, vec![conversation(&turns, "a", "b")]);
    assert!(stage.screen().contains("Prompt · turn 2 of 2"));
    stage.press("p");
    assert_eq!(stage.app.mode(), Mode::Prompt);
    assert!(stage.screen().contains("user ▸ three"));
    assert_eq!(stage.press("p").app.screen, Screen::Judging);
}

#[test]
fn right_to_left_text_is_announced() {
    let stage = Stage::new(setup(), SPLIT, vec![pair("q", "שלום", "hello")]);
    let screen = stage.screen();
    assert!(
        screen.contains("A · right-to-left, in logical order"),
        "{screen}"
    );
}

#[test]
fn the_mouse_focuses_and_scrolls() {
    let long = "row\n".repeat(60);
    let other = "line\n".repeat(60);
    let mut stage = Stage::new(setup(), SPLIT, vec![pair("q", &long, &other)]);
    let at = |stage: &mut Stage, what, x, y| {
        stage.event(Event::Mouse(Mouse { what, x, y }, 1));
    };
    at(&mut stage, MouseAction::Click, 90, 20);
    assert_eq!((stage.app.view.side, stage.app.view.focused), (1, true));
    at(&mut stage, MouseAction::Wheel(Step::Down), 10, 20);
    let tops = [0, 1].map(|side| stage.app.view.answers[side].range().0);
    assert_eq!(tops, [4, 4]);
    at(&mut stage, MouseAction::Click, 5, 3);
    assert!(stage.app.view.on_prompt);
    stage.press("?");
    at(&mut stage, MouseAction::Wheel(Step::Down), 10, 20);
    let page = stage.app.view.page(&stage.app.screen);
    assert_eq!(page.range().0, 4);
    assert!(stage.drafts.is_empty());
}

#[test]
fn a_long_prompt_is_laid_out_once_however_often_it_is_opened() {
    let prompt = "A word and another. ".repeat(50_000);
    let mut stage = Stage::new(setup(), SPLIT, vec![pair(&prompt, "a", "b")]);
    let rows = |stage: &Stage| {
        let page = stage.app.view.page(&Screen::Prompt);
        (page.rows().as_ptr(), page.rows().len(), page.range().0)
    };
    let (laid_out, count, top) = rows(stage.press("p"));
    assert!(count > 10_000 && top == 1, "{count}");
    stage.press("j j j");
    assert_eq!(rows(&stage), (laid_out, count, 4));
    stage.press("p ? ?");
    assert_eq!(stage.app.screen, Screen::Judging);
    assert_eq!(rows(stage.press("p")), (laid_out, count, 1));
}

#[test]
fn the_lock_can_be_taken_over() {
    let mut stage = Stage::locked(setup(), FLIP);
    let holder = "annotator \"mia\" is open elsewhere (process 7 on desk)";
    stage.event(Event::StillLocked(holder.into()));
    stage.press("t");
    assert_eq!(stage.effects, [Effect::TakeOver]);
    assert!(stage.screen().contains("asked to save and end"));
    stage.event(Event::Tick(1_200));
    assert_eq!(stage.effects[1..], [Effect::Open]);
    stage.event(Event::Tick(20_000));
    assert!(stage.screen().contains("does not answer"));
    let desk = Desk {
        pairs: pairs(1),
        ..Desk::default()
    };
    stage.event(Event::Opened(desk, 21_000));
    assert_eq!(stage.app.screen, Screen::Judging);
    stage.event(Event::Tick(22_000));
    assert_eq!(stage.effects.len(), 3, "it no longer tries to open");
}

#[test]
fn the_session_that_is_asked_ends() {
    let mut stage = Stage::new(setup(), FLIP, pairs(2));
    stage.press("c").write("half a com");
    stage.event(Event::TakeOver);
    assert_eq!(stage.effects, [Effect::Quit(Ending::TakenOver)]);
}

#[test]
fn reading_only_shows_everything_and_writes_nothing() {
    let mut stage = Stage::locked(setup(), SPLIT);
    stage.event(Event::StillLocked("open elsewhere".into()));
    stage.press("r");
    assert_eq!(stage.effects, [Effect::OpenReadOnly]);
    let desk = Desk {
        pairs: pairs(3),
        ..Desk::default()
    };
    stage.event(Event::Opened(desk, 2_000));
    assert_eq!(stage.app.mode(), Mode::Reading);
    stage.press("3 b u U s 0 c F a > >");
    assert_eq!(stage.describe(), "Reading question 3 done[] redo[]");
    stage
        .press("<lt> d m j n H : ")
        .write("quit")
        .press("<esc>");
    assert!(stage.drafts.is_empty());
    assert!(
        stage
            .screen()
            .lines()
            .next()
            .unwrap()
            .ends_with("read only")
    );
}

#[test]
fn pairs_that_are_still_being_made_are_waited_for() {
    let mut stage = Stage::locked(setup(), FLIP);
    let desk = Desk {
        more: true,
        ..Desk::default()
    };
    stage.event(Event::Opened(desk, 0));
    assert_eq!(stage.app.screen, Screen::WaitingForSamples);
    assert!(stage.screen().contains("Waiting for answers"));
    stage.event(Event::Supply(pairs(1), 5_000));
    stage.now = 6_000;
    assert_eq!(stage.describe(), "Judging question 1 done[] redo[]");
    assert!(stage.screen().contains("0/1+"));
    stage.press("<tab> 3");
    assert_eq!(stage.app.screen, Screen::WaitingForSamples);
    stage.event(Event::Supply(vec![], 9_000));
    assert_eq!(stage.app.screen, Screen::BatchDone);
}

#[test]
fn a_text_is_prepared_once_and_not_on_every_key() {
    let answer = |name: &str| format!("{name} needle\n{}", "row\n".repeat(80));
    let both = vec![pair("a needle?", &answer("one"), &answer("two"))];
    let mut stage = Stage::new(setup(), SPLIT, both);
    stage.press("/").write("needle").press("<enter>");
    let prepared = |stage: &mut Stage| {
        let pair = stage.app.pair().unwrap().clone();
        let view = &mut stage.app.view;
        let rows = [&view.answers[0], &view.answers[1], &view.prompt].map(|p| p.rows().as_ptr());
        (Rc::as_ptr(&view.texts(&pair)), rows)
    };
    let before = prepared(&mut stage);
    let pair = stage.app.pair().unwrap().clone();
    // Held, so that nothing new can stand in its place.
    let held = stage.app.view.texts(&pair);
    for keys in [
        "n", "N", "G g j", "? <esc>", ": <esc>", "p <esc>", "/ <esc>",
    ] {
        stage.press(keys);
        assert_eq!(prepared(&mut stage), before, "after {keys}");
    }
    stage.press("m");
    let now = prepared(&mut stage).0;
    assert_ne!(now, Rc::as_ptr(&held), "it looks different now");
}

#[test]
fn matches_are_marked_where_they_are_drawn() {
    let both = vec![pair("外の needle", "> a **Needle** here", "no")];
    let mut stage = Stage::new(setup(), SPLIT, both);
    stage.press("/").write("needle").press("<enter>");
    assert_eq!(reversed(&stage), ["needle", "Needle"]);
    stage.press("m");
    assert!(
        stage.screen().contains("│ a Needle here"),
        "{}",
        stage.screen()
    );
    assert_eq!(reversed(&stage), ["needle", "Needle"]);
    stage.press("/ <esc>");
    assert_eq!(reversed(&stage), [""; 0]);
}

/// Every row of the page that is open, from the top.
fn whole_page(stage: &mut Stage) -> String {
    let size = stage.app.size;
    stage.event(Event::Resize(size.0, 300));
    let page = stage.screen();
    stage.event(Event::Resize(size.0, size.1));
    page
}

#[test]
fn the_statistics_steer_nobody_while_pairs_are_left() {
    let mut stage = Stage::new(setup(), SPLIT, pairs(2));
    stage.press("7 %");
    assert_eq!(stage.effects, [Effect::Count]);
    assert!(stage.screen().contains("counting what everybody judged"));
    assert!(stage.screen().contains("1 of 2 pairs in all"));
    stage.event(Event::Counted(Ok(Box::new(campaign().report())), 0));
    let blind = whole_page(&mut stage);
    assert!(blind.contains("40 of 40 items judged by people"), "{blind}");
    assert!(blind.contains("Judgements per minute, people"), "{blind}");
    for steering in [
        "round-",
        "Agreement of",
        "the left answer",
        "longer",
        "gold",
        "ada",
    ] {
        assert!(!blind.contains(steering), "{steering}: {blind}");
    }
    stage.press("% 7 %");
    let report = || Ok(Box::new(campaign().report()));
    stage.event(Event::Counted(report(), 3));
    let elsewhere = whole_page(&mut stage);
    assert!(
        elsewhere.contains("3 pairs are left in other batches."),
        "{elsewhere}"
    );
    assert!(!elsewhere.contains("round-2"), "{elsewhere}");
    stage.event(Event::Counted(report(), 0));
    let all = whole_page(&mut stage);
    for part in [
        "Policies, by people",
        "round-2",
        "Agreement of people",
        "ada",
        "Habits of people",
    ] {
        assert!(all.contains(part), "{part}: {all}");
    }
    stage.event(Event::Counted(
        Err("samples/b.jsonl:3: \u{1b}[2J".into()),
        0,
    ));
    let failed = stage.screen();
    assert!(
        failed.contains("not counted: samples/b.jsonl:3: ␛[2J"),
        "{failed}"
    );
    assert_eq!(stage.press("<esc>").app.screen, Screen::BatchDone);
}
