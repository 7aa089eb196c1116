//! AdamW over named parameters.
//!
//! Loshchilov & Hutter 2019, arXiv:1711.05101, algorithm 2, with m and v of Kingma & Ba 2015,
//! arXiv:1412.6980. Departures from the usual implementations:
//!
//! 1. Moments are keyed by the parameter's path, and a saved state that does not match the
//!    parameters name by name is an error: burn's own optimiser silently starts afresh.
//! 2. The place of ε is a choice ([`EpsilonPlacement`]).
//! 3. One update counter serves all parameters: each is to be stepped once per update.
//! 4. Global-norm clipping is applied to the gradient on the way, without a pass of its own.
//! 5. Which parameters decay is the caller's choice, parameter by parameter
//!    ([`AdamW::step`] and [`AdamW::step_without_decay`]).

mod kernel;
mod state;

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use self::kernel::{Coefficients, Operands};
pub use self::state::{AdamWError, AdamWState, StateTensor};

/// Where ε stands in the update, which matters while v is small: early PPO moves several times
/// further under one than under the other (Huang, Liu & von Werra 2023, "The N Implementation
/// Details of RLHF with PPO").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpsilonPlacement {
    /// m̂ / (√v̂ + ε): after the bias correction, as in the paper and PyTorch.
    PyTorch,
    /// m̂ / (√v̂ + ε/√(1−β₂ᵗ)): before it, the "ε̂" form of the Adam paper, as in TensorFlow 1.
    TensorFlow,
}

/// Hyperparameters of [`AdamW`] other than the learning rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamWConfig {
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// ε.
    pub epsilon: f64,
    /// Where ε stands.
    pub epsilon_placement: EpsilonPlacement,
    /// λ: each update multiplies the parameters that decay by 1 − lr·λ.
    pub weight_decay: f64,
}

/// Running means of a parameter's gradient and of its square, flat.
#[derive(Clone, Debug)]
struct Moments {
    shape: Vec<usize>,
    exp_avg: Tensor<1>,
    exp_avg_sq: Tensor<1>,
}

/// The optimiser and its state.
#[derive(Clone, Debug)]
pub struct AdamW {
    config: AdamWConfig,
    updates: u64,
    gradient_scale: f64,
    moments: BTreeMap<String, Moments>,
}

impl AdamW {
    /// An optimiser that has seen nothing yet.
    pub fn new(config: AdamWConfig) -> Self {
        Self {
            config,
            updates: 0,
            gradient_scale: 1.0,
            moments: BTreeMap::new(),
        }
    }

    /// Updates begun so far.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Starts an update: call it once, then [`AdamW::step`] for every parameter. Gradients are
    /// multiplied by `gradient_scale`, the factor of [`super::clip::clip_factor`].
    pub fn begin_update(&mut self, gradient_scale: f64) {
        self.updates += 1;
        self.gradient_scale = gradient_scale;
    }

    /// The parameter after this update:
    /// m ← β₁m + (1−β₁)g,  v ← β₂v + (1−β₂)g²,  θ ← (1 − lr·λ)θ − lr·m̂/(√v̂ + ε).
    ///
    /// # Shapes
    /// `parameter`, `gradient` and the result are the same, without autodiff. On the CPU it is
    /// fastest when the caller holds no other handle to them: the update is then in place.
    /// # Panics
    /// Before the first [`AdamW::begin_update`], or when the shape under this name changes.
    pub fn step<const D: usize>(
        &mut self,
        name: &str,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        learning_rate: f64,
    ) -> Tensor<D> {
        let coefficients = self.coefficients(learning_rate);
        self.advance(name, parameter, gradient, coefficients)
    }

    /// [`AdamW::step`] with λ = 0, for a parameter that is exempt from decay.
    ///
    /// # Panics
    /// As there.
    pub fn step_without_decay<const D: usize>(
        &mut self,
        name: &str,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        learning_rate: f64,
    ) -> Tensor<D> {
        let coefficients = Coefficients {
            keep: 1.0,
            ..self.coefficients(learning_rate)
        };
        self.advance(name, parameter, gradient, coefficients)
    }

    fn advance<const D: usize>(
        &mut self,
        name: &str,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        coefficients: Coefficients,
    ) -> Tensor<D> {
        let shape = parameter.dims();
        let elements = parameter.shape().num_elements();
        let (name, moments) = self.moments.remove_entry(name).unwrap_or_else(|| {
            let zeros = gradient.zeros_like().reshape([elements]);
            let shape = shape.to_vec();
            (
                name.to_owned(),
                Moments {
                    shape,
                    exp_avg: zeros.clone(),
                    exp_avg_sq: zeros,
                },
            )
        });
        assert_eq!(
            moments.shape, shape,
            "the shape of {name} changed between updates"
        );
        let stepped = coefficients.apply(Operands {
            parameter: parameter.reshape([elements]),
            gradient: gradient.reshape([elements]),
            exp_avg: moments.exp_avg,
            exp_avg_sq: moments.exp_avg_sq,
        });
        let Operands {
            parameter,
            exp_avg,
            exp_avg_sq,
            ..
        } = stepped;
        self.moments.insert(
            name,
            Moments {
                shape: moments.shape,
                exp_avg,
                exp_avg_sq,
            },
        );
        parameter.reshape(shape)
    }

    /// With c = √(1−β₂ᵗ): lr·m̂/(√v̂ + ε) = (lr·c/(1−β₁ᵗ))·m / (√v + ε·c), and TensorFlow's form is
    /// the same but for ε in place of ε·c. So one kernel serves both.
    fn coefficients(&self, learning_rate: f64) -> Coefficients {
        assert!(self.updates > 0, "begin_update comes before step");
        let AdamWConfig {
            beta1,
            beta2,
            epsilon,
            epsilon_placement,
            weight_decay,
        } = self.config;
        let updates = self.updates as f64;
        let correction = (1.0 - beta2.powf(updates)).sqrt();
        Coefficients {
            beta1,
            beta2,
            gradient_scale: self.gradient_scale,
            keep: 1.0 - learning_rate * weight_decay,
            step: learning_rate * correction / (1.0 - beta1.powf(updates)),
            epsilon: match epsilon_placement {
                EpsilonPlacement::PyTorch => epsilon * correction,
                EpsilonPlacement::TensorFlow => epsilon,
            },
        }
    }
}

#[cfg(test)]
mod tests;
