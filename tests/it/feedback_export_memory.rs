//! An export that puts nearly everything on disk writes what one writes that holds all, and both see what
//! reading everything sees, whatever was judged, edited, undone and settled.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use proptest::prelude::*;
use rlhf::feedback::digest::Sha256;
use rlhf::feedback::export::aggregate::Aggregate;
use rlhf::feedback::export::filter::Labellers;
use rlhf::feedback::export::{Exported, Options, Ties, export};
use rlhf::feedback::formats::OutFormat;
use rlhf::feedback::item::{Candidate, Item, Message, Prompt, PromptText, Selector, append_batch};
use rlhf::feedback::labels::{Folders, Labels};
use rlhf::feedback::ledger::{Ledger, Room};
use rlhf::feedback::record::line::{from_line, to_line};
use rlhf::feedback::record::{Display, Layout, Origin, Purpose, Scale, Time};
use rlhf::feedback::store::annotator_folder;
use rlhf::feedback::store::decision::{Decision, Shown, Verdict};
use rlhf::feedback::store::session::Session;
use rlhf::feedback::store::stamps::Stamps;
use serde_json::Value;
use tempfile::TempDir;
use ulid::Ulid;

/// Who judges, and on which machine: mia uses two that know nothing of each other.
const DESKS: [(&str, &str); 4] = [
    ("mia", "one"),
    ("mia", "two"),
    ("tom", "one"),
    ("sim:gold", "one"),
];
const MODERATOR: &str = "mod";
/// Rows of any kind are longer: each is written to disk by itself.
const NOTHING: usize = 1;
const EVERYTHING: usize = 1 << 28;

/// What happens next: at which desk, to which item, and how far the clock goes first.
#[derive(Debug, Clone)]
struct Step {
    desk: usize,
    item: usize,
    slot: u8,
    clock: i64,
    act: Act,
}

#[derive(Debug, Clone)]
enum Act {
    Judge(u8),
    /// The last judgement of the desk about the item, if there is one.
    Edit(u8),
    Skip,
    Defer,
    Undo,
    Redo,
    /// Of all judgements so far about the item.
    Rule(u8),
    /// The desk's next events are in a file of their own.
    Leave,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let act = prop_oneof![
        6 => (0..6_u8).prop_map(Act::Judge),
        2 => (0..6_u8).prop_map(Act::Edit),
        1 => Just(Act::Skip),
        1 => Just(Act::Defer),
        2 => Just(Act::Undo),
        1 => Just(Act::Redo),
        1 => (0..6_u8).prop_map(Act::Rule),
        1 => Just(Act::Leave),
    ];
    let step = (0..DESKS.len(), 0..7_usize, 0..2_u8, -3..20_i64, act);
    let step = step.prop_map(|(desk, item, slot, clock, act)| Step {
        desk,
        item,
        slot,
        clock,
        act,
    });
    prop::collection::vec(step, 0..40)
}

/// Seven items in two batches: texts and conversations, two answers and three, one prompt twice.
fn items() -> Vec<Item> {
    let item = |n: usize| {
        let text = format!("question {}", n / 2);
        let (role, content) = ("user".to_owned(), text.clone());
        let text = match n % 3 {
            0 => PromptText::Messages(vec![Message { role, content }]),
            _ => PromptText::Text(text),
        };
        let answer = |k: usize| Candidate::new(format!("answer {n} {k}"), format!("model-{k}"));
        let selector = Selector {
            name: "all".into(),
            score: None,
            seed: 0,
        };
        let batch = if n < 3 { "b1" } else { "b2" };
        let candidates = (0..2 + usize::from(n == 4)).map(answer).collect();
        let prompt = Prompt::new(None, text).unwrap();
        Item::new(batch, (n % 2) as u32, prompt, candidates, selector).unwrap()
    };
    (0..7).map(item).collect()
}

