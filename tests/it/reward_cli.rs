//! `rlhf reward train|eval|score`, with the embedded model.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli_support::{command, rlhf};
use crate::golden_model::fixture;

/// A folder with `train.jsonl` and `test.jsonl`: the kind answer wins.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let rows = |range: std::ops::Range<u32>| {
        let row = |i| {
            json!({
                "prompt": format!("Please help me with task {i}"),
                "chosen": format!(" Of course, I will gladly help you with {i}."),
                "rejected": format!(" No, leave me alone with {i}, do it yourself."),
                "source": if i % 2 == 0 { "even" } else { "odd" },
            })
        };
        range.map(|i| row(i).to_string() + "\n").collect::<String>()
    };
    fs::write(folder.path().join("train.jsonl"), rows(0..48)).unwrap();
    fs::write(folder.path().join("test.jsonl"), rows(100..120)).unwrap();
    folder
}

const TRAIN: [&str; 14] = [
    "reward",
    "train",
    "--model",
    "embedded",
    "--data",
    "train.jsonl",
    "--eval-data",
    "test.jsonl",
    "--learning-rate",
    "1e-3",
    "--device",
    "cpu",
    "--out",
    "run",
];

fn trained() -> TempDir {
    let folder = folder();
    let (code, stdout, stderr) = rlhf(folder.path(), &TRAIN);
    assert_eq!((code, stdout.as_str()), (0, ""), "{stderr}");
    assert!(
        stderr.contains("48 training pairs, 20 held out"),
        "{stderr}"
    );
    assert!(
        stderr.contains("accuracy            1.000 [0.839, 1.000]  20 pairs"),
        "{stderr}"
    );
    folder
}

fn score(folder: &Path, input: &str) -> (i32, String, String) {
    let mut child = command(
        folder,
        &["reward", "score", "--model", "run", "--device", "cpu"],
    )
    .stdin(Stdio::piped())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(input.as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    (code, text(output.stdout), text(output.stderr))
}

#[test]
fn a_trained_model_is_checked_and_scores() {
    let folder = trained();
    let run = folder.path().join("run");
    let report = fs::read(run.join("reward_report.json")).unwrap();
    let report: Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["training_pairs"], 48);

    let eval = [
        "reward",
        "eval",
        "--model",
        "run",
        "--data",
        "test.jsonl",
        "train.jsonl",
    ];
    let (code, stdout, stderr) = rlhf(folder.path(), &[&eval[..], &["--json"]].concat());
    assert_eq!(code, 0, "{stderr}");
    let rows: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        (&rows[0]["file"], &rows[1]["n"]),
        (&json!("test.jsonl"), &json!(48))
    );
    assert_eq!(
        rows[0], report["held_out"][0],
        "eval and train report alike"
    );
    // Wilson for 20 of 20; the rejected answers are the longer ones.
    assert!((rows[0]["accuracy_low"].as_f64().unwrap() - 0.8389).abs() < 1e-4);
    assert_eq!(rows[0]["length_baseline"], 0.0);

    let (code, text, _) = rlhf(folder.path(), &eval);
    assert_eq!(code, 0);
    assert!(text.starts_with("test.jsonl\n  accuracy "), "{text}");
    assert!(
        text.contains("  source              1.000 [0.722, 1.000]  10 pairs  even"),
        "{text}"
    );

    let input = concat!(
        r#"{"id": 7, "prompt": "Please help me with task 9", "response": " Of course, I will gladly help you."}"#,
        "\n",
        r#"{"prompt": [{"role": "user", "content": "Please help me"}], "completion": [{"role": "assistant", "content": "No."}]}"#,
        "\n"
    );
    let (code, stdout, stderr) = score(folder.path(), input);
    assert_eq!(code, 0, "{stderr}");
    let rows: Vec<Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!((rows.len(), &rows[0]["id"]), (2, &json!(7)));
    let scale: Value =
        serde_json::from_slice(&fs::read(run.join("model/reward.json")).unwrap()).unwrap();
    for row in &rows {
        let number = |value: &Value| value.as_f64().unwrap();
        let expected = number(&scale["gain"]) * number(&row["raw_score"]) + number(&scale["bias"]);
        assert!((number(&row["score"]) - expected).abs() < 1e-9);
    }
    assert!(rows[0]["score"].as_f64().unwrap() > 0.0);
}

#[test]
fn bad_rows_and_long_ones_are_named_by_line() {
    let folder = trained();
    let good = r#"{"prompt": "Hello", "response": " there"}"#;
    let (code, _, stderr) = score(folder.path(), &format!("{good}\n{{\"prompt\": 3}}\n"));
    assert_eq!(code, 1);
    assert!(
        stderr.contains("stdin:2: `prompt` must be a string or a list"),
        "{stderr}"
    );
    let long = " word".repeat(3000);
    let row = json!({"prompt": "Hello", "response": long});
    let (code, _, stderr) = score(folder.path(), &format!("{good}\n\n{row}\n"));
    assert_eq!(code, 1);
    assert!(
        stderr.contains("stdin:3: prompt and response have "),
        "{stderr}"
    );
}

#[test]
fn a_language_model_is_no_reward_model() {
    let folder = folder();
    let model = fixture("llama-tiny");
    let model = model.to_str().unwrap();
    let eval = ["reward", "eval", "--model", model, "--data", "test.jsonl"];
    let (code, _, stderr) = rlhf(folder.path(), &eval);
    assert_eq!(code, 1);
    assert!(
        stderr.contains("a language model without a score head"),
        "{stderr}"
    );
}

#[test]
fn a_project_without_judgements_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let (code, _, stderr) = rlhf(folder.path(), &["reward", "train", "--model", "embedded"]);
    assert_eq!(code, 1);
    assert!(stderr.contains("rlhf label"), "{stderr}");
    assert!(!folder.path().join("runs").exists());
}

#[test]
fn a_malformed_row_is_named_by_file_and_line() {
    let folder = folder();
    fs::write(
        folder.path().join("train.jsonl"),
        "{\"prompt\": \"a\", \"chosen\": 1}\n",
    )
    .unwrap();
    let (code, _, stderr) = rlhf(folder.path(), &TRAIN);
    assert_eq!(code, 1);
    assert!(stderr.contains("train.jsonl:1: "), "{stderr}");
}

#[test]
fn resuming_with_other_data_is_refused() {
    let folder = trained();
    let resume = ["reward", "train", "--model", "embedded", "--resume", "run"];
    let other = ["--data", "test.jsonl", "--eval-data", "test.jsonl"];
    let (code, _, stderr) = rlhf(folder.path(), &[&resume[..], &other].concat());
    assert_eq!(code, 1);
    assert!(
        stderr.contains("run was started with other data"),
        "{stderr}"
    );
}
