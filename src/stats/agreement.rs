//! How far annotators agree on the items that several of them judged.
//!
//! A unit is one item; its values are the categories its annotators chose, in canonical order (which
//! candidate, never which side). Units with fewer than two values say nothing and are left out.
//! Published raw agreement between people on pairs is 63–77 %, so neither number is a gate.

use serde::Serialize;
use std::collections::BTreeMap;

/// Agreement over all units.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Agreement {
    /// Units with at least two values.
    pub units: usize,
    /// Share of pairs of annotators that agree, each unit weighing by its values.
    pub raw: f64,
    /// Krippendorff's α for nominal categories: 1 − observed / expected disagreement (Krippendorff
    /// 2011, "Computing Krippendorff's alpha-reliability"). `None` if only one category occurs.
    pub alpha: Option<f64>,
}

/// Agreement of several annotators; `None` if no unit has two values.
pub fn agreement(units: &[Vec<u32>]) -> Option<Agreement> {
    let mut totals: BTreeMap<u32, f64> = BTreeMap::new();
    let (mut values, mut disagreement, mut shared) = (0.0, 0.0, 0);
    for unit in units.iter().filter(|unit| unit.len() > 1) {
        let n = unit.len() as f64;
        let counts = counts(unit);
        // Ordered pairs of unlike values within the unit, each weighing 1/(n − 1).
        let alike: f64 = counts.values().map(|c| c * (c - 1.0)).sum();
        disagreement += (n * (n - 1.0) - alike) / (n - 1.0);
        for (category, count) in counts {
            *totals.entry(category).or_default() += count;
        }
        values += n;
        shared += 1;
    }
    if shared == 0 {
        return None;
    }
    let unlike = values * values - totals.values().map(|c| c * c).sum::<f64>();
    let observed = disagreement / values;
    let expected = unlike / (values * (values - 1.0));
    Some(Agreement {
        units: shared,
        raw: 1.0 - observed,
        alpha: (expected > 0.0).then(|| 1.0 - observed / expected),
    })
}

fn counts(unit: &[u32]) -> BTreeMap<u32, f64> {
    let mut counts = BTreeMap::new();
    for &category in unit {
        *counts.entry(category).or_default() += 1.0;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn krippendorffs_example_with_missing_values() {
        // Krippendorff 2011, section D: four observers, twelve units, nominal α = 0.743.
        let units: [&[u32]; 12] = [
            &[1, 1, 1],
            &[2, 2, 3, 2],
            &[3, 3, 3, 3],
            &[3, 3, 3, 3],
            &[2, 2, 2, 2],
            &[1, 2, 3, 4],
            &[4, 4, 4, 4],
            &[1, 1, 2, 1],
            &[2, 2, 2, 2],
            &[5, 5, 5],
            &[1, 1],
            &[3],
        ];
        let agreement = agreement(&units.map(<[u32]>::to_vec)).unwrap();
        assert_eq!(agreement.units, 11);
        let alpha = agreement.alpha.unwrap();
        assert!((alpha - 0.743).abs() < 5e-4, "{alpha}");
    }

    #[test]
    fn two_annotators_on_three_items() {
        let agreement = agreement(&[vec![0, 0], vec![0, 1], vec![1, 1]]).unwrap();
        assert!((agreement.raw - 2.0 / 3.0).abs() < 1e-12);
        // Expected: 18 of the 30 ordered pairs of the six values are unlike.
        let alpha = agreement.alpha.unwrap();
        assert!((alpha - (1.0 - (1.0 / 3.0) / 0.6)).abs() < 1e-12, "{alpha}");
    }

    #[test]
    fn one_category_or_one_annotator_gives_no_alpha() {
        let agreement_of_one = agreement(&[vec![2, 2], vec![2, 2, 2]]).unwrap();
        assert_eq!((agreement_of_one.raw, agreement_of_one.alpha), (1.0, None));
        assert_eq!(agreement(&[vec![1], vec![]]), None);
    }
}
