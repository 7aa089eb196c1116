use burn::tensor::TensorData;

use crate::device;

use super::super::sampler::tests::{KEPT_BY_TRANSFORMERS, LOGITS, config};
use super::super::sampler::{Sampler, SamplerConfig, stream, unit};
use super::*;

fn tensor(rows: &[Vec<f32>], device: &Device) -> Tensor<2> {
    let shape = [rows.len(), rows[0].len()];
    Tensor::from_data(TensorData::new(rows.concat(), shape), device)
}

/// Tokens that some number draws, and how often of `draws` numbers, evenly spread.
fn counts(config: &SamplerConfig, logits: &[f32], draws: usize, device: &Device) -> Vec<usize> {
    let row = tensor(&[logits.to_vec()], device);
    let uniforms: Vec<f64> = (0..draws)
        .map(|i| (i as f64 + 0.5) / draws as f64)
        .collect();
    let rows = row.expand([draws, logits.len()]);
    let mut counts = vec![0; logits.len()];
    for drawn in DeviceSampler::new(config).draw(rows, &uniforms) {
        counts[drawn.id as usize] += 1;
    }
    counts
}

/// Rows of a vocabulary of 5000, from flat to as peaked as a language model's.
fn wide(rows: usize) -> Vec<Vec<f32>> {
    let number = |row: usize, id: u32| {
        let hash = (id + 5000 * row as u32).wrapping_mul(2_654_435_761) >> 8;
        (hash as f32 / 16_777_216.0).max(1e-7)
    };
    let scale = |row: usize| 0.2 + 0.4 * row as f32;
    let logit = |row, id| -scale(row) * number(row, id).ln();
    let of_row = |row| (0..5000).map(|id| logit(row, id)).collect();
    (0..rows).map(of_row).collect()
}

/// The host and `device` draw from the same rows with the same numbers.
fn assert_as_the_host(rows: &[Vec<f32>], config: &SamplerConfig, seeds: u64, device: &Device) {
    let logits = tensor(rows, device);
    let mut host = Sampler::new(config).unwrap();
    let mut other = 0;
    for seed in 0..seeds {
        let streams = || (0..rows.len() as u64).map(|row| stream(seed, row, 0));
        let uniforms: Vec<f64> = streams().map(|mut rng| unit(&mut rng)).collect();
        let ours = DeviceSampler::new(config).draw(logits.clone(), &uniforms);
        assert_eq!(ours.len(), rows.len());
        for ((ours, row), mut rng) in ours.into_iter().zip(rows).zip(streams()) {
            let theirs = host.draw(row, &mut rng).unwrap();
            other += usize::from(ours.id != theirs.id);
            let of_ours = theirs.logprob
                + (row[ours.id as usize] - row[theirs.id as usize]) / config.temperature as f32;
            let difference = (ours.logprob - of_ours).abs();
            assert!(difference < 1e-5, "{config:?}: off by {difference}");
        }
    }
    // Of 5000 borders one in a thousand is moved by rounding across a number; the small vocabulary has twelve.
    let draws = rows.len() * seeds as usize;
    assert!(
        other <= draws / 200,
        "{config:?}: {other} of {draws} differ"
    );
}

fn assert_samplers_agree(seeds: u64, device: &Device) {
    let narrow = vec![LOGITS.to_vec(); 8];
    for (temperature, top_k, top_p) in [(1.0, 0, 1.0), (0.7, 6, 0.8), (2.0, 5, 1.0), (1.0, 0, 0.9)]
    {
        let config = config(temperature, top_k, top_p);
        assert_as_the_host(&narrow, &config, seeds, device);
        assert_as_the_host(&wide(6), &config, seeds, device);
    }
    let greedy = SamplerConfig {
        greedy: true,
        ..config(0.7, 0, 1.0)
    };
    assert_as_the_host(&wide(6), &greedy, 1, device);
}

#[test]
fn a_seed_draws_the_same_tokens_as_on_the_host() {
    assert_samplers_agree(60, &device::cpu().device);
}

#[cfg(feature = "wgpu")]
#[test]
fn a_seed_draws_the_same_tokens_on_a_gpu() {
    match device::DeviceChoice::Wgpu(0).open() {
        Ok(gpu) => assert_samplers_agree(10, &gpu.device),
        Err(error) => {
            assert!(std::env::var_os("RLHF_REQUIRE_WGPU").is_none(), "{error}");
            println!("not checked: {error}");
        }
    }
}

