//! `rlhf bench` on the embedded model.

use serde_json::Value;

use crate::cli_support::rlhf;

#[test]
fn every_kind_of_work_is_measured_saved_and_compared() {
    let dir = tempfile::tempdir().unwrap();
    let saved = dir.path().join("before.json");
    let saved = saved.to_str().unwrap();
    let common = [
        "bench",
        "--device",
        "cpu",
        "--quiet",
        "--repeats",
        "1",
        "--batch",
        "1,3",
        "--full",
    ];
    let (code, out, err) = rlhf(
        dir.path(),
        &[&common[..], &["--json", "--save", saved]].concat(),
    );
    assert_eq!(code, 0, "{err}");
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
    assert!(report["machine"]["flops_per_second"].as_f64().unwrap() > 1e8);

    let one = [
        "bench",
        "--what",
        "scoring",
        "--repeats",
        "1",
        "--device",
        "cpu",
        "--quiet",
    ];
    let (code, out, err) = rlhf(dir.path(), &[&one[..], &["--against", saved]].concat());
    assert_eq!(code, 0, "{err}");
    let line = out
        .lines()
        .find(|line| line.starts_with("scoring"))
        .unwrap();
    assert!(line.ends_with('×'), "{out}");
}

#[test]
fn pairs_of_given_lengths_are_trained_on_without_adapters() {
    let dir = tempfile::tempdir().unwrap();
    let common = ["bench", "--device", "cpu", "--quiet", "--repeats", "2"];
    let chosen = [
        "--what",
        "sampling,reward",
        "--batch",
        "2",
        "--greedy",
        "--warm-up",
        "0",
    ];
    let pairs = ["--pair-lengths", "12,30,25,8", "--full", "--no-lora"];
    let (code, out, err) = rlhf(
        dir.path(),
        &[&common[..], &chosen, &pairs, &["--json"]].concat(),
    );
    assert_eq!(code, 0, "{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    let figures = report["figures"].as_array().unwrap();
    assert_eq!(figures.len(), 2);
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
