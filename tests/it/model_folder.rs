//! Model folders: what is written equals what was read, and what can't be read says why.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rlhf::device;
use rlhf::model::language_model::load_scalar_model;
use rlhf::model::save::save_scalar_model;
use rlhf::model::weights::SaveDtype;
use rlhf::model::{LanguageModel, ModelError};
use safetensors::SafeTensors;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::golden_model::fixture;

/// Names, dtypes, shapes and bytes of all weight files of a folder.
fn stored(folder: &Path) -> BTreeMap<String, (String, Vec<usize>, Vec<u8>)> {
    let mut tensors = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path
            .extension()
            .is_some_and(|extension| extension == "safetensors")
        {
            let bytes = fs::read(path).unwrap();
            for (name, view) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
                let dtype = format!("{:?}", view.dtype());
                tensors.insert(name, (dtype, view.shape().to_vec(), view.data().to_vec()));
            }
        }
    }
    tensors
}

fn config(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("config.json")).unwrap()).unwrap()
}

fn load(folder: &Path) -> Result<LanguageModel, ModelError> {
    LanguageModel::load(folder, &device::cpu().device)
}

#[test]
fn a_saved_model_is_the_model_that_was_loaded() {
    for (name, dtype) in [
        ("gpt2-tiny", SaveDtype::F32),
        ("llama-tiny", SaveDtype::F32),
        ("llama-sharded-tiny", SaveDtype::F32),
        ("llama-f16-tiny", SaveDtype::F16),
        ("llama-bf16-tiny", SaveDtype::Bf16),
        ("llama3-rope-tiny", SaveDtype::F32),
        ("mistral-tiny", SaveDtype::F32),
        ("qwen2-tiny", SaveDtype::F32),
        ("qwen3-tiny", SaveDtype::F32),
    ] {
        let out = tempfile::tempdir().unwrap();
        load(&fixture(name))
            .unwrap()
            .save(out.path(), dtype)
            .unwrap();
        assert!(
            stored(out.path()) == stored(&fixture(name)),
            "{name}: names, shapes or bytes differ"
        );
        assert_eq!(config(out.path()), config(&fixture(name)), "{name}");
    }
}

/// Old GPT-2 files lack the prefix and carry causal masks; written anew they are like everybody's.
#[test]
fn an_old_gpt2_folder_is_written_in_the_new_layout() {
    let out = tempfile::tempdir().unwrap();
    load(&fixture("gpt2-bare-tiny"))
        .unwrap()
        .save(out.path(), SaveDtype::F32)
        .unwrap();
    assert!(stored(out.path()) == stored(&fixture("gpt2-tiny")));
}

#[test]
fn a_saved_reward_model_is_the_reward_model_that_was_loaded() {
    for name in ["llama-score-tiny", "gpt2-score-tiny"] {
        let out = tempfile::tempdir().unwrap();
        let (model, text) = load_scalar_model(&fixture(name), &device::cpu().device).unwrap();
        save_scalar_model(&model, &text, 0, out.path(), SaveDtype::F32).unwrap();
        assert!(
            stored(out.path()) == stored(&fixture(name)),
            "{name}: names, shapes or bytes differ"
        );
        let (written, read) = (config(out.path()), config(&fixture(name)));
        for key in [
            "architectures",
            "model_type",
            "pad_token_id",
            "vocab_size",
            "hidden_size",
        ] {
            assert_eq!(written[key], read[key], "{name}: {key}");
        }
    }
}

/// A copy of a fixture to be damaged.
fn copy(name: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture(name)).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    folder
}

fn set_config(folder: &Path, key: &str, value: Value) {
    let mut config = config(folder);
    config[key] = value;
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
}

/// The message with which a damaged copy of llama-tiny is refused; it must name everything in `tell`.
fn assert_refused(damage: impl FnOnce(&Path), tell: &[&str]) {
    assert_refused_copy("llama-tiny", damage, tell);
}

fn assert_refused_copy(name: &str, damage: impl FnOnce(&Path), tell: &[&str]) {
    let folder = copy(name);
    damage(folder.path());
    let message = load(folder.path()).unwrap_err().to_string();
    for word in tell {
        assert!(message.contains(word), "no {word:?} in: {message}");
    }
}

#[test]
fn a_missing_folder_or_file_is_named() {
    let message = load(Path::new("/nowhere/at/all")).unwrap_err().to_string();
    assert!(
        message.contains("/nowhere/at/all/config.json") && message.contains("a model folder holds"),
        "{message}"
    );
    let remove =
        |name: &'static str| move |folder: &Path| fs::remove_file(folder.join(name)).unwrap();
    assert_refused(remove("config.json"), &["config.json"]);
    assert_refused(
        remove("model.safetensors"),
        &["no model.safetensors", "save_pretrained"],
    );
    let shard = remove("model-00002-of-00003.safetensors");
    assert_refused_copy(
        "llama-sharded-tiny",
        shard,
        &["model-00002-of-00003.safetensors"],
    );
}

