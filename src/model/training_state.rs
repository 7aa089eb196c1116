//! The networks' part of a checkpoint: trained tensors and optimiser moments, by name.
//!
//! `trained.safetensors` and `optimizer.safetensors`, both f32, so that a resumed job continues from the same bits. A tensor that is
//! missing, left over or of another shape is an error: nothing starts afresh silently.

use std::path::Path;

use burn::tensor::Tensor;
use thiserror::Error;

use crate::algo::adamw::{AdamWError, AdamWState, StateTensor};

use super::optimizer::Optimizer;
use super::parameters::{Parameters, Visitor};
use super::tokens::tensor_of;
use super::weights::{
    NamedTensor, SaveDtype, TensorSource, WeightFiles, WeightsError, write_safetensors,
};

const TRAINED: &str = "trained.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
/// Holds the number of updates, which safetensors has no place for.
const UPDATES: &str = "updates";

/// Why a state can't be written or taken up.
#[derive(Debug, Error)]
pub enum StateError {
    /// A file.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Moments that don't fit the model.
    #[error(transparent)]
    Optimizer(#[from] AdamWError),
}

/// Writes the state of a job into `folder`.
pub fn save(
    folder: &Path,
    model: &mut impl Parameters,
    optimizer: &Optimizer,
) -> Result<(), StateError> {
    save_trained(&folder.join(TRAINED), model)?;
    let AdamWState { updates, tensors } = optimizer.export();
    let mut moments: Vec<NamedTensor> = tensors
        .into_iter()
        .map(
            |StateTensor {
                 name,
                 shape,
                 values,
             }| NamedTensor::new(&name, &shape, move || values.clone()),
        )
        .collect();
    // Two f32 hold the counter exactly far beyond any number of updates.
    let values = vec![(updates >> 20) as f32, (updates & 0xf_ffff) as f32];
    moments.push(NamedTensor::new(UPDATES, &[2], move || values.clone()));
    Ok(write_safetensors(
        &folder.join(OPTIMIZER),
        &moments,
        SaveDtype::F32,
    )?)
}

/// Takes up the state that [`save`] wrote.
pub fn load(
    folder: &Path,
    model: &mut impl Parameters,
    optimizer: &mut Optimizer,
) -> Result<(), StateError> {
    load_trained(&folder.join(TRAINED), model)?;
    let files = WeightFiles::open_file(&folder.join(OPTIMIZER))?;
    let counter = files.take(UPDATES, &[2])?;
    let updates = (counter[0] as u64) << 20 | counter[1] as u64;
    let names: Vec<String> = files
        .names()
        .filter(|n| *n != UPDATES)
        .map(str::to_owned)
        .collect();
    let moment = |name: String| {
        let shape = files.shape(&name).unwrap_or_default();
        let values = files.take(&name, &shape)?;
        Ok(StateTensor {
            name,
            shape,
            values,
        })
    };
    let tensors = names
        .into_iter()
        .map(moment)
        .collect::<Result<_, WeightsError>>()?;
    Ok(optimizer.restore(AdamWState { updates, tensors }, model)?)
}

/// Writes the trained tensors alone.
pub fn save_trained(path: &Path, model: &mut impl Parameters) -> Result<(), WeightsError> {
    let mut trained = Trained(Vec::new());
    model.visit(&mut trained);
    write_safetensors(path, &trained.0, SaveDtype::F32)
}

/// Takes up the trained tensors that [`save_trained`] wrote.
pub fn load_trained(path: &Path, model: &mut impl Parameters) -> Result<(), WeightsError> {
    let mut restore = Restore {
        files: WeightFiles::open_file(path)?,
        error: None,
    };
    model.visit(&mut restore);
    restore.error.map_or(Ok(()), Err)
}

struct Trained(Vec<NamedTensor>);

impl Visitor for Trained {
    fn visit<const D: usize>(&mut self, name: &str, trained: bool, tensor: &mut Tensor<D>) {
        if trained {
            self.0.push(NamedTensor::of(name, tensor));
        }
    }
}

struct Restore {
    files: WeightFiles,
    error: Option<WeightsError>,
}

impl Visitor for Restore {
    fn visit<const D: usize>(&mut self, name: &str, trained: bool, tensor: &mut Tensor<D>) {
        if !trained || self.error.is_some() {
            return;
        }
        match self.files.take(name, &tensor.dims()) {
            Ok(values) => *tensor = tensor_of(values, tensor.dims(), &tensor.device()),
            Err(error) => self.error = Some(error),
        }
    }
}
