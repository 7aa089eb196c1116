//! The simulated annotator: judges by a scoring function, with seeded noise.
//!
//! It writes the same records as a person and is always recognisable: its name starts with `sim:`
//! and `origin` is `sim`, and the store refuses one without the other.

use super::digest::Sha256;
use super::item::Item;
use super::queue::{Plan, Queue, side_order};
use super::record::{Display, Layout, Origin, Scale};
use super::store::StoreError;
use super::store::decision::{Decision, Shown, Verdict};
use super::store::session::Session;
use std::collections::BTreeMap;
use std::str::FromStr;

/// The annotator string is not one of ours.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is not a simulated annotator; write `sim:gold`, or `sim:gold:noise=0.25` to have a \
     quarter of the decisions turned round (0 to 1)"
)]
pub struct NotSimulated(String);

/// A simulated annotator, parsed from `sim:gold[:noise=P]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulated {
    /// The annotator string as given: the name in the records.
    pub name: String,
    /// Probability that a decision is turned round, 0..=1.
    pub noise: f64,
}

impl FromStr for Simulated {
    type Err = NotSimulated;

    fn from_str(text: &str) -> Result<Self, NotSimulated> {
        let wrong = || NotSimulated(text.to_owned());
        let rest = text.strip_prefix("sim:gold").ok_or_else(wrong)?;
        let noise = if rest.is_empty() {
            0.0
        } else {
            let digits = rest.strip_prefix(":noise=").ok_or_else(wrong)?;
            digits.parse().map_err(|_| wrong())?
        };
        if !(0.0..=1.0).contains(&noise) {
            return Err(wrong());
        }
        Ok(Self {
            name: text.to_owned(),
            noise,
        })
    }
}

impl Simulated {
    /// Judges one item: the candidate with the highest score wins, equal scores tie. More than two
    /// candidates are ranked. Noise turns a preference round, or swaps neighbouring groups of a
    /// ranking, with probability [`Simulated::noise`], drawn from (`seed`, item, name).
    pub fn decide(&self, item: &Item, seed: u64, score: impl Fn(&str, &str) -> f64) -> Decision {
        let prompt = item.prompt.text.plain();
        let mut scored: Vec<_> = item
            .candidates
            .iter()
            .map(|candidate| (score(&prompt, &candidate.text), candidate.id.clone()))
            .collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        let mut groups = vec![];
        for group in scored.chunk_by(|a, b| a.0 == b.0) {
            groups.push(group.iter().map(|(_, id)| id.clone()).collect::<Vec<_>>());
        }
        for index in 1..groups.len() {
            if self.is_noisy(item, seed, index) {
                groups.swap(index - 1, index);
            }
        }
        decision(item, groups)
    }

    fn is_noisy(&self, item: &Item, seed: u64, draw: usize) -> bool {
        let (seed, draw) = (seed.to_le_bytes(), (draw as u64).to_le_bytes());
        let parts = [&seed[..], item.id.as_bytes(), self.name.as_bytes(), &draw];
        // 53 bits make a uniform double in [0, 1).
        let uniform = (Sha256::of_parts(parts).seed() >> 11) as f64 / (1_u64 << 53) as f64;
        uniform < self.noise
    }

    /// Judges everything that `plan` leaves `session` to do and returns how many judgements it made.
    ///
    /// # Errors
    /// [`StoreError`] if a judgement cannot be saved; those before it are.
    pub fn annotate(
        &self,
        session: &mut Session,
        items: &[Item],
        plan: &Plan,
        score: impl Fn(&str, &str) -> f64,
    ) -> Result<usize, StoreError> {
        let mut queue = Queue::new(items, session.history(), plan);
        let tasks = queue.left();
        while let Some(task) = queue.current() {
            let mut item = items[task.index].clone();
            item.selector = task.choice.selector(&item, plan.seed);
            let (order_seed, order) = side_order(&item, &self.name, task.slot, plan.seed);
            let shown = Shown {
                item: &item,
                slot: task.slot,
                purpose: task.purpose,
                origin: Origin::Sim,
                display: Some(Display {
                    order,
                    order_seed,
                    blind: true,
                    size: None,
                    layout: Layout::None,
                    viewed: BTreeMap::new(),
                }),
                time: None,
            };
            session.judge(&shown, self.decide(&item, plan.seed, &score))?;
            queue.finish();
        }
        Ok(tasks)
    }
}

