//! Adapters as PEFT writes and reads them: `adapter_config.json` and `adapter_model.safetensors`.
//!
//! Tensors are called `base_model.model.<module path>.lora_A.weight` `[r, in]` and `.lora_B.weight` `[out, r]`.
//! Read are plain LoRA adapters: no DoRA, no rank patterns, no trained biases; anything else is an error, not a guess.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::run::atomic::{WriteError, write_atomic};

use super::heads::{SCORE_WEIGHT, ScalarHead};
use super::linear::Linear;
use super::lora::{Layers, Lora, LoraConfig};
use super::transformer::Decoder;
use super::weights::{
    NamedTensor, SaveDtype, TensorSource, WeightFiles, WeightsError, write_safetensors,
};
use super::{config::Architecture, tokens::tensor_of};

const CONFIG: &str = "adapter_config.json";
const WEIGHTS: &str = "adapter_model.safetensors";
const PREFIX: &str = "base_model.model.";

/// Why an adapter can't be read or written.
#[derive(Debug, Error)]
pub enum PeftError {
    /// `adapter_config.json`.
    #[error("{path}: {reason}", path = path.display())]
    Config {
        /// File.
        path: PathBuf,
        /// Expected and found.
        reason: String,
    },
    /// Tensors.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A file can't be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The decoder has no adapter.
    #[error("the model has no adapter to write")]
    NoAdapter,
}

/// Writes the decoder's adapter into `folder`, with the head of a reward model; `base` is the model it belongs to, as PEFT's
/// `base_model_name_or_path`.
pub fn save(
    decoder: &Decoder,
    head: Option<&ScalarHead>,
    base: &str,
    folder: &Path,
) -> Result<(), PeftError> {
    let mut decoder = decoder.clone();
    let gpt2 = decoder.config.architecture == Architecture::Gpt2;
    let (mut tensors, mut targets, mut shape) = (Vec::new(), Vec::new(), None);
    let adapted = decoder.adapted_layers();
    let layers = (adapted.len() < decoder.blocks.len()).then_some(adapted);
    for Linear { name, lora, .. } in decoder.projections() {
        let Some(lora) = lora else { continue };
        for (part, tensor) in [("lora_A", &lora.a), ("lora_B", &lora.b)] {
            let name = format!("{PREFIX}{name}.{part}.weight");
            tensors.push(NamedTensor::of(&name, tensor));
        }
        targets.push(name.rsplit('.').next().unwrap_or_default().to_owned());
        shape = Some((lora.a.dims()[0], lora.scale));
    }
    let Some((r, scale)) = shape else {
        return Err(PeftError::NoAdapter);
    };
    let (task, saved) = match head {
        Some(head) => {
            tensors.push(NamedTensor::of(
                &format!("{PREFIX}{SCORE_WEIGHT}"),
                &head.weight,
            ));
            ("SEQ_CLS", json!(["score"]))
        }
        None => ("CAUSAL_LM", Value::Null),
    };
    targets.sort();
    targets.dedup();
    let config = json!({
        "peft_type": "LORA",
        "task_type": task,
        "base_model_name_or_path": base,
        "r": r,
        "lora_alpha": scale * r as f64,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": gpt2,
        "target_modules": targets,
        "layers_to_transform": layers,
        "modules_to_save": saved,
        "inference_mode": true,
    });
    std::fs::create_dir_all(folder).map_err(WriteError::at(folder))?;
    write_safetensors(&folder.join(WEIGHTS), &tensors, SaveDtype::F32)?;
    write_atomic(
        &folder.join(CONFIG),
        &serde_json::to_vec_pretty(&config).unwrap_or_default(),
    )?;
    Ok(())
}

/// Puts the adapter of `folder` on the decoder, which is frozen.
///
/// # Errors
/// For an adapter of another kind or of another model.
pub fn load(decoder: &mut Decoder, folder: &Path) -> Result<(), PeftError> {
    let config = read_config(&folder.join(CONFIG))?;
    let files = WeightFiles::open_file(&folder.join(WEIGHTS))?;
    let device = decoder.embedding.device();
    decoder.attach_lora(&config, 0)?;
    for projection in decoder.projections() {
        let [inputs, outputs] = projection.widths();
        let name = |part: &str| format!("{PREFIX}{}.{part}.weight", projection.name);
        if let Some(lora) = &mut projection.lora {
            let a = files.take(&name("lora_A"), &[config.r, inputs])?;
            let b = files.take(&name("lora_B"), &[outputs, config.r])?;
            *lora = Lora {
                a: tensor_of(a, [config.r, inputs], &device),
                b: tensor_of(b, [outputs, config.r], &device),
                scale: lora.scale,
            };
        }
    }
    Ok(())
}

fn read_config(path: &Path) -> Result<LoraConfig, PeftError> {
    let fail = |reason: String| PeftError::Config {
        path: path.to_owned(),
        reason,
    };
    let bytes = std::fs::read(path).map_err(|e| fail(e.to_string()))?;
    let json: Map<String, Value> =
        serde_json::from_slice(&bytes).map_err(|e| fail(format!("not a JSON object: {e}")))?;
    let is_off = |key: &str| match json.get(key) {
        None | Some(Value::Null | Value::Bool(false)) => true,
        Some(Value::Object(map)) => map.is_empty(),
        Some(_) => false,
    };
    if json.get("peft_type").and_then(Value::as_str) != Some("LORA") {
        return Err(fail(format!(
            "peft_type: expected \"LORA\", found {}",
            json.get("peft_type").unwrap_or(&Value::Null)
        )));
    }
    for key in [
        "use_dora",
        "use_rslora",
        "rank_pattern",
        "alpha_pattern",
        "target_parameters",
    ] {
        if !is_off(key) {
            return Err(fail(format!(
                "{key} is not supported; only plain LoRA adapters are read"
            )));
        }
    }
    let r = json
        .get("r")
        .and_then(Value::as_u64)
        .filter(|&r| r > 0)
        .ok_or_else(|| fail("r: expected a positive number".to_owned()))?;
    let alpha = json
        .get("lora_alpha")
        .and_then(Value::as_f64)
        .ok_or_else(|| fail("lora_alpha: expected a number".to_owned()))?;
    let targets = match json.get("target_modules") {
        Some(Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        Some(Value::String(name)) if name == "all-linear" => vec![name.clone()],
        other => {
            let found = other.unwrap_or(&Value::Null);
            return Err(fail(format!(
                "target_modules: expected a list of names, found {found}"
            )));
        }
    };
    Ok(LoraConfig {
        r: r as usize,
        alpha,
        target_modules: targets,
        layers: layers(json.get("layers_to_transform")).map_err(fail)?,
    })
}

/// PEFT writes a list, one number, or nothing for all.
fn layers(value: Option<&Value>) -> Result<Layers, String> {
    let layer = |value: &Value| value.as_u64().map(|layer| layer as usize);
    let found = match value {
        None | Some(Value::Null) => return Ok(Layers::All),
        Some(Value::Array(layers)) => layers.iter().map(layer).collect(),
        Some(one) => layer(one).map(|layer| vec![layer]),
    };
    found.map(Layers::These).ok_or_else(|| {
        let found = value.unwrap_or(&Value::Null);
        format!("layers_to_transform: expected numbers of layers, found {found}")
    })
}
