//! Going on with a run that was stopped.

use std::path::{Path, PathBuf};

use color_eyre::Result;
use color_eyre::eyre::bail;

use super::{hashed, now};
use crate::kernels;
use crate::run::{Input, Provenance, RunDirectory};

/// The run in the folder `path`, if `inputs` are what it was started with.
pub(super) fn run(path: &Path, inputs: &[PathBuf]) -> Result<RunDirectory> {
    let run = RunDirectory::open(path)?;
    let begun = run.provenance()?;
    check_same(path, &begun.inputs, &hashed(inputs)?)?;
    if let Some(note) = other_instructions(&begun, kernels::instructions()) {
        eprintln!("{}: {note}", path.display());
    }
    run.resume(&now())?;
    Ok(run)
}

/// What is said if the run was started on another kind of processor.
fn other_instructions(begun: &Provenance, now: &str) -> Option<String> {
    let on_cpu = begun.device.starts_with("cpu");
    let before = begun.instructions.as_deref();
    let before = before.filter(|&before| on_cpu && before != now)?;
    Some(format!(
        "begun on a processor with {before}, goes on with {now}: numbers may differ in their last bits from those of a run that stays on one"
    ))
}

/// A resumed run must go on with the contents that it was started with, wherever they are now.
fn check_same(run: &Path, before: &[Input], now: &[Input]) -> Result<()> {
    let hashes = |inputs: &[Input]| inputs.iter().map(|i| i.sha256.clone()).collect::<Vec<_>>();
    if hashes(before) != hashes(now) {
        let names: Vec<_> = before
            .iter()
            .map(|i| i.path.display().to_string())
            .collect();
        bail!(
            "{run} was started with other data, or its data have changed: it read {}; bring those back, or start a new run with \
             --config {run}/config.toml",
            names.join(", "),
            run = run.display(),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::other_instructions;
    use crate::cli::job::Job;
    use crate::cli::job::tests::resolve;
    use crate::policy::config::PpoConfig;
    use crate::run::Provenance;

    #[test]
    fn another_kind_of_processor_is_noticed() {
        let begun = |instructions: Option<&str>| Provenance {
            instructions: instructions.map(str::to_owned),
            ..Provenance::new("ppo", "2026-11-22T10:00:00Z", "cpu", 2, 1)
        };
        let note = other_instructions(&begun(Some("AMX")), "AVX2").unwrap();
        assert!(note.starts_with("begun on a processor with AMX, goes on with AVX2: "));
        assert_eq!(other_instructions(&begun(Some("AVX2")), "AVX2"), None);
        assert_eq!(other_instructions(&begun(None), "AVX2"), None);
        let on_gpu = Provenance {
            device: "wgpu".to_owned(),
            ..begun(Some("AMX"))
        };
        assert_eq!(other_instructions(&on_gpu, "AVX2"), None);
    }

    #[test]
    fn a_resumed_run_needs_the_contents_that_it_was_started_with() {
        let project = tempfile::tempdir().unwrap();
        let [prompts, moved] = ["a", "b"].map(|name| project.path().join(name));
        fs::write(&prompts, "abc").unwrap();
        let root = project.path().to_str().unwrap();
        let open = |job: Job<PpoConfig>, path: &PathBuf| {
            job.open_run("ppo", 1, "cpu", None, std::slice::from_ref(path))
        };
        let run = open(resolve(&["--dir", root]), &prompts).unwrap();
        let again = || resolve(&["--resume", run.path().to_str().unwrap()]);
        fs::rename(&prompts, &moved).unwrap();
        assert_eq!(open(again(), &moved).unwrap(), run);
        let recorded = run.provenance().unwrap().instructions;
        assert_eq!(recorded.as_deref(), Some(crate::kernels::instructions()));
        fs::write(&moved, "abd").unwrap();
        let error = open(again(), &moved).unwrap_err().to_string();
        assert!(error.contains("was started with other data"), "{error}");
        assert_eq!(run.provenance().unwrap().resumed.len(), 1);
    }
}
