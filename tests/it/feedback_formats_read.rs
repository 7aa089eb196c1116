//! One file per format, with rows shaped as the published ones (the format's module names the
//! source), and what is read from it.

use std::path::{Path, PathBuf};

use rlhf::feedback::formats::judged::{Judged, Said};
use rlhf::feedback::formats::{InFormat, judged::message};
use rlhf::feedback::item::PromptText;
use rlhf::feedback::judgements::Judgements;

pub fn fixture(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/fixtures/formats").join(name)
}

fn read(name: &str) -> (&'static str, Vec<Judged>) {
    let mut judgements = Judgements::open(&fixture(name), None).unwrap();
    let mut all = Vec::new();
    while let Some(read) = judgements.next_read().unwrap() {
        all.extend(read.judged());
    }
    (judgements.format().map_or("none", InFormat::name), all)
}

fn texts(judged: &Judged) -> Vec<&str> {
    judged
        .answers
        .iter()
        .map(|answer| answer.text.as_str())
        .collect()
}

fn models(judged: &Judged) -> Vec<Option<&str>> {
    judged
        .answers
        .iter()
        .map(|answer| answer.model.as_deref())
        .collect()
}

fn text(prompt: &str) -> PromptText {
    PromptText::Text(prompt.into())
}

fn chat(turns: &[(&str, &str)]) -> PromptText {
    PromptText::Messages(
        turns
            .iter()
            .map(|(role, said)| message(role, *said))
            .collect(),
    )
}

fn prefer(winner: usize, strength: Option<u8>) -> Said {
    Said::Prefer { winner, strength }
}

/// A file with one pair whose first answer is better.
fn one_pair(name: &str, format: &str, prompt: PromptText, chosen: &str, rejected: &str) {
    let (found, judged) = read(name);
    assert_eq!(found, format, "{name}");
    let [judged] = &judged[..] else {
        panic!("{name}: {judged:?}");
    };
    assert_eq!(judged.prompt, prompt, "{name}");
    assert_eq!(texts(judged), [chosen, rejected], "{name}");
    assert_eq!(judged.said, prefer(0, None), "{name}");
}

#[test]
fn pairs_of_every_chat_format() {
    let cold = "Hello, can you tell me how cold San Francisco is today?";
    let long = "Today in San Francisco, it is not quite cold as expected. Morning clouds will give \
                away to sunshine, with a high near 68°F (20°C) and a low around 57°F (14°C).";
    let short = "It is not particularly cold in San Francisco today.";
    one_pair(
        "openai.jsonl",
        "openai",
        chat(&[("user", cold)]),
        long,
        short,
    );
    let french = [
        ("system", "Be brief."),
        ("user", "Hi"),
        ("assistant", "Hello."),
        ("user", "Translate to French.\ncat"),
    ];
    one_pair("alpaca.json", "alpaca", chat(&french), "chat", "chien");
    one_pair(
        "sharegpt.jsonl",
        "sharegpt",
        chat(&[("user", "What is 1+1?")]),
        "2",
        "3",
    );
    let kind = [("system", "Be kind."), ("user", "Hello?")];
    one_pair("axolotl.jsonl", "axolotl", chat(&kind), "Hello!", "What.");
    one_pair(
        "binarized.jsonl",
        "trl",
        chat(&[("user", "How?")]),
        "So.",
        "No.",
    );
}

#[test]
fn pairs_of_every_text_format() {
    let question = text("Human: I have a question. Assistant:");
    one_pair(
        "ds_chat.jsonl",
        "trl",
        question,
        "Good answer.",
        "Bad answer.",
    );
    let sky = text("The sky is");
    one_pair("unpaired.jsonl", "unpaired", sky, " blue.", " green.");
    let car = text("How do I detail a car?");
    let (chosen, rejected) = ("Wash, clay, polish, wax.", "Detailing is nice.");
    one_pair("rewardbench.jsonl", "rewardbench", car, chosen, rejected);
    let (_, all) = read("rewardbench.jsonl");
    assert_eq!(models(&all[0]), [Some("GPT4-Turbo"), Some("alpaca-7b")]);
    assert_eq!(all[0].source.as_deref(), Some("alpacaeval-easy"));
    let (_, all) = read("margin.jsonl");
    assert_eq!(
        [&all[0].said, &all[1].said],
        [&prefer(0, Some(3)), &prefer(0, None)]
    );
}

