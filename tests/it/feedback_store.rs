//! What the store promises when machines, clocks and disks misbehave.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use proptest::prelude::*;
use rlhf::feedback::digest::Sha256;
use rlhf::feedback::item::{Item, Selector};
use rlhf::feedback::record::line::{from_line, to_line};
use rlhf::feedback::record::{
    Display, Header, Kind, Layout, Origin, Outcome, Purpose, Record, Scale, Time, UtcMillis,
};
use rlhf::feedback::store::StoreError;
use rlhf::feedback::store::decision::{Decision, Shown, Verdict};
use rlhf::feedback::store::history::History;
use rlhf::feedback::store::load::load;
use rlhf::feedback::store::session::Session;
use rlhf::feedback::store::stamps::Stamps;
use ulid::Ulid;

use crate::feedback_stage::item;

/// Names the folder to a child process that judges until it is killed.
const CHILD: &str = "RLHF_TEST_STORE_CHILD";

fn shown(item: &Item) -> Shown<'_> {
    Shown {
        item,
        slot: 0,
        purpose: Purpose::Train,
        origin: Origin::Import,
        display: None,
        time: None,
    }
}

fn prefer(item: &Item, candidate: usize) -> Decision {
    let winner = item.candidates[candidate].id.clone();
    let verdict = Verdict::Prefer {
        winner,
        strength: Some(3),
    };
    Decision::new(verdict, Scale::Nine)
}

fn judge(session: &mut Session, n: usize) -> Ulid {
    let item = item(n);
    session.judge(&shown(&item), prefer(&item, n % 2)).unwrap()
}

fn open(feedback: &Path) -> Session {
    Session::open(feedback, "mia", Stamps::system()).unwrap()
}

/// Stamps whose clock says what the list says, then its last entry for ever.
fn clock(times: &[i64]) -> Stamps {
    let (times, mut at) = (times.to_vec(), 0);
    let now = move || {
        at += 1;
        times[(at - 1).min(times.len() - 1)]
    };
    Stamps::new(now, || 1)
}

/// A folder with one closed session of judgements 0..n, and its file.
fn written(n: usize) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let mut session = open(dir.path());
    for n in 0..n {
        judge(&mut session, n);
    }
    let path = dir
        .path()
        .join("mia")
        .join(format!("{}.jsonl", session.id()));
    session.close().unwrap();
    (dir, path)
}

fn newlines(bytes: &[u8]) -> usize {
    bytes.split(|&byte| byte == b'\n').count() - 1
}

fn ids(history: &History) -> Vec<Ulid> {
    history.events().iter().map(|event| event.id).collect()
}

#[test]
fn a_file_cut_off_anywhere_keeps_every_whole_line() {
    let (dir, path) = written(3);
    let whole = fs::read(&path).unwrap();
    let all = ids(&load(dir.path(), "mia").unwrap());
    assert_eq!(all.len(), 5);
    let file = File::options().write(true).open(&path).unwrap();
    for cut in (0..=whole.len()).rev() {
        file.set_len(cut as u64).unwrap();
        let history = load(dir.path(), "mia").unwrap();
        // A line without its newline is whole too.
        let next = whole.get(cut) == Some(&b'\n');
        let lines = newlines(&whole[..cut]) + usize::from(next);
        assert_eq!(ids(&history), all[..lines], "cut at {cut}");
        let end = whole[..cut].iter().rposition(|&byte| byte == b'\n');
        let rest = cut - end.map_or(0, |end| end + 1);
        let torn = history.torn.iter().map(|torn| (torn.line, torn.len));
        let expected = (rest > 0 && !next).then_some((lines + 1, rest));
        assert_eq!(
            torn.collect::<Vec<_>>(),
            Vec::from_iter(expected),
            "cut at {cut}"
        );
    }
}

#[test]
fn a_cut_off_line_is_copied_aside_and_the_file_stays() {
    let (dir, path) = written(2);
    let whole = fs::read(&path).unwrap();
    let cut = whole.len() - 30;
    fs::write(&path, &whole[..cut]).unwrap();
    let mut session = open(dir.path());
    assert_eq!((session.torn().len(), session.torn()[0].line), (1, 4));
    judge(&mut session, 9);
    session.close().unwrap();
    assert_eq!(fs::read(&path).unwrap(), whole[..cut]);
    let start = whole[..cut]
        .iter()
        .rposition(|&byte| byte == b'\n')
        .unwrap()
        + 1;
    assert_eq!(
        fs::read(path.with_extension("jsonl.torn")).unwrap(),
        whole[start..cut]
    );
    assert_eq!(load(dir.path(), "mia").unwrap().judged(), 3);
}

