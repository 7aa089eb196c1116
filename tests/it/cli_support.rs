//! Runs the real binary.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Output};

/// The binary, in `folder`, without colours.
pub fn command<S: AsRef<OsStr>>(folder: &Path, arguments: &[S]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rlhf"));
    command
        .args(arguments)
        .current_dir(folder)
        .env("NO_COLOR", "1")
        .env_remove("RUST_BACKTRACE");
    command
}

/// What it did: exit code, standard output, standard error.
pub fn rlhf<S: AsRef<OsStr>>(folder: &Path, arguments: &[S]) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command(folder, arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}
