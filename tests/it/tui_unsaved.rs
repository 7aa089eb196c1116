//! What is begun and not saved, what is taken back and made again, and what the day's target says.

use std::path::Path;
use std::rc::Rc;

use rlhf::feedback::item::{Item, PromptText};
use rlhf::feedback::queue::{Plan, Target, Today};
use rlhf::feedback::record::{Kind, Record, Scale, Time};
use rlhf::feedback::store::load::load;
use rlhf::feedback::store::session::Session;
use rlhf::feedback::store::stamps::Stamps;
use rlhf::tui::label::desk::{Rules, bring_back, lay_out, list};
use rlhf::tui::label::draft::Draft;
use rlhf::tui::label::state::Desk;
use rlhf::tui::label::unsaved::begun;
use rlhf::tui::label::update::Event;

use crate::tui_stage::{Stage, item, items, pair, pairs, ranking, setup};

pub fn desk(session: &Session, items: &[Item], plan: &Plan) -> Desk {
    let rules = Rules {
        plan,
        scale: Scale::Nine,
        guidelines_sha256: None,
    };
    let mut desk = lay_out(items, session.history(), rules).unwrap();
    let (begun, history) = (session.begun(), session.history());
    bring_back(&mut desk, begun, items, history, plan.seed);
    desk
}

pub fn open(feedback: &Path) -> Session {
    Session::open(feedback, "mia", Stamps::system()).unwrap()
}

/// A session of these keys, as the driver runs it. At `H` the history is read.
pub fn label(feedback: &Path, items: &[Item], keys: &str) -> Stage {
    let plan = Plan::seeded(42);
    let mut session = open(feedback);
    let mut stage = Stage::locked(setup(), (120, 36));
    let desk = desk(&session, items, &plan);
    stage.saver = Some(Box::new(move |draft: &Draft| {
        draft.save(&mut session).unwrap()
    }));
    stage.event(Event::Opened(desk, 0));
    for key in keys.split_whitespace() {
        stage.press(key);
        if key == "H" {
            let history = load(feedback, "mia").unwrap();
            let (entries, left_out) = list(items, &history, 42).unwrap();
            stage.event(Event::Listed(entries, left_out));
        }
    }
    stage
}

/// The session ends: its lock is let go, and what is begun is kept.
pub fn leave(feedback: &Path, mut stage: Stage) {
    stage.saver = None;
    open(feedback).keep(begun(&stage.app)).unwrap();
}

pub fn judgements(feedback: &Path) -> Vec<Record> {
    load(feedback, "mia").unwrap().judgements().unwrap()
}

#[test]
fn undo_reaches_back_past_pairs_that_were_deferred_before_they_were_judged() {
    let dir = tempfile::tempdir().unwrap();
    let items = items(12);
    // Four are put off, eight are judged, and then the four.
    let first = label(dir.path(), &items, &("> ".repeat(4) + &"7 ".repeat(12)));
    assert_eq!((first.app.done.len(), first.app.queue.len()), (16, 0));
    drop(first);
    let mut second = label(dir.path(), &items, "");
    assert_eq!((second.app.earlier, second.app.judged()), (16, 12));
    second.press(&"u ".repeat(14));
    assert_eq!((second.app.judged(), second.app.queue.len()), (0, 12));
    // The two that were deferred last are at hand again, in the order in which they first came.
    second.press(&"u ".repeat(2));
    assert_eq!(second.app.done, []);
    second.saver = None;
    assert_eq!(load(dir.path(), "mia").unwrap().judged(), 0);
    let fresh = tempfile::tempdir().unwrap();
    let order = |stage: &Stage| {
        let ids = stage.app.queue.iter().map(|pair| pair.item.id.clone());
        ids.collect::<Vec<_>>()
    };
    assert_eq!(order(&second), order(&label(fresh.path(), &items, "")));
}

#[test]
fn undo_passes_over_other_batches_and_brings_an_edited_judgement_back() {
    let dir = tempfile::tempdir().unwrap();
    let all = items(6);
    let (ours, others) = all.split_at(3);
    drop(label(dir.path(), ours, "7 7"));
    drop(label(dir.path(), ours, "H <enter> 1 <enter>"));
    drop(label(dir.path(), others, "5 5 5"));
    let mut stage = label(dir.path(), ours, "u");
    assert!(
        stage
            .app
            .message
            .starts_with("the former judgement stands again, not A much better"),
        "{}",
        stage.app.message
    );
    let counts = |stage: &Stage| (stage.app.judged(), stage.app.queue.len());
    assert_eq!(counts(&stage), (2, 1));
    stage.press("u u");
    assert_eq!(counts(&stage), (0, 3));
    stage.press("U U U");
    assert_eq!(counts(&stage), (2, 1));
    stage.saver = None;
    let words = |r: &Record| (r.strength, r.supersedes.is_some());
    let judged: Vec<_> = judgements(dir.path()).iter().map(words).collect();
    assert_eq!(judged.len(), 5);
    assert!(judged.contains(&(Some(4), true)), "{judged:?}");
}

