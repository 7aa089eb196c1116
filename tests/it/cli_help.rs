//! What the help says, and what happens to wrong arguments.

use std::path::Path;

use clap::Command;

use crate::cli_support::rlhf;

fn here() -> &'static Path {
    Path::new(".")
}

/// Every command of the tree with its full name.
fn all_commands() -> Vec<(String, Command)> {
    fn collect(name: &str, command: &Command, found: &mut Vec<(String, Command)>) {
        for sub in command
            .get_subcommands()
            .filter(|sub| sub.get_name() != "help")
        {
            let name = format!("{name} {}", sub.get_name());
            found.push((name.clone(), sub.clone()));
            collect(&name, sub, found);
        }
    }
    let mut found = Vec::new();
    collect("rlhf", &rlhf::cli::command(), &mut found);
    found
}

#[test]
fn every_command_has_a_description_and_an_example() {
    let commands = all_commands();
    assert!(commands.len() >= 3);
    for (name, mut command) in commands {
        assert!(command.get_about().is_some(), "{name} has no description");
        if !command.has_subcommands() {
            let help = command.render_long_help().to_string();
            let example = help.split("Example").nth(1).unwrap_or_default();
            assert!(
                example.contains(&format!("  {name}")),
                "{name} has no example of its own:\n{help}"
            );
        }
    }
}

#[test]
fn the_help_lists_the_pipeline_in_its_order_and_the_rest_under_more() {
    let (code, help, _) = rlhf(here(), &["--help"]);
    assert_eq!(code, 0);
    let position = |text: &str| {
        help.find(text)
            .unwrap_or_else(|| panic!("no {text} in:\n{help}"))
    };
    let more = position("\nMore:\n");
    let names: Vec<_> = all_commands()
        .into_iter()
        .filter(|(name, _)| name.matches(' ').count() == 1)
        .collect();
    let mut pipeline = Vec::new();
    for (name, _) in &names {
        let name = name.trim_start_matches("rlhf ");
        let at = position(&format!("\n  {name} "));
        if at < more {
            pipeline.push((at, name));
        }
    }
    pipeline.sort_unstable();
    let order = ["demo", "sft", "sample", "label", "reward", "ppo"];
    let expected: Vec<_> = order
        .into_iter()
        .filter(|name| names.iter().any(|(n, _)| n == &format!("rlhf {name}")))
        .collect();
    assert_eq!(
        pipeline
            .into_iter()
            .map(|(_, name)| name)
            .collect::<Vec<_>>(),
        expected
    );
    assert!(position("\n  completions ") > more);
    assert!(position("\nOptions:\n") > more);
}

#[test]
fn no_command_and_an_unknown_one_are_usage_errors() {
    let (code, _, help) = rlhf::<&str>(here(), &[]);
    assert_eq!(code, 2);
    assert!(help.contains("More:"), "{help}");
    let (code, stdout, stderr) = rlhf(here(), &["explian"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(stderr.contains("'explain'"), "{stderr}");
}

#[test]
fn a_flag_of_trl_is_answered_with_our_equivalent() {
    for flag in ["--fp16", "--report-to", "--report_to"] {
        let (code, _, stderr) = rlhf(here(), &["config", flag, "x"]);
        assert_eq!(code, 2);
        assert!(
            stderr.contains(&format!("unknown flag {flag} (TRL's); ")),
            "{stderr}"
        );
    }
}

#[test]
fn explain_knows_settings_metrics_and_trl() {
    let (code, text, _) = rlhf(here(), &["explain", "--", "--kl-coef"]);
    assert_eq!(code, 0);
    assert!(
        text.contains("[ppo] kl_coef: β: weight of the KL divergence"),
        "{text}"
    );
    assert!(
        text.contains("metric kl_coef (ppo): β used in this step's rewards"),
        "{text}"
    );
    let (_, text, _) = rlhf(here(), &["explain", "label"]);
    assert!(
        text.contains("[label] overlap: ") && text.contains("[label] theme: "),
        "{text}"
    );
    let (_, text, _) = rlhf(here(), &["explain", "mini_batch_size"]);
    assert!(
        text.starts_with("TRL's mini_batch_size, in [ppo]: use `num_mini_batches`"),
        "{text}"
    );
    let (code, stdout, stderr) = rlhf(here(), &["explain", "entropyy"]);
    let expected = "error: no setting or metric is called `entropyy`; did you mean `entropy`?\n";
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (2, "", expected));
}

#[test]
fn completions_are_printed_for_a_shell() {
    let (code, script, _) = rlhf(here(), &["completions", "bash"]);
    assert_eq!(code, 0);
    assert!(script.contains("complete -F _rlhf"), "{script}");
    assert_eq!(rlhf(here(), &["completions", "tcsh"]).0, 2);
}
