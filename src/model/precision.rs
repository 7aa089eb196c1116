//! `bf16 = true`: products with weights as PyTorch's autocast makes them, and what a device makes of that.
//!
//! | device | training, scoring | drawing answers |
//! |---|---|---|
//! | CPU | factors in bf16, sums in f32 | the same |
//! | GPU that computes in bf16 (CUDA) | projections in bf16 | the same |
//! | GPU that computes in f16, not in bf16 (WebGPU, Vulkan, Metal) | f32 | projections in f16 |
//! | GPU that does neither | f32 | f32 |
//!
//! On a GPU burn's product of two halves adds up in f32 and rounds each sum once, to the half that the factors have, as autocast does.
//! So the language-model head stays in f32 there: probabilities are made of its sums, and bf16 tells logits of 16 and 16.05 not apart.
//! f16 has too narrow a range for gradients; where policy and reference are compared they are to be computed alike, so scoring is
//! left in f32 with training.

use burn::tensor::{Device, FloatDType, Tensor};

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

/// Whether `bf16` changes anything on `device`.
pub fn is_used(bf16: bool, device: &Device) -> bool {
    let of_device = || device::is_cpu(device) || Halves::of(device).drawing.is_some();
    bf16 && of_device()
}

/// What to tell somebody who asks for `bf16` on `device`, if it does not do there what it says.
pub fn remark(bf16: bool, device: &Device) -> Option<&'static str> {
    if !bf16 {
        return None;
    }
    if device::is_cpu(device) {
        return remark_on_cpu(kernels::has_bf16_products());
    }
    Halves::of(device).remark()
}

fn remark_on_cpu(has_products: bool) -> Option<&'static str> {
    (!has_products).then_some(
        "bf16: products are rounded as asked, but slower than in f32: that takes an AMD processor with AVX512-BF16, or one with AMX",
    )
}

/// In what a GPU multiplies where `bf16` is asked for; where there is none, in f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Halves {
    /// Where gradients may pass, and where what is computed is compared with it.
    pub training: Option<FloatDType>,
    /// Where tokens are drawn.
    pub drawing: Option<FloatDType>,
}

impl Halves {
    /// Those of `device`, which is not the CPU.
    pub fn of(device: &Device) -> Self {
        Self::where_supported(|half| device.supports_dtype(half))
    }

    fn where_supported(supports: impl Fn(FloatDType) -> bool) -> Self {
        let [bf16, f16] =
            [FloatDType::BF16, FloatDType::F16].map(|half| supports(half).then_some(half));
        Self {
            training: bf16,
            drawing: bf16.or(f16),
        }
    }

    fn remark(self) -> Option<&'static str> {
        match (self.training, self.drawing) {
            (Some(_), _) => None,
            (None, Some(_)) => Some(
                "bf16: this device has f16 instead, which serves to draw answers; all else is computed in f32",
            ),
            (None, None) => {
                Some("bf16: products stay in f32: this device computes neither in bf16 nor in f16")
            }
        }
    }
}

/// x·W with both factors rounded to `half`, if there is one. Sums are made in f32 and rounded to `half` once; the result is f32 again.
///
/// # Shapes
/// `x`: `[n, in]`; `weight`: `[in, out]`; result `[n, out]`.
pub fn product(x: Tensor<2>, weight: Tensor<2>, half: Option<FloatDType>) -> Tensor<2> {
    let factor = half.unwrap_or(FloatDType::F32);
    x.cast(factor)
        .matmul(weight.cast(factor))
        .cast(FloatDType::F32)
}

