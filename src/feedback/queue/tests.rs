use self::order::Strategy;
use super::*;
use crate::feedback::item::{Candidate, Prompt, PromptText, Selector};

/// One item per number, with a prompt of its own.
pub fn item(n: usize) -> Item {
    let prompt = Prompt::new(None, PromptText::Text(format!("question {n}"))).unwrap();
    let candidates = ["yes", "no"]
        .map(|a| Candidate::new(format!("{a} {n}"), "p"))
        .to_vec();
    let selector = Selector {
        name: "all".into(),
        score: None,
        seed: 0,
    };
    Item::new("b", 0, prompt, candidates, selector).unwrap()
}

#[test]
fn sides_are_fixed_by_the_seed_and_fair_over_items() {
    let first_left = (0..1000).filter(|&n| {
        let item = item(n);
        let (seed, order) = side_order(&item, "ann", 0, 7);
        assert_eq!((seed, order.clone()), side_order(&item, "ann", 0, 7));
        order[0] == item.candidates[0].id
    });
    let first_left = first_left.count();
    // Four standard deviations of a fair coin: 500 ± 63.
    assert!((437..=563).contains(&first_left), "{first_left}");
}

#[test]
fn seed_item_and_annotator_matter_and_repeats_swap_the_sides() {
    let order_seed = |n, annotator, seed| side_order(&item(n), annotator, 0, seed).0;
    let seeds = HashSet::from([
        order_seed(0, "ann", 7),
        order_seed(1, "ann", 7),
        order_seed(0, "bob", 7),
        order_seed(0, "ann", 8),
    ]);
    assert_eq!(seeds.len(), 4);
    for n in 0..20 {
        let order = |slot| side_order(&item(n), "ann", slot, 7).1;
        let swapped: Vec<_> = order(0).into_iter().rev().collect();
        assert_eq!(order(1), swapped);
        assert_eq!(order(2), order(0));
    }
}

#[test]
fn answers_that_differ_in_white_space_only_are_one() {
    let texts = ["a b", " a\n b ", "ab", "a b c", "a b"];
    let candidates = texts.map(|text| Candidate::new(text.into(), "p")).to_vec();
    let (kept, dropped) = drop_duplicates(candidates);
    let kept: Vec<_> = kept
        .iter()
        .map(|candidate| candidate.text.as_str())
        .collect();
    assert_eq!((kept.as_slice(), dropped), (&["a b", "ab", "a b c"][..], 2));
}

#[test]
fn every_pair_of_four_is_drawn_about_equally_often() {
    let four = ["a", "b", "c", "d"].map(|text| Candidate::new(text.into(), "p"));
    let mut counts = std::collections::BTreeMap::new();
    for seed in 0..6000 {
        let [a, b] = draw_pair(&four, seed).unwrap();
        assert!(a.text < b.text);
        *counts
            .entry((a.text.clone(), b.text.clone()))
            .or_insert(0_u32) += 1;
    }
    // Four standard deviations of Binomial(6000, 1/6): 1000 ± 116.
    assert_eq!(counts.len(), 6);
    assert!(
        counts.values().all(|count| (884..=1116).contains(count)),
        "{counts:?}"
    );
    assert!(draw_pair(&four[..1], 0).is_none());
}

/// Two items for each of `prompts` prompts.
fn two_each(prompts: usize) -> Vec<Item> {
    let again = |n: usize| {
        let first = item(n);
        let answers = ["x", "y"].map(|a| Candidate::new(a.into(), "p")).to_vec();
        Item::new("b", 0, first.prompt, answers, first.selector).unwrap()
    };
    (0..prompts).flat_map(|n| [item(n), again(n)]).collect()
}

fn nothing_done(annotator: &str) -> History {
    crate::feedback::store::load::load(std::path::Path::new("no such folder"), annotator).unwrap()
}

fn tasks(items: &[Item], annotator: &str, plan: &Plan) -> Vec<Task> {
    let mut queue = Queue::new(items, &nothing_done(annotator), plan);
    let mut tasks = Vec::new();
    while let Some(task) = queue.current() {
        tasks.push(task);
        queue.finish();
    }
    tasks
}

fn plan(strategy: Strategy) -> Plan {
    let mut plan = Plan::seeded(7);
    plan.order.strategy = strategy;
    plan.order.random_share = 0.2;
    plan
}

#[test]
fn round_robin_takes_one_item_of_every_prompt_before_the_second_of_any() {
    let items = two_each(100);
    let mut plan = plan(Strategy::RoundRobin);
    plan.order.random_share = 0.0;
    let order = tasks(&items, "ann", &plan);
    let prompts = |tasks: &[Task]| {
        let ids = tasks.iter().map(|t| items[t.index].prompt.id.clone());
        ids.collect::<HashSet<_>>().len()
    };
    assert_eq!(
        (order.len(), prompts(&order[..100]), prompts(&order[100..])),
        (200, 100, 100)
    );
    let indices = |annotator| {
        tasks(&items, annotator, &plan)
            .iter()
            .map(|t| t.index)
            .collect::<Vec<_>>()
    };
    assert_ne!(indices("ann"), indices("bob"));
}

