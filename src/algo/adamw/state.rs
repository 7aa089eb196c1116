//! The state of [`AdamW`] as named tensors, for checkpoints.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};
use thiserror::Error;

use super::{AdamW, AdamWConfig, Moments};

const EXP_AVG: &str = "exp_avg";
const EXP_AVG_SQ: &str = "exp_avg_sq";

impl AdamW {
    /// The state as named tensors, in the order of their names: `<path>.exp_avg` and
    /// `<path>.exp_avg_sq` (PyTorch's names) for every parameter stepped so far.
    pub fn export(&self) -> AdamWState {
        let tensor = |name: &String, suffix: &str, moments: &Moments, values: &Tensor<1>| {
            let (name, shape) = (format!("{name}.{suffix}"), moments.shape.clone());
            StateTensor {
                name,
                shape,
                values: values.to_data().iter::<f32>().collect(),
            }
        };
        let pair = |(name, moments): (&String, &Moments)| {
            [
                tensor(name, EXP_AVG, moments, &moments.exp_avg),
                tensor(name, EXP_AVG_SQ, moments, &moments.exp_avg_sq),
            ]
        };
        AdamWState {
            updates: self.updates,
            tensors: self.moments.iter().flat_map(pair).collect(),
        }
    }

    /// The optimiser as it was at [`AdamW::export`], for the given trained parameters (path, shape).
    ///
    /// # Errors
    /// If the state does not hold exactly the two moments of each parameter in its shape. A state
    /// of no updates holds none.
    pub fn restore(
        config: AdamWConfig,
        state: AdamWState,
        parameters: &[(String, Vec<usize>)],
        device: &Device,
    ) -> Result<Self, AdamWError> {
        let mut optimiser = Self::new(config);
        optimiser.updates = state.updates;
        let mut found: BTreeMap<_, _> = state
            .tensors
            .into_iter()
            .map(|tensor| (tensor.name.clone(), tensor))
            .collect();
        let started = state.updates > 0;
        for (name, shape) in parameters.iter().filter(|_| started) {
            let moments = Moments {
                exp_avg: take(&mut found, format!("{name}.{EXP_AVG}"), shape, device)?,
                exp_avg_sq: take(&mut found, format!("{name}.{EXP_AVG_SQ}"), shape, device)?,
                shape: shape.clone(),
            };
            optimiser.moments.insert(name.clone(), moments);
        }
        match found.into_keys().next() {
            Some(name) => Err(AdamWError::Superfluous { name }),
            None => Ok(optimiser),
        }
    }
}

fn take(
    found: &mut BTreeMap<String, StateTensor>,
    name: String,
    expected: &[usize],
    device: &Device,
) -> Result<Tensor<1>, AdamWError> {
    let Some(tensor) = found.remove(&name) else {
        return Err(AdamWError::Missing { name });
    };
    if tensor.shape != expected {
        let (expected, found) = (expected.to_vec(), tensor.shape);
        return Err(AdamWError::Shape {
            name,
            expected,
            found,
        });
    }
    let (expected, found) = (expected.iter().product(), tensor.values.len());
    if expected != found {
        return Err(AdamWError::Length {
            name,
            expected,
            found,
        });
    }
    Ok(Tensor::from_data(
        TensorData::new(tensor.values, [found]),
        device,
    ))
}

/// What a checkpoint keeps of an [`AdamW`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AdamWState {
    /// Updates begun.
    pub updates: u64,
    /// The moments, sorted by name.
    pub tensors: Vec<StateTensor>,
}

/// One named tensor of an [`AdamWState`].
#[derive(Clone, Debug, PartialEq)]
pub struct StateTensor {
    /// The parameter's path and which moment it is.
    pub name: String,
    /// The parameter's shape.
    pub shape: Vec<usize>,
    /// Row-major.
    pub values: Vec<f32>,
}

/// Why a saved state does not belong to the parameters at hand.
#[derive(Debug, Error, PartialEq)]
pub enum AdamWError {
    /// A parameter has no saved moment.
    #[error(
        "the optimiser state has no `{name}`: it belongs to another model or adapter; \
         resume with the configuration that wrote the checkpoint"
    )]
    Missing {
        /// The moment looked for.
        name: String,
    },
    /// A saved moment belongs to no parameter.
    #[error(
        "the optimiser state holds `{name}`, which no trained parameter has: it belongs to another \
         model or adapter; resume with the configuration that wrote the checkpoint"
    )]
    Superfluous {
        /// The first such moment.
        name: String,
    },
    /// A moment has another shape than its parameter.
    #[error(
        "`{name}` in the optimiser state has shape {found:?}, the parameter has {expected:?}; \
         resume with the configuration that wrote the checkpoint"
    )]
    Shape {
        /// The moment.
        name: String,
        /// The parameter's shape.
        expected: Vec<usize>,
        /// The moment's.
        found: Vec<usize>,
    },
    /// A moment's numbers do not fill its own shape.
    #[error(
        "`{name}` in the optimiser state holds {found} numbers where its shape needs {expected}: \
         the checkpoint is damaged; resume from an earlier one"
    )]
    Length {
        /// The moment.
        name: String,
        /// Numbers that the shape needs.
        expected: usize,
        /// Numbers there.
        found: usize,
    },
}
