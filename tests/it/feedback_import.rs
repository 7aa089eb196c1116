//! Imports that could harm a project: rows that contradict themselves, the project, or its limits.

use std::collections::BTreeMap;
use std::path::Path;

use rlhf::feedback::export::{Options, export};
use rlhf::feedback::formats::OutFormat;
use rlhf::feedback::import::{ImportError, Imported, Target, import};
use rlhf::feedback::item::{Item, Prompt, PromptText, append_batch, read_all};
use rlhf::feedback::labels::{Folders, Labels};
use rlhf::feedback::ledger::Ledger;
use rlhf::feedback::record::{Display, Layout, Origin, Purpose, Scale};
use rlhf::feedback::store::answered::Answered;
use rlhf::feedback::store::bulk::Bulk;
use rlhf::feedback::store::decision::{Decision, Shown, Verdict};
use rlhf::feedback::store::stamps::Stamps;
use serde_json::{Value, json};
use tempfile::TempDir;

const PAIR: &str = r#"{"prompt": "p", "chosen": "a", "rejected": "b"}"#;

/// Imports rows as batch `b`.
fn bring(dir: &Path, rows: &str, skip_bad: bool) -> Result<Imported, ImportError> {
    let name = if rows.starts_with('{') {
        "rows.jsonl"
    } else {
        "rows.csv"
    };
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join(name);
    std::fs::write(&file, rows).unwrap();
    let target = Target {
        dir,
        batch: "b",
        annotator: None,
        format: None,
        decoder: None,
        skip_bad,
    };
    import(&file, &target, &mut Stamps::system, &mut |_| ())
}

/// A project with these rows.
fn project(rows: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    bring(dir.path(), rows, false).unwrap();
    dir
}

fn labels(dir: &Path) -> Labels {
    Labels::read(&Folders::of(dir)).unwrap()
}

fn native(dir: &Path) -> Vec<Value> {
    let mut rows = Vec::new();
    let mut take = |row: &Value| {
        rows.push(row.clone());
        Ok(())
    };
    let ledger = Ledger::read(&Folders::of(dir)).unwrap();
    export(&ledger, &Options::new(OutFormat::Native), &mut take).unwrap();
    rows
}

fn is_untouched(dir: &Path) -> bool {
    std::fs::read_dir(dir).unwrap().next().is_none()
}

#[test]
fn a_native_row_about_other_text_is_refused() {
    let sound = native(project(PAIR).path()).remove(0);
    let zeros = "0".repeat(64);
    let lies = [
        ("/record/batch", "other"),
        ("/record/prompt/sha256", &zeros),
        ("/record/candidates/1/sha256", &zeros),
        ("/item/id", "0123456789abcdef"),
    ];
    for (place, lie) in lies {
        let mut row = sound.clone();
        *row.pointer_mut(place).unwrap() = json!(lie);
        if place == "/item/id" {
            row["record"]["item"] = json!(lie);
        }
        let dir = tempfile::tempdir().unwrap();
        let error = bring(dir.path(), &row.to_string(), false).unwrap_err();
        let error = error.to_string();
        let expected = if place == "/item/id" {
            "rows.jsonl:1: `item.id` is not made from this batch"
        } else {
            "rows.jsonl:1: `record` is not an answer about `item`"
        };
        assert!(error.contains(expected), "{place}: {error}");
        assert!(is_untouched(dir.path()), "{place}");
    }
    let dir = tempfile::tempdir().unwrap();
    bring(dir.path(), &sound.to_string(), false).unwrap();
    assert_eq!(labels(dir.path()).labels.len(), 1);
}

#[test]
fn an_id_that_has_other_text_in_the_project_is_refused() {
    let source = project(PAIR);
    let item = labels(source.path()).items.remove(0);
    let prompt = Prompt::new(None, PromptText::Text("q".into())).unwrap();
    let other = Item {
        prompt,
        ..item.clone()
    };
    let dir = tempfile::tempdir().unwrap();
    append_batch(&dir.path().join("samples"), "b", &[other]).unwrap();
    let row = native(source.path()).remove(0).to_string();
    let error = bring(dir.path(), &row, false).unwrap_err().to_string();
    let expected = format!("item {} is in samples/b.jsonl with another text", item.id);
    assert!(error.starts_with(&expected), "{error}");
    assert!(!dir.path().join("feedback").exists());
}

