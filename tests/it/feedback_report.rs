//! What a project's labels amount to: counts, win rates, pairs for training, and the commands that
//! print them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rlhf::feedback::check::check;
use rlhf::feedback::item::{Candidate, Item, Prompt, PromptText, Selector, append_batch};
use rlhf::feedback::labels::{Folders, Labels};
use rlhf::feedback::pairs::{Dropped, PreferencePair, of_project, read};
use rlhf::feedback::record::{Display, Layout, Origin, Purpose, SIM_PREFIX, Scale, Time};
use rlhf::feedback::report::{Expected, Report, Share};
use rlhf::feedback::store::decision::{Decision, Shown, Verdict};
use rlhf::feedback::store::session::Session;
use rlhf::feedback::store::stamps::Stamps;
use serde_json::Value;
use ulid::Ulid;

use crate::cli_support::rlhf;

/// Policy `before` answers shortly, `after` at length.
fn item(n: usize) -> Item {
    let answers = [("short", "before"), ("rather longer", "after")];
    let answers = answers.map(|(text, policy)| (format!("{text} {n}"), policy));
    item_of(&format!("question {n}"), &answers)
}

fn item_of(prompt: &str, answers: &[(String, &str)]) -> Item {
    let prompt = Prompt::new(None, PromptText::Text(prompt.into())).unwrap();
    let candidate = |(text, policy): &(String, &str)| Candidate::new(text.clone(), *policy);
    let selector = Selector {
        name: "all".into(),
        score: None,
        seed: 0,
    };
    let candidates = answers.iter().map(candidate).collect();
    Item::new("b1", 0, prompt, candidates, selector).unwrap()
}

/// One annotator at a screen, or one that only looks like it.
struct Annotator {
    name: &'static str,
    session: Session,
}

impl Annotator {
    fn new(dir: &Path, name: &'static str) -> Self {
        let session = Session::open(&dir.join("feedback"), name, Stamps::system());
        let session = session.unwrap();
        Self { name, session }
    }

    fn says(&mut self, item: &Item, verdict: Verdict, left: usize, active_ms: u64) -> Ulid {
        self.decides(item, Decision::new(verdict, Scale::Binary), left, active_ms)
    }

    fn prefers(&mut self, item: &Item, winner: usize, left: usize, active_ms: u64) -> Ulid {
        let verdict = Verdict::Prefer {
            winner: item.candidates[winner].id.clone(),
            strength: None,
        };
        self.says(item, verdict, left, active_ms)
    }

    fn decides(&mut self, item: &Item, decision: Decision, left: usize, active_ms: u64) -> Ulid {
        let simulated = self.name.starts_with(SIM_PREFIX);
        let origin = match (simulated, decision.adjudicates.is_empty()) {
            (true, _) => Origin::Sim,
            (_, false) => Origin::Adjudication,
            _ => Origin::Screen,
        };
        let shown = shown(item, origin, simulated, left, active_ms);
        self.session.judge(&shown, decision).unwrap()
    }

    fn skips(&mut self, item: &Item) {
        let shown = shown(item, Origin::Screen, false, 0, 5);
        self.session.skip(&shown, None).unwrap();
    }
}

fn shown(item: &Item, origin: Origin, simulated: bool, left: usize, active_ms: u64) -> Shown<'_> {
    let mut order: Vec<String> = item.candidates.iter().map(|c| c.id.clone()).collect();
    order.swap(0, left);
    let display = Display {
        order,
        order_seed: 0,
        blind: true,
        size: (!simulated).then_some([120, 36]),
        layout: Layout::Split,
        viewed: BTreeMap::new(),
    };
    let time = Time {
        shown_ms: active_ms,
        active_ms,
        ..Time::default()
    };
    Shown {
        item,
        slot: 0,
        purpose: Purpose::Train,
        origin,
        display: Some(display),
        time: (!simulated).then_some(time),
    }
}

