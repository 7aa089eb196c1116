//! Ratings of several policies by Bradley–Terry, with the habits of annotators taken out.
//!
//! logit P(i beats j) = θ_i − θ_j + γ·side + λ·length (Bradley & Terry 1952; Davidson & Beaver 1977
//! for the side; AlpacaEval's length control, Dubois et al. 2024, arXiv:2404.04475, for the length),
//! by maximum likelihood over all comparisons at once, not by online Elo. A tie is half a win for
//! each. θ of the anchor is 0. Errors are clustered (see [`super::logit`]).
//!
//! Two policies are compared by the error of their difference, Σ_ii + Σ_jj − 2 Σ_ij, never by
//! whether two bars overlap.

use super::Interval;
use super::logit::{self, Fit, LogitError, MAX_TERMS, Row, sigmoid};
use super::normal::{Z, two_sided_p};
use serde::Serialize;

/// Elo points per unit of θ: 400 / ln 10.
pub const ELO: f64 = 400.0 / std::f64::consts::LN_10;

/// One policy met another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Comparison {
    /// The policies, 0.. in any order.
    pub policies: [usize; 2],
    /// Score of the first: 1 won, 1/2 tie, 0 lost.
    pub score: f64,
    /// 1 if the first stood on the left, −1 if on the right, 0 if unknown.
    pub side: f64,
    /// (length of the first − of the second) / their sum, in [−1, 1].
    pub length: f64,
    /// The prompt, from 0.
    pub cluster: usize,
}

/// What is estimated beside θ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Covariates {
    /// γ.
    pub side: bool,
    /// λ.
    pub length: bool,
}

/// An estimate with its error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The value, in log odds.
    pub value: f64,
    /// Standard error; `None` with fewer than two prompts.
    pub error: Option<f64>,
    /// Two-sided p-value of "it is zero".
    pub p: Option<f64>,
}

impl Estimate {
    fn new(value: f64, variance: Option<f64>) -> Self {
        let error = variance.map(|variance| variance.max(0.0).sqrt());
        let p = error.filter(|e| *e > 0.0).map(|e| two_sided_p(value / e));
        Self { value, error, p }
    }

    /// The 95 % interval.
    pub fn interval(&self) -> Option<Interval> {
        self.error.map(|error| Interval {
            low: self.value - Z * error,
            high: self.value + Z * error,
        })
    }
}

/// Why there are no ratings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RatingError {
    /// Two sets of policies never met.
    #[error(
        "the policies {} and {} were never compared, directly or through others; judge pairs of both",
        .0, .1
    )]
    Disconnected(usize, usize),
    /// The regression.
    #[error(transparent)]
    Logit(#[from] LogitError),
}

/// Ratings of policies 0..n.
#[derive(Debug, Clone, PartialEq)]
pub struct Ratings {
    fit: Fit,
    policies: usize,
    anchor: usize,
    covariates: Covariates,
}

/// Estimates θ of `policies` policies, θ of `anchor` being 0. One policy has no θ to estimate, and
/// comparisons of it with itself still tell γ and λ.
///
/// # Errors
/// [`RatingError::Disconnected`] with two policies that no chain of comparisons links;
/// [`RatingError::Logit`] if a covariate cannot be told apart from the policies.
///
/// # Panics
/// If a policy or the anchor is out of range.
pub fn rate(
    comparisons: &[Comparison],
    policies: usize,
    anchor: usize,
    covariates: Covariates,
) -> Result<Ratings, RatingError> {
    if let Some(other) = unreached(comparisons, policies, anchor) {
        return Err(RatingError::Disconnected(anchor, other));
    }
    let (side, length) = columns(policies, covariates);
    let row = |comparison: &Comparison| {
        let mut terms = [(0, 0.0); MAX_TERMS];
        let [first, second] = comparison.policies;
        if first != second {
            terms[0] = theta_term(first, anchor, 1.0);
            terms[1] = theta_term(second, anchor, -1.0);
        }
        terms[2] = side.map_or((0, 0.0), |column| (column, comparison.side));
        terms[3] = length.map_or((0, 0.0), |column| (column, comparison.length));
        Row {
            terms,
            y: comparison.score,
            cluster: comparison.cluster,
        }
    };
    let rows: Vec<Row> = comparisons.iter().map(row).collect();
    let k = policies - 1 + usize::from(covariates.side) + usize::from(covariates.length);
    Ok(Ratings {
        fit: logit::fit(&rows, k)?,
        policies,
        anchor,
        covariates,
    })
}

