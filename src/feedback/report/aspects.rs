//! Judgements per aspect, such as helpful or honest.

use super::votes::{FIRST, SECOND, Vote};
use super::{SEED, Share};
use crate::stats::Interval;
use crate::stats::bootstrap::{RESAMPLES, ratio};
use serde::Serialize;
use std::collections::BTreeMap;

/// One aspect.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Aspect {
    /// Its name.
    pub name: String,
    /// Judgements of it.
    pub n: usize,
    /// Those that saw no difference.
    pub ties: usize,
    /// How often the answer that is better in this aspect was also the better one overall, where
    /// both were decided.
    pub with_overall: Option<Share>,
    /// Every two policies that were compared in it.
    pub policies: Vec<AspectPair>,
}

/// How two policies differ in an aspect.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AspectPair {
    /// One policy.
    pub policy: String,
    /// The other.
    pub against: String,
    /// Judgements.
    pub n: usize,
    /// Mean grade, −4..4: positive favours `policy`.
    pub mean: f64,
    /// Its interval, from a bootstrap over prompts; absent with one prompt.
    #[serde(flatten)]
    pub interval: Option<Interval>,
}

/// The aspects that `group` judged, by name.
pub fn summarise(group: &[&Vote]) -> Vec<Aspect> {
    let mut by_name: BTreeMap<&str, Vec<(&Vote, i8)>> = BTreeMap::new();
    for vote in group.iter().copied().filter(|vote| vote.is_outcome()) {
        for (name, &grade) in &vote.record.aspects {
            by_name.entry(name).or_default().push((vote, grade));
        }
    }
    let each = by_name.into_iter();
    each.map(|(name, graded)| Aspect::new(name, &graded))
        .collect()
}

impl Aspect {
    fn new(name: &str, graded: &[(&Vote, i8)]) -> Self {
        let together = graded
            .iter()
            .filter_map(|(vote, grade)| match vote.choice? {
                FIRST if *grade != 0 => Some(*grade > 0),
                SECOND if *grade != 0 => Some(*grade < 0),
                _ => None,
            });
        let mut pairs: BTreeMap<[&str; 2], BTreeMap<usize, (f64, f64)>> = BTreeMap::new();
        for (vote, grade) in graded {
            let [first, second, ..] = &vote.record.candidates[..] else {
                continue;
            };
            let (a, b) = (first.policy.as_str(), second.policy.as_str());
            if a != b {
                let sign = if a < b { 1.0 } else { -1.0 };
                let prompts = pairs.entry([a.min(b), a.max(b)]).or_default();
                let (sum, n) = prompts.entry(vote.prompt).or_default();
                *sum += sign * f64::from(*grade);
                *n += 1.0;
            }
        }
        Self {
            name: name.to_owned(),
            n: graded.len(),
            ties: graded.iter().filter(|(_, grade)| *grade == 0).count(),
            with_overall: Share::of(together),
            policies: pairs
                .into_iter()
                .map(|(k, p)| AspectPair::new(k, &p))
                .collect(),
        }
    }
}

impl AspectPair {
    fn new([policy, against]: [&str; 2], prompts: &BTreeMap<usize, (f64, f64)>) -> Self {
        let prompts: Vec<(f64, f64)> = prompts.values().copied().collect();
        let (sum, n) = prompts
            .iter()
            .fold((0.0, 0.0), |(s, n), p| (s + p.0, n + p.1));

        Self {
            policy: policy.to_owned(),
            against: against.to_owned(),
            n: n as usize,
            mean: sum / n,
            interval: (prompts.len() > 1).then(|| ratio(&prompts, RESAMPLES, SEED)),
        }
    }
}
