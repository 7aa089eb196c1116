//! What labels amount to: which of them count where, and the numbers that follow.

use rlhf::feedback::known::Expected;
use rlhf::feedback::record::{Origin, Purpose, Scale};
use rlhf::feedback::report::dispute::disputes;
use rlhf::feedback::report::outcome::PolicyPair;
use rlhf::feedback::report::votes::Votes;
use rlhf::stats::Interval;

use crate::stats_stage::{Project, Say, campaign, say};

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
}

#[test]
fn an_adjudication_decides_for_policies_and_not_for_agreement() {
    let mut project = Project::default();
    project.pairs(1);
    project.says("ada", 0, say(2));
    project.says("ben", 0, say(-1));
    project.adjudicates("eve", 0, -2);
    let report = project.report();
    let pair = &report.people.policies()[0];
    assert_eq!(
        (pair.policy.as_str(), pair.against.as_str()),
        ("new", "old")
    );
    assert_eq!([pair.wins, pair.losses, pair.ties], [1, 0, 0]);
    let agreement = report.people.agreement.unwrap();
    assert_eq!((agreement.units, agreement.raw), (1, 0.0));
    let tally = &report.people.tally;
    assert_eq!((tally.judgements, tally.adjudications), (3, 1));
    // The adjudicator has read what others said, so this is no habit of hers.
    assert_eq!(report.annotators["eve"].tally.left, None);
    assert_eq!(tally.left.unwrap().n, 2);
}

#[test]
fn gold_items_and_repeats_check_annotators_and_say_nothing_about_policies() {
    let mut project = Project::default();
    project.pairs(5);
    let gold = |grade| Say {
        purpose: Purpose::Gold,
        ..say(grade)
    };
    for (item, grade) in [(0, 3), (1, -3), (2, 0)] {
        project.says("ada", item, gold(grade));
    }
    for (item, best) in [(0, Some(0)), (1, Some(0)), (2, None)] {
        let item = &project.labels.items[item];
        let best = best.map(|at: usize| Expected::Best(item.candidates[at].id.clone()));
        let expected = best.unwrap_or(Expected::Tie);
        project.expected.insert(item.id.clone(), expected);
    }
    let again = |grade, first_left| Say {
        purpose: Purpose::Repeat,
        slot: 1,
        first_left,
        ..say(grade)
    };
    project.says("ada", 3, say(2));
    project.says("ada", 3, again(1, false));
    project.says("ada", 4, say(2));
    project.says("ada", 4, again(-1, true));
    let report = project.report();
    let quality = &report.annotators["ada"].quality;
    let gold = quality.gold.unwrap();
    assert_eq!((quality.gold_judged, gold.n), (3, 3));
    near(gold.share, 2.0 / 3.0);
    let repeats = quality.repeats.unwrap();
    assert_eq!(
        (repeats.same.n, repeats.same.share, repeats.swapped),
        (2, 0.5, 1)
    );
    let pair = &report.people.policies()[0];
    assert_eq!(pair.wins + pair.losses + pair.ties, 2);
}

#[test]
fn several_labels_of_a_prompt_are_not_independent() {
    let mut project = Project::default();
    project.pairs(2);
    for annotator in ["ada", "ben", "cleo"] {
        project.says(annotator, 0, say(1));
        project.says(annotator, 1, say(-1));
    }
    let report = project.report();
    let pair = &report.people.policies()[0];
    let wilson = pair.win_rate.unwrap();
    assert_eq!((wilson.n, wilson.share), (6, 0.5));
    assert!(wilson.low > 0.18 && wilson.high < 0.82);
    // Two prompts, one all wins, one all losses: nothing is known.
    let (low, high) = (0.0, 1.0);
    assert_eq!(pair.by_prompt, Some(Interval { low, high }));
    assert_eq!(pair.labels_needed, None);
}

