//! Raw agreement: how often two annotators of one item chose the same.
//!
//! Published raw agreement between people on pairs is 63–77 %, so it is no gate; [`super::alpha`] and
//! [`super::kappa`] say how much of it is more than chance.

use super::alpha::{Distance, Reliability};
use serde::Serialize;

/// Agreement over all units.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Agreement {
    /// Units with at least two values.
    pub units: usize,
    /// Share of pairs of annotators that agree, each unit weighing by its values: 1 less the
    /// observed disagreement of Krippendorff's nominal α.
    pub raw: f64,
    /// Krippendorff's α for nominal categories; `None` if only one category occurs.
    pub alpha: Option<f64>,
}

/// Agreement of several annotators on `units`, whose values are categories 0..`categories`; `None` if
/// no unit has two values.
///
/// # Panics
/// If a category is out of range.
pub fn agreement(units: &[&[usize]], categories: usize) -> Option<Agreement> {
    let shared = || units.iter().filter(|unit| unit.len() > 1);
    let sums = shared().map(|unit| alike(unit, categories));
    let (alike, values) = sums.fold((0.0, 0.0), |(a, n), (alike, values)| {
        (a + alike, n + values)
    });
    let nominal = Reliability::new(units.iter().copied(), categories, Distance::Nominal);
    (values > 0.0).then(|| Agreement {
        units: shared().count(),
        raw: alike / values,
        alpha: nominal.alpha(),
    })
}

/// What one unit brings to raw agreement, Σ first / Σ second over units: the values that have an equal
/// among the others, a value weighing by how many of the others equal it, and all values. (0, 0) for a
/// unit with fewer than two.
///
/// # Panics
/// If a category is out of range.
pub fn alike(unit: &[usize], categories: usize) -> (f64, f64) {
    let n = unit.len();
    if n < 2 {
        return (0.0, 0.0);
    }
    let mut counts = vec![0_usize; categories];
    for &category in unit {
        counts[category] += 1;
    }
    let alike: usize = counts.iter().map(|c| c * c.saturating_sub(1)).sum();
    (alike as f64 / (n - 1) as f64, n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_annotators_on_three_items() {
        let agreement = agreement(&[&[0, 0], &[0, 1], &[1, 1]], 2).unwrap();
        assert_eq!(agreement.units, 3);
        assert!((agreement.raw - 2.0 / 3.0).abs() < 1e-12);
        // Expected: 18 of the 30 ordered pairs of the six values are unlike.
        let alpha = agreement.alpha.unwrap();
        assert!((alpha - (1.0 - (1.0 / 3.0) / 0.6)).abs() < 1e-12, "{alpha}");
    }

    #[test]
    fn one_category_or_one_annotator_gives_no_alpha() {
        let of_one = agreement(&[&[2, 2], &[2, 2, 2]], 3).unwrap();
        assert_eq!((of_one.raw, of_one.alpha), (1.0, None));
        assert_eq!(agreement(&[&[1], &[]], 3), None);
    }
}
