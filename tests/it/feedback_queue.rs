//! What is put before an annotator: checks, scores, files from anywhere, adjudications.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use rlhf::feedback::disputes::{disagreements, judgements_of};
use rlhf::feedback::item::{BatchFile, Item, read_batch};
use rlhf::feedback::labels::{Folders, Labels};
use rlhf::feedback::pairs;
use rlhf::feedback::queue::{Disputes, Plan, Queue, side_order};
use rlhf::feedback::record::{Display, Layout, Origin, Purpose, Record, Scale};
use rlhf::feedback::store::decision::{Decision, Shown, Verdict};
use rlhf::feedback::store::load::load;
use rlhf::feedback::store::session::Session;
use rlhf::feedback::store::stamps::Stamps;

use crate::feedback_stage::item;

fn shown<'a>(item: &'a Item, annotator: &str, slot: u8, purpose: Purpose) -> Shown<'a> {
    let (order_seed, order) = side_order(item, annotator, slot, 42);
    Shown {
        item,
        slot,
        purpose,
        origin: Origin::Screen,
        display: Some(Display {
            order,
            order_seed,
            blind: true,
            size: Some([120, 36]),
            layout: Layout::Split,
            viewed: std::collections::BTreeMap::new(),
        }),
        time: None,
    }
}

/// `annotator` judges items 0.. by these winners; `None` is a tie.
fn judge(feedback: &Path, annotator: &str, winners: &[Option<usize>]) {
    let mut session = Session::open(feedback, annotator, Stamps::system()).unwrap();
    for (n, winner) in winners.iter().enumerate() {
        let item = item(n);
        let verdict = winner.map_or(Verdict::Tie, |winner| Verdict::Prefer {
            winner: item.candidates[winner].id.clone(),
            strength: Some(n as u8 % 4 + 1),
        });
        let decision = Decision::new(verdict, Scale::Nine);
        let shown = shown(&item, annotator, 0, Purpose::Train);
        session.judge(&shown, decision).unwrap();
    }
    session.close().unwrap();
}

/// A project in which ann and bob agree on items 0 and 3 only, and ann has more to say than bob.
fn disputed() -> (tempfile::TempDir, Folders) {
    let dir = tempfile::tempdir().unwrap();
    let folders = Folders::of(dir.path());
    let items: Vec<Item> = (0..6).map(item).collect();
    BatchFile::open(&folders.samples, "b1")
        .unwrap()
        .append(&items)
        .unwrap();
    judge(
        &folders.feedback,
        "ann",
        &[Some(0), Some(0), None, None, Some(1), Some(1)],
    );
    judge(
        &folders.feedback,
        "bob",
        &[Some(0), Some(1), Some(0), None, Some(0)],
    );
    (dir, folders)
}

fn ids(disputes: &Disputes) -> Vec<usize> {
    let is_in = |n: &usize| disputes.contains_key(&item(*n).id);
    (0..6).filter(is_in).collect()
}

#[test]
fn people_disagree_where_winners_or_outcomes_differ() {
    let (_dir, folders) = disputed();
    let labels = Labels::read(&folders).unwrap();
    let disputes = disagreements(&labels);
    assert_eq!(ids(&disputes), [1, 2, 4]);
    assert!(disputes.values().all(|judgements| judgements.len() == 2));
    assert_eq!(ids(&judgements_of(&labels, "bob")), [0, 1, 2, 3, 4]);
    assert_eq!(judgements_of(&labels, "eve").len(), 0);
}

