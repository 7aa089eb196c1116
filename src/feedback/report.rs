//! What the labels of a project say about policies and about the annotators themselves.
//!
//! People and simulated annotators are never counted together.

use super::item::Item;
use super::labels::{Label, Labels};
use super::pairs::comparisons;
use super::record::{Kind, Outcome, Record};
use crate::stats::Interval;
use crate::stats::agreement::{Agreement, agreement};
use crate::stats::length::longer_wins;
use crate::stats::wilson::wilson;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};

/// Everything `rlhf feedback stats` says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Items in `samples/`.
    pub items: usize,
    /// Those that somebody judged.
    pub judged_items: usize,
    /// All people together.
    pub people: Tally,
    /// All simulated annotators together.
    pub simulated: Tally,
    /// Each annotator.
    pub annotators: BTreeMap<String, Tally>,
    /// Agreement of people on which candidate wins, or that they tie (first judgements only);
    /// absent if no item was judged by two.
    pub agreement: Option<Agreement>,
}

/// Labels of one annotator or of a group.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Tally {
    /// All judgements: the sum of the next four.
    pub judgements: usize,
    /// One answer was better, or a ranking was given.
    pub prefer: usize,
    /// Equally good.
    pub tie: usize,
    /// None was acceptable.
    pub both_bad: usize,
    /// The annotator could not tell.
    pub cannot_judge: usize,
    /// Skipped or deferred, not judged.
    pub skipped: usize,
    /// How often the left one of two answers on a screen won: near 0.5 without a habit.
    pub left: Option<Share>,
    /// How often the longer of two answers won, in characters; equal lengths count half.
    pub longer: Option<f64>,
    /// Median time at work per judgement on a screen, in milliseconds.
    pub median_active_ms: Option<f64>,
    /// Every two policies that were compared, by name.
    pub policies: Vec<PolicyPair>,
}

/// A share with its 95 % interval (Wilson).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    /// Number it is a share of.
    pub n: usize,
    /// In [0, 1].
    pub share: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Share {
    /// `successes` of `n`, where a tie may count half; `None` of nothing.
    pub fn new(successes: f64, n: usize) -> Option<Self> {
        let Interval { low, high } = wilson(successes, n);
        let share = successes / n as f64;
        (n > 0).then_some(Self {
            n,
            share,
            low,
            high,
        })
    }
}

/// How often one policy beat another.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PolicyPair {
    /// One policy.
    pub policy: String,
    /// The other.
    pub against: String,
    /// Comparisons that `policy` won.
    pub wins: usize,
    /// Those that it lost.
    pub losses: usize,
    /// Those that nobody won.
    pub ties: usize,
    /// Pairs of which no answer was acceptable.
    pub both_bad: usize,
    /// Wins among decisive comparisons.
    pub win_rate: Option<Share>,
    /// The same with a tie as half a win.
    pub ties_as_half: Option<Share>,
}

impl Report {
    /// Counts the labels of a project.
    pub fn new(labels: &Labels) -> Self {
        let judged: std::collections::HashSet<_> =
            judgements(&labels.labels).map(|label| label.item).collect();
        let (simulated, people): (Vec<&Label>, Vec<&Label>) = labels
            .labels
            .iter()
            .partition(|label| label.record.is_simulated());
        let mut by_annotator: BTreeMap<String, Vec<&Label>> = BTreeMap::new();
        for label in &labels.labels {
            let name = label.record.annotator.clone();
            by_annotator.entry(name).or_default().push(label);
        }
        let each = by_annotator.into_iter();
        Self {
            items: labels.items.len(),
            judged_items: judged.len(),
            agreement: agreement_of(&people),
            people: Tally::new(labels, &people),
            simulated: Tally::new(labels, &simulated),
            annotators: each
                .map(|(name, own)| (name, Tally::new(labels, &own)))
                .collect(),
        }
    }
}

fn judgements<'a>(labels: impl IntoIterator<Item = &'a Label>) -> impl Iterator<Item = &'a Label> {
    let labels = labels.into_iter();
    labels.filter(|label| label.record.kind == Kind::Judgement)
}

