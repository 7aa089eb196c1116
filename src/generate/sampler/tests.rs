use super::*;

/// Two tokens (3 and 5) are equally probable.
pub(in crate::generate) const LOGITS: [f32; 12] = [
    1.5, -0.25, 3.0, 2.0, 0.5, 2.0, -1.0, 2.75, 0.0, 1.0, -2.0, 2.25,
];

const ALL: [u32; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

/// Temperature, top-k and top-p, and what transformers' TemperatureLogitsWarper, TopKLogitsWarper and TopPLogitsWarper leave of
/// `LOGITS`, in that order.
pub(in crate::generate) const KEPT_BY_TRANSFORMERS: [(f64, usize, f64, &[u32]); 11] = [
    (0.7, 0, 1.0, &ALL),
    (1.0, 3, 1.0, &[2, 7, 11]),
    (1.0, 5, 1.0, &[2, 3, 5, 7, 11]),
    (1.0, 4, 1.0, &[2, 3, 5, 7, 11]),
    (1.0, 0, 0.5, &[2, 7]),
    (1.0, 0, 0.9, &[0, 2, 3, 5, 7, 11]),
    (0.7, 0, 0.9, &[2, 3, 5, 7, 11]),
    (0.7, 6, 0.8, &[2, 5, 7, 11]),
    (2.0, 6, 0.8, &[2, 3, 5, 7, 11]),
    (1.0, 0, 0.01, &[2]),
    (1.0, 100, 0.999, &ALL),
];

pub(in crate::generate) fn config(temperature: f64, top_k: usize, top_p: f64) -> SamplerConfig {
    SamplerConfig {
        temperature,
        top_p,
        top_k,
        ..SamplerConfig::default()
    }
}

fn sampler(temperature: f64, top_k: usize, top_p: f64) -> Sampler {
    Sampler::new(&config(temperature, top_k, top_p)).unwrap()
}

#[test]
fn the_same_tokens_are_kept_as_in_transformers() {
    for (temperature, top_k, top_p, expected) in KEPT_BY_TRANSFORMERS {
        let mut sampler = sampler(temperature, top_k, top_p);
        sampler.weigh(&LOGITS, 3.0);
        sampler.keep(&LOGITS);
        assert_eq!(
            sampler.kept, expected,
            "T {temperature}, top-k {top_k}, top-p {top_p}"
        );
    }
}

/// torch: `(LOGITS / T).log_softmax(-1)` at tokens 0 to 3.
#[test]
fn log_probabilities_are_of_the_whole_distribution_at_the_temperature() {
    for (temperature, expected) in [
        (1.0, [-2.764_435, -4.514_435, -1.264_435, -2.264_435]),
        (0.7, [-3.155_128, -5.655_128, -1.012_271, -2.440_843]),
        (2.0, [-2.463_268, -3.338_268, -1.713_268, -2.213_268]),
    ] {
        let mut sampler = sampler(temperature, 2, 0.9);
        let mut rng = stream(1, 2, 3);
        let drawn = sampler.draw(&LOGITS, &mut rng).unwrap();
        let known = [
            (2, expected[2]),
            (7, expected[2] - 0.25 / temperature as f32),
        ];
        let (_, logprob) = known.into_iter().find(|(id, _)| *id == drawn.id).unwrap();
        assert!(
            (drawn.logprob - logprob).abs() < 2e-6,
            "{} {logprob}",
            drawn.logprob
        );
    }
}

/// −Σ p·ln p of softmax(LOGITS / T), in Python's floats.
#[test]
fn the_entropy_is_of_the_whole_distribution_at_the_temperature() {
    for (temperature, expected) in [(1.0, 1.964_118_1), (0.7, 1.719_318_3), (2.0, 2.287_522)] {
        let mut sampler = sampler(temperature, 2, 0.9);
        sampler.draw(&LOGITS, &mut stream(1, 2, 3)).unwrap();
        let entropy = sampler.entropy(&LOGITS);
        assert!((entropy - expected).abs() < 1e-6, "{entropy} {expected}");
    }
}

/// The entropy of odds e : 1.
#[test]
fn a_token_without_weight_adds_nothing_to_the_entropy() {
    let (mut sampler, logits) = (sampler(1.0, 0, 1.0), [1.0, 2.0, f32::NEG_INFINITY]);
    sampler.draw(&logits, &mut stream(1, 2, 3)).unwrap();
    assert!((sampler.entropy(&logits) - 0.582_203_1).abs() < 1e-6);
}

#[test]
fn draws_are_as_frequent_as_the_distribution_says() {
    let mut sampler = sampler(0.7, 0, 1.0);
    let mut rng = stream(7, 0, 0);
    let mut counts = [0_usize; 12];
    let draws = 40_000;
    for _ in 0..draws {
        counts[sampler.draw(&LOGITS, &mut rng).unwrap().id as usize] += 1;
    }
    let expected: Vec<f64> = LOGITS.iter().map(|z| f64::from(*z / 0.7).exp()).collect();
    let total: f64 = expected.iter().sum();
    let chi_squared: f64 = counts
        .iter()
        .zip(&expected)
        .map(|(&count, weight)| {
            let mean = weight / total * f64::from(draws);
            (count as f64 - mean).powi(2) / mean
        })
        .sum();
    assert!(
        chi_squared < 31.26,
        "{chi_squared}, 11 degrees of freedom, p = 0.001"
    ); // the seed is fixed
}

/// Several chunks, one of them without any weight, and targets up to the whole sum.
#[test]
fn a_draw_by_chunks_is_the_draw_token_by_token() {
    let logits: Vec<f32> = (0..1000)
        .map(|i| match i / CHUNK {
            1 => f32::NEG_INFINITY,
            _ => (i * 7919 % 101) as f32 / 20.0,
        })
        .collect();
    let mut sampler = sampler(1.0, 0, 1.0);
    let total = sampler.weigh(&logits, 5.0);
    for step in 0..=2000 {
        let target = (f64::from(step) + 0.37).min(2000.0) / 2000.0 * total;
        let weights = sampler.weights.iter().map(|&weight| f64::from(weight));
        let expected = pick(weights.enumerate(), target).0;
        assert_eq!(sampler.pick_any(target), expected, "{step}");
        assert!(sampler.weights[expected] > 0.0);
    }
}

#[test]
fn only_kept_tokens_are_drawn_and_each_of_them_is() {
    let mut sampler = sampler(2.0, 6, 0.8);
    let mut rng = stream(7, 0, 0);
    let mut seen: Vec<u32> = (0..500)
        .map(|_| sampler.draw(&LOGITS, &mut rng).unwrap().id)
        .collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [2, 3, 5, 7, 11]);
}

