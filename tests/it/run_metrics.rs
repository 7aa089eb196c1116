//! `metrics.jsonl`: appending, resuming, and the table that documents every field.

use std::collections::HashSet;
use std::fs;

use rlhf::run::MetricsLog;
use rlhf::run::metric_table::METRICS;
use rlhf::run::metrics::undocumented;
use serde_json::json;

#[test]
fn rows_can_be_read_as_soon_as_they_are_appended() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metrics.jsonl");
    let mut log = MetricsLog::create(&path).unwrap();
    log.append(&json!({"step": 1, "kl": 0.5, "loss": f64::NAN}))
        .unwrap();
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        "{\"step\":1,\"kl\":0.5,\"loss\":null}\n"
    );
    log.append(&json!({"step": 2, "kl": 0.25})).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
}

#[test]
fn a_resumed_job_drops_later_rows_and_a_torn_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metrics.jsonl");
    fs::write(&path, "{\"step\":1}\n{\"step\":2}\n{\"step\":3}\n{\"st").unwrap();
    let mut log = MetricsLog::resume(&path, 2).unwrap();
    log.append(&json!({"step": 3, "kl": 1.5})).unwrap();
    let expected = "{\"step\":1}\n{\"step\":2}\n{\"step\":3,\"kl\":1.5}\n";
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
}

#[test]
fn a_row_needs_a_step() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = MetricsLog::create(&dir.path().join("metrics.jsonl")).unwrap();
    let error = log.append(&json!({"kl": 1.0})).unwrap_err();
    assert!(error.to_string().ends_with("it has no `step`"), "{error}");
}

#[test]
fn an_existing_file_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("metrics.jsonl");
    fs::write(&path, "{\"step\":1}\n").unwrap();
    let error = MetricsLog::create(&path).unwrap_err();
    assert!(
        error.to_string().contains("metrics.jsonl: File exists"),
        "{error}"
    );
}

#[test]
fn every_metric_is_documented_once() {
    let mut names = HashSet::new();
    for metric in METRICS {
        assert!(names.insert(metric.name), "{} twice", metric.name);
        assert!(!metric.kinds.is_empty(), "{}", metric.name);
        assert!(
            metric.formula.len() > 3 && !metric.healthy.is_empty(),
            "{}",
            metric.name
        );
    }
}

#[test]
fn undocumented_fields_are_found() {
    let row = json!({"step": 1, "kl": 0.5, "klp": 0.5, "eval_perplexity": 3.0});
    assert_eq!(undocumented("ppo", &row), ["klp", "eval_perplexity"]);
}
