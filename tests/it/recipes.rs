//! Every recipe in `examples/` is a configuration that the commands accept.

use std::path::Path;
use std::process::Command;

#[test]
fn every_recipe_resolves_for_every_command_that_reads_it() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut recipes = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        recipes += 1;
        for command in [&["sample"][..], &["reward", "train"], &["ppo"]] {
            let output = Command::new(env!("CARGO_BIN_EXE_rlhf"))
                .args(command)
                .args(["--dry-run", "--config", path.to_str().unwrap()])
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                output.status.success(),
                "{} {command:?}: {said}",
                path.display()
            );
            let resolved = String::from_utf8(output.stdout).unwrap();
            assert!(resolved.contains("[project]\nmodel = "), "{resolved}");
        }
    }
    assert!(recipes >= 2, "{recipes}");
}
