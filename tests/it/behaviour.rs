//! What the sampler tells of its rollout is what the trainer's own forward pass says, and PPO learns the same from either.
//!
//! The bounds are in nats (log-probabilities, entropies) or units of the score (values); a state taken one token too early or too late
//! changes them by about 1.

use std::error::Error;

use burn::tensor::Tensor;
use rlhf::algo::adamw::{AdamWConfig, EpsilonPlacement};
use rlhf::algo::kl::KlEstimator;
use rlhf::algo::ppo::PolicyClip;
use rlhf::algo::rewards::MissingEos;
use rlhf::generate::SamplerConfig;
use rlhf::model::lora::{Layers, uniform};
use rlhf::model::optimizer::Optimizer;
use rlhf::model::parameters::Visitor;
use rlhf::model::{
    Decoder, LanguageModel, LoraConfig, Parameters, PromptInput, ScalarHead, ScalarModel,
    ScoreRequest, Scorer, Tokenizer,
};
use rlhf::policy::actor_critic::{ActorCritic, Critic};
use rlhf::policy::behaviour::Behaviour;
use rlhf::policy::config::PpoConfig;
use rlhf::policy::experience::{EpisodeTokens, Experience, Measured, Rows, Shaping, measure};
use rlhf::policy::ppo::{Ppo, World};
use rlhf::policy::rollout::{Episode, Prompt, Sampling, rollout};
use rlhf::policy::update::{Batch, LossConfig, UpdateReport, update};
use serde_json::{Value, json};

use crate::generate::FAMILIES;
use crate::golden_model::{fixture, load};

/// Nats between two ways to the same number in f32: sums in another order. The bound for a rollout's mean is five times this.
const ROUNDING: f32 = 2e-5;

pub(super) const TEMPERATURE: f64 = 0.7;

/// Scores by the share of even tokens.
struct EvenTokens;

impl Scorer for EvenTokens {
    fn score(
        &self,
        _: &str,
        requests: &[ScoreRequest<'_>],
    ) -> Result<Vec<f64>, Box<dyn Error + Send + Sync>> {
        let score = |request: &ScoreRequest<'_>| {
            let even = request.response_ids.iter().filter(|&id| id % 2 == 0);
            even.count() as f64 / request.response_ids.len().max(1) as f64
        };
        Ok(requests.iter().map(score).collect())
    }
}

fn tokenizer() -> Tokenizer {
    Tokenizer::from_folder(&fixture("../tokenizer/byte_level")).unwrap()
}

/// Two that are equal, two that begin alike, one of a single token, and one that leaves room for five tokens.
pub(super) fn prompts(policy: &Decoder) -> Vec<Prompt> {
    let context = policy.config.max_position_embeddings as u32;
    let prompt = |(index, length): (u32, u32)| Prompt {
        id: index.to_string(),
        input: PromptInput::Text(String::new()),
        ids: (0..length).map(|i| (i * 31 + index / 3) % 97).collect(),
    };
    let lengths = [9, 9, 30, 1, 4, 17, context - 5, 12];
    (0..).zip(lengths).map(prompt).collect()
}

pub(super) fn sampling(trace: bool) -> Sampling {
    let sampler = SamplerConfig {
        temperature: TEMPERATURE,
        max_new_tokens: 14,
        seed: 7,
        ..SamplerConfig::default()
    };
    Sampling {
        sampler,
        stop_ids: (0..6).collect(),
        batch_size: 3,
        trace,
    }
}

/// Adapters that do something, over a frozen trunk.
fn adapt(decoder: &mut Decoder, layers: Layers) {
    decoder.pack();
    let lora = LoraConfig {
        r: 3,
        alpha: 6.0,
        target_modules: vec!["all-linear".to_owned()],
        layers,
    };
    decoder.attach_lora(&lora, 1).unwrap();
    for projection in decoder.projections() {
        if let Some(adapter) = &mut projection.lora {
            let [rows, columns] = adapter.b.dims();
            let values = uniform(rows * columns, 0.2, 5, &projection.name);
            let b = Tensor::<1>::from_floats(values.as_slice(), &adapter.b.device());
            adapter.b = b.reshape([rows, columns]);
        }
    }
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Lora(Layers),
    Full,
    /// With a critic of its own.
    FullSeparate,
}

