//! Exports from the command line: whose judgements, on which side, and what is said of what a row lacks.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rlhf::feedback::item::{Item, read_all};
use rlhf::feedback::labels::{Folders, Labels};
use rlhf::feedback::record::{Display, Layout, Origin, Purpose, Scale};
use rlhf::feedback::report::{Expected, Report};
use rlhf::feedback::store::decision::{Decision, Shown, Verdict};
use rlhf::feedback::store::session::Session;
use rlhf::feedback::store::stamps::Stamps;
use serde_json::{Value, json};

use crate::cli_support::rlhf;

/// A project with `count` items that nobody has judged.
fn project(count: usize) -> (tempfile::TempDir, Vec<Item>) {
    let dir = tempfile::tempdir().unwrap();
    let row = |n: usize| json!({"prompt": format!("p {n}"), "responses": ["good", "bad"]});
    let rows: Vec<String> = (0..count).map(|n| row(n).to_string()).collect();
    fs::write(dir.path().join("b.jsonl"), rows.join("\n")).unwrap();
    assert_eq!(rlhf(dir.path(), &["feedback", "import", "b.jsonl"]).0, 0);
    let items = read_all(&dir.path().join("samples")).unwrap();
    (dir, items)
}

/// An item at a screen, with the candidate `left` on the left.
fn shown(item: &Item, left: usize) -> Shown<'_> {
    let mut order: Vec<String> = item.candidates.iter().map(|c| c.id.clone()).collect();
    order.swap(0, left);
    Shown {
        item,
        slot: 0,
        purpose: Purpose::Train,
        origin: Origin::Screen,
        display: Some(Display {
            order,
            order_seed: 0,
            blind: true,
            size: Some([120, 36]),
            layout: Layout::Split,
            viewed: BTreeMap::new(),
        }),
        time: None,
    }
}

fn exported(dir: &Path, arguments: &[&str]) -> (Vec<Value>, String) {
    let (code, out, error) = rlhf(dir, &[&["feedback", "export"], arguments].concat());
    assert_eq!(code, 0, "{error}");
    let rows = out.lines().map(|line| serde_json::from_str(line).unwrap());
    (rows.collect(), error)
}

#[test]
fn who_only_put_something_aside_has_not_judged() {
    let (dir, items) = project(3);
    let feedback = dir.path().join("feedback");
    let mut session = Session::open(&feedback, "mia", Stamps::system()).unwrap();
    session.defer(&shown(&items[0], 0), None).unwrap();
    session.close().unwrap();
    let (code, _, error) = rlhf(dir.path(), &["label", "--annotator", "sim:gold"]);
    assert_eq!(code, 0, "{error}");
    let majority = ["--format", "trl", "--aggregate", "majority"];
    let (rows, error) = exported(dir.path(), &majority);
    assert_eq!(rows.len(), 3, "{error}");
    // A pair that comes again is not skipped.
    let labels = Labels::read(&Folders::of(dir.path())).unwrap();
    let tally = Report::new(&labels, &Expected::new()).people.tally;
    assert_eq!((tally.judgements, tally.skipped), (0, 0));
    // Once a person has judged, people come first.
    let mut session = Session::open(&feedback, "mia", Stamps::system()).unwrap();
    let decision = Decision::new(preferred(&items[1], 0), Scale::Binary);
    session.judge(&shown(&items[1], 0), decision).unwrap();
    session.skip(&shown(&items[2], 0), None).unwrap();
    session.close().unwrap();
    assert_eq!(exported(dir.path(), &majority).0.len(), 1);
    let labels = Labels::read(&Folders::of(dir.path())).unwrap();
    let tally = Report::new(&labels, &Expected::new()).people.tally;
    assert_eq!((tally.judgements, tally.skipped), (1, 1));
}

fn preferred(item: &Item, winner: usize) -> Verdict {
    Verdict::Prefer {
        winner: item.candidates[winner].id.clone(),
        strength: None,
    }
}

/// What a Label Studio row says: the answer on the left, and the better side.
fn side(row: &Value) -> (&str, &str) {
    let result = &row["annotations"][0]["result"][0];
    (
        row["data"]["answer1"].as_str().unwrap(),
        result["value"]["selected"].as_str().unwrap(),
    )
}

