//! Weights for training from scratch.

use super::{TensorSource, WeightsError};
use crate::model::lora;

/// Weights drawn at random, for training from scratch.
///
/// Matrices are normal with deviation 0.02, those that write to the residual stream 0.02/√(2·layers) (GPT-2, Radford et al. 2019,
/// section 2.3); norm weights are 1 and biases 0.
pub struct RandomWeights {
    /// Seed of all draws.
    pub seed: u64,
    /// Blocks of the model.
    pub layers: usize,
}

impl TensorSource for RandomWeights {
    fn take(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, WeightsError> {
        let count = shape.iter().product();
        if shape.len() == 1 {
            let value = if name.rsplit('.').next() == Some("bias") {
                0.0
            } else {
                1.0
            };
            return Ok(vec![value; count]);
        }
        let residual = ["o_proj.weight", "down_proj.weight", "c_proj.weight"];
        let deviation = if residual.iter().any(|end| name.ends_with(end)) {
            0.02 / (2.0 * self.layers as f32).sqrt()
        } else {
            0.02
        };
        Ok(lora::normal(count, deviation, self.seed, name))
    }
}
