//! A table with a row for each token: the embedding, and the language-model head.

use std::sync::Arc;

use burn::tensor::{Device, Tensor, TensorData};

use crate::device;
use crate::kernels::{MatmulPrecision, Panels};

use super::fused;
use super::linear::Layout;
use super::parameters::Visitor;
use super::tokens::indices;

/// `[vocabulary, hidden]`, dense or, while it is not trained on the CPU, packed; a tied head is the embedding itself.
#[derive(Debug, Clone)]
pub struct Table {
    form: Form,
    device: Device,
    /// Of the products with hidden states on the CPU; on a GPU they stay in f32: see [`precision`](super::precision).
    pub precision: MatmulPrecision,
}

#[derive(Debug, Clone)]
enum Form {
    Dense(Tensor<2>),
    Packed(Arc<Panels>),
}

impl From<Tensor<2>> for Table {
    fn from(weight: Tensor<2>) -> Self {
        let device = weight.device();
        let form = Form::Dense(weight);
        Self {
            form,
            device,
            precision: MatmulPrecision::default(),
        }
    }
}

impl Table {
    /// A table that exists only packed, for the CPU `device`.
    pub fn packed(panels: Panels, device: &Device) -> Self {
        Self {
            form: Form::Packed(Arc::new(panels)),
            device: device.clone(),
            precision: MatmulPrecision::default(),
        }
    }

    /// Where it is.
    pub fn device(&self) -> Device {
        match &self.form {
            Form::Dense(weight) => weight.device(),
            Form::Packed(_) => self.device.clone(),
        }
    }

    /// Packs it, on the CPU, and lets the dense one go.
    pub fn pack(&mut self) {
        if let Form::Dense(weight) = &self.form
            && device::is_cpu(&self.device)
        {
            self.form = Form::Packed(Arc::new(fused::pack(weight, Layout::OutIn, None)));
        }
    }

    /// Makes it dense again, to be trained.
    pub fn unpack(&mut self) {
        self.form = Form::Dense(self.dense());
    }

    /// The table, row by row.
    pub fn dense(&self) -> Tensor<2> {
        match &self.form {
            Form::Dense(weight) => weight.clone(),
            Form::Packed(panels) => fused::unpack(panels, Layout::OutIn),
        }
    }

    /// The packed form. A dense table is packed for the occasion: the decoder must be on the CPU.
    pub fn panels(&self) -> Arc<Panels> {
        match &self.form {
            Form::Dense(weight) => Arc::new(fused::pack(weight, Layout::OutIn, None)),
            Form::Packed(panels) => Arc::clone(panels),
        }
    }

    /// Bytes that a product on the CPU reads.
    pub fn bytes(&self) -> usize {
        match &self.form {
            Form::Dense(weight) => weight.shape().num_elements() * size_of::<f32>(),
            Form::Packed(panels) => panels.bytes(),
        }
    }

    /// The rows of `ids`, on `device`: the table's own, with or without autodiff.
    ///
    /// # Shapes
    /// Result: `[ids, hidden]`.
    pub fn rows(&self, ids: &[u32], device: &Device) -> Tensor<2> {
        match &self.form {
            Form::Dense(weight) => {
                let places = ids.iter().map(|&id| id as usize);
                if device::is_cpu(&self.device) {
                    // Its gradient is not filled with zeros twice, which burn's is.
                    fused::gather(weight.clone(), &Arc::new(places.collect()))
                } else {
                    weight.clone().select(0, indices(places, device))
                }
            }
            Form::Packed(panels) => {
                let hidden = panels.inputs();
                let mut rows = vec![0.0; ids.len() * hidden];
                for (&id, row) in ids.iter().zip(rows.chunks_mut(hidden.max(1))) {
                    panels.row(id as usize, row);
                }
                Tensor::from_data(TensorData::new(rows, [ids.len(), hidden]), device)
            }
        }
    }

