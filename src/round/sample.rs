//! From a policy and prompts to items that people can judge.

use thiserror::Error;

use crate::feedback::digest::Sha256;
use crate::feedback::item::{Candidate, FinishReason, Item, ItemError, Prompt, Sampler, Selector};
use crate::feedback::queue::drop_duplicates;
use crate::generate::answer::{AnswerError, prompt_ids};
use crate::generate::engine::{self, Completion, Listener, Request, Settings};
use crate::generate::sampler::SamplerConfig;
use crate::model::{LanguageModel, ModelError, precision};
use crate::reward::dataset::prompt_input;

use super::config::SampleConfig;

/// Why items can't be made.
#[derive(Debug, Error)]
pub enum SampleError {
    /// Answering.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// The model has no tokenizer.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An item that breaks the rules of its file.
    #[error(transparent)]
    Item(#[from] ItemError),
}

/// Items, and what was left out.
#[derive(Debug, Clone, Default)]
pub struct Sampled {
    /// To be judged.
    pub items: Vec<Item>,
    /// Candidates that equalled another of their prompt but for white space.
    pub duplicates: usize,
    /// Prompts with fewer than two different answers.
    pub too_few: usize,
}

/// Where items belong.
#[derive(Debug, Clone)]
pub struct Batch<'a> {
    /// Name of their file in `samples/`, without `.jsonl`.
    pub name: &'a str,
    /// Round of the loop.
    pub round: u32,
    /// What to call the policy in the record.
    pub policy: &'a str,
}

/// Draws `candidates` answers to every prompt. Answers depend on the seed, the prompt and the candidate's number only.
pub fn sample(
    model: &LanguageModel,
    prompts: &[Prompt],
    config: &SampleConfig,
    batch: &Batch<'_>,
    listener: &mut dyn Listener,
) -> Result<Sampled, SampleError> {
    let tokenizer = model.text.tokenizer()?;
    let sampler = SamplerConfig {
        temperature: if config.temperature > 0.0 {
            config.temperature
        } else {
            1.0
        },
        top_p: config.top_p,
        top_k: config.top_k,
        max_new_tokens: config.max_new_tokens,
        greedy: config.temperature == 0.0,
        seed: config.seed,
    };
    let mut requests = Vec::with_capacity(prompts.len() * config.candidates);
    for prompt in prompts {
        let ids = prompt_ids(model, &prompt.id, &prompt_input(&prompt.text))?;
        let key = engine::prompt_key(&ids);
        requests.extend((0..config.candidates as u64).map(|sample| Request {
            prompt: ids.clone(),
            key,
            sample,
        }));
    }
    let settings = Settings {
        sampler: &sampler,
        stop_ids: tokenizer.stop_ids(),
        batch_size: config.batch_size,
        trace: false,
    };
    let checkpoint = model.text.weights_sha256()?;
    let checkpoint = checkpoint.and_then(|hash| hash.parse().ok());
    let mut decoder = model.decoder.clone();
    decoder.set_matmul_precision(precision::of_products(config.bf16));
    let completions = engine::generate(&decoder.sampler(), &requests, settings, listener);
    let completions = completions.map_err(AnswerError::from)?;
    let mut sampled = Sampled::default();
    for (prompt, completions) in prompts.iter().zip(completions.chunks(config.candidates)) {
        let mut candidates = Vec::with_capacity(completions.len());
        for completion in completions {
            let policy = batch.policy;
            candidates.push(candidate(completion, model, config, policy, checkpoint)?);
        }
        let (candidates, duplicates) = drop_duplicates(candidates);
        sampled.duplicates += duplicates;
        if candidates.len() < 2 {
            sampled.too_few += 1;
            continue;
        }
        let selector = Selector {
            name: "all".to_owned(),
            score: None,
            seed: config.seed,
        };
        sampled.items.push(Item::new(
            batch.name,
            batch.round,
            prompt.clone(),
            candidates,
            selector,
        )?);
    }
    Ok(sampled)
}

fn candidate(
    completion: &Completion,
    model: &LanguageModel,
    config: &SampleConfig,
    policy: &str,
    checkpoint: Option<Sha256>,
) -> Result<Candidate, SampleError> {
    let text = completion.text(model.text.tokenizer()?)?;
    let mut candidate = Candidate::new(text, policy);
    candidate.checkpoint_sha256 = checkpoint;
    candidate.sampler = Some(Sampler {
        temperature: config.temperature,
        top_p: Some(config.top_p),
        top_k: Some(config.top_k as u32),
        max_new_tokens: config.max_new_tokens as u32,
        seed: config.seed,
        bf16: precision::is_used(config.bf16, &model.decoder.embedding.device()),
    });
    candidate.finish_reason = Some(if completion.stopped() {
        FinishReason::Stop
    } else {
        FinishReason::Length
    });
    candidate.n_tokens = Some(completion.ids.len() as u32);
    Ok(candidate)
}
