//! Which items are whose, without coordination.
//!
//! Every (item, annotator) has a weight, a hash of batch seed, item and annotator; the k annotators
//! with the greatest weights get the item (rendezvous hashing: Thaler and Ravishankar 1998). Everybody
//! computes the same division from the same files, and a change of the roster moves only the items
//! that it must move.
//!
//! Rules, in this order:
//! 1. A judgement counts, whoever made it: an item with k judgements is nobody's. So someone who joins
//!    takes over nothing that is judged, and work done by someone who left is not done again.
//! 2. A skip gives the item back, and it goes to the next in line.
//! 3. So do the items of the absent: those who have recorded nothing for `reassign_after`, counted
//!    from their last record, or from the first record of anybody in the batch if that is later.
//!
//! Two people can answer the same item at the same time when rule 3 moved it to one while the other
//! came back. It then has one judgement too many; nothing is lost.

use super::order::{key, mix};
use crate::feedback::item::Item;
use crate::feedback::record::SIM_PREFIX;
use std::collections::{HashMap, HashSet};

/// Who shares the work, and how.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Roster {
    /// The annotators; none at all means that everybody judges everything.
    pub annotators: Vec<String>,
    /// How many annotators judge each item (k), at least 1.
    pub overlap: usize,
    /// After how many milliseconds of silence items go to others; `None`: never.
    pub reassign_after_ms: Option<u64>,
}

/// Somebody who is not on the roster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{annotator:?} is not on the roster of this project ({roster}); add the name to `annotators` in \
     [label] of rlhf.toml, or judge as one of them with --annotator NAME"
)]
pub struct NotOnRoster {
    annotator: String,
    roster: String,
}

/// What one annotator has done, as far as dividing the work needs it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Progress {
    /// Who.
    pub annotator: String,
    /// By item: whether it was judged or skipped, and when.
    pub answers: HashMap<String, Answer>,
    /// Time of the last record of any kind, in milliseconds since 1970.
    pub last_ms: Option<u64>,
}

/// What an annotator did with an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// True for a judgement, false for a skip.
    pub judged: bool,
    /// When, in milliseconds since 1970.
    pub ms: u64,
}

impl Roster {
    /// Whether the annotator may judge here. Simulated annotators always may: the roster divides the
    /// time of people.
    ///
    /// # Errors
    /// [`NotOnRoster`].
    pub fn admit(&self, annotator: &str) -> Result<(), NotOnRoster> {
        let listed = self.annotators.iter().any(|name| name == annotator);
        if self.annotators.is_empty() || listed || annotator.starts_with(SIM_PREFIX) {
            return Ok(());
        }
        Err(NotOnRoster {
            annotator: annotator.to_owned(),
            roster: self.annotators.join(", "),
        })
    }

    /// Whether there is anything to divide for this annotator.
    pub fn divides(&self, annotator: &str) -> bool {
        self.overlap < self.annotators.len() && self.annotators.iter().any(|a| a == annotator)
    }

    /// Ids of the items that `annotator` has yet to judge; `progress` tells of everybody, and may
    /// tell of people who are not on the roster. Simulated annotators count if they are on it.
    pub fn duty(
        &self,
        items: &[Item],
        annotator: &str,
        progress: &[Progress],
        seed: u64,
        now_ms: u64,
    ) -> HashSet<String> {
        let counts = |p: &&Progress| {
            !p.annotator.starts_with(SIM_PREFIX) || self.annotators.contains(&p.annotator)
        };
        let done: Vec<&Progress> = progress.iter().filter(counts).collect();
        let answers = answers(items, &done);
        let starts = starts(items, &answers);
        let members = self.members(annotator, &done, seed);
        let mine = |(index, item): (usize, &Item)| {
            let answers = &answers[index];
            let judged = answers.iter().filter(|(_, answer)| answer.judged).count();
            let start = starts.get(item.batch.as_str()).copied();
            let free = |member: &Member| {
                let answered = answers.iter().any(|(who, _)| Some(*who) == member.place);
                !answered && !self.is_silent(member, start, now_ms)
            };
            let open = self.overlap.saturating_sub(judged);
            let mine = top(&members, key(seed, "", &item.id), open, free);
            mine.then(|| item.id.clone())
        };
        items.iter().enumerate().filter_map(mine).collect()
    }