/// Two people and a program; `after` wins 4 of 6 for the people and never for the program.
fn project() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let items: Vec<Item> = (0..9).map(item).collect();
    append_batch(&dir.path().join("samples"), "b1", &items).unwrap();
    let mut mia = Annotator::new(dir.path(), "mia");
    mia.prefers(&items[0], 1, 1, 1000);
    mia.prefers(&items[1], 1, 1, 2000);
    mia.prefers(&items[2], 1, 0, 3000);
    mia.prefers(&items[3], 0, 0, 4000);
    mia.says(&items[4], Verdict::Tie, 0, 5000);
    mia.says(&items[5], Verdict::BothBad, 0, 6000);
    mia.says(&items[6], Verdict::CannotJudge, 0, 90_000);
    mia.skips(&items[7]);
    let mut tom = Annotator::new(dir.path(), "tom");
    tom.prefers(&items[0], 1, 1, 800);
    tom.prefers(&items[1], 0, 1, 900);
    tom.says(&items[4], Verdict::Tie, 0, 1000);
    let mut sim = Annotator::new(dir.path(), "sim:gold");
    items[..3].iter().for_each(|item| {
        sim.prefers(item, 0, 0, 0);
    });
    for annotator in [mia, tom, sim] {
        annotator.session.close().unwrap();
    }
    dir
}

fn labels(dir: &Path) -> Labels {
    Labels::read(&Folders::of(dir)).unwrap()
}

fn near(share: Option<Share>, n: usize, expected: [f64; 3]) {
    let share = share.unwrap();
    assert_eq!(share.n, n);
    for (found, expected) in [share.share, share.low, share.high].iter().zip(expected) {
        assert!((found - expected).abs() < 5e-5, "{share:?}");
    }
}

#[test]
fn people_and_programs_are_counted_apart() {
    let dir = project();
    let report = Report::new(&labels(dir.path()), &Expected::new());
    let judged = [&report.people, &report.simulated].map(|group| group.judged_items);
    assert_eq!((report.items, judged), (9, [7, 3]));
    let people = &report.people.tally;
    let outcomes = [
        people.prefer,
        people.tie,
        people.both_bad,
        people.cannot_judge,
    ];
    assert_eq!(
        (people.judgements, outcomes, people.skipped),
        (10, [6, 2, 1, 1], 1)
    );
    assert_eq!(
        (
            report.simulated.tally.judgements,
            report.simulated.tally.prefer
        ),
        (3, 3)
    );
    let names: Vec<_> = report.annotators.keys().map(String::as_str).collect();
    assert_eq!(names, ["mia", "sim:gold", "tom"]);
    assert_eq!(report.annotators["mia"].tally.judgements, 7);
    assert_eq!(
        report.annotators["mia"].tally.median_active_ms,
        Some(4000.0)
    );
    assert_eq!(people.median_active_ms, Some(2500.0));
    assert_eq!(report.simulated.tally.median_active_ms, None);
}

#[test]
fn win_rates_sides_lengths_and_agreement() {
    let dir = project();
    let report = Report::new(&labels(dir.path()), &Expected::new());
    let [pair] = report.people.policies() else {
        panic!("{:?}", report.people.policies())
    };
    assert_eq!(
        (pair.policy.as_str(), pair.against.as_str()),
        ("after", "before")
    );
    let counts = [pair.wins, pair.losses, pair.ties, pair.both_bad];
    assert_eq!(counts, [4, 2, 2, 1]);
    near(pair.win_rate, 6, [0.66667, 0.29999, 0.90323]);
    near(pair.ties_as_half, 8, [0.625, 0.30574, 0.86316]);
    // The winner stood on the left for all of mia's but the third, and for tom's first.
    near(report.people.tally.left, 6, [0.66667, 0.29999, 0.90323]);
    assert_eq!(report.simulated.tally.left, None);
    assert_eq!(report.people.bias.longer, Some(4.0 / 6.0));
    assert_eq!(report.simulated.policies()[0].losses, 3);
    // Items 0, 1 and 4: [after, after], [after, before], [tie, tie].
    let agreement = report.people.agreement.as_ref().unwrap();
    assert_eq!((agreement.units, agreement.raw), (3, 2.0 / 3.0));
    assert!((agreement.nominal.unwrap().alpha - 6.0 / 11.0).abs() < 1e-12);
    assert_eq!(agreement.ordinal, None);
    // Of the three: one of [after, tie], [after, before] twice; κ = 1 − (1/3)/(1 − (2/9 + 1/9 + 0)).
    let [pair] = &agreement.pairs[..] else {
        panic!("{:?}", agreement.pairs)
    };
    assert_eq!(pair.annotators, ["mia", "tom"]);
    assert!((pair.kappa.unwrap().kappa - 0.5).abs() < 1e-12);
}

