//! How fast labelling opens and goes on in a large project: 100,000 judgements by 20 people.
//!
//! ```text
//! cargo bench --bench labelling              # a project of 26,000 items, in a temporary folder
//! cargo bench --bench labelling -- /work/x   # the same on another file system
//! cargo bench --bench labelling -- /tmp one  # only the scenes whose name contains this
//! ```
//!
//! Opening is what `rlhf label` does before its first screen: read the samples, lock and load the
//! annotator's judgements, divide the work by what the others did, lay out the queue. A cycle is what
//! happens between a key and the next pair on the screen: update, write, sync, update, draw. Statistics
//! are what `rlhf feedback stats` reads and counts. Exits with 1 if opening takes 300 ms, a cycle 16 ms
//! or statistics 2 s (the median of the runs, all warm), in each scene: also where one person made all
//! judgements and reads twenty times as many lines of their own.
//!
//! Long texts: a prompt and two answers of 1 MB each at 120x36, with a search and with differences
//! marked; every key that scrolls, searches on, opens and closes a page, writes a comment or judges
//! must be on the screen within 16 ms (the slowest of its presses). The first layout has no limit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use rlhf::feedback::item::{
    Candidate, Item, Prompt, PromptText, SamplesError, Selector, append_batch, read_all,
};
use rlhf::feedback::labels::Folders;
use rlhf::feedback::queue::roster::Roster;
use rlhf::feedback::queue::{Plan, side_order};
use rlhf::feedback::record::{Display, Layout, Origin, Purpose, Scale, Time};
use rlhf::feedback::report::Report;
use rlhf::feedback::store::StoreError;
use rlhf::feedback::store::decision::{Decision, Shown, Verdict};
use rlhf::feedback::store::session::Session;
use rlhf::feedback::store::stamps::Stamps;
use rlhf::tui::keys::Key;
use rlhf::tui::label::desk::{Rules, lay_out, pair};
use rlhf::tui::label::draw::draw;
use rlhf::tui::label::state::{App, Desk, Pair, Setup};
use rlhf::tui::label::update::{Effect, Event, update};
use ulid::Ulid;

const PEOPLE: usize = 20;
const JUDGEMENTS: usize = 100_000;
const SEED: u64 = 42;
const RUNS: usize = 15;

type Failure = Box<dyn std::error::Error>;

/// A way to divide 100,000 judgements among 20 people, and what is left to do.
struct Scene {
    name: &'static str,
    items: usize,
    plan: Plan,
    /// Who judged how many.
    share: fn(usize) -> usize,
}

fn person(n: usize) -> String {
    format!("person-{n:02}")
}

fn scenes() -> [Scene; 3] {
    let mut divided = Plan::seeded(SEED);
    divided.roster = Roster {
        annotators: (0..PEOPLE).map(person).collect(),
        overlap: 4,
        reassign_after_ms: Some(72 * 3_600_000),
    };
    let equal = |_: usize| JUDGEMENTS / PEOPLE;
    let one = |n: usize| if n == 0 { JUDGEMENTS } else { 0 };
    [
        Scene {
            name: "20 people, 4 per item",
            items: 26_000,
            plan: divided,
            share: equal,
        },
        Scene {
            name: "20 people, everybody judges everything",
            items: 5_100,
            plan: Plan::seeded(SEED),
            share: equal,
        },
        Scene {
            name: "one person made all judgements",
            items: 100_100,
            plan: Plan::seeded(SEED),
            share: one,
        },
    ]
}

fn item(n: usize) -> Result<Item, Failure> {
    let text = |what: &str| {
        format!(
            "{what} {n}: {}",
            "words to be compared by people ".repeat(8)
        )
    };
    let prompt = Prompt::new(None, PromptText::Text(text("question")))?;
    let policy = |turn: usize| ["round-0", "round-1", "round-2"][(n + turn) % 3];
    let candidates =
        [("one", 0), ("two", 1)].map(|(a, turn)| Candidate::new(text(a), policy(turn)));
    let selector = Selector {
        name: "all".into(),
        score: None,
        seed: SEED,
    };
    let item = Item::new("bench", 0, prompt, candidates.to_vec(), selector);
    Ok(item?)
}

