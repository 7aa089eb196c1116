//! Products with a frozen packed weight, with a low-rank adapter beside it, and with a weight that is trained.
//!
//! y = xW + b + s·(xA)B, Hu et al. 2021, eq. 3. Backward: ∂x = ∂y·Wᵀ + s·(∂y·Bᵀ)Aᵀ, ∂A = s·xᵀ(∂y·Bᵀ), ∂B = s·(xA)ᵀ∂y; W
//! and b are constants. Neither the dense update nor its gradient ever exists.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::{Rule, Values, apply};
use crate::device::Cpu;
use crate::kernels::{
    Beside, MatmulPrecision, Mode, Panels, Precision, matmul_with, product, product_across,
    product_transposed,
};
use crate::model::linear::Layout;
use crate::model::lora::Lora;

/// A weight's packed form. Its numbers are read where they lie, and kept in the smallest `precision` that loses nothing if none is given.
///
/// # Shapes
/// `weight`: `[out, in]` or `[in, out]`, on the CPU, without autodiff.
pub fn pack(weight: &Tensor<2>, layout: Layout, precision: Option<Precision>) -> Panels {
    let [rows, columns] = weight.dims();
    let values = Values::from(weight);
    let (widths, stride) = match layout {
        Layout::OutIn => ([columns, rows], (1, columns)),
        Layout::InOut => ([rows, columns], (columns, 1)),
    };
    let values = values.as_slice();
    let precision = precision.unwrap_or_else(|| Precision::lossless(values));
    Panels::pack(values, widths, stride, precision)
}

/// The weight again.
pub fn unpack(panels: &Panels, layout: Layout) -> Tensor<2> {
    let (inputs, outputs) = (panels.inputs(), panels.outputs());
    let (shape, stride) = match layout {
        Layout::OutIn => ([outputs, inputs], (1, inputs)),
        Layout::InOut => ([inputs, outputs], (outputs, 1)),
    };
    Tensor::from_primitive::<Cpu>(Values::new(panels.unpack(stride), &shape).0)
}

/// y = xW + b + s·(xA)B, the product with W in `precision`, those of the adapter in f32.
///
/// # Shapes
/// `x`: `[n, in]`; `bias`: `[out]`; result `[n, out]`.
pub fn linear(
    x: Tensor<2>,
    weight: &Arc<Panels>,
    precision: MatmulPrecision,
    bias: Option<&Tensor<1>>,
    lora: Option<&Lora>,
) -> Tensor<2> {
    let weight = Arc::clone(weight);
    let bias = bias.map(|bias| super::Input::from(bias.clone()).values);
    match lora {
        None => apply([x.into()], |[x]| {
            let y = dense(&x, &weight, precision, None, bias.as_ref());
            (y, Frozen { weight, precision })
        }),
        Some(lora) => {
            let inputs = [x.into(), lora.a.clone().into(), lora.b.clone().into()];
            let scale = lora.scale as f32;
            apply(inputs, |[x, a, b]| {
                let rule = Adapted::new(weight, precision, [x, a, b], scale);
                (rule.forward(bias.as_ref()), rule)
            })
        }
    }
}

fn dense(
    x: &Values,
    weight: &Panels,
    precision: MatmulPrecision,
    beside: Option<Beside<'_>>,
    bias: Option<&Values>,
) -> Values {
    let (x, outputs) = (x.as_slice(), weight.outputs());
    let rows = x.len() / weight.inputs();
    let y = if let Some(bias) = bias {
        let mut y = bias.as_slice().repeat(rows);
        matmul_with(x, weight, precision, beside, &mut y, Mode::Add);
        y
    } else {
        product(x, weight, precision, beside)
    };
    Values::new(y, &[rows, outputs])
}

#[derive(Debug, Clone)]
struct Frozen {
    weight: Arc<Panels>,
    precision: MatmulPrecision,
}