#[test]
fn an_unusable_config_is_refused_by_key() {
    let set = |key: &'static str, value: Value| move |folder: &Path| set_config(folder, key, value);
    let cases = [
        (
            "model_type",
            json!("bert"),
            "\"bert\" is not supported; supported: gpt2, llama",
        ),
        (
            "hidden_size",
            json!("wide"),
            "hidden_size: expected a whole number, found \"wide\"",
        ),
        (
            "num_key_value_heads",
            json!(4),
            "4 key-value heads do not divide 6 attention heads",
        ),
        ("vocab_size", json!(0), "vocab_size: expected 1 to"),
        (
            "hidden_act",
            json!("mish"),
            "activation \"mish\" is not supported",
        ),
        (
            "rope_parameters",
            json!({"rope_type": "yarn", "factor": 2.0}),
            "rope type \"yarn\" is not supported",
        ),
    ];
    for (key, value, tell) in cases {
        assert_refused(set(key, value), &["config.json", tell]);
    }
    let not_json =
        |folder: &Path| fs::write(folder.join("config.json"), "{\"model_type\": ").unwrap();
    assert_refused(not_json, &["config.json", "not a JSON object"]);
}

#[test]
fn tensors_that_do_not_fit_the_config_are_named_with_both_shapes() {
    let more_layers = |folder: &Path| set_config(folder, "num_hidden_layers", json!(9));
    assert_refused(
        more_layers,
        &["model.layers.3.self_attn.q_proj.weight", "is missing"],
    );
    let wider = |folder: &Path| set_config(folder, "vocab_size", json!(98));
    assert_refused(
        wider,
        &[
            "model.embed_tokens.weight",
            "expected shape [98, 48]",
            "found [97, 48]",
        ],
    );
}

#[test]
fn a_truncated_or_hostile_weight_file_is_refused() {
    let weights = |folder: &Path| folder.join("model.safetensors");
    let cut = |length: usize| {
        move |folder: &Path| {
            let bytes = fs::read(weights(folder)).unwrap();
            fs::write(weights(folder), &bytes[..length.min(bytes.len() / 2)]).unwrap();
        }
    };
    for length in [usize::MAX, 100, 8, 3, 0] {
        assert_refused(
            cut(length),
            &[
                "model.safetensors",
                "not a valid safetensors file",
                "download complete",
            ],
        );
    }
    let huge_header = |folder: &Path| fs::write(weights(folder), [0xff; 64]).unwrap();
    assert_refused(huge_header, &["not a valid safetensors file"]);
    let escape = |folder: &Path| {
        let index = json!({"weight_map": {"model.norm.weight": "../../etc/passwd"}});
        fs::write(
            folder.join("model.safetensors.index.json"),
            index.to_string(),
        )
        .unwrap();
    };
    assert_refused_copy(
        "llama-sharded-tiny",
        escape,
        &["../../etc/passwd", "not a plain file name"],
    );
}

#[test]
fn nan_in_the_weights_is_refused_by_tensor_and_index() {
    let poison = |folder: &Path| {
        let path = folder.join("model.safetensors");
        let mut bytes = fs::read(&path).unwrap();
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        fs::write(path, bytes).unwrap();
    };
    assert_refused(
        poison,
        &["model.safetensors: tensor ", "is NaN", "training diverged"],
    );
}

#[test]
fn a_reward_model_and_a_language_model_are_not_taken_for_each_other() {
    let message = load(&fixture("llama-score-tiny")).unwrap_err().to_string();
    assert!(
        message.contains("a reward model (sequence classifier)"),
        "{message}"
    );
    let device = device::cpu().device;
    let message = load_scalar_model(&fixture("llama-tiny"), &device)
        .unwrap_err()
        .to_string();
    assert!(message.contains("rlhf reward train"), "{message}");
}

#[test]
fn a_tokenizer_of_another_model_is_refused() {
    let folder = copy("llama-tiny");
    let tokenizer = fixture("../tokenizer/byte_level/tokenizer.json");
    fs::copy(tokenizer, folder.path().join("tokenizer.json")).unwrap();
    let message = load(folder.path()).unwrap_err().to_string();
    assert!(
        message.contains("vocabulary mismatch") && message.contains("97"),
        "{message}"
    );
}
