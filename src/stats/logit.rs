//! Logistic regression with errors that know about clusters: what Bradley–Terry ratings with
//! covariates come down to.
//!
//! logit P(y = 1) = x·β by maximum likelihood (Newton's method). y may be 1/2 for a tie: the
//! estimate is then a quasi-likelihood one (Papke & Wooldridge 1996), for which the sandwich errors
//! are right and the ordinary ones are not.

use super::linear::{invert, sandwich, times};

/// Most entries of a row that are not zero: two policies and two covariates.
pub const MAX_TERMS: usize = 4;
/// Standard deviation of the normal prior on every coefficient, in log odds, where the likelihood
/// has no maximum. 4 is 695 Elo: it hardly moves what data say, and keeps "always won" finite.
pub const PRIOR_SD: f64 = 4.0;

/// One observation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// Column and value of the entries of x; unused ones have the value 0.
    pub terms: [(usize, f64); MAX_TERMS],
    /// y, in [0, 1].
    pub y: f64,
    /// Which observations belong together, from 0.
    pub cluster: usize,
}

/// Coefficients with their uncertainty.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// β, in log odds.
    pub coefficients: Vec<f64>,
    /// Their covariance, `[k, k]` row by row; `None` with fewer than two clusters.
    pub covariance: Option<Vec<f64>>,
    /// Whether the prior was needed: without it some coefficient would be infinite.
    pub prior: bool,
}

/// Why there is no fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LogitError {
    /// Two columns always move together, or one is always zero.
    #[error("the coefficients cannot be told apart: some always occur together")]
    NotIdentified,
    /// Newton's method did not settle.
    #[error("the estimate does not settle")]
    NoConvergence,
}

/// Fits β.
///
/// The covariance is the sandwich H⁻¹ (Σ_c g_c g_cᵀ) H⁻¹ over clusters c (Liang & Zeger 1986), times
/// G/(G−1) · (N−1)/(N−k) for G clusters and N rows, the correction of Stata and statsmodels. If the
/// data are separated, so that the likelihood has no maximum (Albert & Anderson 1984), a normal
/// prior with [`PRIOR_SD`] is added.
///
/// # Errors
/// [`LogitError`].
pub fn fit(rows: &[Row], columns: usize) -> Result<Fit, LogitError> {
    let flat = State::at(rows, &vec![0.0; columns], 0.0);
    invert(&flat.hessian, columns).ok_or(LogitError::NotIdentified)?;
    let (coefficients, prior) = match newton(rows, columns, 0.0) {
        Some(coefficients) => (coefficients, false),
        None => (
            newton(rows, columns, PRIOR_SD.powi(-2)).ok_or(LogitError::NoConvergence)?,
            true,
        ),
    };
    let precision = if prior { PRIOR_SD.powi(-2) } else { 0.0 };
    let hessian = State::at(rows, &coefficients, precision).hessian;
    let bread = invert(&hessian, columns).ok_or(LogitError::NotIdentified)?;
    let covariance = meat(rows, &coefficients).map(|meat| sandwich(&bread, &meat, columns));
    Ok(Fit {
        coefficients,
        covariance,
        prior,
    })
}

/// Log likelihood with prior, gradient and negative Hessian at some β.
struct State {
    objective: f64,
    gradient: Vec<f64>,
    hessian: Vec<f64>,
}

impl State {
    fn at(rows: &[Row], beta: &[f64], precision: f64) -> Self {
        let k = beta.len();
        let mut state = Self {
            objective: -precision / 2.0 * beta.iter().map(|b| b * b).sum::<f64>(),
            gradient: beta.iter().map(|b| -precision * b).collect(),
            hessian: vec![0.0; k * k],
        };
        (0..k).for_each(|i| state.hessian[i * k + i] = precision);
        for row in rows {
            let eta = row.eta(beta);
            let p = sigmoid(eta);
            // log σ(η) without overflow, for y and for 1 − y.
            state.objective += row.y * eta - eta.max(0.0) - (-eta.abs()).exp().ln_1p();
            for (i, x) in row.entries() {
                state.gradient[i] += x * (row.y - p);
                for (j, z) in row.entries() {
                    state.hessian[i * k + j] += x * z * p * (1.0 - p);
                }
            }
        }
        state
    }
}

impl Row {
    fn entries(&self) -> impl Iterator<Item = (usize, f64)> + '_ {
        self.terms.iter().copied().filter(|(_, x)| *x != 0.0)
    }

    fn eta(&self, beta: &[f64]) -> f64 {
        self.entries().map(|(i, x)| x * beta[i]).sum()
    }
}

