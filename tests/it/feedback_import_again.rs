//! Imports into a project where something happened meanwhile or before: another import, answers that were
//! taken back.

use std::fs;
use std::path::Path;

use rlhf::feedback::check::check;
use rlhf::feedback::import::{Imported, Target, import};
use rlhf::feedback::item::{Item, read_all};
use rlhf::feedback::labels::Folders;
use rlhf::feedback::record::{Display, Layout, Origin, Purpose, Scale};
use rlhf::feedback::store::decision::{Decision, Shown, Verdict};
use rlhf::feedback::store::session::Session;
use rlhf::feedback::store::stamps::Stamps;
use serde_json::{Value, json};

use crate::cli_support::rlhf;

/// Brings a file as `annotator`; `meanwhile` is called every 512 rows of each of two readings.
fn bring(
    file: &Path,
    dir: &Path,
    annotator: &str,
    meanwhile: &mut dyn FnMut(f64),
) -> Result<Imported, String> {
    let target = Target {
        dir,
        batch: "b",
        annotator: Some(annotator),
        format: None,
        decoder: None,
        skip_bad: false,
    };
    let imported = import(file, &target, &mut Stamps::system, meanwhile);
    imported.map_err(|error| error.to_string())
}

#[test]
fn two_imports_at_once_write_each_item_once() {
    let row = |n: usize| {
        let pair = json!({"prompt": format!("prompt {n}"), "chosen": "a", "rejected": "b"});
        format!("{pair}\n")
    };
    let rows: String = (0..2000).map(row).collect();
    // The other one comes before this one has written anything, and after it has written 1024 rows.
    for (moment, ours, theirs) in [(1, 0, 2000), (6, 1024, 976)] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("rows.jsonl");
        fs::write(&file, &rows).unwrap();
        let project = dir.path().join("project");
        let (mut moments, mut other) = (0, None);
        let first = bring(&file, &project, "mia", &mut |_| {
            moments += 1;
            if moments == moment {
                other = Some(bring(&file, &project, "tom", &mut |_| ()).unwrap());
            }
        });
        let (first, other) = (first.unwrap(), other.unwrap());
        assert_eq!((first.new_items, other.new_items), (ours, theirs));
        assert_eq!((first.judgements, other.judgements), (2000, 2000));
        assert_eq!(read_all(&project.join("samples")).unwrap().len(), 2000);
        let checked = check(&Folders::of(&project));
        assert_eq!(checked.problems, Vec::<String>::new());
        assert_eq!((checked.items, checked.judgements), (2000, 4000));
    }
}

#[test]
fn an_import_at_once_with_another_text_of_an_item_stops() {
    let dir = tempfile::tempdir().unwrap();
    let row = |n: usize| json!({"prompt": format!("{n}"), "chosen": "a", "rejected": "b"});
    let rows: Vec<String> = (0..600).map(|n| row(n).to_string()).collect();
    let file = dir.path().join("rows.jsonl");
    fs::write(&file, rows.join("\n")).unwrap();
    // The same file elsewhere, with one text changed by hand.
    let elsewhere = dir.path().join("elsewhere");
    bring(&file, &elsewhere, "mia", &mut |_| ()).unwrap();
    let mut items = read_all(&elsewhere.join("samples")).unwrap();
    let prompt = items[1].prompt.clone();
    items[0].prompt = prompt;
    let lines = items[..1].iter().map(|item| item.row().unwrap());
    let changed: Vec<u8> = lines.flat_map(|row| [row, vec![b'\n']].concat()).collect();
    let project = dir.path().join("project");
    let samples = project.join("samples");
    let error = bring(&file, &project, "mia", &mut |_| {
        if !samples.exists() {
            fs::create_dir_all(&samples).unwrap();
            fs::write(samples.join("b.jsonl"), &changed).unwrap();
        }
    });
    let error = error.unwrap_err();
    let expected = format!("item {} is in samples/b.jsonl with another", items[0].id);
    assert!(error.contains(&expected), "{error}");
    assert_eq!(fs::read(samples.join("b.jsonl")).unwrap(), changed);
}

fn shown(item: &Item) -> Shown<'_> {
    Shown {
        item,
        slot: 0,
        purpose: Purpose::Train,
        origin: Origin::Screen,
        display: Some(Display {
            order: item.candidates.iter().map(|c| c.id.clone()).collect(),
            order_seed: 0,
            blind: true,
            size: Some([120, 36]),
            layout: Layout::Split,
            viewed: std::collections::BTreeMap::new(),
        }),
        time: None,
    }
}

/// The first answer of the item is better, or the second.
fn better(item: &Item, winner: usize) -> Decision {
    let winner = item.candidates[winner].id.clone();
    let strength = None;
    Decision::new(Verdict::Prefer { winner, strength }, Scale::Binary)
}

#[test]
fn an_answer_that_was_taken_back_contradicts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let rows = "{\"prompt\": \"p\", \"responses\": [\"a\", \"b\"]}\n{\"prompt\": \"q\", \
                \"responses\": [\"c\", \"d\"]}\n";
    fs::write(dir.path().join("b.jsonl"), rows).unwrap();
    let brought = |file: &str| {
        let (code, out, error) = rlhf(dir.path(), &["feedback", "import", file, "--json"]);
        assert_eq!(code, 0, "{error}");
        let imported: Value = serde_json::from_str(&out).unwrap();
        ["judgements", "already_there", "conflicting"].map(|key| imported[key].as_u64().unwrap())
    };
    brought("b.jsonl");
    let items = read_all(&dir.path().join("samples")).unwrap();
    let feedback = dir.path().join("feedback");
    let open = || Session::open(&feedback, "mia", Stamps::system()).unwrap();
    let mut session = open();
    let first = session
        .judge(&shown(&items[0]), better(&items[0], 0))
        .unwrap();
    session
        .judge(&shown(&items[1]), better(&items[1], 0))
        .unwrap();
    session.close().unwrap();
    let arguments = [
        "feedback",
        "export",
        "--format",
        "native",
        "--out",
        "mia.jsonl",
    ];
    assert_eq!(rlhf(dir.path(), &arguments).0, 0);
    // Another day the first is edited, which is taken back; so is the second answer.
    let mut session = open();
    let mut edit = better(&items[0], 1);
    edit.edits = Some(first);
    session.judge(&shown(&items[0]), edit).unwrap();
    session.undo().unwrap();
    session.undo().unwrap();
    session.close().unwrap();
    assert_eq!(brought("mia.jsonl"), [1, 1, 0]);
    assert_eq!(brought("mia.jsonl"), [0, 2, 0]);
}
