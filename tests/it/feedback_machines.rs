//! One annotator on two machines that know nothing of each other, whose files meet afterwards, and
//! places where nobody may write.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rlhf::feedback::record::{Kind, Origin, Outcome, Purpose, Scale};
use rlhf::feedback::store::answered::Answered;
use rlhf::feedback::store::bulk::Bulk;
use rlhf::feedback::store::decision::{Decision, Shown, Verdict};
use rlhf::feedback::store::history::History;
use rlhf::feedback::store::load::load;
use rlhf::feedback::store::session::Session;
use rlhf::feedback::store::stamps::Stamps;
use tempfile::TempDir;
use ulid::Ulid;

use crate::feedback_stage::item;

/// A machine with a clock of its own, and a session of mia's on it.
struct Machine {
    dir: TempDir,
    clock: Arc<AtomicI64>,
    session: Option<Session>,
}

impl Machine {
    /// Mia sits down at this time.
    fn at(ms: i64, random: u128) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(AtomicI64::new(ms));
        let now = Arc::clone(&clock);
        let stamps = Stamps::new(move || now.load(Ordering::Relaxed), move || random);
        let session = Some(Session::open(dir.path(), "mia", stamps).unwrap());
        Self {
            dir,
            clock,
            session,
        }
    }

    fn says(&mut self, ms: i64, n: usize, verdict: Verdict) -> Ulid {
        self.clock.store(ms, Ordering::Relaxed);
        let item = item(n);
        let shown = Shown {
            item: &item,
            slot: 0,
            purpose: Purpose::Train,
            origin: Origin::Import,
            display: None,
            time: None,
        };
        let session = self.session.as_mut().unwrap();
        let decision = Decision::new(verdict, Scale::Nine);
        session.judge(&shown, decision).unwrap()
    }

    /// Ends the session.
    fn ends(mut self, ms: i64) -> TempDir {
        self.clock.store(ms, Ordering::Relaxed);
        self.session.take().unwrap().close().unwrap();
        self.dir
    }
}

/// Copies what the other machine has, as a synchronisation tool does.
fn bring(from: &Path, to: &Path) {
    for entry in fs::read_dir(from.join("mia")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap();
        if name != "lock" {
            fs::copy(&path, to.join("mia").join(name)).unwrap();
        }
    }
}

fn outcome(history: &History, n: usize) -> Option<Outcome> {
    history.effective(&item(n).id, 0).and_then(|e| e.outcome)
}

/// Rome's session begins first and ends last. Item 0 is judged last in Rome, item 1 last in Oslo.
fn both() -> (TempDir, [Ulid; 4]) {
    let mut rome = Machine::at(1_000, 1);
    let mut oslo = Machine::at(2_000, 2);
    let ids = [
        oslo.says(3_000, 0, Verdict::Tie),
        rome.says(4_000, 1, Verdict::Tie),
        oslo.says(5_000, 1, Verdict::BothBad),
        rome.says(9_000, 0, Verdict::BothBad),
    ];
    let (rome, oslo) = (rome.ends(9_500), oslo.ends(6_000));
    bring(oslo.path(), rome.path());
    (rome, ids)
}

#[test]
fn of_two_sessions_that_overlap_the_later_judgement_counts_not_the_later_session() {
    let (dir, ids) = both();
    let history = load(dir.path(), "mia").unwrap();
    assert_eq!(outcome(&history, 0), Some(Outcome::BothBad));
    assert_eq!(outcome(&history, 1), Some(Outcome::BothBad));
    let judged = history.events().iter();
    let judged = judged.filter(|e| e.kind == Kind::Judgement).map(|e| e.id);
    assert_eq!(judged.collect::<Vec<_>>(), ids);
    assert_eq!(history.last_answer().unwrap().id, ids[3]);
    // An import sees the same: what is there last is what Rome said.
    let mut answered = Answered::new(dir.path());
    Bulk::open(dir.path(), "mia", Stamps::system(), &mut answered).unwrap();
    let mut last = |index| {
        answered
            .answer("mia", &item(index).id, 0)
            .unwrap()
            .unwrap()
            .id
    };
    assert_eq!([last(0), last(1)], [ids[3], ids[2]]);
}

#[test]
fn undo_and_edits_reach_over_sessions_that_overlapped() {
    let (dir, ids) = both();
    let mut session = Session::open(dir.path(), "mia", Stamps::system()).unwrap();
    let mut undo = || session.undo().unwrap().unwrap().id;
    assert_eq!([undo(), undo()], [ids[3], ids[2]]);
    assert_eq!(outcome(session.history(), 0), Some(Outcome::Tie));
    assert_eq!(outcome(session.history(), 1), Some(Outcome::Tie));
    let item = item(1);
    let shown = Shown {
        item: &item,
        slot: 0,
        purpose: Purpose::Train,
        origin: Origin::Import,
        display: None,
        time: None,
    };
    let mut edit = Decision::new(Verdict::BothBad, Scale::Nine);
    edit.edits = Some(ids[1]);
    let edit = session.judge(&shown, edit).unwrap();
    session.close().unwrap();
    let history = load(dir.path(), "mia").unwrap();
    assert_eq!(history.effective(&item.id, 0).unwrap().id, edit);
    assert_eq!(history.judged(), 2);
}

#[test]
fn a_clock_that_goes_backwards_does_not_reorder_a_session_that_overlaps_another() {
    let mut rome = Machine::at(1_000, 1);
    let mut oslo = Machine::at(2_000, 2);
    let early = rome.says(8_000, 0, Verdict::Tie);
    let between = oslo.says(3_000, 0, Verdict::Tie);
    // The clock in Rome is set back by five seconds.
    let late = rome.says(2_500, 0, Verdict::BothBad);
    let (rome, oslo) = (rome.ends(2_600), oslo.ends(4_000));
    bring(rome.path(), oslo.path());
    let history = load(oslo.path(), "mia").unwrap();
    let judged = history.events().iter();
    let judged = judged.filter(|e| e.kind == Kind::Judgement).map(|e| e.id);
    assert_eq!(judged.collect::<Vec<_>>(), [between, early, late]);
    assert_eq!(outcome(&history, 0), Some(Outcome::BothBad));
}

/// Nobody, root included, makes files in sysfs: a place that is read-only for everybody.
#[cfg(target_os = "linux")]
#[test]
fn where_nobody_may_write_the_error_says_where_and_what_to_do() {
    let advice = "what is judged is written here: get write access, or copy the project to a folder \
                  of your own";
    let error = Session::open(Path::new("/sys"), "mia", Stamps::system()).err();
    let error = error.unwrap().to_string();
    assert!(error.starts_with("/sys/mia: "), "{error}");
    assert!(error.ends_with(advice), "{error}");
    let mut answered = Answered::new(&std::env::temp_dir());
    let error = Bulk::open(Path::new("/sys"), "mia", Stamps::system(), &mut answered).err();
    assert!(error.unwrap().to_string().ends_with(advice));

    let dir = tempfile::tempdir().unwrap();
    let row = "{\"prompt\":\"q\",\"responses\":[\"one\",\"two\"]}\n";
    fs::write(dir.path().join("pairs.jsonl"), row).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rlhf"));
    let arguments = ["label", "pairs.jsonl", "--annotator", "sim:gold", "--dir"];
    command.args(arguments).arg("/sys").current_dir(&dir);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains("/sys/samples/pairs.jsonl: "), "{said}");
    assert!(said.contains("get write access"), "{said}");
}
