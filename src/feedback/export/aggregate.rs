//! Several judgements of one item as one.
//!
//! People and programs do not vote together unless asked to, as nowhere in the statistics either; see
//! [`Labellers`](super::filter::Labellers).
//!
//! Votes are taken for every two answers; a ranking votes on each of its pairs.
//!
//! - **majority**: better, worse or tie, whichever has strictly most votes. Without one there is no
//!   label. Both bad is a vote too: an item with strictly more of them than of any verdict on any of
//!   its pairs has none.
//! - **mean**: of signed strengths, a tie being 0 and a preference of unknown strength 2. The sign
//!   says which is better, the rounded size (1..4) is the strength, where any strength was known.
//!   Both bad says nothing about the difference and does not count.

use crate::feedback::formats::judged::{Judged, Said};
use crate::feedback::formats::ultrafeedback::by_score;
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// What a preference of unknown strength counts in a mean: slightly better.
const UNKNOWN_STRENGTH: i8 = 2;

/// What becomes of several judgements of one item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    /// Each is a row.
    All,
    /// What most say.
    Majority,
    /// The mean of the strengths.
    Mean,
}

/// The votes on one item.
#[derive(Debug, Default)]
pub struct Votes {
    /// Answers of the item.
    n: usize,
    both_bad: usize,
    /// For answers `a < b`: strengths, positive if `a` is better.
    by_pair: BTreeMap<(usize, usize), Vec<i8>>,
    known_strength: bool,
}

impl Votes {
    /// Counts a judgement.
    pub fn add(&mut self, judged: &Judged) {
        self.n = judged.answers.len();
        self.both_bad += usize::from(judged.said == Said::BothBad);
        self.known_strength |= judged.strength().is_some();
        let strength = judged.strength().map_or(UNKNOWN_STRENGTH, |s| s as i8);
        for (better, worse, tie) in judged.comparisons() {
            let size = if tie { 0 } else { strength };
            let (pair, vote) = if better < worse {
                ((better, worse), size)
            } else {
                ((worse, better), -size)
            };
            self.by_pair.entry(pair).or_default().push(vote);
        }
    }

    /// Every two answers that somebody compared.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        self.by_pair.keys().copied()
    }

    /// True if the item is out because its answers are bad.
    pub fn are_both_bad(&self, how: Aggregate) -> bool {
        let most = self
            .by_pair
            .values()
            .map(|votes| *counts(votes).iter().max().unwrap_or(&0))
            .max();
        match how {
            Aggregate::Majority => self.both_bad > most.unwrap_or(0),
            _ => self.by_pair.is_empty(),
        }
    }

    /// What is said about two answers `a < b`, as 0 and 1; `None` without a majority.
    pub fn verdict(&self, a: usize, b: usize, how: Aggregate) -> Option<Said> {
        let score = self.score(a, b, how)?;
        let strength = (how == Aggregate::Mean && self.known_strength)
            .then(|| score.abs().round().clamp(1.0, 4.0) as u8);
        Some(match score.total_cmp(&0.0) {
            Ordering::Equal => Said::Tie,
            Ordering::Greater => Said::Prefer {
                winner: 0,
                strength,
            },
            Ordering::Less => Said::Prefer {
                winner: 1,
                strength,
            },
        })
    }

    /// All answers in their order, by the sum of what is said about each and every other. Where
    /// nothing is said of two of them, as in a best-of-n, or they have no majority, only the answer
    /// that beats all others, if there is one.
    pub fn ranking(&self, how: Aggregate) -> Option<Said> {
        let pairs = (0..self.n).flat_map(|a| (a + 1..self.n).map(move |b| (a, b)));
        let (mut scores, mut wins) = (vec![0.0; self.n], vec![0; self.n]);
        let mut all_said = true;
        for (a, b) in pairs {
            let Some(score) = self.score(a, b, how) else {
                all_said = false;
                continue;
            };
            scores[a] += score;
            scores[b] -= score;
            wins[a] += usize::from(score > 0.0);
            wins[b] += usize::from(score < 0.0);
        }
        if !all_said {
            let winner = wins.iter().position(|&wins| wins + 1 == self.n)?;
            let strength = None;
            return Some(Said::Prefer { winner, strength });
        }
        let groups = by_score(&scores);
        Some(match &groups[..] {
            [_] => Said::Tie,
            [best, _] if self.n == 2 => Said::Prefer {
                winner: best[0],
                strength: None,
            },
            _ => Said::Ranking(groups),
        })
    }

    /// Positive if `a` is better.
    fn score(&self, a: usize, b: usize, how: Aggregate) -> Option<f64> {
        let votes = self.by_pair.get(&(a, b))?;
        if how == Aggregate::Mean {
            let sum: f64 = votes.iter().map(|&vote| f64::from(vote)).sum();
            return Some(sum / votes.len() as f64 + 0.0);
        }
        let [better, worse, tie] = counts(votes);
        [
            (better, worse.max(tie), 1.0),
            (worse, better.max(tie), -1.0),
            (tie, better.max(worse), 0.0),
        ]
        .into_iter()
        .find_map(|(own, others, score)| (own > others).then_some(score))
    }
}

