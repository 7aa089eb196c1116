//! Reward models: scores as transformers computes them, training that learns, stops and goes on.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rlhf::device;
use rlhf::feedback::item::PromptText;
use rlhf::feedback::pairs::PreferencePair;
use rlhf::model::weights::SaveDtype;
use rlhf::model::{Decoder, LanguageModel, PromptInput, ScoreRequest, Scorer, TokenBatch};
use rlhf::reward::config::RewardConfig;
use rlhf::reward::dataset::{Dataset, Pair, tokenise};
use rlhf::reward::job::{self, Data, JobError, Place};
use rlhf::reward::model::{RewardModel, Scale};
use rlhf::reward::report::TrainingReport;
use rlhf::reward::trainer::TrainError;
use rlhf::run::metrics::undocumented;
use rlhf::run::{Observer, Provenance, RunDirectory, Silent, StopFlag};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::golden_model::fixture;

#[derive(Deserialize)]
struct Expected {
    input_ids: Vec<Vec<u32>>,
    score_positions: Vec<usize>,
    scores_f32: Vec<f64>,
}

fn load(name: &str) -> RewardModel {
    RewardModel::load(&fixture(name), &device::cpu().device).unwrap()
}

fn expected(name: &str) -> (Vec<Vec<u32>>, Vec<f64>) {
    let bytes = fs::read(fixture(name).join("expected.json")).unwrap();
    let expected: Expected = serde_json::from_slice(&bytes).unwrap();
    let rows = expected.input_ids.iter().zip(&expected.score_positions);
    let rows = rows.map(|(row, &last)| row[..=last].to_vec()).collect();
    (rows, expected.scores_f32)
}

#[test]
fn raw_scores_are_those_of_transformers() {
    for name in ["llama-score-tiny", "gpt2-score-tiny"] {
        let model = load(name);
        assert_eq!((model.scale, model.pad_token_id), (Scale::default(), 0));
        let (rows, theirs) = expected(name);
        for (ours, theirs) in model.raw_scores(&rows).unwrap().iter().zip(theirs) {
            assert!((ours - theirs).abs() < 1e-4, "{name}: {ours} and {theirs}");
        }
    }
}

#[test]
fn more_trailing_pads_change_nothing() {
    for name in ["llama-score-tiny", "gpt2-score-tiny"] {
        let model = load(name);
        let (rows, _) = expected(name);
        let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
        let scores = |pad, time| {
            let tokens = TokenBatch::right_padded(&rows, pad, time);
            let scores = model.network.at(&tokens, &tokens.last_real());
            scores.into_data().iter::<f32>().collect::<Vec<_>>()
        };
        for (plain, padded) in scores(0, 0).iter().zip(scores(9, 40)) {
            assert!(
                (plain - padded).abs() < 1e-5,
                "{name}: {plain} and {padded}"
            );
        }
    }
}

#[test]
fn a_row_longer_than_the_context_is_an_error() {
    let error = load("gpt2-score-tiny").raw_scores(&[vec![1; 65]]);
    assert_eq!(
        error.unwrap_err().to_string(),
        "prompt and response have 65 tokens; the reward model reads at most 64"
    );
}

#[test]
fn ids_of_the_same_tokenizer_and_text_of_another_get_one_score() {
    let device = device::cpu().device;
    let mut model = RewardModel::on(LanguageModel::embedded(&device).unwrap(), 3).unwrap();
    model.scale = Scale {
        gain: 2.0,
        bias: 0.5,
    };
    let tokenizer = model.text.tokenizer().unwrap();
    let prompt = PromptInput::Text("How do I boil an egg?".to_owned());
    let response = " Put it into hot water.";
    let prompt_ids = model.text.prompt_ids(&prompt).unwrap();
    let response_ids = tokenizer.encode(response).unwrap();
    let request = ScoreRequest {
        prompt: &prompt,
        response,
        prompt_ids: &prompt_ids,
        response_ids: &response_ids,
    };
    let same = model.score(tokenizer.sha256(), &[request]).unwrap();
    let other = model.score("another tokenizer", &[request]).unwrap();
    assert_eq!(same, other);
    let row = [prompt_ids, response_ids, vec![tokenizer.eos_id().unwrap()]].concat();
    assert_eq!(same[0], 2.0 * model.raw_scores(&[row]).unwrap()[0] + 0.5);
}

