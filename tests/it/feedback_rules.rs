//! The event record: its line byte for byte, and the rules that a record and a history must obey.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rlhf::feedback::check::check;
use rlhf::feedback::digest::Sha256;
use rlhf::feedback::item::{Candidate, Item, Prompt, PromptText, Selector};
use rlhf::feedback::labels::Folders;
use rlhf::feedback::queue::{Plan, Queue};
use rlhf::feedback::record::check::RuleError;
use rlhf::feedback::record::line::{LineError, from_line, to_line};
use rlhf::feedback::record::{
    Display, Header, Kind, Layout, Origin, Outcome, Purpose, Record, Scale, Tool, UtcMillis,
};
use rlhf::feedback::store::StoreError;
use rlhf::feedback::store::decision::{Decision, Shown, Verdict};
use rlhf::feedback::store::load::load;
use rlhf::feedback::store::session::Session;
use rlhf::feedback::store::stamps::Stamps;
use ulid::Ulid;

fn item() -> Item {
    let prompt = Prompt::new(Some("p1".into()), PromptText::Text("Hi".into())).unwrap();
    let candidates = ["Hello.", "What?", "Go away."].map(|a| Candidate::new(a.into(), "base"));
    let selector = Selector {
        name: "all".into(),
        score: None,
        seed: 3,
    };
    Item::new("b1", 2, prompt, candidates.to_vec(), selector).unwrap()
}

fn header() -> Header {
    Header {
        id: Ulid(2),
        session: Ulid(1),
        seq: 1,
        ts: UtcMillis(1_700_000_000_005),
        annotator: "ann".into(),
    }
}

/// A sound judgement: the second of three answers wins on a screen.
fn judgement() -> Record {
    let item = item();
    let mut record = Record::new(Kind::Judgement, header()).about(&item, 0);
    record.purpose = Some(Purpose::Train);
    record.origin = Some(Origin::Screen);
    record.display = Some(Display {
        order: item.candidates.iter().rev().map(|c| c.id.clone()).collect(),
        order_seed: u64::MAX,
        blind: true,
        size: Some([120, 36]),
        layout: Layout::Split,
        viewed: BTreeMap::from([(item.candidates[0].id.clone(), 0.5)]),
    });
    record.outcome = Some(Outcome::Prefer);
    record.winner = Some(item.candidates[1].id.clone());
    record.scale = Some(Scale::Nine);
    record.strength = Some(4);
    record
}

/// The checksum was computed with Python's `zlib.crc32` over the line without `,"crc":"…"`.
#[test]
fn a_line_is_what_the_schema_says_byte_for_byte() {
    let mut record = Record::new(Kind::SessionStart, header());
    record.seq = 0;
    record.tool = Tool {
        name: "rlhf".into(),
        version: "0.1.0".into(),
    };
    let line = to_line(&mut record, Sha256::ZERO).unwrap();
    let expected = concat!(
        r#"{"v":1,"kind":"session_start","id":"00000000000000000000000002","#,
        r#""session":"00000000000000000000000001","seq":0,"ts":"2023-11-14T22:13:20.005Z","#,
        r#""annotator":"ann","tool":{"name":"rlhf","version":"0.1.0"},"#,
        r#""prev":"0000000000000000000000000000000000000000000000000000000000000000","#,
        r#""crc":"a14bb774"}"#,
    );
    assert_eq!(line, expected);
}

#[test]
fn a_judgement_carries_the_names_of_the_schema() {
    let line = to_line(&mut judgement(), Sha256::of("before")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&line).unwrap();
    let keys: Vec<_> = json.as_object().unwrap().keys().cloned().collect();
    let expected = "v kind id session seq ts annotator round batch item purpose selector prompt \
                    candidates display outcome slot origin winner strength scale tool prev crc";
    assert_eq!(keys, expected.split_whitespace().collect::<Vec<_>>());
    assert_eq!(json["kind"], "judgement");
    assert_eq!(json["outcome"], "prefer");
    assert_eq!(json["scale"], "9");
    assert_eq!(json["prompt"]["id"], "p1");
    assert_eq!(json["display"]["order_seed"], u64::MAX);
    assert_eq!(json["display"]["layout"], "split");
    assert_eq!(json["prev"], Sha256::of("before").to_string());
}

