//! Preference files of other tools: what is read from them, imported, exported, and refused.

use std::path::{Path, PathBuf};

use rlhf::feedback::formats::OutFormat;
use rlhf::feedback::formats::judged::{Judged, Said};
use rlhf::feedback::import::{ImportError, Imported, Target, import};
use rlhf::feedback::item::{Message, PromptText, read_all};
use rlhf::feedback::pairs::{PreferencePair, read, read_file};
use rlhf::feedback::record::{Origin, Outcome, Scale};
use rlhf::feedback::store::load::load;
use rlhf::feedback::store::stamps::Stamps;
use serde_json::json;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/feedback")
        .join(name)
}

fn text(prompt: &str) -> PromptText {
    PromptText::Text(prompt.into())
}

fn messages(turns: &[(&str, &str)]) -> PromptText {
    let message = |&(role, content): &(&str, &str)| Message {
        role: role.into(),
        content: content.into(),
    };
    PromptText::Messages(turns.iter().map(message).collect())
}

type Parts = (PromptText, String, String);

fn parts(pairs: &[PreferencePair]) -> Vec<Parts> {
    let part = |p: &PreferencePair| (p.prompt.clone(), p.chosen.clone(), p.rejected.clone());
    pairs.iter().map(part).collect()
}

fn expected(prompt: PromptText, chosen: &str, rejected: &str) -> Parts {
    (prompt, chosen.into(), rejected.into())
}

/// A file with this text, and the folder that it lives in.
fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("mine.jsonl");
    std::fs::write(&path, text).unwrap();
    (dir, path)
}

fn import_into(dir: &Path, file: &Path, skip_bad: bool) -> Result<Imported, Box<ImportError>> {
    let target = Target {
        dir,
        batch: "mine",
        annotator: Some("ann"),
        format: None,
        decoder: None,
        skip_bad,
    };
    import(file, &target, &mut Stamps::system, &mut |_| ()).map_err(Box::new)
}

#[test]
fn trl_standard_rows_have_an_explicit_or_an_implicit_prompt() {
    let pairs = read(&fixture("trl_standard.jsonl")).unwrap();
    let sky = expected(text("The sky is"), " blue.", " green.");
    let japanese = expected(text("空は"), "青い。", "赤い。");
    assert_eq!(parts(&pairs), [sky.clone(), sky, japanese]);
    assert_eq!(pairs[0].source.as_deref(), Some("colours"));
    assert!(pairs[1].origin.ends_with("trl_standard.jsonl:2"));
    let unknown = (pairs[1].tie, pairs[1].strength, &pairs[1].annotator);
    assert_eq!(unknown, (false, None, &None));
}

#[test]
fn trl_conversational_rows_have_an_explicit_or_an_implicit_prompt() {
    let pairs = read(&fixture("trl_conversational.jsonl")).unwrap();
    let long = [
        ("system", "Be brief."),
        ("user", "Hi"),
        ("assistant", "Hello."),
        ("user", "And now?"),
    ];
    let sky = messages(&[("user", "What color is the sky?")]);
    assert_eq!(
        parts(&pairs),
        [
            expected(sky, "It is blue.", "It is green."),
            expected(messages(&long), "Now you.", "Now what?"),
        ]
    );
}

#[test]
fn hh_transcripts_are_split_at_their_last_shared_turn_of_the_assistant() {
    let egg = "\n\nHuman: How do I boil an egg?\n\nAssistant: Soft or hard?\n\nHuman: Hard.\n\nAssistant:";
    let thanks = "\n\nHuman: Thanks!\n\nAssistant:";
    let all = [
        expected(text(egg), " Ten minutes.", " Ten seconds."),
        expected(text(thanks), " ", " You are welcome."),
    ];
    assert_eq!(parts(&read(&fixture("hh.jsonl")).unwrap()), all);
    let zipped = read(&fixture("hh.jsonl.gz")).unwrap();
    assert_eq!(parts(&zipped), all);
    assert!(zipped[1].origin.ends_with("hh.jsonl.gz:2"));
}

#[test]
fn bad_rows_say_where_and_why() {
    let good = "{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"b\"}\n";
    let error = |row: &str| {
        let (_dir, path) = file(&format!("{good}{row}\n"));
        read(&path).unwrap_err().to_string()
    };
    for (row, reason) in [
        (
            "{\"prompt\": \"p\", \"chosen\": \"a\"}",
            "mine.jsonl:2: missing field `rejected`",
        ),
        (
            "{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"b\"",
            "mine.jsonl:2: EOF while",
        ),
        (
            "{\"prompt\": \" \", \"chosen\": \"a\", \"rejected\": \"b\"}",
            ":2: the prompt is empty",
        ),
        (
            "{\"prompt\": \"p\", \"chosen\": 1, \"rejected\": \"b\"}",
            ":2: `chosen` and `rejected`",
        ),
        (
            "{\"chosen\": \"a\", \"rejected\": \"b\"}",
            "`rejected` do not begin alike",
        ),
        (
            "{\"prompt\": \"p\", \"chosen\": [{\"role\": \"assistant\", \"content\": \"a\"}], \
             \"rejected\": [{\"role\": \"assistant\", \"content\": \"b\"}]}",
            "must be all text or all lists of messages",
        ),
        (
            "{\"chosen\": [{\"role\": \"user\", \"content\": \"a\"}], \
             \"rejected\": [{\"role\": \"user\", \"content\": \"b\"}]}",
            "must be one assistant message each",
        ),
        (
            "{\"chosen\": \"\\n\\nHuman: a\", \"rejected\": \"\\n\\nHuman: b\"}",
            "share no turn of the assistant",
        ),
        (
            "{\"chosen\": \"\\n\\nHuman: a\\n\\nAssistant: b\\n\\nHuman: c\\n\\nAssistant: d\", \
             \"rejected\": \"\\n\\nHuman: a\\n\\nAssistant: e\"}",
            "differ before their last turn",
        ),
        (
            "{\"chosen\": \"\\n\\nHuman:a\\n\\nAssistant: b\", \
             \"rejected\": \"\\n\\nHuman:a\\n\\nAssistant: c\"}",
            "every turn must begin with",
        ),
    ] {
        let found = error(row);
        assert!(
            found.contains("mine.jsonl:2: ") && found.contains(reason),
            "{row}: {found}"
        );
    }
    let (_dir, path) = file("\n");
    assert!(
        read(&path)
            .unwrap_err()
            .to_string()
            .contains("mine.jsonl: no preference pairs")
    );
    let error = read(&fixture("nothing.jsonl")).unwrap_err().to_string();
    assert!(error.contains("nothing.jsonl: No such file"), "{error}");
}

