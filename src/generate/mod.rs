//! Text from a model: [`sampler`] draws one token (`device_sampler` on a GPU), [`engine`] decodes many responses at once, [`answer`] goes from text to tokens
//! and back, [`inspect`] reads what a model thinks of given tokens.

pub mod answer;
pub mod batched;
mod cpu;
mod device_sampler;
pub mod engine;
pub mod inspect;
mod network;
pub mod sampler;

pub use answer::AnswerError;
pub use engine::{
    Completion, FinishReason, GenerateError, Listener, Request, Settings, Trace, generate,
    prompt_key, warm_up,
};
pub use sampler::{SamplerConfig, SamplerError};