#[test]
fn what_is_listed_comes_as_it_is_listed() {
    let items: Vec<Item> = (0..50).map(item).collect();
    let order = tasks(&items, "ann", &plan(Strategy::Listed));
    let places = order.iter().map(|task| (task.index, task.choice));
    let listed = (0..50).map(|index| (index, Choice::Listed));
    assert!(places.eq(listed), "{order:?}");
}

#[test]
fn the_most_informative_come_first_and_a_fifth_is_a_fair_sample() {
    let items: Vec<Item> = (0..1000).map(item).collect();
    let mut plan = plan(Strategy::Informative);
    let score = |n: usize| (n, item(n).id);
    plan.order.scores = (0..990).map(score).map(|(n, id)| (id, n as f64)).collect();
    let order = tasks(&items, "ann", &plan);
    assert_eq!(order.len(), 1000);
    let is_random = |task: &&Task| task.choice == Choice::Random;
    let random: Vec<usize> = order.iter().filter(is_random).map(|t| t.index).collect();
    // Four standard deviations of Binomial(1000, 1/5): 200 ± 51; in the first tenth of the queue 20.
    assert!((149..=251).contains(&random.len()), "{}", random.len());
    let early = order[..100].iter().filter(is_random).count();
    assert!((14..=26).contains(&early), "{early}");
    // The mean index of a fair sample of 0..1000 is 499.5 with a standard error of 289/√200 = 20.
    let mean = random.iter().sum::<usize>() as f64 / random.len() as f64;
    assert!((418.0..=581.0).contains(&mean), "{mean}");
    let chosen: Vec<_> = order.iter().filter(|t| !is_random(t)).collect();
    let scores = chosen
        .iter()
        .map(|task| task.choice.selector(&items[task.index], 7).score);
    let scores: Vec<f64> = scores.map(|score| score.unwrap_or(-1.0)).collect();
    assert!(scores.is_sorted_by(|a, b| a >= b));
    let selector = order[0].choice.selector(&items[order[0].index], 7);
    assert!(["informative", "random"].contains(&selector.name.as_str()) && selector.seed == 7);
    assert_eq!(Choice::Listed.selector(&items[0], 7), items[0].selector);
}

#[test]
fn known_answers_and_repeats_are_mixed_in_at_their_shares() {
    let items: Vec<Item> = (0..2100).map(item).collect();
    let mut plan = Plan::seeded(7);
    plan.checks = Checks {
        known: items[2000..].iter().map(|item| item.id.clone()).collect(),
        gold_share: 0.04,
        repeat_share: 0.05,
    };
    let order = tasks(&items, "ann", &plan);
    let places = |purpose| {
        let is = move |&(_, task): &(usize, &Task)| task.purpose == purpose;
        order.iter().enumerate().filter(is).collect::<Vec<_>>()
    };
    assert_eq!(places(Purpose::Train).len(), 2000);
    assert!(places(Purpose::Train).iter().all(|(_, t)| t.index < 2000));
    // Four standard deviations: Binomial(2000, 0.04) is 80 ± 35, Binomial(2000, 0.05) 100 ± 39.
    let gold = places(Purpose::Gold);
    assert!((45..=100).contains(&gold.len()), "{}", gold.len());
    assert!(gold.iter().all(|(_, t)| t.index >= 2000 && t.slot == 0));
    let repeats = places(Purpose::Repeat);
    assert!((61..=139).contains(&repeats.len()), "{}", repeats.len());
    for (place, repeat) in repeats {
        let first = order
            .iter()
            .position(|t| (t.index, t.slot) == (repeat.index, 0));
        assert!(repeat.slot == 1 && place - first.unwrap() > checks::REPEAT_GAP);
    }
    assert_eq!(order, tasks(&items, "ann", &plan));
    assert_ne!(order, tasks(&items, "bob", &plan));
}

