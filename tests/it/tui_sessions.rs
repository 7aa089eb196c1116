//! Whole sessions in a pseudo-terminal: fast typing, rankings, comments, taking over, moved keys.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use portable_pty::CommandBuilder;
use rlhf::feedback::record::{Kind, Record};
use rlhf::feedback::store::load::load;

use crate::tui_person::{Person, kinds, project};

fn records(project: &Path) -> Vec<Record> {
    let history = load(&project.join("feedback"), "mia").unwrap();
    let events = history.events().iter();
    events.map(|event| history.record(event).unwrap()).collect()
}

fn judged_items(project: &Path) -> Vec<String> {
    let judged = records(project)
        .into_iter()
        .filter(|r| r.kind == Kind::Judgement);
    judged.filter_map(|record| record.item).collect()
}

/// A file of sixty pairs, and a session over it.
fn sixty(project: &Path) -> Person {
    let mut rows = String::new();
    for i in 0..60 {
        writeln!(
            rows,
            r#"{{"prompt": "question {i}", "responses": ["one {i}", "two {i}"]}}"#
        )
        .unwrap();
    }
    fs::write(project.join("sixty.jsonl"), rows).unwrap();
    let arguments = [
        "label",
        "sixty.jsonl",
        "--annotator",
        "mia",
        "--repeat-share",
        "0",
    ];
    Person::start(project, &arguments, 120, 36)
}

#[test]
fn fifty_judgements_as_fast_as_the_screen_goes_and_none_lost_or_doubled() {
    let project = project();
    let mut mia = sixty(project.path());
    mia.sees(&["0/60"]);
    for done in 1..=50 {
        mia.types(["1", "5", "7", "b", "9"][done % 5]);
        mia.sees(&[&format!(" {done}/60 ")]);
    }
    mia.types("q");
    assert!(mia.leaves().0.success());
    let items = judged_items(project.path());
    assert_eq!(items.len(), 50);
    assert_eq!(items.iter().collect::<HashSet<_>>().len(), 50);
}

#[test]
fn a_burst_of_keys_judges_no_pair_that_was_not_on_the_screen_yet() {
    let project = project();
    let mut mia = sixty(project.path());
    mia.sees(&["0/60"])
        .types(&"7".repeat(50))
        .sees(&["last: B slightly better"]);
    mia.types("q");
    let (status, farewell) = mia.leaves();
    assert!(status.success());
    let items = judged_items(project.path());
    assert_eq!(items.iter().collect::<HashSet<_>>().len(), items.len());
    assert!((1..=50).contains(&items.len()), "{}", items.len());
    let said = format!("{0} judged ({0} preferred) in ", items.len());
    assert!(farewell.contains(&said), "{farewell}");
}

#[test]
fn three_answers_are_ranked_and_saved() {
    let project = project();
    let row = r#"{"prompt": "A city?", "responses": ["Paris", "Bread", "Rome"]}"#;
    fs::write(project.path().join("pairs.jsonl"), format!("{row}\n")).unwrap();
    let mut mia = Person::sit_down(project.path(), 120, 36);
    mia.sees(&["Ranking", "no rank yet: A B C"]).types("1");
    mia.sees(&["no rank yet: B C"]).types("3");
    mia.sees(&["no rank yet: C"]).types("2");
    mia.sees(&["A > C > B · Enter saves it"]).types("\r");
    mia.sees(&["Nothing is left to judge.", "1 ranked"])
        .types("q");
    assert!(mia.leaves().0.success());
    let record = &records(project.path())[1];
    let order = &record.display.as_ref().unwrap().order;
    let expected: Vec<Vec<String>> = [0, 2, 1]
        .map(|side: usize| vec![order[side].clone()])
        .into();
    assert_eq!(record.ranking.as_ref(), Some(&expected));
}

#[test]
fn a_comment_is_pasted_edited_and_saved_with_flags() {
    let project = project();
    let script = project.path().join("editor.sh");
    fs::write(&script, "#!/bin/sh\nprintf ' and edited' >> \"$1\"\n").unwrap();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_rlhf"));
    command.args(["label", "pairs.jsonl", "--annotator", "mia"]);
    command.cwd(project.path());
    command.env("VISUAL", format!("sh {}", script.display()));
    let mut mia = Person::run(command, project.path(), 120, 36);
    mia.sees(&["0/3"]).types("\x1b[200~1959\x1b[201~");
    mia.sees(&["Pasted text is ignored here", "0/3"]).types("c");
    mia.sees(&["Comment"])
        .types("\x1b[200~7 b u\x1b[201~")
        .sees(&["7 b u▏"]);
    mia.types("\x0f").sees(&["7 b u and edited▏"]).types("\r");
    mia.sees(&["comment: \"7 b u and edited\""]).types("F");
    mia.sees(&["[ ] unsafe"])
        .types("1")
        .sees(&["[x] unsafe"])
        .types("\r");
    mia.sees(&["flags: unsafe"])
        .types("7")
        .sees(&["1/3"])
        .types("q");
    assert!(mia.leaves().0.success());
    let record = &records(project.path())[1];
    assert_eq!(record.note.as_deref(), Some("7 b u and edited"));
    assert_eq!(record.flags, ["unsafe"]);
}

#[test]
fn a_judgement_from_an_earlier_session_is_found_and_changed() {
    let project = project();
    let mut mia = Person::sit_down(project.path(), 120, 36);
    mia.sees(&["0/3"]).types("7").sees(&["1/3"]).types("q");
    assert!(mia.leaves().0.success());
    let mut again = Person::sit_down(project.path(), 120, 36);
    again.sees(&["1/3"]).types("H");
    again
        .sees(&["History · all", "B slightly better"])
        .types("\r");
    again.sees(&["judged before: B slightly better"]).types("1");
    again.sees(&["selected: A much better"]).types("\r");
    again.sees(&["changed to: A much better", "1/3"]).types("q");
    assert!(again.leaves().0.success());
    let records = records(project.path());
    let judged: Vec<_> = records
        .iter()
        .filter(|r| r.kind == Kind::Judgement)
        .collect();
    assert_eq!(judged[1].supersedes, Some(judged[0].id));
    assert_eq!(judged_items(project.path()).len(), 2);
}

