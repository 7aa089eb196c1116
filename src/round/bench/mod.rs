//! How fast a model samples, scores and learns here: the numbers behind `rlhf bench`.
//!
//! Texts are made-up tokens, so any model folder will do. Every figure is the median of several runs after those that warm up.

mod growth;
pub mod machine;
mod work;

use std::time::Instant;

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::device;
use crate::generate::GenerateError;
use crate::model::arithmetic::{self, StepWork};
use crate::model::footprint::Footprint;
use crate::model::{LanguageModel, Parameters, precision};
use crate::policy::rollout::RolloutError;
use crate::reward::model::RewardError;
use crate::run::{Observer, memory};

use self::machine::Machine;
use super::improve::ImproveError;

/// Why a model can't be measured.
#[derive(Debug, Error)]
pub enum BenchError {
    /// Sampling.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// Scoring, or a reward model's training.
    #[error(transparent)]
    Reward(#[from] RewardError),
    /// Making PPO's networks.
    #[error(transparent)]
    Improve(#[from] ImproveError),
    /// A PPO iteration.
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    /// LoRA.
    #[error(transparent)]
    Weights(#[from] crate::model::weights::WeightsError),
    /// The tokenizer is missing.
    #[error(transparent)]
    Model(#[from] crate::model::ModelError),
}

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// 64 new tokens after prompts of 32, for each batch size.
    Sampling,
    /// A reward model's scores of 8 rows of 96 tokens.
    Scoring,
    /// An update of a reward model on a few pairs.
    Reward,
    /// A PPO iteration: 8 prompts of 32 tokens, 64 new tokens, 4 epochs.
    Ppo,
    /// Sampling with 1 to 64 rows, and a forward and backward pass over 64 to 1024 tokens.
    Growth,
}

/// What to measure, and how often.
#[derive(Debug, Clone)]
pub struct Plan {
    /// In this order.
    pub work: Vec<Work>,
    /// Rows sampled together.
    pub batches: Vec<usize>,
    /// The most probable token instead of a drawn one.
    pub greedy: bool,
    /// Tokens of a reward step's answers, prompts included: winner and loser of every pair in turn.
    pub pair_lengths: Vec<usize>,
    /// Training with LoRA.
    pub lora: bool,
    /// Training with all weights.
    pub full: bool,
    /// Of the last layers, for PPO's adapters; 0 for all.
    pub lora_num_layers: usize,
    /// Products in bf16.
    pub bf16: bool,
    /// Runs before those that count.
    pub warm_up: usize,
    /// Runs that count.
    pub repeats: usize,
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Of what: the same in every report.
    pub name: String,
    /// Median of the runs, seconds.
    pub seconds: f64,
    /// All runs, seconds.
    pub all: Vec<f64>,
    /// Tokens done in a second.
    pub tokens_per_second: f64,
    /// Of the machine's limit, 0 to 1: of memory or arithmetic, whichever binds. Only where the work is known exactly, and on the CPU.
    pub share: Option<f64>,
    /// Most memory that the process held meanwhile, bytes; only where the system tells (Linux).
    pub peak_bytes: Option<u64>,
    /// What was expected of it before; only for training on the CPU.
    #[serde(default)]
    pub expected_bytes: Option<u64>,
    /// Seconds that were expected of it before; only for training on the CPU.
    #[serde(default)]
    pub expected_seconds: Option<f64>,
    /// Seconds of the parts, medians.
    pub parts: Vec<(String, f64)>,
}

/// What `rlhf bench` prints and saves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Of this format.
    pub v: u32,
    /// Of the program.
    pub version: String,
    /// As it was named.
    pub model: String,
    /// Numbers in it.
    pub parameters: usize,
    /// Its name.
    pub device: String,
    /// Products were made in bf16; on a GPU that lacks it, those of sampling in f16.
    #[serde(default)]
    pub bf16: bool,
    /// Limits of the CPU; none for other devices.
    pub machine: Option<Machine>,
    /// In the order of the plan.
    pub figures: Vec<Figure>,
}

/// Measures all of `plan`.
///
/// # Errors
/// If the model can't do a part of it; a model without a tokenizer can only sample.
pub fn bench(
    mut model: LanguageModel,
    names: [&str; 2],
    plan: &Plan,
    device: &Device,
    observer: &mut dyn Observer,
) -> Result<Report, BenchError> {
    let precision = precision::of_products(plan.bf16);
    let bf16 = precision::is_used(plan.bf16, device);
    let machine = device::is_cpu(device).then(|| Machine::measure(precision));
    model.decoder.set_matmul_precision(precision); // of the copies, which are what is measured
    let parameters = model.decoder.base().count().1;
    let mut bench = Bench {
        model: &model,
        plan,
        machine,
        observer,
        figures: Vec::new(),
    };
    for &work in &plan.work {
        match work {
            Work::Sampling => bench.sampling(&plan.batches)?,
            Work::Scoring => bench.scoring()?,
            Work::Reward => bench.reward()?,
            Work::Ppo => bench.ppo()?,
            Work::Growth => bench.growth()?,
        }
    }
    let figures = bench.figures;
    let [name, device] = names;
    Ok(Report {
        v: 1,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        model: name.to_owned(),
        parameters,
        device: device.to_owned(),
        bf16,
        machine,
        figures,
    })
}

struct Bench<'a> {
    model: &'a LanguageModel,
    plan: &'a Plan,
    machine: Option<Machine>,
    observer: &'a mut dyn Observer,
    figures: Vec<Figure>,
}

/// What is said of a piece of work before it is done, as far as something is.
#[derive(Debug, Clone, Copy, Default)]
struct Expected {
    /// Seconds that the machine would need at its limits.
    least: Option<f64>,
    /// Memory at most.
    bytes: Option<u64>,
    /// Seconds that it will take.
    seconds: Option<f64>,
}

/// What a run took, apart from the clock: seconds of its parts, in their order.
type Parts = Vec<(&'static str, f64)>;

impl Bench<'_> {
    /// What a job tells before it starts, on the CPU.
    fn told(&self, footprint: Footprint, work: StepWork) -> Expected {
        if self.machine.is_none() {
            return Expected::default();
        }
        let precision = precision::of_products(self.plan.bf16);
        Expected {
            bytes: Some(footprint.total() as u64),
            seconds: Some(arithmetic::seconds(work, precision, &footprint)),
            ..Expected::default()
        }
    }

    /// Runs `work` as often as planned, to warm up and then to count, and notes the figure.
    fn measure(
        &mut self,
        name: &str,
        tokens: usize,
        expected: Expected,
        mut work: impl FnMut() -> Result<Parts, BenchError>,
    ) -> Result<(), BenchError> {
        memory::forget_peak();
        let warm_up = self.plan.warm_up;
        let runs = warm_up + self.plan.repeats.max(1);
        let (mut all, mut parts) = (Vec::new(), Vec::new());
        if self.machine.is_none() {
            self.observer.compiling();
        }
        for run in 0..runs {
            let started = Instant::now();
            let of_run = work()?;
            if run >= warm_up {
                all.push(started.elapsed().as_secs_f64());
                parts.push(of_run);
            }
            self.observer.phase(name, run + 1, runs);
        }
        let seconds = median(all.clone());
        let names: Vec<&str> = parts[0].iter().map(|(name, _)| *name).collect();
        let of_part = |(index, name): (usize, &&str)| {
            let seconds = parts.iter().map(|run| run[index].1).collect();
            ((*name).to_owned(), median(seconds))
        };
        self.figures.push(Figure {
            name: name.to_owned(),
            seconds,
            all,
            tokens_per_second: tokens as f64 / seconds,
            share: expected.least.map(|least| least / seconds),
            peak_bytes: memory::peak(),
            expected_bytes: expected.bytes,
            expected_seconds: expected.seconds,
            parts: names.iter().enumerate().map(of_part).collect(),
        });
        Ok(())
    }
}

/// The middle one, or the mean of the two in the middle.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() % 2 {
        0 if middle == 0 => f64::NAN,
        0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(Vec::new()).is_nan());
    }
}
