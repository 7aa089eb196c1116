//! `bf16 = true`: products with weights as PyTorch's autocast makes them, and what a device makes of that.

use burn::tensor::Device;

use crate::device;
use crate::kernels::{self, MatmulPrecision};

#[cfg(test)]
use super::transformer::{Block, Decoder};

/// The precision of products that `bf16` asks for.
pub fn of_products(bf16: bool) -> MatmulPrecision {
    if bf16 {
        MatmulPrecision::Bf16
    } else {
        MatmulPrecision::F32
    }
}

/// Whether `bf16` changes anything on `device`: a GPU's products stay in f32.
pub fn is_used(bf16: bool, device: &Device) -> bool {
    bf16 && device::is_cpu(device)
}

/// What to tell somebody who asks for `bf16` on `device`, if it makes nothing faster there.
pub fn remark(bf16: bool, device: &Device) -> Option<&'static str> {
    bf16.then(|| remark_on(device::is_cpu(device), kernels::has_bf16_products()))?
}

fn remark_on(cpu: bool, has_products: bool) -> Option<&'static str> {
    if !cpu {
        return Some("bf16: products stay in f32 on this device; only the CPU makes them in bf16");
    }
    (!has_products).then_some(
        "bf16: products are rounded as asked, but slower than in f32: this processor doesn't have AVX512-BF16",
    )
}

/// Of every product of a decoder: projections, embedding, head.
#[cfg(test)]
pub(crate) fn every(decoder: &Decoder) -> Vec<MatmulPrecision> {
    let linears = decoder.blocks.iter().flat_map(Block::linears);
    let tables = [&decoder.embedding].into_iter().chain(&decoder.head);
    let linears = linears.map(|linear| linear.precision);
    linears.chain(tables.map(|table| table.precision)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::lora::Layers;
    use crate::model::{LanguageModel, LoraConfig, Parameters, Table};

    /// Four layers of seven projections, an embedding, a head of its own.
    const ALL: [MatmulPrecision; 30] = [MatmulPrecision::Bf16; 30];

    /// The embedded model with a head of its own.
    fn untied() -> Decoder {
        let model = LanguageModel::embedded(&device::cpu().device).unwrap();
        let mut decoder = model.decoder;
        decoder.head = Some(Table::from(decoder.embedding.dense()));
        decoder
    }

    #[test]
    fn a_precision_reaches_every_product_and_every_copy() {
        let mut decoder = untied();
        assert_eq!(every(&decoder), [MatmulPrecision::F32; 30]);
        decoder.set_matmul_precision(of_products(true));
        assert_eq!(every(&decoder), ALL);
        let lora = LoraConfig {
            r: 2,
            alpha: 4.0,
            target_modules: vec!["all-linear".to_owned()],
            layers: Layers::All,
        };
        decoder.attach_lora(&lora, 0).unwrap();
        let mut unpacked = decoder.clone();
        unpacked.unpack();
        let copies = [
            decoder.base(),
            decoder.merged(),
            decoder.sampler(),
            decoder.tracked(),
            unpacked.tracked(),
            unpacked.base(),
            decoder,
        ];
        for copy in copies {
            assert_eq!(every(&copy), ALL);
        }
        unpacked.set_matmul_precision(of_products(false));
        assert_eq!(every(&unpacked), [MatmulPrecision::F32; 30]);
    }

    #[test]
    fn layers_that_compute_in_another_precision_are_not_shared() {
        let mut decoder = untied();
        decoder.pack();
        let (mut one, other) = (decoder.base(), decoder.base());
        assert!(one.shares(&other, 4));
        one.set_matmul_precision(of_products(true));
        assert!(!one.shares(&other, 4));
    }

    #[test]
    fn who_gains_nothing_by_bf16_is_told_why() {
        let cpu = device::cpu().device;
        assert_eq!(remark(false, &cpu), None);
        assert_eq!(
            remark(true, &cpu),
            remark_on(true, kernels::has_bf16_products())
        );
        assert_eq!(remark_on(true, true), None);
        let without = remark_on(true, false).unwrap();
        assert!(without.contains("AVX512-BF16"), "{without}");
        let gpu = remark_on(false, true).unwrap();
        assert!(gpu.contains("stay in f32"), "{gpu}");
    }
}
