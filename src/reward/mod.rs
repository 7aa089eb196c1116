//! Reward models.
pub mod config;
pub mod model;
