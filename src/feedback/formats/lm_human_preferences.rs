//! OpenAI's lm-human-preferences: a query and samples as token ids, and which sample is best.
//! Ziegler et al. 2019, arXiv:1909.08593; <https://github.com/openai/lm-human-preferences>, label type
//! `best_of_n` of `label_types.py`.
//!
//! The ids are of GPT-2's vocabulary. Queries are padded with 50259, "+2 unnecessary, for historical
//! reasons" (`encodings.py`), which has no token and decodes to nothing.

use super::judged::{Judged, Said};
use super::value::{Object, has, list, need};
use crate::feedback::item::{MAX_CANDIDATES, PromptText};
use serde_json::Value;
use std::fmt;

/// GPT-2's vocabulary, 50257 tokens, and two.
const PADDING: u32 = 50_259;

/// The text of token ids, or why they have none.
pub type Decode<'a> = &'a dyn Fn(&[u32]) -> Result<String, String>;

/// What turns token ids into text: this room knows no tokenizer, its caller may.
#[derive(Clone, Copy)]
pub struct Decoder<'a>(pub Decode<'a>);

impl fmt::Debug for Decoder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decoder")
    }
}

/// True if the row is one.
pub fn is(row: &Object) -> bool {
    has(row, &["query", "sample0", "sample1", "best"])
}

/// Reads a row.
pub fn read(row: &Object, decoder: Option<Decoder>) -> Result<Judged, String> {
    let Some(Decoder(decode)) = decoder else {
        return Err(
            "lm-human-preferences holds token ids of GPT-2's vocabulary; import the file with its \
             tokenizer: rlhf feedback import FILE --tokenizer openai-community/gpt2 (or a folder \
             with GPT-2's tokenizer.json)"
                .into(),
        );
    };
    let text = |name: &str| {
        let ids: Vec<u32> = ids(row, name)?;
        decode(&ids).map_err(|reason| format!("`{name}`: {reason}"))
    };
    let names = (0..).map(|n| format!("sample{n}"));
    let names = names.take_while(|name| has(row, &[name]));
    let samples: Vec<String> = names.map(|name| text(&name)).collect::<Result<_, _>>()?;
    if samples.len() > MAX_CANDIDATES {
        return Err(format!("more than {MAX_CANDIDATES} samples"));
    }
    let best = need(row, "best")?.as_u64();
    let winner = best.filter(|&best| best < samples.len() as u64);
    let winner = winner.ok_or_else(|| format!("`best` must be 0 to {}", samples.len() - 1))?;
    let mut judged = Judged::new(PromptText::Text(text("query")?), samples);
    judged.said = Said::Prefer {
        winner: winner as usize,
        strength: None,
    };
    Ok(judged)
}

/// Token ids without padding.
fn ids(row: &Object, name: &str) -> Result<Vec<u32>, String> {
    let id = |value: &Value| u32::try_from(value.as_u64()?).ok();
    let ids: Option<Vec<u32>> = list(row, name)?.iter().map(id).collect();
    let mut ids = ids.ok_or_else(|| format!("`{name}` must be a list of token ids"))?;
    ids.retain(|&id| id != PADDING);
    Ok(ids)
}
