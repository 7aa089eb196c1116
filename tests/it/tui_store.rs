//! From keys to records: what the labelling screen writes, and what it finds when it comes back.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::LazyLock;

use rlhf::feedback::item::Item;
use rlhf::feedback::queue::Plan;
use rlhf::feedback::record::{Kind, Layout, Origin, Outcome, Record, Scale};
use rlhf::feedback::store::Disk;
use rlhf::feedback::store::load::load;
use rlhf::feedback::store::session::Session;
use rlhf::feedback::store::stamps::Stamps;
use rlhf::tui::label::desk::{Rules, lay_out};
use rlhf::tui::label::draft::Draft;
use rlhf::tui::label::state::{Desk, Screen};
use rlhf::tui::label::update::{Effect, Event, update};

use crate::tui_stage::{Stage, guidelines, items, setup};

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

/// What happened on the disk, in order; and the disk.
type Tape = Rc<RefCell<Vec<&'static str>>>;

struct Recorder {
    file: File,
    tape: Tape,
}

impl Disk for Recorder {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        assert_eq!(
            bytes.iter().position(|&b| b == b'\n'),
            Some(bytes.len() - 1)
        );
        self.tape.borrow_mut().push("write");
        Disk::append(&mut self.file, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.tape.borrow_mut().push("sync");
        Disk::sync(&mut self.file)
    }
}

fn recorded(feedback: &Path, tape: &Tape) -> Session {
    let tape = Rc::clone(tape);
    open(feedback).writing_through(move |path| {
        let file = File::options().append(true).create_new(true).open(path)?;
        let tape = Rc::clone(&tape);
        Ok(Box::new(Recorder { file, tape }))
    })
}

#[test]
fn saved_is_on_the_screen_after_write_and_sync_and_not_before() {
    let dir = tempfile::tempdir().unwrap();
    let items = items(3);
    let tape = Tape::default();
    let mut session = recorded(dir.path(), &tape);
    let mut stage = Stage::locked(setup(), (120, 36));
    let desk = lay_out(&items, session.history(), rules()).unwrap();
    stage.event(Event::Opened(desk, 0));
    for n in 0..3_u64 {
        let at = 1000 * (n + 1);
        let key = Event::Key(rlhf::tui::keys::Key::Char('7'), at);
        let Some(Effect::Commit(draft)) = update(&mut stage.app, key).pop() else {
            panic!("nothing to commit");
        };
        // The person sees this as long as the disk takes.
        let waiting = stage.screen();
        assert!(
            waiting.contains(&format!("{n}/3")) && waiting.contains("saving…"),
            "{waiting}"
        );
        let id = draft.save(&mut session).unwrap();
        let mut expected = vec!["write", "sync"];
        if n == 0 {
            // The first line of the session.
            expected.extend(["write", "sync"]);
        }
        assert_eq!(tape.borrow_mut().drain(..).collect::<Vec<_>>(), expected);
        update(&mut stage.app, Event::Committed(id, at));
        let shown = stage.screen();
        assert!(!shown.contains("saving…"), "{shown}");
        assert!(
            n == 2 || shown.contains(&format!("{}/3", n + 1)) && shown.contains("saved"),
            "{shown}"
        );
        assert!(load(dir.path(), "mia").unwrap().event(id).is_some());
    }
    session.close().unwrap();
    assert_eq!(tape.take(), ["write", "sync"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_stops_the_screen_and_loses_nothing_that_was_saved() {
    let dir = tempfile::tempdir().unwrap();
    let items = items(3);
    let full = |_: &Path| -> io::Result<Box<dyn Disk>> {
        Ok(Box::new(File::options().write(true).open("/dev/full")?))
    };
    label(dir.path(), &items, "7");
    let mut session = open(dir.path()).writing_through(full);
    let desk = lay_out(&items, session.history(), rules()).unwrap();
    let mut stage = Stage::locked(setup(), (120, 36));
    stage.event(Event::Opened(desk, 0));
    let key = Event::Key(rlhf::tui::keys::Key::Char('8'), 1000);
    let Some(Effect::Commit(draft)) = update(&mut stage.app, key).pop() else {
        panic!("nothing to commit");
    };
    let error = draft.save(&mut session).unwrap_err().to_string();
    assert!(error.contains("No space left on device"), "{error}");
    update(&mut stage.app, Event::CommitFailed(error));
    let screen = stage.screen();
    assert!(
        screen.contains("NOT SAVED") && screen.contains("No space left"),
        "{screen}"
    );
    assert!(
        draft
            .save(&mut session)
            .unwrap_err()
            .to_string()
            .contains("read-only")
    );
    drop(session);
    assert_eq!(desk_left(dir.path(), &items), 2);
}

fn desk_left(feedback: &Path, items: &[Item]) -> usize {
    desk(feedback, items).pairs.len()
}

#[test]
fn more_pairs_are_waited_for_and_an_empty_supply_ends_it() {
    let dir = tempfile::tempdir().unwrap();
    let items = items(3);
    let mut first = desk(dir.path(), &items);
    let late = first.pairs.split_off(1);
    first.more = true;
    let mut stage = Stage::locked(setup(), (120, 36));
    stage.event(Event::Opened(first, 0));
    stage.press("7");
    assert_eq!(stage.app.screen, Screen::WaitingForSamples);
    let question = late[0].prompt_text();
    stage.event(Event::Supply(late, 5000));
    stage.now = 5000;
    assert!(stage.screen().contains(&question), "{}", stage.screen());
    stage.press("7 7");
    assert_eq!(stage.app.screen, Screen::WaitingForSamples);
    stage.event(Event::Supply(vec![], 9000));
    assert!(
        stage.screen().contains("Nothing is left to judge."),
        "{}",
        stage.screen()
    );
}
