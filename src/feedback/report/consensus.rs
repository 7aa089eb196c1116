//! How far the annotators of a group agree, on the pairs of answers that several of them judged.
//!
//! Only first judgements count: a repeat measures the annotator, and an adjudicator has read the
//! others. A ranking of K answers counts as the K (K − 1) / 2 pairs that it implies, each of them
//! better, worse or tied; a best-of-K as the K − 1 pairs with its winner. Pairs of one item are not
//! independent, so intervals are made by drawing items.

use super::votes::{CHOICES, GRADES, Vote, Votes};
use super::{SEED, Share};
use crate::feedback::record::UtcMillis;
use crate::stats::Interval;
use crate::stats::agreement::{agreement, alike};
use crate::stats::alpha::{Distance, Reliability};
use crate::stats::bootstrap::{RESAMPLES, ratio};
use crate::stats::kappa::{self, Weights};
use serde::Serialize;
use std::collections::BTreeMap;

/// Points of [`Consensus::trend`], at most.
const TREND_POINTS: usize = 12;
/// Items per point of the trend, at least.
const TREND_ITEMS: usize = 10;

/// Agreement of a group.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Consensus {
    /// Items of which at least two annotators judged the same two answers.
    pub items: usize,
    /// Pairs of answers with at least two first judgements.
    pub units: usize,
    /// Those of them that follow from rankings of three answers or more.
    pub ranked_units: usize,
    /// Share of pairs of annotators that chose the same of A, tie and B.
    pub raw: f64,
    /// Its interval, from a bootstrap over items; absent with one item.
    pub raw_interval: Option<Interval>,
    /// Krippendorff's α on A, tie and B.
    pub nominal: Option<Alpha>,
    /// Krippendorff's α on the grades −4..4, where items were graded.
    pub ordinal: Option<Alpha>,
    /// Every two annotators with common items, by name.
    pub pairs: Vec<Pair>,
    /// Agreement over time, the first items first, of judgements of which is known when they were
    /// made; empty with fewer than twenty pairs of answers that two of them are about.
    pub trend: Vec<Trend>,
    /// Pairs of answers that are not in the trend: it is not known when two annotators judged them.
    pub untimed_units: usize,
}

/// Krippendorff's α with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Alpha {
    /// Pairs of answers.
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
    /// Pairs of answers that both judged: as many, or more where they ranked.
    pub comparisons: usize,
    /// Share on which they chose the same.
    pub raw: f64,
    /// Cohen's κ on A, tie and B; absent if both always chose one and the same.
    pub kappa: Option<Kappa>,
    /// Cohen's κ with quadratic weights on the grades −4..4, where both graded.
    pub kappa_quadratic: Option<Kappa>,
}

/// Cohen's κ with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Kappa {
    /// 1 is perfect, 0 is what their habits alone would give.
    pub kappa: f64,
    /// From its standard error; absent where there are rankings, whose pairs are not independent.
    #[serde(flatten)]
    pub interval: Option<Interval>,
}

/// Agreement on a stretch of items.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Trend {
    /// When the last of them was judged for the last time.
    pub until: UtcMillis,
    /// Pairs of answers.
    pub units: usize,
    /// Raw agreement.
    pub raw: f64,
    /// Wilson's interval of that, a pair of answers counting as one observation.
    #[serde(flatten)]
    pub interval: Interval,
    /// Krippendorff's α on A, tie and B.
    pub alpha: Option<f64>,
}

/// A first judgement of two answers.
#[derive(Clone, Copy)]
struct Said<'a> {
    vote: &'a Vote<'a>,
    choice: usize,
}

/// The first judgements of two answers.
struct Unit<'a> {
    item: usize,
    by: Vec<Said<'a>>,
    /// When the last of the timed ones was made.
    last: i64,
}

impl Unit<'_> {
    fn choices(&self) -> Vec<usize> {
        self.by.iter().map(|said| said.choice).collect()
    }

    fn grades(&self) -> Vec<usize> {
        self.by.iter().filter_map(|said| said.vote.grade).collect()
    }

    /// A pair has its choice in the vote, a ranking has none there.
    fn is_ranked(&self) -> bool {
        self.by.iter().any(|said| said.vote.choice.is_none())
    }

    /// Only the judgements of which is known when they were made, if there are two.
    fn timed(mut self) -> Option<Self> {
        self.by.retain(|said| said.vote.has_time());
        let times = self.by.iter().map(|said| said.vote.record.ts.0);
        self.last = times.max()?;
        (self.by.len() > 1).then_some(self)
    }
}

impl Consensus {
    /// Agreement of `group`; `None` if no two answers have two first judgements.
    pub fn new(votes: &Votes, group: &[&Vote]) -> Option<Self> {
        let units = units(votes, group);
        let choices: Vec<Vec<usize>> = units.iter().map(Unit::choices).collect();
        let grades: Vec<Vec<usize>> = units.iter().map(Unit::grades).collect();
        let all = agreement(&slices(&choices), CHOICES)?;
        let items: Vec<usize> = units.iter().map(|unit| unit.item).collect();
        let ranked = units.iter().filter(|unit| unit.is_ranked()).count();
        let sums = alike_by_item(&items, &choices);
        let pairs = pairs(&units);
        let timed: Vec<Unit> = units.into_iter().filter_map(Unit::timed).collect();
        Some(Self {
            items: sums.len(),
            untimed_units: all.units - timed.len(),
            units: all.units,
            ranked_units: ranked,
            raw: all.raw,
            raw_interval: (sums.len() > 1).then(|| ratio(&sums, RESAMPLES, SEED)),
            nominal: alpha(&items, &choices, CHOICES, Distance::Nominal),
            ordinal: alpha(&items, &grades, GRADES, Distance::Ordinal),
            pairs,
            trend: trend(timed),
        })
    }
}

