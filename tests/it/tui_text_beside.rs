//! The strings of [`tui_text_nasty`](crate::tui_text_nasty) as comments, flags and names of files.

use std::rc::Rc;

use rlhf::feedback::record::Scale;
use rlhf::tui::label::history::Entry;
use rlhf::tui::label::scale::Decision;
use rlhf::tui::label::state::{Desk, Screen};
use rlhf::tui::label::update::Event;
use rlhf::tui::text::wrap;
use ulid::Ulid;

use crate::cli_support::rlhf;
use crate::tui_stage::{Stage, pair, setup};
use crate::tui_text_nasty::{Case, bytes_of, corpus, foreign};

/// Everything that is not a prompt or an answer and comes from a file, a person or the system.
fn beside(text: &str, size: (u16, u16)) -> Vec<(&'static str, Stage)> {
    let mut nasty = setup();
    nasty.flags = vec![text.to_owned(), "broken".to_owned()];
    nasty.aspects = vec![text.to_owned()];
    let open = || Stage::new(nasty.clone(), size, vec![pair("q", "a", "b")]);
    let pressed = |keys: &str| {
        let mut stage = open();
        stage.press(keys);
        stage
    };
    let told = |event: Event| {
        let mut stage = pressed("c");
        stage.event(event);
        stage
    };
    let pasted = |keys: &str| {
        let mut stage = told(Event::Paste(text.to_owned(), 2_000));
        stage.press(keys);
        stage
    };
    let listed = || {
        let mut stage = pasted("<enter> F 1 <esc>");
        let entry = Entry {
            id: Ulid::nil(),
            pair: Rc::new(pair(&format!("Q {text}"), "a", "b")),
            decision: Decision::Tie,
            scale: Scale::Nine,
            remarks: stage.app.remarks.clone(),
            when: "2026-11-21 12:00".into(),
        };
        stage.event(Event::Listed(vec![entry], 0));
        stage
    };
    let noticed = || {
        let mut stage = Stage::locked(nasty.clone(), size);
        let desk = Desk {
            pairs: vec![pair("q", "a", "b")],
            notice: format!("A crash cut off {text}.jsonl:7."),
            ..Desk::default()
        };
        stage.event(Event::Opened(desk, 0));
        stage
    };
    let file = || format!("feedback/{text}.jsonl");
    vec![
        ("a comment being written", pasted("")),
        ("a comment", pasted("<enter>")),
        ("flags", pressed("F 1")),
        ("a flag", pressed("F 1 <esc>")),
        ("aspects", pressed("a 1")),
        ("the history", listed()),
        ("a file that is locked", told(Event::StillLocked(file()))),
        ("a file that was cut off", noticed()),
        (
            "a file that cannot be written",
            told(Event::CommitFailed(file())),
        ),
        ("a file that cannot be counted", {
            let mut stage = pressed("%");
            stage.event(Event::Counted(Err(file()), 0));
            stage
        }),
        (
            "an editor that failed",
            told(Event::Edited(Err(file()), 2_000)),
        ),
    ]
}

#[test]
fn no_byte_of_a_comment_a_flag_or_a_file_name_reaches_the_terminal_as_control() {
    for Case { name, text } in corpus() {
        for size in [(120, 36), (40, 12)] {
            for (place, stage) in beside(&text, size) {
                assert_eq!(
                    foreign(&bytes_of(&stage)),
                    None,
                    "{name} as {place} at {size:?}"
                );
            }
        }
    }
}

#[test]
fn a_comment_is_kept_as_it_was_written_and_shown_in_full() {
    for Case { name, text } in corpus().into_iter().filter(|case| case.text.len() < 8_000) {
        let mut stage = Stage::new(setup(), (120, 100), vec![pair("q", "a", "b")]);
        stage.press("c");
        stage.event(Event::Paste(text.clone(), 2_000));
        let Screen::Note(field) = &stage.app.screen else {
            panic!("{name}: {:?}", stage.app.screen);
        };
        let lines = text.replace("\r\n", "\n").replace('\r', "\n");
        assert_eq!(field.text(), lines, "{name}");
        let screen = stage.screen();
        for row in wrap(&field.shown(), 72).iter().rev().take(40) {
            assert!(
                screen.contains(row.text().trim_end()),
                "{name}: {row} in\n{screen}"
            );
        }
    }
}

#[cfg(unix)]
#[test]
fn names_of_files_cannot_move_the_cursor() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("a\u{1b}[2J\u{202e}b");
    std::fs::create_dir(&dir).unwrap();
    let dir = dir.to_str().unwrap();
    let prompts = format!("{dir}/p.jsonl");
    std::fs::write(&prompts, "{\"prompt\": \"Why?\"}\n").unwrap();
    let sampling = [
        "sample",
        "--dir",
        dir,
        "--model",
        "embedded",
        "--device",
        "cpu",
        "--prompts",
    ];
    let (code, said, error) = rlhf(
        folder.path(),
        &[&sampling[..], &[&prompts, "--max-new-tokens", "3"]].concat(),
    );
    assert_eq!(code, 0, "{error}");
    assert!(
        said.contains("a␛[2J⟨U+202E⟩b/samples/batch-1.jsonl"),
        "{said}"
    );
    let missing = format!("{dir}/none.jsonl");
    let (code, _, error) = rlhf(
        folder.path(),
        &["label", &missing, "--annotator", "sim:gold"],
    );
    assert_eq!(code, 1);
    assert!(error.contains("a␛[2J⟨U+202E⟩b/none.jsonl"), "{error}");
    for text in [said, error] {
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
    }
}
