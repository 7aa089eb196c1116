//! A run that was stopped goes on from another directory with nothing but `--resume RUN`, and ends with the same bytes.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::cli_support::{rlhf, untrained_model};
use crate::end_to_end::{crashed_after, timeless};

const PPO: &str = "ppo --model embedded --reward-model reward --prompts prompts.jsonl --eval-prompts-file held_out.jsonl --out run \
                   --batch-size 4 --total-episodes 12 --response-length 8 --num-ppo-epochs 1 --critic shared --critic-init zero \
                   --eval-steps 1 --save-steps 1 --save-total-limit 0 --device cpu --quiet";
const REWARD: &str = "reward train --model embedded --data pairs.jsonl more.jsonl --eval-data test.jsonl --max-train-pairs 20 \
                      --per-device-train-batch-size 8 --bf16 --dtype f16 --save-steps 1 --save-total-limit 0 --device cpu --quiet";
const SFT: &str = "sft --model untrained --from-scratch --data rows.jsonl --eval-data held_out_rows.jsonl --out run --dtype bf16 \
                   --per-device-train-batch-size 8 --num-train-epochs 1 --save-steps 1 --save-total-limit 0 --device cpu --quiet";

/// The last step's weights.
const LAST: &str = "checkpoints/step-000003/trained.safetensors";

/// Two folders: `here` with everything that jobs read, and `elsewhere` with nothing.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        for folder in ["here", "elsewhere"] {
            fs::create_dir_all(desk.0.path().join(folder)).unwrap();
        }
        let pair = |i| json!({"prompt": format!("Help with {i}"), "chosen": format!(" Gladly, {i}."), "rejected": " No."});
        desk.write("pairs.jsonl", 0..16, pair);
        desk.write("more.jsonl", 16..32, pair);
        desk.write("test.jsonl", 50..56, pair);
        let row = |i| json!({"text": format!("Row {i} says that {i} is a number.")});
        desk.write("rows.jsonl", 0..24, row);
        desk.write("held_out_rows.jsonl", 50..54, row);
        let prompt = |i| json!({"prompt": format!("How do I count to {i}?")});
        desk.write("prompts.jsonl", 0..8, prompt);
        desk.write("held_out.jsonl", 50..54, prompt);
        desk
    }

    fn write(&self, name: &str, rows: std::ops::Range<u32>, row: impl Fn(u32) -> Value) {
        let text: String = rows.map(|i| row(i).to_string() + "\n").collect();
        fs::write(self.here().join(name), text).unwrap();
    }

    fn here(&self) -> PathBuf {
        self.0.path().join("here")
    }

    #[track_caller]
    fn run(&self, folder: &str, line: &str) {
        let arguments: Vec<&str> = line.split_whitespace().collect();
        let (code, stdout, stderr) = rlhf(&self.0.path().join(folder), &arguments);
        assert_eq!(
            (code, stdout.as_str(), stderr.as_str()),
            (0, "", ""),
            "rlhf {line}"
        );
    }

    /// Resumes `run` from elsewhere, as if it had crashed after its first step: `files` come out as in the whole run.
    #[track_caller]
    fn resumes(&self, command: &str, run: &str, files: &[&str]) {
        let [whole, resumed] = [run, "resumed"].map(|name| self.here().join(name));
        crashed_after(1, &whole, &resumed);
        let checkpoints = |run: &Path| fs::read_dir(run.join("checkpoints")).unwrap().count();
        assert_eq!((checkpoints(&whole), checkpoints(&resumed)), (3, 1));
        if resumed.join("reward_report.json").exists() {
            fs::remove_file(resumed.join("reward_report.json")).unwrap();
        }

        let line = format!("{command} --resume {} --quiet", resumed.display());
        self.run("elsewhere", &line);
        for name in ["config.toml", "model/model.safetensors", LAST]
            .iter()
            .chain(files)
        {
            let [before, after] = [&whole, &resumed].map(|run| fs::read(run.join(name)).unwrap());
            assert!(before == after, "{name} differs after {line}");
        }
        let metrics = |run: &Path| timeless(&run.join("metrics.jsonl"));
        assert_eq!(metrics(&resumed), metrics(&whole));
        let elsewhere = fs::read_dir(self.0.path().join("elsewhere")).unwrap();
        assert_eq!(elsewhere.count(), 0);
        fs::remove_dir_all(resumed).unwrap();
    }
}

#[test]
fn a_reward_model_and_the_policy_that_learns_from_it() {
    let desk = Desk::new();
    desk.run("here", &format!("{REWARD} --out reward"));
    desk.resumes("reward train", "reward", &["reward_report.json"]);
    let config = fs::read_to_string(desk.here().join("reward/config.toml")).unwrap();
    let whole = |name: &str| desk.here().join(name).display().to_string();
    for line in [
        format!(
            "data = [{:?}, {:?}]",
            whole("pairs.jsonl"),
            whole("more.jsonl")
        ),
        format!("eval_data = [{:?}]", whole("test.jsonl")),
        "max_train_pairs = 20".to_owned(),
        "dtype = \"f16\"".to_owned(),
        "model = \"embedded\"".to_owned(),
    ] {
        assert!(
            config.contains(&format!("\n{line}\n")),
            "no {line} in\n{config}"
        );
    }

    desk.run("here", PPO);
    desk.resumes("ppo", "run", &["samples.jsonl"]);
}

#[test]
fn fine_tuning_from_scratch() {
    let desk = Desk::new();
    untrained_model(&desk.here().join("untrained"), 420);
    desk.run("here", SFT);
    desk.resumes("sft", "run", &[]);
}

#[test]
fn a_configuration_repeats_its_run_from_anywhere() {
    let desk = Desk::new();
    untrained_model(&desk.here().join("untrained"), 420);
    desk.run("here", SFT);
    desk.run(
        "elsewhere",
        "sft --config ../here/run/config.toml --out ../here/again --quiet",
    );
    let read = |run: &str, name: &str| fs::read(desk.here().join(run).join(name)).unwrap();
    for name in ["config.toml", "model/model.safetensors"] {
        assert!(read("run", name) == read("again", name), "{name}");
    }
}

#[test]
fn data_that_changed_are_refused() {
    let desk = Desk::new();
    untrained_model(&desk.here().join("untrained"), 420);
    desk.run("here", SFT);
    desk.write(
        "rows.jsonl",
        0..23,
        |i| json!({"text": format!("Row {i}.")}),
    );
    let (code, _, stderr) = rlhf(&desk.here(), &["sft", "--resume", "run"]);
    assert_eq!(code, 1);
    assert!(
        stderr.contains("run was started with other data, or its data have changed: it read "),
        "{stderr}"
    );
    assert!(stderr.contains("--config run/config.toml"), "{stderr}");
}

#[test]
fn a_job_without_data_says_what_to_pass() {
    let folder = tempfile::tempdir().unwrap();
    for (command, flag, key) in [
        ("sft --model embedded", "--data", "`data` in [sft]"),
        (
            "ppo --model embedded --reward-model embedded",
            "--prompts",
            "`prompts` in [ppo]",
        ),
    ] {
        let arguments: Vec<&str> = command.split_whitespace().collect();
        let (code, _, stderr) = rlhf(folder.path(), &arguments);
        assert_eq!(code, 1);
        assert!(
            stderr.ends_with(&format!("pass {flag}, or set {key} of rlhf.toml\n")),
            "{stderr}"
        );
    }
}