#[test]
fn a_redo_is_the_judgement_of_before_with_its_time_and_what_was_seen() {
    // So small that one answer hides the other.
    let mut stage = Stage::new(setup(), (80, 24), pairs(3));
    stage.press("<tab> j j 3");
    stage.now += 100_000;
    stage.press("u");
    stage.now += 50_000;
    stage.press("U");
    let [judged, _, again] = &stage.drafts[..] else {
        panic!("{:?}", stage.drafts.len());
    };
    assert_eq!(judged.time.active_ms, 4000);
    assert!(judged.display.viewed.values().all(|&seen| seen == 1.0));
    assert_eq!(
        (&again.time, &again.display),
        (&judged.time, &judged.display)
    );
    let judged = judged.clone();
    // Two are taken back, both are made again.
    stage.press("<tab> 7 u u U U");
    let [.., first, second] = &stage.drafts[..] else {
        panic!("{:?}", stage.drafts.len());
    };
    assert_eq!(
        (&first.time, &first.display),
        (&judged.time, &judged.display)
    );
    assert!(second.display.viewed.values().all(|&seen| seen == 1.0));
}

#[test]
fn a_redo_in_a_later_session_has_the_time_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let items = items(2);
    drop(label(dir.path(), &items, "j j j 7"));
    let first = judgements(dir.path()).remove(0);
    drop(label(dir.path(), &items, "u j j j j U"));
    let again = judgements(dir.path()).remove(0);
    assert_ne!(first.id, again.id);
    assert_eq!(first.time.unwrap().active_ms, 4000);
    assert_eq!((first.time, first.display), (again.time, again.display));
}

#[test]
fn another_judgement_after_an_undo_counts_both_looks() {
    let mut stage = Stage::new(setup(), (120, 36), vec![pair("q", "a", "b")]);
    stage.press("j j 3 u j 9");
    let time = Time {
        shown_ms: 3000 + 1990,
        active_ms: 3000 + 1990,
        first_key_ms: Some(1000),
        changes: 1,
    };
    assert_eq!(stage.drafts[2].time, time);
}

#[test]
fn a_comment_and_marks_are_at_the_same_pair_at_the_next_start_and_gone_when_saved() {
    let dir = tempfile::tempdir().unwrap();
    let items = items(4);
    let mut stage = label(dir.path(), &items, "7 F 1 <enter> a 9 <enter> c");
    stage.write("half a thou");
    let question = stage.app.pair().unwrap().prompt_text();
    leave(dir.path(), stage);
    assert!(dir.path().join("mia/draft.json").exists());
    let stage = label(dir.path(), &items, "");
    assert_eq!(stage.app.pair().unwrap().prompt_text(), question);
    assert_eq!(stage.app.remarks.note, "half a thou");
    let screen = stage.screen();
    assert!(screen.contains("comment: \"half a thou\""), "{screen}");
    assert!(
        screen.contains("What was begun here before is back"),
        "{screen}"
    );
    drop(stage);
    leave(dir.path(), label(dir.path(), &items, "7"));
    assert!(!dir.path().join("mia/draft.json").exists());
    let record = judgements(dir.path()).remove(1);
    assert_eq!(record.note.as_deref(), Some("half a thou"));
    assert_eq!(record.flags, ["unsafe"]);
    assert_eq!(
        record.aspects.values().map(|v| v.abs()).collect::<Vec<_>>(),
        [4]
    );
}

#[test]
fn a_ranking_in_the_making_and_a_selection_come_back() {
    let answers = ["Paris", "Bread", "Rome", "Oslo"];
    let cities = item(PromptText::Text("A city?".into()), &answers);
    let dir = tempfile::tempdir().unwrap();
    let items = [cities];
    leave(dir.path(), label(dir.path(), &items, "1 4"));
    let stage = label(dir.path(), &items, "");
    let ranks = stage.app.ranks();
    assert_eq!(
        (ranks.describe().as_str(), ranks.unranked().count()),
        ("A > B", 2)
    );
    assert_eq!((ranks.rank(0), ranks.rank(1)), (Some(1), Some(4)));
    drop(stage);
    let mut select = Stage::new(setup(), (120, 36), vec![ranking("q", &["a", "b", "c"])]);
    assert_eq!(begun(&select.app), []);
    select.press("1");
    assert_eq!(begun(&select.app).len(), 1);
}

