//! How good a reward model is on judgements it hasn't learnt from, and how far length alone would get.
//!
//! A pair is right if the answer that people preferred has the higher score; equal scores are half right.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::model::ScalarModel;
use crate::run::control::Observer;
use crate::stats::Interval;
use crate::stats::bootstrap::clustered;
use crate::stats::calibration::{Bin, expected_calibration_error, reliability};
use crate::stats::length::longer_wins;
use crate::stats::wilson::wilson;

use super::dataset::{Dataset, Pair};
use super::evaluation::{credit, pair_scores};
use super::model::RewardError;
use super::trainer::CurvePoint;

/// Bins of the reliability diagram over [0.5, 1].
const BINS: usize = 10;
/// Draws of the cluster bootstrap.
const RESAMPLES: usize = 10_000;
/// Pairs that are scored between two words about progress.
const PAIRS_AT_ONCE: usize = 32;

/// How an interval was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum IntervalMethod {
    /// Wilson 1927: every prompt has one pair.
    Wilson,
    /// Whole prompts resampled: pairs of one prompt are not independent.
    PromptBootstrap,
}

/// A share of right pairs with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Accuracy {
    /// Decisive pairs.
    pub n: usize,
    /// Prompts they belong to.
    pub prompts: usize,
    /// Share that is right; NaN (`null`) without pairs.
    pub accuracy: f64,
    /// Lower end.
    pub accuracy_low: f64,
    /// Upper end.
    pub accuracy_high: f64,
    /// How the interval was made.
    pub interval: IntervalMethod,
}

/// Reward model against judgements.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// What it was measured on.
    pub file: String,
    /// On decisive pairs.
    #[serde(flatten)]
    pub overall: Accuracy,
    /// Accuracy of "the longer answer wins", in characters.
    pub length_baseline: f64,
    /// Share of all judgements, ties included, that the scores agree with if |r_a − r_b| ≤ `tie_threshold` says "tie"
    /// (Deutsch et al. 2023, arXiv:2305.14324, section 5).
    pub tie_aware_accuracy: f64,
    /// The threshold with the highest `tie_aware_accuracy` on these very judgements.
    pub tie_threshold: f64,
    /// Judgements that are ties.
    pub ties: usize,
    /// Decisive pairs whose answers got the same score.
    pub equal_scores: usize,
    /// Judgements left out because they have too many tokens.
    pub too_long: usize,
    /// Mean r_w − r_l of raw scores, log odds.
    pub mean_margin: f64,
    /// Expected calibration error of σ(r_w − r_l).
    pub ece: f64,
    /// The reliability diagram.
    pub reliability: Vec<Bin>,
    /// By the rows' `source`, if they have one.
    pub by_source: BTreeMap<String, Accuracy>,
    /// By who judged, if that is known.
    pub by_annotator: BTreeMap<String, Accuracy>,
}

/// `reward_report.json` of a training run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainingReport {
    /// Version of this file.
    pub v: u32,
    /// Decisive pairs learnt from.
    pub training_pairs: usize,
    /// Ties among the training judgements; Bradley–Terry can't learn from them.
    pub training_ties: usize,
    /// Judgements left out because they have too many tokens.
    pub too_long: usize,
    /// Updates done.
    pub updates: usize,
    /// Held-out accuracy over the number of labels seen, on at most 200 pairs.
    pub learning_curve: Vec<CurvePoint>,
    /// After training.
    pub held_out: Vec<Report>,
}

/// Scores the judgements of `dataset` and compares.
///
/// # Errors
/// If a score isn't finite or a row is longer than the context.
pub fn evaluate(
    network: &ScalarModel,
    file: &str,
    dataset: &Dataset,
    observer: &mut dyn Observer,
) -> Result<Report, RewardError> {
    let mut pairs: Vec<&Pair> = dataset.pairs.iter().collect();
    pairs.sort_by_key(|pair| pair.tokens()); // Pairs of like length are scored together: little padding.
    let mut margins = Vec::with_capacity(pairs.len());
    for part in pairs.chunks(PAIRS_AT_ONCE) {
        let (winners, losers) = pair_scores(network, part)?;
        margins.extend(winners.iter().zip(losers).map(|(w, l)| w - l));
        observer.phase("scoring", margins.len(), pairs.len());
    }
    Ok(report(file, &pairs, &margins, dataset.too_long))
}