#[test]
fn a_policy_that_wins_by_length_alone_does_not_win_at_equal_length() {
    let mut project = Project::default();
    let (short, long) = ("s".repeat(100), "l".repeat(300));
    // The longer one wins three of four; `new` is the longer one in four of five.
    for i in 0..100 {
        let new_is_longer = i % 5 != 0;
        let texts = if new_is_longer {
            [&short, &long]
        } else {
            [&long, &short]
        };
        let texts = texts.map(|text| format!("{text}{i:03}"));
        let item = project.pair(
            &format!("question {i}"),
            [(&texts[0], "old"), (&texts[1], "new")],
        );
        let longer_wins = (i / 5) % 4 != 0;
        let new_wins = new_is_longer == longer_wins;
        let said = Say {
            first_left: i % 2 == 0,
            ..say(if new_wins { -1 } else { 1 })
        };
        project.says("ada", item, said);
    }
    let report = project.report();
    let pair = &report.people.policies()[0];
    near(pair.win_rate.unwrap().share, 0.65);
    let controlled = pair.controlled.unwrap();
    assert!((controlled.share - 0.5).abs() < 0.01, "{controlled:?}");
    let interval = controlled.interval.unwrap();
    assert!(interval.low < 0.5 && 0.5 < interval.high, "{interval:?}");
    // log 3 per (303 − 103) / 406.
    let length = report.people.bias.length.unwrap();
    assert!(
        (length.estimate.value - 3.0_f64.ln() * 406.0 / 200.0).abs() < 0.05,
        "{length:?}"
    );
    near(report.people.bias.longer_of_unequal.unwrap().share, 0.75);
}

#[test]
fn lengths_are_measured_where_all_answers_are_of_one_policy() {
    let mut project = Project::default();
    for i in 0..80 {
        let texts = [format!("{i:02}").repeat(50), format!("{i:02}").repeat(150)];
        let item = project.pair(&format!("q{i}"), [(&texts[0], "p"), (&texts[1], "p")]);
        project.says("ada", item, say(if i % 4 == 0 { 1 } else { -1 }));
    }
    let report = project.report();
    assert!(report.people.policies().is_empty());
    // The sides never change, so γ and λ cannot be told apart: the longer one is always on the right.
    assert_eq!(report.people.bias.length, None);
    for (at, label) in project.labels.labels.iter_mut().enumerate() {
        if (at / 4) % 2 == 0 {
            label.record.display.as_mut().unwrap().order.reverse();
        }
    }
    let bias = project.report().people.bias;
    // log 3 per (300 − 100) / 400, and no side.
    let (length, side) = (bias.length.unwrap(), bias.side.unwrap());
    assert!(
        (length.estimate.value - 2.0 * 3.0_f64.ln()).abs() < 1e-9,
        "{length:?}"
    );
    assert!(side.estimate.value.abs() < 1e-9, "{side:?}");
}

#[test]
fn a_habit_of_choosing_the_left_is_measured_with_everything_else_equal() {
    let mut project = Project::default();
    project.pairs(100);
    for item in 0..100 {
        let first_left = item % 2 == 0;
        let left_wins = (item / 2) % 5 < 4;
        let said = Say {
            first_left,
            ..say(if first_left == left_wins { 1 } else { -1 })
        };
        project.says("ada", item, said);
    }
    let report = project.report();
    let left = report.people.tally.left.unwrap();
    assert_eq!((left.n, left.share), (100, 0.8));
    assert!(report.people.tally.left_p.unwrap() < 1e-8);
    let side = report.people.bias.side.unwrap();
    assert!(
        (side.estimate.value - 4.0_f64.ln()).abs() < 0.05,
        "{side:?}"
    );
    assert!(side.estimate.p.unwrap() < 1e-6);
}

#[test]
fn win_rates_are_shown_by_how_items_were_chosen() {
    let mut project = Project::default();
    for i in 0..6 {
        let selector = ["random", "uncertainty"][i % 2];
        let (a, b) = (format!("a{i}"), format!("b{i}"));
        let item = project.chosen_by(selector, &format!("q{i}"), [(&a, "old"), (&b, "new")]);
        project.says("ada", item, say(if i % 2 == 0 { -1 } else { 1 }));
    }
    let report = project.report();
    let shares = &report.people.policies()[0].by_selector;
    let shares: Vec<_> = shares
        .iter()
        .map(|(name, s)| (name.as_str(), s.n, s.share))
        .collect();
    assert_eq!(shares, [("random", 3, 1.0), ("uncertainty", 3, 0.0)]);
}

#[test]
fn policies_that_never_met_have_no_ratings_and_the_reason() {
    let mut project = Project::default();
    for (i, policies) in [["a", "b"], ["c", "d"]].into_iter().enumerate() {
        let texts = [format!("x{i}"), format!("y{i}")];
        project.pair(
            &format!("q{i}"),
            [(&texts[0], policies[0]), (&texts[1], policies[1])],
        );
        project.says("ada", i, say(1));
    }
    let outcomes = project.report().people.outcomes;
    assert_eq!(outcomes.ratings, None);
    assert_eq!(
        outcomes.no_ratings.unwrap(),
        "a and c were never compared, directly or through others: judge pairs of both"
    );
}

