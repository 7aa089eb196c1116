//! Every state of the labelling screen at 120x36, 80x24 and 40x12.

use std::rc::Rc;

use insta::assert_snapshot;
use proptest::prelude::*;
use rlhf::feedback::record::Scale;
use rlhf::tui::label::history::Entry;
use rlhf::tui::label::scale::{Decision, SKIP_REASONS};
use rlhf::tui::label::state::{Desk, Pair, Remarks, Role, Setup};
use rlhf::tui::label::update::Event;
use ulid::Ulid;

use crate::stats_stage::campaign;
use crate::tui_stage::{Stage, conversation, guidelines, pair, ranking, setup};

const SIZES: [(u16, u16); 3] = [(120, 36), (80, 24), (40, 12)];

fn bread() -> Pair {
    let turns = [
        (
            "user",
            "My bread is dense. I use 500 g flour and 350 g water.",
        ),
        (
            "assistant",
            "How long do you let it rise, and how warm is the room?",
        ),
        ("user", "4 hours at 18 °C. What should I change first?"),
    ];
    let a = "Let it rise for **8 hours** at 18 °C, until it has grown by half. Then bake it hot:\n\n\
             - 250 °C for 15 minutes\n- 220 °C for 25 minutes";
    let b = "Let it rise for **4 hours** at 28 °C, until it has doubled. Then bake it hot:\n\n\
             - 230 °C for 40 minutes";
    conversation(&turns, a, b)
}

fn cities() -> Pair {
    let answers = [
        "Paris is the capital of France.",
        "Bread is not a city, and I cannot help with it.",
        "Rome. It was not built in a day; its people will tell you more than you asked.",
        "Oslo, since 1925; before that it was called Kristiania.",
    ];
    ranking("Name a capital city.", &answers)
}

/// A pair on the screen, and these keys pressed.
fn pressed(size: (u16, u16), keys: &str) -> Stage {
    let mut stage = Stage::new(setup(), size, vec![bread(), pair("q", "a", "b")]);
    stage.press(keys);
    stage
}

fn typed(size: (u16, u16), keys: &str, text: &str) -> Stage {
    let mut stage = pressed(size, keys);
    stage.write(text);
    stage
}

fn ranked(size: (u16, u16), keys: &str) -> Stage {
    let mut stage = Stage::new(setup(), size, vec![cities()]);
    stage.press(keys);
    stage
}

fn opened(size: (u16, u16), asked: Setup, desk: Desk) -> Stage {
    let mut stage = Stage::locked(asked, size);
    stage.event(Event::Opened(desk, 0));
    stage
}

/// A moderator at work.
fn settling(size: (u16, u16), role: Role, keys: &str) -> Stage {
    let setup = Setup { role, ..setup() };
    let mut stage = Stage::new(setup, size, vec![bread(), pair("q", "a", "b")]);
    stage.press(keys);
    stage
}

fn locked(size: (u16, u16), keys: &str) -> Stage {
    let mut stage = Stage::locked(setup(), size);
    let holder = "annotator \"ann_7f3a\" is open elsewhere (process 4711 on desk.example)";
    stage.event(Event::StillLocked(holder.into()));
    stage.press(keys);
    stage
}

fn entry(n: u128, decision: Decision, note: &str) -> Entry {
    Entry {
        id: Ulid::from_parts(0, n),
        pair: Rc::new(bread()),
        decision,
        scale: Scale::Nine,
        remarks: Remarks {
            note: note.into(),
            ..Remarks::default()
        },
        when: format!("2026-11-2{n} 09:30"),
    }
}

fn history(size: (u16, u16), keys: &str) -> Stage {
    let mut stage = pressed(size, "");
    let strength = Some(2);
    let entries = vec![
        entry(
            3,
            Decision::Prefer { side: 1, strength },
            "B ignores the room",
        ),
        entry(2, Decision::Skip(&SKIP_REASONS[1]), ""),
        entry(1, Decision::Tie, ""),
    ];
    stage.event(Event::Listed(entries, 12));
    stage.press(keys);
    stage
}

