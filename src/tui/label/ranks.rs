//! A ranking in the making: which answer stands on which rank.

use super::pair::letter;
use crate::feedback::item::MAX_CANDIDATES;
use crate::tui::keys::Step;

/// The rank of each answer by side; answers on one rank are tied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ranks {
    /// 1 is best; 0 is not ranked yet.
    ranks: [u8; MAX_CANDIDATES],
    answers: usize,
}

impl Ranks {
    /// No answer of `answers` is ranked.
    pub fn new(answers: usize) -> Self {
        Self {
            answers: answers.min(MAX_CANDIDATES),
            ..Self::default()
        }
    }

    /// The ranking with these groups of sides, best first.
    pub fn of_groups(answers: usize, groups: &[Vec<usize>]) -> Self {
        let mut ranks = Self::new(answers);
        ranks.write(groups);
        ranks
    }

    /// The rank of an answer, 1 best.
    pub fn rank(&self, side: usize) -> Option<u8> {
        let rank = self.ranks.get(side).copied()?;
        (rank > 0).then_some(rank)
    }

    /// Sends an answer to a rank; whoever stands there stays, and the two are tied.
    pub fn send(&mut self, side: usize, rank: usize) {
        if side < self.answers {
            self.ranks[side] = rank.clamp(1, self.answers) as u8;
        }
    }

    /// Groups of sides, best first; answers without a rank are left out.
    pub fn groups(&self) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for rank in 1..=self.answers as u8 {
            let group: Vec<usize> = (0..self.answers)
                .filter(|&side| self.ranks[side] == rank)
                .collect();
            if !group.is_empty() {
                groups.push(group);
            }
        }
        groups
    }

    /// The sides without a rank.
    pub fn unranked(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.answers).filter(|&side| self.ranks[side] == 0)
    }

    /// Moves an answer one rank down or up: out of its tie, or past the next group. False if it has
    /// no rank yet.
    pub fn shift(&mut self, side: usize, step: Step) -> bool {
        let mut groups = self.groups();
        let Some(at) = groups.iter().position(|group| group.contains(&side)) else {
            return false;
        };
        let down = step == Step::Down;
        if groups[at].len() > 1 {
            groups[at].retain(|&other| other != side);
            groups.insert(at + usize::from(down), vec![side]);
        } else if down && at + 1 < groups.len() {
            groups.swap(at, at + 1);
        } else if !down && at > 0 {
            groups.swap(at, at - 1);
        }
        self.write(&groups);
        true
    }

    /// Ties an answer and those it is tied with to the next group. False if it has no rank yet or
    /// is last.
    pub fn tie_with_next(&mut self, side: usize) -> bool {
        let mut groups = self.groups();
        let at = groups.iter().position(|group| group.contains(&side));
        let Some(at) = at.filter(|at| at + 1 < groups.len()) else {
            return false;
        };
        let next = groups.remove(at + 1);
        groups[at].extend(next);
        self.write(&groups);
        true
    }

    /// Ranks without gaps.
    fn write(&mut self, groups: &[Vec<usize>]) {
        for (rank, group) in groups.iter().enumerate() {
            for &side in group {
                self.send(side, rank + 1);
            }
        }
    }

    /// `B > A = C`, best first; answers without a rank are left out.
    pub fn describe(&self) -> String {
        let group = |group: &Vec<usize>| {
            let letters: Vec<String> = group.iter().map(|&side| letter(side).to_string()).collect();
            letters.join(" = ")
        };
        let groups: Vec<String> = self.groups().iter().map(group).collect();
        groups.join(" > ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_rank_and_tie() {
        let mut ranks = Ranks::new(4);
        ranks.send(0, 3);
        ranks.send(1, 1);
        assert_eq!(ranks.describe(), "B > A");
        assert_eq!(ranks.unranked().collect::<Vec<_>>(), [2, 3]);
        ranks.send(2, 3);
        ranks.send(3, 9);
        assert_eq!(ranks.describe(), "B > A = C > D");
        assert_eq!(ranks.groups(), [vec![1], vec![0, 2], vec![3]]);
        assert_eq!(ranks.rank(3), Some(4));
    }

    #[test]
    fn an_answer_moves_out_of_its_tie_first() {
        let mut ranks = Ranks::of_groups(4, &[vec![1], vec![0, 2], vec![3]]);
        let mut after = |side, step| {
            ranks.shift(side, step);
            ranks.describe()
        };
        assert_eq!(after(2, Step::Up), "B > C > A > D");
        assert_eq!(after(2, Step::Up), "C > B > A > D");
        assert_eq!(after(2, Step::Up), "C > B > A > D");
        assert_eq!(after(3, Step::Down), "C > B > A > D");
        assert_eq!(after(1, Step::Down), "C > A > B > D");
    }

    #[test]
    fn ties_join_whole_groups() {
        let mut ranks = Ranks::of_groups(4, &[vec![1], vec![0, 2], vec![3]]);
        assert!(ranks.tie_with_next(1));
        assert_eq!(ranks.describe(), "A = B = C > D");
        assert!(!ranks.tie_with_next(3));
        assert!(ranks.tie_with_next(0));
        assert_eq!(ranks.describe(), "A = B = C = D");
        assert!(!Ranks::new(3).tie_with_next(0));
    }
}