#[test]
fn three_policies_are_rated_from_the_first_round_on() {
    let mut project = Project::default();
    // r1 beats r0 in 3 of 4, r2 beats r1 in 3 of 4; r2 never met r0.
    for i in 0..80 {
        let policies = [["r0", "r1"], ["r1", "r2"]][i % 2];
        let texts = [format!("x{i}"), format!("y{i}")];
        project.pair(
            &format!("q{i}"),
            [(&texts[0], policies[0]), (&texts[1], policies[1])],
        );
        project.says("ada", i, say(if (i / 2) % 4 == 0 { 1 } else { -1 }));
    }
    let table = project.report().people.outcomes.ratings.unwrap();
    let elo: Vec<_> = table
        .rated
        .iter()
        .map(|r| (r.policy.as_str(), r.elo.round()))
        .collect();
    // 400 log10 3 = 190.85 per step, anchored at the policy that sorts first among the round's.
    assert_eq!(table.anchor, "r1");
    assert_eq!(elo, [("r2", 191.0), ("r1", 0.0), ("r0", -191.0)]);
    let far = &table.differences[1];
    assert_eq!((far.policy.as_str(), far.against.as_str()), ("r2", "r0"));
    assert_eq!(far.elo.round(), 382.0);
    assert!(far.p.unwrap() < 0.001 && !table.prior);
}

#[test]
fn agreement_has_a_kappa_for_choices_and_one_for_grades() {
    let mut project = Project::default();
    project.pairs(4);
    for (item, (ada, ben)) in [(3, 4), (-1, -4), (2, -1), (0, 0)].into_iter().enumerate() {
        project.says("ada", item, say(ada));
        project.says("ben", item, say(ben));
    }
    // A binary judgement has no grade and counts for A, tie and B only.
    let binary = Say {
        scale: Scale::Binary,
        ..say(1)
    };
    project.says("cleo", 0, binary);
    let agreement = project.report().people.agreement.unwrap();
    assert_eq!(agreement.units, 4);
    assert_eq!(agreement.nominal.unwrap().units, 4);
    let [both, ..] = &agreement.pairs[..] else {
        panic!("{agreement:?}")
    };
    assert_eq!((both.items, both.raw), (4, 0.75));
    // A: 2 and 1 of 4, tie: 1 and 1, B: 1 and 2: expected 5/16.
    near(both.kappa.unwrap().kappa, 1.0 - 0.25 / (1.0 - 5.0 / 16.0));
    // Squares 1 + 9 + 9 + 0 = 19; expected Σ Σ (a−b)²/4 over {3,−1,2,0} × {4,−4,−1,0} = 196/4.
    near(both.kappa_quadratic.unwrap().kappa, 1.0 - 19.0 / 49.0);
    assert_eq!(agreement.pairs[1].annotators, ["ada", "cleo"]);
    assert_eq!(agreement.pairs[1].kappa_quadratic, None);
}

#[test]
fn the_course_of_an_annotator_comes_in_stretches_of_fifty() {
    let mut project = Project::default();
    project.pairs(120);
    for item in 0..120 {
        let said = Say {
            active_ms: if item < 50 { 9_000 } else { 2_000 },
            ..say(i8::from(item % 10 != 0))
        };
        project.says("ada", item, said);
        project.says("ben", item, say(1));
    }
    let quality = project.report().annotators["ada"].quality.clone();
    let blocks: Vec<_> = quality
        .blocks
        .iter()
        .map(|b| (b.from, b.judgements, b.ties))
        .collect();
    assert_eq!(blocks, [(1, 50, 0.1), (51, 50, 0.1), (101, 20, 0.1)]);
    let medians: Vec<_> = quality
        .blocks
        .iter()
        .map(|b| b.median_active_ms.unwrap())
        .collect();
    assert_eq!(medians, [9_000.0, 2_000.0, 2_000.0]);
    let peer = quality.with_others.unwrap();
    assert_eq!((peer.n, peer.share), (120, 0.9));
    let trend = project.report().people.agreement.unwrap().trend;
    assert_eq!(trend.len(), 12);
    assert!(
        trend
            .iter()
            .all(|point| point.units == 10 && (point.raw - 0.9).abs() < 1e-12)
    );
}

