//! Coming back: the real binary in a pseudo-terminal, after it was left, killed, or could not write.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rlhf::feedback::item::read_batch;

use crate::tui_person::{Person, project};

fn sit_down(project: &Path, file: &str) -> Person {
    let arguments = ["label", file, "--annotator", "mia"];
    Person::start(project, &arguments, 120, 36)
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        thread::yield_now();
    }
}

#[test]
fn a_screen_that_was_left_behind_is_cleared_first() {
    let project = project();
    let mut mia = Person::sit_down(project.path(), 120, 36);
    mia.sees(&["0/3", "saved"]).types("q");
    let entered = mia.reads(|_| true);
    assert!(entered.contains("0/3"), "{entered}");
    let alternate = mia.wrote(b"\x1b[?1049h").unwrap();
    let colours = mia.wrote(b"\x1b[0m").unwrap();
    let cleared = mia.wrote(b"\x1b[2J").unwrap();
    let text = mia.wrote(b"label").unwrap();
    assert!(alternate < colours && colours < cleared && cleared < text);
    assert!(mia.leaves().0.success());
}

#[test]
fn a_draft_that_the_disk_refused_is_kept_on_leaving() {
    let project = project();
    let dir = project.path();
    let place = dir.join("feedback/mia/draft.json");
    let mut mia = Person::sit_down(dir, 120, 36);
    mia.sees(&["0/3", "saved"]);
    // A folder in its place: nobody can write the file, not even root.
    fs::create_dir(&place).unwrap();
    mia.types("c")
        .sees(&["Comment"])
        .types("why")
        .sees(&["why▏"]);
    mia.types("\r").sees(&["What is begun could not be kept"]);
    mia.types("u").sees(&["Nothing to take back."]);
    mia.types("j").sees(&["What is begun could not be kept"]);
    fs::remove_dir(&place).unwrap();
    mia.types("q");
    assert!(mia.leaves().0.success());
    let mut mia = Person::sit_down(dir, 120, 36);
    mia.sees(&["comment: \"why\""]).types("q");
    assert!(mia.leaves().0.success());
}

#[test]
fn statistics_steer_nobody_while_another_batch_is_open() {
    let project = project();
    let dir = project.path();
    let row = |n| format!("{{\"prompt\":\"question {n}\",\"responses\":[\"one\",\"two\"]}}\n");
    fs::write(dir.join("other.jsonl"), (0..3).map(row).collect::<String>()).unwrap();
    let mut mia = sit_down(dir, "other.jsonl");
    mia.sees(&["0/3", "saved"]).types("q");
    mia.leaves();
    let finish = |file: &str| {
        let mut mia = sit_down(dir, file);
        for done in 0..3 {
            mia.sees(&[&format!("{done}/3"), "saved"]).types("\t");
            mia.types("7").sees(&[&format!("{}/3", done + 1)]);
        }
        mia.sees(&["Nothing is left to judge."]).types("%");
        mia
    };
    let mut mia = finish("pairs.jsonl");
    mia.sees(&["3 pairs are left in other batches."]);
    assert!(!mia.looks().contains("Policies, by people"));
    mia.types("qq");
    mia.leaves();
    let mut mia = finish("other.jsonl");
    mia.sees(&["Policies, by people"]).types("qq");
    mia.leaves();
}

#[test]
fn live_labelling_goes_on_at_the_pair_at_which_one_stopped() {
    let project = project();
    let dir = project.path();
    let toml = "[label]\nrepeat_share = 0\n[sample]\nmax_new_tokens = 8\n";
    fs::write(dir.join("rlhf.toml"), toml).unwrap();
    let prompts = (0..6).map(|n| format!("{{\"prompt\":\"Name a colour, number {n}.\"}}\n"));
    fs::write(dir.join("prompts.jsonl"), prompts.collect::<String>()).unwrap();
    let sit_down = || {
        let arguments = "label --live --model embedded --device cpu --prompts prompts.jsonl \
                         --annotator mia";
        let arguments: Vec<&str> = arguments.split_whitespace().collect();
        Person::start(dir, &arguments, 120, 36)
    };
    let made = dir.join("samples/live-mia.jsonl");
    let mut mia = sit_down();
    mia.sees(&["Name a colour, number 0", "saved"]).types("7");
    mia.sees(&["Name a colour, number 1", "1/"]).types("c");
    mia.sees(&["Comment"])
        .types("half a thought")
        .sees(&["thought▏"]);
    wait_until("all pairs are made", || {
        read_batch(&made).is_ok_and(|items| items.len() == 6)
    });
    let draft = dir.join("feedback/mia/draft.json");
    wait_until("a pause in typing keeps what was typed", || {
        fs::read_to_string(&draft).is_ok_and(|text| text.contains("thought"))
    });
    mia.dies();
    let mut mia = sit_down();
    mia.sees(&["Name a colour, number 1", "comment: \"half a thought\""]);
    mia.types("7").sees(&["Name a colour, number 2", "2/"]);
    mia.types("q");
    assert!(mia.leaves().0.success());
}
