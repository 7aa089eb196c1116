//! The exact binomial test of a fair coin: does one side win more often than chance?

/// Two-sided p-value of `successes` out of `n` under a probability of one half.
///
/// P(X ≤ min(k, n−k)) twice, at most 1 (Clopper & Pearson's tails; with one half the distribution
/// is symmetric, so every definition of "two-sided" agrees). 1 for `n` = 0.
///
/// # Panics
/// If there are more successes than trials.
pub fn fair_coin_p(successes: usize, n: usize) -> f64 {
    assert!(successes <= n, "{successes} successes in {n} trials");
    let rarer = successes.min(n - successes);
    if 2 * rarer == n {
        return 1.0;
    }
    let all = log_factorial(n) - n as f64 * std::f64::consts::LN_2;
    let tail = (0..=rarer).rev().map(|k| {
        let log = all - log_factorial(k) - log_factorial(n - k);
        log.exp()
    });
    // Further out every term is smaller; those below rounding change nothing.
    let sum = tail.take_while(|term| *term > 1e-30).sum::<f64>();
    (2.0 * sum).min(1.0)
}

fn log_factorial(n: usize) -> f64 {
    libm::lgamma(n as f64 + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_cases_can_be_counted() {
        // 8 or more heads of 10, or 2 or fewer: 2 (45 + 10 + 1) / 1024.
        assert!((fair_coin_p(8, 10) - 112.0 / 1024.0).abs() < 1e-12);
        assert!((fair_coin_p(2, 10) - 112.0 / 1024.0).abs() < 1e-12);
        assert!((fair_coin_p(0, 5) - 2.0 / 32.0).abs() < 1e-12);
        assert_eq!((fair_coin_p(5, 10), fair_coin_p(0, 0)), (1.0, 1.0));
        assert_eq!(fair_coin_p(6, 11), 1.0);
    }

    #[test]
    fn large_counts_stay_finite() {
        // z = 6.32 with the correction for continuity.
        let p = fair_coin_p(51_000, 100_000);
        assert!((2.0e-10..3.2e-10).contains(&p), "{p:e}");
        assert!((0.0..1e-30).contains(&fair_coin_p(0, 100_000)));
    }
}
