//! From a policy, a reward model and prompts to a better policy: everything of `rlhf ppo` but its arguments.

pub mod cost;

use std::error::Error;
use std::fs::File;
use std::io::BufWriter;

use thiserror::Error as ThisError;

use crate::device;
use crate::generate::sampler::SamplerConfig;
use crate::model::arithmetic;
use crate::model::peft::{self, PeftError};
use crate::model::precision;
use crate::model::save::save_language_model;
use crate::model::weights::{SaveDtype, WeightsError};
use crate::model::{
    Decoder, LanguageModel, ModelError, Parameters, PromptInput, ScalarHead, ScalarModel,
};
use crate::policy::actor_critic::{ActorCritic, Critic};
use crate::policy::config::{self, CriticInit, PpoConfig};
use crate::policy::ppo::{Ppo, World};
use crate::policy::ppo_job::{self, Earlier, Gold, Job, Outcome, PpoError};
use crate::policy::rollout::{RolloutError, Sampling, tokenise};
use crate::reward::model::RewardModel;
use crate::run::RunDirectory;
use crate::run::checkpoint::{CheckpointError, Checkpoints};
use crate::run::control::{Observer, StopFlag};
use crate::run::memory;
use crate::run::metrics::{MetricsError, MetricsLog, reopen};

/// Why a policy can't be improved.
#[derive(Debug, ThisError)]
pub enum ImproveError {
    /// Training.
    #[error(transparent)]
    Ppo(#[from] PpoError),
    /// Prompts.
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    /// Adapters.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// Saving.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Saving the adapter.
    #[error(transparent)]
    Peft(#[from] PeftError),
    /// Reading a checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A checkpoint's content.
    #[error("the checkpoint doesn't fit this job: {0}")]
    State(Box<dyn Error + Send + Sync>),
    /// `metrics.jsonl`.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// `samples.jsonl`.
    #[error("{path}: {source}")]
    Io {
        /// File.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A stop token that the tokenizer doesn't know.
    #[error("stop_token {0:?} is not a token of the policy; give the text of one token, or `eos`")]
    StopToken(String),
    /// The reward model can't become the critic.
    #[error("critic_init = \"reward\": the reward model {reason}; use critic_init = \"zero\"")]
    Critic {
        /// Why.
        reason: String,
    },
}

/// What to improve, and with what.
pub struct Inputs<'a> {
    /// The policy at its start.
    pub policy: LanguageModel,
    /// The judge.
    pub reward: RewardModel,
    /// To train on.
    pub prompts: Vec<(String, PromptInput)>,
    /// To measure on, always the same.
    pub held_out: Vec<(String, PromptInput)>,
    /// An independent judge of held-out answers.
    pub gold: Option<&'a Gold<'a>>,
}

/// Runs PPO in `run`, from its last checkpoint if `resume`; writes the best policy into the run's `model/`.
pub fn improve(
    mut inputs: Inputs<'_>,
    config: &PpoConfig,
    run: &RunDirectory,
    resume: bool,
    observer: &mut dyn Observer,
    stop: &StopFlag,
) -> Result<Outcome, ImproveError> {
    let prompts = tokenise(&inputs.prompts, &inputs.policy)?;
    let held_out = if inputs.held_out.is_empty() {
        Vec::new()
    } else {
        tokenise(&inputs.held_out, &inputs.policy)?
    };
    let LanguageModel { decoder, text } = inputs.policy;
    let tokenizer = text.tokenizer()?;
    let sampling = sampling(config, tokenizer)?;
    let same_tokens = inputs.reward.text.tokenizer()?.sha256() == tokenizer.sha256();
    let mut ppo = networks(decoder, &mut inputs.reward, same_tokens, config, observer)?;
    let device = ppo.reference.embedding.device();
    if let Some(remark) = precision::remark(config.bf16, &device) {
        observer.note(remark);
    }
    if device::is_cpu(&device) {
        let footprint = cost::footprint(&mut ppo, &inputs.reward, &prompts);
        observer.note(&footprint.told(memory::available()));
        let work = cost::work(&ppo, &inputs.reward, &prompts);
        let precision = precision::of_products(config.bf16);
        observer.note(&arithmetic::told(
            work,
            precision,
            &footprint,
            config.steps(),
        ));
    } else {
        observer.compiling();
    }
    let checkpoints = Checkpoints::new(run.checkpoints(), config.save_total_limit);
    let mut earlier = Earlier::default();
    if resume && let Some(checkpoint) = checkpoints.latest()? {
        checkpoint.verify()?;
        earlier = ppo_job::load(&checkpoint.path, &mut ppo).map_err(ImproveError::State)?;
        observer.note(&format!("resumed after step {}", ppo.step));
    }
    let mut metrics = MetricsLog::resume(&run.metrics(), ppo.step)?;
    let mut samples = BufWriter::new(open_samples(run, ppo.step)?);
    let mut job = Job {
        observer,
        stop,
        metrics: &mut metrics,
        samples: &mut samples,
        held_out: &held_out,
        gold: inputs.gold,
        save: &mut |ppo, outcome| {
            let previous = checkpoints.latest()?;
            let best = outcome.best.as_ref().map(|best| best.step);
            checkpoints.save(ppo.step, best, |folder| {
                ppo_job::save(folder, ppo, outcome, previous.as_ref())
            })?;
            Ok(())
        },
        roll_back: &mut |ppo| match checkpoints.latest()? {
            Some(checkpoint) => ppo_job::load(&checkpoint.path, ppo).map(|_| true),
            None => Ok(false),
        },
    };
    let world = World {
        tokenizer,
        prompts: &prompts,
        sampling: &sampling,
        scorer: &inputs.reward,
    };
    let outcome = ppo_job::train(&mut ppo, earlier, &world, &mut job)?;
    if !outcome.interrupted {
        let policy = outcome
            .best
            .as_ref()
            .map_or(&ppo.model.policy, |best| &best.policy);
        save_language_model(policy, &text, &run.model(), SaveDtype::F32)?;
        if config.use_peft {
            peft::save(
                policy,
                None,
                &text.path.to_string_lossy(),
                &run.path().join("adapter"),
            )?;
        }
    }
    Ok(outcome)
}

/// `samples.jsonl`, without the rows that the steps after `step` will write again.
fn open_samples(run: &RunDirectory, step: usize) -> Result<File, ImproveError> {
    let path = run.samples();
    let open = match step {
        0 => File::create(&path),
        _ => reopen(&path, step),
    };
    open.map_err(|source| ImproveError::Io { path, source })
}

/// How answers are drawn: at the job's temperature, from the whole distribution unless that was overridden.
pub fn sampling(
    config: &PpoConfig,
    tokenizer: &crate::model::Tokenizer,
) -> Result<Sampling, ImproveError> {
    let stop_ids = match config.stop_token.as_deref() {
        None | Some("eos") => tokenizer.stop_ids().to_vec(),
        Some(token) => {
            let id = tokenizer
                .token_id(token)
                .ok_or_else(|| ImproveError::StopToken(token.to_owned()))?;
            [tokenizer.stop_ids(), &[id]].concat()
        }
    };
    let sampler = SamplerConfig {
        temperature: config.temperature,
        top_p: config.top_p,
        top_k: config.top_k,
        max_new_tokens: config.response_length,
        greedy: false,
        seed: config.seed,
    };
    Ok(Sampling {
        sampler,
        stop_ids,
        batch_size: config.batch_size.min(64),
        trace: true,
    })
}

/// A job at its start: policy, critic and reference, which compute in the precision that `config` asks for, as `reward` does from now on.
/// `same_tokens` as in [`actor_critic`].
fn networks<'a>(
    mut policy: Decoder,
    reward: &mut RewardModel,
    same_tokens: bool,
    config: &'a PpoConfig,
    observer: &mut dyn Observer,
) -> Result<Ppo<'a>, ImproveError> {
    let precision = precision::of_products(config.bf16);
    policy.set_matmul_precision(precision);
    reward.network.decoder.set_matmul_precision(precision);
    reward.network.decoder.pack();
    if config.lora().is_some() {
        policy.pack(); // now, so that policy and reference share the packed weights
    }
    let reference = policy.base();
    let model = actor_critic(policy, reward, same_tokens, config, observer)?;
    Ok(Ppo::new(config, model, reference))
}

