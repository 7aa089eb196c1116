//! What the labels of a project say about policies and about the annotators themselves.
//!
//! | file | what |
//! |---|---|
//! | [`votes`] | labels in canonical order, with what statistics need of each |
//! | [`tally`] | counts and habits of one annotator or of a group |
//! | [`outcome`] | which policy won: win rates of two, ratings of several |
//! | [`bias`] | what standing on the left, and length, are worth |
//! | [`consensus`] | how far annotators agree |
//! | [`quality`] | gold items, repeats and drift of one annotator |
//! | [`pace`] | judgements over time |
//! | [`aspects`] | judgements per aspect |
//! | [`dispute`] | the items on which annotators disagree most |
//! | [`page`] | all of it as one HTML file |
//!
//! People and simulated annotators (`sim:…`) are never counted together, wherever their judgements
//! come from; see [`RULE`]. What annotators do (sides, time,
//! agreement) is counted on their own first judgements; which policy wins is counted on what stands
//! in the end, so an adjudication replaces what it settles. Judgements of gold items and of repeats
//! check annotators and say nothing about policies.

pub mod aspects;
pub mod bias;
pub mod consensus;
pub mod dispute;
pub mod outcome;
pub mod pace;
pub mod page;
pub mod quality;
pub mod tally;
pub mod votes;

use self::aspects::Aspect;
use self::bias::Bias;
use self::consensus::Consensus;
use self::outcome::{Outcomes, PolicyPair};
use self::pace::Pace;
use self::quality::Quality;
use self::tally::Tally;
use self::votes::{Vote, Votes};
use super::item::SamplesError;
use super::known;
use super::labels::{Folders, Labels, LabelsError};
use crate::stats::Interval;
use crate::stats::power::labels_needed;
use crate::stats::wilson::wilson;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Seed of the bootstraps: the same labels always give the same report.
const SEED: u64 = 0x6c61_6265_6c73;

/// How people and programs are counted: every form of the report says it.
pub const RULE: &str = "People and programs (annotators called sim:…) are never counted together. Where \
                        people judged, theirs are the figures; those of programs stand apart, under \
                        their own heading.";

/// The right answers of gold items, by item id.
pub type Expected = HashMap<String, known::Expected>;

/// Everything `rlhf feedback stats` says.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// [`RULE`].
    pub rule: &'static str,
    /// Whose figures are the campaign's: `people` if any judged, else `simulated`; absent without
    /// judgements.
    pub figures_of: Option<&'static str>,
    /// Items in `samples/`.
    pub items: usize,
    /// All people together.
    pub people: Group,
    /// All simulated annotators together.
    pub simulated: Group,
    /// Each annotator.
    pub annotators: BTreeMap<String, Annotator>,
    /// How many decisive labels show a true win rate to differ from one half.
    pub power: Vec<Power>,
}

/// What a group of annotators amounts to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Group {
    /// Items that one of them judged.
    pub judged_items: usize,
    /// Counts and habits.
    #[serde(flatten)]
    pub tally: Tally,
    /// Every two policies that were compared, and ratings of all.
    #[serde(flatten)]
    pub outcomes: Outcomes,
    /// Sides and lengths.
    pub bias: Bias,
    /// Agreement; absent if no pair of answers was judged by two.
    pub agreement: Option<Consensus>,
    /// Judgements over time; absent without any of a known time.
    pub pace: Option<Pace>,
    /// Judgements of which is not known when they were made (imports from other tools): they are in
    /// no course over time and in no drift.
    pub untimed: usize,
    /// Judgements per aspect.
    pub aspects: Vec<Aspect>,
}

/// What one annotator did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Annotator {
    /// Counts and habits.
    #[serde(flatten)]
    pub tally: Tally,
    /// How far the judgements can be relied on.
    pub quality: Quality,
}

/// How many labels a win rate needs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Power {
    /// The true win rate.
    pub win_rate: f64,
    /// Decisive labels for a two-sided test at 5 % with 80 % power.
    pub labels: u64,
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

    /// Its interval.
    pub fn interval(&self) -> Interval {
        Interval {
            low: self.low,
            high: self.high,
        }
    }

    /// How many of `all` are true.
    pub fn of(all: impl Iterator<Item = bool>) -> Option<Self> {
        let (hits, n) = all.fold((0, 0), |(hits, n), hit| (hits + usize::from(hit), n + 1));
        Self::new(hits as f64, n)
    }
}