fn decision(item: &Item, said: u8) -> Decision {
    let id = |k: usize| item.candidates[k].id.clone();
    let prefer = |k, strength| Verdict::Prefer {
        winner: id(k),
        strength,
    };
    let (verdict, scale) = match (said, item.candidates.len()) {
        (0, 3) => (
            Verdict::Ranking(vec![vec![id(2)], vec![id(0), id(1)]]),
            Scale::KWay,
        ),
        (0, _) => (prefer(0, None), Scale::Binary),
        (1, _) => (prefer(1, Some(3)), Scale::Nine),
        (2, _) => (prefer(0, Some(1)), Scale::Nine),
        (3, _) => (Verdict::Tie, Scale::Nine),
        (4, _) => (Verdict::BothBad, Scale::Nine),
        _ => (Verdict::CannotJudge, Scale::Nine),
    };
    let mut decision = Decision::new(verdict, scale);
    if said == 5 {
        decision.reason = Some("no idea".into());
    }
    decision
}

/// An item at a screen, or before a program.
fn shown<'a>(item: &'a Item, slot: u8, purpose: Purpose, annotator: &str) -> Shown<'a> {
    let (origin, size, layout) = match annotator {
        "sim:gold" => (Origin::Sim, None, Layout::None),
        _ => (Origin::Screen, Some([80, 24]), Layout::Split),
    };
    let order = item.candidates.iter().map(|c| c.id.clone()).collect();
    let display = Display {
        order,
        order_seed: 1,
        blind: true,
        size,
        layout,
        viewed: BTreeMap::new(),
    };
    Shown {
        item,
        slot,
        purpose,
        origin,
        display: Some(display),
        time: Some(Time::default()),
    }
}

/// A project in the making: every machine has its own `feedback/` until they are put together.
struct World {
    dir: TempDir,
    items: Vec<Item>,
    clock: Arc<AtomicI64>,
    random: u128,
    open: Vec<Option<Session>>,
    /// Judgements by item: the desk, the slot and the event.
    judged: BTreeMap<usize, Vec<(usize, u8, Ulid)>>,
}

impl World {
    fn new() -> Self {
        let (dir, items) = (tempfile::tempdir().unwrap(), items());
        for batch in ["b1", "b2"] {
            let of_batch: Vec<_> = items.iter().filter(|i| i.batch == batch).cloned().collect();
            append_batch(&dir.path().join("samples"), batch, &of_batch).unwrap();
        }
        Self {
            dir,
            items,
            clock: Arc::new(AtomicI64::new(1_000_000)),
            random: 0,
            open: DESKS.iter().map(|_| None).collect(),
            judged: BTreeMap::new(),
        }
    }

    fn session(&mut self, annotator: &str, machine: &str) -> Session {
        let clock = Arc::clone(&self.clock);
        self.random += 1 << 64;
        let random = self.random;
        let stamps = Stamps::new(move || clock.load(Ordering::Relaxed), move || random);
        let feedback = self.dir.path().join(machine);
        let session = Session::open(&feedback, annotator, stamps).unwrap();
        session.synced_on_close()
    }

    fn step(&mut self, step: &Step) {
        self.clock.fetch_add(step.clock, Ordering::Relaxed);
        let (annotator, machine) = DESKS[step.desk];
        let item = self.items[step.item].clone();
        let open = self.open[step.desk].take();
        let mut session = open.unwrap_or_else(|| self.session(annotator, machine));
        let shown = |purpose| shown(&item, step.slot, purpose, annotator);
        let mine = |judged: &(usize, u8, Ulid)| (judged.0, judged.1) == (step.desk, step.slot);
        let judged = self.judged.entry(step.item).or_default();
        match step.act {
            Act::Judge(said) => {
                let id = session.judge(&shown(Purpose::Train), decision(&item, said));
                judged.push((step.desk, step.slot, id.unwrap()));
            }
            Act::Edit(said) => {
                let mut decision = decision(&item, said);
                decision.edits = judged.iter().rev().find(|j| mine(j)).map(|j| j.2);
                let id = session.judge(&shown(Purpose::Train), decision).unwrap();
                judged.push((step.desk, step.slot, id));
            }
            Act::Skip => drop(session.skip(&shown(Purpose::Train), None).unwrap()),
            Act::Defer => drop(session.defer(&shown(Purpose::Train), None).unwrap()),
            Act::Undo => drop(session.undo().unwrap()),
            Act::Redo => drop(session.redo().unwrap()),
            Act::Rule(_) if judged.is_empty() => {}
            Act::Rule(said) => {
                let ids = judged.iter().map(|judged| judged.2).collect();
                let disputes = [(item.id.clone(), ids)].into_iter().collect();
                let ruling = self.session(MODERATOR, "one");
                let mut ruling = ruling.settling(disputes);
                let shown = self::shown(&item, step.slot, Purpose::Adjudication, MODERATOR);
                ruling.judge(&shown, decision(&item, said)).unwrap();
                ruling.close().unwrap();
            }
            Act::Leave => return session.close().unwrap(),
        }
        self.open[step.desk] = Some(session);
    }