pub(super) fn networks(name: &str, kind: Kind) -> (ActorCritic, Decoder) {
    let mut policy = load(&fixture(name));
    let hidden = policy.config.hidden_size;
    let head = ScalarHead::random(hidden, 3, &policy.embedding.device());
    let decoder = policy.clone();
    let critic = match &kind {
        Kind::FullSeparate => Critic::Separate(Box::new(ScalarModel { decoder, head })),
        _ => Critic::Shared(head),
    };
    let mut reference = policy.base();
    if let Kind::Lora(layers) = kind {
        adapt(&mut policy, layers);
        reference = policy.base();
    }
    (ActorCritic { policy, critic }, reference)
}

fn drawn<'a>(policy: &Decoder, prompts: &'a [Prompt], sampling: &Sampling) -> Vec<Episode<'a>> {
    let prompts: Vec<&Prompt> = prompts.iter().collect();
    let (tokenizer, policy, scorer) = (tokenizer(), policy.sampler(), EvenTokens);
    let episodes = rollout(&policy, &tokenizer, &prompts, sampling, 1, &scorer, &mut ());
    episodes.unwrap()
}

#[track_caller]
fn close(what: &str, a: &Rows, b: &Rows, bound: f32) {
    assert_eq!(a.len(), b.len());
    for (row, (a, b)) in a.iter().zip(b).enumerate() {
        assert_eq!(a.len(), b.len(), "{what} of row {row}");
        for (t, (a, b)) in a.iter().zip(b).enumerate() {
            assert!((a - b).abs() <= bound, "{what}[{row}][{t}]: {a} and {b}");
        }
    }
}

/// The rollout as the sampler and as the trainer measures it.
#[derive(Clone)]
pub(super) struct Twice {
    pub model: ActorCritic,
    pub tokens: Vec<EpisodeTokens>,
    scores: Vec<f64>,
    pub told: Measured,
    pub own: Measured,
}

pub(super) fn twice(name: &str, kind: Kind) -> Twice {
    twice_with(name, kind, &sampling(true))
}

fn twice_with(name: &str, kind: Kind, sampling: &Sampling) -> Twice {
    let (model, reference) = networks(name, kind);
    let prompts = prompts(&model.policy);
    Twice::new(model, &reference, &prompts, sampling)
}

impl Twice {
    pub fn new(
        model: ActorCritic,
        reference: &Decoder,
        prompts: &[Prompt],
        sampling: &Sampling,
    ) -> Self {
        let mut episodes = drawn(&model.policy, prompts, sampling);
        let behaviour = Behaviour::take(&mut episodes).unwrap();
        let tokens: Vec<EpisodeTokens> = episodes.iter().map(|e| e.tokens.clone()).collect();
        let measured = |behaviour: Option<&Behaviour>| {
            measure(&model, reference, &tokens, behaviour, TEMPERATURE, 3)
        };
        let (told, own) = (measured(Some(&behaviour)), measured(None));
        Self {
            scores: episodes.iter().map(|e| e.score).collect(),
            model,
            tokens,
            told,
            own,
        }
    }
}

#[test]
fn the_sampler_says_what_the_trainer_would() {
    let shared = FAMILIES.map(|name| (name, Kind::Full));
    let others = [
        ("llama-tiny", Kind::Lora(Layers::All)),
        ("llama-tiny", Kind::Lora(Layers::Last(1))),
        ("llama-tiny", Kind::FullSeparate),
    ];
    for (name, kind) in shared.into_iter().chain(others) {
        let Twice {
            tokens, told, own, ..
        } = twice(name, kind.clone());
        assert!(told.by_sampler && !own.by_sampler);
        assert!(tokens.iter().any(|row| row.finished), "{name}");
        assert!(tokens.iter().any(|row| row.response.len() == 14), "{name}");
        let lengths = |rows: &Rows| rows.iter().map(Vec::len).collect::<Vec<_>>();
        let responses: Vec<usize> = tokens.iter().map(|row| row.response.len()).collect();
        assert_eq!(lengths(&told.logprobs), responses);
        assert_eq!(lengths(&told.values), responses);
        close(name, &told.logprobs, &own.logprobs, ROUNDING);
        close(name, &told.entropies, &own.entropies, ROUNDING);
        close(name, &told.values, &own.values, ROUNDING);
        assert_eq!(told.ref_logprobs, own.ref_logprobs);
        assert_eq!(told.residuals, own.residuals);
        let kept = matches!(kind, Kind::Lora(Layers::Last(_)));
        assert_eq!(kept, told.residuals.iter().all(|row| !row.is_empty()));
    }
}