#[test]
fn an_adjudication_settles_for_export_and_deletes_nothing() {
    let (_dir, folders) = disputed();
    let before = load(&folders.feedback, "ann")
        .unwrap()
        .judgements()
        .unwrap();
    let disputes = disagreements(&Labels::read(&folders).unwrap());
    let plan = Plan {
        disputes: Some(disputes.clone()),
        ..Plan::seeded(42)
    };
    let items = read_batch(&folders.samples.join("b1.jsonl")).unwrap();
    // Ann settles it herself: what she said before stays as it is, in its own slot.
    let session = Session::open(&folders.feedback, "ann", Stamps::system()).unwrap();
    let mut session = session.settling(disputes.clone());
    let mut queue = Queue::new(&items, session.history(), &plan);
    assert_eq!((queue.left(), queue.total()), (3, 3));
    while let Some(task) = queue.current() {
        assert_eq!((task.slot, task.purpose), (1, Purpose::Adjudication));
        let item = &items[task.index];
        let winner = item.candidates[1].id.clone();
        let verdict = Verdict::Prefer {
            winner,
            strength: Some(2),
        };
        let shown = shown(item, "ann", task.slot, task.purpose);
        session
            .judge(&shown, Decision::new(verdict, Scale::Nine))
            .unwrap();
        queue.finish();
    }
    session.close().unwrap();
    let labels = Labels::read(&folders).unwrap();
    let records: Vec<&Record> = labels.labels.iter().map(|label| &label.record).collect();
    assert_eq!(records.len(), 11 + 3);
    assert!(before.iter().all(|record| records.contains(&record)));
    let rulings: Vec<_> = records
        .iter()
        .filter(|r| r.purpose == Some(Purpose::Adjudication))
        .collect();
    assert_eq!(rulings.len(), 3);
    for ruling in rulings {
        assert_eq!(ruling.origin, Some(Origin::Adjudication));
        assert_eq!(
            &ruling.adjudicates,
            &disputes[ruling.item.as_ref().unwrap()]
        );
    }
    assert_eq!(
        labels.labels.iter().filter(|label| label.settled).count(),
        6
    );
    assert_eq!(ids(&disagreements(&labels)), [0; 0]);
    // Exported: item 0 and the tie on item 3 twice, item 5 once, and the three rulings.
    let (pairs, dropped) = pairs::of_project(&labels, &[]);
    let two_wins = pairs
        .iter()
        .filter(|pair| !pair.tie && pair.chosen.starts_with("two"));
    assert_eq!((pairs.len(), two_wins.count(), dropped.settled), (8, 4, 6));
}

#[test]
fn a_moderator_who_skips_an_item_is_not_asked_again_about_it() {
    let (_dir, folders) = disputed();
    let disputes = disagreements(&Labels::read(&folders).unwrap());
    let plan = Plan {
        disputes: Some(disputes.clone()),
        ..Plan::seeded(42)
    };
    let items = read_batch(&folders.samples.join("b1.jsonl")).unwrap();
    let open = || {
        let session = Session::open(&folders.feedback, "ann", Stamps::system()).unwrap();
        session.settling(disputes.clone())
    };
    let mut session = open();
    let queue = Queue::new(&items, session.history(), &plan);
    let first = queue.current().unwrap();
    let item = &items[first.index];
    let asked = shown(item, "ann", first.slot, first.purpose);
    session.skip(&asked, Some("upsetting".into())).unwrap();
    session.close().unwrap();
    let mut session = open();
    let queue = Queue::new(&items, session.history(), &plan);
    assert_eq!((queue.left(), queue.total()), (2, 3));
    assert_ne!(queue.current().unwrap().index, first.index);
    // What was deferred comes last, and what is taken back comes again.
    let second = queue.current().unwrap();
    let asked = shown(&items[second.index], "ann", second.slot, second.purpose);
    session.defer(&asked, None).unwrap();
    let queue = Queue::new(&items, session.history(), &plan);
    assert_eq!(queue.left(), 2);
    assert_ne!(queue.current().unwrap().index, second.index);
    session.undo().unwrap();
    session.undo().unwrap();
    assert_eq!(Queue::new(&items, session.history(), &plan).left(), 3);
}

#[test]
fn what_was_deferred_on_two_machines_comes_in_the_order_of_time() {
    let items: Vec<Item> = (0..3).map(item).collect();
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // Each session is a file; both are opened before anything is deferred, and share a clock.
    let clock = std::sync::Arc::new(std::sync::atomic::AtomicI64::new(1_000));
    let open = |folder: &Path| {
        let clock = clock.clone();
        let now = move || clock.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Session::open(folder, "mia", Stamps::new(now, || 7)).unwrap()
    };
    let (mut first, mut second) = (open(one.path()), open(two.path()));
    let defer = |session: &mut Session, n: usize| {
        let asked = shown(&items[n], "mia", 0, Purpose::Train);
        session.defer(&asked, None).unwrap();
    };
    defer(&mut second, 2);
    defer(&mut first, 0);
    defer(&mut second, 1);
    for session in [first, second] {
        session.close().unwrap();
    }
    for file in fs::read_dir(two.path().join("mia")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), one.path().join("mia").join(file.file_name())).unwrap();
    }
    let history = load(one.path(), "mia").unwrap();
    let mut queue = Queue::new(&items, &history, &Plan::seeded(42));
    let mut order = Vec::new();
    while let Some(task) = queue.current() {
        order.push(task.index);
        queue.finish();
    }
    assert_eq!(order, [2, 0, 1]);
}