#[test]
fn aspects_are_counted_for_the_policies() {
    let mut project = Project::default();
    project.pairs(3);
    for (item, grade) in [3_i8, -2, 0].into_iter().enumerate() {
        let record = project.says("ada", item, say(1));
        record.aspects.insert("helpful".into(), grade);
    }
    let report = project.report();
    let [helpful] = &report.people.aspects[..] else {
        panic!("{:?}", report.people.aspects)
    };
    assert_eq!(
        (helpful.name.as_str(), helpful.n, helpful.ties),
        ("helpful", 3, 1)
    );
    let together = helpful.with_overall.unwrap();
    assert_eq!((together.n, together.share), (2, 0.5));
    // Positive favours `old`, the first answer; the pair is counted for `new`.
    let pair = &helpful.policies[0];
    assert_eq!((pair.policy.as_str(), pair.n), ("new", 3));
    near(pair.mean, -1.0 / 3.0);
}

#[test]
fn the_widest_disagreement_comes_first_and_people_before_programs() {
    let mut project = Project::default();
    project.pairs(4);
    for (item, ada, ben) in [(0, 1, -1), (1, 4, -4), (2, 4, 1), (3, 1, 0)] {
        project.says("ada", item, say(ada));
        project.says("ben", item, say(ben));
    }
    project.says("sim:gold", 2, say(-1));
    project.says("sim:gold:noise=0.5", 2, say(1));
    let votes = Votes::new(&project.labels);
    let found = disputes(&votes, 9);
    let distances: Vec<_> = found.iter().map(|dispute| dispute.distance).collect();
    assert_eq!(distances, [8.0, 2.0, 1.0]);
    assert_eq!(found[0].item.id, project.labels.items[1].id);
    assert_eq!(disputes(&votes, 1).len(), 1);
}

#[test]
fn a_policy_that_was_only_refused_has_no_win_rate() {
    let mut project = Project::default();
    for i in 0..40 {
        let texts = [format!("{i:02}"), format!("{i:02}").repeat(2 + i % 3)];
        let item = project.pair(&format!("q{i}"), [(&texts[0], "old"), (&texts[1], "new")]);
        let said = Say {
            first_left: i % 5 < 2,
            ..say(if i % 4 == 0 { 1 } else { -1 })
        };
        project.says("ada", item, said);
    }
    let item = project.pair("refused", [("x", "new"), ("yy", "bad")]);
    project.refuses("ada", item);
    let pairs = project.report().people.outcomes.policies;
    let [bad, new] = &pairs[..] else {
        panic!("{pairs:?}")
    };
    assert_eq!((bad.policy.as_str(), bad.both_bad), ("bad", 1));
    assert_eq!((bad.controlled, bad.win_rate), (None, None));
    assert!(new.controlled.is_some());
}

#[test]
fn a_win_is_of_the_policy_that_the_judgement_names() {
    let mut project = Project::default();
    project.pairs(2);
    project.says("ada", 0, say(1));
    // The same two texts, from another model: the item is the same, since its id is of the text.
    let record = project.says("ben", 0, say(1));
    record.candidates[0].policy = "other".into();
    record.aspects.insert("helpful".into(), 2);
    let record = project.says("ben", 1, say(-1));
    record.candidates[0].policy = "other".into();
    let report = project.report();
    let pairs = report.people.policies().iter();
    let pairs: Vec<_> = pairs
        .map(|pair| (&*pair.policy, &*pair.against, pair.wins, pair.losses))
        .collect();
    assert_eq!(pairs, [("new", "old", 0, 1), ("new", "other", 1, 1)]);
    let aspect = &report.people.aspects[0].policies[0];
    assert_eq!((&*aspect.policy, &*aspect.against), ("new", "other"));
}

#[test]
fn grades_of_two_scales_are_pooled_by_their_words() {
    let mut project = Project::default();
    project.pairs(4);
    // "Slightly", "better" and "much better" on either scale.
    for (item, (nine, seven)) in [(2, 1), (-3, -2), (4, 3), (0, 0)].into_iter().enumerate() {
        project.says("ada", item, say(nine));
        let said = Say {
            scale: Scale::Seven,
            ..say(seven)
        };
        project.says("ben", item, said);
    }
    let agreement = project.report().people.agreement.unwrap();
    near(agreement.ordinal.unwrap().alpha, 1.0);
    near(agreement.pairs[0].kappa_quadratic.unwrap().kappa, 1.0);
}

