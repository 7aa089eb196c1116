//! How far the annotators of a group agree, on the pairs that several of them judged.
//!
//! Only first judgements count: a repeat measures the annotator, and an adjudicator has read the
//! others.

use super::SEED;
use super::votes::{CHOICES, GRADES, Vote};
use crate::feedback::record::UtcMillis;
use crate::stats::Interval;
use crate::stats::agreement::agreement;
use crate::stats::alpha::{Distance, Reliability};
use crate::stats::bootstrap::RESAMPLES;
use crate::stats::kappa::{Weights, kappa};
use serde::Serialize;
use std::collections::BTreeMap;

/// Points of [`Consensus::trend`], at most.
const TREND_POINTS: usize = 12;
/// Items per point of the trend, at least.
const TREND_ITEMS: usize = 10;

/// Agreement of a group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Consensus {
    /// Items with at least two first judgements.
    pub units: usize,
    /// Share of pairs of annotators that chose the same of A, tie and B.
    pub raw: f64,
    /// Krippendorff's α on A, tie and B.
    pub nominal: Option<Alpha>,
    /// Krippendorff's α on the grades −4..4, where items were graded.
    pub ordinal: Option<Alpha>,
    /// Every two annotators with common items, by name.
    pub pairs: Vec<Pair>,
    /// Agreement over time, the first items first; empty with fewer than twenty items of which is
    /// known when all judged them.
    pub trend: Vec<Trend>,
}

/// Krippendorff's α with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Alpha {
    /// Items.
    pub units: usize,
    /// 1 is perfect, 0 is chance.
    pub alpha: f64,
    /// From a bootstrap over items.
    #[serde(flatten)]
    pub interval: Option<Interval>,
}

/// Agreement of two annotators.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pair {
    /// Their names.
    pub annotators: [String; 2],
    /// Items that both judged.
    pub items: usize,
    /// Share on which they chose the same.
    pub raw: f64,
    /// Cohen's κ on A, tie and B; absent if both always chose one and the same.
    pub kappa: Option<f64>,
    /// Cohen's κ with quadratic weights on the grades −4..4, where both graded.
    pub kappa_quadratic: Option<f64>,
}

/// Agreement on a stretch of items.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Trend {
    /// When the last of them was judged for the last time.
    pub until: UtcMillis,
    /// Items.
    pub units: usize,
    /// Raw agreement.
    pub raw: f64,
    /// Krippendorff's α on A, tie and B.
    pub alpha: Option<f64>,
}

/// The first judgements of one item.
#[derive(Default)]
struct Unit<'a> {
    by: Vec<&'a Vote<'a>>,
    last: i64,
}

impl Unit<'_> {
    fn choices(&self) -> Vec<usize> {
        self.by.iter().filter_map(|vote| vote.choice).collect()
    }

    fn grades(&self) -> Vec<usize> {
        self.by.iter().filter_map(|vote| vote.grade).collect()
    }
}

impl Consensus {
    /// Agreement of `group`; `None` if no item has two first judgements.
    pub fn new(group: &[&Vote]) -> Option<Self> {
        let mut by_item: BTreeMap<usize, Unit> = BTreeMap::new();
        for vote in group.iter().filter(|vote| vote.is_first()) {
            if vote.choice.is_some() {
                let unit = by_item.entry(vote.item).or_default();
                unit.by.push(vote);
                unit.last = unit.last.max(vote.record.ts.0);
            }
        }
        let units: Vec<Unit> = by_item.into_values().filter(|u| u.by.len() > 1).collect();
        let choices: Vec<Vec<usize>> = units.iter().map(Unit::choices).collect();
        let grades: Vec<Vec<usize>> = units.iter().map(Unit::grades).collect();
        let all = agreement(&slices(&choices), CHOICES)?;
        Some(Self {
            units: all.units,
            raw: all.raw,
            nominal: alpha(&choices, CHOICES, Distance::Nominal),
            ordinal: alpha(&grades, GRADES, Distance::Ordinal),
            pairs: pairs(&units),
            trend: trend(units),
        })
    }
}

fn slices(units: &[Vec<usize>]) -> Vec<&[usize]> {
    units.iter().map(Vec::as_slice).collect()
}

fn alpha(units: &[Vec<usize>], categories: usize, distance: Distance) -> Option<Alpha> {
    let reliability = Reliability::new(slices(units), categories, distance);
    let units = reliability.units();
    Some(Alpha {
        units,
        alpha: reliability.alpha()?,
        interval: reliability.interval(RESAMPLES, SEED),
    })
}

/// Choices, and grades where both graded, of two annotators on their common items.
#[derive(Default)]
struct Common<'a> {
    names: [&'a str; 2],
    choices: Vec<(usize, usize)>,
    grades: Vec<(usize, usize)>,
}

fn pairs(units: &[Unit]) -> Vec<Pair> {
    let mut common: BTreeMap<[usize; 2], Common> = BTreeMap::new();
    for unit in units {
        for (at, one) in unit.by.iter().enumerate() {
            for other in &unit.by[at + 1..] {
                // Sorted, so that the same two always stand in the same order.
                let (a, b) = if one.annotator < other.annotator {
                    (one, other)
                } else {
                    (other, one)
                };
                let common = common.entry([a.annotator, b.annotator]).or_default();
                common.names = [&a.record.annotator, &b.record.annotator];
                common.choices.extend(a.choice.zip(b.choice));
                common.grades.extend(a.grade.zip(b.grade));
            }
        }
    }
    let pair = |common: Common| {
        let same = common.choices.iter().filter(|(a, b)| a == b).count();
        Pair {
            annotators: common.names.map(str::to_owned),
            items: common.choices.len(),
            raw: same as f64 / common.choices.len() as f64,
            kappa: kappa(&common.choices, CHOICES, Weights::Same),
            kappa_quadratic: kappa(&common.grades, GRADES, Weights::Quadratic),
        }
    };
    common.into_values().map(pair).collect()
}

fn trend(mut units: Vec<Unit>) -> Vec<Trend> {
    units.retain(|unit| unit.by.iter().all(|vote| vote.has_time()));
    let points = (units.len() / TREND_ITEMS).min(TREND_POINTS);
    if points < 2 {
        return Vec::new();
    }
    units.sort_by_key(|unit| unit.last);
    let point = |at: usize| {
        let stretch = &units[at * units.len() / points..(at + 1) * units.len() / points];
        let choices: Vec<Vec<usize>> = stretch.iter().map(Unit::choices).collect();
        let agreement = agreement(&slices(&choices), CHOICES)?;
        Some(Trend {
            until: UtcMillis(stretch.last()?.last),
            units: agreement.units,
            raw: agreement.raw,
            alpha: agreement.alpha,
        })
    };
    (0..points).filter_map(point).collect()
}
