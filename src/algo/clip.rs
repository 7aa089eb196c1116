//! Global-norm gradient clipping: one norm over all tensors, one factor for all.
//!
//! Pascanu et al. 2013, arXiv:1211.5063, algorithm 1; the factor is that of PyTorch's
//! `clip_grad_norm_`.

use burn::tensor::Tensor;

/// Elements summed at a time. Flex sums more than 4 Mi elements in no fixed order; chunks below that
/// make the norm the same in every run. This many also stay in the cache between square and sum.
const CHUNK: usize = 1 << 18;

/// PyTorch's guard against a division by zero.
const NORM_EPSILON: f64 = 1e-6;

/// Adds up the squares of all gradients of one update, always in the order they are given.
#[derive(Clone, Debug, Default)]
pub struct GlobalNorm {
    /// One sum per chunk, left on the device until [`GlobalNorm::finish`] reads them all at once.
    chunk_sums: Vec<Tensor<1>>,
}

impl GlobalNorm {
    /// Takes in one gradient.
    ///
    /// # Shapes
    /// `gradient` any, without autodiff.
    pub fn add<const D: usize>(&mut self, gradient: &Tensor<D>) {
        let elements = gradient.shape().num_elements();
        let flat = gradient.clone().reshape([elements]);
        for start in (0..elements).step_by(CHUNK) {
            let chunk = flat.clone().narrow(0, start, CHUNK.min(elements - start));
            self.chunk_sums.push(chunk.square().sum());
        }
    }

    /// √Σ g² over everything added; not finite if any gradient is not.
    pub fn finish(self) -> f64 {
        if self.chunk_sums.is_empty() {
            return 0.0;
        }
        Tensor::cat(self.chunk_sums, 0)
            .into_data()
            .iter::<f64>()
            .sum::<f64>()
            .sqrt()
    }
}

/// The factor for every gradient: min(1, max_norm / (norm + 1e-6)).
///
/// Give it to [`super::adamw::AdamW::begin_update`], which applies it on the way. Not finite norms
/// are the caller's to catch: the update is to be skipped, not scaled.
pub fn clip_factor(norm: f64, max_norm: f64) -> f64 {
    (max_norm / (norm + NORM_EPSILON)).min(1.0)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn one_norm_over_all_tensors() {
        let device = Device::flex();
        let mut norm = GlobalNorm::default();
        norm.add(&Tensor::<1>::from_floats([3.0, 0.0], &device));
        norm.add(&Tensor::<2>::from_floats(
            [[0.0, 4.0], [12.0, 0.0]],
            &device,
        ));
        assert_eq!(norm.finish(), 13.0);
        assert_eq!(GlobalNorm::default().finish(), 0.0);
    }

    #[test]
    fn a_tensor_of_several_chunks_counts_every_element() {
        let ones = Tensor::<2>::ones([3, CHUNK - 1], &Device::flex());
        let mut norm = GlobalNorm::default();
        norm.add(&ones);
        assert!((norm.finish() - (3.0 * (CHUNK - 1) as f64).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn a_non_finite_gradient_shows_in_the_norm() {
        let mut norm = GlobalNorm::default();
        norm.add(&Tensor::<1>::from_floats([1.0, f32::NAN], &Device::flex()));
        assert!(norm.finish().is_nan());
    }

    #[test]
    fn only_large_gradients_are_scaled() {
        assert_eq!(clip_factor(0.5, 1.0), 1.0);
        assert_eq!(clip_factor(0.0, 1.0), 1.0);
        assert!((clip_factor(4.0, 1.0) - 0.25).abs() < 1e-6);
    }
}