#[test]
fn the_pairs_of_a_project_carry_who_judged_what() {
    let dir = project();
    let pairs = read(dir.path()).unwrap();
    assert_eq!(read(&dir.path().join("feedback")).unwrap(), pairs);
    let counts = (pairs.len(), pairs.iter().filter(|pair| pair.tie).count());
    // Three of a program's are about items that people judged.
    assert_eq!(counts, (8, 2));
    let first = &pairs[0];
    assert_eq!(first.prompt, PromptText::Text("question 0".into()));
    assert_eq!(
        (&*first.chosen, &*first.rejected),
        ("rather longer 0", "short 0")
    );
    assert_eq!(first.annotator.as_deref(), Some("mia"));
    assert_eq!(first.source.as_deref(), Some("b1"));
    assert!(Ulid::from_string(&first.origin).is_ok());
    let (tom, dropped) = of_project(&labels(dir.path()), &["tom".into()]);
    assert_eq!((tom.len(), dropped), (3, Dropped::default()));
}

#[test]
fn a_program_counts_where_no_person_judged_and_alone() {
    let dir = project();
    let mut sim = Annotator::new(dir.path(), "sim:gold:noise=0.25");
    // Both bad for mia, not to be judged, skipped, and seen by nobody.
    for n in 5..9 {
        sim.prefers(&item(n), 1, 0, 0);
    }
    sim.session.close().unwrap();
    let by_programs = |pairs: &[PreferencePair]| {
        let prompt = |pair: &PreferencePair| pair.prompt.plain();
        let is_program =
            |pair: &&PreferencePair| pair.annotator.as_ref().unwrap().starts_with("sim:");
        pairs
            .iter()
            .filter(is_program)
            .map(prompt)
            .collect::<Vec<_>>()
    };
    let pairs = read(dir.path()).unwrap();
    assert_eq!(pairs.len(), 8 + 3);
    assert_eq!(
        by_programs(&pairs),
        ["question 6", "question 7", "question 8"]
    );
    // Without people it is as if there had never been any.
    for person in ["mia", "tom"] {
        fs::remove_dir_all(dir.path().join("feedback").join(person)).unwrap();
    }
    assert_eq!(by_programs(&read(dir.path()).unwrap()).len(), 3 + 4);
    let named = [String::from("sim:gold")];
    assert_eq!(of_project(&labels(dir.path()), &named).0.len(), 3);
}

#[test]
fn an_adjudication_replaces_what_it_settles() {
    let dir = project();
    let before = labels(dir.path());
    let about_one = |labels: &Labels| {
        let labels = labels
            .labels
            .iter()
            .filter(|label| label.record.item == Some(item(1).id) && !label.record.is_simulated());
        labels.map(|label| label.record.id).collect::<Vec<_>>()
    };
    let mut eve = Annotator::new(dir.path(), "eve");
    let verdict = Verdict::Prefer {
        winner: item(1).candidates[0].id.clone(),
        strength: None,
    };
    let mut decision = Decision::new(verdict, Scale::Binary);
    decision.adjudicates = about_one(&before);
    assert_eq!(decision.adjudicates.len(), 2);
    eve.decides(&item(1), decision, 0, 1);
    eve.session.close().unwrap();
    let (pairs, dropped) = of_project(&labels(dir.path()), &[]);
    assert_eq!((pairs.len(), dropped.settled), (7, 2));
}

#[test]
fn a_ranking_is_a_pair_for_every_two_candidates() {
    let dir = tempfile::tempdir().unwrap();
    let answers = ["a", "b", "c"].map(|text| (text.to_owned(), "p"));
    let item = item_of("rank", &answers);
    append_batch(
        &dir.path().join("samples"),
        "b1",
        std::slice::from_ref(&item),
    )
    .unwrap();
    let id = |index: usize| item.candidates[index].id.clone();
    let mut mia = Annotator::new(dir.path(), "mia");
    let ranking = Verdict::Ranking(vec![vec![id(2)], vec![id(0), id(1)]]);
    mia.decides(&item, Decision::new(ranking, Scale::KWay), 0, 1);
    mia.session.close().unwrap();
    let pairs = read(dir.path()).unwrap();
    let texts: Vec<_> = pairs
        .iter()
        .map(|pair| (&*pair.chosen, &*pair.rejected, pair.tie))
        .collect();
    assert_eq!(
        texts,
        [("c", "a", false), ("c", "b", false), ("a", "b", true)]
    );
}

