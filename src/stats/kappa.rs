//! Cohen's κ: agreement of two annotators beyond what their habits alone would give.

use super::Interval;
use super::normal::Z;
use serde::Serialize;

/// What a disagreement costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    /// Every disagreement the same (Cohen 1960).
    Same,
    /// The square of the distance between categories (Cohen 1968): for grades.
    Quadratic,
}

/// Cohen's κ with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Kappa {
    /// 1 is perfect, 0 is what their habits alone would give.
    pub kappa: f64,
    /// Standard error for many pairs.
    pub error: f64,
}

impl Kappa {
    /// The 95 % interval, κ ± 1.96 errors, within [−1, 1].
    pub fn interval(&self) -> Interval {
        let end = |sign: f64| (self.kappa + sign * Z * self.error).clamp(-1.0, 1.0);
        Interval {
            low: end(-1.0),
            high: end(1.0),
        }
    }
}

/// κ of the pairs (first annotator's category, second's), categories 0..`categories`.
///
/// κ = 1 − Σ w_ij o_ij / Σ w_ij e_ij, with o the observed shares and e the product of the two
/// annotators' own shares. Its error is that of Fleiss, Cohen & Everitt 1969 ("Large sample standard
/// errors of kappa and weighted kappa", eq. 13), which takes the pairs for independent. `None` without
/// pairs, or if both always chose one and the same category.
///
/// # Panics
/// If a category is out of range.
pub fn kappa(pairs: &[(usize, usize)], categories: usize, weights: Weights) -> Option<Kappa> {
    let k = categories;
    let (mut together, share) = (vec![0.0; k * k], 1.0 / pairs.len().max(1) as f64);
    let (mut first, mut second) = (vec![0.0; k], vec![0.0; k]);
    for &(a, b) in pairs {
        together[a * k + b] += share;
        first[a] += share;
        second[b] += share;
    }
    let cost = |a: usize, b: usize| match weights {
        Weights::Same => f64::from(u8::from(a != b)),
        Weights::Quadratic => (a as f64 - b as f64).powi(2),
    };
    let cells = || (0..k).flat_map(|a| (0..k).map(move |b| (a, b)));
    let observed: f64 = cells().map(|(a, b)| cost(a, b) * together[a * k + b]).sum();
    let expected: f64 = cells()
        .map(|(a, b)| cost(a, b) * first[a] * second[b])
        .sum();
    if expected <= 0.0 {
        return None;
    }
    // Mean cost of each category of one against the habits of the other.
    let of_first: Vec<f64> = (0..k)
        .map(|a| (0..k).map(|b| cost(a, b) * second[b]).sum())
        .collect();
    let of_second: Vec<f64> = (0..k)
        .map(|b| (0..k).map(|a| cost(a, b) * first[a]).sum())
        .collect();
    let ratio = observed / expected;
    // The influence of one pair on observed / expected.
    let influence =
        |a: usize, b: usize| cost(a, b) - ratio * (of_first[a] + of_second[b] - expected);
    let square: f64 = cells()
        .map(|(a, b)| together[a * k + b] * influence(a, b).powi(2))
        .sum();
    let variance = square * share / expected.powi(2);
    Some(Kappa {
        kappa: 1.0 - ratio,
        error: variance.max(0.0).sqrt(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(counts: &[&[usize]]) -> Vec<(usize, usize)> {
        let cells = counts.iter().enumerate().flat_map(|(a, row)| {
            let row = row.iter().enumerate();
            row.flat_map(move |(b, &n)| std::iter::repeat_n((a, b), n))
        });
        cells.collect()
    }

    #[test]
    fn cohens_example_of_two_by_two() {
        // 50 grant proposals, yes/no by two readers: observed 0.70, expected 0.50.
        let pairs = table(&[&[20, 5], &[10, 15]]);
        let kappa = kappa(&pairs, 2, Weights::Same).unwrap().kappa;
        assert!((kappa - 0.4).abs() < 1e-12, "{kappa}");
    }

    #[test]
    fn near_misses_cost_less_with_quadratic_weights() {
        let near = table(&[&[5, 2, 0], &[1, 5, 1], &[0, 2, 5]]);
        let far = table(&[&[5, 0, 2], &[1, 5, 1], &[2, 0, 5]]);
        let quadratic = |pairs: &[_]| kappa(pairs, 3, Weights::Quadratic).unwrap().kappa;
        // 6 · 1 over Σ (i−j)² r_i c_j / 21 = (7·9·1 + 7·6·4 + 7·6 + 7·6 + 7·6·4 + 7·9)/21 = 26.
        assert!((quadratic(&near) - (1.0 - 6.0 / 26.0)).abs() < 1e-12);
        assert!(quadratic(&far) < quadratic(&near));
    }

    #[test]
    fn one_category_says_nothing() {
        assert_eq!(kappa(&[(1, 1), (1, 1)], 3, Weights::Same), None);
        assert_eq!(kappa(&[], 3, Weights::Quadratic), None);
    }
}