#[test]
fn ties_are_kept_apart_and_long_pairs_are_counted() {
    let model = LanguageModel::embedded(&device::cpu().device).unwrap();
    let pair = |chosen: &str, tie| PreferencePair {
        prompt: PromptText::Text("Hello".to_owned()),
        chosen: chosen.to_owned(),
        rejected: " no".to_owned(),
        tie,
        strength: None,
        annotator: Some("ann".to_owned()),
        source: None,
        origin: String::new(),
    };
    let long = " word".repeat(60);
    let judgements = [
        pair(" yes please", false),
        pair(&long, false),
        pair(" maybe", true),
        pair(&long, true),
    ];
    let Dataset { pairs, too_long } = tokenise(&judgements, &model.text, 40).unwrap();
    assert_eq!((pairs.len(), too_long), (2, 2));
    assert_eq!((pairs[0].tie, pairs[1].tie), (false, true));
    assert_eq!(pairs[0].length_difference, 8);
    assert_eq!(pairs[0].prompt, pairs[1].prompt);
    let eos = model.text.tokenizer().unwrap().eos_id().unwrap();
    assert_eq!(pairs[0].winner.last(), Some(&eos));
    assert_eq!(pairs[0].loser.last(), Some(&eos));
}

/// Pairs of tokens 3..90: the winner holds token 5 where the loser holds another one.
fn synthetic(count: u32) -> Dataset {
    let pair = |i: u32| {
        let noise = |k: u32| 10 + (i * 31 + k * 17) % 80;
        let row = |mark| {
            (0..4 + i % 3)
                .map(noise)
                .chain([mark, noise(9), 2])
                .collect()
        };
        Pair {
            winner: row(5),
            loser: row(6 + i % 3),
            length_difference: 0,
            tie: i % 11 == 10,
            prompt: (i / 2).to_string(),
            annotator: Some(if i.is_multiple_of(2) { "ann" } else { "bob" }.to_owned()),
            source: None,
        }
    };
    Dataset {
        pairs: (0..count).map(pair).collect(),
        too_long: 3,
    }
}

fn settings() -> RewardConfig {
    RewardConfig {
        learning_rate: 3e-3,
        num_train_epochs: 5.0,
        eval_fraction: 0.25,
        eval_steps: 12,
        center_rewards_coefficient: Some(0.01),
        ..RewardConfig::default()
    }
}

/// A run's folder and how its job ended.
struct Ran {
    folder: TempDir,
    model: RewardModel,
    result: Result<Option<TrainingReport>, JobError>,
}

impl Ran {
    fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.path().join("run").join(name)).unwrap()
    }

    /// Rows of `metrics.jsonl`.
    fn metrics(&self) -> Vec<Value> {
        let text = String::from_utf8(self.file("metrics.jsonl")).unwrap();
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The same without the times.
    fn timeless(&self) -> Vec<Value> {
        let mut rows = self.metrics();
        for row in rows.iter_mut().filter_map(Value::as_object_mut) {
            row.remove("seconds");
            row.remove("tokens_per_second");
        }
        rows
    }

    fn assert_same_bytes(&self, other: &Self) {
        for name in ["model/model.safetensors", "model/reward.json", job::REPORT] {
            assert!(self.file(name) == other.file(name), "{name} differs");
        }
        assert_eq!(self.timeless(), other.timeless());
    }
}

fn new_run(folder: &Path) -> RunDirectory {
    let run = RunDirectory::create_at(&folder.join("run")).unwrap();
    let started = "2026-01-01T00:00:00Z";
    run.start("", &Provenance::new("reward", started, "cpu", 1, 1))
        .unwrap();
    run
}

fn train(config: &RewardConfig) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    new_run(folder.path());
    go_on(folder, false, config, 100, &mut Silent, &StopFlag::new())
}

fn go_on(
    folder: TempDir,
    resume: bool,
    config: &RewardConfig,
    pairs: u32,
    observer: &mut dyn Observer,
    stop: &StopFlag,
) -> Ran {
    let mut model = load("llama-score-tiny");
    let data = Data::split(synthetic(pairs), config.eval_fraction, config.seed);
    let run = RunDirectory::open(&folder.path().join("run")).unwrap();
    let place = Place { run: &run, resume };
    let result = job::run(&mut model, &data, config, &place, observer, stop);
    Ran {
        folder,
        model,
        result,
    }
}

