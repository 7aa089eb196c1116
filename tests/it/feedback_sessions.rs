//! Several sessions at once, on one machine and on two, and sessions that die: the real binary in
//! pseudo-terminals.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::thread;

use rlhf::feedback::item::read_batch;
use rlhf::feedback::labels::{Folders, Labels};
use rlhf::feedback::record::Kind;
use rlhf::feedback::store::load::load;
use rlhf::feedback::store::lock::Request;
use tempfile::TempDir;

use crate::tui_person::{LIVE, Person, prompts};

/// A project with `n` pairs in `pairs.jsonl` and this `[label]` section.
fn project(n: usize, label: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut rows = String::new();
    for n in 0..n {
        let row =
            format!("{{\"prompt\":\"question {n}.\",\"responses\":[\"one {n}\",\"two {n}\"]}}");
        writeln!(rows, "{row}").unwrap();
    }
    fs::write(dir.path().join("pairs.jsonl"), rows).unwrap();
    fs::write(dir.path().join("rlhf.toml"), format!("[label]\n{label}\n")).unwrap();
    dir
}

fn sit_down(host: &str, project: &Path, annotator: &str) -> Person {
    let arguments = ["label", "pairs.jsonl", "--annotator", annotator];
    Person::start_on(host, project, &arguments, 120, 36)
}

fn run(project: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rlhf"));
    command.arg("label").args(arguments).current_dir(project);
    command.output().unwrap()
}

/// By item, who judged it.
fn judged(project: &Path) -> BTreeMap<String, Vec<String>> {
    let labels = Labels::read(&Folders::of(project)).unwrap();
    let mut judged: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for label in &labels.labels {
        let name = label.record.annotator.clone();
        judged
            .entry(labels.item(label).id.clone())
            .or_default()
            .push(name);
    }
    judged
}

fn files(project: &Path, annotator: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(project.join("feedback").join(annotator)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name != "lock").collect()
}

/// Judges everything that is left; returns how many that were.
fn work(person: &mut Person, total: usize, done: usize) {
    for done in done..total {
        person
            .sees(&[&format!("{done}/{total}"), "Prompt"])
            .types("7");
    }
    person.sees(&["Nothing is left to judge."]);
}

#[test]
fn on_two_machines_three_people_judge_each_item_twice_and_all_come_back() {
    let project = project(
        12,
        "annotators = [\"ann\", \"bob\", \"cem\"]\noverlap = 2\nrepeat_share = 0",
    );
    let dir = project.path();
    let mut ann = sit_down("rome", dir, "ann");
    let mut bob = sit_down("oslo", dir, "bob");
    let share = |person: &mut Person| {
        let looks = person.sees(&["Prompt", "0/", "saved"]).looks();
        let total = looks.split("0/").nth(1).unwrap().split(' ').next().unwrap();
        total.parse::<usize>().unwrap()
    };
    let (anns, bobs) = (share(&mut ann), share(&mut bob));
    for done in 0..2 {
        ann.sees(&[&format!("{done}/{anns}")]).types("7");
        bob.sees(&[&format!("{done}/{bobs}")]).types("3");
    }
    // One goes home in good order, the other's machine loses its power.
    ann.sees(&[&format!("2/{anns}")]).types("q");
    assert!(ann.leaves().0.success());
    bob.sees(&[&format!("2/{bobs}"), "saved"]);
    assert!(bob.dies().contains(&format!("2/{bobs}")));
    let (before, mut ann) = (files(dir, "ann"), sit_down("oslo", dir, "ann"));
    let mut bob = sit_down("rome", dir, "bob");
    work(&mut ann, anns, 2);
    work(&mut bob, bobs, 2);
    let mut cem = sit_down("rome", dir, "cem");
    let cems = 24 - anns - bobs;
    cem.sees(&[&format!("0/{cems}")]);
    work(&mut cem, cems, 0);
    for mut person in [ann, bob, cem] {
        person.types("q");
        assert!(person.leaves().0.success());
    }
    let judged = judged(dir);
    assert_eq!(judged.len(), 12);
    assert!(
        judged
            .values()
            .all(|names| names.len() == 2 && names[0] != names[1]),
        "{judged:?}"
    );
    // Each session has written a file of its own.
    assert_eq!(
        (
            files(dir, "ann").len(),
            files(dir, "bob").len(),
            files(dir, "cem").len()
        ),
        (2, 2, 1)
    );
    assert!(before.is_subset(&files(dir, "ann")));
    assert_eq!(
        read_batch(&dir.join("samples/pairs.jsonl")).unwrap().len(),
        12
    );
}

