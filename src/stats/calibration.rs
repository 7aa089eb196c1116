//! Whether a reward model's pair probabilities are true: of the pairs it is 80 % sure about, are
//! 80 % right? (Guo et al. 2017, arXiv:1706.04599, sections 2 and 3.)
//!
//! The model says that the preferred answer wins with probability σ(r_w − r_l). Which answer is
//! "first" carries no meaning, so its confidence is that of the answer it favours, in [0.5, 1], and
//! it is right if that is the preferred one.

use serde::Serialize;

/// Pairs of like confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// Lower end of the confidences, inclusive.
    pub low: f64,
    /// Upper end, exclusive but for the last bin.
    pub high: f64,
    /// Pairs in this bin.
    pub n: usize,
    /// Mean confidence; 0 if there are no pairs.
    pub confidence: f64,
    /// Share that was right, equal scores half; 0 if there are no pairs.
    pub accuracy: f64,
}

/// The reliability diagram: `bins` bins of equal width over [0.5, 1].
///
/// Each margin is r_w − r_l, in reward-model units (log odds). Margins that are NaN are left out.
pub fn reliability(margins: &[f64], bins: usize) -> Vec<Bin> {
    let width = 0.5 / bins as f64;
    let empty = |index: usize| Bin {
        low: 0.5 + width * index as f64,
        high: 0.5 + width * (index + 1) as f64,
        n: 0,
        confidence: 0.0,
        accuracy: 0.0,
    };
    let mut diagram: Vec<Bin> = (0..bins).map(empty).collect();
    for &margin in margins.iter().filter(|margin| !margin.is_nan()) {
        let confidence = sigmoid(margin.abs());
        let index = ((confidence - 0.5) / width) as usize;
        let Some(bin) = diagram.get_mut(index.min(bins.saturating_sub(1))) else {
            continue;
        };
        bin.n += 1;
        bin.confidence += confidence;
        bin.accuracy += if margin == 0.0 {
            0.5
        } else {
            f64::from(u8::from(margin > 0.0))
        };
    }
    for bin in diagram.iter_mut().filter(|bin| bin.n > 0) {
        bin.confidence /= bin.n as f64;
        bin.accuracy /= bin.n as f64;
    }
    diagram
}

/// Expected calibration error: Σ (n_b / n) |accuracy_b − confidence_b| over [`reliability`]'s bins.
/// 0 is perfect; NaN if there are no pairs.
pub fn expected_calibration_error(margins: &[f64], bins: usize) -> f64 {
    let diagram = reliability(margins, bins);
    let n: usize = diagram.iter().map(|bin| bin.n).sum();
    let gap = |bin: &Bin| bin.n as f64 * (bin.accuracy - bin.confidence).abs();
    diagram.iter().map(gap).sum::<f64>() / n as f64
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The margin of a probability.
    fn logit(p: f64) -> f64 {
        (p / (1.0 - p)).ln()
    }

    #[test]
    fn a_pair_is_right_if_the_preferred_answer_scores_higher() {
        let margins = [logit(0.8), logit(0.8), logit(0.2), 0.0, f64::NAN, 1e9];
        let bins = reliability(&margins, 5);
        assert_eq!(
            bins.iter().map(|b| b.n).collect::<Vec<_>>(),
            [1, 0, 0, 3, 1]
        );
        assert_eq!((bins[0].confidence, bins[0].accuracy), (0.5, 0.5));
        assert!((bins[3].confidence - 0.8).abs() < 1e-12);
        assert_eq!(bins[3].accuracy, 2.0 / 3.0);
        assert_eq!((bins[4].confidence, bins[4].accuracy), (1.0, 1.0));
        assert_eq!((bins[1].low, bins[1].high), (0.6, 0.7));
    }

    #[test]
    fn the_error_weighs_bins_by_their_pairs() {
        // Three of four right at 0.85 (gap 0.1), one of one at 0.65 (gap 0.35).
        let (sure, unsure) = (logit(0.85), logit(0.65));
        let margins = [sure, sure, sure, -sure, unsure];
        let error = expected_calibration_error(&margins, 5);
        assert!((error - (4.0 * 0.1 + 0.35) / 5.0).abs() < 1e-12, "{error}");
    }

    #[test]
    fn a_calibrated_model_has_no_error_and_no_pairs_have_none() {
        let sure = logit(0.75);
        let error = expected_calibration_error(&[sure, sure, sure, -sure], 10);
        assert!(error < 1e-12, "{error}");
        assert!(expected_calibration_error(&[], 10).is_nan());
    }
}
