//! One whole PPO update of llama-tiny, number by number, against PyTorch (`tests/fixtures/ppo_update.json`).
//!
//! Policy: llama-tiny. Reference: every weight times 1.02. Critic: a copy of the trunk with its own head. Four minibatches in a
//! given order. Tolerances: 2e-4·|x| + 2e-6 up to the first minibatch, 2e-3·|x| + 2e-5 after the last.

use std::path::Path;

use burn::tensor::{Device, Tensor};
use rlhf::algo::adamw::{AdamWConfig, EpsilonPlacement};
use rlhf::algo::kl::KlEstimator;
use rlhf::algo::ppo::PolicyClip;
use rlhf::algo::rewards::MissingEos;
use rlhf::model::optimizer::Optimizer;
use rlhf::model::parameters::Visitor;
use rlhf::model::{Decoder, LanguageModel, Parameters, ScalarHead, ScalarModel};
use rlhf::policy::actor_critic::{ActorCritic, Critic};
use rlhf::policy::experience::{EpisodeTokens, Experience, Measured, Rows, Shaping, measure};
use rlhf::policy::update::{Batch, LossConfig, UpdateReport, update};
use serde_json::Value;

const FIRST: (f64, f64) = (2e-4, 2e-6);
const LAST: (f64, f64) = (2e-3, 2e-5);

pub struct Case {
    json: Value,
    pub model: ActorCritic,
    pub reference: Decoder,
    episodes: Vec<EpisodeTokens>,
}

impl Case {
    fn load() -> Self {
        Self::on(&rlhf::device::cpu().device)
    }

    pub fn on(device: &Device) -> Self {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        let text = std::fs::read(fixtures.join("ppo_update.json")).unwrap();
        let json: Value = serde_json::from_slice(&text).unwrap();
        let policy = LanguageModel::load(&fixtures.join("models/llama-tiny"), device)
            .unwrap()
            .decoder;
        let mut reference = policy.clone();
        reference.visit(&mut Times(1.02));
        let head = floats(&json["critic_head_initial"]);
        let head = Tensor::<1>::from_floats(head.as_slice(), device).reshape([1, head.len()]);
        let critic = ScalarModel {
            decoder: policy.clone(),
            head: ScalarHead { weight: head },
        };
        let episodes = episodes(&json);
        Self {
            json,
            model: ActorCritic {
                policy,
                critic: Critic::Separate(Box::new(critic)),
            },
            reference,
            episodes,
        }
    }

    fn number(&self, key: &str) -> f64 {
        self.json[key].as_f64().unwrap()
    }

    fn experience(&self, measured: &Measured) -> Experience {
        let scores: Vec<f64> = floats(&self.json["raw_score"])
            .iter()
            .map(|&s| f64::from(s))
            .collect();
        let finished: Vec<bool> = self.episodes.iter().map(|e| e.finished).collect();
        let shaping = Shaping {
            kl_coef: self.number("kl_coef"),
            kl_estimator: KlEstimator::K1,
            missing_eos: MissingEos::Score(self.number("missing_eos_score")),
            reward_clip: None,
            whiten_rewards: false,
            whiten_advantages: true,
            gamma: self.number("gamma"),
            lam: self.number("lam"),
        };
        Experience::new(measured, &scores, &finished, shaping)
    }

    fn optimizer(&self) -> Optimizer {
        let config = AdamWConfig {
            beta1: self.number("beta1"),
            beta2: self.number("beta2"),
            epsilon: self.number("eps"),
            epsilon_placement: EpsilonPlacement::PyTorch,
            weight_decay: self.number("weight_decay"),
        };
        Optimizer::new(config, self.number("max_grad_norm"))
    }

    fn losses(&self, microbatch: usize) -> LossConfig {
        LossConfig {
            clip: PolicyClip {
                range: self.number("clip"),
                dual: None,
            },
            cliprange_value: self.number("value_clip"),
            vf_coef: self.number("vf_coef"),
            temperature: self.number("temperature"),
            microbatch,
        }
    }

    /// In the shapes of the first minibatch, so that its ratios are 1 to the last bit but rounding.
    pub fn measured(&self) -> Measured {
        measure(
            &self.model,
            &self.reference,
            &self.episodes,
            None,
            self.number("temperature"),
            4,
        )
    }

    /// The four minibatches of the fixture.
    fn train(&mut self, microbatch: usize) -> Vec<UpdateReport> {
        self.updates(4, microbatch)
    }

    /// The first `count` of them.
    pub fn updates(&mut self, count: usize, microbatch: usize) -> Vec<UpdateReport> {
        let measured = self.measured();
        let experience = self.experience(&measured);
        let (mut optimizer, losses) = (self.optimizer(), self.losses(microbatch));
        let minibatches = self.json["minibatches"].as_array().unwrap().clone();
        let mut step = |minibatch: &Value| {
            let rows: Vec<usize> = minibatch["rows"]
                .as_array()
                .unwrap()
                .iter()
                .map(|r| r.as_u64().unwrap() as usize)
                .collect();
            let batch = Batch {
                episodes: &self.episodes,
                measured: &measured,
                experience: &experience,
            };
            update(
                &mut self.model,
                &mut optimizer,
                batch,
                &rows,
                &losses,
                self.json["lr"].as_f64().unwrap(),
            )
        };
        minibatches.iter().take(count).map(&mut step).collect()
    }
}

struct Times(f64);

