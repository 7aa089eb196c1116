//! The pieces of work that are timed.

use std::time::Instant;

use std::sync::Arc;

use crate::generate::{Request, SamplerConfig, Settings, generate};
use crate::kernels::Panels;
use crate::model::optimizer::Optimizer;
use crate::model::{Decoder, LanguageModel, PromptInput};
use crate::policy::config::{Critic, CriticInit, PpoConfig};
use crate::policy::ppo::{Ppo, World};
use crate::policy::rollout::Prompt;
use crate::reward::config::RewardConfig;
use crate::reward::dataset::Pair;
use crate::reward::job::{self, footprint};
use crate::reward::model::RewardModel;
use crate::reward::trainer;
use crate::run::Silent;

use super::super::improve::{actor_critic, cost, sampling};
use super::{Bench, BenchError, Expected};

const PROMPT_TOKENS: usize = 32;
const NEW_TOKENS: usize = 64;
const ROWS: usize = 8;

impl Bench<'_> {
    pub(super) fn sampling(&mut self, batches: &[usize]) -> Result<(), BenchError> {
        let mut decoder = self.model.decoder.base().sampler(); // packed once: a policy is sampled from many times
        let sampler = SamplerConfig {
            max_new_tokens: NEW_TOKENS,
            greedy: self.plan.greedy,
            ..SamplerConfig::default()
        };
        for &rows in batches {
            let request = |row| Request {
                prompt: tokens(&decoder, row, PROMPT_TOKENS),
                key: row as u64,
                sample: 0,
            };
            let requests: Vec<Request> = (0..rows).map(request).collect();
            let settings = Settings {
                sampler: &sampler,
                stop_ids: &[],
                batch_size: rows,
                trace: false,
            };
            let expected = Expected {
                least: self.least(&mut decoder, rows),
                ..Expected::default()
            };
            let kind = if sampler.greedy { ", greedy" } else { "" };
            self.measure(
                &format!("sampling, batch {rows}{kind}"),
                rows * NEW_TOKENS,
                expected,
                || {
                    let started = Instant::now();
                    generate(&decoder, &requests, settings, &mut ())?;
                    let step = started.elapsed().as_secs_f64() / NEW_TOKENS as f64;
                    Ok(vec![("a token of every row", step)])
                },
            )?;
        }
        Ok(())
    }

    /// Seconds in which the machine could answer `rows` prompts. The prompts go through the layers together and give the first tokens; each step
    /// for another token takes every row through layers and head. Weights are read once at a time. Attention is left out, so the true limit
    /// is a little lower.
    fn least(&self, packed: &mut Decoder, rows: usize) -> Option<f64> {
        let machine = self.machine?;
        let head = vec![packed.head_table().panels()];
        let projections = packed.projections().into_iter();
        let layers: Vec<_> = projections.filter_map(|p| p.packed.clone()).collect();
        let seconds = |all: &[Arc<Panels>], rows: usize| {
            let bytes: usize = all.iter().map(|panels| panels.bytes()).sum();
            let numbers: usize = all.iter().map(|p| p.inputs() * p.outputs()).sum();
            let memory = bytes as f64 / machine.memory_bytes_per_second;
            memory.max(2.0 * (numbers * rows) as f64 / machine.flops_per_second)
        };
        let prompts = seconds(&layers, rows * PROMPT_TOKENS);
        let steps = (NEW_TOKENS - 1) as f64 * seconds(&layers, rows);
        Some(prompts + steps + NEW_TOKENS as f64 * seconds(&head, rows))
    }

    pub(super) fn scoring(&mut self) -> Result<(), BenchError> {
        let mut reward = RewardModel::on(self.copy(), 0)?;
        reward.network.decoder = reward.network.decoder.base();
        let time = PROMPT_TOKENS + NEW_TOKENS;
        let row = |row| tokens(&reward.network.decoder, row, time);
        let rows: Vec<Vec<u32>> = (0..ROWS).map(row).collect();
        let name = format!("scoring, {ROWS} × {time} tokens");
        self.measure(&name, ROWS * time, Expected::default(), || {
            reward.raw_scores(&rows)?;
            Ok(Vec::new())
        })
    }

    pub(super) fn reward(&mut self) -> Result<(), BenchError> {
        let lengths = self.plan.pair_lengths.clone();
        let (count, total) = (lengths.len() / 2, lengths.iter().sum::<usize>());
        for use_peft in self.kinds() {
            let config = RewardConfig {
                use_peft,
                bf16: self.plan.bf16,
                per_device_train_batch_size: count,
                ..RewardConfig::default()
            };
            let mut reward = RewardModel::on(self.copy(), 0)?;
            job::prepare(&mut reward, &config)?;
            let decoder = &reward.network.decoder;
            let pair = |index| Pair {
                winner: tokens(decoder, 2 * index, lengths[2 * index]),
                loser: tokens(decoder, 2 * index + 1, lengths[2 * index + 1]),
                length_difference: 0,
                tie: false,
                prompt: String::new(),
                annotator: None,
                source: None,
            };
            let pairs: Vec<Pair> = (0..count).map(pair).collect();
            let footprint = footprint(&mut reward, &pairs, &config);
            let pairs: Vec<&Pair> = pairs.iter().collect();
            let work = job::work(&reward, &pairs);
            let mut network = reward.network;
            let mut optimizer = Optimizer::new(config.adamw(), config.max_grad_norm);
            let name = format!(
                "reward step, {count} pairs, {total} tokens, {}",
                kind(use_peft)
            );
            let expected = self.told(footprint, work);
            self.measure(&name, total, expected, || {
                let rate = config.learning_rate;
                trainer::update(&mut network, &mut optimizer, &pairs, &config, rate);
                Ok(Vec::new())
            })?;
        }
        Ok(())
    }

    pub(super) fn ppo(&mut self) -> Result<(), BenchError> {
        for use_peft in self.kinds() {
            let critic = if use_peft {
                Critic::Shared
            } else {
                Critic::Separate
            };
            let config = PpoConfig {
                use_peft,
                bf16: self.plan.bf16,
                critic,
                critic_init: CriticInit::Zero,
                batch_size: ROWS,
                total_episodes: ROWS * (self.plan.warm_up + self.plan.repeats),
                response_length: NEW_TOKENS,
                lora_num_layers: self.plan.lora_num_layers,
                ..PpoConfig::default()
            };
            self.ppo_of(&config)?;
        }
        Ok(())
    }

    fn ppo_of(&mut self, config: &PpoConfig) -> Result<(), BenchError> {
        let tokenizer = self.model.text.tokenizer()?;
        let mut reward = RewardModel::on(self.copy(), 0)?;
        let reference = self.model.decoder.base();
        if config.use_peft {
            reward.network.decoder = reference.clone();
            reward.network.decoder.head = None;
        } else {
            reward.network.decoder = reward.network.decoder.base(); // weights of its own, as where all were trained
        }
        let policy = match config.lora() {
            Some(_) => reference.clone(),
            None => self.model.decoder.clone(),
        };
        let model = actor_critic(policy, &reward, true, config, &mut Silent)?;
        let mut sampling = sampling(config, tokenizer)?;
        sampling.stop_ids.clear(); // every answer as long as the others
        let prompt = |row: usize| Prompt {
            id: row.to_string(),
            input: PromptInput::Text(String::new()),
            ids: tokens(&reference, row, PROMPT_TOKENS),
        };
        let prompts: Vec<Prompt> = (0..ROWS).map(prompt).collect();
        let mut ppo = Ppo::new(config, model, reference);
        let world = World {
            tokenizer,
            prompts: &prompts,
            sampling: &sampling,
            scorer: &reward,
        };
        let footprint = cost::footprint(&mut ppo, &reward, &prompts);
        let work = cost::work(&ppo, &reward, &prompts);
        let name = match (config.use_peft, config.lora_num_layers) {
            (true, layers) if layers > 0 => format!("PPO iteration, LoRA, last {layers} layers"),
            (use_peft, _) => format!("PPO iteration, {}", kind(use_peft)),
        };
        let expected = self.told(footprint, work);
        self.measure(&name, ROWS * NEW_TOKENS, expected, || {
            let (report, _) = ppo.step(&world, &mut ())?;
            Ok(vec![
                ("rollout and score", report.seconds_rollout),
                ("policy, reference and values", report.seconds_scoring),
                ("update", report.seconds_update),
            ])
        })
    }

    /// With LoRA, with all weights: what is planned.
    fn kinds(&self) -> Vec<bool> {
        let planned = [(true, self.plan.lora), (false, self.plan.full)];
        let kinds = planned.into_iter().filter(|(_, planned)| *planned);
        kinds.map(|(use_peft, _)| use_peft).collect()
    }

    /// The model once more; it shares the weights.
    fn copy(&self) -> LanguageModel {
        LanguageModel {
            decoder: self.model.decoder.clone(),
            text: self.model.text.clone(),
        }
    }
}

fn kind(use_peft: bool) -> &'static str {
    if use_peft { "LoRA" } else { "all weights" }
}

/// Made-up tokens, which differ from row to row.
pub(super) fn tokens(decoder: &Decoder, row: usize, count: usize) -> Vec<u32> {
    let vocabulary = decoder.config.vocab_size;
    (0..count)
        .map(|at| ((row * 7919 + at * 104_729 + 20) % vocabulary) as u32)
        .collect()
}
