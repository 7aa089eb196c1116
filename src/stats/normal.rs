//! The normal distribution, as far as intervals and tests need it.

/// The 97.5 % quantile: half the width of a 95 % interval in standard errors.
pub const Z: f64 = 1.959_963_984_540_054;

/// Two-sided p-value of a standard normal statistic: P(|Z| ≥ |z|) = erfc(|z| / √2).
pub fn two_sided_p(z: f64) -> f64 {
    libm::erfc(z.abs() / std::f64::consts::SQRT_2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_table() {
        for (z, p) in [(Z, 0.05), (-2.575_829_303_548_901, 0.01), (0.0, 1.0)] {
            assert!((two_sided_p(z) - p).abs() < 1e-12, "{z}");
        }
    }
}
