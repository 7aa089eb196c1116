//! A workbench for reinforcement learning from human feedback.
//!
//! # Bird's-eye view
//!
//! A policy answers prompts ([`round::sample`]); people compare the answers ([`tui::label`], [`feedback`]); a reward model learns
//! from their judgements ([`reward`]); PPO improves the policy against it ([`policy::ppo`]), held close to a frozen reference;
//! the next round starts from the result. Models are Hugging Face folders ([`model`]) on the CPU or a GPU ([`device`]).
//!
//! # Code map
//!
//! Dependencies point down; nothing points back (`tests/it/architecture.rs` checks it).
//!
//! | room | what is in it |
//! |---|---|
//! | [`cli`] | one file per subcommand: arguments → one library call → print |
//! | [`config`] | defaults, `rlhf.toml` and flags, resolved; TRL's names |
//! | [`tui`] | the labelling screen: a pure state machine, a layout, a renderer |
//! | [`round`] | sample, improve, compare: what joins policy and reward model |
//! | [`policy`], [`reward`] | the trainers; a policy sees scores only through [`model::Scorer`] |
//! | [`generate`] | sampling: a decoder of our own on the CPU, burn's tensors elsewhere |
//! | [`model`] | decoder, adapters, heads, weights, tokenizer, chat template, hub |
//! | [`kernels`] | the CPU's inner loops: packed products, attention, norms; slices in, slices out |
//! | [`algo`] | the mathematics, pure, one idea per file |
//! | [`feedback`] | the judgement record, the append-only store, import and export |
//! | [`stats`] | intervals, agreement, calibration, variety |
//! | [`run`] | what a job writes: directory, provenance, metrics, checkpoints, control |
//!
//! # Invariants
//!
//! - `algo`, `stats`, `feedback::record` and every `update` of the screen do no I/O and read no clock; randomness is an argument.
//! - `algo` takes tensors and returns tensors; it knows no model.
//! - Nothing below `cli` imports `config`: a settings struct lives beside the code that it configures.
//! - Only `cli` and `tui` print; only `main` exits.
//! - A file that another process may read is written under a temporary name, synced and renamed.
//! - Weights are plain tensors; gradient tracking is a view of them, made for one backward pass ([`model::parameters`]).
//! - A judgement is on disk before the screen moves on; a record is appended and never changed.
//!
//! # Glossary
//!
//! *Prompt*, *response*: what the policy is given and what it writes. *Score*: the reward model's output, one per response. *Reward*:
//! per token, the KL penalty with the score at the end. *Rollout*: sampling a batch of *episodes*. *Step*: a rollout and its epochs.
//! *Update*: one step of the optimiser on one *minibatch*, computed a *microbatch* at a time. *Judgement*: what an *annotator* said about
//! an *item*, a prompt with two to nine candidates.

pub mod algo;
pub mod cli;
pub mod config;
pub mod cores;
pub mod device;
pub mod feedback;
pub mod generate;
pub mod kernels;
pub mod model;
pub mod policy;
pub mod reward;
pub mod round;
pub mod run;
pub mod stats;
pub mod tui;
