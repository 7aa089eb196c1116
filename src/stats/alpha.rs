//! Krippendorff's α: agreement of any number of annotators, with any cells missing.
//!
//! α = 1 − D_o / D_e, observed over expected disagreement (Krippendorff 2011, "Computing
//! Krippendorff's alpha-reliability"). Units with fewer than two values say nothing and are left
//! out. Units of the same make-up are counted once and weighed, so that a bootstrap over a hundred
//! thousand units costs little more than drawing their numbers.

use super::Interval;
use super::bootstrap::{draw_kinds, quantile};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// How far apart two categories are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// Equal or not.
    Nominal,
    /// By how many values lie between them: grades without a unit.
    Ordinal,
}

/// Values of many annotators on many units.
#[derive(Debug, Clone, PartialEq)]
pub struct Reliability {
    categories: usize,
    distance: Distance,
    /// Counts per category of each unit of a kind of cluster, and how many clusters are of that kind.
    kinds: Vec<(Vec<Vec<u32>>, usize)>,
    units: usize,
}

impl Reliability {
    /// Takes in `units`: the categories, 0..`categories`, that annotators gave to each.
    ///
    /// # Panics
    /// If a category is out of range.
    pub fn new<'a>(
        units: impl IntoIterator<Item = &'a [usize]>,
        categories: usize,
        distance: Distance,
    ) -> Self {
        let clusters = units.into_iter().map(|unit| [unit]);
        Self::clustered(clusters, categories, distance)
    }

    /// Takes in units that come in clusters, such as the pairs of answers of one ranking. α is that of
    /// all units; its interval draws whole clusters.
    ///
    /// # Panics
    /// If a category is out of range.
    pub fn clustered<'a, C: IntoIterator<Item = &'a [usize]>>(
        clusters: impl IntoIterator<Item = C>,
        categories: usize,
        distance: Distance,
    ) -> Self {
        let count = |unit: &[usize]| {
            let mut counts = vec![0; categories];
            for &category in unit {
                counts[category] += 1;
            }
            counts
        };
        let mut places: BTreeMap<Vec<Vec<u32>>, usize> = BTreeMap::new();
        let mut kinds: Vec<(Vec<Vec<u32>>, usize)> = Vec::new();
        for cluster in clusters {
            let units = cluster.into_iter().filter(|unit| unit.len() > 1);
            let mut counts: Vec<Vec<u32>> = units.map(count).collect();
            counts.sort_unstable();
            if counts.is_empty() {
                continue;
            }
            let kind = *places.entry(counts.clone()).or_insert_with(|| {
                kinds.push((counts, 0));
                kinds.len() - 1
            });
            kinds[kind].1 += 1;
        }
        Self {
            categories,
            distance,
            units: kinds.iter().map(|(units, n)| units.len() * n).sum(),
            kinds,
        }
    }

    /// Units with at least two values.
    pub fn units(&self) -> usize {
        self.units
    }

    /// α of all units; `None` if only one category occurs.
    pub fn alpha(&self) -> Option<f64> {
        let weights: Vec<usize> = self.kinds.iter().map(|(_, n)| *n).collect();
        self.weighted(&weights)
    }

    /// The 95 % percentile interval of α by drawing clusters with replacement, `resamples` times.
    ///
    /// Draws in which only one category occurs are left out; `None` if there are fewer than two
    /// clusters or all draws are such.
    pub fn interval(&self, resamples: usize, seed: u64) -> Option<Interval> {
        let counts: Vec<usize> = self.kinds.iter().map(|(_, n)| *n).collect();
        if counts.iter().sum::<usize>() < 2 {
            return None;
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut weights = vec![0; counts.len()];
        let mut draw = || {
            draw_kinds(&counts, &mut random, &mut weights);
            self.weighted(&weights)
        };
        let mut alphas: Vec<f64> = (0..resamples).filter_map(|_| draw()).collect();
        alphas.sort_by(f64::total_cmp);
        (!alphas.is_empty()).then(|| Interval {
            low: quantile(&alphas, 0.025),
            high: quantile(&alphas, 0.975),
        })
    }

    fn weighted(&self, weights: &[usize]) -> Option<f64> {
        let k = self.categories;
        let (mut coincidences, mut totals) = (vec![0.0; k * k], vec![0.0; k]);
        let weighed = self.kinds.iter().zip(weights).filter(|(_, n)| **n > 0);
        let units = weighed.flat_map(|((units, _), &n)| units.iter().map(move |unit| (unit, n)));
        for (counts, weight) in units {
            let values: u32 = counts.iter().sum();
            let share = weight as f64 / f64::from(values - 1);
            let present = || (0..k).filter(|&c| counts[c] > 0);
            for a in present() {
                totals[a] += weight as f64 * f64::from(counts[a]);
                for b in present() {
                    let others = counts[b] - u32::from(a == b);
                    coincidences[a * k + b] += share * f64::from(counts[a]) * f64::from(others);
                }
            }
        }
        let (mut observed, mut expected) = (0.0, 0.0);
        for a in 0..k {
            for b in 0..k {
                let distance = self.distance(&totals, a, b);
                observed += coincidences[a * k + b] * distance;
                expected += totals[a] * totals[b] * distance;
            }
        }
        let values: f64 = totals.iter().sum();
        (expected > 0.0).then(|| 1.0 - (values - 1.0) * observed / expected)
    }

    /// δ² of two categories (Krippendorff 2011, section on difference functions).
    fn distance(&self, totals: &[f64], a: usize, b: usize) -> f64 {
        match self.distance {
            _ if a == b => 0.0,
            Distance::Nominal => 1.0,
            Distance::Ordinal => {
                let between: f64 = totals[a.min(b)..=a.max(b)].iter().sum();
                (between - f64::midpoint(totals[a], totals[b])).powi(2)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Krippendorff 2011, section D: four observers, twelve units, values 1 to 5 as 0 to 4.
    const PUBLISHED: [&[usize]; 12] = [
        &[0, 0, 0],
        &[1, 1, 2, 1],
        &[2, 2, 2, 2],
        &[2, 2, 2, 2],
        &[1, 1, 1, 1],
        &[0, 1, 2, 3],
        &[3, 3, 3, 3],
        &[0, 0, 1, 0],
        &[1, 1, 1, 1],
        &[4, 4, 4],
        &[0, 0],
        &[2],
    ];

    #[test]
    fn krippendorffs_example_with_missing_values() {
        let nominal = Reliability::new(PUBLISHED, 5, Distance::Nominal);
        assert_eq!(nominal.units(), 11);
        let alpha = nominal.alpha().unwrap();
        assert!((alpha - 0.743).abs() < 5e-4, "{alpha}");
        let ordinal = Reliability::new(PUBLISHED, 5, Distance::Ordinal);
        let alpha = ordinal.alpha().unwrap();
        assert!((alpha - 0.815).abs() < 5e-4, "{alpha}");
    }

    #[test]
    fn the_interval_is_seeded_and_holds_the_estimate() {
        let nominal = Reliability::new(PUBLISHED, 5, Distance::Nominal);
        let interval = nominal.interval(1000, 1).unwrap();
        assert_eq!(nominal.interval(1000, 1), Some(interval));
        assert_ne!(nominal.interval(1000, 2), Some(interval));
        assert!(interval.low < 0.743 && 0.743 < interval.high && interval.high <= 1.0);
        // Four of eleven units hold all the disagreement, so little is certain.
        assert!(interval.high - interval.low > 0.3, "{interval:?}");
    }

    #[test]
    fn clusters_change_the_interval_and_not_the_estimate() {
        let units = Reliability::new(PUBLISHED, 5, Distance::Nominal);
        let of_three = Reliability::clustered(
            PUBLISHED.chunks(3).map(|units| units.iter().copied()),
            5,
            Distance::Nominal,
        );
        assert_eq!((of_three.units(), of_three.alpha()), (11, units.alpha()));
        assert_ne!(of_three.interval(500, 1), units.interval(500, 1));
        let one = Reliability::clustered([PUBLISHED], 5, Distance::Nominal);
        assert_eq!((one.units(), one.interval(500, 1)), (11, None));
    }

    #[test]
    fn one_category_or_one_annotator_gives_no_alpha() {
        let one: [&[usize]; 2] = [&[2, 2], &[2, 2, 2]];
        let reliability = Reliability::new(one, 3, Distance::Nominal);
        assert_eq!(
            (reliability.alpha(), reliability.interval(9, 1)),
            (None, None)
        );
        let single: [&[usize]; 2] = [&[1], &[]];
        assert_eq!(Reliability::new(single, 3, Distance::Ordinal).units(), 0);
    }
}