#[test]
fn any_changed_byte_is_found() {
    let line = to_line(&mut judgement(), Sha256::ZERO)
        .unwrap()
        .into_bytes();
    assert!(from_line(&line).is_ok());
    for index in 0..line.len() {
        for change in [0x01, 0x20, 0x80] {
            let mut damaged = line.clone();
            damaged[index] ^= change;
            assert!(from_line(&damaged).is_err(), "byte {index} ^ {change:#x}");
        }
        assert!(from_line(&line[..index]).is_err(), "cut at {index}");
    }
}

#[test]
fn an_unknown_field_is_refused_even_with_a_sound_checksum() {
    let mut value = serde_json::to_value(judgement()).unwrap();
    value["colour"] = "red".into();
    let body = value.to_string();
    let crc = crc32fast::hash(body.as_bytes());
    let line = format!(
        "{},\"crc\":\"{crc:08x}\"}}",
        body.strip_suffix('}').unwrap()
    );
    match from_line(line.as_bytes()) {
        Err(LineError::Json(error)) => {
            assert!(
                error.to_string().starts_with("unknown field `colour`"),
                "{error}"
            );
        }
        other => panic!("{other:?}"),
    }
}

/// Each change breaks one rule, which the error names by its field.
#[test]
fn every_rule_has_an_error_that_names_the_field() {
    type Change = fn(&mut Record);
    let cases: &[(&str, Change)] = &[
        ("annotator", |r| r.annotator = "../x".into()),
        ("annotator", |r| r.annotator = "a:b".into()),
        ("origin", |r| r.annotator = "sim:gold".into()),
        ("origin", |r| r.origin = Some(Origin::Sim)),
        ("origin", |r| r.origin = None),
        ("round", |r| r.round = None),
        ("batch", |r| r.batch = None),
        ("item", |r| r.item = None),
        ("purpose", |r| r.purpose = None),
        ("selector", |r| r.selector = None),
        ("prompt", |r| r.prompt = None),
        ("slot", |r| r.slot = None),
        ("outcome", |r| r.outcome = None),
        ("scale", |r| r.scale = None),
        ("winner", |r| r.winner = None),
        ("winner", |r| r.winner = Some("nobody".into())),
        ("winner", |r| r.outcome = Some(Outcome::Tie)),
        ("strength", |r| r.strength = Some(0)),
        ("strength", |r| r.strength = Some(5)),
        ("strength", |r| r.scale = Some(Scale::Binary)),
        ("strength", |r| r.scale = Some(Scale::Seven)),
        ("candidates", |r| r.candidates.truncate(1)),
        ("candidates", |r| r.candidates[0] = r.candidates[1].clone()),
        ("display", |r| r.display = None),
        ("display.order", |r| {
            r.display.as_mut().unwrap().order.truncate(2);
        }),
        ("display.order", |r| {
            let order = &mut r.display.as_mut().unwrap().order;
            order[0] = order[1].clone();
        }),
        ("display.viewed", |r| {
            r.display
                .as_mut()
                .unwrap()
                .viewed
                .insert("nobody".into(), 0.5);
        }),
        ("aspects", |r| {
            r.aspects = BTreeMap::from([("helpful".into(), 5)]);
        }),
        ("adjudicates", |r| r.origin = Some(Origin::Adjudication)),
        ("adjudicates", |r| r.adjudicates = vec![Ulid(9)]),
        ("ranking", |r| r.ranking = Some(vec![vec!["nobody".into()]])),
        ("outcome", |r| r.kind = Kind::Skip),
        ("supersedes", |r| r.kind = Kind::Retract),
        ("item", |r| r.kind = Kind::SessionEnd),
    ];
    assert_eq!(judgement().check(), Ok(()));
    for (index, (field, change)) in cases.iter().enumerate() {
        let mut record = judgement();
        change(&mut record);
        let found = match record.check() {
            Err(RuleError::Missing(f) | RuleError::Unexpected(f, _) | RuleError::Invalid(f, _)) => {
                f
            }
            other => panic!("case {index}: {other:?}"),
        };
        assert_eq!(found, *field, "case {index}");
        assert!(to_line(&mut record, Sha256::ZERO).is_err(), "case {index}");
    }
    let mut newer = judgement();
    newer.v = 2;
    assert_eq!(newer.check(), Err(RuleError::Version(2)));
}

