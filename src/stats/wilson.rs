//! Interval of a share (Wilson 1927), sound for small counts and for shares near 0 and 1.

pub use super::Interval;
use super::normal::Z;

/// The 95 % score interval of `successes` out of `n`.
///
/// (p + z²/2n ± z √(p(1−p)/n + z²/4n²)) / (1 + z²/n) with p = successes / n. `successes` may be a
/// fraction where a tie counts half. With `n` = 0 nothing is known: [0, 1].
pub fn wilson(successes: f64, n: usize) -> Interval {
    if n == 0 {
        return Interval {
            low: 0.0,
            high: 1.0,
        };
    }
    let n = n as f64;
    let share = (successes / n).clamp(0.0, 1.0);
    let shrink = 1.0 + Z * Z / n;
    let middle = (share + Z * Z / (2.0 * n)) / shrink;
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt() / shrink;
    Interval {
        low: (middle - half).max(0.0),
        high: (middle + half).min(1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(interval: Interval, low: f64, high: f64) {
        let gap = (interval.low - low).abs().max((interval.high - high).abs());
        assert!(gap < 5e-5, "{interval:?} is not [{low}, {high}]");
    }

    #[test]
    fn published_intervals() {
        // Newcombe 1998, Statistics in Medicine 17:857, table I, method 3.
        near(wilson(81.0, 263), 0.2553, 0.3662);
        near(wilson(15.0, 148), 0.0624, 0.1605);
        near(wilson(0.0, 20), 0.0, 0.1611);
        near(wilson(1.0, 29), 0.0061, 0.1718);
    }

    #[test]
    fn the_ends_stay_within_zero_and_one() {
        near(wilson(20.0, 20), 0.8389, 1.0);
        near(wilson(0.0, 0), 0.0, 1.0);
        near(wilson(7.5, 10), 0.4422, 0.9191);
    }
}
