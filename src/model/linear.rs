//! A projection with an optional low-rank adapter, in the layout its file has.

use burn::tensor::{Device, Tensor};

use super::lora::{Lora, LoraConfig};
use super::packed::Packed;
use super::parameters::Visitor;

/// Which way round a weight matrix is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `[out, in]`: PyTorch's `Linear`.
    OutIn,
    /// `[in, out]`: GPT-2's `Conv1D`.
    InOut,
}

/// y = xW + b, plus s·(xA)B when there is an adapter; then only the adapter is trained.
#[derive(Debug, Clone)]
pub struct Linear {
    /// Full name without `.weight`, as in the file.
    pub name: String,
    /// The weight, as stored.
    pub weight: Tensor<2>,
    /// `[out]`.
    pub bias: Option<Tensor<1>>,
    /// How `weight` is stored.
    pub layout: Layout,
    /// Low-rank adapter.
    pub lora: Option<Lora>,
    /// The weight once more, laid out for decoding; only in copies made for that.
    pub packed: Option<Packed>,
}

impl Linear {
    /// # Shapes
    /// `x`: `[n, in]`; result `[n, out]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let adapted = self.lora.as_ref().map(|lora| lora.forward(x.clone()));
        let mut y = match (&self.packed, self.layout) {
            (Some(packed), _) => packed.forward(x),
            (None, Layout::OutIn) => x.matmul(self.weight.clone().transpose()),
            (None, Layout::InOut) => x.matmul(self.weight.clone()),
        };
        if let Some(bias) = &self.bias {
            y = y + bias.clone().unsqueeze();
        }
        match adapted {
            Some(update) => y + update,
            None => y,
        }
    }

    /// `[in, out]`.
    pub fn widths(&self) -> [usize; 2] {
        let [rows, columns] = self.weight.dims();
        match self.layout {
            Layout::OutIn => [columns, rows],
            Layout::InOut => [rows, columns],
        }
    }

    /// Puts a new adapter on this projection if the configuration targets it.
    pub fn attach_lora(&mut self, config: &LoraConfig, seed: u64, device: &Device) {
        if config.targets(&self.name) {
            self.lora = Some(Lora::new(config, &self.name, self.widths(), seed, device));
        }
    }

    /// Adds the adapter's update into the weight and drops the adapter.
    pub fn merge(&mut self) {
        self.packed = None;
        if let Some(lora) = self.lora.take() {
            let delta = match self.layout {
                Layout::OutIn => lora.delta(),
                Layout::InOut => lora.delta().transpose(),
            };
            self.weight = self.weight.clone() + delta;
        }
    }

    /// Shows weight and bias, then the adapter. `trained` says whether the dense weights are trained.
    pub fn visit(&mut self, trained: bool, visitor: &mut impl Visitor) {
        self.packed = None; // it would not follow what the visitor makes of the weight
        visitor.visit(&format!("{}.weight", self.name), trained, &mut self.weight);
        if let Some(bias) = &mut self.bias {
            visitor.visit(&format!("{}.bias", self.name), trained, bias);
        }
        if let Some(lora) = &mut self.lora {
            visitor.visit(&format!("{}.lora_A.weight", self.name), true, &mut lora.a);
            visitor.visit(&format!("{}.lora_B.weight", self.name), true, &mut lora.b);
        }
    }
}
