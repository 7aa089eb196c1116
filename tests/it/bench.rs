//! `rlhf bench` on the embedded model.

use std::path::Path;

use serde_json::Value;

use crate::cli_support::{rlhf, untrained_model};

/// What `rlhf bench` prints on the CPU.
#[track_caller]
fn bench(folder: &Path, arguments: &str) -> String {
    let line = format!("bench --device cpu --quiet {arguments}");
    let (code, out, err) = rlhf(folder, &line.split(' ').collect::<Vec<_>>());
    assert_eq!((code, err.as_str()), (0, ""), "rlhf {line}");
    out
}

#[test]
fn every_kind_of_work_is_measured_saved_and_compared() {
    let dir = tempfile::tempdir().unwrap();
    let all = "--repeats 1 --batch 1,3 --full --json --save before.json";
    let out = bench(dir.path(), all);
    let report: Value = serde_json::from_str(&out).unwrap();
    let names = [
        "sampling, batch 1",
        "sampling, batch 3",
        "scoring, 8 × 96 tokens",
        "reward step, 4 pairs, 1024 tokens, LoRA",
        "reward step, 4 pairs, 1024 tokens, all weights",
        "PPO iteration, LoRA",
        "PPO iteration, all weights",
    ];
    let figures = report["figures"].as_array().unwrap();
    let found: Vec<&str> = figures.iter().filter_map(|f| f["name"].as_str()).collect();
    assert_eq!(found, names);
    for figure in figures {
        let number = |key: &str| figure[key].as_f64().unwrap();
        assert!(number("seconds") > 0.0 && number("tokens_per_second") > 0.0);
        assert_eq!(figure["all"].as_array().unwrap().len(), 1);
    }
    let tokens = figures[1]["tokens_per_second"].as_f64().unwrap();
    let seconds = figures[1]["seconds"].as_f64().unwrap();
    assert!((tokens * seconds - 3.0 * 64.0).abs() < 1e-6);
    assert!(figures[0]["share"].as_f64().unwrap() > 0.0);
    let parts = figures[5]["parts"].as_array().unwrap();
    let sum: f64 = parts.iter().filter_map(|part| part[1].as_f64()).sum();
    let whole = figures[5]["seconds"].as_f64().unwrap();
    assert!(sum <= whole && sum > 0.5 * whole, "{sum} of {whole}");
    for key in ["expected_bytes", "expected_seconds"] {
        assert!(figures[0][key].is_null(), "only of training");
    }
    for (trained, least) in [(3, 80 << 20), (4, 100 << 20), (5, 80 << 20), (6, 100 << 20)] {
        let expected = figures[trained]["expected_bytes"].as_u64().unwrap();
        assert!((least..400 << 20).contains(&expected), "{expected}");
        assert!(figures[trained]["expected_seconds"].as_f64().unwrap() > 0.0);
    }
    assert!(report["machine"]["flops_per_second"].as_f64().unwrap() > 1e8);
    assert_eq!(report["bf16"], false);

    let again = "--what scoring --repeats 1 --bf16 --against before.json";
    let out = bench(dir.path(), again);
    let heading = out.lines().next().unwrap();
    assert!(heading.ends_with(", products in bf16"), "{heading}");
    let line = out
        .lines()
        .find(|line| line.starts_with("scoring"))
        .unwrap();
    assert!(line.ends_with('×'), "{out}");
}

#[test]
fn pairs_of_given_lengths_are_trained_on_without_adapters() {
    let dir = tempfile::tempdir().unwrap();
    let out = bench(
        dir.path(),
        "--what sampling,reward --batch 2 --greedy --repeats 2 --warm-up 0 --pair-lengths 12,30,25,8 --full --no-lora --bf16 --json",
    );
    let report: Value = serde_json::from_str(&out).unwrap();
    let figures = report["figures"].as_array().unwrap();
    assert_eq!(figures.len(), 2);
    assert_eq!(report["bf16"], true);
    assert_eq!(figures[0]["name"], "sampling, batch 2, greedy");
    assert_eq!(
        figures[1]["name"],
        "reward step, 2 pairs, 75 tokens, all weights"
    );
    assert_eq!(figures[1]["all"].as_array().unwrap().len(), 2);
    let number = |key: &str| figures[1][key].as_f64().unwrap();
    let tokens = number("tokens_per_second") * number("seconds");
    assert!((tokens - 75.0).abs() < 1e-6, "{tokens}");
}