/// The maximum; `None` if there is none.
fn newton(rows: &[Row], columns: usize, precision: f64) -> Option<Vec<f64>> {
    /// Under separation each step adds about 1 to a coefficient, for ever.
    const MOST_STEPS: usize = 30;
    const SETTLED: f64 = 1e-11;
    let mut beta = vec![0.0; columns];
    let mut state = State::at(rows, &beta, precision);
    for _ in 0..MOST_STEPS {
        let step = times(&invert(&state.hessian, columns)?, &state.gradient);
        if step.iter().all(|step| step.abs() < SETTLED) {
            return Some(beta);
        }
        let mut share = 1.0;
        loop {
            let next: Vec<f64> = beta.iter().zip(&step).map(|(b, s)| b + share * s).collect();
            let there = State::at(rows, &next, precision);
            // Near the top rounding decides, so a loss of that size is none.
            if there.objective >= state.objective - 1e-9 * state.objective.abs().max(1.0) {
                (beta, state) = (next, there);
                break;
            }
            share /= 2.0;
            if share < 1e-6 {
                return None;
            }
        }
    }
    None
}

/// Σ_c g_c g_cᵀ with its small-sample correction; `None` with fewer than two clusters.
fn meat(rows: &[Row], beta: &[f64]) -> Option<Vec<f64>> {
    let k = beta.len();
    let clusters = rows.iter().map(|row| row.cluster + 1).max()?;
    let mut scores = vec![0.0; clusters * k];
    let mut seen = vec![false; clusters];
    for row in rows {
        let residual = row.y - sigmoid(row.eta(beta));
        seen[row.cluster] = true;
        for (i, x) in row.entries() {
            scores[row.cluster * k + i] += x * residual;
        }
    }
    let (g, n) = (seen.iter().filter(|seen| **seen).count(), rows.len());
    if g < 2 || n <= k {
        return None;
    }
    let correction = g as f64 / (g - 1) as f64 * (n - 1) as f64 / (n - k) as f64;
    let mut meat = vec![0.0; k * k];
    for score in scores.chunks_exact(k.max(1)) {
        for i in 0..k {
            for j in 0..k {
                meat[i * k + j] += score[i] * score[j] * correction;
            }
        }
    }
    Some(meat)
}

/// 1 / (1 + e^−x).
pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(x: f64, y: f64, cluster: usize) -> Row {
        Row {
            terms: [(0, x), (0, 0.0), (0, 0.0), (0, 0.0)],
            y,
            cluster,
        }
    }

    #[test]
    fn an_intercept_is_the_log_odds_and_its_error_the_binomial_one() {
        let rows: Vec<Row> = (0..100)
            .map(|i| row(1.0, f64::from(u8::from(i < 70)), i))
            .collect();
        let fit = fit(&rows, 1).unwrap();
        assert!((fit.coefficients[0] - (0.7_f64 / 0.3).ln()).abs() < 1e-10);
        assert!(!fit.prior);
        // 1/(n p q) = 1/21, times 100/99 · 99/99.
        let variance = fit.covariance.unwrap()[0];
        assert!((variance - 100.0 / 99.0 / 21.0).abs() < 1e-10, "{variance}");
    }

    #[test]
    fn separated_data_need_the_prior() {
        let rows: Vec<Row> = (0..20).map(|i| row(1.0, 1.0, i)).collect();
        let fit = fit(&rows, 1).unwrap();
        assert!(fit.prior);
        // 20 (1 − σ(β)) = β / 16 has the root 3.7346…: 20 wins of 20 are strong, not infinite.
        let beta = fit.coefficients[0];
        assert!((20.0 * (1.0 - sigmoid(beta)) - beta / 16.0).abs() < 1e-9);
        assert!((3.0..5.0).contains(&beta), "{beta}");
    }

    #[test]
    fn a_column_of_zeros_cannot_be_estimated() {
        assert_eq!(fit(&[row(1.0, 1.0, 0)], 2), Err(LogitError::NotIdentified));
        assert_eq!(fit(&[], 1), Err(LogitError::NotIdentified));
    }

    #[test]
    fn one_cluster_gives_no_errors() {
        let rows = [row(1.0, 1.0, 3), row(1.0, 0.0, 3)];
        assert_eq!(fit(&rows, 1).unwrap().covariance, None);
    }
}
