//! `bf16 = true`: products of matrices as PyTorch's autocast makes them, and what a device makes of that.

use burn::tensor::Device;

use crate::device;
use crate::kernels::{self, MatmulPrecision};

/// The precision of products that `bf16` asks for.
pub fn of_products(bf16: bool) -> MatmulPrecision {
    if bf16 {
        MatmulPrecision::Bf16
    } else {
        MatmulPrecision::F32
    }
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
        "bf16: products are rounded as asked, but no faster than in f32: this processor doesn't have AVX512-BF16",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

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
