//! Reward models: from judgements to a score for a response.
//!
//! | file | what |
//! |---|---|
//! | [`config`] | hyperparameters |
//! | [`model`] | decoder under a scalar head, scale of its scores |
//! | [`dataset`] | judgements as token rows, split by prompt |
//! | [`batches`] | which pairs each update sees |
//! | `pass` | loss, scores and gradients of an update |
//! | [`trainer`] | the training loop |
//! | [`evaluation`] | what scores say about pairs whose winner is known |
//! | [`report`] | how good a reward model is, and how far length alone would get |
//! | [`job`] | a whole training job: train, normalise, save, report |
//! | [`scoring`] | scores for rows of JSONL |

pub mod batches;
pub mod config;
pub mod dataset;
pub mod evaluation;
pub mod job;
pub mod model;
mod pass;
pub mod report;
pub mod scoring;
pub mod trainer;
