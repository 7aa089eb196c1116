//! Decoders in Hugging Face folders: configuration, network, adapters, weights, text.

pub mod attention;
pub mod chat_template;
pub mod config;
pub mod embedded;
pub mod fused;
pub mod heads;
pub mod hub;
pub mod language_model;
pub mod linear;
pub mod lora;
pub mod norm;
pub mod optimizer;
pub mod parameters;
pub mod peft;
pub mod rope;
pub mod scorer;
pub mod source;
pub mod table;
pub mod tokenizer;
pub mod tokenizer_files;
pub mod tokens;
pub mod training_state;
pub mod transformer;
pub mod weights;
pub mod workers;

pub use config::DecoderConfig;
pub use heads::{ScalarHead, ScalarModel};
pub use language_model::{LanguageModel, ModelError, ModelText};
pub use linear::Linear;
pub use lora::LoraConfig;
pub use parameters::{GradientMap, Parameters};
pub use scorer::{PromptInput, ScoreRequest, Scorer};
pub use table::Table;
pub use tokenizer::Tokenizer;
pub use tokens::TokenBatch;
pub use transformer::Decoder;
