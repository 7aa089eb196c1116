//! Cohen's κ: agreement of two annotators beyond what their habits alone would give.

/// What a disagreement costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    /// Every disagreement the same (Cohen 1960).
    Same,
    /// The square of the distance between categories (Cohen 1968): for grades.
    Quadratic,
}

/// κ of the pairs (first annotator's category, second's), categories 0..`categories`.
///
/// κ = 1 − Σ w_ij o_ij / Σ w_ij e_ij, with o the observed shares and e the product of the two
/// annotators' own shares. `None` without pairs, or if both always chose one and the same category.
///
/// # Panics
/// If a category is out of range.
pub fn kappa(pairs: &[(usize, usize)], categories: usize, weights: Weights) -> Option<f64> {
    let mut together = vec![0.0; categories * categories];
    let (mut first, mut second) = (vec![0.0; categories], vec![0.0; categories]);
    for &(a, b) in pairs {
        together[a * categories + b] += 1.0;
        first[a] += 1.0;
        second[b] += 1.0;
    }
    let (mut observed, mut expected) = (0.0, 0.0);
    for a in 0..categories {
        for b in 0..categories {
            let weight = match weights {
                Weights::Same => f64::from(u8::from(a != b)),
                Weights::Quadratic => (a as f64 - b as f64).powi(2),
            };
            observed += weight * together[a * categories + b];
            expected += weight * first[a] * second[b] / pairs.len().max(1) as f64;
        }
    }
    (expected > 0.0).then(|| 1.0 - observed / expected)
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
        let kappa = kappa(&pairs, 2, Weights::Same).unwrap();
        assert!((kappa - 0.4).abs() < 1e-12, "{kappa}");
    }

    #[test]
    fn near_misses_cost_less_with_quadratic_weights() {
        let near = table(&[&[5, 2, 0], &[1, 5, 1], &[0, 2, 5]]);
        let far = table(&[&[5, 0, 2], &[1, 5, 1], &[2, 0, 5]]);
        let quadratic = |pairs: &[_]| kappa(pairs, 3, Weights::Quadratic).unwrap();
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
