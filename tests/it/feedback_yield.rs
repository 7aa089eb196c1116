//! Who gets a session when two want it, and what happens to what was begun in it: the real binary in
//! pseudo-terminals.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use rlhf::feedback::item::read_batch;
use rlhf::feedback::record::{Purpose, Record};
use rlhf::feedback::store::load::load;
use rlhf::feedback::store::session::Session;
use rlhf::feedback::store::stamps::Stamps;

use crate::tui_person::{LIVE, PATIENCE, Person, project, prompts};

fn sit_down(host: &str, project: &Path) -> Person {
    let arguments = ["label", "pairs.jsonl", "--annotator", "mia"];
    Person::start_on(host, project, &arguments, 120, 36)
}

fn signal(person: &Person, signal: &str) {
    let process = person.child.process_id().unwrap().to_string();
    let kill = Command::new("kill").args([signal, &process]).status();
    assert!(kill.unwrap().success());
}

fn records(project: &Path) -> Vec<Record> {
    let history = load(&project.join("feedback"), "mia").unwrap();
    history.judgements().unwrap()
}

#[test]
fn somebody_who_asked_and_gave_up_ends_nobodys_session() {
    let project = project();
    let dir = project.path();
    let mut first = sit_down("rome", dir);
    first.sees(&["0/3", "saved"]);
    // Suspended, as behind a connection that hangs: it cannot answer now.
    signal(&first, "-STOP");
    let mut second = sit_down("oslo", dir);
    second
        .sees(&["Open elsewhere", "on rome"])
        .types("t")
        .sees(&["It was asked to save and end"])
        .types("q");
    assert!(!second.leaves().0.success());
    assert!(!dir.join("feedback/mia/lock.request").exists());
    signal(&first, "-CONT");
    first.types("7").sees(&["1/3"]).types("q");
    let (status, farewell) = first.leaves();
    assert!(
        status.success() && farewell.contains("1 judged"),
        "{farewell}"
    );
}

#[test]
fn a_comment_survives_a_hang_up_a_take_over_and_a_kill() {
    let project = project();
    let dir = project.path();
    let draft = dir.join("feedback/mia/draft.json");
    let mut mia = sit_down("rome", dir);
    mia.sees(&["0/3", "saved"]).types("c").sees(&["Comment"]);
    mia.types("one").sees(&["one▏"]);
    signal(&mia, "-HUP");
    mia.leaves();
    let mut mia = sit_down("rome", dir);
    mia.sees(&["comment: \"one\"", "What was begun here before is back"]);
    mia.types("c")
        .sees(&["one▏"])
        .types(" two")
        .sees(&["one two▏"]);
    let mut other = sit_down("oslo", dir);
    other.sees(&["Open elsewhere"]).types("t");
    mia.leaves();
    other.sees(&["comment: \"one two\""]).types("c");
    other.sees(&["one two▏"]).types(" three");
    other.sees(&["one two three▏"]);
    let deadline = Instant::now() + PATIENCE;
    while !fs::read_to_string(&draft).is_ok_and(|text| text.contains("three")) {
        assert!(
            Instant::now() < deadline,
            "a pause in typing keeps what was typed"
        );
        thread::yield_now();
    }
    other.dies();
    let mut mia = sit_down("rome", dir);
    mia.sees(&["comment: \"one two three\""]).types("7");
    mia.sees(&["1/3"]).types("q");
    assert!(mia.leaves().0.success());
    assert!(!draft.exists());
    let notes: Vec<_> = records(dir).into_iter().map(|r| r.note).collect();
    assert_eq!(notes, [Some("one two three".to_owned())]);
}

#[test]
fn known_answers_come_among_live_pairs() {
    let project = project();
    let dir = project.path();
    let toml = "[label]\nrepeat_share = 0\ngold_share = 0.5\n[sample]\nmax_new_tokens = 8\n";
    fs::write(dir.join("rlhf.toml"), toml).unwrap();
    fs::create_dir(dir.join("gold")).unwrap();
    let gold = |n| {
        format!("{{\"prompt\":\"check {n}\",\"responses\":[\"a {n}\",\"b {n}\"],\"expected\":1}}\n")
    };
    fs::write(
        dir.join("gold/care.jsonl"),
        (0..9).map(gold).collect::<String>(),
    )
    .unwrap();
    prompts(dir, 10);
    let mut mia = Person::start(dir, &LIVE, 120, 36);
    let mut done = 0;
    loop {
        let count = format!(" {done}/");
        let there = |screen: &str| {
            screen.contains("Nothing is left to judge.")
                || screen.contains(&count)
                    && screen.contains("─ Prompt")
                    && screen.contains("saved")
        };
        if mia.reads(there).contains("Nothing is left to judge.") {
            break;
        }
        mia.types("7");
        done += 1;
    }
    mia.types("q");
    assert!(mia.leaves().0.success());
    let records = records(dir);
    let made = read_batch(&dir.join("samples/live-mia.jsonl"))
        .unwrap()
        .len();
    let of = |purpose| {
        records
            .iter()
            .filter(|r| r.purpose == Some(purpose))
            .count()
    };
    assert_eq!((of(Purpose::Train), records.len()), (made, done));
    // A known answer follows one pair in two; none in ten has a probability of 1/1024.
    assert!(
        (1..=9).contains(&of(Purpose::Gold)),
        "{}",
        of(Purpose::Gold)
    );
    let gold = records.iter().filter(|r| r.purpose == Some(Purpose::Gold));
    assert!(
        gold.into_iter()
            .all(|r| r.batch.as_deref() == Some("gold-care"))
    );
}

/// Names the project to a child process that is the terminal.
const TERMINAL: &str = "RLHF_TEST_TERMINAL";

#[test]
fn a_terminal_that_vanishes_frees_the_lock_and_what_was_begun_is_kept() {
    if let Some(dir) = std::env::var_os(TERMINAL) {
        let mut mia = sit_down("rome", Path::new(&dir));
        mia.sees(&["0/3", "saved"]).types("c").sees(&["Comment"]);
        mia.types("half a").sees(&["half a▏"]);
        println!("ready");
        let _ = std::io::stdin().read_line(&mut String::new());
    }
    let project = project();
    let module = module_path!().split_once("::").unwrap().1;
    let test = "a_terminal_that_vanishes_frees_the_lock_and_what_was_begun_is_kept";
    let mut terminal = Command::new(std::env::current_exe().unwrap())
        .arg(format!("{module}::{test}"))
        .args(["--exact", "--nocapture"])
        .env(TERMINAL, project.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(terminal.stdout.take().unwrap());
    let ready = said.lines().map_while(Result::ok);
    assert!(ready.into_iter().any(|line| line.contains("ready")));
    // The window is closed, the connection is lost: nobody holds the other end any more.
    terminal.kill().unwrap();
    terminal.wait().unwrap();
    let deadline = Instant::now() + PATIENCE;
    let feedback = project.path().join("feedback");
    let session = loop {
        assert!(Instant::now() < deadline, "the lock is still held");
        if let Ok(session) = Session::open(&feedback, "mia", Stamps::system()) {
            break session;
        }
        thread::yield_now();
    };
    assert_eq!(session.begun()[0].note, "half a");
}
