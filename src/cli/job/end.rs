//! How a run ended: in its folder, on the screen, and as an exit code.

use std::process::ExitCode;

use color_eyre::{Report, Result};

use super::now;
use crate::cli::INTERRUPTED;
use crate::run::{RunDirectory, Status};

/// What to say at the end of a run that Ctrl-C stopped; `command` is that of the job, such as `ppo`.
pub fn how_to_go_on(command: &str, run: &RunDirectory) -> String {
    format!("to go on: rlhf {command} --resume {}", run.path().display())
}

/// Records in the run how its job ended; `interrupted` says of a result whether Ctrl-C cut it short.
pub fn conclude<T, E: Into<Report>>(
    run: &RunDirectory,
    result: Result<T, E>,
    interrupted: impl FnOnce(&T) -> bool,
) -> Result<T> {
    let status = match &result {
        Ok(result) if interrupted(result) => Status::Interrupted,
        Ok(_) => Status::Finished,
        Err(_) => Status::Failed,
    };
    let recorded = run.finish(status, &now());
    let result = result.map_err(Into::into)?; // The job's own error matters more than one of recording it.
    recorded?;
    Ok(result)
}

/// The exit code of a job that ended, or that Ctrl-C stopped.
pub fn exit_code(interrupted: bool) -> ExitCode {
    if interrupted {
        ExitCode::from(INTERRUPTED)
    } else {
        ExitCode::SUCCESS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::job::tests::resolve;

    #[test]
    fn the_end_of_a_job_is_recorded_and_decides_the_exit_code() {
        let project = tempfile::tempdir().unwrap();
        let root = project.path().to_str().unwrap();
        let run = resolve(&["--dir", root])
            .open_run("ppo", 1, "cpu", None, &[])
            .unwrap();
        let status = || run.provenance().unwrap().status;
        let ended = |result: Result<bool>| conclude(&run, result, |interrupted| *interrupted);
        assert!(ended(Ok(true)).unwrap());
        assert_eq!(status(), Status::Interrupted);
        assert_eq!(exit_code(true), ExitCode::from(130));

        let resumed = resolve(&["--resume", run.path().to_str().unwrap()]);
        let same = resumed.open_run("ppo", 1, "cpu", None, &[]).unwrap();
        assert_eq!(same, run);
        assert_eq!(
            (status(), run.provenance().unwrap().resumed.len()),
            (Status::Running, 1)
        );

        assert!(!ended(Ok(false)).unwrap());
        assert_eq!(status(), Status::Finished);
        assert_eq!(exit_code(false), ExitCode::SUCCESS);
        let error = ended(Err(color_eyre::eyre::eyre!("no memory"))).unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), status()),
            ("no memory", Status::Failed)
        );
    }
}
