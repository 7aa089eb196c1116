//! Items with a known answer, for checks on annotators: `gold/*.jsonl` beside `samples/`.
//!
//! JSONL rows like those of a file of answers ([`super::answers`]) with one more key:
//! `{"prompt": …, "responses": [first, second, …], "expected": 1}`, where `expected` is the number of
//! the best response counted from 1, `"tie"` or `"both_bad"`.
//!
//! The text of `gold/NAME.jsonl` is copied to `samples/gold-NAME.jsonl`, where text lives. What is
//! expected stays here: neither samples nor records hold it, so that whoever trains on the records,
//! or reads them, does not learn it, and a wrong expectation can be corrected afterwards. A machine from
//! which `gold/` is withheld asks what `samples/gold-*.jsonl` hold; who has `gold/` counts the answers.

use super::answers::{self, AnswerRow};
use super::item::{Item, MAX_ROW_BYTES, SamplesError, batch_name, read_batch};
use super::lines::{Lines, Row, RowError, jsonl_files};
use super::record::Outcome;
use serde::Deserialize;
use std::collections::HashMap;
use std::path::Path;

/// What the names of batches of items with a known answer begin with. Such items are never labelled
/// for training, whether the answer is known on this machine or not.
pub const GOLD_PREFIX: &str = "gold-";

/// What a row looks like.
const EXAMPLE: &str = r#"{"prompt": "2 + 2 =", "responses": ["4", "5"], "expected": 1}, where `expected` is the number of the best response, "tie" or "both_bad""#;

/// The right answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// The candidate with this id is the best.
    Best(String),
    /// All are equally good.
    Tie,
    /// None is acceptable.
    BothBad,
}

impl Expected {
    /// Whether a judgement with this outcome and winner is right.
    pub fn is_met(&self, outcome: Outcome, winner: Option<&str>) -> bool {
        match self {
            Self::Best(id) => outcome == Outcome::Prefer && winner == Some(id),
            Self::Tie => outcome == Outcome::Tie,
            Self::BothBad => outcome == Outcome::BothBad,
        }
    }
}

/// The checks of a project.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Known {
    /// The items, by file name and then in file order.
    pub items: Vec<Item>,
    /// By item id, what is expected.
    pub expected: HashMap<String, Expected>,
}

