//! Fine-tuning in process: Ctrl-C leaves no trace in the result.

use std::path::Path;

use rlhf::model::optimizer::Optimizer;
use rlhf::model::save::tensors;
use rlhf::policy::config::SftConfig;
use rlhf::policy::sft::{Job, Outcome, Split, train};
use rlhf::policy::sft_data::Example;
use rlhf::policy::sft_state::State;
use rlhf::run::{Checkpoints, MetricsLog, StopFlag};
use serde_json::Value;

use crate::end_to_end::timeless;
use crate::golden_model::{fixture, load};
use crate::reward::StopAfter;

fn rows(count: u32, offset: u32) -> Vec<Example> {
    let row = |i: u32| Example {
        ids: (0..6 + i % 3)
            .map(|k| 3 + (offset + i * 31 + k * 17) % 90)
            .collect(),
        learnt: vec![true; 6 + i as usize % 3],
        key: i.to_string(),
    };
    (0..count).map(row).collect()
}

/// One sitting of a job of 9 updates in `folder`, with Ctrl-C during update `stop_after` + 1; its outcome and the weights.
fn sitting(folder: &Path, stop_after: usize) -> (Outcome, Vec<Vec<f32>>) {
    let config = SftConfig {
        learning_rate: 1e-2,
        max_steps: 9,
        per_device_train_batch_size: 2,
        eval_steps: 2,
        logging_steps: 3,
        ..SftConfig::default()
    };
    let data = Split {
        train: rows(10, 0),
        held_out: rows(4, 50),
    };
    let mut decoder = load(&fixture("llama-tiny"));
    let mut optimizer = Optimizer::new(config.adamw(), config.max_grad_norm);
    let checkpoints = Checkpoints::new(folder.join("checkpoints"), 1);
    let state = match checkpoints.latest().unwrap() {
        Some(last) => State::load(&last.path, &mut decoder, &mut optimizer).unwrap(),
        None => State::default(),
    };
    let stop = StopFlag::new();
    let mut save = |state: &State, decoder: &_, optimizer: &_| {
        let previous = checkpoints.latest()?;
        checkpoints.save(state.step, None, |folder| {
            state.save(folder, decoder, optimizer, previous.as_ref())
        })?;
        Ok(())
    };
    let mut job = Job {
        observer: &mut StopAfter {
            step: stop_after,
            stop: &stop,
        },
        stop: &stop,
        metrics: &mut MetricsLog::resume(&folder.join("metrics.jsonl"), state.step).unwrap(),
        save: &mut save,
    };
    let outcome = train(
        &mut decoder,
        &mut optimizer,
        state,
        &data,
        &config,
        &mut job,
    )
    .unwrap();
    let weights = tensors(&mut decoder);
    (outcome, weights.into_iter().map(|t| t.values()).collect())
}

fn steps(folder: &Path) -> Vec<Value> {
    let rows = timeless(&folder.join("metrics.jsonl"));
    rows.into_iter().map(|row| row["step"].clone()).collect()
}

#[test]
fn an_interrupted_run_goes_on_as_if_nothing_had_happened() {
    let [whole, stopped] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let (outcome, weights) = sitting(whole.path(), 99);
    assert_eq!((outcome.updates, outcome.interrupted), (9, false));
    assert_eq!(steps(whole.path()), [2, 3, 4, 6, 8, 9]);

    let (interrupted, _) = sitting(stopped.path(), 4);
    assert_eq!((interrupted.updates, interrupted.interrupted), (5, true));
    assert_eq!(steps(stopped.path()), [2, 3, 4], "update 5 adds no row");
    let (resumed, resumed_weights) = sitting(stopped.path(), 99);
    assert_eq!(resumed, outcome);
    assert!(resumed_weights == weights, "the weights differ");
    let metrics = |folder: &Path| timeless(&folder.join("metrics.jsonl"));
    assert_eq!(metrics(stopped.path()), metrics(whole.path()));
}
