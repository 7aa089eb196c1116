//! `rlhf generate` and `rlhf inspect`, as somebody runs them.

use std::fs;
use std::io::Read;
use std::path::Path;

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use rlhf::device;
use rlhf::model::text::Origin;
use rlhf::model::tokenizer_files::TokenizerFiles;
use rlhf::model::weights::{RandomWeights, SaveDtype};
use rlhf::model::{DecoderConfig, LanguageModel, Tokenizer};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli_support::rlhf;
use crate::golden_model::{expected, fixture, logprob};

/// A folder `model` with an untrained network and a byte-level tokenizer: its text is arbitrary bytes.
fn random_model() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 420,
        "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2, "max_position_embeddings": 512, "tie_word_embeddings": true,
    });
    let config = DecoderConfig::parse(config.to_string().as_bytes(), folder.path()).unwrap();
    let files = TokenizerFiles::read(&fixture("../tokenizer/byte_level")).unwrap();
    let weights = RandomWeights { seed: 5, layers: 1 };
    let device = device::cpu().device;
    let model = LanguageModel::from_parts(
        config,
        &weights,
        files,
        Path::new("random"),
        Origin::Random,
        &device,
    );
    model
        .unwrap()
        .save(&folder.path().join("model"), SaveDtype::F32)
        .unwrap();
    folder
}

fn json_of(folder: &Path, arguments: &[&str]) -> Value {
    let (code, out, err) = rlhf(folder, arguments);
    assert_eq!(code, 0, "{err}");
    serde_json::from_str(&out).unwrap()
}

#[test]
fn generate_prints_ids_texts_and_log_probabilities_as_json() {
    let folder = random_model();
    let tokenizer = Tokenizer::from_folder(&folder.path().join("model")).unwrap();
    let arguments = [
        "generate",
        "--model",
        "model",
        "--prompt",
        "Hello there",
        "--n",
        "3",
        "--max-new-tokens",
        "12",
        "--json",
        "--device",
        "cpu",
    ];
    let found = json_of(folder.path(), &arguments);
    let keys: Vec<&String> = found.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["prompt_ids", "samples"]);
    assert_eq!(
        found["prompt_ids"],
        json!(tokenizer.encode("Hello there").unwrap())
    );
    let samples = found["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 3);
    for sample in samples {
        let keys: Vec<&String> = sample.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["ids", "text", "logprobs", "finish_reason"]);
        let ids: Vec<u32> = serde_json::from_value(sample["ids"].clone()).unwrap();
        assert_eq!(sample["text"], json!(tokenizer.decode(&ids, true).unwrap()));
        assert_eq!(sample["logprobs"].as_array().unwrap().len(), ids.len());
        let reason = if ids.ends_with(&[2]) {
            "stop"
        } else {
            "length"
        };
        assert_eq!(sample["finish_reason"], reason);
        assert!(ids.len() == 12 || reason == "stop");
    }
    assert_ne!(samples[0]["ids"], samples[1]["ids"]);
    assert_eq!(
        json_of(folder.path(), &arguments),
        found,
        "one seed, one answer"
    );
    let other = [arguments.as_slice(), &["--seed", "7"]].concat();
    assert_ne!(json_of(folder.path(), &other)["samples"], found["samples"]);
}

#[test]
fn chat_puts_the_prompt_into_the_template() {
    let folder = random_model();
    let tokenizer = Tokenizer::from_folder(&folder.path().join("model")).unwrap();
    let found = json_of(
        folder.path(),
        &[
            "generate",
            "--model",
            "model",
            "--chat",
            "--prompt",
            "Hi",
            "--max-new-tokens",
            "1",
            "--json",
        ],
    );
    let rendered = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n";
    assert_eq!(
        found["prompt_ids"],
        json!(tokenizer.encode(rendered).unwrap())
    );
}

