//! Judgements as token rows, split by prompt.

use std::collections::{BTreeMap, BTreeSet};

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::feedback::item::PromptText;
use crate::feedback::pairs::PreferencePair;
use crate::model::chat_template::Message;
use crate::model::{ModelText, PromptInput};

use super::model::{RewardError, row};

/// A judgement, tokenised: each row is prompt ++ response ++ EOS.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// The preferred response's row; with a tie, the first one's.
    pub winner: Vec<u32>,
    /// The other's.
    pub loser: Vec<u32>,
    /// Characters of the preferred response less those of the other: what "longer wins" goes by.
    pub length_difference: i64,
    /// Equally good. Bradley–Terry can't learn from it; the evaluation counts it.
    pub tie: bool,
    /// Pairs with one key stay on one side of the split.
    pub prompt: String,
    /// Who judged.
    pub annotator: Option<String>,
    /// Where the text is from.
    pub source: Option<String>,
}

impl Pair {
    /// Tokens of the longer row.
    pub fn tokens(&self) -> usize {
        self.winner.len().max(self.loser.len())
    }
}

/// Tokenised judgements and what was left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Dataset {
    /// Judgements that fit, ties among them.
    pub pairs: Vec<Pair>,
    /// Judgements with a row longer than the limit.
    pub too_long: usize,
}

/// Tokenises judgements. Those with a row of more than `max_length` tokens are left out and counted.
pub fn tokenise(
    judgements: &[PreferencePair],
    text: &ModelText,
    max_length: usize,
) -> Result<Dataset, RewardError> {
    let mut dataset = Dataset::default();
    for judgement in judgements {
        let prompt = prompt_input(&judgement.prompt);
        let characters = |text: &str| text.chars().count() as i64;
        let pair = Pair {
            winner: row(text, &prompt, &judgement.chosen)?,
            loser: row(text, &prompt, &judgement.rejected)?,
            length_difference: characters(&judgement.chosen) - characters(&judgement.rejected),
            tie: judgement.tie,
            prompt: judgement.prompt.sha256().to_string(),
            annotator: judgement.annotator.clone(),
            source: judgement.source.clone(),
        };
        if pair.tokens() > max_length {
            dataset.too_long += 1;
        } else {
            dataset.pairs.push(pair);
        }
    }
    Ok(dataset)
}

/// The prompt of a judgement as a model reads it.
pub fn prompt_input(prompt: &PromptText) -> PromptInput {
    match prompt {
        PromptText::Text(text) => PromptInput::Text(text.clone()),
        PromptText::Messages(messages) => {
            let message = |m: &crate::feedback::item::Message| Message::new(&m.role, &m.content);
            PromptInput::Messages(messages.iter().map(message).collect())
        }
    }
}

/// Holds out about `fraction` of the pairs by whole prompts, drawn with `seed`; returns (training, held out).
///
/// A prompt with very many pairs could make the held-out side far too large: prompts go there only while that side stays below
/// one and a half times its size, so it may be smaller than asked for, or empty.
pub fn split(pairs: Vec<Pair>, fraction: f64, seed: u64) -> (Vec<Pair>, Vec<Pair>) {
    let wanted = (pairs.len() as f64 * fraction).round() as usize;
    let mut sizes: BTreeMap<&str, usize> = BTreeMap::new();
    for pair in &pairs {
        *sizes.entry(&pair.prompt).or_default() += 1;
    }
    let mut prompts: Vec<_> = sizes.into_iter().collect();
    prompts.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let mut held_out: BTreeSet<String> = BTreeSet::new();
    let mut count = 0;
    for (prompt, size) in prompts {
        if count < wanted && count + size <= wanted + wanted / 2 {
            held_out.insert(prompt.to_owned());
            count += size;
        }
    }
    let (held_out, training) = pairs
        .into_iter()
        .partition(|pair| held_out.contains(&pair.prompt));
    (training, held_out)
}

/// At most `count` of the pairs, drawn with `seed`, in their order.
pub fn sample(pairs: &[Pair], count: usize, seed: u64) -> Vec<&Pair> {
    let mut indices: Vec<usize> = (0..pairs.len()).collect();
    indices.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    indices.truncate(count);
    indices.sort_unstable();
    indices.into_iter().map(|index| &pairs[index]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(per_prompt: &[usize]) -> Vec<Pair> {
        let of = |(index, &count): (usize, &usize)| {
            let pair = Pair {
                winner: vec![1],
                loser: vec![2],
                length_difference: 0,
                tie: false,
                prompt: format!("prompt {index}"),
                annotator: None,
                source: None,
            };
            std::iter::repeat_n(pair, count)
        };
        per_prompt.iter().enumerate().flat_map(of).collect()
    }

    #[test]
    fn no_prompt_is_on_both_sides() {
        let (training, held_out) = split(pairs(&[3, 1, 4, 1, 5, 9, 2, 6, 5, 3]), 0.25, 1);
        assert_eq!(training.len() + held_out.len(), 39);
        assert!((8..=15).contains(&held_out.len()), "{}", held_out.len());
        let leaks = |t: &Pair| held_out.iter().any(|h| h.prompt == t.prompt);
        assert!(!training.iter().any(leaks));
    }

    #[test]
    fn the_split_follows_the_seed() {
        let prompts = |seed| {
            let (_, held_out) = split(pairs(&[1; 50]), 0.2, seed);
            held_out.into_iter().map(|p| p.prompt).collect::<Vec<_>>()
        };
        assert_eq!(prompts(7), prompts(7));
        assert_ne!(prompts(7), prompts(8));
    }

    #[test]
    fn nothing_is_held_out_at_fraction_0() {
        assert_eq!(split(pairs(&[2, 2]), 0.0, 3).0.len(), 4);
    }

    #[test]
    fn a_sample_keeps_the_order_and_has_no_repeats() {
        let all = pairs(&[1; 30]);
        let drawn = sample(&all, 12, 5);
        let place = |pair: &&Pair| all.iter().position(|p| p == *pair);
        let places: Vec<_> = drawn.iter().map(place).collect();
        assert_eq!(places.len(), 12);
        assert!(places.is_sorted_by(|a, b| a < b));
        assert_eq!(sample(&all, 100, 5).len(), 30);
    }
}