#[test]
fn wherever_one_stops_the_rest_comes_in_the_same_order() {
    use crate::feedback::sim::Simulated;
    use crate::feedback::store::session::Session;
    use crate::feedback::store::stamps::Stamps;
    let items: Vec<Item> = (0..120).map(item).collect();
    let mut plan = plan(Strategy::Informative);
    plan.checks = Checks {
        known: items[100..].iter().map(|item| item.id.clone()).collect(),
        gold_share: 0.2,
        repeat_share: 0.2,
    };
    let dir = tempfile::tempdir().unwrap();
    let name = "sim:gold";
    let all = tasks(&items, name, &plan);
    let mut session = Session::open(dir.path(), name, Stamps::system()).unwrap();
    let sim: Simulated = name.parse().unwrap();
    for (done, task) in all.iter().enumerate() {
        let queue = Queue::new(&items, session.history(), &plan);
        assert_eq!(
            (queue.current(), queue.left()),
            (Some(*task), all.len() - done)
        );
        let one = crate::feedback::store::decision::Shown {
            item: &items[task.index],
            slot: task.slot,
            purpose: task.purpose,
            origin: crate::feedback::record::Origin::Sim,
            display: Some(crate::feedback::record::Display {
                order: side_order(&items[task.index], name, task.slot, 7).1,
                order_seed: 0,
                blind: true,
                size: None,
                layout: crate::feedback::record::Layout::None,
                viewed: std::collections::BTreeMap::new(),
            }),
            time: None,
        };
        let decision = sim.decide(&items[task.index], 7, |_, text| text.len() as f64);
        session.judge(&one, decision).unwrap();
    }
    assert_eq!(Queue::new(&items, session.history(), &plan).left(), 0);
}

#[test]
fn a_daily_target_counts_what_stands_since_the_day_began() {
    use crate::feedback::record::{Origin, Scale};
    use crate::feedback::store::decision::{Decision, Shown, Verdict};
    use crate::feedback::store::session::Session;
    use crate::feedback::store::stamps::Stamps;
    const DAY: i64 = 1_700_000_000_000;
    let dir = tempfile::tempdir().unwrap();
    let items: Vec<Item> = (0..5).map(item).collect();
    let judge = |items: &[Item], ms: i64| {
        let stamps = Stamps::new(move || ms, || 1);
        let mut session = Session::open(dir.path(), "ann", stamps).unwrap();
        for item in items {
            let shown = Shown {
                item,
                slot: 0,
                purpose: Purpose::Train,
                origin: Origin::Import,
                display: None,
                time: None,
            };
            session
                .judge(&shown, Decision::new(Verdict::Tie, Scale::Nine))
                .unwrap();
        }
        session.close().unwrap();
    };
    judge(&items[..2], DAY - 1000);
    judge(&items[1..], DAY + 1000);
    let mut session = Session::open(dir.path(), "ann", Stamps::system()).unwrap();
    session.undo().unwrap();
    let mut plan = Plan::seeded(7);
    assert_eq!(plan.today(session.history()), None);
    let target = Target {
        per_day: 4,
        day_began_ms: DAY as u64,
    };
    plan.target = Some(target);
    // Item 0 was yesterday, item 1 was judged again today, item 4 was taken back.
    let today = Today { done: 3, target };
    assert_eq!(plan.today(session.history()), Some(today));
    assert!(!today.is_reached() && Today { done: 4, target }.is_reached());
}

#[test]
fn checks_go_on_among_items_that_are_made_later() {
    let all: Vec<Item> = (0..400).map(item).collect();
    let (known, ordinary) = all.split_at(40);
    let mut plan = Plan::seeded(7);
    plan.checks = Checks {
        known: known.iter().map(|item| item.id.clone()).collect(),
        gold_share: 0.1,
        repeat_share: 0.1,
    };
    let history = nothing_done("ann");
    let mut mixer = plan.mixer(known, &history);
    let first = |index: usize| Task {
        index,
        slot: 0,
        purpose: Purpose::Train,
        choice: Choice::Listed,
    };
    let mut live = Vec::new();
    for (n, item) in ordinary.iter().enumerate() {
        live.extend(mixer.follow(first(40 + n), &item.id, &history));
    }
    let of = |tasks: &[Task], purpose| {
        let is = |task: &&Task| task.purpose == purpose;
        tasks
            .iter()
            .filter(is)
            .map(|t| t.index)
            .collect::<HashSet<_>>()
    };
    assert_eq!(of(&live, Purpose::Train).len(), 360);
    // Four standard deviations of Binomial(360, 0.1): 36 ± 23; there are 40 known answers.
    let (gold, repeats) = (of(&live, Purpose::Gold), of(&live, Purpose::Repeat));
    assert!((13..=40).contains(&gold.len()), "{}", gold.len());
    assert!((10..=59).contains(&repeats.len()), "{}", repeats.len());
    for (place, repeat) in live.iter().enumerate().filter(|(_, t)| t.slot == 1) {
        let before = live.iter().position(|t| *t == first(repeat.index)).unwrap();
        assert!(place - before > checks::REPEAT_GAP);
    }
    // After a restart the same checks are laid among all that is there.
    let again = tasks(&all, "ann", &plan);
    assert_eq!(of(&again, Purpose::Gold), gold);
}