/// The same text as it is into a pipe, and without anything a terminal would interpret onto a terminal.
#[test]
fn control_characters_reach_a_pipe_but_never_a_terminal() {
    let folder = random_model();
    let arguments = [
        "generate",
        "--model",
        "model",
        "--prompt",
        "Hi",
        "--max-new-tokens",
        "400",
        "--device",
        "cpu",
    ];
    let (code, piped, _) = rlhf(folder.path(), &arguments);
    assert_eq!(code, 0);
    let controls: Vec<char> = piped.chars().filter(|&c| c < ' ' && c != '\n').collect();
    assert!(
        controls.len() >= 3,
        "the untrained model writes control characters: {piped:?}"
    );

    let pty = native_pty_system().openpty(PtySize::default()).unwrap();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_rlhf"));
    command.args(arguments);
    command.cwd(folder.path());
    let mut child = pty.slave.spawn_command(command).unwrap();
    drop(pty.slave);
    let mut reader = pty.master.try_clone_reader().unwrap();
    let mut shown = Vec::new();
    let _ = reader.read_to_end(&mut shown); // a closed pseudo-terminal reads as an error on Linux
    assert!(child.wait().unwrap().success());
    let shown = String::from_utf8(shown).unwrap();
    assert!(
        shown
            .chars()
            .all(|c| !c.is_control() || c == '\n' || c == '\r'),
        "{shown:?}"
    );
    for control in controls {
        let picture = char::from_u32(0x2400 + u32::from(control)).unwrap();
        assert!(shown.contains(picture), "no {picture} in {shown:?}");
    }
}

#[test]
fn several_answers_are_printed_one_after_the_other() {
    let folder = random_model();
    let (code, out, err) = rlhf(
        folder.path(),
        &[
            "generate",
            "--model",
            "model",
            "--prompt",
            "Hi",
            "--n",
            "2",
            "--max-new-tokens",
            "3",
            "--device",
            "cpu",
        ],
    );
    assert_eq!(code, 0);
    assert!(
        out.starts_with("--- 1 of 2 (3 tokens, cut off)\n"),
        "{out:?}"
    );
    assert!(
        out.contains("\n--- 2 of 2 (3 tokens, cut off)\n"),
        "{out:?}"
    );
    assert!(err.starts_with("device: cpu ("), "{err}");
}

#[test]
fn inspect_reads_ids_without_a_tokenizer_and_agrees_with_transformers() {
    let expected = expected("llama-tiny");
    let ids: Vec<String> = expected.input_ids[0]
        .iter()
        .map(ToString::to_string)
        .collect();
    let (model, against) = (fixture("llama-tiny"), fixture("qwen2-tiny"));
    let found = json_of(
        Path::new("."),
        &[
            "inspect",
            "--model",
            model.to_str().unwrap(),
            "--ids",
            &ids.join(","),
            "--against",
            against.to_str().unwrap(),
            "--json",
            "--device",
            "cpu",
        ],
    );
    let keys: Vec<&String> = found.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["tokens", "score", "score_position"]);
    let tokens = found["tokens"].as_array().unwrap();
    let first = json!({"id": 52, "text": null, "logprob": null, "rank": null, "entropy": null, "logratio": null});
    assert_eq!(tokens[0], first);
    let other = self::expected("qwen2-tiny");
    for (index, token) in tokens.iter().enumerate().skip(1) {
        let id = expected.input_ids[0][index];
        let logits = &expected.logits_f32[0][index - 1];
        let number = |key: &str| token[key].as_f64().unwrap();
        let reference = logprob(logits, id);
        assert!((number("logprob") - reference).abs() < 1e-4);
        assert_eq!(
            token["rank"],
            1 + logits.iter().filter(|z| **z > logits[id as usize]).count()
        );
        let entropy: f64 = (0..97)
            .map(|id| logprob(logits, id))
            .map(|l| -l * l.exp())
            .sum();
        assert!((number("entropy") - entropy).abs() < 1e-4);
        let ratio = reference - logprob(&other.logits_f32[0][index - 1], id);
        assert!((number("logratio") - ratio).abs() < 2e-4);
    }
    assert_eq!(
        (&found["score"], &found["score_position"]),
        (&Value::Null, &Value::Null)
    );
}

