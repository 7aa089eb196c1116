//! The policy and its value function: what PPO trains, under one optimiser and one gradient norm.

use burn::tensor::Tensor;

use crate::model::parameters::{Prefixed, Visitor};
use crate::model::transformer::Underway;
use crate::model::{Decoder, Parameters, ScalarHead, ScalarModel, TokenBatch};

use super::lm_head::Targets;

/// Prefix of the policy's parameter names in optimiser and checkpoint.
pub const POLICY: &str = "policy.";
/// Prefix of the critic's.
pub const CRITIC: &str = "critic.";

/// The value function.
#[derive(Debug, Clone)]
pub enum Critic {
    /// A network of its own; over a frozen trunk only its adapters and head are its own.
    Separate(Box<ScalarModel>),
    /// A head on the policy's hidden states.
    Shared(ScalarHead),
}

/// What is trained.
#[derive(Debug, Clone)]
pub struct ActorCritic {
    /// The policy.
    pub policy: Decoder,
    /// Its value function.
    pub critic: Critic,
}

impl ActorCritic {
    /// The value before each target token.
    ///
    /// # Shapes
    /// `pass`: the policy's over `tokens`, up to some layer; `states`: its hidden states at the targets, `[targets, hidden]`; result
    /// `[targets]`.
    pub fn values(
        &self,
        pass: &Underway,
        tokens: &TokenBatch,
        targets: &Targets,
        states: Tensor<2>,
    ) -> Tensor<1> {
        match &self.critic {
            Critic::Shared(head) => head.forward(states),
            Critic::Separate(critic) => self.values_of(critic, pass, tokens, targets),
        }
    }

    /// The same by a critic that is a network of its own.
    pub fn values_of(
        &self,
        critic: &ScalarModel,
        pass: &Underway,
        tokens: &TokenBatch,
        targets: &Targets,
    ) -> Tensor<1> {
        let hidden = if critic.decoder.shares(&self.policy, pass.layer) {
            critic.decoder.finish(pass.clone(), tokens)
        } else {
            critic.decoder.hidden(tokens)
        };
        critic.head.forward(targets.states(hidden))
    }
}

impl Parameters for ActorCritic {
    fn visit(&mut self, visitor: &mut impl Visitor) {
        self.policy.visit(&mut Prefixed {
            prefix: POLICY,
            inner: visitor,
        });
        let mut inner = Prefixed {
            prefix: CRITIC,
            inner: visitor,
        };
        match &mut self.critic {
            Critic::Separate(model) => model.visit(&mut inner),
            Critic::Shared(head) => head.visit(&mut inner),
        }
    }
}
