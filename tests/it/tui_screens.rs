//! What the labelling screen looks like, at 120x36, 80x24 and 40x12.

use insta::assert_snapshot;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};
use rlhf::feedback::record::Scale;
use rlhf::tui::label::draw::draw;
use rlhf::tui::label::layout::{inside, layout};
use rlhf::tui::label::state::{Pair, Setup};
use rlhf::tui::label::update::Event;
use rlhf::tui::theme::Theme;

use crate::tui_stage::{Stage, conversation, guidelines, pair, setup};

const WIDE: (u16, u16) = (120, 36);
const NORMAL: (u16, u16) = (80, 24);
const SMALL: (u16, u16) = (40, 12);

fn sourdough() -> Pair {
    let turns = [
        (
            "user",
            "My sourdough is dense and gummy. I use 500 g flour, 350 g water, 100 g starter.",
        ),
        (
            "assistant",
            "How long do you bulk-ferment it, and at what temperature?",
        ),
        (
            "user",
            "About 4 hours at 18 °C. 外の皮は硬いです。 What should I change first, and why?",
        ),
    ];
    let short = "Bulk fermentation is too short for 18 °C.\n\nGive it 8 to 10 hours, until the dough \
                 has grown by half. 外の皮が硬いのは、焼く時間が長すぎるからです。 👩‍🍳";
    let tips = [
        "flour", "water", "salt", "starter", "oven", "steam", "shaping", "scoring",
    ];
    let tip = |(i, tip): (usize, &&str)| {
        format!(
            "{}. Try changing the {tip} a little and see whether that helps the crumb.",
            i + 1
        )
    };
    let tips: Vec<String> = tips.iter().cycle().take(16).enumerate().map(tip).collect();
    let long = format!(
        "Sourdough can be dense for many reasons!\n\n{}",
        tips.join("\n")
    );
    conversation(&turns, short, &long)
}

fn rice() -> Pair {
    pair(
        "How do I cook rice?",
        "Rinse it, then simmer it for 12 minutes.",
        "Boil it.",
    )
}

fn stage(size: (u16, u16)) -> Stage {
    Stage::new(
        setup(),
        size,
        vec![sourdough(), rice(), rice(), rice(), rice()],
    )
}

#[test]
fn a_pair_at_three_sizes() {
    assert_snapshot!("pair_120x36", stage(WIDE).screen());
    assert_snapshot!("pair_80x24", stage(NORMAL).screen());
    assert_snapshot!("pair_40x12", stage(SMALL).screen());
}

#[test]
fn after_judging_and_undo_at_three_sizes() {
    let judged = |size| {
        let mut stage = stage(size);
        stage.press("<tab> 7 <tab> b <tab> 5 <tab> 2 u");
        stage.screen()
    };
    assert_snapshot!("taken_back_120x36", judged(WIDE));
    assert_snapshot!("taken_back_80x24", judged(NORMAL));
    assert_snapshot!("taken_back_40x12", judged(SMALL));
}

#[test]
fn scrolled_to_the_end_of_both_answers() {
    assert_snapshot!("scrolled_120x36", stage(WIDE).press("l G").screen());
    assert_snapshot!(
        "flipped_80x24",
        stage(NORMAL).press("<tab> <pgdn>").screen()
    );
}

#[test]
fn the_dialogs_at_three_sizes() {
    let offered = Setup {
        hand_over: Some("sim:gold".into()),
        ..setup()
    };
    for (size, name) in [(WIDE, "120x36"), (NORMAL, "80x24"), (SMALL, "40x12")] {
        assert_snapshot!(
            format!("cannot_judge_{name}"),
            stage(size).press("0").screen()
        );
        let mut offered = Stage::new(offered.clone(), size, vec![rice(); 400]);
        assert_snapshot!(format!("hand_over_offered_{name}"), offered.screen());
        assert_snapshot!(
            format!("hand_over_asked_{name}"),
            offered.press("X").screen()
        );
    }
    assert_snapshot!("skip_80x24", stage(NORMAL).press("s").screen());
}

#[test]
fn the_help_is_the_key_table() {
    assert_snapshot!("help_80x24", stage(NORMAL).press("?").screen());
    assert_snapshot!("help_40x12_end", stage(SMALL).press("? G").screen());
}

#[test]
fn a_failed_write_says_so_and_keeps_the_judgement_in_view() {
    let failed = |size| {
        let mut stage = stage(size);
        stage.disk_error =
            Some("feedback/ann_7f3a/01ARZ3NDEKTSV4RRFFQ69G5FAV.jsonl: No space left on device");
        stage.press("<tab> 8");
        stage.screen()
    };
    assert_snapshot!("not_saved_120x36", failed(WIDE));
    assert_snapshot!("not_saved_80x24", failed(NORMAL));
    assert_snapshot!("not_saved_40x12", failed(SMALL));
}

