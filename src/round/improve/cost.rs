//! What a step of PPO costs on the CPU, told before the first.

use crate::model::Parameters;
use crate::model::arithmetic::{StepWork, TokenWork};
use crate::model::footprint::{Footprint, Held, Microbatch};
use crate::policy::actor_critic::Critic;
use crate::policy::lm_head::CHUNK_ELEMENTS;
use crate::policy::ppo::Ppo;
use crate::policy::rollout::Prompt;
use crate::reward::model::RewardModel;

/// The memory that a step needs at most.
pub fn footprint(ppo: &mut Ppo<'_>, reward: &RewardModel, prompts: &[Prompt]) -> Footprint {
    let (config, policy) = (ppo.config, &ppo.model.policy);
    let mut held = Held::default().and(&ppo.reference).and(policy);
    if let Critic::Separate(critic) = &ppo.model.critic {
        held = held.and(&critic.decoder);
    }
    let longest = prompts.iter().map(|prompt| prompt.ids.len()).max();
    let batch = Microbatch {
        rows: (config.batch_size / config.num_mini_batches).min(config.per_device_train_batch_size),
        length: longest.unwrap_or(0) + config.response_length,
        logits: config.response_length * policy.config.vocab_size,
        chunk: CHUNK_ELEMENTS,
    };
    let held = held.and(&reward.network.decoder);
    let policy = policy.clone();
    Footprint::new(&held, ppo.model.count().0, &policy, batch)
}

/// The work of a step whose answers are all as long as they may be: sampling and scores, a pass of reference and critic and of
/// the layers that never change (what the policy says is the sampler's to tell), and the epochs.
pub fn work(ppo: &Ppo<'_>, reward: &RewardModel, prompts: &[Prompt]) -> StepWork {
    let (config, policy) = (ppo.config, &ppo.model.policy);
    let asked = prompts.iter().map(|prompt| prompt.ids.len()).sum::<usize>() as f64;
    let prompt = asked / prompts.len().max(1) as f64;
    let rows = config.batch_size as f64;
    let (questions, answers) = (rows * prompt, rows * config.response_length as f64);
    let tokens = questions + answers;
    let of = |decoder| TokenWork::of(decoder, prompt as usize + config.response_length);
    let (actor, judge) = (of(policy), of(&reward.network.decoder));
    let reference = of(&ppo.reference);

    let decoding = actor.decoding(config.batch_size, config.response_length);
    let begun = actor.forward(tokens) - actor.forward_above(tokens);
    let anchor = if ppo.reference.shares(policy, policy.constant_layers()) {
        actor.forward_above(tokens)
    } else {
        reference.forward(tokens)
    } + reference.logits(answers);
    let update = actor.learning(tokens) + actor.learning_logits(answers);
    let (values, of_critic) = match &ppo.model.critic {
        Critic::Shared(_) => (0.0, 0.0),
        Critic::Separate(critic) => {
            let critic = of(&critic.decoder);
            (critic.forward(tokens), critic.learning(tokens))
        }
    };
    let epochs = config.num_ppo_epochs as f64;
    let once = actor.forward(questions) + judge.forward(tokens) + begun + anchor + values;
    actor.step(once + epochs * (update + of_critic), decoding)
}