#[test]
fn ultrafeedback_is_ranked_by_mean_rating() {
    let (format, all) = read("ultrafeedback.jsonl");
    assert_eq!((format, all.len()), ("ultrafeedback", 1));
    assert_eq!(texts(&all[0]), ["4", "Seven is prime.", "2", "3"]);
    // Means 1.5, 5, (4+5+3)/3 = 4 without the N/A, 4: the wrong overall_score of 10 plays no part.
    assert_eq!(
        all[0].said,
        Said::Ranking(vec![vec![1], vec![2, 3], vec![0]])
    );
    assert_eq!(all[0].annotator.as_deref(), Some("gpt-4"));
    assert_eq!(models(&all[0])[1], Some("gpt-4"));
}

#[test]
fn rewardbench_2_says_nothing_about_the_rejected_among_themselves() {
    let (format, all) = read("rewardbench2.jsonl");
    assert_eq!((format, all.len()), ("rewardbench2", 3));
    assert_eq!(texts(&all[0]), ["red", "brown", "pink"]);
    assert_eq!(texts(&all[1]), ["blue", "brown", "pink"]);
    assert_eq!(
        [&all[0].said, &all[1].said],
        [&prefer(0, None), &prefer(0, None)]
    );
    assert_eq!(
        (texts(&all[2]), &all[2].said),
        (vec!["red", "blue"], &Said::Tie)
    );
    let comparisons: Vec<_> = all
        .iter()
        .map(|judged| judged.comparisons().len())
        .collect();
    assert_eq!(comparisons, [2, 2, 1]);
}

#[test]
fn summaries_keep_worker_policy_and_confidence() {
    let (format, all) = read("summarize.jsonl");
    assert_eq!((format, all.len()), ("summarize", 2));
    let prompt = text("SUBREDDIT: r/aww\n\nTITLE: Cat\n\nPOST: My cat sleeps.\n\nTL;DR:");
    assert_eq!(all[0].prompt, prompt);
    assert_eq!(all[0].said, prefer(1, Some(3)));
    assert_eq!(
        all[0].annotator.as_deref(),
        Some("ikNmucwunMnYJCQpnq6ZYb57OW7NiD")
    );
    assert_eq!(models(&all[0]), [Some("sup2"), Some("ppo_v2")]);
    // 9 is surely the right one, and the choice was the left one: only the choice counts.
    assert_eq!(all[1].said, prefer(0, None));
    assert_eq!(all[1].prompt, text("Article:\n\nIt rained.\n\nTL;DR:"));
}

#[test]
fn label_studio_has_one_judgement_per_annotation() {
    let (format, all) = read("label_studio.json");
    assert_eq!((format, all.len()), ("label-studio", 3));
    let people: Vec<_> = all
        .iter()
        .map(|judged| judged.annotator.as_deref())
        .collect();
    assert_eq!(people, [Some("10"), Some("11"), None]);
    let said: Vec<_> = all.iter().map(|judged| judged.said.clone()).collect();
    assert_eq!(said, [prefer(0, None), prefer(1, None), Said::Nothing]);
    assert_eq!(all[0].active_ms, Some(4288));
    assert_eq!(texts(&all[2]), ["Tea", "Coffee"]);
}

