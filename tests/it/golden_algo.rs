//! Every entry of `tests/fixtures/algorithms.json` (PyTorch in f64, gradients included) against
//! `algo`, in f32 and in f64. The error allowed is `tolerance · max(1, |expected|)`.

use std::sync::LazyLock;

use burn::tensor::{Bool, DType, Device, Int, Tensor, TensorData};
use rlhf::algo::adamw::{AdamW, AdamWConfig, EpsilonPlacement};
use rlhf::algo::clip::{GlobalNorm, clip_factor};
use rlhf::algo::dpo::{PairLogprobs, PreferenceLoss};
use rlhf::algo::kl::{KlController, KlEstimator};
use rlhf::algo::ppo::{PolicyBatch, PolicyClip, ValueBatch, policy_loss, value_loss};
use rlhf::algo::ppo_stats::PolicyStats;
use rlhf::algo::rewards::{self, MissingEos};
use rlhf::algo::{bradley_terry, davidson, dpo, gae, group, logprob, masked, plackett_luce};
use serde_json::Value;

/// f64 is not tighter because burn rounds the gradient of a division by a scalar to f32.
const PRECISIONS: [(DType, f64); 2] = [(DType::F32, 1e-5), (DType::F64, 1e-7)];

/// One entry of the fixture, read at one precision.
struct Case {
    name: &'static str,
    entry: &'static Value,
    dtype: DType,
    tolerance: f64,
}

fn fixture() -> &'static Value {
    static FIXTURE: LazyLock<Value> = LazyLock::new(|| {
        serde_json::from_str(include_str!("../fixtures/algorithms.json"))
            .unwrap_or_else(|error| panic!("algorithms.json: {error}"))
    });
    &FIXTURE
}

/// Runs a check on an entry at both precisions.
fn check(name: &'static str, run: impl Fn(&Case)) {
    let entry = fixture()
        .get(name)
        .unwrap_or_else(|| panic!("no entry {name}"));
    for (dtype, tolerance) in PRECISIONS {
        run(&Case {
            name,
            entry,
            dtype,
            tolerance,
        });
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        other => vec![
            other
                .as_f64()
                .unwrap_or_else(|| panic!("{other} is no number")),
        ],
    }
}

fn shape(value: &Value) -> Vec<usize> {
    match value {
        Value::Array(items) => [vec![items.len()], shape(&items[0])].concat(),
        _ => vec![],
    }
}

impl Case {
    fn scalar(&self, key: &str) -> f64 {
        self.entry[key]
            .as_f64()
            .unwrap_or_else(|| panic!("{}: no number {key}", self.name))
    }

    fn tensor_of<const D: usize>(&self, value: &Value, device: &Device) -> Tensor<D> {
        let data = TensorData::new(numbers(value), shape(value));
        Tensor::from_data(data, (device, self.dtype))
    }

    /// Without autodiff.
    fn tensor<const D: usize>(&self, key: &str) -> Tensor<D> {
        self.tensor_of(&self.entry[key], &Device::flex())
    }

    /// A leaf whose gradient is wanted.
    fn leaf<const D: usize>(&self, key: &str) -> Tensor<D> {
        self.tensor_of(&self.entry[key], &Device::flex().autodiff())
            .require_grad()
    }

    fn mask(&self) -> Tensor<2, Bool> {
        self.tensor::<2>("mask").greater_scalar(0.5)
    }

    fn ints<const D: usize>(&self, key: &str) -> Tensor<D, Int> {
        self.tensor(key).int()
    }

    fn near(&self, what: &str, got: f64, expected: f64) {
        let error = (got - expected).abs();
        assert!(
            error <= self.tolerance * expected.abs().max(1.0),
            "{} {what} in {:?}: {got}, expected {expected}",
            self.name,
            self.dtype
        );
    }

    fn all_near<const D: usize>(&self, key: &str, got: Tensor<D>) {
        self.all_near_value(key, got, &self.entry[key]);
    }

    fn all_near_value<const D: usize>(&self, what: &str, got: Tensor<D>, expected: &Value) {
        assert_eq!(got.dims().to_vec(), shape(expected), "{} {what}", self.name);
        assert_eq!(got.dtype(), self.dtype, "{} {what}", self.name);
        for (got, expected) in got.into_data().iter::<f64>().zip(numbers(expected)) {
            self.near(what, got, expected);
        }
    }

    /// The loss, and the gradients of its leaves.
    fn loss_and_gradients<const D: usize>(&self, loss: &Tensor<1>, leaves: &[(&str, &Tensor<D>)]) {
        self.near("loss", loss.clone().into_scalar(), self.scalar("loss"));
        let gradients = loss.backward();
        for (key, leaf) in leaves {
            let gradient = leaf.grad(&gradients);
            self.all_near(
                key,
                gradient.unwrap_or_else(|| panic!("{}: no {key}", self.name)),
            );
        }
    }
}

