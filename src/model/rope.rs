//! Rotary position embedding in Hugging Face's "rotate half" form.
//!
//! Su et al. 2021, arXiv:2104.09864; the pairs are (i, i + d/2), not neighbours. `llama3` and `linear` stretching as in
//! transformers' `modeling_rope_utils`.

use burn::tensor::{Device, Tensor};

use super::config::{DecoderConfig, RopeScaling};

/// Rotation angles for the tokens of one forward pass.
#[derive(Debug, Clone)]
pub struct Rotary {
    cos: Tensor<4>, // [batch, 1, time, head_dim / 2]
    sin: Tensor<4>,
}

/// θ^(−2i/d) for i in 0..d/2, stretched as the configuration says.
pub fn inverse_frequencies(config: &DecoderConfig) -> Vec<f64> {
    let half = config.head_dim / 2;
    let base = (0..half).map(|i| {
        config
            .rope_theta
            .powf(-2.0 * i as f64 / config.head_dim as f64)
    });
    match config.rope_scaling {
        RopeScaling::None => base.collect(),
        RopeScaling::Linear { factor } => base.map(|f| f / factor).collect(),
        RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_max_position_embeddings,
        } => {
            let stretch = |f: f64| {
                let wavelength = std::f64::consts::TAU / f;
                if wavelength > original_max_position_embeddings / low_freq_factor {
                    f / factor
                } else if wavelength < original_max_position_embeddings / high_freq_factor {
                    f
                } else {
                    let smooth = (original_max_position_embeddings / wavelength - low_freq_factor)
                        / (high_freq_factor - low_freq_factor);
                    (1.0 - smooth) * f / factor + smooth * f
                }
            };
            base.map(stretch).collect()
        }
    }
}

/// Cosines and sines of the angles of `positions`, `[positions, frequencies]`.
pub fn angles(frequencies: &[f64], positions: &[usize]) -> [Vec<f32>; 2] {
    let angles = positions
        .iter()
        .flat_map(|&p| frequencies.iter().map(move |f| p as f64 * f));
    let (sin, cos) = angles
        .map(f64::sin_cos)
        .map(|(s, c)| (s as f32, c as f32))
        .unzip();
    [cos, sin]
}

impl Rotary {
    /// Angles for `positions`, `[batch][time]` row by row.
    pub fn new(frequencies: &[f64], positions: &[usize], batch: usize, device: &Device) -> Self {
        let shape = [batch, 1, positions.len() / batch, frequencies.len()];
        let [cos, sin] = angles(frequencies, positions)
            .map(|values| Tensor::<1>::from_floats(values.as_slice(), device).reshape(shape));
        Self { cos, sin }
    }

    /// Rotates every head.
    ///
    /// # Shapes
    /// `x`: `[batch, heads, time, head_dim]`; result the same.
    pub fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        let half = x.dims()[3] / 2;
        let first = x.clone().narrow(3, 0, half);
        let second = x.narrow(3, half, half);
        let rotated_first = first.clone() * self.cos.clone() - second.clone() * self.sin.clone();
        let rotated_second = second * self.cos.clone() + first * self.sin.clone();
        Tensor::cat(vec![rotated_first, rotated_second], 3)
    }
}
