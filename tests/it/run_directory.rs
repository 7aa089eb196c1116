//! The folder of a run: numbering, refusal to overwrite, provenance.

use std::fs;

use rlhf::run::{DirectoryError, Provenance, RunDirectory, Status};

fn name(run: &RunDirectory) -> String {
    run.path()
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned()
}

#[test]
fn runs_are_numbered_per_kind() {
    let project = tempfile::tempdir().unwrap();
    assert_eq!(
        name(&RunDirectory::create(project.path(), "ppo").unwrap()),
        "ppo-001"
    );
    assert_eq!(
        name(&RunDirectory::create(project.path(), "ppo").unwrap()),
        "ppo-002"
    );
    assert_eq!(
        name(&RunDirectory::create(project.path(), "reward").unwrap()),
        "reward-001"
    );
}

#[test]
fn a_number_is_not_used_again_and_gaps_are_not_filled() {
    let project = tempfile::tempdir().unwrap();
    for existing in ["ppo-001", "ppo-007", "ppo-notes", "ppo"] {
        fs::create_dir_all(project.path().join("runs").join(existing)).unwrap();
    }
    assert_eq!(
        name(&RunDirectory::create(project.path(), "ppo").unwrap()),
        "ppo-008"
    );
}

#[test]
fn runs_that_start_together_get_different_folders() {
    let project = tempfile::tempdir().unwrap();
    let mut names: Vec<String> = std::thread::scope(|scope| {
        let start = || name(&RunDirectory::create(project.path(), "ppo").unwrap());
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    names.sort();
    let expected: Vec<String> = (1..=8).map(|n| format!("ppo-{n:03}")).collect();
    assert_eq!(names, expected);
}

#[test]
fn a_folder_with_something_in_it_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("precious"), "x").unwrap();
    let error = RunDirectory::create_at(dir.path()).unwrap_err();
    assert!(matches!(&error, DirectoryError::NotEmpty(p) if p == dir.path()));
    let expected = format!(
        "{} is not empty; choose another --out",
        dir.path().display()
    );
    assert!(error.to_string().starts_with(&expected), "{error}");
    let error = RunDirectory::create_at(&dir.path().join("precious")).unwrap_err();
    assert!(matches!(error, DirectoryError::NotAFolder(_)));
}

#[test]
fn an_absent_or_empty_folder_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(
        RunDirectory::create_at(dir.path()).unwrap().path(),
        dir.path()
    );
    assert!(
        RunDirectory::create_at(&dir.path().join("a/b"))
            .unwrap()
            .path()
            .is_dir()
    );
}

#[test]
fn provenance_is_written_at_the_start_and_completed_at_the_end() {
    let project = tempfile::tempdir().unwrap();
    let run = RunDirectory::create(project.path(), "sft").unwrap();
    let provenance = Provenance::new("sft", "2026-01-02T03:04:05Z", "cpu (Flex)", 2, 42);
    run.start("[sft]\nseed = 42\n", &provenance).unwrap();
    assert_eq!(
        fs::read_to_string(run.config()).unwrap(),
        "[sft]\nseed = 42\n"
    );
    assert_eq!(run.provenance().unwrap(), provenance);

    run.finish(Status::Interrupted, "2026-01-02T03:05:05Z")
        .unwrap();
    let ended = RunDirectory::open(run.path())
        .unwrap()
        .provenance()
        .unwrap();
    let expected = Provenance {
        status: Status::Interrupted,
        ended: Some("2026-01-02T03:05:05Z".to_owned()),
        ..provenance
    };
    assert_eq!(ended, expected);
}

#[test]
fn other_folders_are_not_runs_and_damage_is_named() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(
        RunDirectory::open(dir.path()),
        Err(DirectoryError::NotARun(_))
    ));
    fs::write(dir.path().join("run.json"), "{\"v\": 1,").unwrap();
    let error = RunDirectory::open(dir.path())
        .unwrap()
        .provenance()
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("run.json is damaged: EOF while parsing"),
        "{error}"
    );
}
