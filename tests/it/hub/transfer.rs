//! Transfers that break off, arrive damaged, or go on from a partial file.

use std::path::PathBuf;
use std::sync::Mutex;

use rlhf::model::hub::{self, HubError, HubSettings, Wanted};
use tempfile::TempDir;

use super::server::{COMMIT, Fault, Plan, tag, weights};
use super::{faulty, fetch, home, id, model_folder, obedient, read, settings, with_files};

fn part(home: &TempDir, weights: &[u8]) -> PathBuf {
    model_folder(home)
        .join("blobs")
        .join(tag("model.safetensors", weights))
        .with_extension("part")
}

#[test]
fn a_partial_file_is_resumed() {
    let (weights, home) = (weights(), home());
    let server = with_files(&weights, obedient());
    let part = part(&home, &weights);
    std::fs::create_dir_all(part.parent().unwrap()).unwrap();
    std::fs::write(&part, &weights[..60_000]).unwrap();
    let mut first = None;
    let snapshot = hub::fetch(
        &id("org/tiny"),
        Wanted::Model,
        &settings(&server, &home),
        &mut |transfer| {
            if transfer.file == "model.safetensors" {
                first.get_or_insert((transfer.done, transfer.total));
            }
        },
    );
    assert_eq!(server.ranges("model.safetensors"), ["bytes=60000-"]);
    assert_eq!(read(&snapshot.unwrap(), "model.safetensors"), weights);
    assert_eq!(first, Some((60_000, 100_000)));
    assert!(!part.exists());
}

#[test]
fn partial_files_that_cannot_be_continued_are_mended() {
    let weights = weights();
    let longer = [&weights[..], b"more"].concat();
    let mut damaged = weights[..60_000].to_vec();
    damaged[7] ^= 1;
    let cases: [(&[u8], &[&str]); 3] = [
        // Whole, but not renamed: a server has nothing to send after its end.
        (&weights, &["bytes=99999-"]),
        (&longer, &["bytes=0-"]),
        // Found out by its SHA-256.
        (&damaged, &["bytes=60000-", "bytes=0-"]),
    ];
    for (left, ranges) in cases {
        let (server, home) = (with_files(&weights, obedient()), home());
        let part = part(&home, &weights);
        std::fs::create_dir_all(part.parent().unwrap()).unwrap();
        std::fs::write(&part, left).unwrap();
        let snapshot = fetch(&settings(&server, &home)).unwrap();
        assert_eq!(read(&snapshot, "model.safetensors"), weights);
        assert_eq!(server.ranges("model.safetensors"), ranges);
    }
}

#[test]
fn a_transfer_that_breaks_off_goes_on_where_it_stopped() {
    let plan = faulty("model.safetensors", 1, Fault::HangUpAfter(70_000));
    let (server, home) = (with_files(&weights(), plan), home());
    let snapshot = fetch(&settings(&server, &home)).unwrap();
    assert_eq!(read(&snapshot, "model.safetensors"), weights());
    assert_eq!(
        server.ranges("model.safetensors"),
        ["bytes=0-", "bytes=70000-"]
    );
}

#[test]
fn what_arrived_is_kept_for_the_next_run() {
    let plan = faulty("model.safetensors", 1, Fault::HangUpAfter(70_000));
    let (server, home) = (with_files(&weights(), plan), home());
    let settings = HubSettings {
        retries: 0,
        ..settings(&server, &home)
    };
    let error = fetch(&settings).unwrap_err();
    assert!(
        matches!(&error, HubError::Network { file, .. } if file == "model.safetensors"),
        "{error}"
    );
    assert!(!model_folder(&home).join("refs/main").exists());
    assert_eq!(part(&home, &weights()).metadata().unwrap().len(), 70_000);

    let snapshot = fetch(&settings).unwrap();
    assert_eq!(read(&snapshot, "model.safetensors"), weights());
    assert_eq!(
        server.ranges("model.safetensors"),
        ["bytes=0-", "bytes=70000-"]
    );
}

#[test]
fn a_server_that_ignores_ranges_does_no_harm() {
    let (weights, home) = (weights(), home());
    let server = with_files(&weights, faulty("model.safetensors", 9, Fault::IgnoreRange));
    let part = part(&home, &weights);
    std::fs::create_dir_all(part.parent().unwrap()).unwrap();
    std::fs::write(&part, &weights[..60_000]).unwrap();
    let snapshot = fetch(&settings(&server, &home)).unwrap();
    assert_eq!(read(&snapshot, "model.safetensors"), weights);
    assert_eq!(
        server.ranges("model.safetensors"),
        ["bytes=60000-", "bytes=0-"]
    );
}

#[test]
fn damaged_weights_are_never_kept() {
    let plan = faulty("model.safetensors", 9, Fault::WrongBytes);
    let (server, home) = (with_files(&weights(), plan), home());
    let error = fetch(&settings(&server, &home)).unwrap_err();
    assert!(matches!(error, HubError::Damaged { .. }), "{error}");
    let start = "model.safetensors of org/tiny@main arrives damaged: SHA-256 ";
    assert!(error.to_string().starts_with(start), "{error}");
    assert_eq!(server.ranges("model.safetensors").len(), 3);
    let snapshot = model_folder(&home).join("snapshots").join(COMMIT);
    assert!(!snapshot.join("model.safetensors").exists());
    assert!(!model_folder(&home).join("refs/main").exists());
}

#[test]
fn a_passing_failure_of_the_server_is_tried_again() {
    let plan: Plan = Box::new({
        let failures = Mutex::new(2);
        move |request, _| {
            let mut left = failures.lock().unwrap();
            if request.path.ends_with("config.json") && *left > 0 {
                *left -= 1;
                return Fault::Status(503);
            }
            Fault::None
        }
    });
    let (server, home) = (with_files(&weights(), plan), home());
    assert_eq!(fetch(&settings(&server, &home)).unwrap().commit, COMMIT);
}

#[test]
fn a_cache_that_cannot_be_written_is_named() {
    let (server, home) = (with_files(&weights(), obedient()), home());
    // A file where the folder should be: fails for root too.
    std::fs::write(home.path().join("hub"), "").unwrap();
    let error = fetch(&settings(&server, &home)).unwrap_err();
    assert!(matches!(error, HubError::Cache { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("set HF_HOME to a folder with space"),
        "{error}"
    );
}
