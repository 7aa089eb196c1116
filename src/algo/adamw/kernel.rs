//! The arithmetic of one AdamW step on one parameter.

use burn::tensor::{DType, Tensor};

use crate::algo::host;

/// The flat tensors that one step reads and replaces.
pub(super) struct Operands {
    pub parameter: Tensor<1>,
    pub gradient: Tensor<1>,
    pub exp_avg: Tensor<1>,
    pub exp_avg_sq: Tensor<1>,
}

/// The numbers of one step.
#[derive(Clone, Copy)]
pub(super) struct Coefficients {
    pub beta1: f64,
    pub beta2: f64,
    pub gradient_scale: f64,
    pub keep: f64,
    pub step: f64,
    pub epsilon: f64,
}

impl Coefficients {
    pub(super) fn apply(&self, operands: Operands) -> Operands {
        let all_f32 = [&operands.parameter, &operands.gradient, &operands.exp_avg]
            .iter()
            .all(|tensor| tensor.dtype() == DType::F32);
        if all_f32 && host::owns(&operands.parameter) {
            self.apply_on_host(operands)
        } else {
            self.apply_by_tensors(operands)
        }
    }

    /// Any device, any dtype; a GPU's compiler fuses it.
    pub(super) fn apply_by_tensors(&self, operands: Operands) -> Operands {
        let Operands {
            parameter,
            gradient,
            exp_avg,
            exp_avg_sq,
        } = operands;
        let gradient = gradient * self.gradient_scale;
        let exp_avg = exp_avg * self.beta1 + gradient.clone() * (1.0 - self.beta1);
        let exp_avg_sq = exp_avg_sq * self.beta2 + gradient.clone().square() * (1.0 - self.beta2);
        let denominator = exp_avg_sq.clone().sqrt() + self.epsilon;
        let parameter = parameter * self.keep - exp_avg.clone() / denominator * self.step;
        Operands {
            parameter,
            gradient,
            exp_avg,
            exp_avg_sq,
        }
    }

    /// The same in one pass over memory, in place where the tensors have no other owner: the
    /// embedding alone is 28 M numbers, and the passes of tensor operations cost ten times more.
    pub(super) fn apply_on_host(&self, operands: Operands) -> Operands {
        let device = operands.parameter.device();
        let mut parameter = operands.parameter.into_data();
        let gradient = operands.gradient.into_data();
        let mut exp_avg = operands.exp_avg.into_data();
        let mut exp_avg_sq = operands.exp_avg_sq.into_data();
        let (Ok(p), Ok(g), Ok(m), Ok(v)) = (
            parameter.as_mut_slice::<f32>(),
            gradient.as_slice::<f32>(),
            exp_avg.as_mut_slice::<f32>(),
            exp_avg_sq.as_mut_slice::<f32>(),
        ) else {
            unreachable!("apply() lets only f32 through")
        };
        let chunk = host::chunk_length(p.len());
        let chunks = p.chunks_mut(chunk).zip(g.chunks(chunk));
        let chunks = chunks.zip(m.chunks_mut(chunk).zip(v.chunks_mut(chunk)));
        host::for_each(chunks, |((p, g), (m, v))| self.apply_to_slices(p, g, m, v));
        Operands {
            parameter: Tensor::from_data(parameter, &device),
            gradient: Tensor::from_data(gradient, &device),
            exp_avg: Tensor::from_data(exp_avg, &device),
            exp_avg_sq: Tensor::from_data(exp_avg_sq, &device),
        }
    }

    fn apply_to_slices(&self, p: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
        let [beta1, rest1] = [self.beta1 as f32, (1.0 - self.beta1) as f32];
        let [beta2, rest2] = [self.beta2 as f32, (1.0 - self.beta2) as f32];
        let [scale, keep] = [self.gradient_scale as f32, self.keep as f32];
        let [step, epsilon] = [self.step as f32, self.epsilon as f32];
        for (((p, g), m), v) in p.iter_mut().zip(g).zip(m).zip(v) {
            let g = g * scale;
            *m = beta1 * *m + rest1 * g;
            *v = beta2 * *v + rest2 * (g * g);
            *p = keep * *p - step * *m / (v.sqrt() + epsilon);
        }
    }
}