impl Rule<1> for Frozen {
    fn gradients(&self, dy: Values, [wanted]: [bool; 1]) -> [Option<Values>; 1] {
        [wanted.then(|| input_gradient(&dy, &self.weight, self.precision, None))]
    }
}

/// dy·W, the input gradient of [`linear`] without an adapter.
///
/// # Shapes
/// `dy`: `[n, out]`, without autodiff; result `[n, in]`.
pub fn transposed(dy: Tensor<2>, weight: &Panels, precision: MatmulPrecision) -> Tensor<2> {
    let dy = super::Input::from(dy).values;
    let dx = input_gradient(&dy, weight, precision, None);
    Tensor::from_primitive::<Cpu>(dx.0)
}

fn input_gradient(
    dy: &Values,
    weight: &Panels,
    precision: MatmulPrecision,
    beside: Option<Beside<'_>>,
) -> Values {
    let dx = product_transposed(dy.as_slice(), weight, precision, beside);
    let (rows, inputs) = (dy.as_slice().len() / weight.outputs(), weight.inputs());
    Values::new(dx, &[rows, inputs])
}

/// What the gradients of an adapter need.
#[derive(Debug, Clone)]
struct Adapted {
    weight: Arc<Panels>,
    precision: MatmulPrecision,
    x: Values,     // [n, in]
    a: Values,     // [r, in]
    b: Values,     // [out, r]
    inner: Values, // s·xA, [n, r]
    rank: usize,
    scale: f32,
}

impl Adapted {
    fn new(
        weight: Arc<Panels>,
        precision: MatmulPrecision,
        [x, a, b]: [Values; 3],
        scale: f32,
    ) -> Self {
        let inputs = weight.inputs();
        let rank = a.as_slice().len() / inputs;
        let inner = scaled_product(&x, &a, [inputs, rank], (1, inputs), scale);
        Self {
            weight,
            precision,
            x,
            a,
            b,
            inner,
            rank,
            scale,
        }
    }

    fn forward(&self, bias: Option<&Values>) -> Values {
        let (rank, widths) = (self.rank, [self.rank, self.weight.outputs()]);
        let b = Panels::pack(self.b.as_slice(), widths, (1, rank), Precision::F32);
        let beside = (self.inner.as_slice(), &b);
        dense(&self.x, &self.weight, self.precision, Some(beside), bias)
    }

    /// ∂y·Wᵀ + `inner`·Aᵀ.
    fn input_gradient(&self, dy: &Values, inner: &Values) -> Values {
        let inputs = self.weight.inputs();
        let widths = [self.rank, inputs];
        let a = Panels::pack(self.a.as_slice(), widths, (inputs, 1), Precision::F32);
        let beside = (inner.as_slice(), &a);
        input_gradient(dy, &self.weight, self.precision, Some(beside))
    }
}

/// `scale`·xW in f32 for a narrow W, of which `element(input, output)` is at `weight[input · stride.0 + output · stride.1]`. Rounding its
/// factors to bf16 takes as long as it saves.
fn scaled_product(
    x: &Values,
    weight: &Values,
    widths: [usize; 2],
    stride: (usize, usize),
    scale: f32,
) -> Values {
    let packed = Panels::pack(weight.as_slice(), widths, stride, Precision::F32);
    let mut values = product(x.as_slice(), &packed, MatmulPrecision::F32, None);
    for value in &mut values {
        *value *= scale;
    }
    let [inputs, outputs] = widths;
    Values::new(values, &[x.as_slice().len() / inputs, outputs])
}

impl Rule<3> for Adapted {
    fn gradients(&self, dy: Values, wanted: [bool; 3]) -> [Option<Values>; 3] {
        let (inputs, outputs, rank) = (self.weight.inputs(), self.weight.outputs(), self.rank);
        let precision = MatmulPrecision::F32; // as the adapter's products
        // s·∂y·Bᵀ, [n, r]
        let inner = scaled_product(&dy, &self.b, [outputs, rank], (rank, 1), self.scale);
        let dx = wanted[0].then(|| self.input_gradient(&dy, &inner));
        let da = wanted[1].then(|| weight_gradient(&inner, &self.x, [rank, inputs], precision));
        let db = wanted[2].then(|| {
            let turned = weight_gradient(&self.inner, &dy, [rank, outputs], precision);
            Values::new(turned_rows(turned.as_slice(), outputs), &[outputs, rank])
        });
        [dx, da, db]
    }
}

