//! What `rlhf demo` prints at its end.

use std::path::Path;
use std::time::Duration;

use crate::reward::report::Report;
use crate::round::compare::{Comparison, Example};

/// How good the reward model is.
pub fn print_reward_model(reward: &Report) {
    let accuracy = &reward.overall;
    println!(
        "\nReward model, {} held-out pairs of the gold scorer",
        accuracy.n
    );
    println!(
        "  accuracy            {:.3}   [{:.3}, {:.3}]",
        accuracy.accuracy, accuracy.accuracy_low, accuracy.accuracy_high
    );
    println!("  longer answer wins  {:.3}", reward.length_baseline);
}

/// How the policies compare, three examples, and what to do next.
pub fn print(dir: &Path, comparison: &Comparison, elapsed: Duration) {
    let [low, high] = comparison.win_rate_interval;
    let (before, after) = (&comparison.before, &comparison.after);
    println!(
        "\nPolicy, {} held-out prompts         before    after",
        comparison.prompts
    );
    let row = |name: &str, a: f64, b: f64| println!("  {name:<32} {a:>8.3} {b:>8.3}");
    row("score (reward model)", before.score, after.score);
    row("gold score", before.gold_score, after.gold_score);
    row("KL from the start, nats", 0.0, comparison.kl_nats);
    row("length, tokens", before.length, after.length);
    row("distinct-2", before.distinct_2, after.distinct_2);
    println!(
        "  blind win rate by the gold scorer   {:.3}   [{low:.3}, {high:.3}]   ({} wins, {} losses, {} ties)",
        comparison.win_rate, comparison.wins, comparison.losses, comparison.ties
    );
    println!("\nThree of the answers");
    for example in choose(&comparison.examples) {
        println!("  asked   {}", one_line(&example.prompt));
        println!(
            "  before  {}   ({:+.1})",
            one_line(&example.before),
            example.gold_scores[0]
        );
        println!(
            "  after   {}   ({:+.1})\n",
            one_line(&example.after),
            example.gold_scores[1]
        );
    }
    let dir = dir.display();
    println!(
        "This took {:.0} s. The project is in {dir}: samples, judgements, both runs, rounds/0/report.json.",
        elapsed.as_secs_f64()
    );
    println!("Next, with your own model:");
    println!(
        "  rlhf sample --model HuggingFaceTB/SmolLM2-135M-Instruct --prompts prompts/general.jsonl --dir mine"
    );
    println!("  rlhf label --dir mine");
    println!(
        "  rlhf reward train --model HuggingFaceTB/SmolLM2-135M-Instruct --data mine --dir mine --use-peft"
    );
    println!(
        "  rlhf ppo --model HuggingFaceTB/SmolLM2-135M-Instruct --reward-model mine/runs/reward-001 --prompts prompts/general.jsonl --dir mine --use-peft --critic shared --critic-init zero --learning-rate 1e-4"
    );
}

/// The first prompts whose answers differ: chosen by position, not by how well they turned out.
fn choose(examples: &[Example]) -> impl Iterator<Item = &Example> {
    examples.iter().filter(|e| e.before != e.after).take(3)
}

/// Model text on one line, with nothing that a terminal would obey.
fn one_line(text: &str) -> String {
    let visible: Vec<String> = crate::tui::text::sanitise(text)
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    visible.join(" ")
}