/// Writes a project: samples and everybody's judgements.
fn write(project: &Path, scene: &Scene) -> Result<(), Failure> {
    let items = (0..scene.items).map(item).collect::<Result<Vec<_>, _>>()?;
    append_batch(&project.join("samples"), "bench", &items)?;
    let feedback = project.join("feedback");
    for n in 0..PEOPLE {
        let session = Session::open(&feedback, &person(n), Stamps::system())?;
        let mut session = session.synced_on_close();
        let plan = &scene.plan;
        let roster = (!plan.roster.annotators.is_empty()).then_some(&plan.roster);
        let duty = roster.map(|roster| roster.duty(&items, &person(n), &[], SEED, 0));
        let mine = items
            .iter()
            .filter(|item| duty.as_ref().is_none_or(|duty| duty.contains(&item.id)));
        for item in mine.take((scene.share)(n)) {
            judge(&mut session, item, &person(n))?;
        }
        session.close()?;
    }
    Ok(())
}

fn judge(session: &mut Session, item: &Item, annotator: &str) -> Result<(), StoreError> {
    let (order_seed, order) = side_order(item, annotator, 0, SEED);
    // People agree with each other three times in four.
    let side = usize::from(order[0] > order[1]) ^ usize::from(order_seed % 4 == 0);
    let winner = order[side].clone();
    let viewed = order
        .iter()
        .map(|id| (id.clone(), 1.0))
        .collect::<BTreeMap<_, _>>();
    let display = Display {
        order,
        order_seed,
        blind: true,
        size: Some([120, 36]),
        layout: Layout::Split,
        viewed,
    };
    let time = Time {
        shown_ms: 21_000,
        active_ms: 20_500,
        first_key_ms: Some(900),
        changes: 0,
    };
    let shown = Shown {
        item,
        slot: 0,
        purpose: Purpose::Train,
        origin: Origin::Screen,
        display: Some(display),
        time: Some(time),
    };
    let strength = Some(2);
    let decision = Decision::new(Verdict::Prefer { winner, strength }, Scale::Nine);
    session.judge(&shown, decision).map(|_| ())
}

/// Where the time of opening goes, in milliseconds.
#[derive(Default)]
struct Opening {
    samples: f64,
    session: f64,
    division: f64,
    queue: f64,
}

impl Opening {
    fn total(&self) -> f64 {
        self.samples + self.session + self.division + self.queue
    }
}

struct Open {
    session: Session,
    desk: Desk,
    took: Opening,
}

fn open(project: &Path, plan: &Plan) -> Result<Open, Failure> {
    let mut took = Opening::default();
    let feedback = project.join("feedback");
    let clock = Instant::now();
    let items = samples(project)?;
    took.samples = ms(clock);
    let clock = Instant::now();
    let session = Session::open(&feedback, &person(0), Stamps::system())?;
    took.session = ms(clock);
    let clock = Instant::now();
    let now_ms = u64::try_from(Stamps::system().now().0)?;
    let plan = plan.divided(&feedback, &items, session.history(), now_ms)?;
    took.division = ms(clock);
    let clock = Instant::now();
    let rules = Rules {
        plan: &plan,
        scale: Scale::Nine,
        guidelines_sha256: None,
    };
    let desk = lay_out(&items, session.history(), rules)?;
    took.queue = ms(clock);
    Ok(Open {
        session,
        desk,
        took,
    })
}

fn samples(project: &Path) -> Result<Vec<Item>, SamplesError> {
    read_all(&project.join("samples"))
}

fn ms(clock: Instant) -> f64 {
    clock.elapsed().as_secs_f64() * 1000.0
}

