//! Tokenizers give the ids and texts that Python's `tokenizers` gives.
//!
//! `tests/fixtures/tokenizer` holds a byte-level one (GPT-2, SmolLM; pad = EOS; truncation and
//! padding stored in the file) and a SentencePiece-like one (Llama 2; BOS added).

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rlhf::model::chat_template::{ChatTemplate, Message};
use rlhf::model::tokenizer::{Tokenizer, TokenizerError};
use rlhf::model::tokenizer_files::TokenizerFiles;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    text: String,
    ids: Vec<u32>,
    ids_with_special: Vec<u32>,
    decoded: String,
    decoded_without_special: String,
    alone: Vec<String>,
}

#[derive(Deserialize)]
struct Golden {
    tokenizer_cases: Vec<GoldenCase>,
    chat_template: GoldenChat,
}

#[derive(Deserialize)]
struct GoldenCase {
    text: String,
    ids: Vec<u32>,
}

#[derive(Deserialize)]
struct GoldenChat {
    messages: Vec<Message>,
    rendered: String,
    ids: Vec<u32>,
}

const FOLDERS: [&str; 2] = ["byte_level", "sentencepiece"];

fn folder(name: &str) -> PathBuf {
    Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/tokenizer"
    ))
    .join(name)
}

fn load(name: &str) -> Tokenizer {
    Tokenizer::from_folder(&folder(name)).unwrap()
}

fn files(generation: Option<&str>, config: Option<&str>) -> TokenizerFiles {
    TokenizerFiles {
        generation_config: generation.map(|json| json.as_bytes().to_vec()),
        tokenizer_config: config.map(|json| json.as_bytes().to_vec()),
        ..TokenizerFiles::read(&folder("byte_level")).unwrap()
    }
}

fn streamed(tokenizer: &Tokenizer, ids: &[u32], skip_special: bool) -> Vec<String> {
    let mut stream = tokenizer.stream(skip_special);
    let mut pieces: Vec<String> = ids.iter().map(|&id| stream.push(id).unwrap()).collect();
    pieces.push(stream.finish().unwrap());
    pieces
}

#[test]
fn ids_and_texts_equal_pythons() {
    for name in FOLDERS {
        let tokenizer = load(name);
        let cases = std::fs::read_to_string(folder(name).join("cases.json")).unwrap();
        let cases: Vec<Case> = serde_json::from_str(&cases).unwrap();
        assert_eq!(cases.len(), 12);
        for case in cases {
            let context = format!("{name}: {:?}", case.text);
            assert_eq!(tokenizer.encode(&case.text).unwrap(), case.ids, "{context}");
            let with_special = tokenizer.encode_with_special(&case.text).unwrap();
            assert_eq!(with_special, case.ids_with_special, "{context}");
            assert_eq!(
                tokenizer.decode(&case.ids, false).unwrap(),
                case.decoded,
                "{context}"
            );
            let without = tokenizer.decode(&case.ids, true).unwrap();
            assert_eq!(without, case.decoded_without_special, "{context}");
            for (&id, alone) in case.ids.iter().zip(&case.alone) {
                let text = tokenizer.token_text(id).unwrap();
                assert!(
                    text == *alone || text == format!(" {alone}"),
                    "{context}: {text:?}"
                );
            }
            for (skip, text) in [(false, case.decoded), (true, case.decoded_without_special)] {
                assert_eq!(
                    streamed(&tokenizer, &case.ids, skip).concat(),
                    text,
                    "{context}"
                );
            }
        }
    }
}

#[test]
fn a_token_reads_as_it_does_inside_a_sentence() {
    let tokenizer = load("sentencepiece");
    let texts = |text: &str| -> Vec<String> {
        let ids = tokenizer.encode(text).unwrap();
        ids.iter()
            .map(|&id| tokenizer.token_text(id).unwrap())
            .collect()
    };
    assert_eq!(texts("help you"), [" help", " you"]);
    assert_eq!(tokenizer.token_text(1).unwrap(), "<s>");
    assert_eq!(tokenizer.token_text(460), None);
}

