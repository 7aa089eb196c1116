//! Training a policy: supervised fine-tuning, and PPO against a reward model.

pub mod actor_critic;
pub mod behaviour;
pub mod best;
pub mod config;
pub mod experience;
pub mod kept;
pub mod lm_head;
pub mod ppo;
pub mod ppo_job;
pub mod ppo_report;
pub mod rollout;
pub mod sft;
pub mod sft_data;
pub mod sft_state;
pub mod update;
