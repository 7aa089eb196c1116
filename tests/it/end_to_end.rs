//! The pipeline on the embedded model, through the real binary: sample → label → reward model → PPO → generate.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rlhf::model::weights::{TensorSource, WeightFiles};
use serde_json::Value;

/// A project in a temporary folder.
struct Project(tempfile::TempDir);

impl Project {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    #[track_caller]
    fn run(&self, arguments: &str) -> Output {
        let output = Command::new(env!("CARGO_BIN_EXE_rlhf"))
            .args(arguments.split_whitespace())
            .args(["--dir", self.0.path().to_str().unwrap()])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "rlhf {arguments}\n{}",
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }

    /// Samples, simulated judgements and a reward model.
    fn judged() -> Self {
        let project = Self::new();
        let Output { stdout, stderr, .. } = project.run("sample --model embedded --device cpu --prompts prompts/world_train.jsonl --limit 24 --max-new-tokens 24 --quiet");
        assert_eq!((stdout, stderr), (Vec::new(), Vec::new()), "--quiet");
        project.run("label --annotator sim:gold");
        project.run(
            "reward train --model embedded --device cpu --per-device-train-batch-size 8 --quiet",
        );
        let config = std::fs::read_to_string(project.path("runs/reward-001/config.toml")).unwrap();
        let own = format!("\ndata = [\"{}\"]\n", project.0.path().display());
        assert!(
            config.contains(&own),
            "its own judgements, from wherever it is resumed: {config}"
        );
        project
    }

    fn ppo(&self, out: &str, more: &str) {
        let (reward, out) = (self.path("runs/reward-001"), self.path(out));
        self.run(&format!(
            "ppo --model embedded --device cpu --reward-model {} --prompts prompts/world_train.jsonl --out {} {PPO} {more}",
            reward.display(),
            out.display()
        ));
    }

    fn resume(&self, run: &str) {
        self.run(&format!(
            "ppo --resume {} --quiet",
            self.path(run).display()
        ));
    }
}

const PPO: &str = "--batch-size 8 --total-episodes 32 --response-length 16 --num-ppo-epochs 2 --critic shared --critic-init zero \
                   --temperature 1.0 --eval-prompts 4 --save-steps 2 --save-total-limit 0 --quiet";
const LEARNS: &str = "--learning-rate 1e-4 --eval-steps 2";

