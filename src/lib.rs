//! Reinforcement learning from human feedback.
pub mod algo;
pub mod cli;
pub mod config;
pub mod device;
pub mod feedback;
pub mod generate;
pub mod model;
pub mod policy;
pub mod reward;
pub mod round;
pub mod run;
pub mod stats;
pub mod tui;
