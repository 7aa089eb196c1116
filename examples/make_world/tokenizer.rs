//! The tokenizer of the embedded model and the configuration files beside it.

use std::path::Path;

use color_eyre::eyre::{Result, eyre};
use serde_json::{Value, json};
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainerBuilder};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{
    AddedToken, DecoderWrapper, ModelWrapper, NormalizerWrapper, PostProcessorWrapper,
    PreTokenizerWrapper, TokenizerBuilder, TokenizerImpl,
};

/// The special tokens, in the order of their ids.
const SPECIAL: [&str; 4] = ["<|pad|>", "<|end|>", "<|user|>", "<|assistant|>"];
const VOCABULARY: usize = 2048;
const CONTEXT: usize = 128;

/// `<|user|>` request `<|end|>` `<|assistant|>` reply `<|end|>`, without line breaks: on replies
/// this short every token of the frame counts.
const CHAT_TEMPLATE: &str = "{% for message in messages %}{{ '<|' + message['role'] + '|>' + \
    message['content'] + '<|end|>' }}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}";

type Tokenizer = TokenizerImpl<
    ModelWrapper,
    NormalizerWrapper,
    PreTokenizerWrapper,
    PostProcessorWrapper,
    DecoderWrapper,
>;

/// Train a byte-level BPE tokenizer on `texts` and write `tokenizer.json`,
/// `tokenizer_config.json` and `config.json`, the decoder to train from scratch, into `dir`.
pub(crate) fn write(dir: &Path, texts: &[&str]) -> Result<()> {
    let tokenizer = train(texts)?;
    let vocabulary = tokenizer.get_vocab_size(true);
    tokenizer
        .save(dir.join("tokenizer.json"), true)
        .map_err(|error| eyre!("{}: {error}", dir.join("tokenizer.json").display()))?;
    super::write_json(&dir.join("tokenizer_config.json"), &tokenizer_config())?;
    super::write_json(&dir.join("config.json"), &decoder_config(vocabulary))
}

fn train(texts: &[&str]) -> Result<Tokenizer> {
    let bytes = ByteLevel::new(false, true, true);
    let mut tokenizer: Tokenizer = TokenizerBuilder::default()
        .with_model(ModelWrapper::BPE(BPE::default()))
        .with_normalizer(None)
        .with_pre_tokenizer(Some(PreTokenizerWrapper::ByteLevel(bytes)))
        .with_post_processor(None)
        .with_decoder(Some(DecoderWrapper::ByteLevel(bytes)))
        .build()
        .map_err(|error| eyre!("tokenizer: {error}"))?;
    let mut trainer: TrainerWrapper = BpeTrainerBuilder::new()
        .vocab_size(VOCABULARY)
        .show_progress(false)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .special_tokens(SPECIAL.map(|token| AddedToken::from(token, true)).to_vec())
        .build()
        .into();
    tokenizer
        .train(&mut trainer, texts.iter())
        .map_err(|error| eyre!("tokenizer: {error}"))?;
    Ok(tokenizer)
}

fn tokenizer_config() -> Value {
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": null,
        "eos_token": SPECIAL[1],
        "pad_token": SPECIAL[0],
        "unk_token": null,
        "add_bos_token": false,
        "add_eos_token": false,
        "clean_up_tokenization_spaces": false,
        "model_max_length": CONTEXT,
        "chat_template": CHAT_TEMPLATE,
    })
}

fn decoder_config(vocabulary: usize) -> Value {
    json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": vocabulary,
        "hidden_size": 192,
        "intermediate_size": 512,
        "num_hidden_layers": 4,
        "num_attention_heads": 6,
        "num_key_value_heads": 6,
        "head_dim": 32,
        "hidden_act": "silu",
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "rope_scaling": null,
        "attention_bias": false,
        "mlp_bias": false,
        "attention_dropout": 0.0,
        "initializer_range": 0.02,
        "tie_word_embeddings": true,
        "use_cache": true,
        "bos_token_id": null,
        "eos_token_id": 1,
        "pad_token_id": 0,
        "torch_dtype": "float32",
    })
}