fn rows(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Metrics without what depends on the clock.
pub fn timeless(path: &Path) -> Vec<BTreeMap<String, Value>> {
    let timed = |key: &String| key.starts_with("seconds") || key == "tokens_per_second";
    let row = |row: Value| -> BTreeMap<String, Value> {
        row.as_object()
            .unwrap()
            .clone()
            .into_iter()
            .filter(|(key, _)| !timed(key))
            .collect()
    };
    rows(path).into_iter().map(row).collect()
}

pub fn weights(run: &Path) -> Vec<u8> {
    std::fs::read(run.join("model/model.safetensors")).unwrap()
}

/// Copies `run` to `to` as a crash after the checkpoint of `step` would have left it: without later checkpoints and the result.
pub fn crashed_after(step: usize, run: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(run).unwrap().map(Result::unwrap) {
        let (name, from, to) = (entry.file_name(), entry.path(), to.join(entry.file_name()));
        let later = name.to_str().and_then(|name| name.strip_prefix("step-"));
        let lost = |later: &str| later.parse::<usize>().unwrap() > step;
        if name == "model" || later.is_some_and(lost) {
            continue;
        }
        if from.is_dir() {
            crashed_after(step, &from, &to);
        } else {
            std::fs::copy(from, to).unwrap();
        }
    }
}

#[test]
fn the_pipeline_runs_and_every_stage_leaves_what_the_next_needs() {
    let project = Project::judged();
    project.ppo("first", LEARNS);
    let metrics = rows(&project.path("first/metrics.jsonl"));
    assert_eq!(metrics.len(), 4);
    let first = &metrics[0];
    assert!(
        first["kl"].as_f64().unwrap().abs() < 1e-4,
        "the policy starts at its reference: {}",
        first["kl"]
    );
    assert!(
        first["sampler_mismatch"].as_f64().unwrap() < 1e-4,
        "{}",
        first["sampler_mismatch"]
    );
    for row in &metrics {
        assert_eq!(
            rlhf::run::metrics::undocumented("ppo", row),
            Vec::<String>::new()
        );
    }
    let samples = rows(&project.path("first/samples.jsonl"));
    assert_eq!(
        samples
            .iter()
            .filter(|row| row["held_out"] == false)
            .count(),
        32
    );
    let model = project.path("first");
    let output = Command::new(env!("CARGO_BIN_EXE_rlhf"))
        .args([
            "generate",
            "--model",
            model.to_str().unwrap(),
            "--prompt",
            "How do I bake bread?",
            "--chat",
            "--json",
            "--device",
            "cpu",
        ])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(!json["samples"][0]["ids"].as_array().unwrap().is_empty());
}

#[test]
fn one_seed_gives_one_result_and_a_resumed_run_ends_with_the_same_bytes() {
    let project = Project::judged();
    project.ppo("first", LEARNS);
    project.ppo("second", LEARNS);
    let [first, second] = ["first", "second"].map(|name| project.path(name));
    assert_eq!(
        timeless(&first.join("metrics.jsonl")),
        timeless(&second.join("metrics.jsonl"))
    );
    assert!(
        weights(&first) == weights(&second),
        "two runs with one seed differ"
    );

    // As after a crash between step 2 and step 4: the later checkpoint and the result are not there.
    std::fs::remove_dir_all(second.join("checkpoints/step-000004")).unwrap();
    std::fs::remove_dir_all(second.join("model")).unwrap();
    project.resume("second");
    assert_eq!(
        timeless(&first.join("metrics.jsonl")),
        timeless(&second.join("metrics.jsonl"))
    );
    let last = |run: &Path| {
        std::fs::read(run.join("checkpoints/step-000004/trained.safetensors")).unwrap()
    };
    assert!(last(&first) == last(&second), "the resumed run differs");
}

#[test]
fn a_resumed_run_ends_with_the_best_policy_of_before_the_interruption() {
    let project = Project::judged();
    // So small a learning rate moves weights but no answer: all evaluations are equal, and the first stays the best.
    project.ppo("whole", "--learning-rate 1e-8 --eval-steps 1");
    let [whole, resumed] = ["whole", "resumed"].map(|name| project.path(name));
    let metrics = timeless(&whole.join("metrics.jsonl"));
    assert_eq!(metrics.len(), 4);
    for row in &metrics {
        assert_eq!(row["eval_score"], metrics[0]["eval_score"]);
    }

    crashed_after(2, &whole, &resumed);
    project.resume("resumed");
    assert_eq!(timeless(&resumed.join("metrics.jsonl")), metrics);
    assert!(weights(&whole) == weights(&resumed), "the results differ");

    let last = resumed.join("checkpoints/step-000004");
    let record: Value =
        serde_json::from_slice(&std::fs::read(last.join("best.json")).unwrap()).unwrap();
    assert_eq!(record["step"], 1);
    let result = WeightFiles::open(&resumed.join("model")).unwrap();
    let best = WeightFiles::open_file(&last.join("best.safetensors")).unwrap();
    let latest = WeightFiles::open_file(&last.join("trained.safetensors")).unwrap();
    let names: Vec<String> = result.names().map(str::to_owned).collect();
    let mut moved = 0;
    for name in names {
        let shape = result.shape(&name).unwrap();
        let values = result.take(&name, &shape).unwrap();
        assert!(best.take(&name, &shape).unwrap() == values, "{name}");
        let now = latest.take(&format!("policy.{name}"), &shape).unwrap();
        moved += usize::from(now != values);
    }
    assert!(moved > 0, "the last policy is the best one");
}
