//! Which policy won: win rates of every two, ratings of all.

use super::votes::{Duel, Vote, Votes};
use super::{Power, SEED, Share};
use crate::feedback::record::Outcome;
use crate::stats::Interval;
use crate::stats::bootstrap::{RESAMPLES, ratio};
use crate::stats::power::labels_needed;
use crate::stats::rating::{Covariates, ELO, Estimate, RatingError, Ratings, rate};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What a group says about policies.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Outcomes {
    /// Every two policies that were compared, by name.
    pub policies: Vec<PolicyPair>,
    /// Ratings, where two policies or more were compared.
    pub ratings: Option<Table>,
    /// Why there are none although policies were compared.
    pub no_ratings: Option<String>,
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
    /// Interval of the same from a bootstrap over prompts; present if a prompt has several labels,
    /// which Wilson's interval takes for independent.
    pub by_prompt: Option<Interval>,
    /// The win rate with a tie as half a win.
    pub ties_as_half: Option<Share>,
    /// How often no answer was acceptable.
    pub both_bad_rate: Option<Share>,
    /// The win rate at equal lengths and on no side (σ of the rating difference in a regression with
    /// both): compare with `ties_as_half`.
    pub controlled: Option<Controlled>,
    /// Wins among decisive comparisons by how items were chosen, where that differed: only a random
    /// choice estimates the win rate over all prompts.
    pub by_selector: BTreeMap<String, Share>,
    /// Decisive labels that would show the present win rate to differ from one half, with 80 %
    /// power; absent at one half.
    pub labels_needed: Option<u64>,
    /// For each win rate in question, the decisive labels that are still to be made.
    pub more_labels: Vec<More>,
}

/// What is still to be judged before a win rate can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct More {
    /// The true win rate.
    pub win_rate: f64,
    /// Decisive labels that are missing; 0 if there are enough.
    pub labels: u64,
}

impl PolicyPair {
    /// Comparisons that one of the two won.
    pub fn decisive(&self) -> usize {
        self.wins + self.losses
    }

    /// What is missing to show the win rates of `power`.
    pub fn needs(&mut self, power: &[Power]) {
        let decisive = self.decisive() as u64;
        let more = |power: &Power| More {
            win_rate: power.win_rate,
            labels: power.labels.saturating_sub(decisive),
        };
        self.more_labels = power.iter().map(more).collect();
    }
}

/// A win rate from a regression.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Controlled {
    /// Comparisons in the regression, of all policies, ties among them.
    pub n: usize,
    /// In [0, 1].
    pub share: f64,
    /// Its interval; absent with fewer than two prompts.
    #[serde(flatten)]
    pub interval: Option<Interval>,
}

/// Ratings of several policies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    /// The policy whose rating is 0: that of the earliest round.
    pub anchor: String,
    /// Comparisons of different policies behind it, ties among them.
    pub comparisons: usize,
    /// Best first.
    pub rated: Vec<Rated>,
    /// Every two policies, the better one first.
    pub differences: Vec<Difference>,
    /// A policy always won or always lost: a weak prior keeps its rating finite.
    pub prior: bool,
}

/// The rating of a policy.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rated {
    /// Its name.
    pub policy: String,
    /// Comparisons with other policies.
    pub comparisons: usize,
    /// Points above the anchor: 400 / ln 10 · θ.
    pub elo: f64,
    /// 95 % interval of that; absent for the anchor.
    pub interval: Option<Interval>,
}

/// How two policies differ.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The better one.
    pub policy: String,
    /// The other.
    pub against: String,
    /// Points between them.
    pub elo: f64,
    /// 95 % interval of that.
    pub interval: Option<Interval>,
    /// Two-sided p-value of "they are equal".
    pub p: Option<f64>,
}

impl Outcomes {
    /// Counts `votes`.
    pub fn new(votes: &Votes, group: &[&Vote]) -> Self {
        let counted: Vec<&Vote> = group.iter().copied().filter(|v| v.is_outcome()).collect();
        let mut scores: BTreeMap<[usize; 2], Score> = BTreeMap::new();
        let mut duels = Vec::new();
        for vote in &counted {
            let selector = vote
                .record
                .selector
                .as_ref()
                .map_or("", |s| s.name.as_str());
            for &duel in votes.duels(vote) {
                if duel.policies[0] != duel.policies[1] {
                    let key = ordered(duel.policies);
                    scores.entry(key).or_default().add(&duel, selector);
                    duels.push(duel);
                }
            }
            if let Some(key) = refused(votes, vote) {
                scores.entry(key).or_default().both_bad += 1;
            }
        }
        let pair = |(key, score): (&[usize; 2], &Score)| score.pair(key.map(|i| votes.policies[i]));
        let mut outcomes = Self {
            policies: scores.iter().map(pair).collect(),
            ..Self::default()
        };
        outcomes.rate(votes, &counted, &duels);
        outcomes
    }

