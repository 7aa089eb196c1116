//! What is begun and not saved, where it could be lost or turn up in the wrong place.

use rlhf::feedback::queue::{Disputes, Plan};
use rlhf::feedback::record::Purpose;
use rlhf::feedback::store::begun::Begun;
use rlhf::tui::label::unsaved::begun;
use rlhf::tui::label::update::Event;

use crate::tui_stage::{Stage, items, pairs, setup};
use crate::tui_unsaved::{desk, judgements, label, leave, open};

/// Writes this comment on what is on the screen.
fn comment(stage: &mut Stage, text: &str) {
    stage.press("c");
    stage.write(text);
    stage.press("<enter>");
}

fn notes(begun: &[Begun]) -> Vec<&str> {
    begun.iter().map(|begun| begun.note.as_str()).collect()
}

#[test]
fn opening_another_batch_keeps_what_was_begun_here() {
    let dir = tempfile::tempdir().unwrap();
    let all = items(6);
    let (ours, others) = all.split_at(3);
    let mut stage = label(dir.path(), ours, "");
    comment(&mut stage, "ours");
    leave(dir.path(), stage);
    let mut stage = label(dir.path(), others, "7");
    comment(&mut stage, "theirs");
    leave(dir.path(), stage);
    assert_eq!(notes(open(dir.path()).begun()), ["ours", "theirs"]);
    let mut stage = label(dir.path(), ours, "");
    assert_eq!(stage.app.remarks.note, "ours");
    stage.press("7");
    leave(dir.path(), stage);
    assert_eq!(notes(open(dir.path()).begun()), ["theirs"]);
    assert_eq!(judgements(dir.path())[1].note.as_deref(), Some("ours"));
    // What was judged meanwhile by other means is about nothing any more.
    leave(dir.path(), label(dir.path(), &all, "7 7 7 7"));
    leave(dir.path(), label(dir.path(), ours, ""));
    assert_eq!(open(dir.path()).begun(), []);
}

#[test]
fn redoing_an_edit_leaves_the_comment_on_the_pair_at_hand() {
    let dir = tempfile::tempdir().unwrap();
    let items = items(3);
    let mut stage = label(dir.path(), &items, "5 H <enter> 4 <enter> u");
    comment(&mut stage, "of the second pair");
    stage.press("U");
    assert_eq!(stage.app.remarks.note, "of the second pair");
    assert_eq!(notes(&begun(&stage.app)), ["of the second pair"]);
    stage.press("7");
    stage.saver = None;
    let mut judged: Vec<_> = judgements(dir.path())
        .into_iter()
        .map(|record| (record.strength, record.note))
        .collect();
    judged.sort();
    assert_eq!(
        judged,
        [
            (Some(1), None),
            (Some(2), Some("of the second pair".into()))
        ]
    );
}

#[test]
fn the_comment_that_was_written_last_is_the_one_that_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let items = items(3);
    let mut stage = label(dir.path(), &items, "5 H <enter> 4 <enter>");
    comment(&mut stage, "old");
    stage.press("u");
    comment(&mut stage, " NEWER");
    assert_eq!(notes(&begun(&stage.app)), ["old NEWER"]);
    leave(dir.path(), stage);
    let stage = label(dir.path(), &items, "");
    assert_eq!(stage.app.remarks.note, "old NEWER");
    drop(stage);
    // A file that has both, as it was written once: the last is the newest.
    let newest = open(dir.path()).begun()[0].clone();
    let oldest = Begun {
        note: "old".into(),
        ..newest.clone()
    };
    open(dir.path()).keep(vec![oldest, newest]).unwrap();
    let stage = label(dir.path(), &items, "");
    assert_eq!(stage.app.remarks.note, "old NEWER");
    assert_eq!(notes(&begun(&stage.app)), ["old NEWER"]);
}