#[derive(Deserialize)]
struct KnownRow {
    #[serde(flatten)]
    row: AnswerRow,
    expected: Stated,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Stated {
    Number(usize),
    Word(String),
}

/// Reads every `gold/*.jsonl`; a missing folder has none.
///
/// # Errors
/// [`RowError`] naming file and line: what [`answers::read`] refuses, answers that are one and the
/// same, an expectation that names no response.
pub fn read(gold: &Path) -> Result<Known, RowError> {
    let mut known = Known::default();
    for path in jsonl_files(gold)? {
        let batch = format!("{GOLD_PREFIX}{}", batch_name(&path));
        let mut lines = Lines::open(&path, MAX_ROW_BYTES)?;
        while let Some(row) = lines.next_row()? {
            let (item, expected) = parse(&row, &batch)?;
            if known.expected.insert(item.id.clone(), expected).is_some() {
                return Err(row.error("the same prompt and responses are on an earlier line"));
            }
            known.items.push(item);
        }
    }
    Ok(known)
}

/// The same, and the text copied to `samples/`, from which it can be judged. Without a folder `gold/`
/// the items are those of `samples/`, and nothing is known of what is expected.
///
/// # Errors
/// As [`read`], and if `samples/` cannot be read or written.
pub fn prepare(gold: &Path, samples: &Path) -> Result<Known, SamplesError> {
    if !gold.exists() {
        return withheld(samples);
    }
    let known = read(gold)?;
    for batch in known.items.chunk_by(|a, b| a.batch == b.batch) {
        answers::add_new(samples, &batch[0].batch, batch)?;
    }
    Ok(known)
}

fn withheld(samples: &Path) -> Result<Known, SamplesError> {
    let mut known = Known::default();
    for path in jsonl_files(samples)? {
        let name = path.file_name().unwrap_or_default();
        if name.to_string_lossy().starts_with(GOLD_PREFIX) {
            known.items.extend(read_batch(&path)?);
        }
    }
    Ok(known)
}

/// The error with what a row looks like.
fn with_example(error: RowError) -> RowError {
    match error {
        RowError::Bad { path, line, reason } => RowError::Bad {
            path,
            line,
            reason: format!("{reason}; expected a row such as {EXAMPLE}"),
        },
        error @ RowError::Io { .. } => error,
    }
}

fn parse(row: &Row, batch: &str) -> Result<(Item, Expected), RowError> {
    let KnownRow {
        row: given,
        expected,
    } = row.parse().map_err(with_example)?;
    let responses = given.responses.len();
    let (item, duplicates) = answers::item(row, given, batch)?;
    let item = item.filter(|_| duplicates == 0);
    let item = item.ok_or_else(|| row.error("two responses are one and the same"))?;
    let best = |number: usize| {
        let place = number.checked_sub(1)?;
        item.candidates.get(place).map(|c| c.id.clone())
    };
    let stated = match expected {
        Stated::Number(number) => best(number).map(Expected::Best),
        Stated::Word(word) if word == "tie" => Some(Expected::Tie),
        Stated::Word(word) if word == "both_bad" => Some(Expected::BothBad),
        Stated::Word(_) => None,
    };
    let wrong =
        format!("`expected` must be 1 to {responses} (the best response), \"tie\" or \"both_bad\"");
    let stated = stated.ok_or_else(|| row.error(wrong))?;
    Ok((item, stated))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Known, RowError> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("care.jsonl"), text).unwrap();
        read(dir.path())
    }

    #[test]
    fn expectations_stay_out_of_the_samples() {
        let dir = tempfile::tempdir().unwrap();
        let (gold, samples) = (dir.path().join("gold"), dir.path().join("samples"));
        std::fs::create_dir(&gold).unwrap();
        let rows = concat!(
            "{\"prompt\":\"2+2?\",\"responses\":[\"5\",\"4\"],\"expected\":2}\n",
            "{\"prompt\":\"Hi\",\"responses\":[\"Hello.\",\"Hello!\"],\"expected\":\"tie\"}\n",
        );
        std::fs::write(gold.join("care.jsonl"), rows).unwrap();
        let known = prepare(&gold, &samples).unwrap();
        assert_eq!(known, prepare(&gold, &samples).unwrap());
        let four = known.items[0].candidates[1].clone();
        assert_eq!(
            (four.text.as_str(), known.items[0].batch.as_str()),
            ("4", "gold-care")
        );
        let first = &known.expected[&known.items[0].id];
        assert!(first.is_met(Outcome::Prefer, Some(&four.id)));
        assert!(!first.is_met(Outcome::Tie, None));
        assert_eq!(known.expected[&known.items[1].id], Expected::Tie);
        let text = std::fs::read_to_string(samples.join("gold-care.jsonl")).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(!text.contains("expected"), "{text}");
    }

    #[test]
    fn bad_rows_say_where_and_why() {
        let error = |text: &str| read_text(text).unwrap_err().to_string();
        let row = |expected: &str| {
            format!("{{\"prompt\":\"p\",\"responses\":[\"a\",\"b\"],\"expected\":{expected}}}")
        };
        for wrong in ["0", "3", "\"A\""] {
            let error = error(&row(wrong));
            assert!(
                error.contains("care.jsonl:1: `expected` must be 1 to 2"),
                "{error}"
            );
        }
        let same = "{\"prompt\":\"p\",\"responses\":[\"a\",\"a \"],\"expected\":1}";
        assert!(error(same).ends_with("two responses are one and the same"));
        let twice = format!("{}\n{}", row("1"), row("2"));
        assert!(error(&twice).contains("care.jsonl:2: the same prompt and responses"));
        let lacking = error("{\"prompt\":\"p\",\"responses\":[\"a\",\"b\"]}");
        for part in [
            "missing field `expected`",
            "; expected a row such as {\"prompt\": \"2 + 2 =\", ",
        ] {
            assert!(lacking.contains(part), "{lacking}");
        }
    }
}