#[test]
fn judgements_without_their_text_are_an_error_by_file_and_line() {
    let dir = project();
    let samples = dir.path().join("samples/b1.jsonl");
    let text = fs::read_to_string(&samples).unwrap();
    let rest: String = text.split_inclusive('\n').skip(1).collect();
    fs::write(&samples, rest).unwrap();
    let error = read(dir.path()).unwrap_err().to_string();
    let reason = format!(".jsonl:2: item {} is not in samples/b1.jsonl", item(0).id);
    assert!(
        error.contains("/mia/") && error.contains(&reason),
        "{error}"
    );
    let checked = check(&Folders::of(dir.path()));
    assert_eq!((checked.items, checked.judgements), (8, 13));
    assert_eq!(checked.problems, [error]);
}

#[test]
fn a_folder_without_labels_says_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let error = read(dir.path()).unwrap_err().to_string();
    assert!(error.ends_with("no preference pairs (none dropped); judge some with `rlhf label`"));
}

#[test]
fn the_commands_say_what_the_library_found() {
    let dir = project();
    let (code, out, _) = rlhf(dir.path(), &["feedback", "stats", "--json"]);
    let printed: Value = serde_json::from_str(&out).unwrap();
    let report = serde_json::to_value(Report::new(&labels(dir.path()), &Expected::new())).unwrap();
    assert_eq!(
        (code, printed["people"]["policies"][0]["wins"].as_u64()),
        (0, Some(4))
    );
    assert_eq!(
        printed["annotators"]["tom"]["judgements"],
        report["annotators"]["tom"]["judgements"]
    );
    let (_, out, _) = rlhf(dir.path(), &["feedback", "stats"]);
    assert!(
        out.contains("after against before: 4 won, 2 lost, 2 ties, 1 both bad"),
        "{out}"
    );
    assert!(
        out.contains("wins among decisive 66.7 % of 6 [30.0 %, 90.3 %]"),
        "{out}"
    );
    let (code, out, err) = rlhf(dir.path(), &["feedback", "export", "--format", "trl"]);
    assert_eq!((code, out.lines().count()), (0, 9));
    let summary = "9 rows written; dropped: 2 ties, 1 both bad, 1 cannot judge, 1 skipped.";
    assert!(
        err.contains(summary) && err.contains("3 judgements were made by simulated"),
        "{err}"
    );
    let arguments = [
        "feedback",
        "export",
        "--format",
        "trl",
        "--annotator",
        "eve",
    ];
    let (code, _, err) = rlhf(dir.path(), &arguments);
    assert!(
        code == 1 && err.contains("has no judgements by \"eve\""),
        "{err}"
    );
}

#[test]
fn people_decide_alone_where_they_judged() {
    let dir = project();
    let arguments = [
        "feedback",
        "export",
        "--format",
        "trl",
        "--aggregate",
        "majority",
        "--out",
        "m.jsonl",
        "--json",
    ];
    let (code, out, err) = rlhf(dir.path(), &arguments);
    assert_eq!(code, 0, "{err}");
    let exported: Value = serde_json::from_str(&out).unwrap();
    // The program prefers `before` three times, which would decide item 1 and split item 2.
    let dropped = &exported["dropped"];
    let counts = ["no_majority", "ties", "both_bad"].map(|why| dropped[why].as_u64());
    assert_eq!(counts, [Some(1), Some(1), Some(1)], "{out}");
    assert_eq!(exported["counted"], "people");
    assert_eq!(exported["filtered_out"], 3);
    let rows = fs::read_to_string(dir.path().join("m.jsonl")).unwrap();
    let chosen = rows.lines().map(|row| {
        let row: Value = serde_json::from_str(row).unwrap();
        row["chosen"].as_str().unwrap().to_owned()
    });
    let chosen: Vec<String> = chosen.collect();
    assert_eq!(chosen, ["rather longer 0", "rather longer 2", "short 3"]);
    // Asked for, programs decide alone.
    let (code, _, err) = rlhf(
        dir.path(),
        &[&arguments[..], &["--simulated-only"]].concat(),
    );
    assert_eq!(code, 0, "{err}");
    let rows = fs::read_to_string(dir.path().join("m.jsonl")).unwrap();
    assert_eq!(rows.matches("\"chosen\":\"short").count(), 3);
}