/// Columns of γ and λ: behind the θ of all policies but the anchor.
fn columns(policies: usize, covariates: Covariates) -> (Option<usize>, Option<usize>) {
    let first = policies - 1;
    let side = covariates.side.then_some(first);
    let length = covariates
        .length
        .then_some(first + usize::from(covariates.side));
    (side, length)
}

/// The column of a policy; the anchor has none.
fn theta_column(policy: usize, anchor: usize) -> Option<usize> {
    (policy != anchor).then(|| policy - usize::from(policy > anchor))
}

fn theta_term(policy: usize, anchor: usize, sign: f64) -> (usize, f64) {
    theta_column(policy, anchor).map_or((0, 0.0), |column| (column, sign))
}

/// A policy that no chain of comparisons links with the anchor.
fn unreached(comparisons: &[Comparison], policies: usize, anchor: usize) -> Option<usize> {
    let mut met = vec![vec![]; policies];
    for Comparison {
        policies: [a, b], ..
    } in comparisons
    {
        if !met[*a].contains(b) {
            met[*a].push(*b);
            met[*b].push(*a);
        }
    }
    let (mut reached, mut open) = (vec![false; policies], vec![anchor]);
    while let Some(policy) = open.pop() {
        if !std::mem::replace(&mut reached[policy], true) {
            open.extend(met[policy].iter().copied());
        }
    }
    reached.iter().position(|reached| !reached)
}

impl Ratings {
    /// θ of a policy; 0 without error for the anchor.
    pub fn theta(&self, policy: usize) -> Estimate {
        self.difference(policy, self.anchor)
    }

    /// θ_i − θ_j with the error of the difference, Σ_ii + Σ_jj − 2 Σ_ij.
    pub fn difference(&self, i: usize, j: usize) -> Estimate {
        let [i, j] = [i, j].map(|policy| theta_column(policy, self.anchor));
        let value = |column: Option<usize>| column.map_or(0.0, |c| self.fit.coefficients[c]);
        let covariance = |a: Option<usize>, b: Option<usize>| match (a, b) {
            (Some(a), Some(b)) => self.covariance(a, b),
            _ => self.fit.covariance.as_ref().map(|_| 0.0),
        };
        let variance = (|| Some(covariance(i, i)? + covariance(j, j)? - 2.0 * covariance(i, j)?))();
        Estimate::new(value(i) - value(j), variance)
    }

    /// The probability that i beats j at equal sides and lengths, σ(θ_i − θ_j), with its interval.
    pub fn win_rate(&self, i: usize, j: usize) -> (f64, Option<Interval>) {
        let difference = self.difference(i, j);
        let interval = difference.interval().map(|interval| Interval {
            low: sigmoid(interval.low),
            high: sigmoid(interval.high),
        });
        (sigmoid(difference.value), interval)
    }

    /// γ: what standing on the left is worth.
    pub fn side(&self) -> Option<Estimate> {
        columns(self.policies, self.covariates)
            .0
            .map(|c| self.coefficient(c))
    }

    /// λ: what length is worth, from half to double being 1/3 + 1/3.
    pub fn length(&self) -> Option<Estimate> {
        columns(self.policies, self.covariates)
            .1
            .map(|c| self.coefficient(c))
    }

