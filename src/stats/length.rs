//! How far "the longer answer wins" would get, and how far verdicts follow length: a reward model that
//! is no better has learnt length.

use super::Interval;
use super::bootstrap::{RESAMPLES, of_sums};
use serde::Serialize;
use std::collections::BTreeMap;

/// A comparison of two answers, seen from either.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Compared {
    /// Its length less that of the other, in any unit.
    pub length: f64,
    /// How much better it is; negative if worse, 0 for a tie.
    pub verdict: f64,
    /// What comparisons share that are not independent, such as the prompt.
    pub cluster: usize,
}

/// A correlation with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Correlation {
    /// Comparisons, ties among them.
    pub n: usize,
    /// In [−1, 1]: positive if the longer answer is preferred.
    pub r: f64,
    /// From a bootstrap over clusters; absent with one.
    #[serde(flatten)]
    pub interval: Option<Interval>,
}

/// Pearson's correlation of length difference and verdict, each comparison counted from both of its
/// answers, so that it does not matter which is called the first: Σ l v / √(Σ l² Σ v²). `None` if all
/// lengths are equal or all comparisons are ties.
pub fn correlation(compared: &[Compared], seed: u64) -> Option<Correlation> {
    let mut clusters: BTreeMap<usize, [f64; 3]> = BTreeMap::new();
    let mut total = [0.0; 3];
    for &Compared {
        length,
        verdict,
        cluster,
    } in compared
    {
        let products = [length * verdict, length * length, verdict * verdict];
        let sums = clusters.entry(cluster).or_default();
        for (at, product) in products.into_iter().enumerate() {
            sums[at] += product;
            total[at] += product;
        }
    }
    let clusters: Vec<[f64; 3]> = clusters.into_values().collect();
    let r = pearson(total);
    (!r.is_nan()).then(|| Correlation {
        n: compared.len(),
        r,
        interval: (clusters.len() > 1).then(|| of_sums(&clusters, pearson, RESAMPLES, seed)),
    })
}

fn pearson([both, lengths, verdicts]: [f64; 3]) -> f64 {
    both / (lengths * verdicts).sqrt()
}

/// The accuracy of the rule "longer wins". Each difference is the length of the preferred answer
/// less that of the other; equal lengths count half. NaN if there are none.
pub fn longer_wins(differences: impl Iterator<Item = i64>) -> f64 {
    let (points, pairs) = differences.fold((0.0, 0_usize), |(points, pairs), difference| {
        let point = match difference.signum() {
            1 => 1.0,
            0 => 0.5,
            _ => 0.0,
        };
        (points + point, pairs + 1)
    });
    points / pairs as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_lengths_count_half() {
        assert_eq!(longer_wins([3, -1, 0, 12, i64::MIN].into_iter()), 0.5);
        assert_eq!(longer_wins([3, 1, 0, -7].into_iter()), 0.625);
        assert_eq!(longer_wins([-2].into_iter()), 0.0);
    }

    fn compared(length: f64, verdict: f64, cluster: usize) -> Compared {
        Compared {
            length,
            verdict,
            cluster,
        }
    }

    #[test]
    fn the_correlation_is_that_of_both_orders() {
        let of = |sign: f64| {
            let all = [
                compared(0.5, 4.0, 0),
                compared(0.5 * sign, 2.0 * sign, 1),
                compared(-0.25, 1.0, 2),
                compared(0.1, 0.0, 3),
            ];
            correlation(&all, 1).unwrap()
        };
        // Python: statistics.correlation of the four pairs of values and their negatives.
        let found = of(1.0);
        assert!((found.r - 0.793_113_424_510).abs() < 1e-11, "{found:?}");
        assert_eq!((found.n, of(-1.0)), (4, found));
    }

    #[test]
    fn copies_of_a_comparison_add_no_certainty() {
        let of = |copies: usize| {
            let each = (0..40).flat_map(|i: usize| {
                let verdict = if i.is_multiple_of(4) { -1.0 } else { 1.0 };
                vec![compared(0.5, verdict, i); copies]
            });
            correlation(&each.collect::<Vec<_>>(), 7).unwrap()
        };
        let (once, tenfold) = (of(1), of(10));
        assert_eq!((once.n, once.r, tenfold.r), (40, 0.5, 0.5));
        assert_eq!(once.interval, tenfold.interval);
        // 0.5 ± 1.96 √(0.75/40) = [0.232, 0.768]; r is a mean of ±1 here, in steps of 0.05.
        let interval = once.interval.unwrap();
        assert!((interval.low - 0.232).abs() < 0.051, "{interval:?}");
        assert!((interval.high - 0.768).abs() < 0.051, "{interval:?}");
    }

    #[test]
    fn equal_lengths_and_ties_have_no_correlation() {
        assert_eq!(correlation(&[], 1), None);
        assert_eq!(correlation(&[compared(0.0, 1.0, 0)], 1), None);
        assert_eq!(correlation(&[compared(0.5, 0.0, 0)], 1), None);
        assert_eq!(
            correlation(&[compared(0.5, 2.0, 0)], 1).unwrap().interval,
            None
        );
    }

    #[test]
    fn without_pairs_there_is_no_accuracy() {
        assert!(longer_wins(std::iter::empty()).is_nan());
    }
}