#[test]
fn a_skip_as_an_annotator_does_not_keep_a_moderator_from_deciding() {
    let (_dir, folders) = disputed();
    let disputes = disagreements(&Labels::read(&folders).unwrap());
    let items = read_batch(&folders.samples.join("b1.jsonl")).unwrap();
    let mut session = Session::open(&folders.feedback, "zoe", Stamps::system()).unwrap();
    for item in &items {
        let asked = shown(item, "zoe", 0, Purpose::Train);
        session.skip(&asked, None).unwrap();
    }
    let plan = Plan {
        disputes: Some(disputes),
        ..Plan::seeded(42)
    };
    let queue = Queue::new(&items, session.history(), &plan);
    assert_eq!((queue.left(), queue.current().unwrap().slot), (3, 1));
}

#[test]
fn where_gold_is_withheld_its_items_are_asked_as_checks_and_never_for_training() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("pairs.jsonl"), rows(40)).unwrap();
    fs::create_dir(dir.path().join("gold")).unwrap();
    let gold = |n| {
        format!("{{\"prompt\":\"check {n}\",\"responses\":[\"a {n}\",\"b {n}\"],\"expected\":1}}\n")
    };
    let gold: String = (0..5).map(gold).collect();
    fs::write(dir.path().join("gold/care.jsonl"), gold).unwrap();
    let shares = ["--gold-share", "0.5", "--repeat-share", "0"];
    simulate(dir.path(), &[&["pairs.jsonl"], &shares[..]].concat());
    // Somebody else clones the project without gold/, and judges all of it.
    fs::remove_dir_all(dir.path().join("gold")).unwrap();
    fs::remove_dir_all(dir.path().join("feedback")).unwrap();
    simulate(dir.path(), &shares);
    let count = |purpose: Purpose, batch: &str| {
        let is = |r: &&Record| r.purpose == Some(purpose) && r.batch.as_deref() == Some(batch);
        records(dir.path()).iter().filter(is).count()
    };
    assert_eq!(count(Purpose::Train, "pairs"), 40);
    assert_eq!(count(Purpose::Gold, "gold-care"), 5);
    assert_eq!(records(dir.path()).len(), 45);
    // With a folder from which one was taken out, that one is asked by nobody.
    fs::create_dir(dir.path().join("gold")).unwrap();
    fs::remove_dir_all(dir.path().join("feedback")).unwrap();
    simulate(dir.path(), &shares);
    assert_eq!(records(dir.path()).len(), 40);
}

fn simulate(project: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rlhf"));
    let sim = ["--annotator", "sim:gold"];
    command
        .arg("label")
        .args(arguments)
        .args(sim)
        .current_dir(project);
    let output = command.output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap() + &error
}

fn records(project: &Path) -> Vec<Record> {
    load(&project.join("feedback"), "sim:gold")
        .unwrap()
        .judgements()
        .unwrap()
}

fn rows(n: usize) -> String {
    let row =
        |n| format!("{{\"prompt\":\"question {n}\",\"responses\":[\"one {n}\",\"two {n}\"]}}\n");
    (0..n).map(row).collect()
}

#[test]
fn checks_and_scores_are_recorded_as_what_they_are() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("pairs.jsonl"), rows(120)).unwrap();
    fs::create_dir(dir.path().join("gold")).unwrap();
    let gold = |n| {
        format!("{{\"prompt\":\"check {n}\",\"responses\":[\"a {n}\",\"b {n}\"],\"expected\":1}}\n")
    };
    fs::write(
        dir.path().join("gold/care.jsonl"),
        (0..30).map(gold).collect::<String>(),
    )
    .unwrap();
    simulate(dir.path(), &["pairs.jsonl"]);
    let items = read_batch(&dir.path().join("samples/pairs.jsonl")).unwrap();
    fs::remove_dir_all(dir.path().join("feedback")).unwrap();
    let score =
        |(n, item): (usize, &Item)| format!("{{\"item\":\"{}\",\"score\":{n}.5}}\n", item.id);
    let scores: String = items.iter().enumerate().map(score).collect();
    fs::write(dir.path().join("scores.jsonl"), scores).unwrap();
    let shares = [
        "--gold-share",
        "0.2",
        "--repeat-share",
        "0.2",
        "--random-share",
        "0.25",
    ];
    let order = [
        "pairs.jsonl",
        "--order",
        "informative",
        "--scores",
        "scores.jsonl",
    ];
    simulate(dir.path(), &[&order[..], &shares].concat());
    let records = records(dir.path());
    let count = |purpose| {
        records
            .iter()
            .filter(|r| r.purpose == Some(purpose))
            .count()
    };
    assert_eq!(count(Purpose::Train), 120);
    // Four standard deviations of Binomial(120, 0.2): 24 ± 17; late repeats have no room.
    assert!(
        (7..=30).contains(&count(Purpose::Gold)),
        "{}",
        count(Purpose::Gold)
    );
    assert!(
        (3..=41).contains(&count(Purpose::Repeat)),
        "{}",
        count(Purpose::Repeat)
    );
    for record in &records {
        let selector = record.selector.as_ref().unwrap();
        let from_gold = record.batch.as_deref() == Some("gold-care");
        assert_eq!(record.purpose == Some(Purpose::Gold), from_gold);
        match selector.name.as_str() {
            "informative" => assert_eq!(selector.score.unwrap().fract(), 0.5),
            "random" => assert_eq!(selector.score, None),
            other => assert!(from_gold && other == "all", "{other}"),
        }
        if record.purpose == Some(Purpose::Repeat) {
            let first = records.iter().find(|r| r.item == record.item).unwrap();
            let order = |r: &Record| r.display.clone().unwrap().order;
            assert_eq!((first.slot, record.slot), (Some(0), Some(1)));
            assert!(order(record).into_iter().rev().eq(order(first)));
        }
    }
    let text: String = fs::read_dir(dir.path().join("feedback/sim~gold"))
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    assert!(!text.contains("expected"));
}

