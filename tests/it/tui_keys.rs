//! The key table, and what no sequence of keys may do.

use proptest::prelude::*;
use rlhf::tui::keys::{Binding, Context, Key, Keymap, Mode, TABLE};
use rlhf::tui::label::draft::Act;
use rlhf::tui::label::state::Setup;
use rlhf::tui::label::update::Event;

use crate::tui_stage::{Stage, pairs, setup};

const SPLIT: (u16, u16) = (120, 36);

#[test]
fn every_action_has_a_place_in_the_help() {
    for (place, row) in TABLE.iter().enumerate() {
        // The keys of a row without help are shown by the row before it, or do what another does.
        let same = |other: &&Binding| other.action.name() == row.action.name();
        let explained = TABLE
            .iter()
            .filter(same)
            .any(|other| !other.help.is_empty());
        let before = TABLE[..place]
            .iter()
            .rev()
            .find(|other| !other.help.is_empty());
        let beside = before.is_some_and(|before| before.modes == row.modes);
        assert!(explained || beside, "{:?}", row.action);
    }
}

#[test]
fn the_footer_shows_at_most_six_keys_and_never_one_that_is_dead() {
    for mode in [
        Mode::Judging,
        Mode::Reason,
        Mode::HandOver,
        Mode::Done,
        Mode::ReadOnly,
    ] {
        let context = Context {
            mode,
            grades: 9,
            choices: 4,
            select_first: false,
            editing: false,
            flip: true,
            hand_over: true,
        };
        let keymap = Keymap::default();
        for width in [40, 80, 120, 300] {
            let footer = keymap.footer(&context, width);
            assert!(
                (1..=6).contains(&footer.len()),
                "{mode:?} at {width}: {footer:?}"
            );
            let hand_over = footer.iter().any(|(keys, _)| keys == "X");
            assert_eq!(
                hand_over,
                mode == Mode::Judging,
                "{mode:?} at {width}: {footer:?}"
            );
            for (keys, word) in footer {
                let first = keys.chars().next().unwrap();
                let key = match keys.as_str() {
                    "Tab" => Key::Tab,
                    "Esc" => Key::Esc,
                    "Enter" => Key::Enter,
                    _ => Key::Char(first),
                };
                assert!(
                    keymap.action(&context, key).is_some(),
                    "{mode:?}: {keys} {word}"
                );
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Input {
    Key(Key),
    Resize(u16, u16),
}

fn input() -> impl Strategy<Value = Input> {
    let keys: Vec<Key> = TABLE
        .iter()
        .flat_map(|row| row.keys.iter().copied())
        .collect();
    prop_oneof![
        8 => prop::sample::select(keys).prop_map(Input::Key),
        1 => (1_u16..160, 1_u16..60).prop_map(|(width, height)| Input::Resize(width, height)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    /// Whatever is pressed and however the window is dragged: nothing panics, no pair is lost or
    /// judged twice, and what stands is what was written and not taken back.
    #[test]
    fn no_keys_lose_a_pair(inputs in prop::collection::vec(input(), 0..120)) {
        let offered = Setup { hand_over: Some("sim:gold".into()), ..setup() };
        let mut stage = Stage::new(offered, SPLIT, pairs(4));
        for input in inputs {
            stage.now += 1000;
            stage.event(match input {
                Input::Key(key) => Event::Key(key, stage.now),
                Input::Resize(width, height) => Event::Resize(width, height),
            });
            stage.screen();
            prop_assert_eq!(stage.app.total(), 4);
        }
        let retracted = stage.drafts.iter().filter(|d| matches!(d.act, Act::Retract(_))).count();
        prop_assert_eq!(stage.app.done.len(), stage.drafts.len() - 2 * retracted);
    }
}