/// `weight` in `half` if that holds its numbers exactly.
pub fn exactly(weight: &Tensor<2>, half: FloatDType) -> Option<Tensor<2>> {
    let rounded = weight.clone().cast(half);
    let off = rounded.clone().cast(FloatDType::F32) - weight.clone();
    let worst = off.abs().max().into_data().iter::<f32>().next();
    (worst == Some(0.0)).then_some(rounded)
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
            remark_on_cpu(kernels::has_bf16_products())
        );
        assert!(is_used(true, &cpu) && !is_used(false, &cpu));
        assert_eq!(remark_on_cpu(true), None);
        let without = remark_on_cpu(false).unwrap();
        assert!(without.contains("AVX512-BF16"), "{without}");
    }

    #[test]
    fn a_gpu_trains_in_bf16_only_and_draws_in_the_best_half_that_it_has() {
        use FloatDType::{BF16, F16};
        let both = Halves::where_supported(|_| true);
        let brief = Halves::where_supported(|half| half == BF16);
        let narrow = Halves::where_supported(|half| half == F16);
        let neither = Halves::where_supported(|_| false);
        assert_eq!([both.training, both.drawing], [Some(BF16); 2]);
        assert_eq!(brief, both);
        assert_eq!([narrow.training, narrow.drawing], [None, Some(F16)]);
        assert_eq!([neither.training, neither.drawing], [None, None]);
        assert_eq!(both.remark(), None);
        let told = narrow.remark().unwrap();
        assert!(told.contains("serves to draw answers"), "{told}");
        let told = neither.remark().unwrap();
        assert!(told.contains("stay in f32"), "{told}");
    }

    fn numbers<const N: usize>(values: [f32; N], shape: [usize; 2]) -> Tensor<2> {
        Tensor::<1>::from_floats(values, &device::cpu().device).reshape(shape)
    }

    #[test]
    fn a_weight_is_kept_in_a_half_only_if_nothing_is_lost() {
        use FloatDType::{BF16, F16};
        // 1 + 2⁻⁸ needs nine bits, f16 has eleven and bf16 eight; 2¹⁷ is beyond f16.
        let fine = numbers([1.0, -0.5, 1.0 + 1.0 / 256.0, 3.0], [2, 2]);
        let wide = numbers([1.0, -0.5, 131_072.0, 3.0], [2, 2]);
        let kept = |weight: &Tensor<2>, half| exactly(weight, half).map(|kept| kept.dtype());
        assert_eq!(kept(&fine, BF16), None);
        assert_eq!(kept(&fine, F16), Some(F16.into()));
        assert_eq!(kept(&wide, BF16), Some(BF16.into()));
        assert_eq!(kept(&wide, F16), None);
        let again = exactly(&fine, F16).unwrap().cast(FloatDType::F32);
        assert_eq!(again.into_data(), fine.into_data());
    }

    /// By burn's CPU backend, which has both halves, with gradients through the casts.
    #[test]
    fn products_in_a_half_round_their_factors_and_pass_gradients_on() {
        let x = numbers([1.0 + 1.0 / 512.0, 2.0, -3.0, 0.5], [2, 2]);
        let weight = numbers([1.0, -1.0, 0.25, 2.0], [2, 2]);
        let run = |half| {
            let [x, weight] = [&x, &weight].map(|t| t.clone().autodiff().require_grad());
            let y = product(x.clone(), weight.clone(), half);
            let gradients = y.clone().sum().backward();
            let of = |tensor: &Tensor<2>| tensor.grad(&gradients).unwrap();
            [y.inner(), of(&x), of(&weight)].map(|t| {
                assert_eq!(t.dtype(), FloatDType::F32.into());
                t.into_data().iter::<f32>().collect::<Vec<_>>()
            })
        };
        let rounded = [
            [1.5, 3.0, -2.875, 4.0],
            [0.0, 2.25, 0.0, 2.25],
            [-2.0, -2.0, 2.5, 2.5],
        ];
        assert_eq!(run(Some(FloatDType::BF16)), rounded.map(Vec::from));
        let off = 1.0 / 512.0;
        let exact = [
            [1.5 + off, 3.0 - off, -2.875, 4.0],
            [0.0, 2.25, 0.0, 2.25],
            [-2.0 + off, -2.0 + off, 2.5, 2.5],
        ];
        assert_eq!(run(None), exact.map(Vec::from));
    }
}
