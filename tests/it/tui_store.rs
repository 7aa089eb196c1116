//! From keys to records: what the labelling screen writes, and what it finds when it comes back.

use std::path::Path;
use std::sync::LazyLock;

use rlhf::feedback::item::Item;
use rlhf::feedback::item::PromptText;
use rlhf::feedback::queue::Plan;
use rlhf::feedback::record::{Kind, Layout, Origin, Outcome, Record, Scale};
use rlhf::feedback::store::load::load;
use rlhf::feedback::store::session::Session;
use rlhf::feedback::store::stamps::Stamps;
use rlhf::tui::label::desk::{Rules, lay_out};
use rlhf::tui::label::draft::Draft;
use rlhf::tui::label::state::Desk;
use rlhf::tui::label::update::Event;

use crate::tui_stage::{Stage, guidelines, item, setup};

fn items(n: usize) -> Vec<Item> {
    let prompt = |i: usize| PromptText::Text(format!("question {i}"));
    (0..n)
        .map(|i| item(prompt(i), &[&format!("one {i}"), &format!("two {i}")]))
        .collect()
}

static PLAN: LazyLock<Plan> = LazyLock::new(|| Plan::seeded(42));

fn rules() -> Rules<'static> {
    let guidelines_sha256 = Some(guidelines("Be fair.").sha256);
    Rules {
        plan: &PLAN,
        scale: Scale::Nine,
        guidelines_sha256,
    }
}

fn open(feedback: &Path) -> Session {
    let session = Session::open(feedback, "mia", Stamps::system()).unwrap();
    session.asking("Which answer is better?", rules().guidelines_sha256)
}

fn desk(feedback: &Path, items: &[Item]) -> Desk {
    lay_out(items, &load(feedback, "mia").unwrap(), rules()).unwrap()
}

/// Presses keys on a stage and saves its drafts as the driver does; ids are the store's.
fn label(feedback: &Path, items: &[Item], keys: &str) -> Stage {
    let mut session = open(feedback);
    let mut stage = Stage::locked(setup(), (120, 36));
    let desk = lay_out(items, session.history(), rules()).unwrap();
    stage.saver = Some(Box::new(move |draft: &Draft| {
        draft.save(&mut session).unwrap()
    }));
    stage.event(Event::Opened(desk, 0));
    stage.press(keys);
    stage
}

fn records(feedback: &Path) -> Vec<Record> {
    let history = load(feedback, "mia").unwrap();
    history
        .events()
        .iter()
        .map(|event| history.record(event).unwrap())
        .collect()
}

#[test]
fn a_judgement_names_the_answer_that_stood_on_the_chosen_side() {
    let dir = tempfile::tempdir().unwrap();
    let items = items(8);
    let stage = label(dir.path(), &items, "1 9 1 9 1 9 1 9");
    let mut on_the_left = 0;
    for (draft, record) in stage.drafts.iter().zip(&records(dir.path())[1..]) {
        let strength_and_side = (record.strength, record.display.as_ref().unwrap());
        let (Some(4), display) = strength_and_side else {
            panic!("{record:?}")
        };
        let left = display.order.first() == record.winner.as_ref();
        on_the_left += usize::from(left);
        assert_eq!(record.item.as_deref(), Some(draft.pair.item.id.as_str()));
        assert_eq!(
            (display.layout, display.blind, display.size),
            (Layout::Split, true, Some([120, 36]))
        );
        assert_eq!(record.origin, Some(Origin::Screen));
        assert_eq!(record.guidelines_sha256, rules().guidelines_sha256);
    }
    assert_eq!(on_the_left, 4);
}

#[test]
fn every_outcome_is_written_as_itself() {
    let dir = tempfile::tempdir().unwrap();
    label(dir.path(), &items(6), "5 b 0 3 s 2 6 u");
    let told: Vec<_> = records(dir.path())
        .into_iter()
        .map(|r| (r.kind, r.outcome, r.strength, r.reason))
        .collect();
    let reason = |text: &str| Some(text.to_owned());
    let expected = [
        (Kind::SessionStart, None, None, None),
        (Kind::Judgement, Some(Outcome::Tie), None, None),
        (Kind::Judgement, Some(Outcome::BothBad), None, None),
        (
            Kind::Judgement,
            Some(Outcome::CannotJudge),
            None,
            reason("broken"),
        ),
        (Kind::Skip, None, None, reason("too_long")),
        (Kind::Judgement, Some(Outcome::Prefer), Some(1), None),
        (Kind::Retract, None, None, None),
    ];
    assert_eq!(told, expected);
}

#[test]
fn coming_back_finds_the_rest_in_the_same_order_and_undo_reaches_back() {
    let dir = tempfile::tempdir().unwrap();
    let items = items(10);
    let ids = |desk: &Desk| {
        desk.pairs
            .iter()
            .map(|pair| pair.item.id.clone())
            .collect::<Vec<_>>()
    };
    let first = desk(dir.path(), &items);
    assert!(!first.guidelines_read);
    label(dir.path(), &items, "2 s 1 8");
    let second = desk(dir.path(), &items);
    assert_eq!(ids(&second), ids(&first)[3..]);
    assert_eq!(
        (second.judged, second.earlier.len(), second.guidelines_read),
        (0, 3, true)
    );
    for (pair, again) in first.pairs[3..].iter().zip(&second.pairs) {
        assert_eq!(
            (&pair.sides, pair.order_seed),
            (&again.sides, again.order_seed)
        );
    }
    let stage = label(dir.path(), &items, "u u");
    assert!(
        stage
            .describe()
            .ends_with("done[A better] redo[B better, skipped: the prompt is unclear]")
    );
    assert_eq!(desk(dir.path(), &items).pairs.len(), 9);
}

#[test]
fn many_earlier_judgements_are_counted_and_twenty_can_be_taken_back() {
    let dir = tempfile::tempdir().unwrap();
    let items = items(30);
    label(dir.path(), &items, &"7 ".repeat(25));
    let desk = desk(dir.path(), &items);
    assert_eq!(
        (desk.judged, desk.earlier.len(), desk.pairs.len()),
        (5, 20, 5)
    );
    let mut stage = Stage::new(setup(), (120, 36), vec![]);
    stage.event(Event::Opened(desk, 0));
    assert_eq!((stage.app.judged(), stage.app.total()), (25, 30));
    assert_eq!(stage.app.counts(), "0 judged");
}

#[test]
fn another_scale_ends_what_undo_can_show_again() {
    let dir = tempfile::tempdir().unwrap();
    let items = items(4);
    label(dir.path(), &items, "1 9");
    let history = load(dir.path(), "mia").unwrap();
    let seven = Rules {
        scale: Scale::Seven,
        ..rules()
    };
    let desk = lay_out(&items, &history, seven).unwrap();
    assert_eq!(
        (desk.judged, desk.earlier.len(), desk.pairs.len()),
        (2, 0, 2)
    );
}

#[test]
fn a_line_that_a_crash_cut_off_is_told_and_comes_up_again() {
    let dir = tempfile::tempdir().unwrap();
    let items = items(3);
    label(dir.path(), &items, "1 9");
    let folder = dir.path().join("mia");
    let files = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let file = files
        .into_iter()
        .find(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .unwrap();
    let text = std::fs::read(&file).unwrap();
    std::fs::write(&file, &text[..text.len() - 5]).unwrap();
    let desk = desk(dir.path(), &items);
    assert_eq!((desk.pairs.len(), desk.earlier.len()), (2, 1));
    let place = format!("{}:3", file.display());
    assert_eq!(
        desk.notice,
        format!("A crash cut off {place}; that judgement comes up again.")
    );
}