#[test]
fn a_ranking_is_a_partition_and_agrees_with_winner_and_outcome() {
    let ids: Vec<String> = item().candidates.into_iter().map(|c| c.id).collect();
    let ranked = |groups: &[&[usize]], outcome, winner: Option<usize>| {
        let mut record = judgement();
        let group = |group: &&[usize]| group.iter().map(|&i| ids[i].clone()).collect();
        record.ranking = Some(groups.iter().map(group).collect());
        record.scale = Some(Scale::KWay);
        record.strength = None;
        record.outcome = Some(outcome);
        record.winner = winner.map(|i| ids[i].clone());
        record.check().is_ok()
    };
    assert!(ranked(&[&[2], &[0, 1]], Outcome::Prefer, Some(2)));
    assert!(ranked(&[&[0, 1], &[2]], Outcome::Prefer, None));
    assert!(ranked(&[&[0, 1, 2]], Outcome::Tie, None));
    assert!(!ranked(&[&[2], &[0, 1]], Outcome::Prefer, Some(0)));
    assert!(!ranked(&[&[0, 1], &[2]], Outcome::Prefer, Some(0)));
    assert!(!ranked(&[&[2], &[0, 1]], Outcome::Tie, None));
    assert!(!ranked(&[&[0, 1, 2]], Outcome::Prefer, None));
    assert!(!ranked(&[&[2], &[0]], Outcome::Prefer, Some(2)));
    assert!(!ranked(&[&[2], &[0, 1, 0]], Outcome::Prefer, Some(2)));
    assert!(!ranked(&[&[2], &[], &[0, 1]], Outcome::Prefer, Some(2)));
}

/// An item of two answers.
fn pair(n: usize) -> Item {
    let mut item = item();
    item.candidates.truncate(2);
    let (prompt, candidates) = (item.prompt, item.candidates);
    Item::new(&format!("b{n}"), 0, prompt, candidates, item.selector).unwrap()
}

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

fn first_wins(item: &Item) -> Decision {
    let winner = item.candidates[0].id.clone();
    let strength = Some(2);
    Decision::new(Verdict::Prefer { winner, strength }, Scale::Nine)
}

fn open(feedback: &Path) -> Session {
    Session::open(feedback, "ann", Stamps::system()).unwrap()
}

/// A closed session with one judgement: its file.
fn labelled(feedback: &Path, item: &Item) -> PathBuf {
    let mut session = open(feedback);
    session.judge(&shown(item), first_wins(item)).unwrap();
    let path = session.history().files[0].clone();
    session.close().unwrap();
    path
}

fn outcome(session: &Session, item: &Item) -> Option<Outcome> {
    session.history().effective(&item.id, 0)?.outcome
}

#[test]
fn an_edit_counts_until_it_is_taken_back() {
    let item = &pair(0);
    let dir = tempfile::tempdir().unwrap();
    let mut session = open(dir.path());
    let first = session.judge(&shown(item), first_wins(item)).unwrap();
    let mut edit = Decision::new(Verdict::Tie, Scale::Nine);
    edit.edits = Some(first);
    session.judge(&shown(item), edit).unwrap();
    assert_eq!(outcome(&session, item), Some(Outcome::Tie));
    session.undo().unwrap();
    assert_eq!(outcome(&session, item), Some(Outcome::Prefer));
    session.undo().unwrap();
    assert_eq!(outcome(&session, item), None);
    assert!(matches!(session.retract(first), Err(StoreError::NoSuchEvent(id)) if id == first));
}

#[test]
fn an_edit_of_another_item_or_of_nothing_is_refused_before_it_is_written() {
    let items = [pair(0), pair(1)];
    let dir = tempfile::tempdir().unwrap();
    let mut session = open(dir.path());
    let first = session
        .judge(&shown(&items[0]), first_wins(&items[0]))
        .unwrap();
    for target in [first, Ulid(7)] {
        let mut edit = first_wins(&items[1]);
        edit.edits = Some(target);
        let error = session.judge(&shown(&items[1]), edit).unwrap_err();
        assert!(
            matches!(error, StoreError::NoSuchEvent(id) if id == target),
            "{error}"
        );
    }
    let foreign = Decision::new(
        Verdict::Prefer {
            winner: "nobody".into(),
            strength: None,
        },
        Scale::Binary,
    );
    let error = session.judge(&shown(&items[1]), foreign).unwrap_err();
    assert!(matches!(error, StoreError::Refused(_)), "{error}");
    session
        .judge(&shown(&items[1]), first_wins(&items[1]))
        .unwrap();
    session.close().unwrap();
    assert_eq!(load(dir.path(), "ann").unwrap().events().len(), 4);
}

