//! Batched decoding through the key-value cache, on real (tiny) models.

use rlhf::generate::{
    Completion, FinishReason, GenerateError, Listener, Request, SamplerConfig, Settings, batched,
    generate, prompt_key,
};
use rlhf::model::lora::Layers;
use rlhf::model::{Decoder, TokenBatch};

use crate::golden_model::{expected, fixture, load, logits, logprob, lora, stir};

/// Five prompts of four lengths; two are equal.
const PROMPTS: [&[u32]; 5] = [
    &[5, 17, 80, 33],
    &[9],
    &[61, 62, 63, 64, 65, 66, 67],
    &[5, 17, 80, 33],
    &[12, 90],
];

fn requests(prompts: &[&[u32]]) -> Vec<Request> {
    let request = |(sample, prompt): (usize, &&[u32])| Request {
        prompt: prompt.to_vec(),
        key: prompt_key(prompt),
        sample: sample as u64,
    };
    prompts.iter().enumerate().map(request).collect()
}

fn sampling(temperature: f64) -> SamplerConfig {
    SamplerConfig {
        temperature,
        max_new_tokens: 20,
        seed: 42,
        ..SamplerConfig::default()
    }
}

/// With our decoder for the CPU and with burn's tensors, as GPUs use them: they must agree.
fn run(
    decoder: &Decoder,
    requests: &[Request],
    sampler: &SamplerConfig,
    stop_ids: &[u32],
    batch_size: usize,
) -> Result<Vec<Completion>, GenerateError> {
    let settings = Settings {
        sampler,
        stop_ids,
        batch_size,
        trace: false,
    };
    let ours = generate(decoder, requests, settings, &mut ());
    let burns = batched::generate(decoder, requests, settings, &mut ());
    match (&ours, burns) {
        (Ok(ours), Ok(burns)) => assert_same(ours, &burns),
        (Err(ours), Err(burns)) => assert_eq!(ours.to_string(), burns.to_string()),
        (ours, burns) => panic!("{ours:?} and {burns:?}"),
    }
    ours
}

/// A model of every family, with each way to place positions.
pub const FAMILIES: [&str; 6] = [
    "gpt2-tiny",
    "llama-tiny",
    "llama3-rope-tiny",
    "mistral-window-tiny",
    "qwen2-tiny",
    "qwen3-tiny",
];

fn llama() -> Decoder {
    load(&fixture("llama-tiny"))
}

#[test]
fn greedy_decoding_continues_as_transformers_does() {
    for name in FAMILIES {
        let decoder = load(&fixture(name));
        let expected = expected(name);
        // The padded rows decode beside row 0 and must not disturb it.
        let real = |row: usize| {
            let ids = expected.input_ids[row]
                .iter()
                .zip(&expected.attention_mask[row]);
            ids.filter(|(_, mask)| **mask == 1)
                .map(|(&id, _)| id)
                .collect::<Vec<u32>>()
        };
        let prompts = [real(0), real(1), real(2)];
        let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
        let greedy = SamplerConfig {
            greedy: true,
            max_new_tokens: 16,
            ..SamplerConfig::default()
        };
        let answers = run(&decoder, &requests(&prompts), &greedy, &[], 8).unwrap();
        assert_eq!(
            [prompts[0], &answers[0].ids].concat(),
            expected.greedy_ids,
            "{name}"
        );
        assert_eq!(answers[0].finish_reason, FinishReason::Length);
    }
}

#[test]
fn a_response_does_not_depend_on_what_else_is_in_the_batch() {
    let decoder = llama();
    let requests = requests(&PROMPTS);
    let together = run(&decoder, &requests, &sampling(1.0), &[7, 8, 9, 10], 100).unwrap();
    let ended = |reason| together.iter().any(|c| c.finish_reason == reason);
    assert!(ended(FinishReason::Stop), "some rows leave the batch early");
    assert!(ended(FinishReason::Length), "and some don't");
    for batch_size in [1, 2, 3] {
        let apart = run(
            &decoder,
            &requests,
            &sampling(1.0),
            &[7, 8, 9, 10],
            batch_size,
        )
        .unwrap();
        assert_same(&apart, &together);
    }
    let reversed: Vec<Request> = requests.iter().rev().cloned().collect();
    let mut backwards = run(&decoder, &reversed, &sampling(1.0), &[7, 8, 9, 10], 2).unwrap();
    backwards.reverse();
    assert_same(&backwards, &together);
}