impl Tally {
    fn new(labels: &Labels, chosen: &[&Label]) -> Self {
        let records: Vec<&Record> = judgements(chosen.iter().copied())
            .map(|label| &label.record)
            .collect();
        let count = |outcome| {
            records
                .iter()
                .filter(|r| r.outcome == Some(outcome))
                .count()
        };
        let lefts: Vec<bool> = records.iter().filter_map(|r| left_won(r)).collect();
        let left = lefts.iter().filter(|&&left| left).count();
        let differences = judgements(chosen.iter().copied())
            .flat_map(|label| length_differences(&label.record, labels.item(label)));
        let longer = longer_wins(differences);
        Self {
            judgements: records.len(),
            prefer: count(Outcome::Prefer),
            tie: count(Outcome::Tie),
            both_bad: count(Outcome::BothBad),
            cannot_judge: count(Outcome::CannotJudge),
            skipped: chosen.len() - records.len(),
            left: Share::new(left as f64, lefts.len()),
            longer: (!longer.is_nan()).then_some(longer),
            median_active_ms: median(records.iter().filter_map(|r| active_ms(r)).collect()),
            policies: policy_pairs(&records),
        }
    }
}

/// Whether the left one of two answers won; `None` if there was no screen or no winner.
fn left_won(record: &Record) -> Option<bool> {
    let display = record.display.as_ref().filter(|d| d.order.len() == 2)?;
    display.size?;
    let winner = record.winner.as_ref()?;
    Some(display.order.first() == Some(winner))
}

fn active_ms(record: &Record) -> Option<f64> {
    record.time.map(|time| time.active_ms as f64)
}

/// Characters of the winner less those of the loser, of every decisive comparison.
fn length_differences(record: &Record, item: &Item) -> Vec<i64> {
    let length = |id: &str| Some(item.candidate(id)?.text.chars().count() as i64);
    let decisive = comparisons(record).into_iter().filter(|(.., tie)| !tie);
    decisive
        .filter_map(|(winner, loser, _)| Some(length(winner)? - length(loser)?))
        .collect()
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = values[(values.len() - 1) / 2];
    Some(f64::midpoint(lower, upper))
}

/// Wins, losses, ties and both-bads of a policy against another, the lesser name first.
#[derive(Default)]
struct Score {
    wins: usize,
    losses: usize,
    ties: usize,
    both_bad: usize,
}

fn policy_pairs(records: &[&Record]) -> Vec<PolicyPair> {
    let mut scores: BTreeMap<(&str, &str), Score> = BTreeMap::new();
    for record in records {
        let policy = |id: &str| record.candidate(id).map(|c| c.policy.as_str());
        for (better, worse, tie) in comparisons(record) {
            let (Some(better), Some(worse)) = (policy(better), policy(worse)) else {
                continue;
            };
            if better == worse {
                continue;
            }
            let score = scores
                .entry((better.min(worse), better.max(worse)))
                .or_default();
            match (tie, better < worse) {
                (true, _) => score.ties += 1,
                (false, true) => score.wins += 1,
                (false, false) => score.losses += 1,
            }
        }
        if let (Some(Outcome::BothBad), [a, b]) = (record.outcome, &record.candidates[..])
            && a.policy != b.policy
        {
            let (a, b) = (a.policy.as_str(), b.policy.as_str());
            scores.entry((a.min(b), a.max(b))).or_default().both_bad += 1;
        }
    }
    let pair = |((policy, against), score): ((&str, &str), Score)| {
        let decisive = score.wins + score.losses;
        let half = score.wins as f64 + score.ties as f64 / 2.0;
        PolicyPair {
            policy: policy.to_owned(),
            against: against.to_owned(),
            wins: score.wins,
            losses: score.losses,
            ties: score.ties,
            both_bad: score.both_bad,
            win_rate: Share::new(score.wins as f64, decisive),
            ties_as_half: Share::new(half, decisive + score.ties),
        }
    };
    scores.into_iter().map(pair).collect()
}

/// Agreement on A, B or tie, where several annotators judged one pair for the first time.
fn agreement_of(labels: &[&Label]) -> Option<Agreement> {
    const TIE: u32 = u32::MAX;
    let mut units: HashMap<usize, Vec<u32>> = HashMap::new();
    for label in judgements(labels.iter().copied()) {
        let record = &label.record;
        if record.slot != Some(0) || record.candidates.len() != 2 {
            continue;
        }
        let position = |id: &String| record.candidates.iter().position(|c| c.id == *id);
        let category = match record.outcome {
            Some(Outcome::Tie) => Some(TIE),
            _ => record.winner.as_ref().and_then(position).map(|p| p as u32),
        };
        units.entry(label.item).or_default().extend(category);
    }
    // A fixed order of the sums makes the result the same on every run.
    let mut units: Vec<_> = units.into_iter().collect();
    units.sort_unstable_by_key(|(item, _)| *item);
    let units: Vec<Vec<u32>> = units.into_iter().map(|(_, unit)| unit).collect();
    agreement(&units)
}
