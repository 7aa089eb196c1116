//! Judgements over time.

use super::votes::Vote;
use crate::feedback::record::UtcMillis;
use serde::Serialize;

/// Most points of a course, while a step of a year reaches that far.
const MOST_POINTS: i64 = 60;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The steps that a course can have, with their names.
const STEPS: [(i64, &str); 9] = [
    (MINUTE, "minute"),
    (10 * MINUTE, "10 minutes"),
    (HOUR, "hour"),
    (6 * HOUR, "6 hours"),
    (DAY, "day"),
    (7 * DAY, "week"),
    (28 * DAY, "4 weeks"),
    (364 * DAY, "52 weeks"),
    (3640 * DAY, "520 weeks"),
];

/// How many judgements were made when.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pace {
    /// One step of the course in words: the finest that needs no more than sixty points.
    pub step: &'static str,
    /// The same in milliseconds.
    pub step_ms: i64,
    /// First judgement.
    pub first: UtcMillis,
    /// Last judgement.
    pub last: UtcMillis,
    /// Judgements per step, steps without any among them; the first begins at
    /// [`Pace::start`].
    pub counts: Vec<usize>,
    /// Begin of the first step, in UTC.
    pub start: UtcMillis,
}

impl Pace {
    /// The course of `votes`; `None` without a judgement of a known time.
    pub fn new(votes: &[&Vote]) -> Option<Self> {
        let times = || {
            votes
                .iter()
                .filter(|v| v.is_judgement() && v.has_time())
                .map(|v| v.record.ts.0)
        };
        Self::of(times)
    }

    fn of<I: Iterator<Item = i64>>(times: impl Fn() -> I) -> Option<Self> {
        let (first, last) = (times().min()?, times().max()?);
        let points = |step: i64| last.div_euclid(step) - first.div_euclid(step) + 1;
        let fits = |(step, _): &&(i64, &str)| points(*step) <= MOST_POINTS;
        let &(step_ms, step) = STEPS.iter().find(fits).unwrap_or(&STEPS[STEPS.len() - 1]);
        let start = first.div_euclid(step_ms);
        let mut counts = vec![0; points(step_ms) as usize];
        times().for_each(|ts| counts[(ts.div_euclid(step_ms) - start) as usize] += 1);
        Some(Self {
            step,
            step_ms,
            first: UtcMillis(first),
            last: UtcMillis(last),
            counts,
            start: UtcMillis(start * step_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_step_grows_with_the_time() {
        let of = |times: &[i64]| Pace::of(|| times.iter().copied()).unwrap();
        let pace = of(&[5 * MINUTE + 1, 6 * MINUTE, 5 * MINUTE + 2, 8 * MINUTE]);
        assert_eq!((pace.step, pace.counts), ("minute", vec![2, 1, 0, 1]));
        assert_eq!(pace.start, UtcMillis(5 * MINUTE));
        let pace = of(&[10 * DAY + HOUR, 12 * DAY, 59 * DAY]);
        assert_eq!((pace.step, pace.counts.len()), ("day", 50));
        assert_eq!(pace.counts.iter().sum::<usize>(), 3);
        // The whole range of times that a record can have.
        let pace = of(&[-377_705_023_201_000, 253_402_207_200_999]);
        assert_eq!(pace.step, "520 weeks");
        assert!(pace.counts.len() < 2100);
        assert_eq!(Pace::of(std::iter::empty), None);
    }
}