/// Key to screen, as the driver does it, for every pair that is left; milliseconds each.
fn cycles(open: Open) -> Result<Vec<f64>, Failure> {
    let mut terminal = Terminal::new(TestBackend::new(120, 36))?;
    let mut app = App::new(Setup::new(person(0)), (120, 36), 0);
    let mut session = open.session;
    update(&mut app, Event::Opened(open.desk, 0));
    terminal.draw(|frame| draw(&app, frame.buffer_mut()))?;
    let mut times = Vec::new();
    for n in 1..=90 {
        let clock = Instant::now();
        // A key that comes sooner than this after a pair appeared was meant for the pair before.
        for effect in update(&mut app, Event::Key(Key::Char('7'), n * 1000)) {
            if let Effect::Commit(draft) = effect {
                let id = draft.save(&mut session)?;
                update(&mut app, Event::Committed(id, n * 1000));
            }
        }
        terminal.draw(|frame| draw(&app, frame.buffer_mut()))?;
        times.push(ms(clock));
    }
    assert_eq!(app.this_session().count(), 90, "every key was a judgement");
    session.close()?;
    Ok(times)
}

/// A megabyte of short lines in which every tenth word is one of `mark`'s own.
fn megabyte(mark: &str) -> String {
    let line = |n: usize| match n % 3 {
        0 => format!("{n} {mark} needle words to be compared by people, one after the other\n"),
        _ => format!("{n} words to be compared by people, one after the other, line by line\n"),
    };
    let mut text = String::new();
    for n in 0.. {
        if text.len() >= 1 << 20 {
            break;
        }
        text.push_str(&line(n));
    }
    text
}

fn long_pair() -> Result<Pair, Failure> {
    let prompt = Prompt::new(None, PromptText::Text(megabyte("prompt")))?;
    let candidates = ["one", "two"].map(|mark| Candidate::new(megabyte(mark), "policy"));
    let selector = Selector {
        name: "all".into(),
        score: None,
        seed: SEED,
    };
    let item = Item::new("long", 0, prompt, candidates.to_vec(), selector)?;
    Ok(pair(item, "mia", 0, Purpose::Train, SEED))
}

/// A screen with a disk that needs no time.
struct Desktop {
    app: App,
    terminal: Terminal<TestBackend>,
    now: u64,
}

impl Desktop {
    fn press(&mut self, key: Key) -> Result<f64, Failure> {
        let clock = Instant::now();
        self.now += 1000;
        for effect in update(&mut self.app, Event::Key(key, self.now)) {
            if let Effect::Commit(draft) = effect {
                let id = draft.pair.order_seed;
                let id = Ulid::from_parts(self.now, u128::from(id));
                update(&mut self.app, Event::Committed(id, self.now));
            }
        }
        let Self { app, terminal, .. } = self;
        terminal.draw(|frame| draw(app, frame.buffer_mut()))?;
        Ok(ms(clock))
    }
}

