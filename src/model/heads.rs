//! The scalar head: a value or a score from a hidden state.
//!
//! One row, no bias, as transformers' `*ForSequenceClassification` with one label has it.

use burn::tensor::{Device, Tensor};

use super::lora;
use super::parameters::{Parameters, Visitor};
use super::tokens::{TokenBatch, indices};
use super::transformer::Decoder;
use super::weights::{TensorSource, WeightsError};

/// Name of the head's weight in a classifier's file.
pub const SCORE_WEIGHT: &str = "score.weight";

/// h ↦ w·h.
#[derive(Debug, Clone)]
pub struct ScalarHead {
    /// `[1, hidden]`.
    pub weight: Tensor<2>,
}

impl ScalarHead {
    /// Normal with deviation 1/√(hidden + 1): Stiennon et al. 2020, appendix B.1.
    pub fn random(hidden: usize, seed: u64, device: &Device) -> Self {
        let values = lora::normal(
            hidden,
            1.0 / (hidden as f32 + 1.0).sqrt(),
            seed,
            SCORE_WEIGHT,
        );
        Self {
            weight: Tensor::<1>::from_floats(values.as_slice(), device).reshape([1, hidden]),
        }
    }

    /// Says 0 everywhere.
    pub fn zero(hidden: usize, device: &Device) -> Self {
        Self {
            weight: Tensor::zeros([1, hidden], device),
        }
    }

    /// Takes `score.weight` from a classifier's file.
    pub fn from_source(
        source: &dyn TensorSource,
        hidden: usize,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        let values = source.take(SCORE_WEIGHT, &[1, hidden])?;
        Ok(Self {
            weight: Tensor::<1>::from_floats(values.as_slice(), device).reshape([1, hidden]),
        })
    }

    /// # Shapes
    /// `hidden`: `[n, hidden]`; result `[n]`.
    pub fn forward(&self, hidden: Tensor<2>) -> Tensor<1> {
        hidden
            .matmul(self.weight.clone().transpose())
            .squeeze_dim(1)
    }
}

/// A decoder under a scalar head: a reward model's network, or a critic.
#[derive(Debug, Clone)]
pub struct ScalarModel {
    /// Trunk.
    pub decoder: Decoder,
    /// Head; always trained.
    pub head: ScalarHead,
}

impl ScalarModel {
    /// The head's output at flat token positions.
    ///
    /// # Shapes
    /// `at`: indices into `[batch · time]`; result `[at.len()]`.
    pub fn at(&self, tokens: &TokenBatch, at: &[usize]) -> Tensor<1> {
        let hidden = self.decoder.hidden(tokens);
        let index = indices(at.iter().copied(), &hidden.device());
        self.head.forward(hidden.select(0, index))
    }
}

impl Parameters for ScalarHead {
    fn visit(&mut self, visitor: &mut impl Visitor) {
        visitor.visit(SCORE_WEIGHT, true, &mut self.weight);
    }
}

impl Parameters for ScalarModel {
    fn visit(&mut self, visitor: &mut impl Visitor) {
        self.decoder.visit(visitor);
        self.head.visit(visitor);
    }
}