#[test]
fn training_learns_what_people_prefer() {
    let ran = train(&settings());
    let metrics = ran.metrics();
    for row in &metrics {
        let unknown = undocumented("reward", row);
        assert!(unknown.is_empty(), "{unknown:?}");
    }
    let mean = |rows: &[Value], key: &str| {
        rows.iter().map(|r| r[key].as_f64().unwrap()).sum::<f64>() / rows.len() as f64
    };
    let (first, last) = (&metrics[..4], &metrics[metrics.len() - 4..]);
    assert!(mean(first, "loss") > 0.5, "{}", mean(first, "loss"));
    assert!(mean(last, "loss") < 0.2, "{}", mean(last, "loss"));
    assert!(mean(last, "accuracy") > 0.95);
    assert_eq!(metrics.last().unwrap()["epoch"], 5.0);

    let report = ran.result.unwrap().unwrap();
    let held_out = &report.held_out[0];
    assert_eq!(report.training_pairs + held_out.overall.n, 91);
    assert_eq!(report.training_ties + held_out.ties, 9);
    assert_eq!(report.too_long, 3);
    assert!(held_out.overall.accuracy > 0.9, "{:?}", held_out.overall);
    assert!(held_out.overall.accuracy_low < held_out.overall.accuracy);
    assert_eq!(held_out.length_baseline, 0.5);
    assert_eq!(held_out.by_annotator.len(), 2);
    let curve = &report.learning_curve;
    assert!(curve.len() >= 2, "{curve:?}");
    assert!(curve[0].labels <= report.training_pairs && curve[0].n == held_out.overall.n);
    assert_eq!(curve.last().unwrap().accuracy(), held_out.overall.accuracy);
}

#[test]
fn scores_of_training_responses_are_normalised() {
    let ran = train(&settings());
    let data = Data::split(synthetic(100), 0.25, 42);
    let rows: Vec<Vec<u32>> = data
        .training
        .iter()
        .flat_map(|pair| [pair.winner.clone(), pair.loser.clone()])
        .collect();
    let raw = ran.model.raw_scores(&rows).unwrap();
    let scores: Vec<f64> = raw.iter().map(|&r| ran.model.scale.apply(r)).collect();
    let mean = scores.iter().sum::<f64>() / scores.len() as f64;
    let variance = scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / scores.len() as f64;
    assert!(
        mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-6,
        "{mean} {variance}"
    );

    let raw_only = RewardConfig {
        normalize: false,
        ..settings()
    };
    assert_eq!(train(&raw_only).model.scale, Scale::default());
}

#[test]
fn the_exported_folder_gives_the_same_scores() {
    let config = RewardConfig {
        use_peft: true,
        lora_r: 4,
        ..settings()
    };
    let ran = train(&config);
    let folder = ran.folder.path().join("run/model");
    let exported = RewardModel::load(&folder, &device::cpu().device).unwrap();
    assert_eq!(exported.scale, ran.model.scale);
    let (rows, before) = expected("llama-score-tiny");
    let merged = exported.raw_scores(&rows).unwrap();
    let scores = ran.model.raw_scores(&rows).unwrap();
    for ((merged, adapted), before) in merged.iter().zip(scores).zip(before) {
        assert!((merged - adapted).abs() < 1e-4, "{merged} and {adapted}");
        assert!((merged - before).abs() > 1e-2, "nothing was learnt");
    }
}

#[test]
fn two_runs_with_one_seed_are_equal_and_another_seed_differs() {
    let ran = train(&settings());
    ran.assert_same_bytes(&train(&settings()));
    let other = RewardConfig {
        seed: 7,
        ..settings()
    };
    assert_ne!(
        ran.file("model/model.safetensors"),
        train(&other).file("model/model.safetensors")
    );
}

/// Presses Ctrl-C after a step.
pub struct StopAfter<'a> {
    pub step: usize,
    pub stop: &'a StopFlag,
}

impl Observer for StopAfter<'_> {
    fn step(&mut self, step: usize, _total: usize, _metrics: &[(&str, f64)]) {
        if step == self.step {
            self.stop.stop();
        }
    }
}

fn interrupted(config: &RewardConfig) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    new_run(folder.path());
    let stop = StopFlag::new();
    let mut observer = StopAfter {
        step: 13,
        stop: &stop,
    };
    let ran = go_on(folder, false, config, 100, &mut observer, &stop);
    assert!(ran.result.as_ref().unwrap().is_none());
    assert_eq!(ran.metrics().len(), 14, "the step after Ctrl-C is finished");
    assert!(!ran.folder.path().join("run/model").exists());
    ran.folder
}

