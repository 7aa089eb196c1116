//! Ten kinds of bad input, through the real binary: each ends with exit code 1 or 2 and a message that names the file, line or
//! key and the next step. Nothing panics, and nothing is left behind.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tempfile::TempDir;

use crate::cli_support::rlhf;
use crate::golden_model::fixture;

const INSPECT: &str = "inspect --device cpu --model model --ids 1,2,3";

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

/// Runs `rlhf` with the words of `line` in `folder`, and compares the exit code and the end of standard error.
#[track_caller]
fn fails(folder: &Path, line: &str, code: i32, message: &str) {
    let arguments: Vec<&str> = line.split_whitespace().collect();
    let (got, stdout, stderr) = rlhf(folder, &arguments);
    assert!(
        stderr.trim_end().ends_with(message) && stderr.contains("error: "),
        "expected {message:?}, got:\n{stderr}"
    );
    assert_eq!(got, code, "{stderr}");
    assert_eq!(stdout, "", "an error belongs on standard error");
}

#[test]
fn a_missing_folder() {
    let folder = tempfile::tempdir().unwrap();
    fails(
        folder.path(),
        "generate --device cpu --prompt Hi --model ./nowhere",
        1,
        "error: there is no folder ./nowhere: check the path (a model on the hub is written ORG/NAME, without ./)",
    );
    fails(
        folder.path(),
        "generate --device cpu --prompt Hi --model nowhere",
        1,
        "error: \"nowhere\" is neither a folder here, nor \"embedded\", nor a hub id: those are written ORG/NAME or \
         ORG/NAME@REVISION, as in HuggingFaceTB/SmolLM2-135M-Instruct",
    );
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
    fails(folder.path(), INSPECT, 1, message);
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
        fails(folder.path(), INSPECT, 1, &message);
    }
}

#[test]
fn a_tokenizer_of_another_model() {
    let folder = folder_with_model();
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        let from = fixture("../tokenizer/byte_level").join(name);
        fs::copy(from, folder.path().join("model").join(name)).unwrap();
    }
    let message = "error: vocabulary mismatch: the tokenizer's highest id is 419 (\"turn\") but the model's embedding \
                   has only 97 rows (config.json: vocab_size); the tokenizer belongs to another model";
    let generate = "generate --device cpu --model model --prompt Hi";
    fails(folder.path(), generate, 1, message);
}

#[test]
fn an_id_outside_the_vocabulary() {
    let folder = folder_with_model();
    let inspect = "inspect --device cpu --model model --ids 1,97";
    let message = "error: token id 97 is outside the vocabulary of 97 (ids 0 to 96)";
    fails(folder.path(), inspect, 1, message);
}

#[test]
fn empty_prompts() {
    let message = "error: prompts.jsonl: no prompts; write one JSON object per line, for example \
                   {\"prompt\": \"Why is the sky blue?\"}";
    for text in ["", "\n\n"] {
        let folder = folder_with("prompts.jsonl", text);
        let sample = "sample --device cpu --model embedded --prompts prompts.jsonl";
        fails(folder.path(), sample, 1, message);
        let ppo =
            "ppo --device cpu --model embedded --reward-model embedded --prompts prompts.jsonl";
        fails(folder.path(), ppo, 1, message);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_malformed_line() {
    let folder = folder_with("rows.jsonl", "{\"text\": \"good\"}\n{\"text\": \"cut\n");
    let sft = "sft --device cpu --model embedded --data rows.jsonl";
    let message = "error: rows.jsonl:2: not JSON: EOF while parsing a string at line 1 column 13";
    fails(folder.path(), sft, 1, message);
    assert!(!folder.path().join("runs").exists());

    let pairs = "{\"prompt\": \"p\", \"chosen\": \"a\", \"rejected\": \"b\"}\n{\"chosen\": 3}\n";
    let folder = folder_with("pairs.jsonl", pairs);
    let train = "reward train --device cpu --model embedded --data pairs.jsonl";
    let message = "error: pairs.jsonl:2: `chosen` and `rejected` must be strings, or lists of {\"role\": …, \"content\": …} \
                   (format trl: {\"prompt\", \"chosen\", \"rejected\"})";
    fails(folder.path(), train, 1, message);
    assert!(!folder.path().join("runs").exists());
}

#[test]
fn a_prompt_longer_than_the_context() {
    let row = serde_json::json!({"id": "long", "prompt": "word ".repeat(500)}).to_string();
    let folder = folder_with("prompts.jsonl", &row);
    let sample = "sample --device cpu --model embedded --prompts prompts.jsonl";
    let message = "error: prompt long: 503 tokens, but the model's context is 128 tokens with the answer; shorten the prompt";
    fails(folder.path(), sample, 1, message);
    assert!(!folder.path().join("samples").exists());
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
    fails(folder.path(), INSPECT, 1, message);
}

/// A path below a file: nobody can write there, not even root.
#[test]
fn an_output_that_cannot_be_written() {
    let folder = folder_with("rows.jsonl", "{\"text\": \"one\"}\n{\"text\": \"two\"}\n");
    let sft = "sft --device cpu --model embedded --data rows.jsonl --out";
    let message = "error: cannot write rows.jsonl/out: Not a directory (os error 20); \
                   check the folder's permissions and the free disk space";
    fails(folder.path(), &format!("{sft} rows.jsonl/out"), 1, message);
    let message =
        "error: . is not empty; choose another --out, or continue that run with --resume .";
    fails(folder.path(), &format!("{sft} ."), 1, message);
}

#[test]
fn an_unknown_key() {
    let folder = folder_with("rlhf.toml", "[ppo]\nkl_cof = 0.1\n");
    let message = "error: ./rlhf.toml:2: unknown key `kl_cof` in [ppo]; did you mean `kl_coef`?";
    for command in ["ppo --dry-run", "sample --dry-run", "config"] {
        fails(folder.path(), command, 2, message);
    }
}
