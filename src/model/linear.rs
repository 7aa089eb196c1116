//! A projection with an optional low-rank adapter, in the layout its file has.

use std::sync::Arc;

use burn::tensor::{DType, Device, FloatDType, Tensor};

use crate::device;
use crate::kernels::{MatmulPrecision, Panels, Precision};

use super::fused;
use super::lora::{Lora, LoraConfig};
use super::parameters::Visitor;
use super::precision::{self, Halves};

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
    /// The weight, as stored; none while it exists only packed. In a half on a GPU where that loses nothing, or where it is only drawn from.
    pub weight: Option<Tensor<2>>,
    /// `[out]`.
    pub bias: Option<Tensor<1>>,
    /// How `weight` is stored.
    pub layout: Layout,
    /// Low-rank adapter.
    pub lora: Option<Lora>,
    /// A weight that is not trained, laid out for the CPU's kernels; copies share it.
    pub packed: Option<Arc<Panels>>,
    /// Of the products with the weight and of its gradients; an adapter's are in f32.
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
            layout => self.plain(x, layout),
        };
        if let Some(bias) = &self.bias {
            y = y + bias.clone().unsqueeze();
        }
        match adapted {
            Some(update) => y + update,
            None => y,
        }
    }

    /// y = xW in burn's operations, in the half that the weight is kept in or that the device trains in.
    fn plain(&self, x: Tensor<2>, layout: Layout) -> Tensor<2> {
        let weight = self.weight.clone().unwrap_or_else(|| self.dense());
        let half = match (self.precision, weight.dtype()) {
            (MatmulPrecision::F32, _) => None,
            (MatmulPrecision::Bf16, DType::F32) => Halves::of(&x.device()).training,
            (MatmulPrecision::Bf16, half) => Some(half.into()),
        };
        let weight = match layout {
            Layout::OutIn => weight.transpose(),
            Layout::InOut => weight,
        };
        precision::product(x, weight, half)
    }

    /// On the CPU, packs the weight and lets the dense one go. On a GPU that trains in a half, keeps it in that if nothing is lost.
    pub fn pack(&mut self) {
        let Some(weight) = &mut self.weight else {
            return;
        };
        let device = weight.device();
        if device::is_cpu(&device) {
            self.packed = Some(Arc::new(fused::pack(weight, self.layout, None)));
            self.weight = None;
        } else if self.precision == MatmulPrecision::Bf16
            && weight.dtype() == DType::F32
            && let Some(half) = Halves::of(&device).training
            && let Some(kept) = precision::exactly(weight, half)
        {
            *weight = kept;
        }
    }

    /// On a GPU, the form for drawing answers: the weight in the half in which they are drawn there, no more than products would round it, and
    /// the adapter beside it, since a half of their sum would lose what is small in it. Without such a half, their sum.
    pub fn for_drawing(&mut self) {
        if self.precision == MatmulPrecision::Bf16
            && let Some(weight) = &mut self.weight
            && let Some(half) = Halves::of(&weight.device()).drawing
        {
            *weight = weight.clone().cast(half);
        } else {
            self.merge();
        }
    }

    /// The weight, as stored, in f32.
    ///
    /// # Panics
    /// If there is none.
    pub fn dense(&self) -> Tensor<2> {
        match (&self.weight, &self.packed) {
            (Some(weight), _) => weight.clone().cast(FloatDType::F32),
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
            (Some(weight), _) => weight.dims(),
            (None, None) => self.dense().dims(),
        };
        match self.layout {
            Layout::OutIn => [columns, rows],
            Layout::InOut => [rows, columns],
        }
    }

    /// How a product on the CPU finds the weight.
    pub fn kept(&self) -> Precision {
        self.packed
            .as_ref()
            .map_or(Precision::F32, |packed| packed.precision())
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