/// Every two answers with two first judgements, item by item.
fn units<'a>(votes: &Votes, group: &[&'a Vote<'a>]) -> Vec<Unit<'a>> {
    let mut by_unit: BTreeMap<usize, Unit> = BTreeMap::new();
    for &vote in group.iter().filter(|vote| vote.is_first()) {
        for duel in votes.duels(vote) {
            let unit = by_unit.entry(duel.unit).or_insert_with(|| Unit {
                item: vote.item,
                by: Vec::new(),
                last: 0,
            });
            let choice = duel.choice;
            unit.by.push(Said { vote, choice });
        }
    }
    by_unit.into_values().filter(|u| u.by.len() > 1).collect()
}

/// What each item brings to raw agreement.
fn alike_by_item(items: &[usize], choices: &[Vec<usize>]) -> Vec<(f64, f64)> {
    let mut sums: BTreeMap<usize, (f64, f64)> = BTreeMap::new();
    for (item, unit) in items.iter().zip(choices) {
        let (equal, values) = alike(unit, CHOICES);
        let sum = sums.entry(*item).or_default();
        *sum = (sum.0 + equal, sum.1 + values);
    }
    sums.into_values().collect()
}

fn slices(units: &[Vec<usize>]) -> Vec<&[usize]> {
    units.iter().map(Vec::as_slice).collect()
}

fn alpha(
    items: &[usize],
    units: &[Vec<usize>],
    categories: usize,
    distance: Distance,
) -> Option<Alpha> {
    let mut begin = 0;
    // The units of an item stand together.
    let clusters = items.chunk_by(|a, b| a == b).map(|same| {
        begin += same.len();
        units[begin - same.len()..begin].iter().map(Vec::as_slice)
    });
    let reliability = Reliability::clustered(clusters, categories, distance);
    Some(Alpha {
        units: reliability.units(),
        alpha: reliability.alpha()?,
        interval: reliability.interval(RESAMPLES, SEED),
    })
}

/// Choices, and grades where both graded, of two annotators on their common items.
#[derive(Default)]
struct Common<'a> {
    names: [&'a str; 2],
    items: usize,
    last: Option<usize>,
    ranked: bool,
    choices: Vec<(usize, usize)>,
    grades: Vec<(usize, usize)>,
}

fn pairs(units: &[Unit]) -> Vec<Pair> {
    let mut common: BTreeMap<[usize; 2], Common> = BTreeMap::new();
    for unit in units {
        for (at, one) in unit.by.iter().enumerate() {
            for other in &unit.by[at + 1..] {
                // Sorted, so that the same two always stand in the same order.
                let (a, b) = if one.vote.annotator < other.vote.annotator {
                    (one, other)
                } else {
                    (other, one)
                };
                let common = common
                    .entry([a.vote.annotator, b.vote.annotator])
                    .or_default();
                common.names = [a, b].map(|said| &*said.vote.record.annotator);
                // The units of an item stand together.
                common.items += usize::from(common.last != Some(unit.item));
                common.last = Some(unit.item);
                common.ranked |= [a, b].iter().any(|said| said.vote.choice.is_none());
                common.choices.push((a.choice, b.choice));
                common.grades.extend(a.vote.grade.zip(b.vote.grade));
            }
        }
    }
    common.into_values().map(Common::pair).collect()
}

impl Common<'_> {
    fn pair(self) -> Pair {
        let same = self.choices.iter().filter(|(a, b)| a == b).count();
        let kappa = |pairs: &[(usize, usize)], categories, weights| {
            let found = kappa::kappa(pairs, categories, weights)?;
            Some(Kappa {
                kappa: found.kappa,
                interval: (!self.ranked).then(|| found.interval()),
            })
        };
        Pair {
            annotators: self.names.map(str::to_owned),
            items: self.items,
            comparisons: self.choices.len(),
            raw: same as f64 / self.choices.len() as f64,
            kappa: kappa(&self.choices, CHOICES, Weights::Same),
            kappa_quadratic: kappa(&self.grades, GRADES, Weights::Quadratic),
        }
    }
}

fn trend(mut units: Vec<Unit>) -> Vec<Trend> {
    let points = (units.len() / TREND_ITEMS).min(TREND_POINTS);
    if points < 2 {
        return Vec::new();
    }
    units.sort_by_key(|unit| unit.last);
    let point = |at: usize| {
        let stretch = &units[at * units.len() / points..(at + 1) * units.len() / points];
        let choices: Vec<Vec<usize>> = stretch.iter().map(Unit::choices).collect();
        let agreement = agreement(&slices(&choices), CHOICES)?;
        let share = Share::new(agreement.raw * agreement.units as f64, agreement.units)?;
        Some(Trend {
            until: UtcMillis(stretch.last()?.last),
            units: agreement.units,
            raw: agreement.raw,
            interval: share.interval(),
            alpha: agreement.alpha,
        })
    };
    (0..points).filter_map(point).collect()
}
