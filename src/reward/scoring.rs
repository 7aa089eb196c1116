//! Scores for rows of JSONL.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::feedback::lines::{Lines, Row, RowError};
use crate::model::PromptInput;
use crate::model::chat_template::Message;

use super::model::{RewardError, RewardModel};

/// Rows that are scored together.
const ROWS_AT_ONCE: usize = 32;

/// Why rows can't be scored.
#[derive(Debug, Error)]
pub enum ScoreError {
    /// A bad row, with file and line.
    #[error(transparent)]
    Row(#[from] RowError),
    /// The model.
    #[error(transparent)]
    Reward(#[from] RewardError),
    /// Nobody takes the scores.
    #[error("cannot print scores: {0}")]
    Print(#[from] std::io::Error),
}

/// A row as it comes in.
#[derive(Deserialize)]
struct ScoreRow {
    prompt: PromptField,
    #[serde(alias = "completion")]
    response: ResponseField,
}

#[derive(Deserialize)]
struct Turn {
    role: String,
    content: String,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "`prompt` must be a string or a list of {\"role\": …, \"content\": …}"
)]
enum PromptField {
    Text(String),
    Messages(Vec<Turn>),
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "`response` must be a string or a list with one assistant message"
)]
enum ResponseField {
    Text(String),
    Messages([Turn; 1]),
}

/// A row that waits for its score.
struct Waiting {
    fields: Map<String, Value>,
    ids: Vec<u32>,
}

/// Scores each row `{"prompt", "response"}` (or `completion`) of `lines` and hands it on with `score` (normalised) and `raw_score`
/// added, in order. Returns how many there were.
///
/// # Errors
/// The first bad row, by file and line; a row longer than the context among them.
pub fn score_rows(
    model: &RewardModel,
    lines: &mut Lines,
    mut print: impl FnMut(Map<String, Value>) -> std::io::Result<()>,
) -> Result<usize, ScoreError> {
    let mut waiting = Vec::new();
    let mut count = 0;
    loop {
        let row = lines.next_row()?;
        let end = row.is_none();
        if let Some(row) = row {
            waiting.push(tokenised(model, &row)?);
        }
        if waiting.len() == ROWS_AT_ONCE || end {
            count += waiting.len();
            for fields in scored(model, std::mem::take(&mut waiting))? {
                print(fields)?;
            }
        }
        if end {
            return Ok(count);
        }
    }
}

fn tokenised(model: &RewardModel, row: &Row) -> Result<Waiting, RowError> {
    let ScoreRow { prompt, response } = row.parse()?;
    let prompt = match prompt {
        PromptField::Text(text) => PromptInput::Text(text),
        PromptField::Messages(turns) => {
            let message = |turn: &Turn| Message::new(&turn.role, &turn.content);
            PromptInput::Messages(turns.iter().map(message).collect())
        }
    };
    let response = match response {
        ResponseField::Text(text) => text,
        ResponseField::Messages([turn]) => turn.content,
    };
    let ids = model.row(&prompt, &response).map_err(|e| row.error(e))?;
    let limit = model.network.decoder.config.max_position_embeddings;
    if ids.len() > limit {
        let tokens = ids.len();
        return Err(row.error(RewardError::TooLong { tokens, limit }));
    }
    let fields = row.parse()?;
    Ok(Waiting { fields, ids })
}

fn scored(
    model: &RewardModel,
    waiting: Vec<Waiting>,
) -> Result<Vec<Map<String, Value>>, RewardError> {
    let (fields, rows): (Vec<_>, Vec<_>) = waiting.into_iter().map(|w| (w.fields, w.ids)).unzip();
    let scores = model.raw_scores(&rows)?;
    let add = |(mut fields, raw): (Map<String, Value>, f64)| {
        fields.insert("score".to_owned(), json!(model.scale.apply(raw)));
        fields.insert("raw_score".to_owned(), json!(raw));
        fields
    };
    Ok(fields.into_iter().zip(scores).map(add).collect())
}