#[test]
fn inspect_reads_the_score_at_the_last_token_as_transformers_does() {
    let reward_model = fixture("llama-score-tiny");
    let golden: Value =
        serde_json::from_slice(&fs::read(reward_model.join("expected.json")).unwrap()).unwrap();
    for row in 0..4 {
        let last = golden["score_positions"][row].as_u64().unwrap();
        let ids = golden["input_ids"][row].as_array().unwrap();
        let ids: Vec<String> = ids[..=last as usize]
            .iter()
            .map(ToString::to_string)
            .collect();
        let found = json_of(
            Path::new("."),
            &[
                "inspect",
                "--model",
                fixture("llama-tiny").to_str().unwrap(),
                "--ids",
                &ids.join(","),
                "--reward-model",
                reward_model.to_str().unwrap(),
                "--json",
            ],
        );
        assert_eq!(found["score_position"], last);
        let difference =
            found["score"].as_f64().unwrap() - golden["scores_f32"][row].as_f64().unwrap();
        assert!(difference.abs() < 1e-4, "row {row}: {difference}");
    }
}

#[test]
fn inspect_prints_an_aligned_table_in_which_nothing_is_hidden() {
    let folder = random_model();
    let (code, out, _) = rlhf(
        folder.path(),
        &[
            "inspect",
            "--model",
            "model",
            "--text",
            "a\u{1b}[2J b\n",
            "--device",
            "cpu",
        ],
    );
    assert_eq!(code, 0);
    let rows: Vec<&str> = out.lines().take_while(|line| !line.is_empty()).collect();
    assert!(rows[0].starts_with("   #      id  text"), "{out}");
    let texts: Vec<&str> = rows[1..]
        .iter()
        .map(|row| row.split_whitespace().nth(2).unwrap())
        .collect();
    assert_eq!(texts, ["a", "␛", "[", "2", "J", "·", "b", "⏎"]);
    let ends: Vec<usize> = rows.iter().map(|row| row.chars().count()).collect();
    assert!(ends.iter().all(|&end| end == ends[0]), "{out}");
    assert!(out.contains("log p of 7 tokens: "), "{out}");
}

#[test]
fn what_cannot_be_read_is_named_and_nothing_is_printed() {
    let folder = random_model();
    let tiny = fixture("llama-tiny");
    let tiny = tiny.to_str().unwrap();
    let long = "word ".repeat(600);
    let cases: [(&[&str], i32, &str); 11] = [
        (
            &["generate", "--model", "./nowhere", "--prompt", "x"],
            1,
            "there is no folder ./nowhere",
        ),
        (
            &["generate", "--model", "model", "--prompt", ""],
            1,
            "prompt 0 is empty",
        ),
        (
            &["generate", "--model", "model", "--prompt", &long],
            1,
            "but the model's context is 512 tokens",
        ),
        (
            &["generate", "--model", tiny, "--prompt", "x"],
            1,
            "has no tokenizer.json",
        ),
        (
            &[
                "generate",
                "--model",
                "model",
                "--prompt",
                "x",
                "--temperature",
                "0",
            ],
            2,
            "expected a number above 0",
        ),
        (
            &["generate", "--model", "model", "--prompt", "x", "--n", "0"],
            2,
            "--n",
        ),
        (
            &[
                "generate", "--model", "model", "--prompt", "x", "--device", "gpu",
            ],
            2,
            "expected auto, cpu, wgpu",
        ),
        (
            &["inspect", "--model", tiny, "--ids", "1,97"],
            1,
            "token id 97 is outside the vocabulary of 97 (ids 0 to 96)",
        ),
        (
            &["inspect", "--model", tiny, "--ids", "1,x"],
            2,
            "invalid value 'x'",
        ),
        (
            &["inspect", "--model", tiny, "--text", "x"],
            1,
            "has no tokenizer.json",
        ),
        (
            &["inspect", "--model", "model", "--text", ""],
            1,
            "there are no tokens to read",
        ),
    ];
    for (arguments, expected, tell) in cases {
        let (code, out, err) = rlhf(folder.path(), arguments);
        assert_eq!((code, out.as_str()), (expected, ""), "{arguments:?}: {err}");
        assert!(err.contains(tell), "{arguments:?}: {err}");
    }
}