#[test]
fn foreign_files_and_names_that_leave_the_folder_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = labelled(dir.path(), &pair(0));
    let copy = path.with_extension("sync-conflict-20261121.jsonl");
    std::fs::copy(&path, &copy).unwrap();
    let error = load(dir.path(), "ann").unwrap_err();
    assert!(
        matches!(&error, StoreError::ForeignFile(path) if *path == copy),
        "{error}"
    );
    for name in [
        "", "..", "../ann", "a/b", "a\\b", ".hidden", "-x", "a:b", "ann.", "x\0", "é",
    ] {
        let error = Session::open(dir.path(), name, Stamps::system())
            .err()
            .unwrap();
        assert!(
            matches!(error, StoreError::Annotator(_)),
            "{name:?}: {error}"
        );
    }
}

#[test]
fn a_session_of_another_annotator_is_not_taken_for_ones_own() {
    let dir = tempfile::tempdir().unwrap();
    let path = labelled(dir.path(), &pair(0));
    let folder = dir.path().join("bob");
    std::fs::create_dir(&folder).unwrap();
    std::fs::rename(&path, folder.join(path.file_name().unwrap())).unwrap();
    let error = load(dir.path(), "bob").unwrap_err().to_string();
    assert!(
        error.contains(".jsonl:1: belongs to annotator \"ann\", not to this one"),
        "{error}"
    );
}

#[test]
fn a_folder_that_vanishes_refuses_the_judgement_and_keeps_the_count() {
    let items = [pair(0), pair(1)];
    let dir = tempfile::tempdir().unwrap();
    let mut session = open(dir.path());
    std::fs::remove_dir_all(dir.path().join("ann")).unwrap();
    let error = session
        .judge(&shown(&items[0]), first_wins(&items[0]))
        .unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }), "{error}");
    assert_eq!(session.history().judged(), 0);
    assert_eq!(
        Queue::new(&items, session.history(), &Plan::seeded(0)).left(),
        2
    );
}

/// The file with its last line, a judgement, changed and given a sound checksum.
fn forge(path: &Path, change: impl Fn(&mut serde_json::Value)) {
    let text = std::fs::read_to_string(path).unwrap();
    let mut lines: Vec<_> = text.lines().take(2).map(str::to_owned).collect();
    let mut value: serde_json::Value = serde_json::from_str(&lines[1]).unwrap();
    value.as_object_mut().unwrap().remove("crc");
    change(&mut value);
    let body = value.to_string();
    let crc = crc32fast::hash(body.as_bytes());
    lines[1] = format!("{},\"crc\":\"{crc:08x}\"}}", &body[..body.len() - 1]);
    std::fs::write(path, lines.join("\n") + "\n").unwrap();
}

#[test]
fn a_forged_winner_or_order_is_found_on_opening() {
    let dir = tempfile::tempdir().unwrap();
    let item = pair(0);
    let path = labelled(dir.path(), &item);
    let message = || load(dir.path(), "ann").unwrap_err().to_string();
    let ids = [&item.candidates[0].id, &item.candidates[1].id];
    let display = |order: &[&String]| serde_json::json!({"order": order, "order_seed": 0, "blind": true, "layout": "split"});

    forge(&path, |record| {
        record["display"] = display(&[ids[1], ids[0]]);
    });
    assert_eq!(load(dir.path(), "ann").unwrap().judged(), 1);
    forge(&path, |record| {
        record["display"] = display(&[ids[1], ids[1]]);
    });
    let place = format!("{}:2: field `display.order` is not valid", path.display());
    assert!(message().starts_with(&place), "{}", message());
    forge(&path, |record| {
        record["display"] = display(&[ids[1], ids[0]]);
    });
    forge(&path, |record| record["winner"] = "nobody".into());
    let place = format!("{}:2: field `winner` is not valid", path.display());
    assert!(message().starts_with(&place), "{}", message());
}

#[test]
fn check_reads_what_opening_leaves_out() {
    let dir = tempfile::tempdir().unwrap();
    let feedback = dir.path().join("feedback");
    std::fs::create_dir(&feedback).unwrap();
    let path = labelled(&feedback, &pair(0));
    forge(&path, |record| record["scale"] = "binary".into());
    assert_eq!(load(&feedback, "ann").unwrap().judged(), 1);
    let checked = check(&Folders::of(dir.path()));
    let place = format!(
        "{}:2: field `strength` does not belong here",
        path.display()
    );
    assert!(
        checked.problems[0].starts_with(&place),
        "{:?}",
        checked.problems
    );
}