#[test]
fn someone_who_is_not_on_the_roster_is_told_so() {
    let project = project(3, "annotators = [\"ann\", \"bob\"]");
    let (status, said) = sit_down("rome", project.path(), "zoe").leaves();
    assert_eq!(status.exit_code(), 1);
    assert!(
        said.contains("\"zoe\" is not on the roster of this project (ann, bob)"),
        "{said}"
    );
    assert!(!project.path().join("feedback").exists());
}

#[test]
fn programs_share_the_work_by_the_roster_when_they_are_on_it() {
    let names = ["sim:gold", "sim:gold:noise=0.1", "sim:gold:noise=0.2"];
    let project = project(
        60,
        &format!("annotators = {names:?}\noverlap = 1\nrepeat_share = 0"),
    );
    let start = |name: &&str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rlhf"));
        let arguments = ["label", "pairs.jsonl", "--annotator", name];
        command
            .args(arguments)
            .current_dir(project.path())
            .spawn()
            .unwrap()
    };
    // All at once, and all bring the same file.
    let children: Vec<_> = names.iter().map(start).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let judged = judged(project.path());
    assert_eq!(judged.len(), 60);
    assert!(judged.values().all(|names| names.len() == 1), "{judged:?}");
}

#[test]
fn a_session_that_is_asked_saves_ends_and_yields() {
    let project = project(3, "");
    let dir = project.path();
    let mut first = sit_down("rome", dir, "mia");
    first.sees(&["0/3"]).types("7").sees(&["1/3", "saved"]);
    let mut request = Request::leave(&dir.join("feedback/mia")).unwrap();
    while first.child.try_wait().unwrap().is_none() {
        request.renew().unwrap();
        thread::yield_now();
    }
    let (status, farewell) = first.leaves();
    assert!(
        status.success() && farewell.contains("1 judged"),
        "{farewell}"
    );
    let kinds = || {
        let history = load(&dir.join("feedback"), "mia").unwrap();
        history
            .events()
            .iter()
            .map(|event| event.kind)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        kinds(),
        [Kind::SessionStart, Kind::Judgement, Kind::SessionEnd]
    );
    let mut second = sit_down("oslo", dir, "mia");
    second.sees(&["1/3"]).types("q");
    assert!(second.leaves().0.success());
    assert_eq!(kinds().len(), 3);
}

/// What the header says is saved: the number before `/N`.
fn on_screen(screen: &str, total: usize) -> Option<usize> {
    let (before, _) = screen.split_once(&format!("/{total} "))?;
    before.rsplit(' ').next()?.parse().ok()
}

/// 20 kills; `RLHF_TEST_KILLS=200 cargo test kill_minus_nine` makes it 200.
#[test]
fn what_was_called_saved_survives_kill_minus_nine_and_the_next_start_resumes() {
    let kills: usize = std::env::var("RLHF_TEST_KILLS").map_or(20, |n| n.parse().unwrap());
    let total = 100 + 10 * kills;
    let project = project(total, "repeat_share = 0");
    let dir = project.path();
    let mut stored = 0;
    let mut next = "question ".to_owned();
    for kill in 0..kills {
        let mut mia = sit_down("rome", dir, "mia");
        // The next start shows the pair that comes next; before the first, any will do.
        mia.sees(&[&format!("{stored}/{total}"), &next, "saved"]);
        // A few in good order, then a burst that the kill interrupts somewhere.
        for n in 0..kill % 4 {
            mia.types("7")
                .sees(&[&format!("{}/{total}", stored + n + 1)]);
        }
        mia.types(&"37b5".repeat(kill % 9));
        let last = mia.dies();
        let shown = on_screen(&last, total).unwrap_or(0);
        let history = load(&dir.join("feedback"), "mia").unwrap();
        assert!(
            history.judged() >= shown.max(stored + kill % 4),
            "kill {kill}: {shown}\n{last}"
        );
        let judged = history
            .all_effective()
            .filter_map(|event| event.item.as_deref().map(str::to_owned));
        let judged: BTreeSet<String> = judged.collect();
        assert_eq!(judged.len(), history.judged(), "kill {kill}: doubled");
        stored = history.judged();
        next = next_question(dir, &judged);
    }
    assert!(stored >= kills);
}