#[test]
fn an_import_without_times_has_no_course() {
    let mut project = Project::default();
    project.pairs(60);
    for item in 0..60 {
        for annotator in ["ada", "ben"] {
            let record = project.says(annotator, item, say(1));
            record.origin = Some(Origin::Import);
            // Rows of ours keep their time and what was shown; others have the time of the import.
            if item >= 20 {
                record.display = None;
            }
        }
    }
    let report = project.report();
    let agreement = report.people.agreement.unwrap();
    let trend: usize = agreement.trend.iter().map(|point| point.units).sum();
    assert_eq!(
        (agreement.units, trend, agreement.untimed_units),
        (60, 20, 40)
    );
    assert_eq!(report.people.untimed, 80);
    let pace = report.people.pace.unwrap();
    assert_eq!(pace.counts.iter().sum::<usize>(), 40);
    let blocks = &report.annotators["ada"].quality.blocks;
    let blocks: Vec<_> = blocks.iter().map(|b| (b.from, b.judgements)).collect();
    assert_eq!(blocks, [(1, 20)]);
}

#[test]
fn an_import_beside_people_leaves_their_trend() {
    let mut project = Project::default();
    project.pairs(30);
    for item in 0..30 {
        project.says("ada", item, say(1));
        project.says("ben", item, say(if item < 15 { 1 } else { -1 }));
        let record = project.says("crowd", item, say(-1));
        (record.origin, record.display) = (Some(Origin::Import), None);
    }
    let agreement = project.report().people.agreement.unwrap();
    let trend: Vec<_> = agreement.trend.iter().map(|p| (p.units, p.raw)).collect();
    // Ada and Ben alone: fifteen items on which they agree, fifteen on which they do not.
    assert_eq!(trend, [(10, 1.0), (10, 0.5), (10, 0.0)]);
    assert_eq!((agreement.units, agreement.untimed_units), (30, 0));
}

#[test]
fn verdicts_are_correlated_with_lengths() {
    let mut project = Project::default();
    // (new − old) / both: 1/2, 0, 1/2, −1/3.
    let lengths = [("o", "nnn"), ("oo", "nn"), ("o", "mmm"), ("oo", "n")];
    for (i, (old, new)) in lengths.into_iter().enumerate() {
        project.pair(&format!("q{i}"), [(old, "old"), (new, "new")]);
    }
    project.says("ada", 0, say(-4));
    project.says("ada", 1, say(-1));
    project.says("ada", 2, say(0));
    let binary = Say {
        scale: Scale::Binary,
        ..say(1)
    };
    project.says("ada", 3, binary);
    let bias = project.report().people.bias;
    // Every preference counts the same: Σ l v = 1/2 + 1/3; Σ l² = 1/2 + 1/9; Σ v² = 3.
    let found = bias.length_correlation.unwrap();
    assert_eq!(found.n, 4);
    near(found.r, (5.0 / 6.0) / (11.0 / 18.0 * 3.0_f64).sqrt());
    assert!(found.interval.unwrap().high <= 1.0);
    // Only what was graded has a grade: Σ l v = 2; Σ l² = 1/2; Σ v² = 16 + 1.
    let graded = bias.length_grade_correlation.unwrap();
    assert_eq!(graded.n, 3);
    near(graded.r, 2.0 / (0.5 * 17.0_f64).sqrt());
}

#[test]
fn a_binary_campaign_has_no_correlation_of_lengths_and_grades() {
    let mut project = Project::default();
    project.pairs(4);
    for item in 0..4 {
        let said = Say {
            scale: Scale::Binary,
            ..say(if item == 0 { 1 } else { -1 })
        };
        project.says("ada", item, said);
    }
    let bias = project.report().people.bias;
    assert_eq!(bias.length_grade_correlation, None);
    assert_eq!(bias.length_correlation.unwrap().n, 4);
}