#[test]
fn a_row_that_could_not_be_read_back_is_a_bad_row() {
    // A control character is one byte in CSV and six in JSON.
    let rows = format!(
        "prompt,chosen,rejected\np,a,b\n{},a,b\n",
        "\u{1}".repeat(1_400_000)
    );
    let dir = tempfile::tempdir().unwrap();
    let error = bring(dir.path(), &rows, false).unwrap_err().to_string();
    assert!(
        error.contains("rows.csv:3: with this text the row in samples/ would have 840"),
        "{error}"
    );
    assert!(is_untouched(dir.path()));
    let imported = bring(dir.path(), &rows, true).unwrap();
    assert_eq!((imported.new_items, imported.bad_rows), (1, 1));
    assert_eq!(read_all(&dir.path().join("samples")).unwrap().len(), 1);
}

#[test]
fn the_same_answers_judged_otherwise_are_counted_apart() {
    let dir = project(PAIR);
    let turned = r#"{"prompt": "p", "chosen": "b", "rejected": "a"}"#;
    let again = bring(dir.path(), PAIR, false).unwrap();
    assert_eq!((again.already_there, again.conflicting), (1, 0));
    let other = bring(dir.path(), turned, false).unwrap();
    assert_eq!((other.already_there, other.conflicting), (0, 1));
    assert_eq!((other.new_items, other.judgements), (0, 0));
}

/// The session of a program.
pub fn open_bulk(feedback: &Path, name: &str) -> Bulk {
    let mut answered = Answered::new(feedback);
    Bulk::open(feedback, name, Stamps::system(), &mut answered).unwrap()
}

/// Judges the first item of a project.
fn says(dir: &Path, name: &str, winner: usize, settles: Vec<ulid::Ulid>) -> ulid::Ulid {
    let item = labels(dir).items.remove(0);
    let mut bulk = open_bulk(&dir.join("feedback"), name);
    let ids: Vec<String> = item.candidates.iter().map(|c| c.id.clone()).collect();
    let verdict = Verdict::Prefer {
        winner: ids[winner].clone(),
        strength: None,
    };
    let mut decision = Decision::new(verdict, Scale::Binary);
    let origin = if settles.is_empty() {
        Origin::Screen
    } else {
        Origin::Adjudication
    };
    decision.adjudicates = settles;
    let shown = Shown {
        item: &item,
        slot: 0,
        purpose: Purpose::Train,
        origin,
        display: Some(Display {
            order: ids,
            order_seed: 0,
            blind: true,
            size: Some([120, 36]),
            layout: Layout::Split,
            viewed: BTreeMap::new(),
        }),
        time: None,
    };
    let id = bulk.judge(&shown, decision).unwrap();
    bulk.close().unwrap();
    id
}

#[test]
fn an_adjudication_that_comes_later_settles_what_came_before() {
    let lines = |dir: &Path| {
        let rows: Vec<String> = native(dir).iter().map(Value::to_string).collect();
        rows.join("\n")
    };
    let source = project(r#"{"prompt": "p", "responses": ["a", "b"]}"#);
    let settled = vec![
        says(source.path(), "mia", 0, vec![]),
        says(source.path(), "tom", 1, vec![]),
    ];
    let dir = project(&lines(source.path()));
    says(source.path(), "eve", 1, settled);
    let imported = bring(dir.path(), &lines(source.path()), false).unwrap();
    assert_eq!((imported.already_there, imported.judgements), (2, 1));
    let labels = labels(dir.path());
    let settled = labels.labels.iter().map(|label| {
        let name = label.record.annotator.as_str();
        (name, label.settled)
    });
    let expected = [("eve", false), ("mia", true), ("tom", true)];
    assert_eq!(settled.collect::<Vec<_>>(), expected);
}

#[test]
fn an_annotator_at_work_stops_the_file_before_anything_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let _busy = open_bulk(&dir.path().join("feedback"), "tom");
    let row = |user: &str, prompt: String| {
        let said = json!([{"value": "response-1", "user_id": user, "status": "submitted"}]);
        json!({
            "fields": {"prompt": prompt, "response-1": "a", "response-2": "b"},
            "responses": {"preference": said}
        })
    };
    // More than is gathered before it is written.
    let rows = [row("mia", "p".repeat(5 << 20)), row("tom", "q".into())];
    let rows = rows.map(|row| row.to_string()).join("\n");
    let error = bring(dir.path(), &rows, false).unwrap_err();
    assert!(matches!(error, ImportError::Store(_)), "{error}");
    assert!(!dir.path().join("samples").exists());
}

/// A record of Argilla 2 with these questions.
fn argilla(questions: &Value) -> String {
    let fields = json!({
        "context": "not an answer", "prompt": "p", "response-1": "a", "response-2": "b",
        "source": "nor is this"
    });
    json!({"fields": fields, "responses": questions}).to_string()
}

fn answers(dir: &Path) -> Vec<String> {
    let item = read_all(&dir.join("samples")).unwrap().remove(0);
    let mut texts: Vec<String> = item.candidates.into_iter().map(|c| c.text).collect();
    texts.sort();
    texts
}