    fn rate(&mut self, votes: &Votes, counted: &[&Vote], duels: &[Duel]) {
        let Some(league) = League::new(votes, counted, duels) else {
            return;
        };
        match league.table(duels) {
            Ok(table) => self.ratings = Some(table),
            Err(reason) => self.no_ratings = Some(reason),
        }
        let Some(controlled) = league.controlled(duels) else {
            return;
        };
        for pair in &mut self.policies {
            // A policy that was only refused is in no league.
            let number = |name: &str| league.number(votes.policy(name)?);
            let (Some(i), Some(j)) = (number(&pair.policy), number(&pair.against)) else {
                continue;
            };
            let (share, interval) = controlled.win_rate(i, j);
            let n = duels.len();
            pair.controlled = Some(Controlled { n, share, interval });
        }
    }
}

fn ordered([a, b]: [usize; 2]) -> [usize; 2] {
    [a.min(b), a.max(b)]
}

/// The two policies of a pair of which neither answer was acceptable.
fn refused(votes: &Votes, vote: &Vote) -> Option<[usize; 2]> {
    match (vote.record.outcome, &vote.record.candidates[..]) {
        (Some(Outcome::BothBad), [a, b]) if a.policy != b.policy => Some(ordered([
            votes.policy(&a.policy)?,
            votes.policy(&b.policy)?,
        ])),
        _ => None,
    }
}

/// Wins, losses, ties and both-bads of a policy against another, the lesser name first.
#[derive(Default)]
struct Score<'a> {
    wins: usize,
    losses: usize,
    ties: usize,
    both_bad: usize,
    /// Wins and decisive comparisons by prompt.
    prompts: HashMap<usize, (f64, f64)>,
    selectors: BTreeMap<&'a str, (usize, usize)>,
}

impl<'a> Score<'a> {
    fn add(&mut self, duel: &Duel, selector: &'a str) {
        if duel.tie {
            self.ties += 1;
            return;
        }
        let won = duel.policies[0] < duel.policies[1];
        self.wins += usize::from(won);
        self.losses += usize::from(!won);
        let (wins, decisive) = self.prompts.entry(duel.prompt).or_default();
        *wins += f64::from(u8::from(won));
        *decisive += 1.0;
        let (wins, decisive) = self.selectors.entry(selector).or_default();
        *wins += usize::from(won);
        *decisive += 1;
    }

    fn pair(&self, [policy, against]: [&str; 2]) -> PolicyPair {
        let decisive = self.wins + self.losses;
        let judged = decisive + self.ties;
        let half = self.wins as f64 + self.ties as f64 / 2.0;
        PolicyPair {
            policy: policy.to_owned(),
            against: against.to_owned(),
            wins: self.wins,
            losses: self.losses,
            ties: self.ties,
            both_bad: self.both_bad,
            win_rate: Share::new(self.wins as f64, decisive),
            by_prompt: self.by_prompt(),
            ties_as_half: Share::new(half, judged),
            both_bad_rate: Share::new(self.both_bad as f64, judged + self.both_bad),
            controlled: None,
            by_selector: self.by_selector(),
            labels_needed: labels_needed(self.wins as f64 / decisive as f64),
            more_labels: Vec::new(),
        }
    }

    fn by_prompt(&self) -> Option<Interval> {
        // In the order of the prompts, so that the same labels give the same draws.
        let mut prompts: Vec<_> = self.prompts.iter().collect();
        prompts.sort_unstable_by_key(|(prompt, _)| **prompt);
        let prompts: Vec<(f64, f64)> = prompts.into_iter().map(|(_, sums)| *sums).collect();
        let several = prompts.iter().any(|(_, decisive)| *decisive > 1.0);
        (several && prompts.len() > 1).then(|| ratio(&prompts, RESAMPLES, SEED))
    }

    fn by_selector(&self) -> BTreeMap<String, Share> {
        if self.selectors.len() < 2 {
            return BTreeMap::new();
        }
        let each = self.selectors.iter();
        each.filter_map(|(name, &(wins, n))| {
            Some(((*name).to_owned(), Share::new(wins as f64, n)?))
        })
        .collect()
    }
}

