//! Every field of `metrics.jsonl`, its formula and its healthy range: the one place where they are documented.
//!
//! Means over tokens are over real response tokens; d = logp − logp_ref in nats, ρ = exp(logp − logp_old).

/// One field of `metrics.jsonl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Key in the row.
    pub name: &'static str,
    /// Kinds of run that log it.
    pub kinds: &'static [&'static str],
    /// Formula or meaning, with the unit.
    pub formula: &'static str,
    /// What to expect of a healthy run, and what a departure means.
    pub healthy: &'static str,
}

const ALL: &[&str] = &["sft", "reward", "ppo"];
const SUPERVISED: &[&str] = &["sft", "reward"];
const SFT: &[&str] = &["sft"];
const REWARD: &[&str] = &["reward"];
const PPO: &[&str] = &["ppo"];

const fn metric(
    name: &'static str,
    kinds: &'static [&'static str],
    formula: &'static str,
    healthy: &'static str,
) -> Metric {
    Metric {
        name,
        kinds,
        formula,
        healthy,
    }
}

/// The fields in the order of the row.
#[rustfmt::skip]
pub const METRICS: &[Metric] = &[
    metric("step", ALL, "optimiser updates done (sft, reward); rollouts done (ppo)", "rises by one per row, or by logging_steps"),
    metric("epoch", SUPERVISED, "rows seen / rows in the training set", "ends at num_train_epochs"),
    metric("episodes", PPO, "responses sampled so far", "rises by batch_size"),
    metric("learning_rate", ALL, "rate used in the last update", "warm-up, then down to 0 (linear, cosine)"),
    metric("grad_norm", ALL, "global L2 norm of the gradient before clipping, mean over the step's updates", "steady; a jump of 10× announces trouble"),
    metric("nonfinite_steps", ALL, "updates skipped so far because a loss or gradient was not finite", "0"),
    metric("tokens", ALL, "real tokens in the row's batches", "steady"),

    metric("loss", SUPERVISED, "sft: mean −log p per trained token, nats; reward: mean −log σ(r_w − r_l − m)", "falls; reward starts near 0.693"),
    metric("eval_loss", SUPERVISED, "the same on held-out rows", "falls; rising while loss falls = overfitting"),
    metric("eval_perplexity", SFT, "exp(eval_loss)", "falls"),
    metric("accuracy", REWARD, "share of pairs with r_w > r_l, a tie of scores counts one half", "0.6–0.8 on human labels"),
    metric("eval_accuracy", REWARD, "the same on held-out prompts", "above eval_length_baseline; human labels agree at about 0.75"),
    metric("eval_length_baseline", REWARD, "accuracy of preferring the longer response, held out", "about 0.5; far from it, judge the model against it"),
    metric("margin", REWARD, "mean r_w − r_l", "positive, rising slowly; above 5 means overconfident"),
    metric("score_mean", &["reward", "ppo"], "mean score: raw (reward), normalised (ppo), as the reward model gave it", "ppo: rises; reward: near 0"),
    metric("score_std", &["reward", "ppo"], "standard deviation of the same", "ppo: towards 0 means that responses collapse"),

    metric("reward_mean", PPO, "mean over responses of Σ_t r_t: score minus the KL penalty", "rises"),
    metric("kl_penalty_mean", PPO, "mean over responses of −β·Σ_t kl_t: the part of the reward that is not score", "small beside the score"),
    metric("kl", PPO, "mean over responses of Σ_t d, nats per sequence (k1, unbiased)", "0 at step 1 but for rounding, then rises slowly; below about 10"),
    metric("kl_per_token", PPO, "Σ d / Σ tokens, nats", "below about 0.3"),
    metric("kl_k2", PPO, "mean over responses of Σ_t d²/2, nats (biased, low variance)", "close to kl while it is small"),
    metric("kl_k3", PPO, "mean over responses of Σ_t (e^{−d} − 1 + d), nats (unbiased, never negative)", "close to kl"),
    metric("kl_estimator", PPO, "the estimator in the reward: k1 or k3", "constant"),
    metric("kl_coef", PPO, "β used in this step's rewards", "constant, or follows kl_target"),
    metric("entropy", PPO, "mean over tokens of −Σ p log p of the rollout policy, nats", "falls slowly; a fall to 0 is collapse"),
    metric("sampler_mismatch", PPO, "mean |logp of the sampler − logp of the trainer| before any update, nats; on the CPU over the first minibatch of the first epoch", "≤ 1e-4 in f32, ≤ 5e-2 with bf16; more = wrong masks or kernels"),
    metric("off_policy_sampling", PPO, "true if top_p < 1 or top_k > 0 was allowed", "false"),

    metric("policy_loss", PPO, "mean max(−A·ρ, −A·clip(ρ, 1 ± cliprange)) over the step", "near 0, slightly negative"),
    metric("value_loss", PPO, "mean ½·max((V−R)², (V_clipped−R)²) over the step", "falls"),
    metric("clip_fraction", PPO, "share of tokens where the clipped policy loss is the larger", "0.01–0.3; 0 in the first minibatch"),
    metric("value_clip_fraction", PPO, "share of tokens where the clipped value loss is the larger", "below 0.3"),
    metric("approx_kl", PPO, "mean ½·(logp − logp_old)² over the step, nats per token", "below 0.05; 0 in the first minibatch but for rounding"),
    metric("ratio_mean", PPO, "mean ρ over the step", "close to 1; in the first minibatch 1 but for rounding"),
    metric("ratio_var", PPO, "variance of ρ over the step's updates' means", "below 0.01"),
    metric("explained_variance", PPO, "1 − Var(R − V)/Var(R) over tokens, before the epochs", "rises to 0.5–1; negative = the critic hurts"),
    metric("advantage_std", PPO, "standard deviation of advantages before whitening", "steady"),
    metric("return_mean", PPO, "mean return over tokens", "follows reward_mean"),
    metric("value_mean", PPO, "mean value over tokens, before the epochs", "follows return_mean"),
    metric("updates", PPO, "optimiser updates in this step", "num_ppo_epochs × num_mini_batches, fewer if target_kl stopped it"),

    metric("response_length", PPO, "mean tokens per response, its end token included", "within ±30 % of the start; drift = length hacking"),
    metric("missing_eos_share", PPO, "share of responses that did not end by themselves", "below 0.5; above, raise response_length"),
    metric("distinct_2", PPO, "different bigrams / bigrams over the step's responses", "≥ 70 % of the first step's; a fall is collapse"),

    metric("eval_score", PPO, "mean score on the held-out prompts", "rises with score_mean"),
    metric("eval_gold_score", PPO, "mean score of an independent judge there, if one is given", "rises; falling while eval_score rises = over-optimisation"),
    metric("eval_kl", PPO, "kl on the held-out prompts, nats per sequence", "within kl_budget_nats"),
    metric("eval_response_length", PPO, "response_length there", "as response_length"),
    metric("eval_distinct_2", PPO, "distinct_2 there", "as distinct_2"),

    metric("seconds_rollout", PPO, "time to sample responses", "most of the step without LoRA"),
    metric("seconds_scoring", PPO, "time for log-probabilities, reference, values and scores", "below seconds_update"),
    metric("seconds_update", PPO, "time for the epochs", "about 3 × num_ppo_epochs forward passes"),
    metric("seconds", ALL, "time of the whole step", "steady"),
    metric("tokens_per_second", ALL, "tokens / seconds", "steady"),
];
