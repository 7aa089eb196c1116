//! The real binary in a pseudo-terminal: what a person sees, types, and finds on disk.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use portable_pty::PtySize;
use rlhf::feedback::record::Kind::{Judgement, Retract, SessionEnd, SessionStart};
use rlhf::feedback::store::load::load;

use crate::tui_person::{PAIRS, Person, kinds, nonzero, project};

#[test]
fn judging_undoing_quitting_and_coming_back() {
    let project = project();
    let mut mia = Person::sit_down(project.path(), 120, 36);
    mia.sees(&["Prompt", "A ─", "B ─", "0/3", "1 much", "saved"])
        .types("7");
    mia.sees(&["1/3", "last: B slightly better"]).types("b");
    mia.sees(&["2/3", "last: both bad"]).types("u");
    mia.sees(&["1/3", "taken back: both bad"]).types("U");
    mia.sees(&["2/3", "last: both bad"]).types("?");
    mia.sees(&["Help", "take back the last judgement"])
        .types("?");
    mia.sees(&["2/3", "Which answer is better?"]).types("q");
    let (status, farewell) = mia.leaves();
    assert!(status.success());
    assert!(
        farewell.contains("2 judged (1 preferred, 1 both bad) in "),
        "{farewell}"
    );
    assert!(
        farewell.contains("1 left; run the same command to go on."),
        "{farewell}"
    );
    let first = [
        SessionStart,
        Judgement,
        Judgement,
        Retract,
        Judgement,
        SessionEnd,
    ];
    assert_eq!(kinds(project.path()), first);

    let mut again = Person::sit_down(project.path(), 120, 36);
    again.sees(&["2/3", "66%"]).types("5");
    again
        .sees(&["Nothing is left to judge.", "3 of 3"])
        .types("\r");
    let (status, farewell) = again.leaves();
    assert!(status.success());
    assert!(farewell.contains("Nothing is left."), "{farewell}");
    assert_eq!(
        kinds(project.path())[6..],
        [SessionStart, Judgement, SessionEnd]
    );
}

#[test]
fn on_a_small_screen_tab_flips_and_hostile_text_is_shown_not_obeyed() {
    let project = project();
    let bread = PAIRS.lines().nth(1).unwrap();
    fs::write(project.path().join("pairs.jsonl"), bread).unwrap();
    let mut mia = Person::sit_down(project.path(), 80, 24);
    mia.sees(&["[A]  B", "外の皮は硬いです。"]).types("3");
    mia.sees(&["Answer B has not been on the screen yet"])
        .types("\t");
    mia.sees(&[" A  [B]"]).types("\t");
    mia.sees(&["[A]  B"]);
    let hostile = "␛[31mcan␛[0m";
    if !mia.screen.screen().contents().contains(hostile) {
        mia.types("\t").sees(&[hostile]);
    }
    mia.types("3")
        .sees(&["Nothing is left to judge."])
        .types("q");
    assert!(mia.leaves().0.success());
    assert_eq!(kinds(project.path()).len(), 3);
}

#[test]
fn the_window_can_be_dragged() {
    let project = project();
    let mut mia = Person::sit_down(project.path(), 120, 36);
    mia.sees(&["A ─", "B ─"]);
    for (cols, rows, text) in [(30, 10, "terminal too small"), (100, 28, "B ─")] {
        let size = PtySize {
            rows,
            cols,
            pixel_width: 0,
            pixel_height: 0,
        };
        mia.screen
            .screen_mut()
            .set_size(nonzero(rows), nonzero(cols));
        mia.master.resize(size).unwrap();
        mia.sees(&[text]);
    }
    // Ctrl-L draws everything again on a terminal that something else wrote to.
    mia.screen
        .process(b"\x1b[2J\x1b[Hwall: the machine goes down at noon");
    mia.types("\x0c").sees(&["B ─"]);
    assert!(!mia.screen.screen().contents().contains("wall:"));
    mia.types("q");
    assert!(mia.leaves().0.success());
}