#[test]
fn a_stream_never_cuts_a_character() {
    for name in FOLDERS {
        let tokenizer = load(name);
        let ids = tokenizer.encode("日🙂a").unwrap();
        let pieces = streamed(&tokenizer, &ids, false);
        let written: Vec<&str> = pieces
            .iter()
            .map(String::as_str)
            .filter(|p| !p.is_empty())
            .collect();
        assert_eq!(written, ["日", "🙂", "a"], "{name}");

        // Cut off inside the second character: only the end reads U+FFFD.
        let cut = streamed(&tokenizer, &ids[..ids.len() - 2], false);
        assert!(
            cut.last().unwrap().chars().all(|c| c == '\u{fffd}'),
            "{name}: {cut:?}"
        );
        assert_eq!(cut[..cut.len() - 1].concat(), "日", "{name}");
    }
}

#[test]
fn a_stream_repeats_nothing_when_later_bytes_spoil_earlier_ones() {
    let tokenizer = load("sentencepiece");
    let mut ids = tokenizer.encode("help").unwrap();
    ids.extend([3 + u32::from(b'!'), 3 + 0x80]);
    assert_eq!(
        tokenizer.decode(&ids, false).unwrap(),
        "help\u{fffd}\u{fffd}"
    );
    assert_eq!(
        streamed(&tokenizer, &ids, false).concat(),
        "help!\u{fffd}\u{fffd}"
    );
}

