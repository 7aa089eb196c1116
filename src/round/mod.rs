//! A round: sample answers, judge them, train a reward model, improve the policy, compare.

pub mod bench;
pub mod compare;
pub mod config;
pub mod demo;
pub mod improve;
pub mod live;
pub mod prompts;
pub mod sample;