    /// Whether a prior was needed because somebody always won.
    pub fn prior(&self) -> bool {
        self.fit.prior
    }

    fn coefficient(&self, column: usize) -> Estimate {
        Estimate::new(
            self.fit.coefficients[column],
            self.covariance(column, column),
        )
    }

    fn covariance(&self, a: usize, b: usize) -> Option<f64> {
        let k = self.fit.coefficients.len();
        self.fit.covariance.as_ref().map(|c| c[a * k + b])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(first: usize, second: usize, score: f64, cluster: usize) -> Comparison {
        Comparison {
            policies: [first, second],
            score,
            side: 0.0,
            length: 0.0,
            cluster,
        }
    }

    fn wins(first: usize, second: usize, won: usize, lost: usize) -> Vec<Comparison> {
        (0..won + lost)
            .map(|i| met(first, second, f64::from(u8::from(i < won)), i))
            .collect()
    }

    #[test]
    fn two_policies_have_the_log_odds_of_their_win_rate() {
        let ratings = rate(&wins(0, 1, 75, 25), 2, 0, Covariates::default()).unwrap();
        assert!((ratings.theta(1).value + 3.0_f64.ln()).abs() < 1e-10);
        assert!((ratings.theta(1).value * ELO + 190.848_501_887_864_9).abs() < 1e-9);
        assert_eq!(ratings.theta(0).value, 0.0);
        let (rate, interval) = ratings.win_rate(0, 1);
        assert!((rate - 0.75).abs() < 1e-12);
        let interval = interval.unwrap();
        assert!(0.65 < interval.low && interval.high < 0.84, "{interval:?}");
    }

    #[test]
    fn the_difference_of_two_that_share_no_anchor_is_surer_than_their_bars() {
        // 1 and 2 met often, each met the anchor seldom.
        let games = [wins(1, 0, 6, 4), wins(2, 0, 6, 4), wins(1, 2, 130, 70)].concat();
        let ratings = rate(&games, 3, 0, Covariates::default()).unwrap();
        let [one, two] = [1, 2].map(|policy| ratings.theta(policy).error.unwrap());
        let difference = ratings.difference(1, 2).error.unwrap();
        assert!(
            difference < one.hypot(two) / 2.0,
            "{difference} {one} {two}"
        );
        assert!(ratings.difference(1, 2).p.unwrap() < 0.001);
        let back = ratings.difference(2, 1);
        assert!((back.value + ratings.difference(1, 2).value).abs() < 1e-12);
    }

    #[test]
    fn policies_that_never_met_are_refused_by_name() {
        let games = [wins(0, 1, 3, 2), wins(2, 3, 3, 2)].concat();
        let error = rate(&games, 4, 1, Covariates::default()).unwrap_err();
        assert_eq!(error, RatingError::Disconnected(1, 2));
        assert!(error.to_string().contains("never compared"));
    }

    #[test]
    fn a_policy_that_always_won_has_a_finite_rating() {
        let ratings = rate(&wins(0, 1, 12, 0), 2, 1, Covariates::default()).unwrap();
        assert!(ratings.prior());
        assert!((2.5..5.0).contains(&ratings.theta(0).value));
    }

    #[test]
    fn the_side_is_estimated_without_policies() {
        let left = |i: usize| Comparison {
            side: if i.is_multiple_of(2) { 1.0 } else { -1.0 },
            // The left one wins in 60 of 100.
            score: f64::from(u8::from(i.is_multiple_of(2) == (i % 5 < 3))),
            ..met(0, 0, 0.0, i)
        };
        let games: Vec<_> = (0..100).map(left).collect();
        let side = Covariates {
            side: true,
            length: false,
        };
        let ratings = rate(&games, 1, 0, side).unwrap();
        let gamma = ratings.side().unwrap();
        assert!((gamma.value - 1.5_f64.ln()).abs() < 1e-10, "{gamma:?}");
        assert_eq!(ratings.length(), None);
    }
}