    /// Ends all sessions and puts the files of all machines together.
    fn project(mut self) -> TempDir {
        for session in self.open.drain(..).flatten() {
            session.close().unwrap();
        }
        let feedback = self.dir.path().join("feedback");
        for (annotator, machine) in DESKS.into_iter().chain([(MODERATOR, "one")]) {
            let from = annotator_folder(&self.dir.path().join(machine), annotator).unwrap();
            let to = annotator_folder(&feedback, annotator).unwrap();
            for file in fs::read_dir(from).into_iter().flatten() {
                let file = file.unwrap().path();
                fs::create_dir_all(&to).unwrap();
                fs::rename(&file, to.join(file.file_name().unwrap())).unwrap();
            }
        }
        self.dir
    }
}

fn project(steps: &[Step]) -> TempDir {
    let mut world = World::new();
    for step in steps {
        world.step(step);
    }
    world.project()
}

/// A ledger that holds this many bytes of each of its parts.
fn ledger(dir: &Path, held: usize) -> Ledger {
    let room = Room::beside(&dir.join("out.jsonl")).holding(held);
    Ledger::within(&Folders::of(dir), &room).unwrap()
}

fn all_options() -> Vec<Options> {
    let mut all = Vec::new();
    for format in OutFormat::ALL {
        for aggregate in [Aggregate::All, Aggregate::Majority, Aggregate::Mean] {
            for ties in [Ties::Drop, Ties::Half, Ties::Keep] {
                let mut options = Options::new(format);
                (options.aggregate, options.ties) = (aggregate, ties);
                options.filters.labellers = Labellers::PeopleFirst;
                all.push(options);
            }
        }
    }
    all.retain(|options| options.check().is_ok());
    all
}

fn rows(ledger: &Ledger, options: &Options) -> (Vec<Value>, Exported) {
    let mut rows = Vec::new();
    let mut take = |row: &Value| {
        rows.push(row.clone());
        Ok(())
    };
    let exported = export(ledger, options, &mut take).unwrap();
    (rows, exported)
}

/// Checks that `ledger` sees what is read if everything is.
fn sees_all(dir: &Path, ledger: &Ledger) {
    let all = Labels::read(&Folders::of(dir)).unwrap();
    let walked: Vec<_> = ledger.labels().map(Result::unwrap).collect();
    assert_eq!(walked.len(), all.labels.len());
    for (held, (label, item)) in all.labels.iter().zip(&walked) {
        assert_eq!(held.record, label.record);
        assert_eq!((held.item, held.settled), (label.item, label.settled));
        assert_eq!(all.item(held), item);
    }
    let items: Vec<_> = ledger.items().map(Result::unwrap).collect();
    assert_eq!(items, all.items);
    for (annotator, _) in DESKS {
        let said = all.labels.iter().any(|l| l.record.annotator == annotator);
        assert_eq!(ledger.has(annotator), said, "{annotator}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn what_is_put_on_disk_comes_back_as_if_it_had_been_held(steps in steps()) {
        let dir = project(&steps);
        let (tight, roomy) = (ledger(dir.path(), NOTHING), ledger(dir.path(), EVERYTHING));
        sees_all(dir.path(), &tight);
        sees_all(dir.path(), &roomy);
        for options in all_options() {
            prop_assert_eq!(rows(&tight, &options), rows(&roomy, &options), "{:?}", options);
        }
        // Files without a name: nothing is left behind.
        let files = fs::read_dir(dir.path()).unwrap().map(|f| f.unwrap().file_name());
        let known = ["samples", "feedback", "one", "two"];
        for file in files {
            prop_assert!(known.contains(&file.to_str().unwrap()), "{file:?}");
        }
    }

    /// Reading everything and reading it piece by piece find the same first fault, at the same line.
    #[test]
    fn what_is_wrong_with_a_history_is_found_in_the_same_place(
        steps in steps(),
        faults in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..3_u8), 1..3),
    ) {
        let dir = project(&steps);
        let mut files = Folders::of(dir.path()).files().unwrap();
        files.retain(|file| !file.starts_with(dir.path().join("samples")));
        prop_assume!(!files.is_empty());
        for (at, other, fault) in faults {
            spoil(&files[at.index(files.len())], at, other, fault);
        }
        let said = Labels::read(&Folders::of(dir.path())).map(|_| ());
        let room = Room::beside(dir.path()).holding(NOTHING);
        let found = Ledger::within(&Folders::of(dir.path()), &room).map(|_| ());
        let text = |result: Result<(), _>| result.map_err(|error: rlhf::feedback::labels::LabelsError| error.to_string());
        prop_assert_eq!(text(found), text(said));
    }
}

