//! What any training job writes and how it is configured, watched, stopped and resumed.

pub mod optimizer;
pub mod settings;