#[test]
fn a_second_session_takes_over_and_the_first_ends_in_good_order() {
    let project = project();
    let mut first = Person::sit_down(project.path(), 120, 36);
    first.sees(&["0/3"]).types("7").sees(&["1/3"]);
    let mut second = Person::sit_down(project.path(), 80, 24);
    second
        .sees(&["Open elsewhere", "t      take over here"])
        .types("t");
    let (status, farewell) = first.leaves();
    assert!(status.success());
    assert!(
        farewell.contains("Another session of this annotator took over"),
        "{farewell}"
    );
    second
        .sees(&["1/3", "Prompt"])
        .types("\t")
        .sees(&["[B]"])
        .types("5");
    second.sees(&["2/3"]).types("q");
    assert!(second.leaves().0.success());
    let expected = [
        Kind::SessionStart,
        Kind::Judgement,
        Kind::SessionEnd,
        Kind::SessionStart,
        Kind::Judgement,
        Kind::SessionEnd,
    ];
    assert_eq!(kinds(project.path()), expected);
}

#[test]
fn a_second_session_can_read_without_writing() {
    let project = project();
    let mut first = Person::sit_down(project.path(), 120, 36);
    first.sees(&["0/3"]).types("7").sees(&["1/3"]);
    let mut second = Person::sit_down(project.path(), 120, 36);
    second.sees(&["Open elsewhere"]).types("r");
    second.sees(&["read only", "1/3"]).types("5");
    second
        .sees(&["> < next pair"])
        .types("H")
        .sees(&["B slightly better"])
        .types("qq");
    assert!(second.leaves().0.success());
    first.types("q");
    assert!(first.leaves().0.success());
    let expected = [Kind::SessionStart, Kind::Judgement, Kind::SessionEnd];
    assert_eq!(kinds(project.path()), expected);
}

#[test]
fn the_project_sets_the_scale_and_moves_keys_and_the_annotator_may_too() {
    let project = project();
    let ours = "[label]\nscale = \"7\"\n\n[label.keys]\nundo = \"z\"\n";
    fs::write(project.path().join("rlhf.toml"), ours).unwrap();
    fs::create_dir_all(project.path().join("config/rlhf")).unwrap();
    let mine = "[label]\nshow_rate = false\n[label.keys]\nskip = \"S\"\n";
    fs::write(project.path().join("config/rlhf/config.toml"), mine).unwrap();
    let mut mia = Person::sit_down(project.path(), 120, 36);
    mia.sees(&["4 tie", "S skip", "z undo"])
        .types("4")
        .sees(&["last: tie"]);
    mia.types("z").sees(&["taken back: tie"]).types("q");
    assert!(mia.leaves().0.success());
}

#[test]
fn settings_that_cannot_be_are_refused_with_the_place() {
    let project = project();
    let refused = |code: u32, ours: &str, mine: &str| {
        fs::write(project.path().join("rlhf.toml"), ours).unwrap();
        fs::create_dir_all(project.path().join("config/rlhf")).unwrap();
        fs::write(project.path().join("config/rlhf/config.toml"), mine).unwrap();
        let (status, said) = Person::sit_down(project.path(), 300, 20).leaves();
        assert_eq!(status.exit_code(), code, "{said}");
        said
    };
    let conflict = refused(2, "[label.keys]\nquit = \"Q\"\nundo = \"s\"\n", "");
    assert!(
        conflict.contains("rlhf.toml:3: [label.keys]: s"),
        "{conflict}"
    );
    assert!(
        conflict.contains("s would mean both skip and undo"),
        "{conflict}"
    );
    // Both who want the key are named, wherever they stand.
    let both = refused(
        2,
        "[label.keys]\nundo = \"z\"\n",
        "[label]\n[label.keys]\nskip = \"z\"\n",
    );
    assert!(
        both.contains("config.toml:3, ") && both.contains("rlhf.toml:2: "),
        "{both}"
    );
    let unknown = refused(2, "", "[label.keys]\nundoo = \"z\"\n");
    assert!(unknown.contains("config.toml:2"), "{unknown}");
    assert!(
        unknown.contains("no action is called \"undoo\""),
        "{unknown}"
    );
    let project_only = refused(2, "", "[label]\nscale = \"7\"\n");
    assert!(
        project_only.contains("config.toml:2: `scale` is the project's"),
        "{project_only}"
    );
    let eleven: Vec<String> = (0..11).map(|i| format!("\"f{i}\"")).collect();
    let flags = refused(
        2,
        &format!("[label]\nflags = [{}]\n", eleven.join(", ")),
        "",
    );
    assert!(
        flags.contains("rlhf.toml:2") && flags.contains("at most nine"),
        "{flags}"
    );
}

#[test]
fn the_statistics_are_counted_from_the_files_while_one_reads() {
    let project = project();
    let mut mia = Person::sit_down(project.path(), 120, 36);
    mia.sees(&["0/3"]).types("7").sees(&["1/3"]).types("%");
    mia.sees(&["Statistics", "1 of 3 items judged by people"]);
    mia.types("%").sees(&["last: B slightly better"]).types("5");
    mia.sees(&["2/3"]).types("%");
    mia.sees(&["2 of 3 items judged by people"]).types("q");
    mia.sees(&["last: tie"]).types("q");
    assert!(mia.leaves().0.success());
}
