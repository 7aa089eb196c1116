//! Two policies on the same prompts: who answers better, how far apart they are, what changed besides.

use serde::Serialize;

use crate::model::workers::share_out;
use crate::model::{Decoder, ModelText, Scorer};
use crate::policy::experience::{EpisodeTokens, pack};
use crate::policy::lm_head;
use crate::policy::rollout::{Episode, Prompt, RolloutError, Sampling, rollout};
use crate::stats::distinct::distinct_n;
use crate::stats::wilson::wilson;

use super::prompts::request;

/// Episodes in a forward pass.
const MICROBATCH: usize = 16;

/// An independent judge: (request, answer) → how good.
pub type Judge<'a> = dyn Fn(&str, &str) -> f64 + 'a;

/// Figures of one policy on the prompts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    /// Mean score by the reward model.
    pub score: f64,
    /// Mean score by the judge.
    pub gold_score: f64,
    /// Mean tokens per answer, end token included.
    pub length: f64,
    /// Different word pairs / word pairs.
    pub distinct_2: f64,
}

/// One prompt, answered by both.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Example {
    /// What was asked.
    pub prompt: String,
    /// By the old policy.
    pub before: String,
    /// By the new one.
    pub after: String,
    /// The judge's scores, old and new.
    pub gold_scores: [f64; 2],
}

/// Everything about the comparison.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Prompts.
    pub prompts: usize,
    /// New policy better, by the judge.
    pub wins: usize,
    /// Old policy better.
    pub losses: usize,
    /// Equally good, within `tie_margin`.
    pub ties: usize,
    /// Wins / (wins + losses).
    pub win_rate: f64,
    /// 95 % Wilson interval of the win rate.
    pub win_rate_interval: [f64; 2],
    /// The old policy.
    pub before: Figures,
    /// The new policy.
    pub after: Figures,
    /// Mean over answers of the new policy of Σ log π_new − log π_old, in nats.
    pub kl_nats: f64,
    /// All prompts with both answers.
    #[serde(skip)]
    pub examples: Vec<Example>,
}

/// What is compared with what, and how.
pub struct Setup<'a> {
    /// Old policy.
    pub before: &'a Decoder,
    /// New policy.
    pub after: &'a Decoder,
    /// Tokenizer of both.
    pub text: &'a ModelText,
    /// How both answer.
    pub sampling: &'a Sampling,
    /// Reward model.
    pub scorer: &'a dyn Scorer,
    /// Judge; it sees only request and answer, not who wrote it.
    pub judge: &'a Judge<'a>,
    /// Answers whose scores differ by less are a tie.
    pub tie_margin: f64,
}

/// Both policies answer every prompt once, with the same random numbers.
pub fn compare(setup: &Setup<'_>, prompts: &[Prompt]) -> Result<Comparison, RolloutError> {
    let tokenizer = setup
        .text
        .tokenizer
        .as_ref()
        .ok_or(RolloutError::NoPrompts)?;
    let all: Vec<&Prompt> = prompts.iter().collect();
    let sampling = Sampling {
        trace: false,
        ..setup.sampling.clone()
    };
    let answer = |policy| rollout(policy, tokenizer, &all, &sampling, 0, setup.scorer, &mut ());
    let (old, new) = (answer(setup.before)?, answer(setup.after)?);
    let judged = |episodes: &[Episode<'_>]| -> Vec<f64> {
        episodes
            .iter()
            .map(|e| (setup.judge)(request(&e.prompt.input), &e.response))
            .collect()
    };
    let (old_gold, new_gold) = (judged(&old), judged(&new));
    let differences: Vec<f64> = new_gold.iter().zip(&old_gold).map(|(n, o)| n - o).collect();
    let wins = differences
        .iter()
        .filter(|&&d| d >= setup.tie_margin)
        .count();
    let losses = differences
        .iter()
        .filter(|&&d| d <= -setup.tie_margin)
        .count();
    let interval = wilson(wins as f64, wins + losses);
    let tokens: Vec<EpisodeTokens> = new.iter().map(|e| e.tokens.clone()).collect();
    let temperature = setup.sampling.sampler.temperature;
    Ok(Comparison {
        prompts: prompts.len(),
        wins,
        losses,
        ties: prompts.len() - wins - losses,
        win_rate: wins as f64 / (wins + losses).max(1) as f64,
        win_rate_interval: [interval.low, interval.high],
        before: figures(&old, &old_gold),
        after: figures(&new, &new_gold),
        kl_nats: sequence_kl(setup.after, setup.before, &tokens, temperature),
        examples: examples(&old, &new, &old_gold, &new_gold),
    })
}

fn figures(episodes: &[Episode<'_>], gold: &[f64]) -> Figures {
    let count = episodes.len().max(1) as f64;
    let texts: Vec<&str> = episodes.iter().map(|e| e.response.as_str()).collect();
    Figures {
        score: episodes.iter().map(|e| e.score).sum::<f64>() / count,
        gold_score: gold.iter().sum::<f64>() / count,
        length: episodes
            .iter()
            .map(|e| e.tokens.response.len() as f64)
            .sum::<f64>()
            / count,
        distinct_2: distinct_n(&texts, 2),
    }
}

fn examples(
    old: &[Episode<'_>],
    new: &[Episode<'_>],
    old_gold: &[f64],
    new_gold: &[f64],
) -> Vec<Example> {
    let example = |index: usize| Example {
        prompt: request(&old[index].prompt.input).to_owned(),
        before: old[index].response.clone(),
        after: new[index].response.clone(),
        gold_scores: [old_gold[index], new_gold[index]],
    };
    (0..old.len()).map(example).collect()
}

/// Mean over episodes drawn from `policy` of Σ log π − log π_ref, in nats: KL per sequence by the k1 estimator.
pub fn sequence_kl(
    policy: &Decoder,
    reference: &Decoder,
    episodes: &[EpisodeTokens],
    temperature: f64,
) -> f64 {
    let log_ratio = |episodes: &[&EpisodeTokens]| {
        let (tokens, targets) = pack(episodes);
        let sum = |decoder: &Decoder| -> f64 {
            let states = targets.states(decoder.hidden(&tokens));
            let known = lm_head::logprobs(decoder, &states, &targets.labels, temperature);
            known.logprobs.iter().map(|&p| f64::from(p)).sum()
        };
        sum(policy) - sum(reference)
    };
    let device = policy.embedding.device();
    let mut sorted: Vec<&EpisodeTokens> = episodes.iter().collect();
    sorted.sort_by_key(|episode| episode.tokens());
    let total: f64 = sorted
        .chunks(MICROBATCH)
        .flat_map(|chunk| share_out(&device, chunk, |episode| episode.tokens(), log_ratio))
        .sum();
    total / episodes.len().max(1) as f64
}