    fn members(&self, me: &str, done: &[&Progress], seed: u64) -> Vec<Member> {
        let member = |name: &String| {
            let place = done.iter().position(|p| p.annotator == *name);
            Member {
                is_me: name == me,
                key: key(seed, "roster", name),
                place,
                last_ms: place.and_then(|place| done[place].last_ms).unwrap_or(0),
            }
        };
        self.annotators.iter().map(member).collect()
    }

    fn is_silent(&self, member: &Member, start: Option<u64>, now_ms: u64) -> bool {
        let (Some(limit), Some(start)) = (self.reassign_after_ms, start) else {
            return false;
        };
        !member.is_me && now_ms.saturating_sub(member.last_ms.max(start)) > limit
    }
}

struct Member {
    is_me: bool,
    key: u64,
    /// Index of their progress, if there is any.
    place: Option<usize>,
    last_ms: u64,
}

/// Whether I am among the `open` free members with the greatest weights.
fn top(members: &[Member], item: u64, open: usize, free: impl Fn(&Member) -> bool) -> bool {
    let weight = |member: &Member| mix(item ^ member.key);
    let me = members.iter().find(|member| member.is_me);
    let Some(me) = me.filter(|me| open > 0 && free(me)) else {
        return false;
    };
    let mine = weight(me);
    let before = members.iter().filter(|m| weight(m) > mine && free(m));
    before.take(open).count() < open
}

/// For each item, who answered it (an index into `done`) and how.
fn answers(items: &[Item], done: &[&Progress]) -> Vec<Vec<(usize, Answer)>> {
    let places = items
        .iter()
        .enumerate()
        .map(|(at, item)| (item.id.as_str(), at));
    let places: HashMap<&str, usize> = places.collect();
    let mut answers = vec![Vec::new(); items.len()];
    for (who, progress) in done.iter().enumerate() {
        for (item, answer) in &progress.answers {
            if let Some(&at) = places.get(item.as_str()) {
                answers[at].push((who, *answer));
            }
        }
    }
    answers
}

