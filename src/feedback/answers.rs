//! A file of answers from anywhere, turned into items: the shortest way to compare two models.
//!
//! JSONL rows `{"prompt": string | messages, "responses": [string, …], "models"?: [string, …],
//! "id"?: string}`; other keys are ignored.

use super::item::{BatchFile, Candidate, Item, Prompt, SamplesError, Selector};
use super::lines::{Row, RowError};
use super::prompts::TextOrMessages;
use super::queue::drop_duplicates;
use super::rows::Rows;
use serde::Deserialize;
use std::collections::HashSet;
use std::path::Path;

/// What a row looks like.
pub const EXAMPLE: &str = r#"{"prompt": "2 + 2 =", "responses": ["4", "5"]}"#;

/// One row of a file of answers.
#[derive(Deserialize)]
pub(super) struct AnswerRow {
    id: Option<String>,
    prompt: TextOrMessages,
    /// The answers.
    pub(super) responses: Vec<String>,
    models: Option<Vec<String>>,
}

/// What a file of answers became.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// One item per row, in file order.
    pub items: Vec<Item>,
    /// Answers dropped because they equal another of their row but for white space.
    pub duplicates: usize,
    /// Rows left out because fewer than two answers remained.
    pub too_few: usize,
}

/// Reads a file of answers as the batch `batch`.
///
/// # Errors
/// [`RowError`] naming file and line: malformed rows, an empty prompt, more than nine answers, a
/// number of models that is not the number of responses, two rows that are the same item.
pub fn read(path: &Path, batch: &str) -> Result<Answers, RowError> {
    let mut lines = Rows::open(path)?;
    let mut answers = Answers {
        items: Vec::new(),
        duplicates: 0,
        too_few: 0,
    };
    let mut seen = HashSet::new();
    while let Some(row) = lines.next_row()? {
        let (item, duplicates) = item(&row, row.parse()?, batch)?;
        answers.duplicates += duplicates;
        let Some(item) = item else {
            answers.too_few += 1;
            continue;
        };
        if !seen.insert(item.id.clone()) {
            return Err(row.error("the same prompt and responses are on an earlier line"));
        }
        answers.items.push(item);
    }
    Ok(answers)
}

/// The item of a row, unless fewer than two different answers are left, and how many were dropped.
pub(super) fn item(
    row: &Row,
    given: AnswerRow,
    batch: &str,
) -> Result<(Option<Item>, usize), RowError> {
    let (prompt, candidates) = parse(row, given, batch)?;
    let (candidates, duplicates) = drop_duplicates(candidates);
    if candidates.len() < 2 {
        return Ok((None, duplicates));
    }
    let selector = Selector {
        name: "all".into(),
        score: None,
        seed: 0,
    };
    let item = Item::new(batch, 0, prompt, candidates, selector).map_err(|e| row.error(e))?;
    Ok((Some(item), duplicates))
}

fn parse(row: &Row, given: AnswerRow, batch: &str) -> Result<(Prompt, Vec<Candidate>), RowError> {
    let AnswerRow {
        id,
        prompt,
        responses,
        models,
    } = given;
    let prompt = Prompt::new(id, prompt.into()).map_err(|error| row.error(error))?;
    let models = models.unwrap_or_else(|| vec![batch.to_owned(); responses.len()]);
    if models.len() != responses.len() {
        let (models, responses) = (models.len(), responses.len());
        return Err(row.error(format!("{models} models for {responses} responses")));
    }
    let candidates = responses.into_iter().zip(models);
    Ok((
        prompt,
        candidates
            .map(|(text, model)| Candidate::new(text, model))
            .collect(),
    ))
}

/// Adds the items that `samples/<batch>.jsonl` does not have yet; returns how many those were. Without
/// items no file is made.
///
/// # Errors
/// [`SamplesError`] if the file cannot be read or written.
pub fn add_new(samples: &Path, batch: &str, items: &[Item]) -> Result<usize, SamplesError> {
    if items.is_empty() {
        return Ok(0);
    }
    let mut file = BatchFile::open(samples, batch)?;
    let known: HashSet<String> = file.read()?.into_iter().map(|item| item.id).collect();
    let is_new = |item: &&Item| !known.contains(&item.id);
    let new: Vec<Item> = items.iter().filter(is_new).cloned().collect();
    if !new.is_empty() {
        file.append(&new)?;
    }
    Ok(new.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Answers, RowError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mine.jsonl");
        std::fs::write(&path, text).unwrap();
        read(&path, "mine")
    }

    #[test]
    fn rows_become_items_and_duplicates_are_counted() {
        let answers = read_text(concat!(
            "{\"prompt\":\"Hi\",\"responses\":[\"a\",\"b\"],\"models\":[\"x\",\"y\"]}\n",
            "{\"id\":\"q2\",\"prompt\":\"Ho\",\"responses\":[\"a\",\" a\",\"c\"]}\n",
            "{\"prompt\":\"He\",\"responses\":[\"a\",\"a\"]}\n",
        ))
        .unwrap();
        assert_eq!(
            (answers.items.len(), answers.duplicates, answers.too_few),
            (2, 2, 1)
        );
        let policies = |i: usize| {
            answers.items[i]
                .candidates
                .iter()
                .map(|c| c.policy.as_str())
        };
        assert_eq!(policies(0).collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(policies(1).collect::<Vec<_>>(), ["mine", "mine"]);
        assert_eq!(answers.items[1].prompt.id, "q2");
    }

    #[test]
    fn bad_rows_say_where_and_why() {
        let error = |text: &str| read_text(text).unwrap_err().to_string();
        let mismatch = "{\"prompt\":\"p\",\"responses\":[\"a\",\"b\"],\"models\":[\"x\"]}";
        assert!(error(mismatch).ends_with("mine.jsonl:1: 1 models for 2 responses"));
        assert!(error("{\"prompt\":\"p\"}").contains("mine.jsonl:1: missing field `responses`"));
        assert!(error("{\"prompt\":\"\",\"responses\":[\"a\",\"b\"]}").contains("prompt is empty"));
        let row = "{\"prompt\":\"p\",\"responses\":[\"a\",\"b\"]}\n";
        assert!(error(&row.repeat(2)).contains("mine.jsonl:2: the same prompt and responses"));
    }

    #[test]
    fn adding_twice_adds_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let row = "{\"prompt\":\"p\",\"responses\":[\"a\",\"b\"]}\n";
        let items = read_text(row).unwrap().items;
        assert_eq!(add_new(dir.path(), "mine", &items).unwrap(), 1);
        assert_eq!(add_new(dir.path(), "mine", &items).unwrap(), 0);
        assert_eq!(
            crate::feedback::item::read_batch(&dir.path().join("mine.jsonl")).unwrap(),
            items
        );
    }
}