#[test]
fn the_same_tokens_are_kept_as_in_transformers() {
    let device = device::cpu().device;
    for (temperature, top_k, top_p, expected) in KEPT_BY_TRANSFORMERS {
        let counts = counts(&config(temperature, top_k, top_p), &LOGITS, 2000, &device);
        let drawn: Vec<u32> = (0..12).filter(|&id| counts[id as usize] > 0).collect();
        assert_eq!(
            drawn, expected,
            "T {temperature}, top-k {top_k}, top-p {top_p}"
        );
    }
}

#[test]
fn draws_are_as_frequent_as_the_distribution_says() {
    let mut rng = stream(7, 0, 0);
    let draws = 40_000;
    let uniforms: Vec<f64> = (0..draws).map(|_| unit(&mut rng)).collect();
    let logits = tensor(&[LOGITS.to_vec()], &device::cpu().device).expand([draws, 12]);
    let config = config(0.7, 0, 1.0);
    let mut counts = [0_usize; 12];
    for drawn in DeviceSampler::new(&config).draw(logits, &uniforms) {
        counts[drawn.id as usize] += 1;
    }
    let weights: Vec<f64> = LOGITS.iter().map(|z| f64::from(*z / 0.7).exp()).collect();
    let total: f64 = weights.iter().sum();
    let term = |(&count, weight): (&usize, &f64)| {
        let mean = weight / total * draws as f64;
        (count as f64 - mean).powi(2) / mean
    };
    let chi_squared: f64 = counts.iter().zip(&weights).map(term).sum();
    assert!(
        chi_squared < 31.26,
        "{chi_squared}, 11 degrees of freedom, p = 0.001"
    ); // the seed is fixed
}

#[test]
fn impossible_tokens_are_never_drawn() {
    let never = f32::NEG_INFINITY;
    let logits = [never, 0.0, never, 0.0, never];
    let device = device::cpu().device;
    for (top_k, top_p) in [(0, 1.0), (3, 1.0), (0, 0.99)] {
        let counts = counts(&config(1.0, top_k, top_p), &logits, 100, &device);
        assert_eq!(counts, [0, 50, 0, 50, 0], "top-k {top_k}, top-p {top_p}");
    }
}

#[test]
fn numbers_at_the_ends_draw_the_first_and_the_last_token() {
    let logits = tensor(&vec![vec![0.0; 1000]; 3], &device::cpu().device);
    let almost = 1.0 - f64::EPSILON / 2.0;
    let drawn = DeviceSampler::new(&config(1.0, 0, 1.0)).draw(logits, &[0.0, 0.5, almost]);
    assert_eq!(
        drawn.iter().map(|d| d.id).collect::<Vec<_>>(),
        [0, 500, 999]
    );
}

#[test]
fn a_row_that_is_no_distribution_has_no_log_probability() {
    let device = device::cpu().device;
    let bad = [f32::NAN, f32::INFINITY].map(|bad| vec![0.0, 1.0, bad]);
    let rows = [bad.to_vec(), vec![vec![f32::NEG_INFINITY; 3], vec![0.0; 3]]].concat();
    for config in [config(1.0, 0, 1.0), config(1.0, 2, 0.9)] {
        let drawn = DeviceSampler::new(&config).draw(tensor(&rows, &device), &[0.5; 4]);
        let finite: Vec<bool> = drawn.iter().map(|d| d.logprob.is_finite()).collect();
        assert_eq!(finite, [false, false, false, true]);
    }
}

#[test]
fn the_running_sum_of_a_long_row_is_that_of_its_numbers() {
    let device = device::cpu().device;
    for length in [1, 63, 64, 65, 4096, 4097, 10_000] {
        let numbers: Vec<f32> = (0..2 * length).map(|i| (i % 3) as f32).collect();
        let x = Tensor::from_data(TensorData::new(numbers.clone(), [2, length]), &device);
        let sums = running_sum(x).into_data();
        let exact = |row: &[f32]| {
            let mut sum = 0.0;
            let add = |x: &f32| {
                sum += x;
                sum
            };
            row.iter().map(add).collect::<Vec<f32>>()
        };
        let expected: Vec<f32> = numbers.chunks(length).flat_map(exact).collect();
        assert_eq!(sums.iter::<f32>().collect::<Vec<_>>(), expected, "{length}");
    }
}
