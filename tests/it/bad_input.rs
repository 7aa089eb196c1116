//! Ten kinds of bad input, through the real binary: each ends with exit code 1 or 2 and a message that names the file, line or
//! key and the next step. Nothing panics.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::cli_support::rlhf;
use crate::golden_model::fixture;

/// A folder with a copy of llama-tiny under `model`.
fn folder_with_model() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("model");
    fs::create_dir(&model).unwrap();
    for name in ["config.json", "generation_config.json", "model.safetensors"] {
        fs::copy(fixture("llama-tiny").join(name), model.join(name)).unwrap();
    }
    folder
}

fn folder_with(name: &str, text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join(name), text).unwrap();
    folder
}

/// Runs the binary in `folder` on the CPU and compares the exit code and the last lines of standard error.
#[track_caller]
fn fails(folder: &Path, arguments: &[&str], code: i32, message: &str) {
    let (got, stdout, stderr) = rlhf(folder, arguments);
    assert!(
        stderr.trim_end().ends_with(message) && stderr.contains("error: "),
        "expected {message:?}, got:\n{stderr}"
    );
    assert_eq!(got, code, "{stderr}");
    assert_eq!(stdout, "", "an error belongs on standard error");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

const INSPECT: [&str; 7] = [
    "inspect", "--device", "cpu", "--model", "model", "--ids", "1,2,3",
];

#[test]
fn a_missing_folder() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["generate", "--device", "cpu", "--prompt", "Hi", "--model"];
    for (model, message) in [
        (
            "./nowhere",
            "there is no folder ./nowhere: check the path (a model on the hub is written ORG/NAME, without ./)",
        ),
        (
            "nowhere",
            "\"nowhere\" is neither a folder here, nor \"embedded\", nor a hub id: those are written ORG/NAME or ORG/NAME@REVISION",
        ),
    ] {
        let arguments = [&arguments[..], &[model]].concat();
        fails(folder.path(), &arguments, 1, message);
    }
}

#[test]
fn an_unsupported_model_type() {
    let folder = folder_with_model();
    let path = folder.path().join("model/config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    config["model_type"] = "t5".into();
    fs::write(&path, config.to_string()).unwrap();
    let message = "error: model/config.json: model_type \"t5\" is not supported; \
                   supported: gpt2, llama, mistral, qwen2, qwen3";
    fails(folder.path(), &INSPECT, 1, message);
}

#[test]
fn truncated_weights() {
    let folder = folder_with_model();
    let path = folder.path().join("model/model.safetensors");
    let bytes = fs::read(&path).unwrap();
    for (length, reason) in [
        (
            bytes.len() - 100,
            "incomplete metadata, file not fully covered",
        ),
        (500, "invalid header length"),
        (0, "header too small"),
    ] {
        fs::write(&path, &bytes[..length]).unwrap();
        let message = format!(
            "error: model/model.safetensors: not a valid safetensors file ({reason}); \
             the file has {length} bytes: was the download complete?"
        );
        fails(folder.path(), &INSPECT, 1, &message);
    }
}

#[test]
fn a_tokenizer_of_another_model() {
    let folder = folder_with_model();
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        let from = fixture("../tokenizer/byte_level").join(name);
        fs::copy(from, folder.path().join("model").join(name)).unwrap();
    }
    let arguments = [
        "generate", "--device", "cpu", "--model", "model", "--prompt", "Hi",
    ];
    let message = "error: vocabulary mismatch: the tokenizer's highest id is 419 (\"turn\") but the model's embedding \
                   has only 97 rows (config.json: vocab_size); the tokenizer belongs to another model";
    fails(folder.path(), &arguments, 1, message);
}

#[test]
fn an_id_outside_the_vocabulary() {
    let folder = folder_with_model();
    let arguments = [&INSPECT[..6], &["1,97"]].concat();
    let message = "error: token id 97 is outside the vocabulary of 97 (ids 0 to 96)";
    fails(folder.path(), &arguments, 1, message);
}

