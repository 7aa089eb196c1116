//! `rlhf config`, and configuration errors as a user sees them.

use std::fs;
use std::io::Read;
use std::process::Stdio;

use crate::cli_support::{command, rlhf};

#[test]
fn the_printed_configuration_is_a_valid_one_and_keeps_the_projects_values() {
    let dir = tempfile::tempdir().unwrap();
    let (code, text, _) = rlhf(dir.path(), &["config"]);
    assert_eq!(code, 0);
    assert!(
        text.starts_with("[project]\n# Model to start from: a folder, embedded,"),
        "{text}"
    );
    assert!(text.contains(
        "\n# β: weight of the KL divergence from the reference in the reward.\nkl_coef = 0.05\n"
    ));

    let changed = text
        .replace("kl_coef = 0.05", "kl_coef = 0.07")
        .replace("# stop_token is not set", "stop_token = \"eos\"");
    fs::write(dir.path().join("rlhf.toml"), &changed).unwrap();
    let (code, again, stderr) = rlhf(dir.path(), &["config"]);
    assert_eq!((code, stderr.as_str()), (0, ""));
    assert_eq!(again, changed);
}

#[test]
fn one_section_can_be_printed() {
    let dir = tempfile::tempdir().unwrap();
    let (_, text, _) = rlhf(dir.path(), &["config", "reward"]);
    assert!(text.starts_with("[reward]\n"), "{text}");
    assert_eq!(text.matches("\n[").count(), 0, "{text}");
}

#[test]
fn an_unknown_key_is_a_usage_error_that_names_file_and_line() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("rlhf.toml"), "[ppo]\nkl_ceof = 0.1\n").unwrap();
    let (code, stdout, stderr) = rlhf(dir.path(), &["config"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    let expected =
        "error: ./rlhf.toml:2: unknown key `kl_ceof` in [ppo]; did you mean `kl_coef`?\n";
    assert_eq!(stderr, expected);
}

#[test]
fn an_unreadable_file_is_an_error_not_a_missing_one() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("rlhf.toml")).unwrap();
    let (code, _, stderr) = rlhf(dir.path(), &["config"]);
    assert_eq!(code, 2);
    assert!(
        stderr.starts_with("error: cannot read the configuration ./rlhf.toml: "),
        "{stderr}"
    );
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let dir = tempfile::tempdir().unwrap();
    let mut child = command(dir.path(), &["explain"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut stderr = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut stderr)
        .unwrap();
    assert_eq!(stderr, "");
    assert!(child.wait().unwrap().success());
}