#[test]
fn masked_statistics() {
    check("masked", |case| {
        let (x, mask) = (case.tensor::<2>("x"), case.mask());
        case.near(
            "mean",
            masked::mean(x.clone(), &mask).into_scalar(),
            case.scalar("mean"),
        );
        let variance = masked::variance(x.clone(), &mask).into_scalar();
        case.near("variance", variance, case.scalar("variance_population"));
        case.all_near("whiten_shift", masked::whiten(x.clone(), &mask, true));
        case.all_near("whiten_keep_mean", masked::whiten(x, &mask, false));
    });
}

#[test]
fn logprobs_and_entropy_at_two_temperatures() {
    for name in ["logprob_t1.0", "logprob_t0.7"] {
        check(name, |case| {
            let labels = case.ints::<2>("labels");
            let temperature = case.scalar("temperature");
            let got = logprob::token_logprobs(case.tensor("logits"), labels, temperature);
            case.all_near("logprobs", got.logprobs);
            case.all_near("entropy", got.entropies);
        });
    }
}

#[test]
fn kl_estimators() {
    check("kl", |case| {
        for estimator in [KlEstimator::K1, KlEstimator::K2, KlEstimator::K3] {
            case.all_near(
                estimator.name(),
                estimator.estimate(case.tensor::<2>("log_ratio")),
            );
        }
    });
}

#[test]
fn adaptive_kl_controller() {
    check("adaptive_kl", |case| {
        for row in case.entry.as_array().unwrap() {
            let field = |key: &str| row[key].as_f64().unwrap();
            let mut controller = KlController::Adaptive {
                kl_coef: field("kl_coef"),
                target: field("target"),
                horizon: field("horizon"),
            };
            controller.update(field("kl"), field("n") as usize);
            case.near("next", controller.kl_coef(), field("next"));
        }
    });
}

#[test]
fn gae_over_ragged_responses() {
    for name in ["gae_g1.0_l0.95", "gae_g0.99_l0.9", "gae_g1.0_l1.0"] {
        check(name, |case| {
            let (rewards, values) = (case.tensor("rewards"), case.tensor("values"));
            let (gamma, lam) = (case.scalar("gamma"), case.scalar("lam"));
            let got = gae::estimate(rewards, values, &case.mask(), gamma, lam);
            case.all_near("advantages", got.advantages);
            case.all_near("returns", got.returns);
        });
    }
}

/// From log-probabilities, values and scores to whitened advantages, as PyTorch (in f32) did them for
/// the eight ragged responses of `ppo_update.json`, two of them without EOS.
#[test]
fn rewards_and_advantages_of_a_whole_rollout() {
    static UPDATE: LazyLock<Value> = LazyLock::new(|| {
        serde_json::from_str(include_str!("../fixtures/ppo_update.json"))
            .unwrap_or_else(|error| panic!("ppo_update.json: {error}"))
    });
    let case = &Case {
        name: "ppo_update",
        entry: &UPDATE,
        dtype: DType::F32,
        tolerance: 1e-5,
    };
    let mask = case.tensor::<2>("response_mask").greater_scalar(0.5);
    let finished = case.tensor::<1>("has_eos").greater_scalar(0.5);
    let rule = MissingEos::Score(case.scalar("missing_eos_score"));
    let scores = rewards::adjust_scores(case.tensor("raw_score"), &finished, rule);
    let log_ratio = case.tensor::<2>("logprobs") - case.tensor("ref_logprobs");
    let kl = KlEstimator::K1.estimate(log_ratio);
    let rewards = rewards::token_rewards(kl, scores, &mask, case.scalar("kl_coef"));
    case.all_near("rewards", rewards.clone());

    let (gamma, lam) = (case.scalar("gamma"), case.scalar("lam"));
    let got = gae::estimate(rewards, case.tensor("values"), &mask, gamma, lam);
    case.all_near("advantages", got.advantages.clone());
    case.all_near("returns", got.returns);
    let whitened = masked::whiten(got.advantages, &mask, true);
    case.all_near("advantages_whitened", whitened);
}

fn policy_batch(case: &Case, logprobs: Tensor<2>) -> PolicyBatch {
    PolicyBatch {
        logprobs,
        old_logprobs: case.tensor("old_logprobs"),
        advantages: case.tensor("advantages"),
        response_mask: case.mask(),
    }
}

