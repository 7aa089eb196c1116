//! A project with many judgements, and how long it takes to read and to count them.
//!
//! ```text
//! cargo run --release --example label_bench                      100,000 judgements of 20 annotators
//! cargo run --release --example label_bench -- DIR 1000 4        another size, kept in DIR
//! ```
//!
//! A project that is already in DIR is used as it is. Times are the best of three.
#![allow(clippy::unwrap_used, reason = "an example that cannot go on stops")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rlhf::feedback::item::{Candidate, Item, Prompt, PromptText, Selector, append_batch, read_all};
use rlhf::feedback::labels::{Folders, Labels};
use rlhf::feedback::queue::side_order;
use rlhf::feedback::record::{Display, Layout, Origin, Purpose, Scale, Time};
use rlhf::feedback::report::{Expected, Report};
use rlhf::feedback::store::decision::{Decision, Shown, Verdict};
use rlhf::feedback::store::load::load_all;
use rlhf::feedback::store::session::Session;
use rlhf::feedback::store::stamps::Stamps;

/// Annotators per item.
const OVERLAP: usize = 4;
const POLICIES: [(&str, f64); 3] = [("round-0", 0.0), ("round-1", 0.4), ("round-2", 0.7)];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let dir = arguments
        .first()
        .map_or_else(|| std::env::temp_dir().join("rlhf-bench"), PathBuf::from);
    let number =
        |at: usize, default: usize| arguments.get(at).map_or(Ok(default), |text| text.parse());
    let (judgements, annotators) = (number(1, 100_000)?, number(2, 20)?);
    if !dir.join("samples").exists() {
        let started = Instant::now();
        generate(&dir, judgements, annotators)?;
        println!(
            "made {judgements} judgements of {annotators} annotators in {:.1?}",
            started.elapsed()
        );
    }
    let folders = Folders::of(&dir);
    let items = best("samples", || read_all(&folders.samples).unwrap());
    best("feedback, at a glance", || {
        load_all(&folders.feedback).unwrap()
    });
    let labels = best("labels in full", || Labels::read(&folders).unwrap());
    let report = best("statistics", || Report::new(&labels, &Expected::new()));
    best("labels and statistics", || {
        Report::new(&Labels::read(&folders).unwrap(), &Expected::new())
    });
    println!(
        "{} items, {} judgements counted",
        items.len(),
        report.people.tally.judgements
    );
    Ok(())
}

fn best<T>(what: &str, mut work: impl FnMut() -> T) -> T {
    let mut timed = || {
        let started = Instant::now();
        let made = work();
        (started.elapsed(), made)
    };
    let runs = [timed(), timed(), timed()];
    let (time, made) = runs.into_iter().min_by_key(|(time, _)| *time).unwrap();
    println!("{what:24} {:7.1} ms", time.as_secs_f64() * 1e3);
    made
}

/// Writes a project: every item is judged by [`OVERLAP`] annotators, who err and lean to the left.
fn generate(dir: &Path, judgements: usize, annotators: usize) -> Result<(), Box<dyn Error>> {
    let items: Vec<Item> = (0..judgements.div_ceil(OVERLAP))
        .map(item)
        .collect::<Result<_, _>>()?;
    append_batch(&dir.join("samples"), "bench", &items)?;
    for annotator in 0..annotators {
        let mine = items.iter().enumerate().filter(|(at, _)| {
            (0..OVERLAP.min(annotators))
                .any(|turn| (at + turn * turn.max(1)) % annotators == annotator)
        });
        judge(dir, annotator, mine.map(|(_, item)| item))?;
    }
    Ok(())
}

fn item(n: usize) -> Result<Item, Box<dyn Error>> {
    let mut random = ChaCha8Rng::seed_from_u64(n as u64);
    let prompt = Prompt::new(
        None,
        PromptText::Text(format!("Question {}: how does one do this?", n / 2)),
    )?;
    let (a, b) = (n % 3, (n + 1) % 3);
    let mut answer = |policy: usize| {
        let words = random.random_range(20..120);
        let text: Vec<String> = (0..words)
            .map(|_| format!("word{}", random.random_range(0..999)))
            .collect();
        Candidate::new(format!("{n} {}", text.join(" ")), POLICIES[policy].0)
    };
    let candidates = vec![answer(a), answer(b)];
    let selector = Selector {
        name: "random".into(),
        score: None,
        seed: 1,
    };
    Ok(Item::new("bench", 0, prompt, candidates, selector)?)
}

fn judge<'a>(
    dir: &Path,
    annotator: usize,
    items: impl Iterator<Item = &'a Item>,
) -> Result<(), Box<dyn Error>> {
    let name = format!("annotator-{annotator:02}");
    let mut clock = 1_790_000_000_000 + annotator as i64 * 3_600_000;
    let stamps = Stamps::new(
        move || {
            clock += 9_000;
            clock
        },
        {
            let mut random = ChaCha8Rng::seed_from_u64(annotator as u64);
            move || random.random()
        },
    );
    let mut session = Session::open(&dir.join("feedback"), &name, stamps)?.synced_on_close();
    let mut random = ChaCha8Rng::seed_from_u64(annotator as u64);
    for item in items {
        let (order_seed, order) = side_order(item, &name, 0, 1);
        let verdict = verdict(item, &order, &mut random);
        let active_ms = random.random_range(2_000..20_000);
        let shown = Shown {
            item,
            slot: 0,
            purpose: Purpose::Train,
            origin: Origin::Screen,
            display: Some(Display {
                viewed: order
                    .iter()
                    .map(|id| (id.clone(), 1.0))
                    .collect::<BTreeMap<_, _>>(),
                order,
                order_seed,
                blind: true,
                size: Some([120, 36]),
                layout: Layout::Split,
            }),
            time: Some(Time {
                shown_ms: active_ms,
                active_ms,
                first_key_ms: Some(900),
                changes: 0,
            }),
        };
        session.judge(&shown, Decision::new(verdict, Scale::Nine))?;
    }
    session.close()?;
    Ok(())
}

fn verdict(item: &Item, order: &[String], random: &mut ChaCha8Rng) -> Verdict {
    let worth = |at: usize| {
        let candidate = &item.candidates[at];
        let policy = POLICIES.iter().find(|(name, _)| *name == candidate.policy);
        let left = if order[0] == candidate.id { 0.1 } else { 0.0 };
        // What everybody sees in the answer, beside its policy.
        let own = candidate.sha256.seed() as f64 / u64::MAX as f64 * 3.0;
        policy.map_or(0.0, |(_, worth)| *worth) + left + own
    };
    let noise: f64 = random.random_range(-1.5..1.5);
    let difference = worth(0) - worth(1) + noise;
    if difference.abs() < 0.2 {
        return Verdict::Tie;
    }
    let winner = item.candidates[usize::from(difference < 0.0)].id.clone();
    let strength = Some((difference.abs() * 1.5).clamp(1.0, 4.0) as u8);
    Verdict::Prefer { winner, strength }
}
