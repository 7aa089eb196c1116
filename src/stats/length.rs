//! How far "the longer answer wins" would get, and how far verdicts follow length: a reward model that
//! is no better has learnt length.

use super::Interval;
use super::normal::Z;
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
    /// From an error by cluster, on Fisher's scale; absent with one cluster.
    #[serde(flatten)]
    pub interval: Option<Interval>,
}

/// Pearson's correlation of length difference and verdict, each comparison counted from both of its
/// answers, so that it does not matter which is called the first: r = Σ l v / √(Σ l² Σ v²). `None` if
/// all lengths are equal or all comparisons are ties.
///
/// Its error is that of the linearised ratio, √(G/(G−1) Σ_c u_c²) over G clusters with
/// u_c = Σ_c l v / √(Σ l² Σ v²) − r/2 (Σ_c l² / Σ l² + Σ_c v² / Σ v²); the interval is
/// tanh(artanh r ± 1.96 · error / (1 − r²)) (Fisher 1921).
pub fn correlation(compared: &[Compared]) -> Option<Correlation> {
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
    let [both, lengths, verdicts] = total;
    let scale = (lengths * verdicts).sqrt();
    let r = (both / scale).clamp(-1.0, 1.0);
    let influence = |[both, l, v]: &[f64; 3]| both / scale - r / 2.0 * (l / lengths + v / verdicts);
    let square: f64 = clusters.values().map(|sums| influence(sums).powi(2)).sum();
    let g = clusters.len() as f64;
    (scale > 0.0).then(|| Correlation {
        n: compared.len(),
        r,
        interval: (g > 1.0).then(|| around(r, (g / (g - 1.0) * square).sqrt())),
    })
}

fn around(r: f64, error: f64) -> Interval {
    // A perfect correlation has no error, and no place on Fisher's scale.
    let reach = if r.abs() < 1.0 {
        Z * error / (1.0 - r * r)
    } else {
        0.0
    };
    Interval {
        low: (r.atanh() - reach).tanh(),
        high: (r.atanh() + reach).tanh(),
    }
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
            correlation(&all).unwrap()
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
            correlation(&each.collect::<Vec<_>>()).unwrap()
        };
        let (once, tenfold) = (of(1), of(10));
        assert_eq!((once.n, once.r, tenfold.r), (40, 0.5, 0.5));
        // u_c is 1/80 for the thirty and −3/80 for the ten: error √(40/39 · 0.01875), from Python.
        for of in [once, tenfold] {
            let interval = of.interval.unwrap();
            assert!(
                (interval.low - 0.184_762_123_835).abs() < 1e-11,
                "{interval:?}"
            );
            assert!(
                (interval.high - 0.721_948_930_294).abs() < 1e-11,
                "{interval:?}"
            );
        }
    }

    #[test]
    fn a_perfect_correlation_is_certain() {
        let all = [compared(0.5, 1.0, 0), compared(0.25, 0.5, 1)];
        let interval = correlation(&all).unwrap().interval.unwrap();
        assert_eq!((interval.low, interval.high), (1.0, 1.0));
    }

    #[test]
    fn equal_lengths_and_ties_have_no_correlation() {
        assert_eq!(correlation(&[]), None);
        assert_eq!(correlation(&[compared(0.0, 1.0, 0)]), None);
        assert_eq!(correlation(&[compared(0.5, 0.0, 0)]), None);
        assert_eq!(
            correlation(&[compared(0.5, 2.0, 0)]).unwrap().interval,
            None
        );
    }

    #[test]
    fn without_pairs_there_is_no_accuracy() {
        assert!(longer_wins(std::iter::empty()).is_nan());
    }
}
