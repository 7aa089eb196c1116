//! Imports that do not come to their end: refused half way, killed, on a full disk. Nothing is half
//! written that another import would not complete.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use rlhf::feedback::export::{Options, export};
use rlhf::feedback::formats::OutFormat;
use rlhf::feedback::labels::{Folders, Labels};
use rlhf::feedback::ledger::Ledger;
use serde_json::{Value, json};

use crate::cli_support::{command, rlhf};
use crate::feedback_import::open_bulk;

/// A file of pairs, about 1 kB each; every third prompt is judged twice.
fn pairs(folder: &Path, count: usize) -> PathBuf {
    let row = |n: usize| {
        let long = format!("answer {n} ").repeat(40);
        let n = if n % 3 == 2 { n - 1 } else { n };
        let pair = json!({"prompt": format!("prompt {n}"), "chosen": long, "rejected": "no"});
        format!("{pair}\n")
    };
    let path = folder.join("pairs.jsonl");
    let rows: String = (0..count).map(row).collect();
    std::fs::write(&path, rows).unwrap();
    path
}

fn imported(folder: &Path, arguments: &[&str]) -> Value {
    let all = [&["feedback", "import"], arguments, &["--json"]].concat();
    let (code, out, error) = rlhf(folder, &all);
    assert_eq!(code, 0, "{error}");
    serde_json::from_str(&out).unwrap()
}

/// The pairs of a project, in order of their text.
fn exported(project: &Path) -> Vec<String> {
    let ledger = Ledger::read(&Folders::of(project)).unwrap();
    let mut rows = Vec::new();
    let mut take = |row: &Value| {
        rows.push(row.to_string());
        Ok(())
    };
    export(&ledger, &Options::new(OutFormat::Trl), &mut take).unwrap();
    rows.sort();
    rows
}

#[test]
fn bad_rows_are_skipped_only_if_all_others_can_come_in() {
    let dir = tempfile::tempdir().unwrap();
    let _busy = open_bulk(&dir.path().join("project/feedback"), "tom");
    let row = |worker: &str, post: String| {
        json!({
            "info": {"post": post}, "summaries": [{"text": "a"}, {"text": "b"}], "choice": 0,
            "worker": worker
        })
        .to_string()
    };
    // More than is gathered before it is written, a bad row, and somebody who is at work elsewhere.
    let rows = [
        row("mia", "p".repeat(5 << 20)),
        "{".into(),
        row("tom", "q".into()),
    ];
    std::fs::write(dir.path().join("rows.jsonl"), rows.join("\n")).unwrap();
    let (code, _, error) = rlhf(
        dir.path(),
        &[
            "feedback",
            "import",
            "rows.jsonl",
            "--dir",
            "project",
            "--skip-bad",
        ],
    );
    assert_eq!(code, 1);
    assert!(
        error.contains("annotator \"tom\" is open elsewhere"),
        "{error}"
    );
    assert!(!dir.path().join("project/samples").exists());
    let labels = Labels::read(&Folders::of(&dir.path().join("project"))).unwrap();
    assert!(labels.labels.is_empty());
}

#[test]
fn a_line_that_a_crash_cut_off_makes_room_for_the_next_import() {
    let dir = tempfile::tempdir().unwrap();
    pairs(dir.path(), 30);
    imported(dir.path(), &["pairs.jsonl", "--dir", "whole"]);
    let samples = std::fs::read(dir.path().join("whole/samples/pairs.jsonl")).unwrap();
    let cut = dir.path().join("cut/samples");
    std::fs::create_dir_all(&cut).unwrap();
    std::fs::write(cut.join("pairs.jsonl"), &samples[..samples.len() - 100]).unwrap();
    let again = imported(dir.path(), &["pairs.jsonl", "--dir", "cut"]);
    assert_eq!(again["new_items"], 1);
    let (whole, cut) = (dir.path().join("whole"), dir.path().join("cut"));
    assert_eq!(exported(&cut), exported(&whole));
    assert_eq!(exported(&cut).len(), 30);
}

#[test]
fn killed_at_any_moment_an_import_is_completed_by_another() {
    let dir = tempfile::tempdir().unwrap();
    let file = pairs(dir.path(), 6000);
    let size = std::fs::metadata(file).unwrap().len();
    let whole = imported(dir.path(), &["pairs.jsonl", "--dir", "whole"]);
    assert_eq!(whole["judgements"], 6000);
    let expected = exported(&dir.path().join("whole"));
    let mut killed = 0;
    for tenths in [1, 3, 5, 8] {
        let project = format!("killed-{tenths}");
        let samples = dir.path().join(&project).join("samples/pairs.jsonl");
        let arguments = ["feedback", "import", "pairs.jsonl", "--dir", &project];
        let mut child = command(dir.path(), &arguments)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let length = || std::fs::metadata(&samples).map_or(0, |file| file.len());
        while length() < size * tenths / 10 && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        child.kill().unwrap();
        killed += usize::from(!child.wait().unwrap().success());
        // What is there can be read as it is.
        let there = exported(&dir.path().join(&project)).len();
        assert!(there <= 6000, "{there}");
        let rest = imported(dir.path(), &["pairs.jsonl", "--dir", &project]);
        assert_eq!(rest["already_there"], there, "{project}");
        assert_eq!(rest["judgements"], 6000 - there, "{project}");
        assert_eq!(exported(&dir.path().join(&project)), expected, "{project}");
        let (code, out, _) = rlhf(dir.path(), &["feedback", "check", "--dir", &project]);
        assert_eq!(code, 0, "{out}");
    }
    assert!(killed > 0);
}

/// A shell that limits the size of files stands for a full disk: the write that goes beyond fails.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_stops_an_import_that_another_completes() {
    let dir = tempfile::tempdir().unwrap();
    pairs(dir.path(), 3000);
    let binary = env!("CARGO_BIN_EXE_rlhf");
    // 512-byte blocks: the samples fit into 1.5 MB no more than half.
    let script = format!(
        "trap '' XFSZ; ulimit -f 1500; exec {binary} feedback import pairs.jsonl --dir project"
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &script])
        .current_dir(dir.path())
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{error}");
    assert!(error.contains("File too large"), "{error}");
    assert!(error.contains("The import stopped after"), "{error}");
    assert!(error.contains("import the file again"), "{error}");
    let there = exported(&dir.path().join("project")).len();
    assert!(
        error.contains(&format!("after {there} new judgements")),
        "{there}: {error}"
    );
    let rest = imported(dir.path(), &["pairs.jsonl", "--dir", "project"]);
    assert_eq!(rest["judgements"], 3000 - there);
    imported(dir.path(), &["pairs.jsonl", "--dir", "whole"]);
    let (project, whole) = (dir.path().join("project"), dir.path().join("whole"));
    assert_eq!(exported(&project), exported(&whole));
}
