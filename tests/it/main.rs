//! The one integration crate: golden values, screens, the real binary, the house rules.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]

mod architecture;
mod bad_input;
mod behaviour;
mod bench;
mod bf16;
mod chat_template;
mod cli_config;
mod cli_generate;
mod cli_help;
mod cli_support;
mod config_resolve;
mod config_trl;
mod end_to_end;
mod feedback_export_memory;
mod feedback_export_rows;
mod feedback_formats;
mod feedback_formats_export;
mod feedback_formats_files;
mod feedback_formats_hostile;
mod feedback_formats_parquet;
mod feedback_formats_read;
mod feedback_formats_trip;
mod feedback_import;
mod feedback_import_again;
mod feedback_import_stopped;
mod feedback_machines;
mod feedback_queue;
mod feedback_report;
mod feedback_rules;
mod feedback_sessions;
mod feedback_stage;
mod feedback_store;
mod feedback_yield;
mod generate;
mod golden_algo;
mod golden_model;
mod golden_peft;
mod golden_ppo;
mod golden_smollm2;
mod hub;
mod kept;
mod model_folder;
mod optimizer;
mod recipes;
mod report_page;
mod resume;
mod reward;
mod reward_cli;
mod run_checkpoint;
mod run_directory;
mod run_metrics;
mod sft;
mod sft_cli;
mod stats_reference;
mod stats_report;
mod stats_screen;
mod stats_stage;
mod tokenizer;
mod tui_beside;
mod tui_drafts;
mod tui_history;
mod tui_keys;
mod tui_layout;
mod tui_lists;
mod tui_person;
mod tui_pty;
mod tui_ranking;
mod tui_remarks;
mod tui_return;
mod tui_screens;
mod tui_sessions;
#[cfg(unix)]
mod tui_signals;
mod tui_stage;
mod tui_states;
mod tui_store;
mod tui_text;
mod tui_text_beside;
mod tui_text_nasty;
mod tui_text_views;
mod tui_unsaved;
mod tui_update;
#[cfg(feature = "wgpu")]
mod wgpu;