fn assert_same(a: &[Completion], b: &[Completion]) {
    assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        assert_eq!(a.ids, b.ids);
        assert_eq!(a.finish_reason, b.finish_reason);
        for (x, y) in a.logprobs.iter().zip(&b.logprobs) {
            assert!((x - y).abs() < 5e-5, "{x} {y}"); // half of what the trainer allows
        }
    }
}

/// Long prompts, of which some begin alike: read in parts, copied from each other, and in slots that change hands.
#[test]
fn in_our_decoder_neighbours_do_not_change_one_bit() {
    for name in ["llama-tiny", "mistral-window-tiny", "qwen3-tiny"] {
        let mut decoder = load(&fixture(name));
        decoder.attach_lora(&lora(Layers::All), 1).unwrap();
        for projection in decoder.projections() {
            stir(projection, 5);
        }
        let row = |seed: u32, shared: u32, length: u32| -> Vec<u32> {
            let id = |i| {
                if i < shared {
                    i * 13 % 97
                } else {
                    (i * 31 + seed) % 97
                }
            };
            (0..length).map(id).collect()
        };
        let prompts = [
            (1, 25, 60),
            (2, 25, 55),
            (2, 25, 55),
            (3, 0, 60),
            (4, 17, 18),
        ];
        let prompts = prompts.map(|(seed, shared, length)| row(seed, shared, length));
        let prompts: Vec<&[u32]> = prompts.iter().map(Vec::as_slice).collect();
        let (requests, sampler) = (requests(&prompts), sampling(1.0));
        let decoded = |requests: &[Request], batch_size| {
            let settings = Settings {
                sampler: &sampler,
                stop_ids: &[7, 8, 9],
                batch_size,
                trace: false,
            };
            generate(&decoder, requests, settings, &mut ()).unwrap()
        };
        let together = decoded(&requests, 4);
        assert_same(
            &together,
            &run(&decoder, &requests, &sampler, &[7, 8, 9], 2).unwrap(),
        );
        for (request, answer) in requests.iter().zip(&together) {
            assert_eq!(
                &decoded(std::slice::from_ref(request), 1)[0],
                answer,
                "{name}"
            );
        }
    }
}

/// Item 23 of the checklist: the sampler's log-probabilities are those of the trainer's forward pass.
#[test]
fn log_probabilities_are_those_of_a_full_forward_pass_at_the_temperature() {
    for (name, temperature, top_k) in [
        ("llama-tiny", 0.7, 0),
        ("gpt2-tiny", 1.3, 0),
        ("qwen3-tiny", 1.0, 5),
    ] {
        let decoder = load(&fixture(name));
        let sampler = SamplerConfig {
            top_k,
            ..sampling(temperature)
        };
        let answers = run(&decoder, &requests(&PROMPTS), &sampler, &[7, 8, 9, 10], 4).unwrap();
        for (prompt, answer) in PROMPTS.iter().zip(&answers) {
            let row = [prompt, answer.ids.as_slice()].concat();
            let logits = logits(&decoder, &TokenBatch::left_padded(&[&row], 0, 0));
            for (index, (&id, &ours)) in answer.ids.iter().zip(&answer.logprobs).enumerate() {
                let scaled: Vec<f32> = logits[prompt.len() + index - 1]
                    .iter()
                    .map(|z| z / temperature as f32)
                    .collect();
                let theirs = logprob(&scaled, id);
                assert!(
                    (f64::from(ours) - theirs).abs() < 2e-5,
                    "{name}, token {index}: {ours}, full pass {theirs}"
                );
            }
        }
    }
}

#[test]
fn samples_of_one_prompt_differ_and_each_is_reproducible() {
    let decoder = llama();
    let samples = requests(&[PROMPTS[0]; 6]);
    let answers = run(&decoder, &samples, &sampling(1.0), &[], 6).unwrap();
    for (index, answer) in answers.iter().enumerate() {
        assert!(
            answers[..index].iter().all(|other| other.ids != answer.ids),
            "sample {index} repeats another"
        );
    }
    let third = run(&decoder, &samples[2..3], &sampling(1.0), &[], 6).unwrap();
    assert_same(&third, &answers[2..3]);
    let other_seed = SamplerConfig {
        seed: 43,
        ..sampling(1.0)
    };
    assert_ne!(
        run(&decoder, &samples[2..3], &other_seed, &[], 6).unwrap()[0].ids,
        third[0].ids
    );
}

