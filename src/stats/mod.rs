//! Statistics of judgements and of text: pure functions of numbers, seeds as arguments.
//!
//! | file | what |
//! |---|---|
//! | [`agreement`] | how often annotators of one item chose the same |
//! | [`alpha`] | Krippendorff's α, with missing cells and an interval |
//! | [`kappa`] | Cohen's κ of two annotators |
//! | [`rating`] | Bradley–Terry ratings of several policies, with side and length as covariates |
//! | [`logit`] | the regression behind them, with errors clustered by prompt |
//! | [`power`] | how many labels a difference needs |
//! | [`binomial`] | the exact test of a fair coin |
//! | [`wilson`] | interval of a share |
//! | [`bootstrap`] | interval of a mean or a ratio when values come in clusters |
//! | [`calibration`] | whether a reward model's pair probabilities are true |
//! | [`distinct`] | variety of texts: distinct n-grams |
//! | [`length`] | how far "the longer answer wins" would get, and how length goes with verdicts |
//! | [`linear`], [`normal`] | what these need of algebra and of the normal distribution |
//!
//! Every interval is two-sided with 95 % coverage.

pub mod agreement;
pub mod alpha;
pub mod binomial;
pub mod bootstrap;
pub mod calibration;
pub mod distinct;
pub mod kappa;
pub mod length;
pub mod linear;
pub mod logit;
pub mod normal;
pub mod power;
pub mod rating;
pub mod wilson;

use serde::{Deserialize, Serialize};

/// A 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}
