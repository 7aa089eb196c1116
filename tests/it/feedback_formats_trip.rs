//! Round trips: export, then import, gives the same effective labels, for every format that is
//! written, up to what the format can carry as it counts itself.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use rlhf::feedback::export::{Exported, Options, export, write_file};
use rlhf::feedback::formats::judged::message;
use rlhf::feedback::formats::native::judged;
use rlhf::feedback::formats::{Detail, OutFormat};
use rlhf::feedback::import::{Target, import};
use rlhf::feedback::item::{Candidate, Item, Prompt, PromptText, Selector, append_batch};
use rlhf::feedback::labels::{Folders, Labels};
use rlhf::feedback::ledger::Ledger;
use rlhf::feedback::record::{Origin, Purpose, Scale, Time};
use rlhf::feedback::store::decision::{Decision, Shown, Verdict};
use rlhf::feedback::store::stamps::Stamps;

use crate::feedback_import::open_bulk;

/// What somebody says of two or three answers.
#[derive(Debug, Clone)]
enum Opinion {
    Prefer(usize, Option<u8>),
    Ranking(Vec<usize>),
    Tie,
    BothBad,
    CannotJudge,
}

/// The prompts that formats tell apart.
#[derive(Debug, Clone, Copy)]
enum Prompts {
    Text,
    Transcript,
    Chat,
    SystemChat,
}

#[derive(Debug, Clone)]
struct Case {
    kind: Prompts,
    prompt: String,
    answers: Vec<String>,
    opinions: Vec<(usize, Opinion)>,
}

const PEOPLE: [&str; 3] = ["mia", "tom", "eve"];

