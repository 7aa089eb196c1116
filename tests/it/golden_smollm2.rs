//! SmolLM2-135M-Instruct against transformers: `RLHF_SMOLLM2=<folder> cargo test --release`.

use std::path::Path;

use rlhf::device;
use rlhf::generate::inspect::inspect;
use rlhf::generate::{FinishReason, Request, SamplerConfig, Settings, generate, prompt_key};
use rlhf::model::{LanguageModel, PromptInput, TokenBatch};
use serde::Deserialize;

use crate::golden_model::logits;

#[derive(Deserialize)]
struct Golden {
    prompts: Vec<Case>,
    perplexity: Perplexity,
}

#[derive(Deserialize)]
struct Case {
    prompt: String,
    input_ids: Vec<u32>,
    /// Id, logit, text; most probable first.
    top20: Vec<(u32, f32, String)>,
    logsumexp: f64,
    greedy_ids: Vec<u32>,
    greedy_text: String,
}

#[derive(Deserialize)]
struct Perplexity {
    text: String,
    input_ids: Vec<u32>,
    loss: f64,
    ppl: f64,
}

fn model_and_golden() -> Option<(LanguageModel, Golden)> {
    let Some(folder) = std::env::var_os("RLHF_SMOLLM2") else {
        eprintln!("skipped: set RLHF_SMOLLM2 to a folder with SmolLM2-135M-Instruct to run this");
        return None;
    };
    let model = LanguageModel::load(Path::new(&folder), &device::cpu().device).unwrap();
    let golden = serde_json::from_str(include_str!("../fixtures/smollm2_135m.json")).unwrap();
    Some((model, golden))
}

#[test]
fn optional_smollm2_predicts_and_continues_as_in_transformers() {
    let Some((model, golden)) = model_and_golden() else {
        return;
    };
    let tokenizer = model.text.tokenizer().unwrap();
    for golden in &golden.prompts {
        let prompt = PromptInput::Text(golden.prompt.clone());
        assert_eq!(model.text.prompt_ids(&prompt).unwrap(), golden.input_ids);
        let tokens = TokenBatch::left_padded(&[&golden.input_ids], 0, golden.input_ids.len() + 3);
        let last = logits(&model.decoder, &tokens).pop().unwrap();
        let mut order: Vec<u32> = (0..last.len() as u32).collect();
        order.sort_by(|a, b| last[*b as usize].total_cmp(&last[*a as usize]));
        for (rank, (id, logit, _)) in golden.top20.iter().enumerate() {
            assert_eq!(order[rank], *id, "{:?}, rank {rank}", golden.prompt);
            assert!(
                (last[*id as usize] - logit).abs() < 1e-3,
                "{:?}, token {id}",
                golden.prompt
            );
        }
        let sum: f64 = last.iter().map(|&z| f64::from(z).exp()).sum();
        assert!((sum.ln() - golden.logsumexp).abs() < 1e-3);
    }
    // All three at once, so that padding and rows that end early are part of the test.
    let longest = golden
        .prompts
        .iter()
        .map(|p| p.greedy_ids.len())
        .max()
        .unwrap();
    let sampler = SamplerConfig {
        greedy: true,
        max_new_tokens: longest,
        ..SamplerConfig::default()
    };
    let request = |p: &Case| Request {
        prompt: p.input_ids.clone(),
        key: prompt_key(&p.input_ids),
        sample: 0,
    };
    let requests: Vec<Request> = golden.prompts.iter().map(request).collect();
    let settings = Settings {
        sampler: &sampler,
        stop_ids: tokenizer.stop_ids(),
        batch_size: 8,
        trace: false,
    };
    let answers = generate(&model.decoder, &requests, settings, &mut ()).unwrap();
    for (golden, answer) in golden.prompts.iter().zip(&answers) {
        assert_eq!(answer.ids, golden.greedy_ids, "{:?}", golden.prompt);
        assert_eq!(
            tokenizer.decode(&answer.ids, false).unwrap(),
            golden.greedy_text
        );
        let stopped = answer.finish_reason == FinishReason::Stop;
        assert_eq!(stopped, golden.greedy_ids.ends_with(&[2]));
    }
}

#[test]
fn optional_smollm2_has_the_perplexity_of_transformers() {
    let Some((model, golden)) = model_and_golden() else {
        return;
    };
    let Perplexity {
        text,
        input_ids,
        loss,
        ppl,
    } = golden.perplexity;
    assert_eq!(
        model
            .text
            .tokenizer()
            .unwrap()
            .encode_with_special(&text)
            .unwrap(),
        input_ids
    );
    let reports = inspect(&model.decoder, &input_ids, None).unwrap();
    let logprobs: Vec<f64> = reports
        .iter()
        .filter_map(|r| Some(r.prediction?.logprob))
        .collect();
    assert_eq!(logprobs.len(), 105);
    let mean = -logprobs.iter().sum::<f64>() / 105.0;
    // The golden loss was summed in f32, which is 1.4e-5 from transformers' own value in f64, 2.92261216.
    assert!((mean - 2.922_612_16).abs() < 2e-6, "{mean}");
    assert!((mean - loss).abs() < 2e-5, "{mean}");
    assert!((mean.exp() - ppl).abs() < 4e-4, "{}", mean.exp());
    assert!((mean.exp() - 18.5895).abs() < 5e-4);
}
