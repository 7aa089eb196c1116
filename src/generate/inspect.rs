//! What a model thinks of given tokens, one by one: the numbers behind `rlhf inspect`.
//!
//! Sums are in f64, one row of logits after the other, so that they can be held against another program's.

use crate::model::tokens::indices;
use crate::model::{Decoder, TokenBatch};

use super::engine::{GenerateError, check_vocabulary};
use super::sampler::SamplerError;

/// Logits on the host at one time: 32 MB.
const CHUNK_ELEMENTS: usize = 1 << 23;

/// A model's opinion of one token, given those before it. The first token of a text has none before it, and so no
/// numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TokenReport {
    /// The token.
    pub id: u32,
    /// What the model says.
    pub prediction: Option<Prediction>,
    /// log p − log p of the other model, in nats, if there is one.
    pub logratio: Option<f64>,
}

/// A model's distribution at a token's place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prediction {
    /// log p(token), in nats.
    pub logprob: f64,
    /// 1 for the most probable token; equals share the better rank.
    pub rank: usize,
    /// Entropy of the distribution, in nats.
    pub entropy: f64,
}

/// Reads `ids` with `decoder`, and with `against` for the log-ratios.
///
/// # Errors
/// If there are no tokens, more than either model's context, or one outside either vocabulary; for NaN in the output.
pub fn inspect(
    decoder: &Decoder,
    ids: &[u32],
    against: Option<&Decoder>,
) -> Result<Vec<TokenReport>, GenerateError> {
    let ours = predictions(decoder, ids)?;
    let theirs = against.map(|other| predictions(other, ids)).transpose()?;
    let ratio = |index: usize, ours: Prediction| {
        let theirs = theirs.as_ref()?.get(index)?;
        Some(ours.logprob - theirs.logprob)
    };
    let report = |(index, &id): (usize, &u32)| {
        let prediction = index
            .checked_sub(1)
            .and_then(|before| ours.get(before).copied());
        let logratio = prediction.and_then(|ours| ratio(index - 1, ours));
        TokenReport {
            id,
            prediction,
            logratio,
        }
    };
    Ok(ids.iter().enumerate().map(report).collect())
}

/// Of every token but the first.
fn predictions(decoder: &Decoder, ids: &[u32]) -> Result<Vec<Prediction>, GenerateError> {
    let context = decoder.config.max_position_embeddings;
    if ids.is_empty() {
        return Err(GenerateError::NoTokens);
    }
    if ids.len() > context {
        return Err(GenerateError::TextTooLong {
            tokens: ids.len(),
            context,
        });
    }
    check_vocabulary(decoder, ids)?;
    let hidden = decoder.hidden(&TokenBatch::left_padded(&[ids], 0, 0));
    let vocabulary = decoder.config.vocab_size;
    let mut found = Vec::with_capacity(ids.len());
    for chunk in (0..ids.len() - 1)
        .collect::<Vec<_>>()
        .chunks((CHUNK_ELEMENTS / vocabulary).max(1))
    {
        let states = hidden
            .clone()
            .select(0, indices(chunk.iter().copied(), &hidden.device()));
        let logits: Vec<f32> = decoder.logits(states).into_data().iter().collect();
        for (&position, row) in chunk.iter().zip(logits.chunks(vocabulary)) {
            found.push(prediction(row, ids[position + 1])?);
        }
    }
    Ok(found)
}

fn prediction(logits: &[f32], id: u32) -> Result<Prediction, SamplerError> {
    let max = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let shifted = || logits.iter().map(|&z| f64::from(z) - max);
    let total: f64 = shifted().map(f64::exp).sum();
    if !total.is_finite() {
        let id = logits.iter().position(|z| !z.is_finite()).unwrap_or(0);
        return Err(SamplerError::NotFinite {
            id,
            value: logits[id],
        });
    }
    let mean: f64 = shifted().map(|z| z.exp() * z.max(f64::MIN)).sum::<f64>() / total;
    let own = logits[id as usize];
    Ok(Prediction {
        logprob: f64::from(own) - max - total.ln(),
        rank: 1 + logits.iter().filter(|z| **z > own).count(),
        entropy: total.ln() - mean,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// p = 1/2, 1/4, 1/8, 1/8 from logits that are not normalised.
    #[test]
    fn a_known_distribution_has_its_known_numbers() {
        let ln2 = std::f32::consts::LN_2;
        let logits = [5.0 - ln2, 5.0, 5.0 - 2.0 * ln2, 5.0 - 2.0 * ln2];
        let ln2 = std::f64::consts::LN_2;
        for (id, probability, rank) in [(0, 0.25_f64, 2), (1, 0.5, 1), (2, 0.125, 3), (3, 0.125, 3)]
        {
            let found = prediction(&logits, id).unwrap();
            assert!((found.logprob - probability.ln()).abs() < 1e-6);
            assert_eq!(found.rank, rank);
            assert!((found.entropy - 1.75 * ln2).abs() < 1e-6);
        }
    }

    #[test]
    fn impossible_tokens_add_nothing_to_the_entropy() {
        let found = prediction(&[0.0, f32::NEG_INFINITY, 0.0], 2).unwrap();
        assert!((found.entropy - std::f64::consts::LN_2).abs() < 1e-12);
        assert!(prediction(&[0.0, f32::NAN], 0).is_err());
    }
}