/// Whether every key is fast on texts of a megabyte.
fn long_texts() -> Result<bool, Failure> {
    let clock = Instant::now();
    let mut desktop = Desktop {
        app: App::new(Setup::new("mia".into()), (120, 36), 0),
        terminal: Terminal::new(TestBackend::new(120, 36))?,
        now: 0,
    };
    let pairs = vec![long_pair()?, pair(item(1)?, "mia", 0, Purpose::Train, SEED)];
    let desk = Desk {
        pairs,
        ..Desk::default()
    };
    let made = ms(clock);
    update(&mut desktop.app, Event::Opened(desk, 0));
    desktop.press(Key::Ctrl('l'))?;
    println!(
        "1 MB prompt and answers\n  first layout {:6.1} ms",
        ms(clock) - made
    );
    let search = ['/', 'n', 'e', 'e', 'd', 'l', 'e'].map(Key::Char);
    let once = search.into_iter().chain([Key::Enter, Key::Char('d')]);
    let once = once
        .map(|key| desktop.press(key))
        .collect::<Result<Vec<_>, _>>()?;
    let (found, compared) = (once[search.len()], once[search.len() + 1]);
    println!("  search       {found:6.1} ms, differences {compared:.1} ms (once)");
    let scrolling = ['j', 'k', 'J', 'K', 'G', 'g', 'n', 'N', 'h', 'l', 'H'].map(Key::Char);
    let paging = [Key::PageDown, Key::PageUp, Key::Tab, Key::BackTab];
    let pages = [':', '?', 'c', 'F', 'a', 's', '0'].map(Key::Char);
    let mut slowest = [("", 0.0); 3];
    for _ in 0..10 {
        for key in scrolling.into_iter().chain(paging) {
            let took = desktop.press(key)?;
            if took > slowest[0].1 {
                slowest[0] = ("scroll", took);
            }
        }
        for key in pages {
            let took = desktop.press(key)?.max(desktop.press(Key::Esc)?);
            if took > slowest[1].1 {
                slowest[1] = ("page", took);
            }
        }
    }
    slowest[2] = ("judge", desktop.press(Key::Char('7'))?);
    assert_eq!(desktop.app.decided(), 1, "the long pair was judged");
    for (what, took) in slowest {
        println!("  {what:10} {took:8.1} ms at most");
    }
    Ok(slowest.iter().all(|&(_, took)| took < 16.0))
}

fn quantile(times: &mut [f64], q: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    times[((times.len() - 1) as f64 * q).round() as usize]
}

/// Reading and counting all labels; milliseconds, the median of three.
fn statistics(project: &Path) -> Result<f64, Failure> {
    let mut times = Vec::new();
    for _ in 0..3 {
        let clock = Instant::now();
        let report = Report::read(&Folders::of(project))?;
        times.push(ms(clock));
        assert!(
            report.people.tally.judgements >= JUDGEMENTS,
            "all are counted"
        );
    }
    Ok(quantile(&mut times, 0.5))
}

fn measure(project: &Path, scene: &Scene) -> Result<bool, Failure> {
    write(project, scene)?;
    let mut runs = Vec::new();
    for _ in 0..RUNS {
        runs.push(open(project, &scene.plan)?.took);
    }
    runs.sort_by(|a, b| a.total().total_cmp(&b.total()));
    let (median, worst) = (&runs[RUNS / 2], &runs[RUNS - 1]);
    println!("{}", scene.name);
    println!(
        "  open        {:6.1} ms (samples {:.1}, own judgements {:.1}, division {:.1}, queue {:.1}); \
         worst of {RUNS}: {:.1} ms",
        median.total(),
        median.samples,
        median.session,
        median.division,
        median.queue,
        worst.total()
    );
    let mut times = cycles(open(project, &scene.plan)?)?;
    let (half, most) = (quantile(&mut times, 0.5), quantile(&mut times, 0.99));
    println!(
        "  next pair   {half:6.1} ms, 99th percentile {most:.1} ms (key, update, write, sync, draw)"
    );
    let statistics = statistics(project)?;
    println!("  statistics  {statistics:6.1} ms");
    Ok(median.total() < 300.0 && half < 16.0 && statistics < 2000.0)
}

fn main() -> Result<ExitCode, Failure> {
    let mut arguments = std::env::args().skip(1).filter(|arg| !arg.starts_with('-'));
    let place = arguments.next();
    let place = place.map_or_else(std::env::temp_dir, PathBuf::from);
    let part = arguments.next().unwrap_or_default();
    let mut fast = long_texts()?;
    for scene in scenes().iter().filter(|scene| scene.name.contains(&part)) {
        let project = tempfile::tempdir_in(&place)?;
        fast &= measure(project.path(), scene)?;
    }
    Ok(ExitCode::from(u8::from(!fast)))
}