#[test]
fn bad_rows_can_be_skipped_and_are_counted() {
    let (dir, path) = file(
        "{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"b\"}\nnonsense\n\
         {\"prompt\": \"p\", \"chosen\": \"c\", \"rejected\": \" c \"}\n",
    );
    let read = read_file(&path, None, true).unwrap();
    assert_eq!((read.pairs.len(), read.skipped.len()), (2, 1));
    assert!(import_into(dir.path(), &path, false).is_err());
    assert!(!dir.path().join("samples").exists() && !dir.path().join("feedback").exists());
    let imported = import_into(dir.path(), &path, true).unwrap();
    let counts = (imported.rows, imported.judgements, imported.duplicates);
    assert_eq!(counts, (2, 1, 1));
    assert!(
        imported.skipped[0]
            .to_string()
            .contains("mine.jsonl:2: expected ident")
    );
}

#[test]
fn imported_judgements_say_so_and_carry_what_the_file_knows() {
    let dir = tempfile::tempdir().unwrap();
    import_into(dir.path(), &fixture("trl_standard.jsonl"), false).unwrap();
    let history = load(&dir.path().join("feedback"), "ann").unwrap();
    let records = history.judgements().unwrap();
    assert_eq!(records.len(), 3);
    for record in &records {
        let made = (record.origin, record.outcome, record.scale);
        let import = (
            Some(Origin::Import),
            Some(Outcome::Prefer),
            Some(Scale::Binary),
        );
        assert_eq!(made, import);
        assert_eq!(
            (&record.display, &record.time, record.strength),
            (&None, &None, None)
        );
    }
    // Rows 1 and 2 are the same pair but for their source; row 3 names none, so the batch stands in.
    let policies = records
        .iter()
        .map(|record| record.candidates[0].policy.as_str());
    assert_eq!(policies.collect::<Vec<_>>(), ["colours", "mine", "mine"]);
    assert_eq!(records[1].slot, Some(1));
    assert_eq!(read_all(&dir.path().join("samples")).unwrap().len(), 2);
}

#[test]
fn the_order_of_candidates_does_not_tell_which_was_chosen() {
    let row = |a: &str, b: &str| json!({"prompt": "p", "chosen": a, "rejected": b}).to_string();
    let (dir, path) = file(&format!("{}\n{}\n", row("one", "two"), row("two", "one")));
    import_into(dir.path(), &path, false).unwrap();
    let items = read_all(&dir.path().join("samples")).unwrap();
    assert_eq!(items.len(), 1);
    let both = [("one", "two"), ("two", "one")].map(|(a, b)| expected(text("p"), a, b));
    assert_eq!(parts(&read(dir.path()).unwrap()), both);
}

#[test]
fn a_second_import_adds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = fixture("hh.jsonl");
    let first = import_into(dir.path(), &path, false).unwrap();
    assert_eq!(
        (first.new_items, first.judgements, first.already_there),
        (2, 2, 0)
    );
    let second = import_into(dir.path(), &path, false).unwrap();
    assert_eq!(
        (second.new_items, second.judgements, second.already_there),
        (0, 0, 2)
    );
    assert_eq!(read(dir.path()).unwrap().len(), 2);
}

#[test]
fn imports_by_a_simulated_name_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let target = Target {
        dir: dir.path(),
        batch: "mine",
        annotator: Some("sim:gold"),
        format: None,
        decoder: None,
        skip_bad: false,
    };
    let error = import(
        &fixture("hh.jsonl"),
        &target,
        &mut Stamps::system,
        &mut |_| (),
    )
    .unwrap_err();
    assert!(
        error.to_string().contains("does not start with `sim:`"),
        "{error}"
    );
}

#[test]
fn hh_export_leaves_out_what_it_would_change() {
    let chat = messages(&[("user", "Hi"), ("assistant", "Hello."), ("user", "Bye")]);
    let write = |prompt: PromptText, chosen: &str| {
        OutFormat::Hh.write(&Judged::pair(prompt, chosen.into(), "no".into()))
    };
    let start = "\n\nHuman: Hi\n\nAssistant: Hello.\n\nHuman: Bye\n\nAssistant: ";
    let row = json!({"chosen": format!("{start}Goodbye."), "rejected": format!("{start}no")});
    assert_eq!(write(chat.clone(), "Goodbye."), Some(vec![row]));
    assert_eq!(write(chat.clone(), "Well.\n\nHuman: Bye."), None);
    let system = messages(&[("system", "Be brief."), ("user", "Hi")]);
    assert_eq!(write(system, "Hi."), None);
    assert_eq!(write(text("The sky is"), " blue."), None);
    let tie = Judged {
        said: Said::Tie,
        ..Judged::pair(chat, "a".into(), "b".into())
    };
    assert_eq!(OutFormat::Hh.write(&tie), None);
}