#[test]
fn a_write_that_fails_is_said_plainly_and_ends_with_an_error() {
    let project = project();
    let mut mia = Person::sit_down(project.path(), 120, 36);
    mia.sees(&["0/3"]);
    fs::remove_dir_all(project.path().join("feedback")).unwrap();
    mia.types("8").sees(&[
        "NOT SAVED",
        "This could not be written: B better.",
        "[8 better]",
    ]);
    mia.types("5").types("q");
    let (status, farewell) = mia.leaves();
    assert_eq!(status.exit_code(), 1);
    assert!(
        farewell.contains("error: the last judgement was NOT saved"),
        "{farewell}"
    );
}

#[test]
fn a_second_session_of_the_same_annotator_is_told_who_has_the_first() {
    let project = project();
    let mut first = Person::sit_down(project.path(), 120, 36);
    first.sees(&["0/3"]);
    let mut second = Person::sit_down(project.path(), 80, 24);
    let holder = format!("process {}", first.child.process_id().unwrap());
    second.sees(&["Open elsewhere", &holder]);
    first.types("q");
    assert!(first.leaves().0.success());
    second.types("\r").sees(&["0/3", "Prompt"]).types("q");
    assert!(second.leaves().0.success());
}

#[test]
fn the_name_is_asked_once() {
    let project = project();
    let start = || Person::start(project.path(), &["label", "pairs.jsonl"], 120, 36);
    let mut zoe = start();
    zoe.sees(&["Your name for judgements [ann_"]).types("zoe\r");
    zoe.sees(&["annotator zoe", "0/3"]).types("q");
    assert!(zoe.leaves().0.success());
    let remembered = project.path().join("config/rlhf/annotator");
    assert_eq!(fs::read_to_string(remembered).unwrap(), "zoe\n");
    let mut again = start();
    again.sees(&["annotator zoe", "0/3"]).types("q");
    let (_, farewell) = again.leaves();
    assert!(!farewell.contains("Your name"), "{farewell}");
}

fn label(project: &Path, arguments: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rlhf"));
    command.arg("label").args(arguments).current_dir(project);
    command.stdin(Stdio::null()).output().unwrap()
}

#[test]
fn without_a_terminal_it_says_what_to_do_instead() {
    let output = label(project().path(), &["pairs.jsonl", "--annotator", "mia"]);
    assert_eq!(output.status.code(), Some(2));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("labelling needs a terminal"), "{error}");
    assert!(error.contains("--annotator sim:gold"), "{error}");
}

#[test]
fn a_simulated_annotator_needs_no_terminal_and_is_marked() {
    let project = project();
    let output = label(
        project.path(),
        &["pairs.jsonl", "--annotator", "sim:gold:noise=0.25"],
    );
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        said.contains("sim:gold:noise=0.25, a simulated annotator, judged 3 of 3"),
        "{said}"
    );
    let history = load(&project.path().join("feedback"), "sim:gold:noise=0.25").unwrap();
    let records = history.judgements().unwrap();
    assert_eq!(records.len(), 3);
    assert!(
        records
            .iter()
            .all(rlhf::feedback::record::Record::is_simulated)
    );
}

#[test]
fn nothing_to_judge_and_bad_rows_say_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let error = |arguments: &[&str]| {
        let output = label(dir.path(), arguments);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(error(&["--annotator", "sim:gold"]).contains("make pairs with `rlhf sample`"));
    let missing = error(&["--batch", "b7", "--annotator", "sim:gold"]);
    assert!(
        missing.contains("samples/b7.jsonl; a batch is the name"),
        "{missing}"
    );
    fs::write(dir.path().join("bad.jsonl"), "{\"prompt\": \"p\"}\n").unwrap();
    let bad = error(&["bad.jsonl", "--annotator", "sim:gold"]);
    assert!(
        bad.contains("bad.jsonl:1: missing field `responses`"),
        "{bad}"
    );
}