/// The question that comes next, by the queue's own order.
fn next_question(project: &Path, judged: &BTreeSet<String>) -> String {
    use rlhf::feedback::queue::{Plan, Queue};
    let items = read_batch(&project.join("samples/pairs.jsonl")).unwrap();
    let history = load(&project.join("feedback"), "mia").unwrap();
    let task = Queue::new(&items, &history, &Plan::seeded(42))
        .current()
        .unwrap();
    let item = &items[task.index];
    assert!(!judged.contains(&item.id));
    item.prompt.text.plain()
}

/// The question on the screen that is not among the `known` ones, once both answers are there too.
fn new_question(screen: &str, known: &BTreeSet<usize>) -> Option<usize> {
    let is_whole = |n: &usize| {
        let texts = [
            format!("question {n}."),
            format!("one {n} "),
            format!("two {n} "),
        ];
        !known.contains(n) && texts.iter().all(|text| screen.contains(text))
    };
    (0..6).find(is_whole)
}

/// The next pair, and whether `one` stands on the left.
fn next_pair(
    person: &mut Person,
    known: &mut BTreeSet<usize>,
    count: &str,
) -> (String, usize, bool) {
    let is_there = |screen: &str| screen.contains(count) && new_question(screen, known).is_some();
    let screen = person.reads(is_there);
    let question = new_question(&screen, known).unwrap();
    known.insert(question);
    let place = |answer: &str| screen.find(&format!("{answer} {question} ")).unwrap();
    let one_is_left = place("one") < place("two");
    (screen, question, one_is_left)
}

#[test]
fn a_moderator_settles_blind_what_two_people_disagree_on() {
    let project = project(6, "repeat_share = 0");
    let dir = project.path();
    for annotator in ["ann", "bob"] {
        let mut person = sit_down("rome", dir, annotator);
        let mut known = BTreeSet::new();
        for done in 0..6 {
            let (_, question, one_is_left) =
                next_pair(&mut person, &mut known, &format!("{done}/6"));
            // Ann prefers `one`, and so does Bob except on the first three questions.
            let other = annotator == "bob" && question < 3;
            person.types(if one_is_left == other { "8" } else { "2" });
        }
        person.sees(&["Nothing is left to judge."]).types("q");
        assert!(person.leaves().0.success());
    }
    let arguments = ["label", "--adjudicate", "--annotator", "zoe"];
    let mut zoe = Person::start(dir, &arguments, 120, 36);
    zoe.sees(&["adjudicate  round 0", "Your judgement settles each"]);
    let mut known = BTreeSet::new();
    for done in 0..3 {
        let (screen, question, one_is_left) = next_pair(&mut zoe, &mut known, &format!("{done}/3"));
        assert!(question < 3 && !screen.contains("bob"), "{screen}");
        assert!(!screen.contains("ann "), "{screen}");
        zoe.types(if one_is_left { "1" } else { "9" });
    }
    zoe.sees(&["Nothing is left to judge."]).types("q");
    let (status, said) = zoe.leaves();
    assert!(status.success());
    assert!(
        said.contains("ann: 3 of 3 settled judgements upheld"),
        "{said}"
    );
    assert!(
        said.contains("bob: 0 of 3 settled judgements upheld"),
        "{said}"
    );

    let labels = Labels::read(&Folders::of(dir)).unwrap();
    assert_eq!(labels.labels.len(), 15);
    assert_eq!(
        labels.labels.iter().filter(|label| label.settled).count(),
        6
    );
    let again = Person::start(dir, &arguments, 120, 36).leaves().1;
    assert!(again.contains("nothing to settle"), "{again}");

    let arguments = ["label", "--review", "bob", "--annotator", "zoe"];
    let mut review = Person::start(dir, &arguments, 120, 36);
    review.sees(&["review of bob", "0/3", "Prompt"]).types("q");
    assert!(review.leaves().0.success());
}

