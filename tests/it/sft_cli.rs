//! `rlhf sft` with the embedded model: early stopping, and resumed runs that end as the uninterrupted one.

use std::fs;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

use crate::cli_support::rlhf;
use crate::end_to_end::{crashed_after, timeless, weights};

const PATIENCE: usize = 4;
const DATA: [&str; 4] = ["--data", "train.jsonl", "--eval-data", "test.jsonl"];
const SETTINGS: &str = "sft --model embedded --device cpu --out whole --quiet --use-peft --lora-r 2 --learning-rate 0.05 \
                        --max-steps 24 --eval-steps 1 --early-stopping-patience 4 --save-steps 1 --save-total-limit 0";

/// A folder with `train.jsonl`, from which nothing can be learnt for `test.jsonl`.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &dyn Fn(u32) -> String| {
        let row = |i| json!({ "text": text(i) }).to_string() + "\n";
        let rows: String = (0..16).map(row).collect();
        fs::write(folder.path().join(name), rows).unwrap();
    };
    write("train.jsonl", &|i| format!("zq{i} xv zq xv {}", i * 7919));
    write("test.jsonl", &|i| {
        format!("How do I bake a loaf of bread for {i} people?")
    });
    folder
}

#[track_caller]
fn sft(folder: &Path, arguments: &str) {
    let arguments: Vec<&str> = arguments.split_whitespace().chain(DATA).collect();
    let (code, stdout, stderr) = rlhf(folder, &arguments);
    assert_eq!((code, stdout.as_str()), (0, ""), "{stderr}");
}

#[test]
fn a_resumed_run_stops_early_at_the_same_step_with_the_same_model() {
    let project = folder();
    sft(project.path(), SETTINGS);
    let whole = project.path().join("whole");
    let metrics = timeless(&whole.join("metrics.jsonl"));
    let losses: Vec<f64> = metrics
        .iter()
        .map(|row| row["eval_loss"].as_f64().unwrap())
        .collect();
    let best =
        1 + (1..losses.len()).fold(0, |best, i| if losses[i] < losses[best] { i } else { best });
    let last = metrics.len();
    assert_eq!(last, best + PATIENCE, "{losses:?}");
    assert!(last < 24, "nothing was stopped early");

    // Before the best evaluation or right after it, while the patience runs out, and when only the result is missing.
    for step in [1, best + 2, last] {
        let name = format!("after-{step}");
        let resumed = project.path().join(&name);
        crashed_after(step, &whole, &resumed);
        sft(project.path(), &format!("sft --quiet --resume {name}"));
        assert_eq!(timeless(&resumed.join("metrics.jsonl")), metrics, "{name}");
        assert!(weights(&resumed) == weights(&whole), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn checkpoints_share_the_best_weights() {
    use std::os::unix::fs::MetadataExt as _;

    let project = folder();
    sft(project.path(), SETTINGS);
    let checkpoints = project.path().join("whole/checkpoints");
    let best: Vec<(String, u64)> = (1..=PATIENCE + 1)
        .map(|step| checkpoints.join(format!("step-{step:06}")))
        .map(|folder| {
            let record = fs::read_to_string(folder.join("best.json")).unwrap();
            let file = fs::metadata(folder.join("best.safetensors")).unwrap();
            (record, file.ino())
        })
        .collect();
    let shared = best.windows(2).filter(|pair| pair[0].1 == pair[1].1);
    assert!(shared.clone().count() > 0, "{best:?}");
    for pair in best.windows(2) {
        assert_eq!(pair[0].0 == pair[1].0, pair[0].1 == pair[1].1, "{pair:?}");
    }
}