#[test]
fn argilla_has_one_question_and_answers_that_are_named_alike() {
    let says =
        |value: &str, status: &str| json!({"value": value, "user_id": "mia", "status": status});
    let questions = json!({
        "quality": [says("good", "submitted")],
        "better": [says("response-1", "submitted"), says("response-2", "draft")],
        "safer": [says("response-2", "submitted")]
    });
    let dir = tempfile::tempdir().unwrap();
    let imported = bring(dir.path(), &argilla(&questions), false).unwrap();
    assert_eq!((imported.judgements, imported.left_out), (1, 3));
    assert_eq!(answers(dir.path()), ["a", "b"]);
    let labels = labels(dir.path());
    let winner = labels.labels[0].record.winner.clone().unwrap();
    assert_eq!(labels.items[0].candidate(&winner).unwrap().text, "a");

    let dir = tempfile::tempdir().unwrap();
    let imported = bring(dir.path(), &argilla(&json!({})), false).unwrap();
    assert_eq!((imported.unjudged, imported.left_out), (1, 0));
    assert_eq!(answers(dir.path()), ["a", "b"]);

    let legacy = json!({
        "prompt": "p", "source": "web", "response-1": "a", "response-2": "b",
        "preference": [says("response-2", "submitted"), says("response-1", "discarded")]
    });
    let dir = tempfile::tempdir().unwrap();
    let imported = bring(dir.path(), &legacy.to_string(), false).unwrap();
    assert_eq!((imported.judgements, imported.left_out), (1, 1));
    assert_eq!(answers(dir.path()), ["a", "b"]);
}

#[test]
fn argilla_takes_no_other_text_for_an_answer() {
    let says =
        |value: &Value| json!({"q": [{"value": value, "user_id": "mia", "status": "submitted"}]});
    let chosen = json!({
        "prompt": "p", "source": "the web", "chosen_text": "a", "rejected_text": "b", "topic": "t"
    });
    for responses in [json!({}), says(&json!("chosen_text"))] {
        let row = json!({"fields": chosen, "responses": responses}).to_string();
        let dir = project(&row);
        assert_eq!(answers(dir.path()), ["a", "b"], "{row}");
    }
    // Models have no name in common; a ranking says which fields are theirs.
    let models = json!({"prompt": "p", "llama": "a", "source": "the web", "gpt": "b"});
    let ranking = says(&json!([{"value": "gpt", "rank": 1}, {"value": "llama", "rank": 2}]));
    let dir = project(&json!({"fields": models, "responses": ranking}).to_string());
    assert_eq!(answers(dir.path()), ["a", "b"]);
    // Otherwise nobody knows.
    let dir = tempfile::tempdir().unwrap();
    let row = json!({"fields": models, "responses": {}}).to_string();
    let error = bring(dir.path(), &row, false).unwrap_err().to_string();
    let which = r#"1: which of the fields ["llama", "source", "gpt"] are answers? Name them alike"#;
    assert!(error.contains(which), "{error}");
}

#[test]
fn what_a_row_holds_besides_is_counted() {
    let left_out = |row: &Value| {
        let dir = tempfile::tempdir().unwrap();
        bring(dir.path(), &row.to_string(), false).unwrap().left_out
    };
    let annotation = |cancelled: bool| {
        json!({"was_cancelled": cancelled, "result": [{
            "type": "pairwise", "to_name": "answer1,answer2", "value": {"selected": "left"}
        }]})
    };
    let data = json!({"prompt": "p", "answer1": "a", "answer2": "b"});
    let other = json!({"result": []});
    let annotations = [annotation(false), annotation(true), other];
    assert_eq!(
        left_out(&json!({"data": data, "annotations": annotations})),
        2
    );

    let rated = |text: &str, rating: &str| json!({"response": text, "annotations": {"honesty": {"Rating": rating}}});
    let completions = [rated("a", "5"), rated("b", "2"), rated("c", "N/A")];
    assert_eq!(
        left_out(&json!({"instruction": "p", "completions": completions})),
        1
    );
    assert_eq!(
        left_out(&json!({"prompt": "p", "responses": ["a", "b", " a"]})),
        1
    );
}

#[test]
fn half_a_surrogate_pair_in_the_arena_is_named() {
    let row = json!({
        "prompt": r#"["p\ud83d"]"#, "response_a": r#"["a"]"#, "response_b": r#"["b"]"#,
        "winner_model_a": 1, "winner_model_b": 0, "winner_tie": 0
    });
    let dir = project(&row.to_string());
    assert_eq!(labels(dir.path()).items[0].prompt.text.plain(), "p⟨U+D83D⟩");
}