#[test]
fn a_changed_byte_anywhere_is_an_error_that_names_the_file() {
    let (dir, path) = written(3);
    let whole = fs::read(&path).unwrap();
    let mut file = File::options().write(true).open(&path).unwrap();
    let mut put = |at: usize, byte: u8| {
        file.seek(SeekFrom::Start(at as u64)).unwrap();
        file.write_all(&[byte]).unwrap();
    };
    for at in 0..whole.len() - 1 {
        put(at, whole[at] ^ 1);
        let error = load(dir.path(), "mia").unwrap_err().to_string();
        let line = newlines(&whole[..at]) + 1;
        let place = format!("{}:{line}: ", path.display());
        assert!(error.starts_with(&place), "byte {at}: {error}");
        put(at, whole[at]);
    }
}

#[test]
fn removed_swapped_and_repeated_lines_are_errors_with_a_line_number() {
    let (dir, path) = written(3);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    for (order, place) in [
        (&[0, 1, 3, 4][..], ":3: expected `seq` 2, found 3: a gap"),
        (&[0, 2, 1, 3, 4], ":2: expected `seq` 1, found 2: a gap"),
        (&[0, 1, 1, 2], ":3: expected `seq` 2, found 1"),
        (&[1, 2, 3], ":1: expected `seq` 0, found 1"),
    ] {
        let changed: Vec<&str> = order.iter().map(|&index| lines[index]).collect();
        fs::write(&path, changed.join("\n") + "\n").unwrap();
        let error = load(dir.path(), "mia").unwrap_err().to_string();
        assert!(
            error.contains(&format!(".jsonl{place}")),
            "{order:?}: {error}"
        );
    }
}

#[test]
fn a_line_of_another_chain_is_an_error() {
    let (dir, path) = written(3);
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let mut record = from_line(lines[2].as_bytes()).unwrap();
    lines[2] = to_line(&mut record, Sha256::of("another line")).unwrap();
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    let error = load(dir.path(), "mia").unwrap_err().to_string();
    assert!(
        error.contains(".jsonl:3: `prev` is not the hash of the line before"),
        "{error}"
    );
}

#[test]
fn undo_goes_ten_deep_and_back_and_into_earlier_sessions() {
    let (dir, _) = written(6);
    let mut session = open(dir.path());
    for n in 6..12 {
        judge(&mut session, n);
    }
    for n in (2..12).rev() {
        let undone = session.undo().unwrap().unwrap();
        assert_eq!(undone.item, Some(item(n).id));
        assert_eq!(session.history().judged(), n);
    }
    for n in 2..9 {
        assert_eq!(session.redo().unwrap().unwrap().item, Some(item(n).id));
    }
    session.close().unwrap();
    let history = load(dir.path(), "mia").unwrap();
    assert_eq!(history.judged(), 9);
    let records = history.judgements().unwrap();
    let winners = records.iter().map(|r| r.winner.clone().unwrap());
    let expected = (0..9).map(|n| item(n).candidates[n % 2].id.clone());
    assert_eq!(winners.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
    // 2 session starts and ends, 12 judgements, 10 retractions, 7 judgements made again.
    assert_eq!(history.events().len(), 4 + 12 + 10 + 7);
}

#[test]
fn undo_of_nothing_is_nothing_and_leaves_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let mut session = open(dir.path());
    assert!(session.undo().unwrap().is_none() && session.redo().unwrap().is_none());
    session.close().unwrap();
    let files = fs::read_dir(dir.path().join("mia")).unwrap();
    let names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
    assert_eq!(names, ["lock"]);
}

#[test]
fn a_clock_that_goes_backwards_changes_no_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut made = Vec::new();
    for times in [&[9_000, 8_000, 7_000][..], &[5_000, 4_000], &[10_000, -3]] {
        let mut session = Session::open(dir.path(), "mia", clock(times)).unwrap();
        made.extend([0, 1, 0].map(|n| judge(&mut session, n)));
        session.close().unwrap();
    }
    assert!(made.is_sorted_by(|a, b| a < b));
    let history = load(dir.path(), "mia").unwrap();
    assert_eq!((history.files.len(), history.judged()), (3, 2));
    assert_eq!(history.effective(&item(0).id, 0).unwrap().id, made[8]);
    assert_eq!(history.effective(&item(1).id, 0).unwrap().id, made[7]);
}

#[test]
fn the_folder_of_an_annotator_can_be_no_file() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("mia"), "").unwrap();
    let error = Session::open(dir.path(), "mia", Stamps::system())
        .err()
        .unwrap();
    let named = dir.path().join("mia").display().to_string();
    assert!(matches!(&error, StoreError::Io { .. }) && error.to_string().contains(&named));
    assert!(Session::open(dir.path(), "../mia", Stamps::system()).is_err());
}