#[test]
fn a_response_ends_with_its_stop_token() {
    let decoder = llama();
    let expected = expected("llama-tiny");
    let prompt = expected.input_ids[0].as_slice();
    let stop = expected.greedy_ids[prompt.len() + 2];
    let greedy = SamplerConfig {
        greedy: true,
        ..SamplerConfig::default()
    };
    let answers = run(&decoder, &requests(&[prompt]), &greedy, &[3, stop], 1).unwrap();
    assert_eq!(
        answers[0].ids,
        expected.greedy_ids[prompt.len()..prompt.len() + 3]
    );
    assert_eq!(answers[0].logprobs.len(), 3);
    assert_eq!(answers[0].finish_reason, FinishReason::Stop);
}

#[test]
fn the_end_of_the_context_ends_a_response_and_a_longer_prompt_is_refused() {
    let decoder = load(&fixture("gpt2-tiny"));
    let context = decoder.config.max_position_embeddings;
    assert_eq!(context, 64);
    let long: Vec<u32> = (0..60).collect();
    let answers = run(&decoder, &requests(&[&long, &[1]]), &sampling(1.0), &[], 2).unwrap();
    assert_eq!(
        (answers[0].ids.len(), answers[0].finish_reason),
        (4, FinishReason::Length)
    );
    assert_eq!(answers[1].ids.len(), 20);
    let full: Vec<u32> = (0..64).collect();
    let error = run(&decoder, &requests(&[&[1], &full]), &sampling(1.0), &[], 2)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "prompt 1 has 64 tokens, but the model's context is 64 tokens with the answer; shorten the prompt"
    );
}

#[test]
fn unusable_prompts_and_settings_are_errors() {
    let decoder = llama();
    let refused = |prompts: &[&[u32]], sampler: &SamplerConfig| {
        run(&decoder, &requests(prompts), sampler, &[], 2)
            .unwrap_err()
            .to_string()
    };
    assert!(refused(&[&[1], &[]], &sampling(1.0)).starts_with("prompt 1 is empty"));
    let outside = refused(&[&[1, 97]], &sampling(1.0));
    assert_eq!(
        outside,
        "token id 97 is outside the vocabulary of 97 (ids 0 to 96)"
    );
    assert!(refused(&[&[1]], &sampling(0.0)).starts_with("temperature: expected a number above 0"));
    assert_eq!(run(&decoder, &[], &sampling(1.0), &[], 2).unwrap(), []);
}

#[test]
fn nan_in_the_weights_is_an_error() {
    let mut decoder = llama();
    decoder.final_norm.weight = decoder.final_norm.weight.mul_scalar(f32::NAN);
    let error = run(&decoder, &requests(&PROMPTS), &sampling(1.0), &[], 2)
        .unwrap_err()
        .to_string();
    assert!(error.starts_with("the logit of token 0 is NaN"), "{error}");
}

#[derive(Default)]
struct Recorder {
    tokens: Vec<Vec<u32>>,
    progress: Vec<(usize, usize)>,
    stop_after: Option<usize>,
}

impl Listener for Recorder {
    fn token(&mut self, request: usize, id: u32) {
        self.tokens
            .resize(self.tokens.len().max(request + 1), Vec::new());
        self.tokens[request].push(id);
    }

    fn finished(&mut self, done: usize, total: usize) {
        self.progress.push((done, total));
    }

    fn stop(&self) -> bool {
        self.stop_after
            .is_some_and(|count| self.tokens.iter().map(Vec::len).sum::<usize>() >= count)
    }
}

#[test]
fn a_listener_hears_every_token_and_can_stop_the_work() {
    let decoder = llama();
    let (requests, sampler) = (requests(&PROMPTS), sampling(1.0));
    let settings = Settings {
        sampler: &sampler,
        stop_ids: &[7, 8],
        batch_size: 2,
        trace: false,
    };
    let mut all = Recorder::default();
    let answers = generate(&decoder, &requests, settings, &mut all).unwrap();
    let ids: Vec<Vec<u32>> = answers.into_iter().map(|answer| answer.ids).collect();
    assert_eq!(all.tokens, ids);
    assert_eq!(all.progress, [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]);
    let mut impatient = Recorder {
        stop_after: Some(4),
        ..Recorder::default()
    };
    let error = generate(&decoder, &requests, settings, &mut impatient).unwrap_err();
    assert!(matches!(error, GenerateError::Stopped));
    assert_eq!(impatient.tokens.concat().len(), 4);
}