#[test]
fn empty_prompts() {
    for text in ["", "\n\n"] {
        let folder = folder_with("prompts.jsonl", text);
        let message = "error: prompts.jsonl: no prompts; write one JSON object per line, for example \
                       {\"prompt\": \"Why is the sky blue?\"}";
        let sample = [
            "sample",
            "--device",
            "cpu",
            "--model",
            "embedded",
            "--prompts",
            "prompts.jsonl",
        ];
        fails(folder.path(), &sample, 1, message);
        assert!(!folder.path().join("samples").exists());
        let ppo = [
            "ppo",
            "--device",
            "cpu",
            "--model",
            "embedded",
            "--reward-model",
            "rm",
            "--prompts",
            "prompts.jsonl",
        ];
        fails(folder.path(), &ppo, 1, message);
        assert!(!folder.path().join("runs").exists());
    }
}

#[test]
fn a_malformed_line() {
    let folder = folder_with("rows.jsonl", "{\"text\": \"good\"}\n{\"text\": \"cut\n");
    let sft = [
        "sft",
        "--device",
        "cpu",
        "--model",
        "embedded",
        "--data",
        "rows.jsonl",
    ];
    let message = "error: rows.jsonl:2: not JSON: EOF while parsing a string at line 1 column 13";
    fails(folder.path(), &sft, 1, message);
    assert!(!folder.path().join("runs").exists());

    let pairs = "{\"chosen\": \"a\", \"rejected\": \"b\"}\n{\"chosen\": \"a\"}\n";
    let folder = folder_with("pairs.jsonl", pairs);
    let reward = [
        "reward",
        "train",
        "--device",
        "cpu",
        "--model",
        "embedded",
        "--data",
        "pairs.jsonl",
    ];
    fails(folder.path(), &reward, 1, "error: pairs.jsonl:2: TODO");
}

#[test]
fn a_prompt_longer_than_the_context() {
    let words = "word ".repeat(500);
    let folder = folder_with(
        "prompts.jsonl",
        &format!("{{\"id\": \"long\", \"prompt\": {words:?}}}\n"),
    );
    let message =
        "tokens, but the model's context is 128 tokens with the answer; shorten the prompt";
    let generate = [
        "generate", "--device", "cpu", "--model", "embedded", "--prompt", &words,
    ];
    fails(folder.path(), &generate, 1, message);
    let sample = [
        "sample",
        "--device",
        "cpu",
        "--model",
        "embedded",
        "--prompts",
        "prompts.jsonl",
    ];
    fails(folder.path(), &sample, 1, message);
}

#[test]
fn a_weight_that_is_not_a_number() {
    let folder = folder_with_model();
    let path = folder.path().join("model/model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&path, &bytes).unwrap();
    let message = "error: model/model.safetensors: tensor model.norm.weight: value 47 is NaN; \
                   the weights are damaged or their training diverged";
    fails(folder.path(), &INSPECT, 1, message);
}

/// A path below a file: no user, not even root, can write there.
#[test]
fn an_output_that_cannot_be_written() {
    let folder = folder_with("rows.jsonl", "{\"text\": \"one\"}\n{\"text\": \"two\"}\n");
    let sft = [
        "sft",
        "--device",
        "cpu",
        "--model",
        "embedded",
        "--data",
        "rows.jsonl",
        "--out",
        "rows.jsonl/out",
    ];
    let message = "error: cannot write rows.jsonl/out: Not a directory (os error 20); \
                   check the folder's permissions and the free disk space";
    fails(folder.path(), &sft, 1, message);
    let occupied = [
        "sft",
        "--device",
        "cpu",
        "--model",
        "embedded",
        "--data",
        "rows.jsonl",
        "--out",
        ".",
    ];
    fails(folder.path(), &occupied, 1, "TODO");
}

#[test]
fn an_unknown_key() {
    let folder = folder_with("rlhf.toml", "[ppo]\nkl_cof = 0.1\n");
    let message = "error: ./rlhf.toml:2: unknown key `kl_cof` in [ppo]; did you mean `kl_coef`?";
    for command in [
        &["ppo", "--dry-run"][..],
        &["config"],
        &["sample", "--dry-run"],
    ] {
        fails(folder.path(), command, 2, message);
    }
}
