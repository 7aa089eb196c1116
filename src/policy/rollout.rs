//! Episodes: the policy answers a batch of prompts, and the answers are cut, decoded and scored.
//!
//! Sampling and post-processing are kept apart: PPO learns from the sampled tokens up to the end token, inclusive; the reward model sees
//! the text before it.

use std::error::Error;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use thiserror::Error as ThisError;

use crate::generate::answer::{AnswerError, prompt_ids};
use crate::generate::engine::{self, Listener, Request, Settings, Trace};
use crate::generate::sampler::SamplerConfig;
use crate::model::{Decoder, LanguageModel, PromptInput, ScoreRequest, Scorer, Tokenizer};

use super::experience::EpisodeTokens;

/// Why an episode can't be made.
#[derive(Debug, ThisError)]
pub enum RolloutError {
    /// Answering.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// Scoring.
    #[error("the reward model can't score: {0}")]
    Score(Box<dyn Error + Send + Sync>),
    /// No prompts.
    #[error("there are no prompts to train on; give a JSONL file with \"prompt\" in each row")]
    NoPrompts,
}

/// A prompt to answer.
#[derive(Debug, Clone)]
pub struct Prompt {
    /// From its file.
    pub id: String,
    /// As its author wrote it.
    pub input: PromptInput,
    /// In the policy's tokens.
    pub ids: Vec<u32>,
}

/// Tokenises prompts for a policy.
pub fn tokenise(
    prompts: &[(String, PromptInput)],
    policy: &LanguageModel,
) -> Result<Vec<Prompt>, RolloutError> {
    if prompts.is_empty() {
        return Err(RolloutError::NoPrompts);
    }
    let prompt = |(id, input): &(String, PromptInput)| {
        Ok(Prompt {
            id: id.clone(),
            input: input.clone(),
            ids: prompt_ids(policy, id, input)?,
        })
    };
    prompts.iter().map(prompt).collect()
}

/// The prompts of a step: the training prompts in an order drawn anew for each pass over them. It depends on `seed` and `step` only,
/// so a resumed job goes on where it stopped.
pub fn prompts_of_step(prompts: &[Prompt], batch: usize, step: usize, seed: u64) -> Vec<&Prompt> {
    let order = |pass: usize| {
        let mut order: Vec<usize> = (0..prompts.len()).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(
            seed.wrapping_add(pass as u64),
        ));
        order
    };
    let mut current = (usize::MAX, Vec::new());
    ((step - 1) * batch..step * batch)
        .map(|index| {
            let pass = index / prompts.len();
            if current.0 != pass {
                current = (pass, order(pass));
            }
            &prompts[current.1[index % prompts.len()]]
        })
        .collect()
}

/// A prompt, its answer, and what the answer is worth.
#[derive(Debug, Clone)]
pub struct Episode<'a> {
    /// What was asked.
    pub prompt: &'a Prompt,
    /// Tokens of both.
    pub tokens: EpisodeTokens,
    /// The sampler's own log-probabilities.
    pub sampler_logprobs: Vec<f32>,
    /// What else it knows, if [`Sampling::trace`] asks for it.
    pub trace: Option<Trace>,
    /// The answer without its end token.
    pub response: String,
    /// From the reward model.
    pub score: f64,
}

/// How answers are drawn and ended.
#[derive(Debug, Clone)]
pub struct Sampling {
    /// Temperature and length.
    pub sampler: SamplerConfig,
    /// Tokens that end an answer.
    pub stop_ids: Vec<u32>,
    /// Rows decoded together.
    pub batch_size: usize,
    /// Keep what the sampler knows of its tokens, for a [`Behaviour`](super::behaviour::Behaviour).
    pub trace: bool,
}

/// Samples one answer to each prompt and scores it. `sample` numbers the draw: other numbers give other answers.
pub fn rollout<'a>(
    policy: &Decoder,
    tokenizer: &Tokenizer,
    prompts: &[&'a Prompt],
    sampling: &Sampling,
    sample: u64,
    scorer: &dyn Scorer,
    listener: &mut dyn Listener,
) -> Result<Vec<Episode<'a>>, RolloutError> {
    let requests: Vec<Request> = prompts
        .iter()
        .enumerate()
        .map(|(index, prompt)| Request {
            prompt: prompt.ids.clone(),
            key: engine::prompt_key(&prompt.ids),
            // A prompt may occur twice in a batch of more episodes than prompts.
            sample: sample << 20 | index as u64,
        })
        .collect();
    let settings = Settings {
        sampler: &sampling.sampler,
        stop_ids: &sampling.stop_ids,
        batch_size: sampling.batch_size,
        trace: sampling.trace,
    };
    let completions = engine::generate(policy, &requests, settings, listener);
    let completions = completions.map_err(AnswerError::from)?;
    let mut episodes = Vec::with_capacity(prompts.len());
    for (&prompt, completion) in prompts.iter().zip(completions) {
        let response = completion.text(tokenizer)?;
        let tokens = EpisodeTokens {
            prompt: prompt.ids.clone(),
            finished: completion.stopped(),
            response: completion.ids,
        };
        episodes.push(Episode {
            prompt,
            tokens,
            sampler_logprobs: completion.logprobs,
            trace: completion.trace,
            response,
            score: 0.0,
        });
    }
    let requests: Vec<ScoreRequest<'_>> = episodes.iter().map(score_request).collect();
    let scores = scorer
        .score(tokenizer.sha256(), &requests)
        .map_err(RolloutError::Score)?;
    for (episode, score) in episodes.iter_mut().zip(scores) {
        episode.score = score;
    }
    Ok(episodes)
}

fn score_request<'b>(episode: &'b Episode<'_>) -> ScoreRequest<'b> {
    let kept = episode.tokens.response.len() - usize::from(episode.tokens.finished);
    ScoreRequest {
        prompt: &episode.prompt.input,
        response: &episode.response,
        prompt_ids: &episode.tokens.prompt,
        response_ids: &episode.tokens.response[..kept],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompts(count: usize) -> Vec<Prompt> {
        let prompt = |i: usize| Prompt {
            id: i.to_string(),
            input: PromptInput::Text(String::new()),
            ids: vec![1],
        };
        (0..count).map(prompt).collect()
    }

    #[test]
    fn every_prompt_comes_once_in_a_pass_and_steps_continue_the_pass() {
        let all = prompts(6);
        let mut ids: Vec<String> = (1..=3)
            .flat_map(|step| prompts_of_step(&all, 4, step, 9))
            .map(|p| p.id.clone())
            .collect();
        let (first, second) = ids.split_at_mut(6);
        first.sort();
        second.sort();
        assert_eq!(first, ["0", "1", "2", "3", "4", "5"]);
        assert_eq!(first, second);
    }

    #[test]
    fn a_batch_may_hold_more_episodes_than_there_are_prompts() {
        assert_eq!(prompts_of_step(&prompts(3), 8, 1, 0).len(), 8);
    }
}