#[test]
fn live_pairs_appear_when_both_answers_are_on_disk() {
    let project = project(1, "repeat_share = 0\n[sample]\nmax_new_tokens = 8");
    let dir = project.path();
    prompts(dir, 5);
    let arguments = [&LIVE[..], &["--ahead", "1"]].concat();
    let mut mia = Person::start(dir, &arguments, 120, 36);
    mia.sees(&["Name a colour", "A ─", "B ─", "saved"])
        .types("7");
    mia.sees(&["last: B slightly better"]).types("q");
    let (status, farewell) = mia.leaves();
    assert!(status.success(), "{farewell}");
    let made = read_batch(&dir.join("samples/live-mia.jsonl")).unwrap();
    assert!((1..=5).contains(&made.len()));
    assert!(made.iter().all(|item| item.candidates.len() == 2));
    let labels = Labels::read(&Folders::of(dir)).unwrap();
    assert_eq!(
        (labels.labels.len(), labels.item(&labels.labels[0])),
        (1, &made[0])
    );

    let mut again = Person::start(dir, &arguments, 120, 36);
    for done in 1..5 {
        again
            .sees(&[&format!(" {done}/"), "Name a colour", "saved"])
            .types("3");
    }
    again
        .sees(&["Nothing is left to judge.", "5 of 5"])
        .types("q");
    assert!(again.leaves().0.success());
    let made = read_batch(&dir.join("samples/live-mia.jsonl")).unwrap();
    let prompts: BTreeSet<_> = made.iter().map(|item| &item.prompt.id).collect();
    assert_eq!((made.len(), prompts.len()), (5, 5));
}

#[test]
fn two_people_who_judge_live_in_one_batch_get_the_same_pairs_and_write_each_once() {
    let project = project(1, "repeat_share = 0\n[sample]\nmax_new_tokens = 8");
    let dir = project.path();
    prompts(dir, 4);
    // The first of them twice: it is one pair all the same.
    let rows = fs::read_to_string(dir.join("prompts.jsonl")).unwrap();
    let first = rows.lines().next().unwrap();
    fs::write(dir.join("prompts.jsonl"), format!("{rows}{first}\n")).unwrap();
    let start = |host, annotator| {
        let mut arguments = [&LIVE[..], &["--batch", "shared"]].concat();
        arguments[9] = annotator;
        Person::start_on(host, dir, &arguments, 120, 36)
    };
    let mut people = [start("rome", "ann"), start("oslo", "bob")];
    for done in 0..4 {
        for person in &mut people {
            person
                .sees(&[&format!(" {done}/"), "Name a colour", "saved"])
                .types("3");
        }
    }
    for mut person in people {
        person
            .sees(&["Nothing is left to judge.", "4 of 4"])
            .types("q");
        assert!(person.leaves().0.success());
    }
    let made = read_batch(&dir.join("samples/shared.jsonl")).unwrap();
    let prompts: BTreeSet<_> = made.iter().map(|item| &item.prompt.id).collect();
    assert_eq!((made.len(), prompts.len()), (4, 4));
    let judged = judged(dir);
    assert_eq!(judged.len(), 4);
    assert!(
        judged.values().all(|names| *names == ["ann", "bob"]),
        "{judged:?}"
    );
}

#[test]
fn a_live_batch_is_a_file_in_samples_and_none_of_known_answers() {
    let project = project(1, "");
    let dir = project.path();
    prompts(dir, 1);
    let refused = |batch: &str| {
        let arguments = [&LIVE[..], &["--batch", batch]].concat();
        let (status, said) = Person::start(dir, &arguments, 120, 36).leaves();
        assert_eq!(status.exit_code(), 1);
        said
    };
    let said = refused("../mine");
    assert!(
        said.contains("\"../mine\" is not a valid batch name"),
        "{said}"
    );
    assert!(refused("gold-care").contains("kept for items with a known answer"));
    assert!(!dir.join("mine.jsonl").exists() && !dir.join("samples").exists());
}

#[test]
fn wrong_combinations_are_refused_with_the_reason() {
    let project = project(2, "");
    let error = |arguments: &[&str]| {
        let output = run(project.path(), arguments);
        assert!(!output.status.success(), "{arguments:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    let sim = error(&["--adjudicate", "--annotator", "sim:gold"]);
    assert!(
        sim.contains("a simulated annotator cannot adjudicate"),
        "{sim}"
    );
    assert!(error(&["--live"]).contains("--prompts"));
    assert!(error(&["--review", "bob", "--adjudicate"]).contains("cannot be used with"));
    let share = error(&[
        "pairs.jsonl",
        "--gold-share",
        "2",
        "--annotator",
        "sim:gold",
    ]);
    assert!(
        share.contains("label.gold_share") || share.contains("gold-share"),
        "{share}"
    );
    fs::write(
        project.path().join("s.jsonl"),
        "{\"item\":\"x\",\"score\":\"high\"}\n",
    )
    .unwrap();
    let arguments = [
        "pairs.jsonl",
        "--order",
        "informative",
        "--scores",
        "s.jsonl",
    ];
    let scores = error(&[&arguments[..], &["--annotator", "sim:gold"]].concat());
    assert!(
        scores.contains("s.jsonl:1: invalid type: string"),
        "{scores}"
    );
}
