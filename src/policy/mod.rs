//! Training a policy.
pub mod config;
pub mod lm_head;
pub mod sft;
pub mod sft_data;
