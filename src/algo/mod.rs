//! The mathematics of learning from human feedback, one idea per file.
//!
//! Functions take tensors and return tensors. They do no I/O, read no clock, draw no random numbers
//! and know no model, so that each can be held against its paper and against golden numbers.
//!
//! | file | what it computes |
//! |---|---|
//! | [`masked`] | sums, mean, variance and whitening over real tokens |
//! | [`logprob`] | log-probability and entropy from logits, and the gradient by hand |
//! | [`kl`] | KL estimators and the KL coefficient's controller |
//! | [`rewards`] | the reward of each token from KL and score; responses without EOS |
//! | [`gae`] | advantages and returns |
//! | [`ppo`], [`ppo_stats`] | the clipped losses of PPO, and what is logged about them |
//! | [`bradley_terry`], [`plackett_luce`], [`davidson`] | reward-model losses: pairs, rankings, ties |
//! | [`dpo`], [`group`] | beside PPO, from the same labels: DPO, cDPO, IPO; RLOO, GRPO |
//! | [`adamw`], [`clip`], [`schedule`] | the optimiser, the global gradient norm, the learning rate |
//!
//! Conventions: batch first; a mask is true at real tokens; what stands at a pad is never looked at,
//! and results are 0 there. Losses are masked sums over a denominator that the caller gives, so that
//! the losses of microbatches add up to the loss of their minibatch.

pub mod adamw;
pub mod bradley_terry;
pub mod clip;
pub mod davidson;
pub mod dpo;
pub mod gae;
pub mod group;
mod host;
pub mod kl;
pub mod logprob;
pub mod masked;
pub mod plackett_luce;
pub mod ppo;
pub mod ppo_stats;
pub mod rewards;
pub mod schedule;