/// Large enough that a team of threads draws its rows together, and so many that each member could have rows of its own.
#[test]
fn a_team_of_threads_tells_each_row_its_own_states() {
    let folder = tempfile::tempdir().unwrap();
    let config = json!({
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 420,
        "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 1,
        "num_attention_heads": 8, "max_position_embeddings": 16, "tie_word_embeddings": true,
    });
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        let from = fixture("../tokenizer/byte_level").join(name);
        std::fs::copy(from, folder.path().join(name)).unwrap();
    }
    let device = rlhf::device::cpu().device;
    let policy = LanguageModel::random(folder.path(), 1, &device).unwrap();
    let mut policy = policy.decoder;
    policy.pack();
    let critic = Critic::Shared(ScalarHead::random(1024, 3, &device));
    let prompt = |id: u32| Prompt {
        id: id.to_string(),
        input: PromptInput::Text(String::new()),
        ids: vec![id],
    };
    let prompts: Vec<Prompt> = (0..40).map(prompt).collect();
    let mut sampling = sampling(true);
    (sampling.batch_size, sampling.sampler.max_new_tokens) = (40, 2);
    let reference = policy.base();
    let model = ActorCritic { policy, critic };
    let Twice { told, own, .. } = Twice::new(model, &reference, &prompts, &sampling);
    close("logprobs", &told.logprobs, &own.logprobs, ROUNDING);
    close("entropies", &told.entropies, &own.entropies, ROUNDING);
    close("values", &told.values, &own.values, ROUNDING);
}

#[test]
fn filters_change_what_is_drawn_but_not_the_distribution_that_is_measured() {
    let mut sampling = sampling(true);
    (sampling.sampler.top_k, sampling.sampler.top_p) = (20, 0.8);
    let Twice { told, own, .. } = twice_with("llama-tiny", Kind::Full, &sampling);
    close("logprobs", &told.logprobs, &own.logprobs, ROUNDING);
    close("entropies", &told.entropies, &own.entropies, ROUNDING);
    close("values", &told.values, &own.values, ROUNDING);
}

#[test]
fn an_answer_cut_by_the_context_has_all_its_values() {
    let Twice { tokens, told, .. } = twice("llama-tiny", Kind::Full);
    let cut = &tokens[6];
    assert!(!cut.finished);
    assert_eq!(cut.tokens(), 128); // its max_position_embeddings
    assert_eq!(told.values[6].len(), 5);
}

fn shaping() -> Shaping {
    Shaping {
        kl_coef: 0.05,
        kl_estimator: KlEstimator::K1,
        missing_eos: MissingEos::Penalty(1.0),
        reward_clip: None,
        whiten_rewards: true,
        whiten_advantages: true,
        gamma: 0.99,
        lam: 0.95,
    }
}

/// The first update with ε = 1 and a learning rate of 1, where a weight moves by g/(|g| + 1): gradients can be read off the weights.
pub(super) fn first_update(twice: &Twice, measured: &Measured) -> (UpdateReport, Rows) {
    let finished: Vec<bool> = twice.tokens.iter().map(|row| row.finished).collect();
    let experience = Experience::new(measured, &twice.scores, &finished, shaping());
    let adamw = AdamWConfig {
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1.0,
        epsilon_placement: EpsilonPlacement::PyTorch,
        weight_decay: 0.0,
    };
    let losses = LossConfig {
        clip: PolicyClip {
            range: 0.2,
            dual: None,
        },
        cliprange_value: 0.2,
        vf_coef: 0.1,
        temperature: TEMPERATURE,
        microbatch: 3,
    };
    let batch = Batch {
        episodes: &twice.tokens,
        measured,
        experience: &experience,
    };
    let (mut model, mut optimizer) = (twice.model.clone(), Optimizer::new(adamw, 0.0));
    let rows: Vec<usize> = (0..twice.tokens.len()).collect();
    let report = update(&mut model, &mut optimizer, batch, &rows, &losses, 1.0);
    let mut weights = Weights(Vec::new());
    model.visit(&mut weights);
    (report, weights.0)
}

