//! What can be said about a pair: the grades of each scale, and the reasons for saying nothing.

use super::ranks::Ranks;
use crate::feedback::record::Scale;

/// One grade of a scale and the key that gives it. Digits are spatial: low is A, high is B.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grade {
    /// The digit.
    pub key: char,
    /// One word for it.
    pub word: &'static str,
    /// What it says.
    pub decision: Decision,
}

/// What a person decided about a pair as it stood on the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The answer on this side (0 = A, 1 = B) is better.
    Prefer {
        /// The side.
        side: usize,
        /// How much better, 1 least; `None` on the binary scale.
        strength: Option<u8>,
    },
    /// Equally good.
    Tie,
    /// Neither is acceptable.
    BothBad,
    /// This person cannot tell, and why.
    CannotJudge(&'static Reason),
    /// The pair is left out, and why.
    Skip(&'static Reason),
    /// The pair comes again at the end.
    Defer,
    /// The answers in order of merit.
    Rank(Ranks),
}

/// A reason for not judging.
#[derive(Debug, PartialEq, Eq)]
pub struct Reason {
    /// What stands in the record.
    pub id: &'static str,
    /// What stands on the screen.
    pub text: &'static str,
}

/// Why a pair cannot be judged, in the order of the digits.
pub const CANNOT_JUDGE_REASONS: &[Reason] = &[
    Reason {
        id: "need_expertise",
        text: "it needs expertise I do not have",
    },
    Reason {
        id: "wrong_language",
        text: "it is in a language I do not read well",
    },
    Reason {
        id: "broken",
        text: "an answer or the prompt is broken",
    },
    Reason {
        id: "unsafe",
        text: "it is unsafe, and which is better does not matter",
    },
];

/// Why a pair is skipped, in the order of the digits.
pub const SKIP_REASONS: &[Reason] = &[
    Reason {
        id: "unclear_prompt",
        text: "the prompt is unclear",
    },
    Reason {
        id: "too_long",
        text: "it would take too long",
    },
    Reason {
        id: "upsetting",
        text: "I do not want to read this",
    },
    Reason {
        id: "not_blind",
        text: "I know where an answer comes from",
    },
    Reason {
        id: "other",
        text: "another reason",
    },
];

const fn grade(key: char, word: &'static str, side: usize, strength: u8) -> Grade {
    Grade {
        key,
        word,
        decision: Decision::Prefer {
            side,
            strength: Some(strength),
        },
    }
}

const fn tie(key: char) -> Grade {
    Grade {
        key,
        word: "tie",
        decision: Decision::Tie,
    }
}

const NINE: &[Grade] = &[
    grade('1', "much", 0, 4),
    grade('2', "better", 0, 3),
    grade('3', "slightly", 0, 2),
    grade('4', "barely", 0, 1),
    tie('5'),
    grade('6', "barely", 1, 1),
    grade('7', "slightly", 1, 2),
    grade('8', "better", 1, 3),
    grade('9', "much", 1, 4),
];

const SEVEN: &[Grade] = &[
    grade('1', "much", 0, 3),
    grade('2', "better", 0, 2),
    grade('3', "slightly", 0, 1),
    tie('4'),
    grade('5', "slightly", 1, 1),
    grade('6', "better", 1, 2),
    grade('7', "much", 1, 3),
];

/// The tie keeps the key that it has in the middle of the keyboard's digits.
const BINARY: &[Grade] = &[
    Grade {
        key: '1',
        word: "better",
        decision: Decision::Prefer {
            side: 0,
            strength: None,
        },
    },
    tie('5'),
    Grade {
        key: '2',
        word: "better",
        decision: Decision::Prefer {
            side: 1,
            strength: None,
        },
    },
];

/// The grades of a scale from A to B. A ranking has none: it is not made of grades.
pub fn grades(scale: Scale) -> &'static [Grade] {
    match scale {
        Scale::Binary => BINARY,
        Scale::Seven => SEVEN,
        Scale::Nine => NINE,
        Scale::KWay => &[],
    }
}

impl Decision {
    /// The decision in a few words, such as `B slightly better`.
    pub fn describe(self, scale: Scale) -> String {
        match self {
            Self::Prefer { side, .. } => {
                let side_name = ["A", "B"][side.min(1)];
                let grade = grades(scale).iter().find(|grade| grade.decision == self);
                match grade.map_or("better", |grade| grade.word) {
                    "better" => format!("{side_name} better"),
                    word => format!("{side_name} {word} better"),
                }
            }
            Self::Tie => "tie".to_owned(),
            Self::BothBad => "both bad".to_owned(),
            Self::CannotJudge(reason) => format!("cannot judge: {}", reason.text),
            Self::Skip(reason) => format!("skipped: {}", reason.text),
            Self::Defer => "put at the end".to_owned(),
            Self::Rank(ranks) => ranks.describe(),
        }
    }
}

/// How often each decision was made, in words.
pub fn tally(decisions: impl Iterator<Item = Decision>) -> String {
    let mut counts = [0_usize; 7];
    for decision in decisions {
        counts[match decision {
            Decision::Prefer { .. } => 0,
            Decision::Rank(_) => 1,
            Decision::Tie => 2,
            Decision::BothBad => 3,
            Decision::CannotJudge(_) => 4,
            Decision::Skip(_) => 5,
            Decision::Defer => 6,
        }] += 1;
    }
    let judged: usize = counts[..5].iter().sum();
    let names = [
        "preferred",
        "ranked",
        "tied",
        "both bad",
        "cannot judge",
        "skipped",
        "put at the end",
    ];
    let parts = counts.iter().zip(names).filter(|(n, _)| **n > 0);
    let parts: Vec<String> = parts.map(|(n, name)| format!("{n} {name}")).collect();
    if parts.is_empty() {
        return "0 judged".to_owned();
    }
    format!("{judged} judged ({})", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scale_mirrors_around_its_tie() {
        for scale in [Scale::Binary, Scale::Seven, Scale::Nine] {
            let grades = grades(scale);
            let middle = grades.len() / 2;
            assert_eq!(grades[middle].decision, Decision::Tie);
            for (a, b) in grades.iter().zip(grades.iter().rev()).take(middle) {
                let Decision::Prefer { side: 0, strength } = a.decision else {
                    panic!("{a:?} must prefer A");
                };
                assert_eq!(b.decision, Decision::Prefer { side: 1, strength });
                assert_eq!(a.word, b.word);
            }
            let strongest = grades[0].decision;
            let strength = scale.max_strength();
            assert_eq!(strongest, Decision::Prefer { side: 0, strength });
        }
    }

    #[test]
    fn decisions_read_as_sentences() {
        let strength = Some(2);
        let b = Decision::Prefer { side: 1, strength };
        assert_eq!(b.describe(Scale::Nine), "B slightly better");
        assert_eq!(b.describe(Scale::Seven), "B better");
        let skip = Decision::Skip(&SKIP_REASONS[1]);
        assert_eq!(
            skip.describe(Scale::Nine),
            "skipped: it would take too long"
        );
        let decisions = [b, Decision::Tie, skip, b];
        assert_eq!(
            tally(decisions.into_iter()),
            "3 judged (2 preferred, 1 tied, 1 skipped)"
        );
        assert_eq!(tally([].into_iter()), "0 judged");
    }
}