#[test]
fn guidelines_lock_and_end() {
    let text = "# Guidelines\n\nPrefer the answer that helps.\n\tWrong advice loses.\n";
    let asked = Setup {
        guidelines: Some(guidelines(text)),
        ..setup()
    };
    assert_snapshot!(
        "guidelines_80x24",
        Stage::new(asked, NORMAL, vec![rice()]).screen()
    );
    let mut locked = Stage::locked(setup(), NORMAL);
    let holder = "annotator \"ann_7f3a\" is open elsewhere (process 4711 on desk.example)";
    locked.event(Event::StillLocked(holder.into()));
    assert_snapshot!("locked_80x24", locked.screen());
    let mut done = Stage::new(setup(), NORMAL, vec![rice(), rice(), rice(), rice()]);
    assert_snapshot!(
        "done_80x24",
        done.press("<tab> 7 <tab> 5 <tab> b s 2").screen()
    );
}

#[test]
fn the_scales_at_full_width() {
    let row = |scale| {
        let mut stage = Stage::new(
            Setup {
                scale,
                auto_commit: false,
                ..setup()
            },
            WIDE,
            vec![rice()],
        );
        stage
            .press("2")
            .screen()
            .lines()
            .nth(32)
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        row(Scale::Seven).trim(),
        "A  1 much [2 better] 3 slightly    4 tie    5 slightly  6 better  7 much    B"
    );
    assert_eq!(
        row(Scale::Binary).trim(),
        "A  1 better    5 tie   [2 better]   B"
    );
}

#[test]
fn too_small_says_what_it_needs() {
    let screen = |width, height| stage((width, height)).screen();
    assert_eq!(
        screen(39, 12).trim_end(),
        "terminal too small: 39x12, needs 40x12"
    );
    assert_eq!(screen(10, 4), "terminal\ntoo small:\n10x4,\nneeds");
    assert_eq!(screen(1, 1), "t");
}

fn cells(stage: &mut Stage, theme: Theme) -> Buffer {
    let (width, height) = stage.app.size;
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    stage.app.setup.theme = theme;
    draw(&stage.app, &mut buffer);
    buffer
}

#[test]
fn selection_is_reversed_and_bracketed_and_colour_is_never_needed() {
    let careful = Setup {
        auto_commit: false,
        ..setup()
    };
    let mut stage = Stage::new(careful, WIDE, vec![sourdough()]);
    stage.press("8");
    let buffer = cells(&mut stage, Theme::PLAIN);
    let plain = |cell: &ratatui::buffer::Cell| (cell.fg, cell.bg) == (Color::Reset, Color::Reset);
    assert!(
        buffer.content.iter().all(plain),
        "NO_COLOR leaves no colour"
    );
    let reversed = buffer
        .content
        .iter()
        .filter(|c| c.modifier.contains(Modifier::REVERSED));
    assert_eq!(
        reversed
            .map(ratatui::buffer::Cell::symbol)
            .collect::<String>(),
        "[8 better]"
    );
}

#[test]
fn both_answers_are_drawn_alike() {
    let same = "The same answer, long enough to be wrapped over more than one row of its pane.";
    let mut twin = sourdough();
    for candidate in &mut twin.item.candidates {
        candidate.text = same.into();
    }
    let mut stage = Stage::new(setup(), WIDE, vec![twin]);
    let buffer = cells(&mut stage, Theme::DARK);
    let answers = layout(120, 36).unwrap().answers;
    let [a, b] = [0, 1].map(|side| inside(answers.pane(side)));
    for (x, y) in (0..a.width).flat_map(|x| (0..a.height).map(move |y| (x, y))) {
        assert_eq!(
            buffer[(a.x + x, a.y + y)],
            buffer[(b.x + x, b.y + y)],
            "at {x}, {y}"
        );
    }
    // Before anybody moves the focus neither border stands out.
    assert_eq!(buffer[(a.x - 2, a.y + 3)], buffer[(b.x - 2, b.y + 3)]);
}

#[test]
fn nothing_on_the_screen_tells_the_policies_apart() {
    for size in [WIDE, NORMAL, SMALL] {
        for keys in ["", "<tab>", "?", "0", "s", "<tab> 7"] {
            let screen = stage(size).press(keys).screen();
            for telltale in ["policy-one", "policy-two"] {
                assert!(
                    !screen.contains(telltale),
                    "{telltale} at {size:?} after {keys:?}"
                );
            }
        }
    }
}

#[test]
fn idle_time_is_shown_as_a_pause() {
    let mut stage = stage(NORMAL);
    stage.event(Event::Tick(180_000));
    assert!(stage.screen().lines().next().unwrap().ends_with("paused"));
    stage.now = 190_000;
    assert!(
        stage
            .press("j")
            .screen()
            .lines()
            .next()
            .unwrap()
            .ends_with("saved")
    );
}

#[test]
fn the_rate_can_be_hidden() {
    let header = |show_rate| {
        let hidden = Setup {
            show_rate,
            ..setup()
        };
        let mut stage = Stage::new(hidden, WIDE, vec![rice(); 10]);
        stage
            .press("7 7 7 7 7")
            .screen()
            .lines()
            .next()
            .unwrap()
            .to_owned()
    };
    assert!(header(true).contains("5/10 [##########----------] 50%   59.9/min   ETA 5s   saved"));
    assert!(header(false).ends_with("5/10 [##########----------] 50%   saved"));
}
