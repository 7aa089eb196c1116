//! Adapters written by PEFT, on llama-tiny and gpt2-tiny, against the logits that PEFT computes; and written back.

use rlhf::model::lora::Layers;
use rlhf::model::{Decoder, TokenBatch, peft};
use serde_json::Value;

use crate::golden_model::{fixture, load, lora};

fn base(name: &str) -> Decoder {
    load(&fixture(name))
}

fn logits_close(decoder: &Decoder, adapter: &str) {
    let text = std::fs::read(fixture(adapter).join("expected.json")).unwrap();
    let expected: Value = serde_json::from_slice(&text).unwrap();
    let grid =
        |key: &str| -> Vec<Vec<f64>> { serde_json::from_value(expected[key].clone()).unwrap() };
    let (ids, mask) = (grid("input_ids"), grid("attention_mask"));
    let tokens = TokenBatch {
        ids: ids.concat().iter().map(|&x| x as u32).collect(),
        mask: mask.concat().iter().map(|&x| x == 1.0).collect(),
        batch: ids.len(),
        time: ids[0].len(),
    };
    let logits = decoder
        .hidden(&tokens)
        .matmul(decoder.head_weight().transpose());
    let ours: Vec<f32> = logits.into_data().iter::<f32>().collect();
    let theirs: Vec<Vec<Vec<f32>>> =
        serde_json::from_value(expected["logits_f32"].clone()).unwrap();
    let theirs = theirs.concat().concat();
    let vocabulary = decoder.config.vocab_size;
    let mut compared = 0;
    for (index, (a, b)) in ours.iter().zip(&theirs).enumerate() {
        if tokens.mask[index / vocabulary] {
            assert!(
                (a - b).abs() < 1e-4,
                "{adapter}: logit {index}: {a} instead of {b}"
            );
            compared += 1;
        }
    }
    assert!(compared > 1000, "{compared}");
}

#[test]
fn adapters_of_peft_give_its_logits_attached_and_merged() {
    for (model, adapter) in [
        ("llama-tiny", "llama-lora-tiny"),
        ("gpt2-tiny", "gpt2-lora-tiny"),
    ] {
        let mut decoder = base(model);
        peft::load(&mut decoder, &fixture(adapter)).unwrap();
        logits_close(&decoder, adapter);
        logits_close(&decoder.merged(), adapter);
    }
}

#[test]
fn adapters_of_some_layers_say_which_and_come_back_to_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = base("llama-tiny");
    first.attach_lora(&lora(Layers::Last(1)), 7).unwrap();
    peft::save(&first, None, "llama-tiny", folder.path()).unwrap();
    let path = folder.path().join("adapter_config.json");
    let config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(config["layers_to_transform"], serde_json::json!([2]));
    let mut second = base("llama-tiny");
    peft::load(&mut second, folder.path()).unwrap();
    assert_eq!(second.adapted_layers(), [2]);

    let mut wrong = config;
    wrong["layers_to_transform"] = serde_json::json!([5]);
    std::fs::write(&path, wrong.to_string()).unwrap();
    let error = peft::load(&mut base("llama-tiny"), folder.path()).unwrap_err();
    assert!(error.to_string().contains("6 layers, but the model has 3"));
    wrong["layers_to_transform"] = serde_json::json!("last");
    std::fs::write(&path, wrong.to_string()).unwrap();
    let error = peft::load(&mut base("llama-tiny"), folder.path()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("expected numbers of layers, found \"last\"")
    );
}

#[test]
fn an_adapter_survives_writing_and_reading() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = base("gpt2-tiny");
    peft::load(&mut first, &fixture("gpt2-lora-tiny")).unwrap();
    peft::save(&first, None, "gpt2-tiny", folder.path()).unwrap();
    let mut second = base("gpt2-tiny");
    peft::load(&mut second, folder.path()).unwrap();
    logits_close(&second, "gpt2-lora-tiny");
    let config = std::fs::read_to_string(folder.path().join("adapter_config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(
        (&config["peft_type"], &config["fan_in_fan_out"]),
        (&Value::from("LORA"), &Value::from(true))
    );
}

#[test]
fn an_adapter_of_another_model_or_kind_is_refused() {
    let error = peft::load(&mut base("llama-tiny"), &fixture("gpt2-lora-tiny")).unwrap_err();
    assert!(error.to_string().contains("lora_target_modules"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("adapter_config.json"),
        r#"{"peft_type":"LORA","use_dora":true}"#,
    )
    .unwrap();
    let error = peft::load(&mut base("llama-tiny"), folder.path()).unwrap_err();
    assert!(error.to_string().contains("use_dora"), "{error}");
}
