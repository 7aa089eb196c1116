//! Training a policy.
pub mod actor_critic;
pub mod config;
pub mod experience;
pub mod lm_head;
pub mod sft;
pub mod sft_data;
pub mod update;
