//! Judgements as token rows, split by prompt.

use std::collections::BTreeSet;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::feedback::item::PromptText;
use crate::feedback::pairs::PreferencePair;
use crate::model::chat_template::Message;
use crate::model::{ModelText, PromptInput};

use super::model::{RewardError, row};

/// A decisive judgement, tokenised: each row is prompt ++ response ++ EOS.
#[derive(Debug, Clone)]
pub struct Pair {
    /// The preferred response's row.
    pub winner: Vec<u32>,
    /// The other's.
    pub loser: Vec<u32>,
    /// Characters of the preferred response less those of the other: what "longer wins" goes by.
    pub length_difference: i64,
    /// Pairs with one key stay on one side of the split.
    pub prompt: String,
    /// Who judged.
    pub annotator: Option<String>,
    /// Where the text is from.
    pub source: Option<String>,
}

/// Tokenised judgements and what was left out.
#[derive(Debug, Clone, Default)]
pub struct Dataset {
    /// Decisive judgements that fit.
    pub pairs: Vec<Pair>,
    /// Pairs with a row longer than the limit.
    pub too_long: usize,
    /// Ties: Bradley–Terry has no use for them.
    pub ties: usize,
}

/// Tokenises judgements. Rows longer than `max_length` tokens are left out and counted.
pub fn tokenise(judgements: &[PreferencePair], text: &ModelText, max_length: usize) -> Result<Dataset, RewardError> {
    let mut dataset = Dataset::default();
    for judgement in judgements {
        if judgement.tie {
            dataset.ties += 1;
            continue;
        }
        let prompt = prompt_input(&judgement.prompt);
        let winner = row(text, &prompt, &judgement.chosen)?;
        let loser = row(text, &prompt, &judgement.rejected)?;
        if winner.len().max(loser.len()) > max_length {
            dataset.too_long += 1;
            continue;
        }
        dataset.pairs.push(Pair {
            winner,
            loser,
            length_difference: judgement.chosen.chars().count() as i64 - judgement.rejected.chars().count() as i64,
            prompt: judgement.prompt.sha256().to_string(),
            annotator: judgement.annotator.clone(),
            source: judgement.source.clone(),
        });
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
/// Prompts with very many pairs would make the held-out side far too large; a prompt goes there only while that side stays
/// below one and a half times its size.
pub fn split(pairs: Vec<Pair>, fraction: f64, seed: u64) -> (Vec<Pair>, Vec<Pair>) {
    let wanted = (pairs.len() as f64 * fraction).round() as usize;
    let prompts: BTreeSet<&str> = pairs.iter().map(|p| p.prompt.as_str()).collect();
    let mut prompts: Vec<&str> = prompts.into_iter().collect();
    prompts.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let mut held_out: BTreeSet<String> = BTreeSet::new();
    let mut count = 0;
    for prompt in prompts {
        let size = pairs.iter().filter(|p| p.prompt == prompt).count();
        if count < wanted && count + size <= wanted + wanted / 2 {
            held_out.insert(prompt.to_owned());
            count += size;
        }
    }
    let (held_out, training) = pairs.into_iter().partition(|p| held_out.contains(&p.prompt));
    (training, held_out)
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
        assert!(training.iter().all(|t| held_out.iter().all(|h| h.prompt != t.prompt)));
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
}