#[test]
fn ppo_policy_loss_gradient_and_statistics() {
    check("ppo_policy", |case| {
        let range = case.scalar("clip");
        let tokens = numbers(&case.entry["mask"]).iter().sum();
        let logprobs = case.leaf::<2>("new_logprobs");
        let clip = PolicyClip { range, dual: None };
        let loss = policy_loss(policy_batch(case, logprobs.clone()), clip, tokens);
        case.loss_and_gradients(&loss, &[("grad_new_logprobs", &logprobs)]);

        let stats = PolicyStats::measure(policy_batch(case, logprobs.inner()), range);
        case.near(
            "clip fraction",
            stats.clip_fraction(),
            case.scalar("clip_fraction"),
        );
        case.near(
            "approximate KL",
            stats.approx_kl(),
            case.scalar("approx_kl_k2"),
        );
    });
}

fn value_batch(case: &Case, values: Tensor<2>) -> ValueBatch {
    ValueBatch {
        values,
        old_values: case.tensor("old_values"),
        returns: case.tensor("returns"),
        response_mask: case.mask(),
    }
}

#[test]
fn ppo_value_loss_and_gradient() {
    check("ppo_value", |case| {
        let tokens = numbers(&case.entry["mask"]).iter().sum();
        let values = case.leaf::<2>("new_values");
        let loss = value_loss(
            value_batch(case, values.clone()),
            case.scalar("clip"),
            tokens,
        );
        case.loss_and_gradients(&loss, &[("grad_new_values", &values)]);
    });
}

/// Rows of every tensor of a batch.
fn rows<const D: usize>(tensor: &Tensor<D>, start: usize, length: usize) -> Tensor<D> {
    tensor.clone().narrow(0, start, length)
}

#[test]
fn microbatches_add_up_to_their_minibatch() {
    check("ppo_policy", |case| {
        let tokens: f64 = numbers(&case.entry["mask"]).iter().sum();
        let clip = PolicyClip {
            range: case.scalar("clip"),
            dual: Some(3.0),
        };
        let whole = policy_batch(case, case.tensor("new_logprobs"));
        let expected: f64 = policy_loss(whole.clone(), clip, tokens).into_scalar();
        let stats = PolicyStats::measure(whole.clone(), clip.range);
        for size in [1, 2, 3] {
            let (mut loss, mut merged) = (0.0, PolicyStats::default());
            for start in (0..4).step_by(size) {
                let size = size.min(4 - start);
                let micro = PolicyBatch {
                    logprobs: rows(&whole.logprobs, start, size),
                    old_logprobs: rows(&whole.old_logprobs, start, size),
                    advantages: rows(&whole.advantages, start, size),
                    response_mask: whole.response_mask.clone().narrow(0, start, size),
                };
                loss += policy_loss(micro.clone(), clip, tokens).into_scalar::<f64>();
                merged.merge(&PolicyStats::measure(micro, clip.range));
            }
            assert!(
                (loss - expected).abs() <= 1e-6,
                "{size} rows: {loss}, whole {expected}"
            );
            assert!((merged.approx_kl() - stats.approx_kl()).abs() <= 1e-12);
            assert!((merged.ratio_variance() - stats.ratio_variance()).abs() <= 1e-12);
            assert_eq!(merged.clip_fraction(), stats.clip_fraction());
        }
    });
    check("ppo_value", |case| {
        let tokens: f64 = numbers(&case.entry["mask"]).iter().sum();
        let whole = value_batch(case, case.tensor("new_values"));
        let expected: f64 = value_loss(whole.clone(), 0.2, tokens).into_scalar();
        let parts = (0..4).map(|row| {
            let micro = ValueBatch {
                values: rows(&whole.values, row, 1),
                old_values: rows(&whole.old_values, row, 1),
                returns: rows(&whole.returns, row, 1),
                response_mask: whole.response_mask.clone().narrow(0, row, 1),
            };
            value_loss(micro, 0.2, tokens).into_scalar::<f64>()
        });
        let sum: f64 = parts.sum();
        assert!(
            (sum - expected).abs() <= 1e-6,
            "rows {sum}, whole {expected}"
        );
    });
}

#[test]
fn bradley_terry_with_margin() {
    check("bradley_terry", |case| {
        let (winner, loser) = (case.leaf("winner"), case.leaf("loser"));
        let losses = bradley_terry::losses(winner.clone(), loser.clone(), case.tensor("margin"));
        let leaves = [("grad_winner", &winner), ("grad_loser", &loser)];
        case.loss_and_gradients(&losses.mean(), &leaves);
    });
}

#[test]
fn bradley_terry_with_centring() {
    check("bradley_terry_centred", |case| {
        let (winner, loser) = (case.leaf::<1>("winner"), case.leaf::<1>("loser"));
        let no_margin = winner.clone().detach().zeros_like();
        let losses = bradley_terry::losses(winner.clone(), loser.clone(), no_margin);
        let centring = bradley_terry::centring(winner.clone(), loser.clone());
        let loss = (losses + centring * case.scalar("coefficient")).mean();
        case.loss_and_gradients(&loss, &[("grad_winner", &winner), ("grad_loser", &loser)]);
    });
}