/// Gives a line an id that another one has, or makes it name another one or none, in a chain that is sound.
fn spoil(file: &Path, at: prop::sample::Index, other: prop::sample::Index, fault: u8) {
    let text = fs::read(file).unwrap();
    let lines = text
        .split(|&byte| byte == b'\n')
        .filter(|line| !line.is_empty());
    let mut records: Vec<_> = lines.map(|line| from_line(line).unwrap()).collect();
    let (at, id) = (at.index(records.len()), other.get(&records).id);
    let mut spoiled = records[at].clone();
    match fault {
        0 => spoiled.id = id,
        1 => spoiled.supersedes = Some(id),
        _ => spoiled.supersedes = Some(Ulid(7)),
    }
    if to_line(&mut spoiled.clone(), Sha256::ZERO).is_ok() {
        records[at] = spoiled;
    }
    let (mut text, mut prev) = (String::new(), Sha256::ZERO);
    for mut record in records {
        let line = to_line(&mut record, prev).unwrap();
        prev = Sha256::of(&line);
        text += &line;
        text.push('\n');
    }
    fs::write(file, text).unwrap();
}

#[test]
fn four_people_and_a_program_are_told_apart_whatever_is_held() {
    let step = |desk, item, act| Step {
        desk,
        item,
        slot: 0,
        clock: 5,
        act,
    };
    let steps = [
        step(0, 1, Act::Judge(1)),
        step(1, 1, Act::Judge(2)),
        step(2, 1, Act::Judge(2)),
        step(2, 2, Act::Judge(1)),
        step(2, 2, Act::Undo),
        step(3, 2, Act::Judge(1)),
        step(0, 4, Act::Judge(0)),
        step(2, 5, Act::Judge(1)),
        step(2, 5, Act::Rule(2)),
    ];
    let dir = project(&steps);
    let tight = ledger(dir.path(), NOTHING);
    let names = tight
        .labels()
        .map(|label| label.unwrap().0.record.annotator);
    // Mia judged item 1 on both machines: the later one counts.
    let expected = ["mia", "mia", "mod", "sim:gold", "tom", "tom"];
    assert_eq!(names.collect::<Vec<_>>(), expected);
    let settled = tight
        .labels()
        .filter(|label| label.as_ref().unwrap().0.settled);
    assert_eq!(settled.count(), 1);
    let mut options = Options::new(OutFormat::Trl);
    options.aggregate = Aggregate::Majority;
    let (rows, exported) = rows(&tight, &options);
    let chosen: Vec<_> = rows
        .iter()
        .map(|row| row["chosen"].as_str().unwrap())
        .collect();
    assert_eq!(
        chosen,
        [
            "answer 1 0",
            "answer 2 1",
            "answer 4 2",
            "answer 4 2",
            "answer 5 0"
        ]
    );
    assert_eq!((exported.judgements, exported.simulated), (6, 1));
}