/// xW for a weight that is trained: it is packed for this product only, and again for the gradients.
///
/// # Shapes
/// `x`: `[n, in]`; `weight`: `[out, in]` or `[in, out]`; result `[n, out]`.
pub fn dense_linear(
    x: Tensor<2>,
    weight: Tensor<2>,
    layout: Layout,
    precision: MatmulPrecision,
) -> Tensor<2> {
    let [rows, columns] = weight.dims();
    let widths = match layout {
        Layout::OutIn => [columns, rows],
        Layout::InOut => [rows, columns],
    };
    apply([x.into(), weight.into()], |[x, weight]| {
        let rule = Trained {
            x,
            weight,
            widths,
            layout,
            precision,
        };
        (rule.forward(), rule)
    })
}

#[derive(Debug, Clone)]
struct Trained {
    x: Values,
    weight: Values,
    widths: [usize; 2],
    layout: Layout,
    precision: MatmulPrecision,
}

impl Trained {
    fn forward(&self) -> Values {
        let [inputs, outputs] = self.widths;
        let stride = match self.layout {
            Layout::OutIn => (1, inputs),
            Layout::InOut => (outputs, 1),
        };
        let weight = self.weight.as_slice();
        let packed = Panels::pack(weight, self.widths, stride, Precision::F32);
        dense(&self.x, &packed, self.precision, None, None)
    }

    fn input_gradient(&self, dy: &Values) -> Values {
        let [inputs, outputs] = self.widths;
        let stride = match self.layout {
            Layout::OutIn => (inputs, 1),
            Layout::InOut => (1, outputs),
        };
        let weight = self.weight.as_slice();
        let packed = Panels::pack(weight, [outputs, inputs], stride, Precision::F32);
        dense(dy, &packed, self.precision, None, None)
    }

    fn weight_gradient(&self, dy: &Values) -> Values {
        let [inputs, outputs] = self.widths;
        match self.layout {
            Layout::OutIn => weight_gradient(dy, &self.x, [outputs, inputs], self.precision),
            Layout::InOut => weight_gradient(&self.x, dy, [inputs, outputs], self.precision),
        }
    }
}

impl Rule<2> for Trained {
    fn gradients(&self, dy: Values, wanted: [bool; 2]) -> [Option<Values>; 2] {
        [
            wanted[0].then(|| self.input_gradient(&dy)),
            wanted[1].then(|| self.weight_gradient(&dy)),
        ]
    }
}

/// aᵀb: `a` is `[n, left]`, `b` `[n, right]`, the result `[left, right]`.
fn weight_gradient(
    a: &Values,
    b: &Values,
    widths: [usize; 2],
    precision: MatmulPrecision,
) -> Values {
    let product = product_across(a.as_slice(), b.as_slice(), widths, precision);
    Values::new(product, &widths)
}

/// aᵀb.
///
/// # Shapes
/// `a`: `[n, left]`; `b`: `[n, right]`, both without autodiff; result `[left, right]`.
pub fn across(a: Tensor<2>, b: Tensor<2>, precision: MatmulPrecision) -> Tensor<2> {
    let widths = [a.dims()[1], b.dims()[1]];
    let [a, b] = [a, b].map(|tensor| super::Input::from(tensor).values);
    Tensor::from_primitive::<Cpu>(weight_gradient(&a, &b, widths, precision).0)
}

/// The transpose of rows of `width` numbers.
fn turned_rows(values: &[f32], width: usize) -> Vec<f32> {
    let column = |index| values.iter().skip(index).step_by(width.max(1)).copied();
    (0..width).flat_map(column).collect()
}