/// The report on pairs whose margins r_w − r_l are known.
pub fn report(file: &str, pairs: &[&Pair], margins: &[f64], too_long: usize) -> Report {
    let judged: Vec<Judged> = pairs
        .iter()
        .zip(margins)
        .map(|(pair, &margin)| Judged { pair, margin })
        .collect();
    let decisive: Vec<Judged> = judged.iter().filter(|j| !j.pair.tie).copied().collect();
    let margins: Vec<f64> = decisive.iter().map(|j| j.margin).collect();
    let (tie_threshold, tie_aware_accuracy) = tie_aware(&judged);
    Report {
        file: file.to_owned(),
        overall: accuracy(&decisive),
        length_baseline: longer_wins(decisive.iter().map(|j| j.pair.length_difference)),
        tie_aware_accuracy,
        tie_threshold,
        ties: judged.len() - decisive.len(),
        equal_scores: margins.iter().filter(|&&margin| margin == 0.0).count(),
        too_long,
        mean_margin: margins.iter().sum::<f64>() / margins.len() as f64,
        ece: expected_calibration_error(&margins, BINS),
        reliability: reliability(&margins, BINS),
        by_source: by(&decisive, |pair| pair.source.as_ref()),
        by_annotator: by(&decisive, |pair| pair.annotator.as_ref()),
    }
}

/// A pair and the difference of its scores.
#[derive(Debug, Clone, Copy)]
struct Judged<'a> {
    pair: &'a Pair,
    margin: f64,
}

