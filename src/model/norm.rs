//! RMSNorm and LayerNorm over the last axis.

use burn::tensor::Tensor;

use crate::device;

use super::fused;
use super::parameters::Visitor;

/// RMSNorm (Zhang & Sennrich 2019, eq. 4), or LayerNorm (Ba et al. 2016, eq. 4) when it has a bias.
///
/// RMSNorm: y = x / √(mean(x²) + ε) · w.  LayerNorm: y = (x − mean) / √(var + ε) · w + b, population variance.
#[derive(Debug, Clone)]
pub struct Norm {
    /// Full name without `.weight`.
    pub name: String,
    /// `[width]`.
    pub weight: Tensor<1>,
    /// `[width]`: makes it a LayerNorm.
    pub bias: Option<Tensor<1>>,
    /// ε.
    pub epsilon: f64,
}

impl Norm {
    /// # Shapes
    /// `x`: `[n, width]`; result the same.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        if self.bias.is_none() && device::is_cpu(&x.device()) {
            return fused::rms_norm(x, self.weight.clone(), self.epsilon);
        }
        self.plain(x)
    }

    /// The formula in burn's operations.
    pub(super) fn plain(&self, x: Tensor<2>) -> Tensor<2> {
        let centred = match self.bias {
            Some(_) => x.clone() - x.mean_dim(1),
            None => x,
        };
        let variance = centred.clone().square().mean_dim(1);
        let scaled = centred * variance.add_scalar(self.epsilon).sqrt().recip();
        let y = scaled * self.weight.clone().unsqueeze();
        match &self.bias {
            Some(bias) => y + bias.clone().unsqueeze(),
            None => y,
        }
    }

    /// Shows weight and bias.
    pub fn visit(&mut self, trained: bool, visitor: &mut impl Visitor) {
        visitor.visit(&format!("{}.weight", self.name), trained, &mut self.weight);
        if let Some(bias) = &mut self.bias {
            visitor.visit(&format!("{}.bias", self.name), trained, bias);
        }
    }
}