#[test]
fn every_figure_says_how_many_it_rests_on() {
    let report = campaign().report();
    let bias = &report.people.bias;
    // 121 judgements of people, one of them both bad.
    let duels = 120;
    let [side, length] = [bias.side.unwrap(), bias.length.unwrap()];
    assert_eq!([side.n, length.n], [duels, duels]);
    let interval = side.interval.unwrap();
    assert!(interval.low < side.estimate.value && side.estimate.value < interval.high);
    let pair = &report.people.policies()[0];
    assert_eq!(pair.controlled.unwrap().n, duels);
    let table = report.people.outcomes.ratings.as_ref().unwrap();
    assert_eq!(table.comparisons, duels);
    let ada = &report.annotators["ada"];
    let peer = ada.quality.with_others.unwrap();
    assert!(peer.interval.low < peer.share && peer.share < peer.interval.high);
    assert_eq!(ada.tally.timed, ada.tally.judgements);
    let median = ada.tally.median_active_ms.unwrap();
    let around = ada.tally.median_active_interval.unwrap();
    assert!(around.low < median && median < around.high, "{around:?}");
    let agreement = report.people.agreement.as_ref().unwrap();
    let raw = agreement.raw_interval.unwrap();
    assert!(raw.low < agreement.raw && agreement.raw < raw.high);
    let kappa = agreement.pairs[0].kappa.unwrap();
    assert!(kappa.interval.unwrap().low < kappa.kappa);
}

#[test]
fn a_win_rate_in_question_has_its_number_of_labels() {
    let mut project = Project::default();
    project.pairs(100);
    for item in 0..100 {
        project.says("ada", item, say(if item % 10 < 6 { 1 } else { -1 }));
    }
    let mut report = project.report();
    report.ask(0.58);
    report.ask(0.58);
    report.ask(0.5);
    let asked: Vec<_> = report
        .power
        .iter()
        .map(|p| (p.win_rate, p.labels))
        .collect();
    // 0.58: (1.959964 · 0.5 + 0.841621 √(0.58 · 0.42))² / 0.08² = 304.6.
    let table = [
        (0.55, 783),
        (0.57, 399),
        (0.58, 305),
        (0.6, 194),
        (0.65, 85),
    ];
    assert_eq!(asked, table);
    let pair = &report.people.policies()[0];
    let missing: Vec<u64> = pair.more_labels.iter().map(|more| more.labels).collect();
    assert_eq!(
        (pair.decisive(), missing),
        (100, vec![683, 299, 205, 94, 0])
    );
}

#[test]
fn people_are_the_figures_wherever_their_judgements_come_from() {
    let mut project = Project::default();
    project.pairs(3);
    for item in 0..3 {
        project.says("sim:gold", item, say(1));
    }
    let programs = project.report();
    assert_eq!(programs.figures_of, Some("simulated"));
    // An imported judgement of a program, such as a rating by a model, stays with the programs.
    project.says("sim:gpt-4", 0, say(1)).origin = Some(Origin::Import);
    let record = project.says("crowd", 0, say(-1));
    record.origin = Some(Origin::Import);
    record.display = None;
    let report = project.report();
    assert_eq!(report.figures_of, Some("people"));
    let wins = |pairs: &[PolicyPair]| [pairs[0].wins, pairs[0].losses];
    assert_eq!(wins(report.people.policies()), [1, 0]);
    assert_eq!(wins(report.simulated.policies()), [0, 4]);
    // Neither agreement nor peers cross the border.
    assert_eq!(report.people.agreement, None);
    assert_eq!(report.annotators["crowd"].quality.with_others, None);
    assert_eq!(report.simulated.agreement.unwrap().units, 1);
    assert_eq!(report.people.untimed, 1);
    assert_eq!(Project::default().report().figures_of, None);
}

#[test]
fn rankings_are_disputed_too() {
    let mut project = Project::default();
    let item = project.several("q", &[("a", "p"), ("b", "p"), ("c", "p")]);
    project.ranks("ada", item, &[&[0], &[1], &[2]]);
    project.ranks("ben", item, &[&[2], &[0, 1]]);
    let votes = Votes::new(&project.labels);
    let found = disputes(&votes, 9);
    // A before B against a tie: 2; A and B before C against C before both: 4 and 4.
    near(found[0].distance, 10.0 / 3.0);
}

#[test]
fn a_repeated_ranking_is_compared_pair_by_pair() {
    let mut project = Project::default();
    let item = project.several("q", &[("a", "p"), ("b", "p"), ("c", "p")]);
    project.ranks("ada", item, &[&[0], &[1], &[2]]);
    let again = project.ranks("ada", item, &[&[1], &[0], &[2]]);
    again.purpose = Some(Purpose::Repeat);
    again.slot = Some(1);
    let repeats = project.report().annotators["ada"].quality.repeats.unwrap();
    assert_eq!(repeats.same.n, 3);
    near(repeats.same.share, 2.0 / 3.0);
}
