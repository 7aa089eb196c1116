//! A projection with an optional low-rank adapter, in the layout its file has.

use std::sync::Arc;

use burn::tensor::{Device, Tensor};

use crate::device;
use crate::kernels::{MatmulPrecision, Panels};

use super::fused;
use super::lora::{Lora, LoraConfig};
use super::parameters::Visitor;

/// Which way round a weight matrix is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// `[out, in]`: PyTorch's `Linear`.
    OutIn,
    /// `[in, out]`: GPT-2's `Conv1D`.
    InOut,
}

impl Layout {
    /// The shape of a map's weight, and how far apart its elements lie along inputs and outputs.
    pub fn stored(self, inputs: usize, outputs: usize) -> ([usize; 2], (usize, usize)) {
        match self {
            Self::OutIn => ([outputs, inputs], (1, inputs)),
            Self::InOut => ([inputs, outputs], (outputs, 1)),
        }
    }

    /// `[inputs, outputs]` of a weight of this shape, and how far apart its elements lie along each.
    pub fn of(self, [rows, columns]: [usize; 2]) -> ([usize; 2], (usize, usize)) {
        match self {
            Self::OutIn => ([columns, rows], (1, columns)),
            Self::InOut => ([rows, columns], (columns, 1)),
        }
    }
}

/// y = xW + b, plus s·(xA)B when there is an adapter; then only the adapter is trained.
#[derive(Debug, Clone)]
pub struct Linear {
    /// Full name without `.weight`, as in the file.
    pub name: String,
    /// The weight, as stored; none while it exists only packed.
    pub weight: Option<Tensor<2>>,
    /// `[out]`.
    pub bias: Option<Tensor<1>>,
    /// How `weight` is stored.
    pub layout: Layout,
    /// Low-rank adapter.
    pub lora: Option<Lora>,
    /// A weight that is not trained, laid out for the CPU's kernels; copies share it.
    pub packed: Option<Arc<Panels>>,
    /// Of the products with the weight and of its gradients; an adapter's are in f32, and a weight on a GPU ignores it.
    pub precision: MatmulPrecision,
}

impl Linear {
    /// # Shapes
    /// `x`: `[n, in]`; result `[n, out]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        if let Some(packed) = &self.packed {
            let (bias, lora) = (self.bias.as_ref(), self.lora.as_ref());
            return fused::linear(x, packed, self.precision, bias, lora);
        }
        let adapted = self.lora.as_ref().map(|lora| lora.forward(x.clone()));
        let mut y = match self.layout {
            layout if device::is_cpu(&x.device()) => {
                fused::dense_linear(x, self.dense(), layout, self.precision)
            }
            Layout::OutIn => x.matmul(self.dense().transpose()),
            Layout::InOut => x.matmul(self.dense()),
        };
        if let Some(bias) = &self.bias {
            y = y + bias.clone().unsqueeze();
        }
        match adapted {
            Some(update) => y + update,
            None => y,
        }
    }

    /// On the CPU, packs the weight and lets the dense one go.
    pub fn pack(&mut self) {
        if let Some(weight) = self
            .weight
            .take_if(|weight| device::is_cpu(&weight.device()))
        {
            self.packed = Some(Arc::new(fused::pack(&weight, self.layout, None)));
        }
    }

    /// The weight, as stored.
    ///
    /// # Panics
    /// If there is none.
    pub fn dense(&self) -> Tensor<2> {
        match (&self.weight, &self.packed) {
            (Some(weight), _) => weight.clone(),
            (None, Some(packed)) => fused::unpack(packed, self.layout),
            (None, None) => unreachable!("{}: no weight", self.name),
        }
    }

    /// Makes the weight dense again, to be trained.
    pub fn unpack(&mut self) {
        self.weight = Some(self.dense());
        self.packed = None;
    }

    /// `[in, out]`.
    pub fn widths(&self) -> [usize; 2] {
        let [rows, columns] = match (&self.weight, &self.packed) {
            (None, Some(packed)) => return [packed.inputs(), packed.outputs()],
            _ => self.dense().dims(),
        };
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

    /// Adds the adapter's update into the weight and drops the adapter. The weight is dense afterwards.
    pub fn merge(&mut self) {
        self.weight = Some(self.merged());
        (self.packed, self.lora) = (None, None);
    }

    /// The weight with the adapter's update in it, as stored.
    pub fn merged(&self) -> Tensor<2> {
        let update = self.lora.as_ref().map(|lora| match self.layout {
            Layout::OutIn => lora.delta(),
            Layout::InOut => lora.delta().transpose(),
        });
        match update {
            Some(update) => self.dense() + update,
            None => self.dense(),
        }
    }

    /// Shows weight and bias, then the adapter. `trained` says whether the dense weights are trained.
    pub fn visit(&mut self, trained: bool, visitor: &mut impl Visitor) {
        if trained {
            self.unpack(); // the packed form would not follow what the visitor makes of the weight
        }
        let name = format!("{}.weight", self.name);
        match (&mut self.weight, &self.packed) {
            (Some(weight), _) => visitor.visit(&name, trained, weight),
            (None, Some(packed)) => visitor.visit_packed(&name, packed, self.layout),
            (None, None) => (),
        }
        if let Some(bias) = &mut self.bias {
            visitor.visit(&format!("{}.bias", self.name), trained, bias);
        }
        if let Some(lora) = &mut self.lora {
            visitor.visit(&format!("{}.lora_A.weight", self.name), true, &mut lora.a);
            visitor.visit(&format!("{}.lora_B.weight", self.name), true, &mut lora.b);
        }
    }
}
