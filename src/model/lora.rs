//! Low-rank adapters: y = xW + s·(xA)B with W frozen.
//!
//! Hu et al. 2021, arXiv:2106.09685, eq. 3, with s = α/r. `A` starts random, `B` at zero, so a new adapter changes
//! nothing. Adapters stay apart from their base; [`merge`](crate::model::Linear::merge) makes dense weights for export only.

use burn::tensor::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

/// Which projections get an adapter, and how wide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LoraConfig {
    /// Rank of the update.
    pub r: usize,
    /// Scale numerator: the update is multiplied by α/r.
    pub alpha: f64,
    /// Last parts of the projections' names (`q_proj`, `c_attn` …), or `all-linear`.
    pub target_modules: Vec<String>,
    /// In which layers.
    pub layers: Layers,
}

/// Layers of a decoder, counted from 0 at the embedding.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layers {
    /// Every one.
    #[default]
    All,
    /// This many, from the last down.
    Last(usize),
    /// Those of PEFT's `layers_to_transform`.
    These(Vec<usize>),
}

impl Layers {
    /// The last `count`, where 0 stands for all.
    pub fn last(count: usize) -> Self {
        if count == 0 {
            Self::All
        } else {
            Self::Last(count)
        }
    }

    /// Is `layer` among them, of a decoder of `count`?
    pub fn contains(&self, layer: usize, count: usize) -> bool {
        match self {
            Self::All => true,
            Self::Last(last) => layer + last >= count,
            Self::These(layers) => layers.contains(&layer),
        }
    }

    /// The smallest number of layers that a decoder must have.
    pub fn needed(&self) -> usize {
        match self {
            Self::All => 0,
            Self::Last(last) => *last,
            Self::These(layers) => layers.iter().max().map_or(0, |layer| layer + 1),
        }
    }
}

impl LoraConfig {
    /// Does the projection called `name` (its full path) get an adapter?
    pub fn targets(&self, name: &str) -> bool {
        let last = name.rsplit('.').next().unwrap_or(name);
        self.target_modules
            .iter()
            .any(|t| t == "all-linear" || t == last)
    }
}

/// One adapter. PEFT's layout and names.
#[derive(Debug, Clone)]
pub struct Lora {
    /// `[r, in]`.
    pub a: Tensor<2>,
    /// `[out, r]`.
    pub b: Tensor<2>,
    /// α/r.
    pub scale: f64,
}

impl Lora {
    /// A new adapter: `a` uniform in ±1/√in (Kaiming with a = √5, as PEFT), `b` zero. Its numbers depend on `seed` and `name` only.
    pub fn new(
        config: &LoraConfig,
        name: &str,
        [inputs, outputs]: [usize; 2],
        seed: u64,
        device: &Device,
    ) -> Self {
        let bound = 1.0 / (inputs as f32).sqrt();
        let values = uniform(config.r * inputs, bound, seed, name);
        Self {
            a: Tensor::<1>::from_floats(values.as_slice(), device).reshape([config.r, inputs]),
            b: Tensor::zeros([outputs, config.r], device),
            scale: config.alpha / config.r as f64,
        }
    }

    /// s·(xA)B.
    ///
    /// # Shapes
    /// `x`: `[n, in]`; result `[n, out]`.
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        x.matmul(self.a.clone().transpose())
            .matmul(self.b.clone().transpose())
            .mul_scalar(self.scale)
    }

    /// The dense update s·BA, `[out, in]`.
    pub fn delta(&self) -> Tensor<2> {
        self.b.clone().matmul(self.a.clone()).mul_scalar(self.scale)
    }
}

/// `count` numbers uniform in ±`bound`, from a stream of their own for (`seed`, `name`).
pub fn uniform(count: usize, bound: f32, seed: u64, name: &str) -> Vec<f32> {
    let mut rng = stream(seed, name);
    (0..count)
        .map(|_| (unit(&mut rng) * 2.0 - 1.0) * bound)
        .collect()
}

/// `count` normal numbers (Box–Muller), from a stream of their own for (`seed`, `name`).
pub fn normal(count: usize, deviation: f32, seed: u64, name: &str) -> Vec<f32> {
    let mut rng = stream(seed, name);
    let mut draw = || {
        let radius = (-2.0 * (1.0 - unit(&mut rng)).ln()).sqrt();
        radius * (std::f32::consts::TAU * unit(&mut rng)).cos() * deviation
    };
    (0..count).map(|_| draw()).collect()
}

fn stream(seed: u64, name: &str) -> ChaCha8Rng {
    let tag = u64::from(crc32fast::hash(name.as_bytes()));
    ChaCha8Rng::seed_from_u64(seed ^ (tag << 32 | tag))
}

/// Uniform in [0, 1) with 24 bits.
fn unit(rng: &mut ChaCha8Rng) -> f32 {
    (rng.next_u32() >> 8) as f32 / (1 << 24) as f32
}