#[test]
fn label_studio_is_told_the_sides_of_the_screen() {
    let (dir, items) = project(4);
    let feedback = dir.path().join("feedback");
    let mut session = Session::open(&feedback, "mia", Stamps::system()).unwrap();
    let judged = [(0, 0), (0, 1), (1, 0), (1, 1)];
    for (item, (left, winner)) in items.iter().zip(judged) {
        let decision = Decision::new(preferred(item, winner), Scale::Binary);
        session.judge(&shown(item, left), decision).unwrap();
    }
    session.close().unwrap();
    let (rows, _) = exported(dir.path(), &["--format", "label-studio"]);
    let sides: Vec<_> = rows.iter().map(side).collect();
    let text = |n: usize, place: usize| items[n].candidates[place].text.as_str();
    let expected = [
        (text(0, 0), "left"),
        (text(1, 0), "right"),
        (text(2, 1), "right"),
        (text(3, 1), "left"),
    ];
    assert_eq!(sides, expected);
}

#[test]
fn label_studio_is_not_told_the_winner_by_its_side_where_no_side_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let row = |n: usize| json!({"prompt": format!("p {n}"), "chosen": "good", "rejected": format!("bad {n}")});
    let rows: Vec<String> = (0..20).map(|n| row(n).to_string()).collect();
    fs::write(dir.path().join("b.jsonl"), rows.join("\n")).unwrap();
    assert_eq!(rlhf(dir.path(), &["feedback", "import", "b.jsonl"]).0, 0);
    let items = read_all(&dir.path().join("samples")).unwrap();
    let (rows, _) = exported(dir.path(), &["--format", "label-studio"]);
    assert_eq!(rows.len(), 20);
    let mut left = 0;
    for (row, item) in rows.iter().zip(&items) {
        let first = item.candidates[0].text.as_str();
        let good_is_left = first == "good";
        assert_eq!(
            side(row),
            (first, if good_is_left { "left" } else { "right" })
        );
        left += usize::from(good_is_left);
    }
    // By hashes of the texts: 20 on one side would be a chance of one in half a million.
    assert!((1..20).contains(&left), "{left}");
}

#[test]
fn a_margin_of_zero_for_an_unknown_strength_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let row = "{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"b\"}\n";
    fs::write(dir.path().join("b.jsonl"), row).unwrap();
    assert_eq!(rlhf(dir.path(), &["feedback", "import", "b.jsonl"]).0, 0);
    let (rows, error) = exported(dir.path(), &["--format", "trl-margin"]);
    assert_eq!(rows[0]["margin"], 0.0);
    assert!(
        error.contains("that the strength is unknown (margin 0) of 1"),
        "{error}"
    );
    let (_, error) = exported(dir.path(), &["--format", "trl"]);
    assert!(!error.contains("margin"), "{error}");
}

#[test]
fn a_file_without_a_pair_leaves_no_batch_and_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let same = "{\"prompt\": \"p\", \"responses\": [\"a\", \" a\"]}\n";
    for (name, text) in [("none.jsonl", ""), ("same.jsonl", same)] {
        fs::write(dir.path().join(name), text).unwrap();
        let (code, _, error) = rlhf(dir.path(), &["label", name, "--annotator", "sim:gold"]);
        let expected = format!("{name}: no row has two different answers; expected rows such as");
        assert!(code == 1 && error.contains(&expected), "{error}");
        assert!(!dir.path().join("samples").exists(), "{name}");
    }
}

#[test]
fn a_check_that_found_a_line_cut_off_says_that_the_others_are_sound() {
    let (dir, items) = project(2);
    let feedback = dir.path().join("feedback");
    let mut session = Session::open(&feedback, "mia", Stamps::system()).unwrap();
    for item in &items {
        let decision = Decision::new(preferred(item, 0), Scale::Binary);
        session.judge(&shown(item, 0), decision).unwrap();
    }
    let file = feedback.join(format!("mia/{}.jsonl", session.id()));
    drop(session);
    let (code, out, _) = rlhf(dir.path(), &["feedback", "check"]);
    assert!(code == 0 && out.contains("Everything is sound."), "{out}");
    let text = fs::read(&file).unwrap();
    fs::write(&file, &text[..text.len() - 100]).unwrap();
    let (code, out, _) = rlhf(dir.path(), &["feedback", "check"]);
    assert!(code == 0 && out.contains("cut off by a crash: "), "{out}");
    assert!(out.contains("\nAll other lines are sound."), "{out}");
    assert!(!out.contains("Everything is sound."), "{out}");
}