#[test]
fn what_the_disk_refused_is_begun_still() {
    let mut stage = Stage::new(setup(), (120, 36), pairs(2));
    stage.disk_error = Some("No space left");
    stage.press("c");
    stage.write("why");
    stage.press("<enter> 8");
    let begun = begun(&stage.app);
    assert_eq!((begun.len(), begun[0].note.as_str()), (1, "why"));
    assert!(begun[0].chosen.is_some());
}

#[test]
fn a_judgement_that_was_being_changed_comes_back_when_it_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let items = items(3);
    drop(label(dir.path(), &items, "7"));
    let mut stage = label(dir.path(), &items, "H <enter> c");
    stage.write("on second thoughts");
    leave(dir.path(), stage);
    let mut stage = label(dir.path(), &items, "");
    assert_eq!(stage.app.remarks.note, "");
    assert_eq!(begun(&stage.app).len(), 1);
    stage.saver = None;
    let stage = label(dir.path(), &items, "H <enter>");
    assert_eq!(stage.app.remarks.note, "on second thoughts");
    drop(stage);
    // Once it is judged otherwise, the draft is about nothing that stands.
    drop(label(dir.path(), &items, "H <enter> 1 <enter>"));
    assert_eq!(begun(&label(dir.path(), &items, "").app), []);
}

#[test]
fn a_cut_off_line_is_told_once_and_the_target_every_time() {
    let dir = tempfile::tempdir().unwrap();
    let items = items(4);
    drop(label(dir.path(), &items, "1 9"));
    let history = load(dir.path(), "mia").unwrap();
    let path = history.files[0].clone();
    let text = std::fs::read(&path).unwrap();
    std::fs::write(&path, &text[..text.len() - 5]).unwrap();
    let mut plan = Plan::seeded(42);
    plan.target = Some(Target {
        per_day: 2,
        day_began_ms: 0,
    });
    let told = |desk: Desk| desk.notice;
    let first = told(desk(&open(dir.path()), &items, &plan));
    let place = path.display();
    assert_eq!(
        first,
        format!("Today 1 of 2. A crash cut off {place}:3; that judgement comes up again.")
    );
    assert_eq!(
        told(desk(&open(dir.path()), &items, &plan)),
        "Today 1 of 2."
    );
}

#[test]
fn the_target_of_the_day_is_in_the_header_and_said_when_it_is_reached() {
    let target = Target {
        per_day: 3,
        day_began_ms: 0,
    };
    let desk = Desk {
        pairs: pairs(6),
        today: Some(Today { done: 1, target }),
        ..Desk::default()
    };
    let mut stage = Stage::locked(setup(), (120, 36));
    stage.event(Event::Opened(desk, 0));
    let header = |stage: &Stage| stage.screen().lines().next().unwrap().to_owned();
    assert!(header(&stage).contains("0/6 ") && header(&stage).contains("today 1/3 "));
    stage.press("s 1 7");
    assert!(header(&stage).contains("today 2/3 "), "{}", header(&stage));
    assert!(!stage.screen().contains("reached"));
    stage.press("7");
    assert!(header(&stage).contains("today 3/3 ✓"), "{}", header(&stage));
    assert!(stage.screen().contains("today's target of 3 is reached"));
    stage.press("7");
    assert!(header(&stage).contains("today 4/3 ✓") && !stage.screen().contains("is reached"));
    stage.press("u u");
    assert!(header(&stage).contains("today 2/3 "), "{}", header(&stage));
    stage.app.size = (80, 24);
    stage.event(Event::Resize(80, 24));
    assert!(header(&stage).contains("today 2/3"), "{}", header(&stage));
}

#[test]
fn what_counts_today_is_the_same_live_and_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let items = items(6);
    let mut plan = Plan::seeded(42);
    plan.target = Some(Target {
        per_day: 9,
        day_began_ms: 1,
    });
    let mut session = open(dir.path());
    let first = desk(&session, &items, &plan);
    let mut stage = Stage::locked(setup(), (120, 36));
    stage.saver = Some(Box::new(move |draft: &Draft| {
        draft.save(&mut session).unwrap()
    }));
    stage.event(Event::Opened(first, 0));
    stage.press("7 5 s 1 > 8 u 9");
    let live = stage.app.today().unwrap().done;
    stage.saver = None;
    let session = open(dir.path());
    assert_eq!((live, plan.today(session.history()).unwrap().done), (3, 3));
    let again = desk(&session, &items, &plan);
    stage.event(Event::Opened(again, 0));
    assert_eq!(stage.app.today().unwrap().done, 3);
    let skips = session.history().events().iter();
    assert_eq!(skips.filter(|e| e.kind == Kind::Skip).count(), 1);
    assert_eq!(Rc::strong_count(&stage.app.queue[0]), 1);
}
