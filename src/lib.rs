//! Reinforcement learning from human feedback.
pub mod algo;
pub mod device;
pub mod model;
pub mod policy;
pub mod run;