/// Seven batches are sampled, and five batches learnt from. A vocabulary of 16,384 makes the logits of 1024 tokens 64 MiB, in each of the
/// three forms that a pass over all of them at once would need, 96 MiB more than for 512; the head's chunks of 512 tokens stay at 32, but the heap
/// may keep two of them.
#[test]
fn growth_is_told_row_by_row_and_memory_does_not_grow_with_the_vocabulary() {
    let dir = tempfile::tempdir().unwrap();
    untrained_model(&dir.path().join("wide"), 16_384);
    let table = bench(
        dir.path(),
        "--model wide --from-scratch --what growth --greedy --repeats 1 --warm-up 0 --save growth.json",
    );
    let saved = std::fs::read(dir.path().join("growth.json")).unwrap();
    let report: Value = serde_json::from_slice(&saved).unwrap();
    // Embedding (the head's too), queries, keys, values and output, gate, up and down, three norms.
    let parameters = 16_384 * 16 + 4 * 16 * 16 + 3 * 16 * 32 + 3 * 16;
    assert_eq!(report["parameters"], parameters);

    let figures = report["figures"].as_array().unwrap();
    let sampled =
        [1, 2, 4, 8, 16, 32, 64].map(|rows| (format!("sampling, batch {rows}, greedy"), 64 * rows));
    let learnt = [64, 128, 256, 512, 1024]
        .map(|tokens| (format!("forward and backward, {tokens} tokens"), tokens));
    assert_eq!(figures.len(), sampled.len() + learnt.len());
    for (figure, (name, tokens)) in figures.iter().zip(sampled.iter().chain(&learnt)) {
        assert_eq!(figure["name"], *name);
        let number = |key: &str| figure[key].as_f64().unwrap();
        let found = number("tokens_per_second") * number("seconds");
        assert!((found - f64::from(*tokens)).abs() < 1e-6, "{name}: {found}");
        assert!(figure["expected_bytes"].is_null(), "{name}");
        assert_eq!(
            figure["share"].is_null(),
            name.starts_with("forward"),
            "{name}"
        );
        let line = table.lines().find(|line| line.starts_with(name.as_str()));
        assert!(line.is_some(), "no {name} in\n{table}");
    }
    if cfg!(target_os = "linux") {
        let peak = |figure: &Value| figure["peak_bytes"].as_u64().unwrap() >> 20;
        let learnt: Vec<u64> = figures[sampled.len()..].iter().map(peak).collect();
        assert!(
            learnt.windows(2).all(|pair| pair[1] <= 2 * pair[0]),
            "{learnt:?}"
        );
        assert!(learnt[4] < learnt[3] + 80, "{learnt:?}");
    }
}

#[test]
fn what_cannot_be_measured_or_compared_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("x.json"), "{}").unwrap();
    for (arguments, code, said) in [
        (&["--against", "none.json"][..], 1, "--against none.json"),
        (
            &["--against", "x.json"][..],
            1,
            "is no report of rlhf bench",
        ),
        (&["--batch", "0"][..], 1, "must be at least 1"),
        (
            &["--pair-lengths", "9,8,7"][..],
            1,
            "a winner's and a loser's tokens",
        ),
        (
            &["--what", "reward", "--pair-lengths", "9,9999"][..],
            1,
            "an answer of 9999 tokens is longer than the model's context of",
        ),
        (
            &["--save", "nowhere/b.json"][..],
            1,
            "--save nowhere/b.json: give a file in a folder that exists",
        ),
        (&["--save", "."][..], 1, "--save .: give a file"),
        (&["--no-lora"][..], 2, "--full"),
        (&["--what", "speed"][..], 2, "invalid value 'speed'"),
        (&["--model", "nowhere"][..], 1, "nowhere"),
    ] {
        let (found, _, err) = rlhf(
            dir.path(),
            &[&["bench", "--device", "cpu"], arguments].concat(),
        );
        assert_eq!(found, code, "{err}");
        assert!(err.contains(said), "{err}");
    }
}