#[test]
fn statistics_without_the_texts_are_the_same() {
    let dir = project();
    let folders = Folders::of(dir.path());
    let lean = Labels::without_texts(&folders).unwrap();
    assert!(
        lean.items
            .iter()
            .all(|item| item.candidates[0].text.is_empty())
    );
    assert_eq!(lean.lengths.as_ref().unwrap()[3], [7, 15]);
    let full = Report::new(&labels(dir.path()), &Expected::new());
    assert_eq!(Report::new(&lean, &Expected::new()), full);
    assert_eq!(Report::read(&folders).unwrap(), full);
    // Every promise is checked all the same.
    let samples = dir.path().join("samples/b1.jsonl");
    let text = fs::read_to_string(&samples).unwrap();
    fs::write(
        &samples,
        text.replacen("rather longer 4", "rather louder 4", 1),
    )
    .unwrap();
    let error = Report::read(&folders).unwrap_err().to_string();
    assert!(
        error.contains("b1.jsonl:5: the SHA-256 of candidate"),
        "{error}"
    );
}

#[test]
fn a_win_rate_in_question_is_answered_or_refused() {
    let dir = project();
    let (code, out, _) = rlhf(dir.path(), &["feedback", "stats", "--win-rate", "0.58"]);
    assert!(
        code == 0 && out.contains("58 %: 305") && out.contains("58 % 299 more"),
        "{out}"
    );
    let (code, _, err) = rlhf(dir.path(), &["feedback", "stats", "--win-rate", "58"]);
    assert!(code == 2 && err.contains("a share from 0 to 1"), "{err}");
}

#[test]
fn the_check_names_damage_and_fails() {
    let dir = project();
    let (code, out, _) = rlhf(dir.path(), &["feedback", "check"]);
    assert!(code == 0 && out.contains("Everything is sound."), "{out}");
    let folder = fs::read_dir(dir.path().join("feedback/tom")).unwrap();
    let file = folder.map(|entry| entry.unwrap().path());
    let file = file
        .into_iter()
        .find(|path| path.extension().is_some())
        .unwrap();
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replacen("judgement", "judgemend", 1)).unwrap();
    let (code, out, _) = rlhf(dir.path(), &["feedback", "check", "--json"]);
    let checked: Value = serde_json::from_str(&out).unwrap();
    let problem = checked["problems"][0].as_str().unwrap();
    assert!(
        code == 1 && problem.contains(".jsonl:2: checksum mismatch"),
        "{problem}"
    );
    assert_eq!(checked["judgements"], 10);
    let (code, _, err) = rlhf(dir.path(), &["feedback", "check", "--dir", "nowhere"]);
    assert!(
        code == 1 && err.contains("nowhere has neither samples/ nor feedback/"),
        "{err}"
    );
}

#[test]
fn an_import_can_be_exported_again() {
    let dir = tempfile::tempdir().unwrap();
    let row = "{\"prompt\":\"p\",\"chosen\":\"a\",\"rejected\":\"b\"}\n";
    fs::write(
        dir.path().join("my pairs.jsonl"),
        format!("{row}nonsense\n"),
    )
    .unwrap();
    let import = ["feedback", "import", "my pairs.jsonl", "--json"];
    let (code, _, err) = rlhf(dir.path(), &import);
    assert!(
        code == 1 && err.contains("my pairs.jsonl:2: expected ident"),
        "{err}"
    );
    let (code, out, err) = rlhf(dir.path(), &[&import[..], &["--skip-bad"]].concat());
    let imported: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, imported["judgements"].as_u64()), (0, Some(1)));
    assert!(err.starts_with("skipped: my pairs.jsonl:2: "), "{err}");
    assert!(dir.path().join("samples/my-pairs.jsonl").exists());
    let export = [
        "feedback",
        "export",
        "--format",
        "trl",
        "--out",
        "back.jsonl",
        "--json",
    ];
    let (code, out, _) = rlhf(dir.path(), &export);
    assert!(
        code == 0 && out.starts_with("{\"rows\":1,\"judgements\":1,\"simulated\":0,"),
        "{out}"
    );
    assert_eq!(
        fs::read_to_string(dir.path().join("back.jsonl")).unwrap(),
        row
    );
}