impl Visitor for Times {
    fn visit<const D: usize>(&mut self, _: &str, _: bool, tensor: &mut Tensor<D>) {
        *tensor = tensor.clone() * self.0;
    }
}

fn floats(value: &Value) -> Vec<f32> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap() as f32)
        .collect()
}

fn episodes(json: &Value) -> Vec<EpisodeTokens> {
    let prompt_length = json["prompt_len"].as_u64().unwrap() as usize;
    let row = |key: &str, b: usize| -> Vec<u32> {
        floats(&json[key][b]).iter().map(|&x| x as u32).collect()
    };
    (0..json["input_ids"].as_array().unwrap().len())
        .map(|b| {
            let (ids, mask) = (row("input_ids", b), row("attention_mask", b));
            let real = |from: usize, to: usize| {
                (from..to)
                    .filter(|&i| mask[i] == 1)
                    .map(|i| ids[i])
                    .collect()
            };
            EpisodeTokens {
                prompt: real(0, prompt_length),
                response: real(prompt_length, ids.len()),
                finished: json["has_eos"][b] == 1,
            }
        })
        .collect()
}

#[track_caller]
fn close(what: &str, ours: f64, golden: f64, (relative, absolute): (f64, f64)) {
    let allowed = relative * golden.abs() + absolute;
    assert!(
        (ours - golden).abs() <= allowed,
        "{what}: {ours} instead of {golden} (allowed ±{allowed:e})"
    );
}

#[track_caller]
fn rows_close(what: &str, ours: &Rows, golden: &Value, tolerance: (f64, f64)) {
    for (b, row) in ours.iter().enumerate() {
        for (t, (&x, y)) in row.iter().zip(floats(&golden[b])).enumerate() {
            close(
                &format!("{what}[{b}][{t}]"),
                f64::from(x),
                f64::from(y),
                tolerance,
            );
        }
    }
}

#[test]
fn rollout_quantities_equal_pytorch() {
    let case = Case::load();
    let measured = case.measured();
    let experience = case.experience(&measured);
    for (what, ours) in [
        ("logprobs", &measured.logprobs),
        ("ref_logprobs", &measured.ref_logprobs),
        ("values", &measured.values),
        ("rewards", &experience.rewards),
        ("advantages", &experience.raw_advantages),
        ("returns", &experience.returns),
        ("advantages_whitened", &experience.advantages),
    ] {
        rows_close(what, ours, &case.json[what], FIRST);
    }
}

#[test]
fn every_minibatch_and_the_weights_after_the_last_equal_pytorch() {
    let mut case = Case::load();
    let reports = case.train(4);
    let golden = case.json["minibatches"].as_array().unwrap().clone();
    for (index, (report, golden)) in reports.iter().zip(&golden).enumerate() {
        let tolerance = if index == 0 { FIRST } else { LAST };
        for (what, ours) in [
            ("policy_loss", report.policy_loss),
            ("value_loss", report.value_loss),
            ("grad_norm_before_clip", report.grad_norm),
            ("ratio_max", report.policy.ratio_max()),
            ("clip_fraction", report.policy.clip_fraction()),
            ("approx_kl_k2", report.policy.approx_kl()),
        ] {
            close(
                &format!("minibatch {index} {what}"),
                ours,
                golden[what].as_f64().unwrap(),
                tolerance,
            );
        }
    }
    let after = case.measured();
    rows_close(
        "after.logprobs",
        &after.logprobs,
        &case.json["after"]["logprobs"],
        LAST,
    );
    rows_close(
        "after.values",
        &after.values,
        &case.json["after"]["values"],
        LAST,
    );
    let mut squares = Squares(0.0);
    case.model.policy.visit(&mut squares);
    close(
        "after.policy_weight_l2",
        squares.0.sqrt(),
        case.json["after"]["policy_weight_l2"].as_f64().unwrap(),
        LAST,
    );
    let Critic::Separate(critic) = &case.model.critic else {
        panic!("the critic is separate")
    };
    let head: Vec<f32> = critic.head.weight.to_data().iter::<f32>().collect();
    rows_close(
        "after.head",
        &vec![head],
        &Value::from(vec![case.json["after"]["head"].clone()]),
        LAST,
    );
}

struct Squares(f64);

impl Visitor for Squares {
    fn visit<const D: usize>(&mut self, _: &str, _: bool, tensor: &mut Tensor<D>) {
        self.0 += tensor.to_data().iter::<f64>().map(|x| x * x).sum::<f64>();
    }
}

#[test]
fn the_first_minibatch_has_ratio_one() {
    let reports = Case::load().train(4);
    let first = &reports[0].policy;
    assert!(
        (first.ratio_max() - 1.0).abs() < 1e-6,
        "{}",
        first.ratio_max()
    );
    assert_eq!(first.clip_fraction(), 0.0);
    assert!(first.approx_kl() < 1e-12, "{}", first.approx_kl());
}

#[test]
fn microbatches_add_up_to_their_minibatch() {
    let (whole, parts) = (Case::load().train(4), Case::load().train(1));
    close(
        "policy loss",
        parts[0].policy_loss,
        whole[0].policy_loss,
        (0.0, 1e-6),
    );
    close(
        "value loss",
        parts[0].value_loss,
        whole[0].value_loss,
        (0.0, 1e-6),
    );
    close(
        "gradient norm",
        parts[0].grad_norm,
        whole[0].grad_norm,
        (1e-5, 0.0),
    );
}