#[test]
fn plackett_luce_rankings() {
    check("plackett_luce", |case| {
        let scores = case.leaf::<2>("scores_best_first");
        let loss = plackett_luce::losses(scores.clone()).mean();
        case.loss_and_gradients(&loss, &[("grad_scores", &scores)]);
    });
}

#[test]
fn davidson_ties() {
    check("davidson", |case| {
        let (a, b) = (case.leaf::<1>("a"), case.leaf::<1>("b"));
        let log_nu = serde_json::json!([case.scalar("log_nu")]);
        let log_nu: Tensor<1> = case
            .tensor_of(&log_nu, &Device::flex().autodiff())
            .require_grad();
        let probabilities = davidson::log_probabilities(
            a.clone().inner(),
            b.clone().inner(),
            log_nu.clone().inner(),
        );
        case.all_near("probabilities", probabilities.exp());
        let outcomes = case.ints("outcome");
        let loss = davidson::losses(a.clone(), b.clone(), log_nu.clone(), outcomes).mean();
        case.near("loss", loss.clone().into_scalar(), case.scalar("loss"));
        let gradients = loss.backward();
        case.all_near("grad_a", a.grad(&gradients).unwrap());
        case.all_near("grad_b", b.grad(&gradients).unwrap());
        let log_nu = log_nu.grad(&gradients).unwrap().into_scalar();
        case.near("grad_log_nu", log_nu, case.scalar("grad_log_nu"));
    });
}

#[test]
fn dpo_family() {
    for name in ["dpo", "cdpo", "ipo"] {
        check(name, |case| {
            let (chosen, rejected) = (case.leaf("policy_chosen"), case.leaf("policy_rejected"));
            let pairs = PairLogprobs {
                policy_chosen: chosen.clone(),
                policy_rejected: rejected.clone(),
                ref_chosen: case.tensor("reference_chosen"),
                ref_rejected: case.tensor("reference_rejected"),
            };
            let label_smoothing = case.scalar("label_smoothing");
            let loss = match name {
                "ipo" => PreferenceLoss::Ipo,
                _ => PreferenceLoss::Dpo { label_smoothing },
            };
            let loss = dpo::losses(pairs, case.scalar("beta"), loss).mean();
            let leaves = [
                ("grad_policy_chosen", &chosen),
                ("grad_policy_rejected", &rejected),
            ];
            case.loss_and_gradients(&loss, &leaves);
        });
    }
}

#[test]
fn group_advantages() {
    check("rloo", |case| {
        case.all_near("advantages", group::rloo(case.tensor("scores")));
    });
    check("grpo", |case| {
        case.all_near("advantages", group::grpo(case.tensor("scores")));
    });
}

#[test]
fn adamw_with_both_placements_of_epsilon() {
    for (name, epsilon_placement) in [
        ("adamw_pytorch_eps", EpsilonPlacement::PyTorch),
        ("adamw_tensorflow_eps", EpsilonPlacement::TensorFlow),
    ] {
        check(name, |case| {
            let mut optimiser = AdamW::new(AdamWConfig {
                beta1: case.scalar("beta1"),
                beta2: case.scalar("beta2"),
                epsilon: case.scalar("eps"),
                epsilon_placement,
                weight_decay: case.scalar("weight_decay"),
            });
            let mut parameter = case.tensor::<2>("start");
            let gradients = case.entry["grads"].as_array().unwrap();
            for (gradient, after) in gradients
                .iter()
                .zip(case.entry["after"].as_array().unwrap())
            {
                let gradient = case.tensor_of(gradient, &Device::flex());
                optimiser.begin_update(1.0);
                parameter = optimiser.step("w", parameter, gradient, case.scalar("lr"));
                case.all_near_value("after", parameter.clone(), after);
            }
        });
    }
}

#[test]
fn global_norm_clipping() {
    check("global_norm_clip", |case| {
        let (a, b) = (case.tensor::<1>("a"), case.tensor::<2>("b"));
        let mut norm = GlobalNorm::default();
        norm.add(&a);
        norm.add(&b);
        let norm = norm.finish();
        case.near("norm", norm, case.scalar("norm"));
        let factor = clip_factor(norm, case.scalar("max_norm"));
        case.all_near("clipped_a", a * factor);
        case.all_near("clipped_b", b * factor);
    });
}

/// Nothing in the fixture may go unchecked.
#[test]
fn every_entry_of_the_fixture_has_a_test() {
    let this_file = include_str!("golden_algo.rs");
    let names = fixture().as_object().unwrap().keys();
    for name in names.filter(|name| *name != "made_with") {
        let quoted = format!("\"{name}\"");
        assert!(this_file.contains(&quoted), "no test for {name}");
    }
}