#[test]
fn argilla_counts_submitted_responses_to_the_question_about_the_answers() {
    let (format, all) = read("argilla.jsonl");
    assert_eq!((format, all.len()), ("argilla", 1));
    assert_eq!(all[0].prompt, text("Say hi."));
    assert_eq!(all[0].said, Said::Ranking(vec![vec![0, 2], vec![1]]));
    let user = "7e4a1c1e-0000-4000-8000-000000000001";
    assert_eq!(all[0].annotator.as_deref(), Some(user));
    let (format, all) = read("argilla_legacy.jsonl");
    assert_eq!((format, all.len()), ("argilla-legacy", 2));
    assert_eq!(
        [&all[0].said, &all[1].said],
        [&prefer(0, None), &prefer(1, None)]
    );
    assert_eq!(texts(&all[1]), ["Bye! Bye!", "Once."]);
}

#[test]
fn nemo_ranks_and_ties() {
    let (format, all) = read("nemo.jsonl");
    assert_eq!((format, all.len()), ("nemo", 1));
    assert_eq!(texts(&all[0]), ["second", "first", "also second"]);
    assert_eq!(all[0].said, Said::Ranking(vec![vec![1], vec![0, 2]]));
    assert_eq!(all[0].source.as_deref(), Some("ranks"));
}

#[test]
fn the_arena_has_ties_and_turns() {
    let (format, all) = read("arena.csv");
    assert_eq!((format, all.len()), ("arena", 3));
    assert_eq!(texts(&all[0]), ["It depends,\nas they say.", "Yes."]);
    assert_eq!(
        models(&all[0]),
        [Some("gpt-4-1106-preview"), Some("gpt-4-0613")]
    );
    let shared = [
        ("user", "Hi"),
        ("assistant", "Hello."),
        ("user", "And \"you\"?"),
    ];
    assert_eq!(all[1].prompt, chat(&shared));
    assert_eq!(
        (texts(&all[1]), &all[1].said),
        (vec!["Fine.", "Well."], &Said::Tie)
    );
    // The conversations part after the first turn: what follows belongs to the answers.
    assert_eq!(all[2].prompt, chat(&[("user", "One")]));
    let parted = [
        "a1\n\nHuman: Two\n\nAssistant: ",
        "b1\n\nHuman: Two\n\nAssistant: b2",
    ];
    assert_eq!(
        (texts(&all[2]), &all[2].said),
        (parted.to_vec(), &prefer(1, None))
    );
}

#[test]
fn answers_are_read_without_a_judgement() {
    let (format, all) = read("answers.jsonl");
    assert_eq!(
        (format, all.len(), &all[0].said),
        ("answers", 1, &Said::Nothing)
    );
    assert_eq!(all[0].prompt_id.as_deref(), Some("q1"));
    assert_eq!(models(&all[0]), [Some("x"), Some("y"), Some("z")]);
}

#[test]
fn rows_of_no_format_are_told_what_to_do() {
    let error = |row: &str| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rows.jsonl");
        std::fs::write(&path, row).unwrap();
        let mut judgements = Judgements::open(&path, None).unwrap();
        judgements.next_read().unwrap_err().to_string()
    };
    let tokens = std::fs::read_to_string(fixture("lm_human_preferences.jsonl")).unwrap();
    assert!(
        error(&tokens)
            .contains("import the file with its tokenizer: rlhf feedback import FILE --tokenizer"),
        "{}",
        error(&tokens)
    );
    assert!(error("{\"prompt\": \"Hi\"}").contains("draw answers with `rlhf sample`"));
    assert!(error("{\"messages\": []}").contains("`rlhf sft --data FILE`"));
    let unknown = error("{\"foo\": 1, \"bar\": 2}");
    assert!(
        unknown.contains("rows.jsonl:1: the row fits no format; its keys are [\"foo\", \"bar\"]")
    );
    assert!(
        unknown.contains("openai") && unknown.contains("preferred_output"),
        "{unknown}"
    );
    assert!(error("[1]").contains("1: expected a JSON object"));
    assert!(
        error("{\"data\": {\"prompt\": \"p\", \"answer1\": 3}}")
            .contains("`answer1` must be a string")
    );
}
