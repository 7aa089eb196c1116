//! Starting a run: its folder, and where it comes from.

use std::path::PathBuf;

use color_eyre::Result;

use super::{Job, hashed};
use crate::cores::cores;
use crate::run::settings::Settings;
use crate::run::{Provenance, RunDirectory};

/// A new folder with the job's configuration and `provenance`, to which the hashes of `inputs` are added.
pub(super) fn run<S: Settings>(
    job: &Job<S>,
    mut provenance: Provenance,
    inputs: &[PathBuf],
) -> Result<RunDirectory> {
    provenance.inputs = hashed(inputs)?;
    let run = match &job.out {
        Some(out) => RunDirectory::create_at(out)?,
        None => RunDirectory::create(&job.root, &provenance.kind)?,
    };
    run.start(&job.to_toml()?, &provenance)?;
    Ok(run)
}

/// Threads that the CPU backend uses.
pub(super) fn threads() -> usize {
    let asked = std::env::var("RAYON_NUM_THREADS")
        .ok()
        .and_then(|n| n.parse().ok());
    asked.filter(|&n| n > 0).unwrap_or_else(cores)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::cli::job::tests::resolve;
    use crate::run::Status;

    #[test]
    fn a_run_records_its_origin_and_its_configuration_repeats_it() {
        let project = tempfile::tempdir().unwrap();
        let root = project.path().to_str().unwrap();
        let prompts = project.path().join("prompts.jsonl");
        fs::write(&prompts, "abc").unwrap();
        let job = resolve(&[
            "--dir",
            root,
            "--kl-coef",
            "0.3",
            "--bf16",
            "--model",
            "embedded",
        ]);
        let run = job
            .open_run("ppo", 42, "cpu", None, std::slice::from_ref(&prompts))
            .unwrap();
        let provenance = run.provenance().unwrap();
        assert_eq!((provenance.status, provenance.seed), (Status::Running, 42));
        assert_eq!(
            (&provenance.inputs[0].path, provenance.inputs[0].bytes),
            (&prompts, 3)
        );

        let again = resolve(&["--config", run.config().to_str().unwrap()]);
        assert!(again.settings.bf16 && again.settings.kl_coef == 0.3);
        assert_eq!((again.settings, again.project), (job.settings, job.project));
    }
}
