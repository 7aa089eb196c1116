//! Statistics of judgements and of text: pure functions of numbers, seeds as arguments.
//!
//! | file | what |
//! |---|---|
//! | [`agreement`] | how far annotators agree: raw, and Krippendorff's α |
//! | [`bootstrap`] | interval of a mean when values come in clusters |
//! | [`calibration`] | whether a reward model's pair probabilities are true |
//! | [`distinct`] | variety of texts: distinct n-grams |
//! | [`length`] | how far "the longer answer wins" would get |
//! | [`wilson`] | interval of a share |
//!
//! Every interval is two-sided with 95 % coverage.

pub mod agreement;
pub mod bootstrap;
pub mod calibration;
pub mod distinct;
pub mod length;
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