/// The networks that PPO trains, over one trunk where they can share it. `same_tokens`: policy and reward model have one tokenizer.
pub fn actor_critic(
    mut policy: Decoder,
    reward: &RewardModel,
    same_tokens: bool,
    config: &PpoConfig,
    observer: &mut dyn Observer,
) -> Result<ActorCritic, ImproveError> {
    let hidden = policy.config.hidden_size;
    let device = policy.embedding.device();
    let trunk = policy.clone();
    if let Some(lora) = config.lora() {
        policy.attach_lora(&lora, config.seed)?;
    }
    let from_reward = config.critic_init == CriticInit::Reward;
    if from_reward && !same_tokens {
        return Err(ImproveError::Critic {
            reason: "reads other tokens than the policy".to_owned(),
        });
    }
    let head_widths = reward.network.decoder.config.hidden_size;
    if from_reward && config.critic == config::Critic::Shared && head_widths != hidden {
        let reason = format!("has hidden size {head_widths}, the policy {hidden}");
        return Err(ImproveError::Critic { reason });
    }
    let head = if from_reward {
        reward.network.head.clone()
    } else {
        ScalarHead::zero(hidden, &device)
    };
    let critic = match config.critic {
        config::Critic::Shared => Critic::Shared(head),
        config::Critic::Separate => {
            let mut decoder = if from_reward {
                reward.network.decoder.merged()
            } else {
                trunk
            };
            decoder.head = None;
            if let Some(lora) = config.lora() {
                // Another seed than the policy's: the two adapters start apart.
                decoder.attach_lora(&lora, config.seed ^ 1)?;
            }
            Critic::Separate(Box::new(ScalarModel { decoder, head }))
        }
    };
    let place = match critic {
        Critic::Shared(_) => "a head on the policy's trunk",
        Critic::Separate(_) => "a network of its own",
    };
    let start = if from_reward {
        "the reward model"
    } else {
        "zero"
    };
    observer.note(&format!("critic: {place}, starting from {start}"));
    let mut model = ActorCritic { policy, critic };
    let (trained, total) = model.count();
    observer.note(&format!(
        "training {trained} of {total} parameters (policy and critic)"
    ));
    Ok(model)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::MatmulPrecision;
    use crate::run::Silent;

    /// Of all products of all networks of a job: policy, reference, critic if it is a network, reward model.
    fn precisions(config: &PpoConfig) -> Vec<MatmulPrecision> {
        let device = device::cpu().device;
        let model = || LanguageModel::embedded(&device).unwrap();
        let mut reward = RewardModel::on(model(), 3).unwrap();
        let ppo = networks(model().decoder, &mut reward, true, config, &mut Silent).unwrap();
        let critic = match &ppo.model.critic {
            Critic::Separate(critic) => Some(&critic.decoder),
            Critic::Shared(_) => None,
        };
        let all = [&ppo.model.policy, &ppo.reference, &reward.network.decoder];
        let all = all.into_iter().chain(critic);
        all.flat_map(precision::every).collect()
    }

    #[test]
    fn all_networks_of_a_job_compute_in_its_precision() {
        // Four layers of seven projections, and an embedding that is the head, too.
        const NETWORK: usize = 4 * 7 + 1;
        for bf16 in [false, true] {
            for use_peft in [false, true] {
                for (critic, networks) in
                    [(config::Critic::Separate, 4), (config::Critic::Shared, 3)]
                {
                    let config = PpoConfig {
                        critic,
                        bf16,
                        use_peft,
                        ..PpoConfig::default()
                    };
                    let expected = vec![precision::of_products(bf16); networks * NETWORK];
                    assert_eq!(precisions(&config), expected);
                }
            }
        }
    }
}
