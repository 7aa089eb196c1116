//! How many labels a difference needs before it can be seen.

use super::normal::Z;

/// The 80 % quantile of the normal distribution.
const Z_POWER: f64 = 0.841_621_233_572_914_3;

/// Decisive judgements that show a true win rate to differ from one half, in a two-sided test at
/// 5 %, with a probability of 80 %.
///
/// n = ((z_α √(½·½) + z_β √(p (1−p))) / (p − ½))², rounded up: the one-sample test of a share (Fleiss,
/// Levin & Paik 2003, section 2.5.1). `None` for one half itself, which no number of labels shows
/// to differ, and for what is no share.
pub fn labels_needed(win_rate: f64) -> Option<u64> {
    let difference = (win_rate - 0.5).abs();
    if !(1e-6..=0.5).contains(&difference) {
        return None;
    }
    let spread = (win_rate * (1.0 - win_rate)).max(0.0).sqrt();
    let root = (Z * 0.5 + Z_POWER * spread) / difference;
    Some((root * root).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_specification() {
        let needed = [0.55, 0.57, 0.60, 0.65].map(labels_needed);
        assert_eq!(needed, [Some(783), Some(399), Some(194), Some(85)]);
        assert_eq!(labels_needed(0.45), Some(783));
    }

    #[test]
    fn no_difference_is_never_seen() {
        assert_eq!(labels_needed(0.5), None);
        assert_eq!(labels_needed(1.2), None);
        assert_eq!(labels_needed(f64::NAN), None);
        assert_eq!(labels_needed(1.0), Some(4));
    }
}
