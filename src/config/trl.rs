//! TRL's settings that rlhf does not have under that name, each with our equivalent or the reason.
//!
//! A test walks every field of TRL 1.12's `SFTConfig`, `RewardConfig`, `PPOConfig` and `DPOConfig`, those inherited
//! from transformers' `TrainingArguments` included: each is accepted or has a row here.

/// What to say about any setting of DPO.
pub const NO_DPO: &str = "rlhf trains with PPO on the same judgements: see `rlhf reward train --help` and `rlhf ppo --help`";

/// Names that share one piece of advice, in one section or (empty) in all.
struct Row {
    section: &'static str,
    names: &'static [&'static str],
    advice: &'static str,
}

const fn row(section: &'static str, names: &'static [&'static str], advice: &'static str) -> Row {
    Row {
        section,
        names,
        advice,
    }
}

const ANY: &str = "";

/// More particular rows come first.
#[rustfmt::skip]
const ROWS: &[Row] = &[
    // Same thing, other name or other place.
    row(ANY, &["model_name_or_path", "sft_model_path"], "use --model, or `model` in [project]"),
    row(ANY, &["reward_model_path"], "use --reward-model, or `reward_model` in [project]"),
    row(ANY, &["output_dir"], "use --out; without it results go to runs/<kind>-<nnn>"),
    row(ANY, &["run_name", "project"], "name the run by its folder, with --out"),
    row(ANY, &["resume_from_checkpoint"], "use --resume with the run's folder"),
    row(ANY, &["model_revision"], "append it to the hub id: --model OWNER/NAME@REVISION"),
    row(ANY, &["use_cpu", "no_cuda"], "use --device cpu, or `device` in [project]"),
    row(ANY, &["data_seed", "full_determinism"], "`seed` covers everything random, and runs are always deterministic on one machine at one thread count"),
    row(ANY, &["disable_tqdm", "log_level", "log_level_replica"], "use --quiet"),
    row(ANY, &["max_seq_length", "max_prompt_length", "max_completion_length"], "use `max_length` ([sft], [reward]) or `response_length` ([ppo])"),
    row(ANY, &["evaluation_strategy", "eval_strategy", "eval_on_start", "eval_delay", "do_eval"], "use `eval_steps`; an evaluation before the first and after the last update is always made"),
    row(ANY, &["save_strategy"], "use `save_steps`"),
    row(ANY, &["logging_strategy", "logging_first_step"], "use `logging_steps`; the first step is always logged"),
    row(ANY, &["do_train", "do_predict"], "choose the command instead: rlhf sft, reward train, ppo, generate"),
    row(ANY, &["lora_dropout"], "dropout is off in every job, adapters included (as if 0)"),
    row(ANY, &["disable_dropout"], "dropout is off in every job"),
    row(ANY, &["lora_task_type", "lora_modules_to_save"], "follows from the command; a reward model's head is always trained and saved"),
    row(ANY, &["model_adapter_name", "ref_adapter_name"], "the reference is the policy without its adapter; adapters have no names"),
    row("sft", &["assistant_only_loss"], "use `completion_only_loss`, which in chats trains on the assistant's turns"),
    row("sft", &["dataset_text_field", "dataset_kwargs"], "rows are {\"text\"}, {\"prompt\", \"completion\"} or {\"messages\"}, recognised by their keys"),
    row("sft", &["truncation_mode"], "rows longer than `max_length` are cut at the end (keep_start)"),
    row("sft", &["shuffle_dataset"], "rows are always shuffled, by `seed`"),
    row("sft", &["loss_type"], "the loss is the token-weighted negative log-likelihood (nll)"),
    row("sft", &["packing", "packing_strategy", "padding_free", "eval_packing"], "rows are padded, never packed, so that no row sees another; rows of like length share a batch"),
    row("reward", &["max_steps"], "use `num_train_epochs`, which may be fractional"),
    row("ppo", &["stop_token_id"], "use `stop_token` with the token's text"),
    row("ppo", &["local_rollout_forward_batch_size", "micro_batch_size"], "use `per_device_train_batch_size` (episodes per forward pass)"),
    row("ppo", &["local_batch_size"], "use `batch_size` (episodes per step)"),
    row("ppo", &["mini_batch_size", "local_mini_batch_size"], "use `num_mini_batches`: a minibatch has batch_size / num_mini_batches episodes"),
    row("ppo", &["gradient_accumulation_steps"], "microbatches are accumulated by themselves: set `batch_size`, `num_mini_batches` and `per_device_train_batch_size`"),
    row("ppo", &["num_total_batches", "max_steps", "num_train_epochs"], "use `total_episodes`: steps = total_episodes / batch_size"),
    row("ppo", &["warmup_ratio"], "use `warmup_steps`"),
    row("ppo", &["num_sample_generations"], "every response is kept in samples.jsonl"),
    row(ANY, &["per_device_eval_batch_size", "eval_accumulation_steps", "auto_find_batch_size"], "evaluation uses `per_device_train_batch_size`"),
    row(ANY, &["num_generations"], "use --candidates with rlhf sample"),

    // Fixed by design.
    row(ANY, &["optim", "optim_args", "optim_target_modules"], "the optimiser is AdamW; see adam_beta1, adam_beta2, adam_epsilon, weight_decay"),
    row(ANY, &["lr_scheduler_kwargs"], "linear, cosine and constant take no further arguments"),
    row("project", &["bf16"], "it belongs in [sft], [sample], [reward] or [ppo]"),
    row(ANY, &["fp16", "tf32"], "use `bf16`, for products; all else is in f32"),
    row(ANY, &["bf16_full_eval", "fp16_full_eval"], "what is evaluated while training computes as training does; see `bf16`"),
    row("ppo", &["dtype"], "weights are trained in f32, and so is the result"),
    row(ANY, &["load_in_8bit", "load_in_4bit", "bnb_4bit_quant_type", "use_bnb_nested_quant", "bnb_4bit_quant_storage"], "weights are not quantised; `use_peft` saves most of the memory"),
    row(ANY, &["gradient_checkpointing", "gradient_checkpointing_kwargs", "activation_checkpointing", "activation_checkpointing_kwargs", "activation_offloading"], "lower `per_device_train_batch_size` to save memory; the result does not change"),
    row(ANY, &["use_rslora", "use_dora", "lora_target_parameters"], "adapters are plain LoRA: lora_r, lora_alpha, lora_target_modules"),
    row(ANY, &["attn_implementation", "use_liger_kernel", "liger_kernel_config", "torch_compile", "torch_compile_backend", "torch_compile_mode", "torch_empty_cache_steps", "use_cache"], "there is one implementation, and kernels are fused where the device can"),
    row(ANY, &["trust_remote_code", "model_init_kwargs"], "no code is ever loaded from a model folder; see the README for supported architectures"),
    row(ANY, &["chat_template_path", "eos_token", "pad_token"], "taken from the model's folder; edit its tokenizer_config.json"),
    row(ANY, &["pad_to_multiple_of"], "lengths are bucketed by themselves where the device needs it"),
    row(ANY, &["router_aux_loss_coef"], "mixtures of experts are not supported"),
    row(ANY, &["label_smoothing_factor", "neftune_noise_alpha"], "not offered: it would change the loss that the log reports"),
    row(ANY, &["logging_nan_inf_filter", "log_on_each_node"], "non-finite updates are skipped and counted; see `max_nonfinite_steps`"),
    row(ANY, &["include_num_input_tokens_seen"], "metrics.jsonl always has `tokens`"),
    row(ANY, &["load_best_model_at_end", "metric_for_best_model", "greater_is_better"], "the best checkpoint by held-out loss or score is kept and exported"),
    row(ANY, &["save_only_model", "save_on_each_node", "enable_jit_checkpoint", "ignore_data_skip", "restore_callback_states_from_checkpoint", "overwrite_output_dir"], "checkpoints are always complete, and a run continues exactly where it stopped"),
    row(ANY, &["average_tokens_across_devices"], "losses are always weighted by token counts"),
    row(ANY, &["train_sampling_strategy", "length_column_name", "group_by_length"], "rows are shuffled by `seed`; rows of like length share a batch where that changes nothing"),
    row(ANY, &["prediction_loss_only", "eval_do_concat_batches", "eval_use_gather_object", "include_for_metrics", "batch_eval_metrics", "label_names", "remove_unused_columns"], "evaluation reports what `rlhf explain` lists; extra keys of a row are ignored"),
    row(ANY, &["skip_memory_metrics", "debug"], "not offered; see RUST_BACKTRACE for debugging"),

    // No such thing here.
    row(ANY, &["report_to", "trackio_space_id", "trackio_bucket_id", "trackio_static_space_id"], "nothing is sent anywhere; read metrics.jsonl in the run's folder"),
    row(ANY, &["push_to_hub", "hub_token", "hub_private_repo", "hub_model_id", "hub_strategy", "hub_always_push", "hub_revision"], "nothing is uploaded; the result in model/ is a Hugging Face folder that you can upload"),
    row(ANY, &["world_size", "local_rank", "accelerator_config", "parallelism_config", "ddp_find_unused_parameters", "ddp_bucket_cap_mb", "ddp_broadcast_buffers", "ddp_static_graph", "ddp_backend", "ddp_timeout", "fsdp", "fsdp_config", "deepspeed", "ds3_gather_for_generation"], "a job runs in one process on one device"),
    row(ANY, &["dataset_num_proc", "dataloader_drop_last", "dataloader_num_workers", "dataloader_pin_memory", "dataloader_persistent_workers", "dataloader_prefetch_factor", "dataloader_multiprocessing_context", "dataloader_in_order"], "data is read in the job's own process; no row is dropped silently"),
];

/// What to say about TRL's setting `name` in `section`; `None` if TRL has no such setting or rlhf has it too.
pub fn advice(section: &str, name: &str) -> Option<&'static str> {
    let applies =
        |row: &&Row| (row.section == ANY || row.section == section) && row.names.contains(&name);
    ROWS.iter().find(applies).map(|row| row.advice)
}

/// "; did you mean `…`?" for the nearest of `names`, or nothing.
pub fn suggestion<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> String {
    let similarity = |candidate: &str| strsim::jaro_winkler(name, candidate);
    let nearest = names.max_by(|a, b| similarity(a).total_cmp(&similarity(b)));
    match nearest.filter(|n| similarity(n) > 0.8) {
        Some(nearest) => format!("; did you mean `{nearest}`?"),
        None => String::new(),
    }
}

/// The hint of an unknown key: TRL's equivalent, else the nearest key, else where to look.
pub fn key_hint<'a>(section: &str, name: &str, keys: impl Iterator<Item = &'a str>) -> String {
    if let Some(advice) = advice(section, name) {
        return format!(" (TRL's); {advice}");
    }
    match suggestion(name, keys) {
        nothing if nothing.is_empty() => {
            format!("; `rlhf config {section}` lists the keys of [{section}]")
        }
        suggestion => suggestion,
    }
}
