//! Checkpoints are complete or absent, whatever happens in between.

use std::fs;
use std::io;
use std::path::Path;

use rlhf::run::{Checkpoint, CheckpointError, Checkpoints};

fn save(checkpoints: &Checkpoints, step: usize, best: Option<usize>) -> Checkpoint {
    let write = |dir: &Path| {
        fs::write(dir.join("weights"), format!("weights {step}"))?;
        fs::write(dir.join("state.json"), format!("{{\"step\":{step}}}"))
    };
    checkpoints.save::<io::Error>(step, best, write).unwrap()
}

fn steps(checkpoints: &Checkpoints) -> Vec<usize> {
    checkpoints.list().unwrap().iter().map(|c| c.step).collect()
}

#[test]
fn what_is_saved_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(dir.path().join("checkpoints"), 0);
    assert_eq!(checkpoints.latest().unwrap(), None);
    save(&checkpoints, 10, None);
    save(&checkpoints, 20, None);
    let latest = checkpoints.latest().unwrap().unwrap();
    assert_eq!(latest.step, 20);
    assert!(latest.path.ends_with("checkpoints/step-000020"));
    latest.verify().unwrap();
    assert_eq!(
        fs::read_to_string(latest.file("weights")).unwrap(),
        "weights 20"
    );
}

#[test]
fn a_failed_or_killed_save_leaves_the_checkpoint_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(dir.path(), 0);
    save(&checkpoints, 1, None);
    let fails = |dir: &Path| {
        fs::write(dir.join("weights"), "half")?;
        Err(io::Error::other("disk full"))
    };
    let error = checkpoints.save::<io::Error>(2, None, fails).unwrap_err();
    assert_eq!(error.to_string(), "cannot write the checkpoint of step 2");
    assert!(
        dir.path().join(".tmp-step-000002").is_dir(),
        "as a killed process leaves it"
    );
    assert_eq!(steps(&checkpoints), [1]);

    save(&checkpoints, 2, None);
    assert_eq!(steps(&checkpoints), [1, 2]);
    assert!(!dir.path().join(".tmp-step-000002").exists());
}

#[test]
fn a_folder_without_manifest_is_no_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("step-000009")).unwrap();
    assert_eq!(steps(&Checkpoints::new(dir.path(), 0)), [] as [usize; 0]);
}

#[test]
fn the_newest_and_the_best_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(dir.path(), 2);
    for step in 1..=5 {
        save(&checkpoints, step, Some(2).filter(|&best| best <= step));
    }
    assert_eq!(steps(&checkpoints), [2, 4, 5]);
}

#[test]
fn the_same_step_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoints = Checkpoints::new(dir.path(), 2);
    save(&checkpoints, 3, None);
    let write = |dir: &Path| fs::write(dir.join("other"), "second");
    let second = checkpoints.save::<io::Error>(3, None, write).unwrap();
    second.verify().unwrap();
    assert_eq!(fs::read_to_string(second.file("other")).unwrap(), "second");
    assert!(!second.file("weights").exists());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn damage_is_found_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let saved = save(&Checkpoints::new(dir.path(), 0), 1, None);
    let reason = |checkpoint: &Checkpoint| match checkpoint.verify() {
        Err(CheckpointError::Damaged { reason, .. }) => reason,
        other => panic!("{other:?}"),
    };
    fs::write(saved.file("weights"), "weights 2").unwrap();
    assert_eq!(reason(&saved), "weights has changed since it was written");
    fs::write(saved.file("weights"), "weig").unwrap();
    assert_eq!(reason(&saved), "weights has 4 bytes instead of 9");
    fs::remove_file(saved.file("weights")).unwrap();
    assert_eq!(reason(&saved), "weights is missing or unreadable");
    fs::write(saved.file("manifest.json"), "{").unwrap();
    assert!(reason(&saved).starts_with("manifest.json: EOF while parsing"));
}