#[test]
fn what_was_said_about_a_pair_that_is_put_off_comes_back_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let items = items(3);
    let mut stage = label(dir.path(), &items, "F 1 <esc> a 9 <enter>");
    comment(&mut stage, "later");
    let question = stage.app.pair().unwrap().prompt_text();
    let said = stage.app.remarks.clone();
    stage.press(">");
    assert_eq!(stage.app.remarks.note, "");
    // Taken back and put off again, it is there each time.
    stage.press("u");
    assert_eq!(stage.app.remarks, said);
    stage.press("U 7 7");
    let at_hand = |stage: &Stage| stage.app.pair().unwrap().prompt_text();
    assert_eq!(
        (at_hand(&stage), &stage.app.remarks),
        (question.clone(), &said)
    );
    leave(dir.path(), stage);
    let mut stage = label(dir.path(), &items, "");
    assert_eq!((at_hand(&stage), &stage.app.remarks), (question, &said));
    stage.press("7");
    assert_eq!(begun(&stage.app), []);
    stage.saver = None;
    let record = judgements(dir.path()).remove(2);
    assert_eq!(record.note.as_deref(), Some("later"));
    assert_eq!((record.flags.len(), record.aspects.len()), (1, 1));
}

#[test]
fn what_an_annotator_began_is_no_part_of_their_ruling() {
    let dir = tempfile::tempdir().unwrap();
    let items = items(1);
    let mut stage = label(dir.path(), &items, "");
    comment(&mut stage, "as an annotator");
    leave(dir.path(), stage);
    let plan = Plan {
        disputes: Some(Disputes::from([(items[0].id.clone(), vec![])])),
        ..Plan::seeded(42)
    };
    let ruling = || {
        let mut stage = Stage::locked(setup(), (120, 36));
        let desk = desk(&open(dir.path()), &items, &plan);
        stage.event(Event::Opened(desk, 0));
        stage
    };
    let mut stage = ruling();
    let pair = stage.app.pair().unwrap();
    assert_eq!((pair.slot, pair.purpose), (0, Purpose::Adjudication));
    assert_eq!(stage.app.remarks.note, "");
    comment(&mut stage, "as a judge");
    leave(dir.path(), stage);
    assert_eq!(
        notes(open(dir.path()).begun()),
        ["as an annotator", "as a judge"]
    );
    assert_eq!(ruling().app.remarks.note, "as a judge");
    let stage = label(dir.path(), &items, "");
    assert_eq!(stage.app.remarks.note, "as an annotator");
}

#[test]
fn a_draft_that_could_not_be_kept_is_kept_when_it_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut session = open(dir.path());
    let place = dir.path().join("mia/draft.json");
    // A folder in its place: nobody can write the file, not even root.
    std::fs::create_dir(&place).unwrap();
    let draft = Begun {
        item: "a".into(),
        note: "why".into(),
        ..Begun::default()
    };
    assert!(session.keep(vec![draft.clone()]).is_err());
    std::fs::remove_dir(&place).unwrap();
    session.keep(vec![draft.clone()]).unwrap();
    drop(session);
    assert_eq!(open(dir.path()).begun(), [draft]);
}

#[test]
fn that_a_draft_is_not_kept_is_said_until_it_is() {
    let mut stage = Stage::new(setup(), (120, 36), pairs(2));
    stage.event(Event::Kept(Err("No space left on device".into())));
    let said = "What is begun could not be kept: No space left on device";
    assert!(stage.screen().contains(said));
    // A hint of the next key stands before it, and it is there again after that.
    stage.press("u");
    assert!(stage.screen().contains("Nothing to take back."));
    stage.press("j");
    assert!(stage.screen().contains(said), "{}", stage.screen());
    stage.press("7");
    assert!(stage.screen().contains(said));
    stage.event(Event::Kept(Ok(())));
    assert!(!stage.screen().contains("could not be kept"));
    assert!(stage.screen().contains("last: B slightly better"));
}