/// On its own: every judgement can be read as soon as it is acknowledged. As a child process, it
/// judges and acknowledges until somebody kills it.
#[test]
fn acknowledged_judgements_are_written() {
    if let Some(folder) = std::env::var_os(CHILD) {
        let mut session = open(Path::new(&folder));
        for n in 0.. {
            eprintln!("{}", judge(&mut session, n));
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let mut session = open(dir.path());
    for n in 0..3 {
        let id = judge(&mut session, n);
        let event = load(dir.path(), "mia").unwrap();
        let of = event.event(id).unwrap().item.as_deref();
        assert_eq!(of, Some(&*item(n).id));
    }
}

/// A child process that judges in `folder`, and what it has acknowledged, line by line.
fn child(folder: &Path) -> (Child, impl Iterator<Item = Ulid>) {
    let module = module_path!().split_once("::").unwrap().1;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg(format!("{module}::acknowledged_judgements_are_written"))
        .args(["--exact", "--nocapture"])
        .env(CHILD, folder)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let ids = lines.filter_map(|line| Ulid::from_string(&line.unwrap()).ok());
    (child, ids)
}

#[test]
fn nothing_acknowledged_is_lost_to_kill_9() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..12 {
        let (mut child, mut ids) = child(dir.path());
        acknowledged.extend(ids.by_ref().take(1 + round * 5 % 13));
        child.kill().unwrap();
        acknowledged.extend(ids);
        child.wait().unwrap();
        let history = load(dir.path(), "mia").unwrap();
        assert_eq!(history.files.len(), round + 1);
        let lost = acknowledged
            .iter()
            .filter(|id| history.event(**id).is_none());
        assert_eq!(lost.count(), 0);
    }
    assert!(acknowledged.len() >= 12);
    open(dir.path()).close().unwrap();
}

#[test]
fn a_second_process_is_told_who_holds_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let (mut child, mut ids) = child(dir.path());
    ids.next().unwrap();
    match Session::open(dir.path(), "mia", Stamps::system()) {
        Err(StoreError::Locked { annotator, holder }) => {
            assert_eq!(
                (annotator.as_str(), holder.unwrap().pid),
                ("mia", child.id())
            );
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("two sessions of one annotator"),
    }
    assert!(Session::open(dir.path(), "tom", Stamps::system()).is_ok());
    child.kill().unwrap();
    child.wait().unwrap();
    open(dir.path()).close().unwrap();
}

/// Shares and scores have at most ten digits: serde_json reads more of them to within one unit in the
/// last place only.
fn any_display() -> impl Strategy<Value = Display> {
    let fields = (
        any::<bool>(),
        any::<u64>(),
        any::<Option<[u16; 2]>>(),
        0..=1000_u16,
    );
    fields.prop_map(|(swap, order_seed, size, share)| {
        let mut order: Vec<String> = item(0).candidates.into_iter().map(|c| c.id).collect();
        if swap {
            order.reverse();
        }
        let viewed = [(order[0].clone(), f64::from(share) / 1000.0)].into();
        Display {
            order,
            order_seed,
            blind: true,
            size,
            layout: Layout::Flip,
            viewed,
        }
    })
}

prop_compose! {
    fn any_judgement()(
        (seq, ts, id) in (any::<u64>(), 0..4_000_000_000_000_i64, any::<u128>()),
        strength in proptest::option::of(1..=4_u8),
        tie in any::<bool>(),
        (note, reason) in (any::<Option<String>>(), any::<Option<String>>()),
        flags in proptest::collection::vec(any::<String>(), 0..3),
        aspects in proptest::collection::btree_map(any::<String>(), -4..=4_i8, 0..3),
        display in any_display(),
        (shown_ms, first_key_ms, changes) in (any::<u64>(), any::<Option<u64>>(), any::<u32>()),
        (score, slot) in (any::<Option<i32>>(), any::<u8>()),
    ) -> Record {
        let header = Header {
            id: Ulid(id),
            session: Ulid(id ^ 1),
            seq,
            ts: UtcMillis(ts),
            annotator: "mia".into(),
        };
        let mut record = Record::new(Kind::Judgement, header).about(&item(0), slot);
        let score = score.map(|score| f64::from(score) / 1000.0);
        record.selector = Some(Selector { name: "uncertainty".into(), score, seed: seq });
        record.purpose = Some(Purpose::Train);
        record.origin = Some(Origin::Screen);
        record.scale = Some(Scale::Nine);
        record.outcome = Some(if tie { Outcome::Tie } else { Outcome::Prefer });
        record.winner = (!tie).then(|| display.order[0].clone());
        record.strength = strength.filter(|_| !tie);
        record.display = Some(display);
        record.time = Some(Time { shown_ms, active_ms: shown_ms / 2, first_key_ms, changes });
        (record.note, record.reason, record.flags, record.aspects) = (note, reason, flags, aspects);
        record
    }
}

proptest! {
    #[test]
    fn a_record_survives_its_line(mut record in any_judgement(), before in any::<String>()) {
        let prev = Sha256::of(before);
        let line = to_line(&mut record, prev).unwrap();
        prop_assert!(!line.contains('\n'));
        let read = from_line(line.as_bytes()).unwrap();
        prop_assert_eq!(&read, &record);
        prop_assert_eq!(read.prev, prev);
    }
}