type Make = fn((u16, u16)) -> Stage;

/// Every state by name.
const STATES: &[(&str, Make)] = &[
    ("judging", |size| pressed(size, "")),
    ("commented", |size| {
        let mut stage = typed(size, "c", "B ignores the 18 °C clue");
        stage.press("<enter> F 1 3 <esc> a 1 <esc>");
        stage
    }),
    ("note", |size| {
        typed(
            size,
            "c",
            "B ignores the 18 °C clue, and 28 °C is the oven, not the room",
        )
    }),
    ("flags", |size| pressed(size, "F 2 j")),
    ("aspects", |size| pressed(size, "a 1 6")),
    ("skip", |size| pressed(size, "s")),
    ("ranking", |size| ranked(size, "2")),
    ("ranked", |size| ranked(size, "2 4 1 2")),
    ("diff", |size| pressed(size, "d")),
    ("markdown", |size| pressed(size, "m")),
    ("prompt", |size| pressed(size, "p")),
    ("searching", |size| typed(size, "/", "18 °C")),
    ("found", |size| {
        let mut stage = typed(size, "/", "bake");
        stage.press("<enter> n");
        stage
    }),
    ("palette", |size| typed(size, ":", "pair")),
    ("help", |size| pressed(size, "?")),
    ("help_searched", |size| typed(size, "? /", "comment")),
    ("history", |size| history(size, "j")),
    ("history_filtered", |size| history(size, "f f")),
    ("history_opened", |size| history(size, "<enter>")),
    ("selected", |size| {
        let careful = Setup {
            auto_commit: false,
            ..setup()
        };
        let mut stage = Stage::new(careful, size, vec![bread()]);
        stage.press("8");
        stage
    }),
    ("guidelines", |size| {
        let text = "# Guidelines\n\nPrefer the answer that helps.\n\tWrong advice loses.\n";
        let asked = Setup {
            guidelines: Some(guidelines(text)),
            ..setup()
        };
        Stage::new(asked, size, vec![bread()])
    }),
    ("locked", |size| locked(size, "")),
    ("asked_to_yield", |size| locked(size, "t")),
    ("reading", |size| {
        let mut stage = locked(size, "r");
        let desk = Desk {
            pairs: vec![bread()],
            ..Desk::default()
        };
        stage.event(Event::Opened(desk, 2_000));
        stage
    }),
    ("adjudicating", |size| settling(size, Role::Adjudicator, "")),
    ("settled", |size| {
        settling(size, Role::Adjudicator, "<tab> 3")
    }),
    ("reviewing", |size| {
        settling(size, Role::Reviewer("mia".into()), "")
    }),
    ("waiting", |size| {
        let desk = Desk {
            more: true,
            ..Desk::default()
        };
        opened(size, setup(), desk)
    }),
    ("done", |size| opened(size, setup(), Desk::default())),
    ("statistics", |size| {
        let mut stage = pressed(size, "%");
        stage.event(Event::Counted(Ok(Box::new(campaign().report())), 0));
        stage
    }),
];

#[test]
fn every_state_at_three_sizes() {
    for (name, make) in STATES {
        for size in SIZES {
            let stage = make(size);
            assert_snapshot!(format!("{name}_{}x{}", size.0, size.1), stage.screen());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) })]

    /// Whatever is open, a window that is dragged through any sizes never panics, and what was open
    /// is still open when it is large again.
    #[test]
    fn resize_storms(sizes in prop::collection::vec((1_u16..=300, 1_u16..=100), 1..6)) {
        for (name, make) in STATES {
            let mut stage = make((120, 36));
            let before = (stage.app.screen.clone(), stage.app.remarks.clone());
            let drafts = stage.drafts.len();
            for &(width, height) in &sizes {
                stage.event(Event::Resize(width, height));
                stage.screen();
            }
            stage.event(Event::Resize(120, 36));
            prop_assert_eq!((&stage.app.screen, &stage.app.remarks), (&before.0, &before.1), "{}", name);
            prop_assert_eq!(stage.drafts.len(), drafts);
        }
    }
}
