//! How far "the longer answer wins" would get: a reward model that is no better has learnt length.

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

    #[test]
    fn without_pairs_there_is_no_accuracy() {
        assert!(longer_wins(std::iter::empty()).is_nan());
    }
}