#[test]
fn special_ids_come_from_all_files_and_pad_may_equal_eos() {
    let byte_level = load("byte_level");
    assert_eq!(byte_level.bos_id(), Some(1));
    assert_eq!(byte_level.eos_id().unwrap(), 2);
    assert_eq!(byte_level.pad_id(), Some(2));
    assert_eq!(byte_level.stop_ids(), [2, 0]);
    assert_eq!(byte_level.token_id("<|im_end|>"), Some(2));
    assert_eq!(byte_level.vocab_size(), 420);

    // Tokens as objects, pad null, no generation_config.json.
    let sentencepiece = load("sentencepiece");
    assert_eq!(
        (sentencepiece.bos_id(), sentencepiece.pad_id()),
        (Some(1), None)
    );
    assert_eq!(sentencepiece.stop_ids(), [2]);

    let stops = |generation, config: Option<&str>, model: Option<&[u8]>| {
        Tokenizer::from_files(&files(generation, config), model)
            .unwrap()
            .stop_ids()
            .to_vec()
    };
    let model: &[u8] = br#"{"eos_token_id": 5}"#;
    assert_eq!(stops(None, None, Some(model)), [5]);
    assert_eq!(
        stops(Some(r#"{"eos_token_id": 7}"#), None, Some(model)),
        [7]
    );
    let both = stops(
        Some(r#"{"eos_token_id": [7, 2]}"#),
        Some(r#"{"eos_token": "<|im_end|>"}"#),
        None,
    );
    assert_eq!(both, [2, 7]);
    let none = Tokenizer::from_files(&files(None, None), None).unwrap();
    assert!(matches!(none.eos_id(), Err(TokenizerError::NoEos)));
}

#[test]
fn a_folder_without_tokenizer_says_what_to_do() {
    let empty = tempfile::tempdir().unwrap();
    let error = Tokenizer::from_folder(empty.path()).unwrap_err();
    assert!(matches!(&error, TokenizerError::Missing { folder } if folder == empty.path()));
    let expected = format!("{} has no tokenizer.json: ", empty.path().display());
    assert!(error.to_string().starts_with(&expected), "{error}");
}

#[test]
fn malformed_files_are_named() {
    let message =
        |files: &TokenizerFiles| Tokenizer::from_files(files, None).unwrap_err().to_string();
    let truncated = TokenizerFiles {
        tokenizer: b"{\"version\": \"1.0\", ".to_vec(),
        ..files(None, None)
    };
    assert!(
        message(&truncated).starts_with("tokenizer.json is not valid: "),
        "{}",
        message(&truncated)
    );
    let broken = message(&files(None, Some("{")));
    assert!(
        broken.starts_with("tokenizer_config.json is not valid: EOF"),
        "{broken}"
    );
    assert_eq!(
        message(&files(Some(r#"{"eos_token_id": [2, -1]}"#), None)),
        "generation_config.json is not valid: eos_token_id must hold token ids, found -1"
    );
}

#[test]
fn a_tokenizer_larger_than_the_embedding_is_refused() {
    let tokenizer = load("byte_level");
    tokenizer.check_fits(420).unwrap();
    tokenizer.check_fits(512).unwrap();
    let error = tokenizer.check_fits(419).unwrap_err().to_string();
    let start = "vocabulary mismatch: the tokenizer's highest id is 419 (";
    assert!(error.starts_with(start), "{error}");
    assert!(
        error.contains("has only 419 rows (config.json: vocab_size)"),
        "{error}"
    );
}

#[test]
fn the_hash_is_that_of_the_file() {
    // sha256sum tests/fixtures/tokenizer/byte_level/tokenizer.json
    assert_eq!(
        load("byte_level").sha256(),
        "3735f1336740263abf6e73c16a31b5645bd399b54677444d20d92453c4dbf8c5"
    );
    assert_ne!(load("byte_level").sha256(), load("sentencepiece").sha256());
}

#[test]
fn files_pass_through_unchanged() {
    let original = TokenizerFiles::read(&folder("byte_level")).unwrap();
    let copy = tempfile::tempdir().unwrap();
    for (name, bytes) in original.entries() {
        std::fs::write(copy.path().join(name), bytes).unwrap();
    }
    assert_eq!(TokenizerFiles::read(copy.path()).unwrap(), original);
    let names: Vec<&str> = original.entries().map(|(name, _)| name).collect();
    assert_eq!(
        names,
        [
            "tokenizer.json",
            "tokenizer_config.json",
            "generation_config.json"
        ]
    );
}

proptest! {
    /// Whatever is sampled, the stream writes what decoding the whole would.
    #[test]
    fn streaming_any_ids_equals_decoding_them(ids in prop::collection::vec(0_u32..440, 0..40)) {
        let sentencepiece: Vec<u32> =
            ids.iter().map(|&id| if id < 3 { id } else { 259 + id % 201 }).collect();
        for (name, ids) in FOLDERS.iter().zip([ids, sentencepiece]) {
            let tokenizer = load(name);
            for skip_special in [false, true] {
                let whole = tokenizer.decode(&ids, skip_special).unwrap();
                prop_assert_eq!(streamed(&tokenizer, &ids, skip_special).concat(), whole);
            }
        }
    }

    /// Byte-level tokens lose nothing: any text comes back.
    #[test]
    fn any_text_survives_byte_level_tokens(text in ".{0,60}") {
        let tokenizer = load("byte_level");
        let ids = tokenizer.encode(&text).unwrap();
        prop_assert_eq!(tokenizer.decode(&ids, false).unwrap(), text);
    }
}

/// `RLHF_SMOLLM2=<folder>` compares with the golden values of SmolLM2-135M-Instruct.
#[test]
fn optional_smollm2_tokens_and_chat_equal_the_golden_values() {
    let Some(model) = std::env::var_os("RLHF_SMOLLM2") else {
        eprintln!("skipped: set RLHF_SMOLLM2 to a folder with SmolLM2-135M-Instruct to run this");
        return;
    };
    let golden = std::fs::read_to_string(folder("smollm2.json")).unwrap();
    let golden: Golden = serde_json::from_str(&golden).unwrap();
    let files = TokenizerFiles::read(Path::new(&model)).unwrap();
    let tokenizer = Tokenizer::from_folder(Path::new(&model)).unwrap();
    for case in golden.tokenizer_cases {
        assert_eq!(
            tokenizer.encode(&case.text).unwrap(),
            case.ids,
            "{:?}",
            case.text
        );
        assert_eq!(tokenizer.decode(&case.ids, false).unwrap(), case.text);
    }
    let template = ChatTemplate::from_files(&files).unwrap().unwrap();
    let rendered = template
        .render(&golden.chat_template.messages, true)
        .unwrap();
    assert_eq!(rendered, golden.chat_template.rendered);
    assert_eq!(
        tokenizer.encode(&rendered).unwrap(),
        golden.chat_template.ids
    );
    assert_eq!(
        (tokenizer.stop_ids(), tokenizer.pad_id()),
        (&[2][..], Some(2))
    );
    tokenizer.check_fits(49152).unwrap();
}