#[test]
fn a_file_from_anywhere_needs_no_project() {
    let dir = tempfile::tempdir().unwrap();
    let hostile = concat!(
        "{\"id\":\"esc\",\"prompt\":\"\\u001b]0;x\\u0007\",\"responses\":[\"\\u001b[2J\",\"\\u202e\"],\"models\":[\"a\",\"b\"],\"extra\":{\"deep\":[1]}}\n",
        "{\"prompt\":[{\"role\":\"user\",\"content\":\"hi\"}],\"responses\":[\"\",\"x\",\"y\"]}\n",
        "{\"prompt\":\"same\",\"responses\":[\"a\",\" a \"]}\n",
    );
    let path = dir.path().join("vllm log.jsonl.gz");
    let file = fs::File::create(&path).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    gzip.write_all(hostile.as_bytes()).unwrap();
    gzip.finish().unwrap();
    let said = simulate(dir.path(), &["vllm log.jsonl.gz"]);
    assert!(
        said.contains("1 duplicate answers dropped, 1 rows without two answers left out"),
        "{said}"
    );
    assert!(said.contains("judged 2 of 2 items"), "{said}");
    let records = records(dir.path());
    let policies = |record: &Record| {
        record
            .candidates
            .iter()
            .map(|c| c.policy.clone())
            .collect::<Vec<_>>()
    };
    let named = records
        .iter()
        .find(|r| r.prompt.as_ref().unwrap().id == "esc")
        .unwrap();
    assert_eq!(
        (policies(named), named.batch.as_deref()),
        (vec!["a".into(), "b".into()], Some("vllm-log"))
    );
    // Again: nothing is asked twice, nothing is copied twice.
    assert!(simulate(dir.path(), &["vllm log.jsonl.gz"]).contains("judged 0 of 2"));
    assert_eq!(
        read_batch(&dir.path().join("samples/vllm-log.jsonl"))
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn a_row_of_samples_that_a_crash_cut_off_is_left_out_and_written_again() {
    let dir = tempfile::tempdir().unwrap();
    let items: Vec<Item> = (0..3).map(item).collect();
    let append = |items: &[Item]| {
        BatchFile::open(dir.path(), "b1")
            .unwrap()
            .append(items)
            .unwrap();
    };
    append(&items);
    let path = dir.path().join("b1.jsonl");
    let whole = fs::read(&path).unwrap();
    let second = whole
        .iter()
        .enumerate()
        .filter(|(_, b)| **b == b'\n')
        .nth(1)
        .unwrap()
        .0
        + 1;
    for cut in second..whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        // A row that lacks nothing but its newline is whole.
        let left = if cut + 1 == whole.len() { 3 } else { 2 };
        assert_eq!(read_batch(&path).unwrap(), items[..left], "cut at {cut}");
        append(&items[left..]);
        assert!(fs::read(&path).unwrap() == whole, "cut at {cut}");
    }
    fs::write(
        &path,
        [&whole[..second - 5], b"\n", &whole[second..]].concat(),
    )
    .unwrap();
    assert!(
        read_batch(&path)
            .unwrap_err()
            .to_string()
            .contains("b1.jsonl:2: ")
    );
}