fn opinion() -> impl Strategy<Value = Opinion> {
    prop_oneof![
        4 => (0..2_usize, proptest::option::of(1..=4_u8)).prop_map(|(w, s)| Opinion::Prefer(w, s)),
        2 => proptest::collection::vec(0..3_usize, 3).prop_map(Opinion::Ranking),
        1 => Just(Opinion::Tie),
        1 => Just(Opinion::BothBad),
        1 => Just(Opinion::CannotJudge),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let answer = "( ?[a-zé日]{1,6}|\\PC{1,8})";
    let differ = |answers: &Vec<String>| {
        let words: Vec<Vec<&str>> = answers
            .iter()
            .map(|a| a.split_whitespace().collect())
            .collect();
        (1..words.len()).all(|i| !words[..i].contains(&words[i]))
    };
    let answers = proptest::collection::vec(answer, 2..=3).prop_filter("they differ", differ);
    let opinions = proptest::collection::vec((0..3_usize, opinion()), 1..4);
    let kinds = [
        Prompts::Text,
        Prompts::Transcript,
        Prompts::Chat,
        Prompts::SystemChat,
    ];
    let kind = proptest::sample::select(kinds.to_vec());
    (kind, "\\PC{0,10}[a-z]", answers, opinions).prop_map(|(kind, prompt, answers, opinions)| {
        Case {
            kind,
            prompt,
            answers,
            opinions,
        }
    })
}

fn transcript(asked: &str) -> String {
    format!("\n\nHuman: {asked}\n\nAssistant:")
}

fn item(case: &Case, round: usize) -> Item {
    // Numbered, so that no two cases are the same item.
    let asked = format!("{round} {}", case.prompt);
    let prompt = match case.kind {
        Prompts::Text => PromptText::Text(asked),
        Prompts::Transcript => PromptText::Text(transcript(&asked)),
        Prompts::Chat => PromptText::Messages(vec![message("user", asked)]),
        Prompts::SystemChat => {
            PromptText::Messages(vec![message("system", "s"), message("user", asked)])
        }
    };
    let mut candidates: Vec<_> = case
        .answers
        .iter()
        .map(|a| Candidate::new(a.clone(), "p"))
        .collect();
    candidates.sort_by(|a, b| a.id.cmp(&b.id));
    let selector = Selector {
        name: "all".into(),
        score: None,
        seed: 0,
    };
    Item::new(
        "b",
        0,
        Prompt::new(None, prompt).unwrap(),
        candidates,
        selector,
    )
    .unwrap()
}

fn decision(item: &Item, opinion: &Opinion) -> Decision {
    let id = |index: usize| item.candidates[index].id.clone();
    let (verdict, scale) = match opinion {
        Opinion::Prefer(winner, strength) => {
            let scale = strength.map_or(Scale::Binary, |_| Scale::Nine);
            let (winner, strength) = (id(*winner), *strength);
            (Verdict::Prefer { winner, strength }, scale)
        }
        Opinion::Ranking(ranks) => {
            let mut groups: BTreeMap<usize, Vec<String>> = BTreeMap::new();
            for (candidate, rank) in item.candidates.iter().zip(ranks) {
                groups.entry(*rank).or_default().push(candidate.id.clone());
            }
            (
                Verdict::Ranking(groups.into_values().collect()),
                Scale::KWay,
            )
        }
        Opinion::Tie => (Verdict::Tie, Scale::Binary),
        Opinion::BothBad => (Verdict::BothBad, Scale::Binary),
        Opinion::CannotJudge => (Verdict::CannotJudge, Scale::Binary),
    };
    Decision::new(verdict, scale)
}

/// A project with these judgements.
fn project(cases: &[Case]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let items: Vec<Item> = cases
        .iter()
        .enumerate()
        .map(|(n, case)| item(case, n))
        .collect();
    append_batch(&dir.path().join("samples"), "b", &items).unwrap();
    for (index, name) in PEOPLE.into_iter().enumerate() {
        let mut bulk = open_bulk(&dir.path().join("feedback"), name);
        for (case, item) in cases.iter().zip(&items) {
            let own = case.opinions.iter().filter(|(who, _)| *who == index);
            for (slot, (_, opinion)) in own.enumerate() {
                let shown = Shown {
                    item,
                    slot: slot as u8,
                    purpose: Purpose::Train,
                    origin: Origin::Import,
                    display: None,
                    time: Some(Time {
                        active_ms: 1500,
                        shown_ms: 1500,
                        ..Time::default()
                    }),
                };
                bulk.judge(&shown, decision(item, opinion)).unwrap();
            }
        }
        bulk.close().unwrap();
    }
    dir
}

/// Prompt, better, worse, tie, and the annotator and strength where the format carries them.
type Label = (String, String, String, bool, Option<String>, Option<u8>);

/// Everything that the labels of a project say, two answers at a time, sorted.
fn says(dir: &Path, format: OutFormat) -> Vec<Label> {
    let labels = Labels::read(&Folders::of(dir)).unwrap();
    let mut all = Vec::new();
    for label in &labels.labels {
        let judged = judged(labels.item(label), &label.record);
        let annotator = judged
            .annotator
            .clone()
            .filter(|_| format.carries(Detail::Annotator));
        let strength = judged
            .strength()
            .filter(|_| format.carries(Detail::Strength));
        for (a, b, tie) in judged.comparisons() {
            let mut texts = [a, b].map(|index| judged.answers[index].text.clone());
            let mut prompt = judged.prompt.plain();
            // hh-rlhf carries a conversation as its transcript, where a space precedes each turn.
            if let (OutFormat::Hh, PromptText::Messages(_)) = (format, &judged.prompt) {
                texts = texts.map(|text| format!(" {text}"));
                prompt = transcript(&prompt);
            }
            if tie {
                texts.sort();
            }
            let [better, worse] = texts;
            all.push((prompt, better, worse, tie, annotator.clone(), strength));
        }
    }
    all.sort();
    all
}

/// Exports to a file and imports that into a new project.
fn trip(dir: &Path, format: OutFormat) -> (Exported, tempfile::TempDir) {
    let ledger = Ledger::read(&Folders::of(dir)).unwrap();
    let out = dir.join("out.jsonl");
    let options = Options::new(format);
    let exported = write_file(&out, |take| export(&ledger, &options, take)).unwrap();
    let there = tempfile::tempdir().unwrap();
    if exported.rows > 0 {
        let target = Target {
            dir: there.path(),
            batch: "b",
            annotator: None,
            format: None,
            decoder: None,
            skip_bad: false,
        };
        let imported = import(&out, &target, &mut Stamps::system, &mut |_| ()).unwrap();
        assert_eq!((imported.alone, imported.duplicates), (0, 0));
    }
    (exported, there)
}

/// Formats for pairs, whose rows are judgements.
fn pairwise() -> impl Iterator<Item = OutFormat> {
    let all = OutFormat::ALL.into_iter();
    all.filter(|format| format.reader().is_some() && !format.is_listwise() && !format.is_unjudged())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    #[test]
    fn native_carries_everything(cases in proptest::collection::vec(case(), 1..5)) {
        let dir = project(&cases);
        let (exported, there) = trip(dir.path(), OutFormat::Native);
        prop_assert_eq!(exported.dropped.total(), 0);
        let records = |dir: &Path| {
            let labels = Labels::read(&Folders::of(dir)).unwrap();
            let fields = |label: &rlhf::feedback::labels::Label| {
                let r = label.record.clone();
                (r.annotator, r.item, r.slot, r.outcome, r.winner, r.strength, r.ranking, r.time, r.ts)
            };
            // Items come in the order of the judgements.
            let mut items = labels.items.clone();
            items.sort_by(|a, b| a.id.cmp(&b.id));
            (items, labels.labels.iter().map(fields).collect::<Vec<_>>())
        };
        prop_assert_eq!(records(there.path()), records(dir.path()));
    }

    #[test]
    fn every_pairwise_format_gives_back_what_it_took(cases in proptest::collection::vec(case(), 1..5)) {
        let dir = project(&cases);
        for format in pairwise() {
            let (exported, there) = trip(dir.path(), format);
            let (before, after) = (says(dir.path(), format), says(there.path(), format));
            let left_out = exported.dropped.ties + exported.dropped.not_expressible;
            prop_assert_eq!(before.len(), after.len() + left_out, "{}", format.name());
            let mut rest = before.clone();
            for label in &after {
                let place = rest.iter().position(|other| other == label);
                prop_assert!(place.is_some(), "{}: {:?} is new", format.name(), label);
                rest.remove(place.unwrap());
            }
            let ties = rest.iter().filter(|label| label.3).count();
            prop_assert_eq!(ties, exported.dropped.ties, "{}", format.name());
        }
    }

    #[test]
    fn nemo_keeps_rankings_and_ties(cases in proptest::collection::vec(case(), 1..5)) {
        let dir = project(&cases);
        let (exported, there) = trip(dir.path(), OutFormat::Nemo);
        let carried: Vec<_> = says(there.path(), OutFormat::Nemo);
        let labels = Labels::read(&Folders::of(dir.path())).unwrap();
        let mut expected = 0;
        for label in &labels.labels {
            let judged = judged(labels.item(label), &label.record);
            let chat = matches!(judged.prompt, PromptText::Messages(_));
            let best_of = judged.answers.len() > 2
                && matches!(judged.said, rlhf::feedback::formats::judged::Said::Prefer { .. });
            expected += if chat && !best_of { judged.comparisons().len() } else { 0 };
        }
        prop_assert_eq!(carried.len(), expected);
        let before = says(dir.path(), OutFormat::Nemo);
        prop_assert!(carried.iter().all(|label| before.contains(label)));
        prop_assert_eq!(exported.dropped.ties, 0);
    }
}

#[test]
fn an_adjudication_still_settles_what_it_settled() {
    let dir = tempfile::tempdir().unwrap();
    let case = Case {
        kind: Prompts::Text,
        prompt: "p".into(),
        answers: vec!["a".into(), "b".into()],
        opinions: Vec::new(),
    };
    let item = item(&case, 0);
    append_batch(
        &dir.path().join("samples"),
        "b",
        std::slice::from_ref(&item),
    )
    .unwrap();
    let feedback = dir.path().join("feedback");
    let judge = |name: &str, purpose, origin, decision| {
        let mut bulk = open_bulk(&feedback, name);
        let display = Some(rlhf::feedback::record::Display {
            order: item.candidates.iter().map(|c| c.id.clone()).collect(),
            order_seed: 7,
            blind: true,
            size: Some([120, 36]),
            layout: rlhf::feedback::record::Layout::Split,
            viewed: BTreeMap::new(),
        });
        let shown = Shown {
            item: &item,
            slot: 0,
            purpose,
            origin,
            display,
            time: None,
        };
        let id = bulk.judge(&shown, decision).unwrap();
        bulk.close().unwrap();
        id
    };
    let prefer = |winner| decision(&item, &Opinion::Prefer(winner, None));
    let first = judge("zoe", Purpose::Train, Origin::Screen, prefer(0));
    judge("sim:gold", Purpose::Train, Origin::Sim, prefer(1));
    let settles = Decision {
        adjudicates: vec![first],
        ..prefer(1)
    };
    judge("ada", Purpose::Adjudication, Origin::Adjudication, settles);
    let (_, there) = trip(dir.path(), OutFormat::Native);
    let state = |dir: &Path| {
        let labels = Labels::read(&Folders::of(dir)).unwrap().labels.into_iter();
        let each = labels.map(|l| {
            (
                l.record.annotator,
                l.record.winner,
                l.settled,
                l.record.display,
            )
        });
        each.collect::<Vec<_>>()
    };
    assert_eq!(state(there.path()), state(dir.path()));
    let settled: Vec<bool> = state(there.path())
        .into_iter()
        .map(|(_, _, settled, _)| settled)
        .collect();
    assert_eq!(settled, [false, false, true]);
    let labels = Labels::read(&Folders::of(there.path())).unwrap();
    let origins: Vec<_> = labels
        .labels
        .iter()
        .map(|label| label.record.origin.unwrap())
        .collect();
    assert_eq!(origins, [Origin::Adjudication, Origin::Sim, Origin::Import]);
}

#[test]
fn a_native_row_that_occurs_twice_counts_once() {
    let opinions = vec![(0, Opinion::Tie), (1, Opinion::Prefer(0, Some(2)))];
    let case = Case {
        kind: Prompts::Chat,
        prompt: "p".into(),
        answers: vec!["a".into(), "b".into()],
        opinions,
    };
    let dir = project(&[case]);
    let ledger = Ledger::read(&Folders::of(dir.path())).unwrap();
    let out = dir.path().join("twice.jsonl");
    let options = Options::new(OutFormat::Native);
    write_file(&out, |take| {
        export(&ledger, &options, take)?;
        export(&ledger, &options, take)
    })
    .unwrap();
    let there = tempfile::tempdir().unwrap();
    let target = Target {
        dir: there.path(),
        batch: "b",
        annotator: None,
        format: None,
        decoder: None,
        skip_bad: false,
    };
    let imported = import(&out, &target, &mut Stamps::system, &mut |_| ()).unwrap();
    assert_eq!(
        (imported.rows, imported.judgements, imported.already_there),
        (4, 2, 2)
    );
    assert_eq!(
        says(there.path(), OutFormat::Native),
        says(dir.path(), OutFormat::Native)
    );
}
