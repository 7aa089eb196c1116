//! Writes a model as the folder that transformers loads: merged weights, `config.json`, tokenizer files, `generation_config.json`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::Tensor;
use serde_json::{Map, Value, json};

use crate::kernels::Panels;
use crate::run::atomic::write_atomic;

use super::heads::{SCORE_WEIGHT, ScalarModel};
use super::language_model::ModelError;
use super::linear::Layout;
use super::parameters::{Parameters, Visitor};
use super::text::ModelText;
use super::transformer::Decoder;
use super::weights::{NamedTensor, SaveDtype, write_safetensors};

/// [`LanguageModel::save`](super::LanguageModel::save) for a decoder that was trained apart from the text it was loaded with.
pub fn save_language_model(
    decoder: &Decoder,
    text: &ModelText,
    folder: &Path,
    dtype: SaveDtype,
) -> Result<(), ModelError> {
    let mut config = decoder.config.raw.clone();
    config.insert(
        "architectures".into(),
        json!([decoder.config.architecture.causal_lm_class()]),
    );
    write_folder(folder, &merged(decoder), config, text, dtype)
}

/// Writes a `*ForSequenceClassification` folder with one label.
///
/// `pad_token_id` must be a token that no scored text contains: transformers reads the score at the last token that differs
/// from it.
pub fn save_scalar_model(
    model: &ScalarModel,
    text: &ModelText,
    pad_token_id: u32,
    folder: &Path,
    dtype: SaveDtype,
) -> Result<(), ModelError> {
    let mut trunk = model.decoder.clone();
    trunk.head = None;
    let mut tensors = merged(&trunk);
    tensors.push(NamedTensor::of(SCORE_WEIGHT, &model.head.weight));
    let class = format!(
        "{}ForSequenceClassification",
        trunk.config.architecture.class_prefix()
    );
    let mut config = trunk.config.raw.clone();
    config.insert("architectures".into(), json!([class]));
    config.insert("id2label".into(), json!({"0": "LABEL_0"}));
    config.insert("label2id".into(), json!({"LABEL_0": 0}));
    config.insert("num_labels".into(), json!(1));
    config.insert("pad_token_id".into(), json!(pad_token_id));
    write_folder(folder, &tensors, config, text, dtype)
}

fn write_folder(
    folder: &Path,
    tensors: &[NamedTensor],
    mut config: Map<String, Value>,
    text: &ModelText,
    dtype: SaveDtype,
) -> Result<(), ModelError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| ModelError::Io { path, source }
    };
    std::fs::create_dir_all(folder).map_err(io(folder))?;
    // transformers 5 says `dtype`, 4 said `torch_dtype`: the one that is there is kept.
    let key = if config.contains_key("torch_dtype") {
        "torch_dtype"
    } else {
        "dtype"
    };
    config.insert(key.into(), json!(dtype.config_name()));
    write_safetensors(&folder.join("model.safetensors"), tensors, dtype)?;
    if text.tokenizer.is_some() {
        for (name, bytes) in text.files.entries() {
            let path = folder.join(name);
            write_atomic(&path, bytes).map_err(|e| io(&path)(e.source))?;
        }
    }
    let path = folder.join("config.json");
    let bytes = serde_json::to_vec_pretty(&config).unwrap_or_default();
    write_atomic(&path, &bytes).map_err(|e| io(&path)(e.source))
}

/// Every tensor of a decoder with its adapters merged into the weights, each when it is asked for.
fn merged(decoder: &Decoder) -> Vec<NamedTensor> {
    let mut plain = decoder.clone();
    plain.frozen = true; // so that what is packed stays packed
    let mut adapted = BTreeMap::new();
    for projection in plain.projections() {
        if projection.lora.is_some() {
            adapted.insert(format!("{}.weight", projection.name), projection.clone());
            projection.lora = None;
        }
    }
    let merge = |tensor: NamedTensor| match adapted.remove(&tensor.name) {
        None => tensor,
        Some(projection) => NamedTensor::new(&tensor.name, &tensor.shape, move || {
            let data = projection.merged().into_data().convert::<f32>();
            data.try_into_vec().unwrap_or_default()
        }),
    };
    tensors(&mut plain).into_iter().map(merge).collect()
}

/// Every tensor of a model, by name.
pub fn tensors(model: &mut impl Parameters) -> Vec<NamedTensor> {
    let mut read = Read(Vec::new());
    model.visit(&mut read);
    read.0
}

struct Read(Vec<NamedTensor>);

impl Visitor for Read {
    fn visit<const D: usize>(&mut self, name: &str, _trained: bool, tensor: &mut Tensor<D>) {
        self.0.push(NamedTensor::of(name, tensor));
    }

    fn visit_packed(&mut self, name: &str, panels: &Arc<Panels>, layout: Layout) {
        self.0.push(NamedTensor::packed(name, panels, layout));
    }
}