fn by<'a>(
    judged: &[Judged<'a>],
    key: impl Fn(&'a Pair) -> Option<&'a String>,
) -> BTreeMap<String, Accuracy> {
    let mut groups: BTreeMap<&String, Vec<Judged<'a>>> = BTreeMap::new();
    for one in judged {
        if let Some(key) = key(one.pair) {
            groups.entry(key).or_default().push(*one);
        }
    }
    let measured = groups
        .into_iter()
        .map(|(key, group)| (key.clone(), accuracy(&group)));
    measured.collect()
}

fn accuracy(decisive: &[Judged<'_>]) -> Accuracy {
    let n = decisive.len();
    let credits: Vec<f64> = decisive.iter().map(|j| credit(j.margin)).collect();
    let prompts: Vec<&str> = decisive.iter().map(|j| j.pair.prompt.as_str()).collect();
    let distinct = prompts.iter().collect::<BTreeSet<_>>().len();
    let correct: f64 = credits.iter().sum();
    let (interval, Interval { low, high }) = if distinct == n {
        (IntervalMethod::Wilson, wilson(correct, n))
    } else {
        let interval = clustered(&credits, &prompts, RESAMPLES, 0);
        (IntervalMethod::PromptBootstrap, interval)
    };
    Accuracy {
        n,
        prompts: distinct,
        accuracy: correct / n as f64,
        accuracy_low: low.max(0.0),
        accuracy_high: high.min(1.0),
        interval,
    }
}

/// The best threshold and the share of judgements that agree under it.
///
/// Raising the threshold past |margin| turns that pair's answer into "tie": a tie becomes right, a right pair wrong.
fn tie_aware(judged: &[Judged<'_>]) -> (f64, f64) {
    let mut sorted: Vec<&Judged<'_>> = judged.iter().collect();
    sorted.sort_by(|a, b| a.margin.abs().total_cmp(&b.margin.abs()));
    let right = |j: &Judged<'_>| !j.pair.tie && j.margin > 0.0;
    let mut agreeing = judged.iter().filter(|j| right(j)).count();
    // At threshold 0 equal scores already say "tie".
    let (mut threshold, mut best) = (0.0, None);
    for (index, one) in sorted.iter().enumerate() {
        let size = one.margin.abs();
        if size > 0.0 && best.is_none() {
            best = Some(agreeing);
        }
        agreeing += usize::from(one.pair.tie);
        agreeing -= usize::from(right(one));
        let next = sorted.get(index + 1).map(|next| next.margin.abs());
        if next != Some(size) && best.is_none_or(|best| agreeing > best) {
            (threshold, best) = (size, Some(agreeing));
        }
    }
    (threshold, best.unwrap_or(0) as f64 / judged.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(prompt: &str, length_difference: i64, tie: bool, annotator: Option<&str>) -> Pair {
        Pair {
            winner: vec![1],
            loser: vec![2],
            length_difference,
            tie,
            prompt: prompt.to_owned(),
            annotator: annotator.map(str::to_owned),
            source: Some("here".to_owned()),
        }
    }

    fn report_of(pairs: &[Pair], margins: &[f64]) -> Report {
        report("file", &pairs.iter().collect::<Vec<_>>(), margins, 3)
    }

    #[test]
    fn one_pair_a_prompt_gets_a_wilson_interval() {
        let pairs = [
            pair("a", 5, false, Some("ann")),
            pair("b", -2, false, Some("ann")),
            pair("c", 0, false, Some("bob")),
            pair("d", 7, false, None),
        ];
        let report = report_of(&pairs, &[1.0, 0.5, -0.25, 0.0]);
        let overall = report.overall;
        assert_eq!((overall.n, overall.prompts, report.too_long), (4, 4, 3));
        assert_eq!(
            (overall.accuracy, overall.interval),
            (0.625, IntervalMethod::Wilson)
        );
        let wilson = wilson(2.5, 4);
        assert_eq!(
            (overall.accuracy_low, overall.accuracy_high),
            (wilson.low, wilson.high)
        );
        assert_eq!((report.length_baseline, report.equal_scores), (0.625, 1));
        assert_eq!(report.mean_margin, 0.3125);
        assert_eq!(report.by_annotator["ann"].accuracy, 1.0);
        assert_eq!(report.by_annotator["bob"].accuracy, 0.0);
        assert_eq!(report.by_source["here"].n, 4);
    }

    #[test]
    fn several_pairs_a_prompt_get_a_clustered_interval() {
        let pairs: Vec<Pair> = (0..8)
            .map(|i| pair(&format!("{}", i / 2), 1, false, None))
            .collect();
        let margins = [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, -1.0, -1.0];
        let overall = report_of(&pairs, &margins).overall;
        assert_eq!((overall.n, overall.prompts), (8, 4));
        assert_eq!(overall.interval, IntervalMethod::PromptBootstrap);
        // Of four prompts, three are right: a draw has none right with probability 1/256, and all with 81/256.
        assert_eq!((overall.accuracy_low, overall.accuracy_high), (0.25, 1.0));
    }

    #[test]
    fn one_prompt_alone_says_nothing() {
        let pairs = [pair("a", 1, false, None), pair("a", 1, false, None)];
        let overall = report_of(&pairs, &[1.0, -1.0]).overall;
        assert_eq!((overall.accuracy_low, overall.accuracy_high), (0.0, 1.0));
    }

    #[test]
    fn the_tie_threshold_is_where_most_judgements_agree() {
        let pairs = [
            pair("a", 1, true, None),
            pair("b", 1, false, None),
            pair("c", 1, true, None),
            pair("d", 1, false, None),
            pair("e", 1, false, None),
        ];
        // Sorted by size: tie .1, right .2, tie −.3, right 1, wrong −2. Agreeing: 2 at 0, 3 at .1, 2 at .2, 3 at .3, 2 at 1.
        let report = report_of(&pairs, &[0.1, 0.2, -0.3, 1.0, -2.0]);
        assert_eq!(
            (report.tie_threshold, report.tie_aware_accuracy),
            (0.1, 0.6)
        );
        assert_eq!((report.overall.n, report.ties), (3, 2));
    }

    #[test]
    fn without_ties_the_threshold_is_zero_and_equal_scores_are_wrong() {
        let pairs = [pair("a", 1, false, None), pair("b", 1, false, None)];
        let report = report_of(&pairs, &[0.5, 0.0]);
        assert_eq!(
            (report.tie_threshold, report.tie_aware_accuracy),
            (0.0, 0.5)
        );
        assert_eq!(report.overall.accuracy, 0.75);
    }

    #[test]
    fn the_json_has_the_keys_that_the_issue_names() {
        let json = serde_json::to_value(report_of(&[pair("a", 1, false, None)], &[0.5])).unwrap();
        for key in [
            "file",
            "n",
            "accuracy",
            "accuracy_low",
            "accuracy_high",
            "length_baseline",
        ] {
            assert!(json.get(key).is_some(), "{key}");
        }
        let empty = serde_json::to_value(report_of(&[], &[])).unwrap();
        assert_eq!(empty["accuracy"], serde_json::Value::Null);
    }
}
