//! Products with a frozen packed weight, with a low-rank adapter beside it, and with a weight that is trained.
//!
//! y = xW + b + s·(xA)B, Hu et al. 2021, eq. 3. Backward: ∂x = ∂y·Wᵀ + s·(∂y·Bᵀ)Aᵀ, ∂A = s·xᵀ(∂y·Bᵀ), ∂B = s·(xA)ᵀ∂y; W
//! and b are constants. Neither the dense update nor its gradient ever exists.

use std::sync::Arc;

use burn::tensor::Tensor;

use super::{Rule, Values, apply};
use crate::device::Cpu;
use crate::kernels::{Mode, Panels, Precision, WIDTH, matmul, matmul_transposed};
use crate::model::linear::Layout;
use crate::model::lora::Lora;

/// A weight's packed form. Its numbers are read where they lie.
///
/// # Shapes
/// `weight`: `[out, in]` or `[in, out]`, on the CPU, without autodiff.
pub fn pack(weight: &Tensor<2>, layout: Layout) -> Panels {
    let [rows, columns] = weight.dims();
    let values = Values::from(weight);
    let (widths, stride) = match layout {
        Layout::OutIn => ([columns, rows], (1, columns)),
        Layout::InOut => ([rows, columns], (columns, 1)),
    };
    let values = values.as_slice();
    Panels::pack(values, widths, stride, Precision::lossless(values))
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

/// y = xW + b + s·(xA)B.
///
/// # Shapes
/// `x`: `[n, in]`; `bias`: `[out]`; result `[n, out]`.
pub fn linear(
    x: Tensor<2>,
    weight: &Arc<Panels>,
    bias: Option<&Tensor<1>>,
    lora: Option<&Lora>,
) -> Tensor<2> {
    let weight = Arc::clone(weight);
    let bias = bias.map(|bias| super::Input::from(bias.clone()).values);
    match lora {
        None => apply([x.into()], |[x]| {
            let y = dense(&x, &weight, bias.as_ref());
            (y.into_values(), Frozen(weight))
        }),
        Some(lora) => {
            let inputs = [x.into(), lora.a.clone().into(), lora.b.clone().into()];
            let scale = lora.scale as f32;
            apply(inputs, |[x, a, b]| {
                let mut y = dense(&x, &weight, bias.as_ref());
                let rule = Adapted::forward(weight, [x, a, b], scale, &mut y.values);
                (y.into_values(), rule)
            })
        }
    }
}

struct Product {
    values: Vec<f32>,
    shape: [usize; 2],
}

impl Product {
    fn into_values(self) -> Values {
        Values::new(self.values, &self.shape)
    }
}

fn dense(x: &Values, weight: &Panels, bias: Option<&Values>) -> Product {
    let (x, outputs) = (x.as_slice(), weight.outputs());
    let rows = x.len() / weight.inputs();
    let (values, mode) = match bias {
        Some(bias) => (bias.as_slice().repeat(rows), Mode::Add),
        None => (vec![0.0; rows * outputs], Mode::Set),
    };
    let shape = [rows, outputs];
    let mut y = Product { values, shape };
    matmul(x, weight, &mut y.values, mode);
    y
}

#[derive(Debug, Clone)]
struct Frozen(Arc<Panels>);

impl Rule<1> for Frozen {
    fn gradients(&self, dy: Values, [wanted]: [bool; 1]) -> [Option<Values>; 1] {
        [wanted.then(|| input_gradient(&dy, &self.0).into_values())]
    }
}

/// dy·W, the input gradient of [`linear`] without an adapter.
///
/// # Shapes
/// `dy`: `[n, out]`, without autodiff; result `[n, in]`.
pub fn transposed(dy: Tensor<2>, weight: &Panels) -> Tensor<2> {
    let dy = super::Input::from(dy).values;
    let dx = input_gradient(&dy, weight).into_values();
    Tensor::from_primitive::<Cpu>(dx.0)
}

fn input_gradient(dy: &Values, weight: &Panels) -> Product {
    let (dy, inputs) = (dy.as_slice(), weight.inputs());
    let rows = dy.len() / weight.outputs();
    let mut values = vec![0.0; rows * inputs];
    matmul_transposed(dy, weight, &mut values, Mode::Set);
    let shape = [rows, inputs];
    Product { values, shape }
}

/// What the gradients of an adapter need.
#[derive(Debug, Clone)]
struct Adapted {
    weight: Arc<Panels>,
    x: Values,     // [n, in]
    a: Values,     // [r, in]
    b: Values,     // [out, r]
    inner: Values, // s·xA, [n, r]
    rank: usize,
    scale: f32,
}

impl Adapted {
    /// Adds s·(xA)B to `y`.
    fn forward(weight: Arc<Panels>, [x, a, b]: [Values; 3], scale: f32, y: &mut [f32]) -> Self {
        let (inputs, outputs) = (weight.inputs(), weight.outputs());
        let rank = a.as_slice().len() / inputs;
        let rows = x.as_slice().len() / inputs;
        let mut inner = vec![0.0; rows * rank];
        let packed_a = Panels::pack(a.as_slice(), [inputs, rank], (1, inputs), Precision::F32);
        matmul(x.as_slice(), &packed_a, &mut inner, Mode::Set);
        for value in &mut inner {
            *value *= scale;
        }
        let packed_b = Panels::pack(b.as_slice(), [rank, outputs], (1, rank), Precision::F32);
        matmul(&inner, &packed_b, y, Mode::Add);
        Self {
            weight,
            x,
            a,
            b,
            inner: Values::new(inner, &[rows, rank]),
            rank,
            scale,
        }
    }
}

impl Rule<3> for Adapted {
    fn gradients(&self, dy: Values, wanted: [bool; 3]) -> [Option<Values>; 3] {
        let (inputs, outputs) = (self.weight.inputs(), self.weight.outputs());
        let (dy_values, rank) = (dy.as_slice(), self.rank);
        let rows = dy_values.len() / outputs;
        // s·∂y·Bᵀ, [n, r]
        let packed_b = Panels::pack(
            self.b.as_slice(),
            [outputs, rank],
            (rank, 1),
            Precision::F32,
        );
        let mut inner = vec![0.0; rows * rank];
        matmul(dy_values, &packed_b, &mut inner, Mode::Set);
        for value in &mut inner {
            *value *= self.scale;
        }
        let dx = wanted[0].then(|| {
            let mut dx = input_gradient(&dy, &self.weight);
            let packed_a = Panels::pack(
                self.a.as_slice(),
                [rank, inputs],
                (inputs, 1),
                Precision::F32,
            );
            matmul(&inner, &packed_a, &mut dx.values, Mode::Add);
            dx.into_values()
        });
        let da = wanted[1].then(|| {
            let da = weight_gradient(&inner, self.x.as_slice(), [rank, inputs], rows);
            Values::new(da, &[rank, inputs])
        });
        let db = wanted[2].then(|| {
            let db = weight_gradient(self.inner.as_slice(), dy_values, [rank, outputs], rows);
            Values::new(turned(&db, outputs), &[outputs, rank])
        });
        [dx, da, db]
    }
}

/// xW for a weight that is trained: it is packed for this product only, and again for the gradients.
///
/// # Shapes
/// `x`: `[n, in]`; `weight`: `[out, in]` or `[in, out]`; result `[n, out]`.
pub fn dense_linear(x: Tensor<2>, weight: Tensor<2>, layout: Layout) -> Tensor<2> {
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
        dense(&self.x, &packed, None).into_values()
    }

    fn input_gradient(&self, dy: &Values) -> Values {
        let [inputs, outputs] = self.widths;
        let stride = match self.layout {
            Layout::OutIn => (inputs, 1),
            Layout::InOut => (1, outputs),
        };
        let weight = self.weight.as_slice();
        let packed = Panels::pack(weight, [outputs, inputs], stride, Precision::F32);
        dense(dy, &packed, None).into_values()
    }

    fn weight_gradient(&self, dy: &Values) -> Values {
        let [inputs, outputs] = self.widths;
        let (x, dy) = (self.x.as_slice(), dy.as_slice());
        let rows = x.len() / inputs;
        let (shape, gradient) = match self.layout {
            Layout::OutIn => (
                [outputs, inputs],
                weight_gradient(dy, x, [outputs, inputs], rows),
            ),
            Layout::InOut => (
                [inputs, outputs],
                weight_gradient(x, dy, [inputs, outputs], rows),
            ),
        };
        Values::new(gradient, &shape)
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
fn weight_gradient(a: &[f32], b: &[f32], [left, right]: [usize; 2], rows: usize) -> Vec<f32> {
    let packed = Panels::pack(b, [rows, right], (right, 1), Precision::F32);
    let mut product = vec![0.0; left * right];
    matmul(&turned(a, left), &packed, &mut product, Mode::Set);
    product
}

/// The transpose of rows of `width` numbers, some columns at a time so that what is written stays near.
fn turned(values: &[f32], width: usize) -> Vec<f32> {
    let rows = values.len() / width.max(1);
    let mut result = vec![0.0; values.len()];
    for (block, into) in result.chunks_mut((WIDTH * rows).max(1)).enumerate() {
        for (row, values) in values.chunks(width).enumerate() {
            let columns = into.chunks_mut(rows).zip(&values[block * WIDTH..]);
            columns.for_each(|(column, value)| column[row] = *value);
        }
    }
    result
}
