//! What is said about a pair beside the judgement: comment, flags, aspects.

use std::collections::BTreeMap;

use super::pair::Pair;
use crate::feedback::record::Record;

/// Comment, flags and aspects of one judgement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remarks {
    /// The comment; empty if there is none.
    pub note: String,
    /// The flags that are set, in the order of the project's list.
    pub flags: Vec<String>,
    /// Aspect → −4..4, positive where A is better.
    pub aspects: BTreeMap<String, i8>,
}

impl Remarks {
    /// What a record says, as it stands on the screen.
    pub fn of(record: &Record, pair: &Pair) -> Self {
        Self {
            note: record.note.clone().unwrap_or_default(),
            flags: record.flags.clone(),
            aspects: recoded(&record.aspects, pair),
        }
    }

    /// The comment as it is recorded.
    pub fn recorded_note(&self) -> Option<String> {
        let note = self.note.trim();
        (!note.is_empty()).then(|| note.to_owned())
    }

    /// The aspects as they are recorded: positive where the first canonical candidate is better.
    pub fn recorded_aspects(&self, pair: &Pair) -> BTreeMap<String, i8> {
        recoded(&self.aspects, pair)
    }

    /// Sets or clears a flag; `known` gives the order.
    pub fn toggle(&mut self, flag: &str, known: &[String]) {
        if let Some(place) = self.flags.iter().position(|set| set == flag) {
            self.flags.remove(place);
            return;
        }
        self.flags.push(flag.to_owned());
        let place = |flag: &String| known.iter().position(|other| other == flag);
        self.flags
            .sort_by_key(|flag| place(flag).unwrap_or(usize::MAX));
    }
}

/// From sides to canonical order or back: the sign turns if A is not the first candidate.
fn recoded(aspects: &BTreeMap<String, i8>, pair: &Pair) -> BTreeMap<String, i8> {
    let sign = if pair.sides.first() == Some(&0) {
        1
    } else {
        -1
    };
    let turn = |(name, value): (&String, &i8)| (name.clone(), value * sign);
    aspects.iter().map(turn).collect()
}

/// The grade of an aspect under a digit: 1 is A much better (4), 5 alike (0), 9 B much better (−4).
pub fn aspect_grade(digit: usize) -> i8 {
    5 - digit.clamp(1, 9) as i8
}

/// A grade of an aspect in words.
pub fn aspect_words(grade: i8) -> String {
    let side = if grade > 0 { "A" } else { "B" };
    match grade.unsigned_abs() {
        0 => "alike".to_owned(),
        1 => format!("{side} barely better"),
        2 => format!("{side} slightly better"),
        3 => format!("{side} better"),
        _ => format!("{side} much better"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aspects_use_the_same_spatial_digits_as_pairs() {
        let words = |digit| aspect_words(aspect_grade(digit));
        assert_eq!(words(1), "A much better");
        assert_eq!(words(2), "A better");
        assert_eq!(words(5), "alike");
        assert_eq!(words(6), "B barely better");
        assert_eq!(words(9), "B much better");
    }

    #[test]
    fn flags_keep_the_order_of_the_project() {
        let known = ["unsafe", "off-topic", "broken"].map(String::from);
        let mut remarks = Remarks::default();
        for flag in ["broken", "unsafe", "off-topic", "broken"] {
            remarks.toggle(flag, &known);
        }
        assert_eq!(remarks.flags, ["unsafe", "off-topic"]);
    }
}