/// The policies that met others, and the one whose rating is 0.
struct League<'a> {
    /// As in [`Votes::policies`], in order.
    policies: Vec<usize>,
    names: Vec<&'a str>,
    anchor: usize,
}

impl<'a> League<'a> {
    fn new(votes: &Votes<'a>, counted: &[&Vote], duels: &[Duel]) -> Option<Self> {
        let met: BTreeSet<usize> = duels.iter().flat_map(|duel| duel.policies).collect();
        let mut league = Self {
            names: met.iter().map(|&policy| votes.policies[policy]).collect(),
            policies: met.into_iter().collect(),
            anchor: 0,
        };
        league.anchor = league.earliest(votes, counted)?;
        Some(league)
    }

    /// The place of a policy in this league; `None` if it never met another.
    fn number(&self, policy: usize) -> Option<usize> {
        self.policies.binary_search(&policy).ok()
    }

    /// The policy with the most answers in the earliest round that has any of them.
    fn earliest(&self, votes: &Votes, counted: &[&Vote]) -> Option<usize> {
        let first = counted.iter().map(|vote| votes.item(vote).round).min()?;
        let mut answers = vec![0_usize; self.names.len()];
        for vote in counted
            .iter()
            .filter(|vote| votes.item(vote).round == first)
        {
            for candidate in &vote.record.candidates {
                if let Ok(policy) = self.names.binary_search(&candidate.policy.as_str()) {
                    answers[policy] += 1;
                }
            }
        }
        // With as many answers, the name that sorts first.
        (0..answers.len())
            .rev()
            .max_by_key(|&policy| answers[policy])
    }

    fn fit(&self, duels: &[Duel], covariates: Covariates) -> Result<Ratings, RatingError> {
        let comparisons: Vec<_> = duels
            .iter()
            .filter_map(|duel| duel.comparison(|policy| self.number(policy)))
            .collect();
        rate(&comparisons, self.names.len(), self.anchor, covariates)
    }

    /// Ratings with lengths and sides taken out, if they can be told apart from the policies.
    fn controlled(&self, duels: &[Duel]) -> Option<Ratings> {
        let covariates = covariates(duels);
        covariates
            .length
            .then(|| self.fit(duels, covariates).ok())?
    }

    fn table(&self, duels: &[Duel]) -> Result<Table, String> {
        let ratings = self
            .fit(duels, Covariates::default())
            .map_err(|error| match error {
                RatingError::Disconnected(a, b) => format!(
                    "{} and {} were never compared, directly or through others: judge pairs of both",
                    self.names[a], self.names[b]
                ),
                other @ RatingError::Logit(_) => other.to_string(),
            })?;
        let mut order: Vec<usize> = (0..self.names.len()).collect();
        order.sort_by(|&a, &b| ratings.theta(b).value.total_cmp(&ratings.theta(a).value));
        let mut met = vec![0; self.names.len()];
        let of_each = duels.iter().flat_map(|duel| duel.policies);
        for policy in of_each.filter_map(|policy| self.number(policy)) {
            met[policy] += 1;
        }
        let rated = order.iter().map(|&policy| Rated {
            policy: self.names[policy].to_owned(),
            comparisons: met[policy],
            elo: ratings.theta(policy).value * ELO,
            interval: (policy != self.anchor)
                .then(|| elo_interval(ratings.theta(policy)))
                .flatten(),
        });
        let pairs = order
            .iter()
            .enumerate()
            .flat_map(|(at, &i)| order[at + 1..].iter().map(move |&j| (i, j)));
        let difference = |(i, j): (usize, usize)| {
            let difference = ratings.difference(i, j);
            Difference {
                policy: self.names[i].to_owned(),
                against: self.names[j].to_owned(),
                elo: difference.value * ELO,
                interval: elo_interval(difference),
                p: difference.p,
            }
        };
        Ok(Table {
            anchor: self.names[self.anchor].to_owned(),
            comparisons: duels.len(),
            rated: rated.collect(),
            differences: pairs.map(difference).collect(),
            prior: ratings.prior(),
        })
    }
}

/// The covariates that vary at all.
pub fn covariates(duels: &[Duel]) -> Covariates {
    Covariates {
        side: duels.iter().any(|duel| duel.side != 0.0),
        length: duels.iter().any(|duel| duel.length != 0.0),
    }
}

fn elo_interval(estimate: Estimate) -> Option<Interval> {
    estimate.interval().map(|interval| Interval {
        low: interval.low * ELO,
        high: interval.high * ELO,
    })
}