/// When work on each batch began: its first answer by anybody.
fn starts<'a>(items: &'a [Item], answers: &[Vec<(usize, Answer)>]) -> HashMap<&'a str, u64> {
    let mut starts = HashMap::new();
    for (item, answers) in items.iter().zip(answers) {
        if let Some(first) = answers.iter().map(|(_, answer)| answer.ms).min() {
            let start = starts.entry(item.batch.as_str()).or_insert(first);
            *start = first.min(*start);
        }
    }
    starts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feedback::queue::tests::item;
    use std::slice;

    const HOUR: u64 = 3_600_000;

    fn roster(names: &[&str], overlap: usize) -> Roster {
        Roster {
            annotators: names.iter().map(|&name| name.to_owned()).collect(),
            overlap,
            reassign_after_ms: Some(72 * HOUR),
        }
    }

    fn progress(annotator: &str, answers: &[(&Item, bool, u64)]) -> Progress {
        let answer =
            |&(item, judged, ms): &(&Item, bool, u64)| (item.id.clone(), Answer { judged, ms });
        Progress {
            annotator: annotator.to_owned(),
            answers: answers.iter().map(answer).collect(),
            last_ms: answers.iter().map(|(_, _, ms)| *ms).max(),
        }
    }

    fn holders(roster: &Roster, items: &[Item], done: &[Progress], now: u64) -> Vec<Vec<String>> {
        let duty = |name: &String| roster.duty(items, name, done, 7, now);
        let duties: Vec<_> = roster.annotators.iter().map(duty).collect();
        let of = |item: &Item| {
            let names = roster.annotators.iter().zip(&duties);
            let holds = names.filter(|(_, duty)| duty.contains(&item.id));
            holds.map(|(name, _)| name.clone()).collect()
        };
        items.iter().map(of).collect()
    }

    #[test]
    fn each_item_has_its_k_annotators_and_everybody_a_fair_share() {
        let items: Vec<Item> = (0..1000).map(item).collect();
        let roster = roster(&["ann", "bob", "cem", "dee", "eva"], 2);
        let holders = holders(&roster, &items, &[], 0);
        assert!(holders.iter().all(|names| names.len() == 2));
        for name in &roster.annotators {
            let share = holders.iter().filter(|names| names.contains(name)).count();
            // Four standard deviations of Binomial(1000, 2/5): 400 ± 62.
            assert!((338..=462).contains(&share), "{name}: {share}");
        }
    }

    #[test]
    fn someone_who_joins_takes_only_what_falls_to_them_and_nothing_judged() {
        let items: Vec<Item> = (0..300).map(item).collect();
        let before = roster(&["ann", "bob", "cem"], 1);
        let old = holders(&before, &items, &[], 0);
        let by_ann: Vec<_> = items
            .iter()
            .zip(&old)
            .filter(|(_, h)| h[0] == "ann")
            .collect();
        let judged: Vec<_> = by_ann.iter().map(|(item, _)| (*item, true, 5)).collect();
        let after = roster(&["ann", "bob", "cem", "dee"], 1);
        let new = holders(&after, &items, &[progress("ann", &judged)], 5);
        for ((item, old), new) in items.iter().zip(&old).zip(&new) {
            if judged.iter().any(|(judged, ..)| judged.id == item.id) {
                assert!(new.is_empty(), "{new:?}");
            } else {
                assert!(new == old || new == &["dee"], "{old:?} -> {new:?}");
            }
        }
        let moved = new.iter().filter(|names| names.contains(&"dee".into()));
        // A quarter of the 200 or so that nobody had judged; four standard deviations: 50 ± 25.
        assert!((25..=75).contains(&moved.count()));
    }

    #[test]
    fn a_skipped_item_goes_to_the_next_in_line_and_a_judged_one_to_nobody() {
        let items: Vec<Item> = (0..40).map(item).collect();
        let roster = roster(&["ann", "bob", "cem"], 1);
        let old = holders(&roster, &items, &[], 0);
        let at = old.iter().position(|names| names == &["bob"]).unwrap();
        let skipped = progress("bob", &[(&items[at], false, 1)]);
        let new = holders(&roster, &items, slice::from_ref(&skipped), 2);
        assert!(new[at] == ["ann"] || new[at] == ["cem"], "{:?}", new[at]);
        let by_guest = progress("zoe", &[(&items[at], true, 2)]);
        let by_program = progress("sim:gold", &[(&items[at], true, 2)]);
        let with = |other| holders(&roster, &items, &[skipped.clone(), other], 2)[at].clone();
        assert_eq!(with(by_guest), Vec::<String>::new());
        assert_eq!(with(by_program), new[at]);
    }

    #[test]
    fn what_the_absent_did_not_take_goes_to_others_after_a_while() {
        let items: Vec<Item> = (0..60).map(item).collect();
        let roster = roster(&["ann", "bob"], 1);
        let old = holders(&roster, &items, &[], 900 * HOUR);
        assert!(old.iter().any(|names| names == &["bob"]), "nobody began");
        let at = old.iter().position(|names| names == &["ann"]).unwrap();
        let begun = progress("ann", &[(&items[at], true, 100 * HOUR)]);
        let count = |done: &[Progress], now: u64| {
            let duty = roster.duty(&items, "ann", done, 7, now * HOUR);
            duty.len()
        };
        let mine = old.iter().filter(|names| names == &&["ann"]).count() - 1;
        assert_eq!(count(slice::from_ref(&begun), 172), mine);
        assert_eq!(count(slice::from_ref(&begun), 173), 59);
        let back = progress("bob", &[(&items[at], false, 150 * HOUR)]);
        assert_eq!(count(&[begun, back], 173), mine);
    }

    #[test]
    fn a_stranger_is_told_what_to_do() {
        let roster = roster(&["ann", "bob"], 1);
        assert_eq!(
            roster.admit("zoe").unwrap_err().to_string(),
            "\"zoe\" is not on the roster of this project (ann, bob); add the name to `annotators` \
             in [label] of rlhf.toml, or judge as one of them with --annotator NAME"
        );
        assert!(roster.admit("bob").is_ok() && roster.admit("sim:gold").is_ok());
        assert!(Roster::default().admit("zoe").is_ok());
    }
}
