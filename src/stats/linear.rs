//! The little linear algebra that a regression with a few dozen coefficients needs.

/// The inverse of a symmetric positive definite matrix, by Cholesky's decomposition.
///
/// `matrix` is `[n, n]`, row by row, as is the result. `None` if a pivot is not clearly positive:
/// then some coefficients cannot be told apart.
pub fn invert(matrix: &[f64], n: usize) -> Option<Vec<f64>> {
    let lower = cholesky(matrix, n)?;
    let mut inverse = vec![0.0; n * n];
    for column in 0..n {
        let mut unit = vec![0.0; n];
        unit[column] = 1.0;
        for (row, value) in solve(&lower, n, unit).into_iter().enumerate() {
            inverse[row * n + column] = value;
        }
    }
    Some(inverse)
}

/// L with L Lᵀ = `matrix`; entries above the diagonal are zero.
fn cholesky(matrix: &[f64], n: usize) -> Option<Vec<f64>> {
    /// Relative to the diagonal; collinear columns leave rounding errors of about 1e-16.
    const SMALLEST_PIVOT: f64 = 1e-12;
    let mut lower = vec![0.0; n * n];
    for i in 0..n {
        for j in 0..=i {
            let known: f64 = (0..j).map(|k| lower[i * n + k] * lower[j * n + k]).sum();
            let rest = matrix[i * n + j] - known;
            if i == j {
                let enough = rest > SMALLEST_PIVOT * matrix[i * n + i].abs() && rest > 0.0;
                lower[i * n + i] = enough.then(|| rest.sqrt())?;
            } else {
                lower[i * n + j] = rest / lower[j * n + j];
            }
        }
    }
    Some(lower)
}

/// x with L Lᵀ x = `b`.
fn solve(lower: &[f64], n: usize, mut b: Vec<f64>) -> Vec<f64> {
    for i in 0..n {
        let known: f64 = (0..i).map(|k| lower[i * n + k] * b[k]).sum();
        b[i] = (b[i] - known) / lower[i * n + i];
    }
    for i in (0..n).rev() {
        let known: f64 = (i + 1..n).map(|k| lower[k * n + i] * b[k]).sum();
        b[i] = (b[i] - known) / lower[i * n + i];
    }
    b
}

/// `matrix` · `vector`, with `matrix` `[n, n]` row by row.
pub fn times(matrix: &[f64], vector: &[f64]) -> Vec<f64> {
    let rows = matrix.chunks_exact(vector.len().max(1));
    rows.map(|row| row.iter().zip(vector).map(|(m, v)| m * v).sum())
        .collect()
}

/// A · M · A for symmetric `outer` and `inner`, all `[n, n]` row by row: the sandwich.
pub fn sandwich(outer: &[f64], inner: &[f64], n: usize) -> Vec<f64> {
    let product = |a: &[f64], b: &[f64]| -> Vec<f64> {
        let cell = |i: usize, j: usize| (0..n).map(|k| a[i * n + k] * b[k * n + j]).sum();
        (0..n * n).map(|at| cell(at / n, at % n)).collect()
    };
    product(&product(outer, inner), outer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_matrix_times_its_inverse_is_one() {
        let matrix = [4.0, 2.0, -2.0, 2.0, 10.0, 1.0, -2.0, 1.0, 6.0];
        let inverse = invert(&matrix, 3).unwrap();
        for column in 0..3 {
            let vector: Vec<f64> = (0..3).map(|row| inverse[row * 3 + column]).collect();
            for (row, value) in times(&matrix, &vector).into_iter().enumerate() {
                let expected = f64::from(u8::from(row == column));
                assert!((value - expected).abs() < 1e-12, "{row} {column}: {value}");
            }
        }
    }

    #[test]
    fn collinear_columns_have_no_inverse() {
        assert_eq!(invert(&[1.0, 2.0, 2.0, 4.0], 2), None);
        assert_eq!(invert(&[0.0], 1), None);
        assert_eq!(invert(&[], 0), Some(vec![]));
    }

    #[test]
    fn the_sandwich_has_its_bread_on_both_sides() {
        let bread = [2.0, 0.0, 0.0, 3.0];
        let meat = [1.0, 5.0, 5.0, 7.0];
        assert_eq!(sandwich(&bread, &meat, 2), [4.0, 30.0, 30.0, 63.0]);
    }
}