/// Votes for better, worse, tie.
fn counts(votes: &[i8]) -> [usize; 3] {
    let count = |order| votes.iter().filter(|vote| vote.cmp(&&0) == order).count();
    [Ordering::Greater, Ordering::Less, Ordering::Equal].map(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feedback::item::PromptText;

    fn votes(said: &[Said], n: usize) -> Votes {
        let mut votes = Votes::default();
        for said in said {
            let answers = (0..n).map(|index| format!("answer {index}"));
            let mut judged = Judged::new(PromptText::Text("p".into()), answers);
            judged.said = said.clone();
            votes.add(&judged);
        }
        votes
    }

    fn prefer(winner: usize, strength: Option<u8>) -> Said {
        Said::Prefer { winner, strength }
    }

    #[test]
    fn the_majority_needs_strictly_most_votes() {
        let verdict = |said: &[Said]| votes(said, 2).verdict(0, 1, Aggregate::Majority);
        let (a, b) = (prefer(0, Some(4)), prefer(1, None));
        assert_eq!(
            verdict(&[a.clone(), a.clone(), b.clone()]),
            Some(prefer(0, None))
        );
        assert_eq!(verdict(&[a.clone(), b.clone()]), None);
        assert_eq!(
            verdict(&[a.clone(), b.clone(), Said::Tie, Said::Tie]),
            Some(Said::Tie)
        );
        let bad = votes(&[a.clone(), Said::BothBad, Said::BothBad], 2);
        assert!(bad.are_both_bad(Aggregate::Majority) && !bad.are_both_bad(Aggregate::Mean));
        assert!(!votes(&[a, Said::BothBad], 2).are_both_bad(Aggregate::Majority));
    }

    #[test]
    fn the_mean_is_of_signed_strengths() {
        let verdict = |said: &[Said]| votes(said, 2).verdict(0, 1, Aggregate::Mean);
        // (4 + 1 - 1) / 3 = 1.33
        let said = [prefer(0, Some(4)), prefer(0, Some(1)), prefer(1, Some(1))];
        assert_eq!(verdict(&said), Some(prefer(0, Some(1))));
        // (0 - 3) / 2 = -1.5, rounded away from zero
        assert_eq!(
            verdict(&[Said::Tie, prefer(1, Some(3))]),
            Some(prefer(1, Some(2)))
        );
        // Unknown strengths have a sign and no size.
        let said = [prefer(0, None), prefer(0, None), prefer(1, None)];
        assert_eq!(verdict(&said), Some(prefer(0, None)));
        assert_eq!(
            verdict(&[prefer(0, None), prefer(1, Some(2))]),
            Some(Said::Tie)
        );
    }

    #[test]
    fn a_ranking_says_nothing_of_answers_without_a_verdict() {
        let split = votes(&[prefer(0, None), prefer(1, None)], 2);
        assert_eq!(split.ranking(Aggregate::Majority), None);
        assert_eq!(split.ranking(Aggregate::Mean), Some(Said::Tie));
        let best_of_three = votes(&[prefer(2, None)], 3);
        let best = Some(prefer(2, None));
        assert_eq!(best_of_three.ranking(Aggregate::Majority), best);
        // 0 beats 2; whether 0 or 1 is better is split, and who beats all others is open.
        let split = votes(&[prefer(0, None), prefer(1, None)], 3);
        assert_eq!(split.ranking(Aggregate::Majority), None);
    }

    #[test]
    fn rankings_are_combined_by_their_pairs() {
        let said = [
            Said::Ranking(vec![vec![0], vec![1], vec![2]]),
            Said::Ranking(vec![vec![0], vec![2], vec![1]]),
            Said::Ranking(vec![vec![1], vec![0], vec![2]]),
        ];
        let votes = votes(&said, 3);
        // 0 beats 1 and 2, 1 beats 2: each by two votes or more.
        let order = Said::Ranking(vec![vec![0], vec![1], vec![2]]);
        assert_eq!(votes.ranking(Aggregate::Majority), Some(order));
        assert_eq!(
            votes.verdict(1, 2, Aggregate::Majority),
            Some(prefer(0, None))
        );
    }
}