fn decision(item: &Item, groups: Vec<Vec<String>>) -> Decision {
    match (&groups[..], item.candidates.len()) {
        ([_], 2) => Decision::new(Verdict::Tie, Scale::Binary),
        ([best, _], 2) => {
            let winner = best.concat();
            Decision::new(
                Verdict::Prefer {
                    winner,
                    strength: None,
                },
                Scale::Binary,
            )
        }
        _ => Decision::new(Verdict::Ranking(groups), Scale::KWay),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feedback::item::{Candidate, Prompt, PromptText, Selector};
    use crate::feedback::record::Outcome;

    fn item(n: usize, answers: &[&str]) -> Item {
        let prompt = Prompt::new(None, PromptText::Text(format!("question {n}"))).unwrap();
        let candidates = answers
            .iter()
            .map(|a| Candidate::new((*a).into(), "p"))
            .collect();
        let selector = Selector {
            name: "all".into(),
            score: None,
            seed: 0,
        };
        Item::new("b", 0, prompt, candidates, selector).unwrap()
    }

    fn length(_prompt: &str, response: &str) -> f64 {
        response.len() as f64
    }

    #[test]
    fn the_name_carries_the_noise() {
        assert_eq!("sim:gold".parse::<Simulated>().unwrap().noise, 0.0);
        let noisy: Simulated = "sim:gold:noise=0.25".parse().unwrap();
        assert_eq!(
            (noisy.noise, noisy.name.as_str()),
            (0.25, "sim:gold:noise=0.25")
        );
        for bad in [
            "gold",
            "sim:",
            "sim:golden",
            "sim:gold:",
            "sim:gold:noise=2",
            "sim:gold:noise=",
        ] {
            assert!(bad.parse::<Simulated>().is_err(), "{bad}");
        }
        assert!("sim:gold:noise=NaN".parse::<Simulated>().is_err());
    }

    #[test]
    fn the_better_score_wins_and_equal_scores_tie() {
        let exact: Simulated = "sim:gold".parse().unwrap();
        let pair = item(0, &["short", "much longer"]);
        let winner = pair.candidates[1].id.clone();
        let expected = Verdict::Prefer {
            winner,
            strength: None,
        };
        assert_eq!(exact.decide(&pair, 1, length).verdict, expected);
        let tie = exact.decide(&item(0, &["abc", "xyz"]), 1, length);
        assert_eq!(tie.verdict.outcome(), Outcome::Tie);
    }

    #[test]
    fn more_than_two_are_ranked_in_groups_of_equals() {
        let exact: Simulated = "sim:gold".parse().unwrap();
        let three = item(0, &["aa", "bbbb", "cc"]);
        let id = |index: usize| three.candidates[index].id.clone();
        let expected = Verdict::Ranking(vec![vec![id(1)], vec![id(0), id(2)]]);
        assert_eq!(exact.decide(&three, 1, length).verdict, expected);
    }

    #[test]
    fn noise_turns_its_share_of_decisions_round_and_is_seeded() {
        let noisy: Simulated = "sim:gold:noise=0.25".parse().unwrap();
        let exact: Simulated = "sim:gold".parse().unwrap();
        let differs = |n: usize, seed| {
            let item = item(n, &["short", "much longer"]);
            let decision = noisy.decide(&item, seed, length);
            assert_eq!(decision, noisy.decide(&item, seed, length));
            decision != exact.decide(&item, seed, length)
        };
        let turned = (0..2000).filter(|&n| differs(n, 1)).count();
        // Four standard deviations of Binomial(2000, 1/4): 500 ± 78.
        assert!((422..=578).contains(&turned), "{turned}");
        assert!((0..50).any(|n| differs(n, 1) != differs(n, 2)));
    }
}
