//! How fast this machine runs the parts of training on a model folder: `cargo run --release --example speed -- MODEL [BATCH] [TIME]`.
//!
//! Medians of five runs after one warm-up: trunk forward, forward and backward of a next-token loss over all tokens with
//! all weights trained and with LoRA, and an AdamW step. Compare with a peer in the same minute: the figures of a shared
//! machine move by tens of percent.

use std::path::Path;
use std::time::Instant;

use burn::tensor::Tensor;
use rlhf::algo::adamw::{AdamWConfig, EpsilonPlacement};
use rlhf::model::optimizer::Optimizer;
use rlhf::model::{Decoder, GradientMap, LanguageModel, LoraConfig, TokenBatch};
use rlhf::policy::lm_head::{self, Targets};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments
        .next()
        .ok_or("usage: speed MODEL [BATCH] [TIME]")?;
    let batch: usize = arguments.next().map_or(Ok(8), |a| a.parse())?;
    let time: usize = arguments.next().map_or(Ok(96), |a| a.parse())?;
    let device = rlhf::device::cpu().device;
    let mut decoder = LanguageModel::load(Path::new(&folder), &device)?.decoder;
    let vocabulary = decoder.config.vocab_size as u32;
    let rows: Vec<Vec<u32>> = (0..batch as u32)
        .map(|b| {
            (0..time as u32)
                .map(|t| (b * 7919 + t * 104_729) % vocabulary)
                .collect()
        })
        .collect();
    let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
    let tokens = TokenBatch::right_padded(&rows, 0, 0);
    let at: Vec<usize> = (0..batch * time).filter(|i| (i + 1) % time != 0).collect();
    let labels = at.iter().map(|i| tokens.ids[i + 1]).collect();
    let targets = Targets { at, labels };
    println!("{batch} x {time} tokens");
    median("trunk forward", || {
        let _ = decoder.hidden(&tokens).into_data();
    });
    median("forward + backward, all weights", || {
        let _ = gradients(&decoder, &tokens, &targets);
    });
    let all = gradients(&decoder, &tokens, &targets);
    let config = AdamWConfig {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        epsilon_placement: EpsilonPlacement::PyTorch,
        weight_decay: 0.0,
    };
    let mut optimizer = Optimizer::new(config, 1.0);
    median("clip + AdamW, all weights", || {
        optimizer.step(&mut decoder, all.clone(), 0.0);
    });
    let lora = LoraConfig {
        r: 16,
        alpha: 32.0,
        target_modules: vec!["all-linear".to_owned()],
    };
    decoder.attach_lora(&lora, 0)?;
    median("forward + backward, LoRA", || {
        let _ = gradients(&decoder, &tokens, &targets);
    });
    Ok(())
}

fn gradients(decoder: &Decoder, tokens: &TokenBatch, targets: &Targets) -> GradientMap {
    let count = targets.at.len() as f64;
    let loss = |_, logprobs: Tensor<1>, _| logprobs.ones_like() * (-1.0 / count);
    lm_head::gradients(decoder, tokens, targets, 1.0, loss)
}

fn median(what: &str, mut run: impl FnMut()) {
    run();
    let mut seconds: Vec<f64> = (0..5)
        .map(|_| {
            let started = Instant::now();
            run();
            started.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    println!("{what:<34} {:8.3} s", seconds[2]);
}