#[test]
fn a_resumed_run_is_the_uninterrupted_run() {
    let adapters = RewardConfig {
        use_peft: true,
        lora_r: 4,
        ..settings()
    };
    for config in [settings(), adapters] {
        let folder = interrupted(&config);
        let resumed = go_on(folder, true, &config, 100, &mut Silent, &StopFlag::new());
        assert!(resumed.result.as_ref().unwrap().is_some());
        resumed.assert_same_bytes(&train(&config));
    }
}

#[test]
fn a_resumed_run_refuses_other_data() {
    let config = settings();
    let folder = interrupted(&config);
    let resumed = go_on(folder, true, &config, 60, &mut Silent, &StopFlag::new());
    let Err(JobError::Train(error @ TrainError::OtherPairs { before, now })) = resumed.result
    else {
        panic!("other data were taken");
    };
    assert!(now < before, "{error}");
    assert!(error.to_string().contains("pass the same data"), "{error}");
}

#[test]
fn a_job_without_a_decisive_pair_says_what_became_of_them() {
    let mut data = synthetic(44);
    data.pairs.retain(|pair| pair.tie);
    let folder = tempfile::tempdir().unwrap();
    let run = new_run(folder.path());
    let data = Data::split(data, 0.0, 1);
    let place = Place {
        run: &run,
        resume: false,
    };
    let mut model = load("llama-score-tiny");
    let stop = StopFlag::new();
    let result = job::run(&mut model, &data, &settings(), &place, &mut Silent, &stop);
    let error = result.unwrap_err().to_string();
    assert!(
        error.contains("no training pairs are left: 4 are ties"),
        "{error}"
    );
}

#[test]
fn held_out_pairs_with_a_learnt_prompt_are_counted() {
    let all = synthetic(20);
    let held_out = job::HeldOut {
        name: "test".to_owned(),
        dataset: Dataset {
            pairs: all.pairs[16..].to_vec(),
            too_long: 0,
        },
    };
    let training = Dataset {
        pairs: all.pairs[..17].to_vec(),
        too_long: 0,
    };
    assert_eq!(Data::against(training, vec![held_out]).shared_prompts(), 2);
    assert_eq!(Data::split(all, 0.3, 5).shared_prompts(), 0);
}

#[test]
fn an_adapter_on_the_policys_weights_is_loaded_beside_the_policy_without_weights_of_its_own() {
    let device = device::cpu().device;
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("model");
    let policy = LanguageModel::embedded(&device).unwrap();
    let mut trained = RewardModel::on(LanguageModel::embedded(&device).unwrap(), 3).unwrap();
    let lora = RewardConfig {
        use_peft: true,
        ..RewardConfig::default()
    };
    let decoder = &mut trained.network.decoder;
    decoder.attach_lora(&lora.lora().unwrap(), 1).unwrap();
    for projection in decoder.projections() {
        let lora = projection.lora.as_mut().unwrap();
        lora.b = lora.b.clone() + 0.01; // as if it had learnt something
    }
    trained.save(&place, SaveDtype::F32).unwrap();

    let mut shared = RewardModel::load_beside(&place, &policy, &device).unwrap();
    let merged = RewardModel::load(&place, &device).unwrap();
    assert!(shared.network.decoder.has_lora() && !merged.network.decoder.has_lora());
    let mut trunk = policy.decoder.clone();
    let panels = |decoder: &mut Decoder| decoder.projections()[0].packed.clone().unwrap();
    let of_policy = panels(&mut trunk);
    assert!(Arc::ptr_eq(
        &panels(&mut shared.network.decoder),
        &of_policy
    ));
    let rows = [vec![5, 6, 7, 8], vec![300, 2]];
    let [own, shared, merged] = [&trained, &shared, &merged].map(|m| m.raw_scores(&rows).unwrap());
    assert_eq!(own, shared);
    for (shared, merged) in shared.iter().zip(merged) {
        assert!((shared - merged).abs() < 1e-4, "{shared} {merged}");
    }

    // On any other weights it comes with its own.
    let other = LanguageModel::load(&fixture("llama-tiny"), &device).unwrap();
    let alone = RewardModel::load_beside(&place, &other, &device).unwrap();
    assert!(!alone.network.decoder.has_lora());
}