impl Report {
    /// Reads and counts the labels of a project, with the right answers in its `gold/`.
    ///
    /// # Errors
    /// [`LabelsError`], by file and line.
    pub fn read(folders: &Folders) -> Result<Self, LabelsError> {
        Self::of(&Labels::without_texts(folders)?, folders)
    }

    /// Counts the labels of a project that were read already.
    ///
    /// # Errors
    /// [`LabelsError`], by file and line of its `gold/`.
    pub fn of(labels: &Labels, folders: &Folders) -> Result<Self, LabelsError> {
        let known = known::read(&folders.gold()).map_err(SamplesError::Row)?;
        Ok(Self::new(labels, &known.expected))
    }

    /// Counts the labels of a project. `expected` holds the right answers of gold items.
    pub fn new(labels: &Labels, expected: &Expected) -> Self {
        let votes = Votes::new(labels);
        let group = |simulated: bool| {
            let mine = |vote: &&Vote| vote.record.is_simulated() == simulated;
            let all: Vec<&Vote> = votes.all.iter().filter(mine).collect();
            Group::new(&votes, &all)
        };
        let (people, simulated) = (group(false), group(true));
        let peers = quality::Peers::new(&votes);
        let annotators = votes.by_annotator().into_iter().map(|(name, own)| {
            let tally = Tally::new(&own);
            let quality = Quality::new(&own, &peers, expected);
            (name.to_owned(), Annotator { tally, quality })
        });
        let mut report = Self {
            rule: RULE,
            figures_of: None,
            items: labels.items.len(),
            annotators: annotators.collect(),
            people,
            simulated,
            power: Vec::new(),
        };
        let judged = |group: &Group| group.tally.judgements > 0;
        report.figures_of = match (judged(&report.people), judged(&report.simulated)) {
            (true, _) => Some("people"),
            (false, true) => Some("simulated"),
            (false, false) => None,
        };
        for win_rate in [0.55, 0.57, 0.60, 0.65] {
            report.ask(win_rate);
        }
        report
    }

    /// Adds how many decisive labels it takes to show a true win rate of `win_rate`, and how many more
    /// each two policies need. One half, or what is no share, has no answer and adds nothing.
    pub fn ask(&mut self, win_rate: f64) {
        let known = self.power.iter().any(|power| power.win_rate == win_rate);
        let Some(labels) = labels_needed(win_rate).filter(|_| !known) else {
            return;
        };
        self.power.push(Power { win_rate, labels });
        self.power.sort_by(|a, b| a.win_rate.total_cmp(&b.win_rate));
        for group in [&mut self.people, &mut self.simulated] {
            for pair in &mut group.outcomes.policies {
                pair.needs(&self.power);
            }
        }
    }

    /// The groups that said something, with a heading each.
    pub fn groups(&self) -> impl Iterator<Item = (&'static str, &Group)> {
        let groups = [("People", &self.people), ("Programs", &self.simulated)];
        groups
            .into_iter()
            .filter(|(_, group)| group.tally.judgements + group.tally.skipped > 0)
    }
}

impl Group {
    fn new(votes: &Votes, all: &[&Vote]) -> Self {
        let outcomes = Outcomes::new(votes, all);
        let judged = all.iter().filter(|vote| vote.is_judgement());
        Self {
            judged_items: judged.map(|vote| vote.item).collect::<HashSet<_>>().len(),
            tally: Tally::new(all),
            bias: Bias::new(votes, all),
            agreement: Consensus::new(votes, all),
            pace: Pace::new(all),
            untimed: all
                .iter()
                .filter(|vote| vote.is_judgement() && !vote.has_time())
                .count(),
            aspects: aspects::summarise(all),
            outcomes,
        }
    }

    /// Every two policies that were compared, by name.
    pub fn policies(&self) -> &[PolicyPair] {
        &self.outcomes.policies
    }
}
