//! Text from a model: [`sampler`] draws one token, [`engine`] decodes many responses at once, [`answer`] goes from text to tokens
//! and back, [`inspect`] reads what a model thinks of given tokens.

pub mod answer;
pub mod batched;
mod cpu;
pub mod engine;
pub mod inspect;
mod network;
pub mod sampler;

pub use answer::AnswerError;
pub use engine::{
    Completion, FinishReason, GenerateError, Listener, Request, Settings, Trace, generate,
    prompt_key,
};
pub use sampler::{SamplerConfig, SamplerError};
