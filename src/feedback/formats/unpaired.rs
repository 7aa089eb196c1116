//! TRL unpaired preference, as KTO reads it: one completion and whether it is desirable.
//! <https://huggingface.co/docs/trl/dataset_formats#unpaired-preference>
//!
//! Nobody compares here, but a desirable and an undesirable completion of one prompt are a pair;
//! [`Matcher`] finds them, in the order of the rows. TRL's `unpair_preference_dataset` writes a
//! thousand chosen, then their thousand rejected, so as many stay open.

use super::judged::{Judged, message};
use super::value::{Object, field, has, messages, prompt, reply};
use crate::feedback::digest::Sha256;
use crate::feedback::item::PromptText;
use serde_json::{Value, json};
use std::collections::VecDeque;

/// Most completions that wait for their counterpart.
const MAX_WAITING: usize = 4096;
/// Most bytes of text that wait for their counterpart.
const MAX_WAITING_BYTES: usize = 64 << 20;

/// One completion and its label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Half {
    /// What was answered.
    pub prompt: PromptText,
    /// The answer.
    pub completion: String,
    /// True if it is desirable.
    pub label: bool,
}

/// True if the row is one.
pub fn is(row: &Object) -> bool {
    has(row, &["prompt", "completion", "label"])
}

/// Reads a row.
pub fn read(row: &Object) -> Result<Half, String> {
    let prompt = prompt(row, "prompt")?;
    let completion = match (&prompt, field(row, "completion")) {
        (PromptText::Text(_), Some(Value::String(text))) => text.clone(),
        (PromptText::Messages(_), Some(list @ Value::Array(_))) => {
            reply(&messages(list, "completion")?, "completion")?
        }
        (_, None) => return Err("missing field `completion`".into()),
        _ => return Err("`prompt` and `completion` must be both text or both messages".into()),
    };
    let label = match field(row, "label") {
        Some(Value::Bool(label)) => *label,
        Some(Value::Number(number)) if number.as_i64() == Some(1) => true,
        Some(Value::Number(number)) if number.as_i64() == Some(0) => false,
        Some(_) => return Err("`label` must be true or false".into()),
        None => return Err("missing field `label`".into()),
    };
    Ok(Half {
        prompt,
        completion,
        label,
    })
}

/// Writes a pair as two rows: the chosen, then the rejected.
pub fn write(judged: &Judged) -> Option<Vec<Value>> {
    let (chosen, rejected) = judged.decided()?;
    let completion = |text: &str| match &judged.prompt {
        PromptText::Text(_) => json!(text),
        PromptText::Messages(_) => json!([message("assistant", text)]),
    };
    let prompt = match &judged.prompt {
        PromptText::Text(text) => json!(text),
        PromptText::Messages(messages) => json!(messages),
    };
    let row =
        |text, label| json!({"prompt": prompt, "completion": completion(text), "label": label});
    Some(vec![row(chosen, true), row(rejected, false)])
}

/// Makes pairs of the halves of a file.
#[derive(Debug, Default)]
pub struct Matcher {
    waiting: VecDeque<(Sha256, Half)>,
    bytes: usize,
    alone: usize,
}

impl Matcher {
    /// The pair that `half` completes.
    pub fn add(&mut self, half: Half) -> Option<Judged> {
        let key = half.prompt.sha256();
        let mut waiting = self.waiting.iter();
        let fits = |(other, waiting): &(Sha256, Half)| *other == key && waiting.label != half.label;
        if let Some((_, other)) = waiting
            .position(fits)
            .and_then(|index| self.waiting.remove(index))
        {
            self.bytes -= size(&other);
            let (chosen, rejected) = if half.label {
                (half, other)
            } else {
                (other, half)
            };
            let pair = Judged::pair(chosen.prompt, chosen.completion, rejected.completion);
            return Some(pair);
        }
        self.bytes += size(&half);
        self.waiting.push_back((key, half));
        while self.waiting.len() > MAX_WAITING || self.bytes > MAX_WAITING_BYTES {
            if let Some((_, half)) = self.waiting.pop_front() {
                self.bytes -= size(&half);
                self.alone += 1;
            }
        }
        None
    }

    /// Completions without a counterpart so far.
    pub fn alone(&self) -> usize {
        self.alone + self.waiting.len()
    }
}

fn size(half: &Half) -> usize {
    let prompt = match &half.prompt {
        PromptText::Text(text) => text.len(),
        PromptText::Messages(messages) => messages.iter().map(|m| m.content.len()).sum(),
    };
    prompt + half.completion.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn half(prompt: &str, completion: &str, label: bool) -> Half {
        Half {
            prompt: PromptText::Text(prompt.into()),
            completion: completion.into(),
            label,
        }
    }

    #[test]
    fn halves_of_one_prompt_are_matched_in_order() {
        let mut matcher = Matcher::default();
        let halves = [
            half("p", "good 1", true),
            half("q", "good", true),
            half("p", "good 2", true),
            half("p", "bad 1", false),
            half("r", "bad", false),
            half("p", "bad 2", false),
        ];
        let pairs: Vec<_> = halves
            .into_iter()
            .filter_map(|half| matcher.add(half))
            .collect();
        let expected = |good: &str, bad: &str| {
            Judged::pair(PromptText::Text("p".into()), good.into(), bad.into())
        };
        assert_eq!(
            pairs,
            [expected("good 1", "bad 1"), expected("good 2", "bad 2")]
        );
        assert_eq!(matcher.alone(), 2);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut matcher = Matcher::default();
        for n in 0..=MAX_WAITING {
            matcher.add(half(&format!("p{n}"), "x", true));
        }
        assert_eq!(matcher.waiting.len(), MAX_WAITING);
        assert_eq!(matcher.alone(), MAX_WAITING + 1);
        // The first was let go, the second waits still.
        assert!(matcher.add(half("p0", "y", false)).is_none());
        assert!(matcher.add(half("p2", "y", false)).is_some());
    }
}