pub(super) struct Weights(pub Rows);

impl Visitor for Weights {
    fn visit<const D: usize>(&mut self, _: &str, _: bool, tensor: &mut Tensor<D>) {
        self.0.push(tensor.to_data().iter::<f32>().collect());
    }
}

#[test]
fn the_first_losses_and_gradients_are_the_same() {
    let kinds = [
        Kind::Lora(Layers::All),
        Kind::Lora(Layers::Last(1)),
        Kind::Full,
        Kind::FullSeparate,
    ];
    for kind in kinds {
        let twice = twice("llama-tiny", kind.clone());
        let (told, weights) = first_update(&twice, &twice.told);
        let (own, expected) = first_update(&twice, &twice.own);
        for (what, told, own) in [
            ("policy loss", told.policy_loss, own.policy_loss),
            ("value loss", told.value_loss, own.value_loss),
            ("gradient norm", told.grad_norm, own.grad_norm),
        ] {
            let bound = 1e-5 * own.abs().max(1.0);
            assert!((told - own).abs() <= bound, "{kind:?} {what}: {told} {own}");
        }
        assert!(told.applied && own.grad_norm > 0.01, "{}", own.grad_norm);
        assert!(told.policy.mean_absolute_log_ratio() < 1e-5);
        assert_eq!(told.policy.clip_fraction(), 0.0);
        close("weights", &weights, &expected, 1e-5);
    }
}

/// Three steps of two epochs and two minibatches; every figure of their rows but times.
fn metrics(kind: Kind, trace: bool) -> Vec<Value> {
    let config = PpoConfig {
        batch_size: 8,
        total_episodes: 24,
        num_mini_batches: 2,
        num_ppo_epochs: 2,
        per_device_train_batch_size: 3,
        temperature: TEMPERATURE,
        learning_rate: 1e-4,
        missing_eos_penalty: Some(1.0),
        ..PpoConfig::default()
    };
    let (model, reference) = networks("llama-tiny", kind);
    let (tokenizer, sampling) = (tokenizer(), sampling(trace));
    let prompts = prompts(&model.policy);
    let world = World {
        tokenizer: &tokenizer,
        prompts: &prompts,
        sampling: &sampling,
        scorer: &EvenTokens,
    };
    let mut ppo = Ppo::new(&config, model, reference);
    let row = |_| {
        let (report, _) = ppo.step(&world, &mut ()).unwrap();
        let mut row = serde_json::to_value(report).unwrap();
        let timeless = |name: &str| !name.contains("second");
        row.as_object_mut()
            .unwrap()
            .retain(|name, _| timeless(name));
        row
    };
    (0..3).map(row).collect()
}

#[test]
fn a_whole_run_has_the_same_figures_either_way() {
    for kind in [Kind::Lora(Layers::All), Kind::FullSeparate] {
        let (told, own) = (metrics(kind.clone(), true), metrics(kind, false));
        for (told, own) in told.iter().zip(&own) {
            for (name, own) in own.as_object().unwrap() {
                let Some(own) = own.as_f64() else {
                    assert_eq!(&told[name], own, "{name}");
                    continue;
                };
                let told = told[name].as_f64().unwrap();
                let bound = 1e-4 * own.abs() + 1e-5;
                assert!((told - own).abs() <= bound, "{name}: {told} and {own}");
            }
            let mismatch = told["sampler_mismatch"].as_f64().unwrap();
            assert!(mismatch < 1e-5, "{mismatch}");
        }
    }
}

#[test]
fn without_a_trace_there_is_nothing_to_take() {
    let (model, _) = networks("llama-tiny", Kind::Full);
    let prompts = prompts(&model.policy);
    let mut episodes = drawn(&model.policy, &prompts, &sampling(false));
    assert!(Behaviour::take(&mut episodes).is_none());
}