#[test]
fn a_nucleus_wider_than_one_partial_sort_is_exact() {
    let logits: Vec<f32> = (0..5000_u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 20) as f32 / 4096.0)
        .collect();
    let mut sampler = sampler(1.0, 0, 0.9);
    sampler.weigh(&logits, 1.0);
    sampler.keep(&logits);
    let mut order: Vec<u32> = (0..5000).collect();
    order.sort_by(descending(&logits));
    let weight = |id: &u32| f64::from(logits[*id as usize] - 1.0).exp();
    let enough = 0.9 * order.iter().map(weight).sum::<f64>();
    let mut before = 0.0;
    let expected = order.iter().take_while(|id| {
        let keep = before < enough;
        before += weight(id);
        keep
    });
    let mut expected: Vec<u32> = expected.copied().collect();
    expected.sort_unstable();
    assert!(expected.len() > 4000 && expected.len() < 5000);
    assert!(sampler.kept.len().abs_diff(expected.len()) <= 1); // the sums are rounded differently
    assert!(
        sampler
            .kept
            .iter()
            .filter(|id| !expected.contains(id))
            .count()
            <= 1
    );
}

#[test]
fn greedy_takes_the_first_of_the_most_probable_and_draws_nothing() {
    let config = SamplerConfig {
        greedy: true,
        ..SamplerConfig::default()
    };
    let mut sampler = Sampler::new(&config).unwrap();
    let mut rng = stream(0, 0, 0);
    let logits = [0.0, 2.0, 1.0, 2.0];
    assert_eq!(sampler.draw(&logits, &mut rng).unwrap().id, 1);
    assert_eq!(rng, stream(0, 0, 0));
}

#[test]
fn impossible_tokens_are_never_drawn() {
    let logits = [
        f32::NEG_INFINITY,
        0.0,
        f32::NEG_INFINITY,
        0.0,
        f32::NEG_INFINITY,
    ];
    let mut sampler = sampler(1.0, 0, 1.0);
    let mut rng = stream(3, 1, 4);
    for _ in 0..100 {
        let drawn = sampler.draw(&logits, &mut rng).unwrap();
        assert!(drawn.id == 1 || drawn.id == 3);
        assert!((drawn.logprob + std::f32::consts::LN_2).abs() < 1e-6);
    }
}

#[test]
fn a_damaged_row_is_an_error_that_names_the_token() {
    let mut sampler = sampler(1.0, 0, 1.0);
    let mut rng = stream(0, 0, 0);
    for bad in [f32::NAN, f32::INFINITY] {
        let message = sampler
            .draw(&[0.0, 1.0, bad], &mut rng)
            .unwrap_err()
            .to_string();
        assert!(
            message.starts_with(&format!("the logit of token 2 is {bad}")),
            "{message}"
        );
    }
    assert!(sampler.draw(&[f32::NEG_INFINITY; 3], &mut rng).is_err());
    assert!(sampler.draw(&[], &mut rng).is_err());
}

#[test]
fn streams_differ_in_seed_prompt_and_sample() {
    let first = |seed, prompt, sample| stream(seed, prompt, sample).next_u64();
    let mut all = vec![
        first(0, 0, 0),
        first(1, 0, 0),
        first(0, 1, 0),
        first(0, 0, 1),
        first(1, 1, 1),
    ];
    assert_eq!(all[0], first(0, 0, 0));
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 5);
}

#[test]
fn settings_outside_their_range_are_named() {
    let refused = |config: SamplerConfig| config.validate().unwrap_err().to_string();
    let base = SamplerConfig::default;
    for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(
            refused(SamplerConfig {
                temperature,
                ..base()
            })
            .starts_with("temperature: expected a number above 0")
        );
    }
    for top_p in [0.0, 1.5, f64::NAN] {
        assert!(refused(SamplerConfig { top_p, ..base() }).starts_with("top_p: expected"));
    }
    assert!(
        refused(SamplerConfig {
            max_new_tokens: 0,
            ..base()
        })
        .starts_with("max_new_tokens: expected at least 1")
    );
    assert!(base().is_on_policy());
    assert!(!SamplerConfig { top_k: 1, ..base() }.is_on_policy());
}