    /// The product of every row with hidden states.
    ///
    /// # Shapes
    /// `hidden`: `[n, hidden]`; result `[n, vocabulary]`.
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        match &self.form {
            Form::Dense(weight) if self.rounds() => {
                fused::dense_linear(hidden, weight.clone(), Layout::OutIn, self.precision)
            }
            Form::Dense(weight) => hidden.matmul(weight.clone().transpose()),
            Form::Packed(panels) => fused::linear(hidden, panels, self.precision, None, None),
        }
    }

    /// The gradient of [`logits`](Self::logits) with respect to the hidden states.
    ///
    /// # Shapes
    /// `gradient`: `[n, vocabulary]`, without autodiff; result `[n, hidden]`.
    pub fn logits_input_gradient(&self, gradient: Tensor<2>) -> Tensor<2> {
        match &self.form {
            Form::Dense(weight) if self.rounds() => {
                fused::dense_linear(gradient, weight.clone(), Layout::InOut, self.precision)
            }
            Form::Dense(weight) => gradient.matmul(weight.clone()),
            Form::Packed(panels) => fused::transposed(gradient, panels, self.precision),
        }
    }

    /// The gradient of [`logits`](Self::logits) with respect to the table.
    ///
    /// # Shapes
    /// `gradient`: `[n, vocabulary]`; `hidden`: `[n, hidden]`, both without autodiff; result `[vocabulary, hidden]`.
    pub fn logits_weight_gradient(&self, gradient: Tensor<2>, hidden: Tensor<2>) -> Tensor<2> {
        if self.rounds() {
            fused::across(gradient, hidden, self.precision)
        } else {
            gradient.transpose().matmul(hidden)
        }
    }

    /// Burn's products, which a dense table takes otherwise, know no other precision than its numbers'.
    fn rounds(&self) -> bool {
        self.precision != MatmulPrecision::F32 && device::is_cpu(&self.device)
    }

    /// Shows it to `visitor`; one that is trained is dense from then on.
    pub fn visit(&mut self, name: &str, trained: bool, visitor: &mut impl Visitor) {
        if trained {
            self.unpack();
        }
        match &mut self.form {
            Form::Dense(weight) => visitor.visit(name, trained, weight),
            Form::Packed(panels) => visitor.visit_packed(name, panels, Layout::OutIn),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seventeen rows of three, so that the second panel is not full.
    fn table(device: &Device) -> Table {
        let values: Vec<f32> = (0..51).map(|n| 0.1 * n as f32).collect();
        Table::from(Tensor::from_data(TensorData::new(values, [17, 3]), device))
    }

    #[test]
    fn a_packed_table_has_the_rows_of_the_dense_one() {
        let device = device::cpu().device;
        let dense = table(&device);
        let mut packed = dense.clone();
        packed.pack();
        let ids = [16, 0, 7, 16];
        let rows = |table: &Table| table.rows(&ids, &device).into_data();
        assert_eq!(rows(&packed), rows(&dense));
        assert_eq!(
            rows(&packed).iter::<f32>().take(3).collect::<Vec<_>>(),
            [0.1 * 48.0, 0.1 * 49.0, 0.1 * 50.0]
        );
        packed.unpack();
        assert_eq!(packed.dense().into_data(), dense.dense().into_data());
    }

    #[test]
    fn rows_of_a_tracked_model_carry_autodiff() {
        let device = device::cpu().device;
        let mut packed = table(&device);
        packed.pack();
        assert!(packed.rows(&[1], &device.clone().autodiff()).is_autodiff());
        assert!(!packed.rows(&[1], &device).is_autodiff());
    }

    #[test]
    fn a_dense_table_in_bf16_has_the_products_of_a_packed_one() {
        let device = device::cpu().device;
        // None but the first is bf16; those of 1 to 8 are.
        let values: Vec<f32> = (0..51).map(|n| 0.123 * n as f32).collect();
        let mut dense = Table::from(Tensor::from_data(TensorData::new(values, [17, 3]), &device));
        let mut packed = dense.clone();
        packed.pack();
        let count = |count: usize, shape: [usize; 2]| {
            let values: Vec<f32> = (0..count).map(|n| (n % 8 + 1) as f32).collect();
            Tensor::<2>::from_data(TensorData::new(values, shape), &device)
        };
        let (hidden, gradient) = (count(12, [4, 3]), count(68, [4, 17]));
        let products = |table: &Table| {
            [
                table.logits(hidden.clone()),
                table.logits_input_gradient(gradient.clone()),
                table.logits_weight_gradient(gradient.clone(), hidden.clone()),
            ]
            .map(Tensor::into_data)
        };
        let plain = products(&dense);
        dense.precision = MatmulPrecision::Bf16;
        packed.precision = MatmulPrecision::Bf16;
        let [logits, input, weight] = products(&dense);
        assert_eq!(
            products(&packed),
            [logits.clone(), input.clone(), weight.clone()]
        );
        assert!(logits != plain[0] && input != plain[1]);
        assert_eq!(weight, plain[2]); // the table is no factor of it
    }
}
