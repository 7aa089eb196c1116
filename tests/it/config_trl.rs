//! Every setting of TRL's configurations is accepted or answered.

use rlhf::config::{SECTIONS, trl};
use serde_json::Value;

fn names(list: &str) -> Vec<String> {
    let fixture: Value = serde_json::from_str(include_str!("../fixtures/trl_fields.json")).unwrap();
    serde_json::from_value(fixture[list].clone()).unwrap()
}

/// Names of a list that are neither keys of the section nor answered.
fn unanswered(section: &str, list: &str) -> Vec<String> {
    let fields = SECTIONS
        .iter()
        .find(|(name, _)| *name == section)
        .unwrap()
        .1;
    let is_known = |name: &str| fields.iter().any(|f| f.name == name);
    names(list)
        .into_iter()
        .filter(|n| !is_known(n) && trl::advice(section, n).is_none())
        .collect()
}

#[test]
fn sft_reward_and_ppo_settings_are_accepted_or_answered() {
    for (section, own) in [
        ("sft", "SFTConfig"),
        ("reward", "RewardConfig"),
        ("ppo", "PPOConfig"),
    ] {
        for list in [own, "TrainingArguments", "ModelConfig"] {
            assert_eq!(
                unanswered(section, list),
                [] as [&str; 0],
                "[{section}] {list}"
            );
        }
    }
}

#[test]
fn dpo_is_answered_as_a_whole() {
    assert!(names("DPOConfig").contains(&"beta".to_owned()));
    let file = rlhf::config::File::parse("[dpo]\nbeta = 0.1", "rlhf.toml".as_ref());
    assert!(file.unwrap_err().to_string().ends_with(trl::NO_DPO));
}

#[test]
fn no_answer_contradicts_a_setting_that_exists() {
    for (section, fields) in SECTIONS {
        for field in *fields {
            assert_eq!(
                trl::advice(section, field.name),
                None,
                "[{section}] {}",
                field.name
            );
        }
    }
}

#[test]
fn the_lists_are_whole() {
    let count = |list: &str| names(list).len();
    assert_eq!(
        (
            count("SFTConfig"),
            count("RewardConfig"),
            count("PPOConfig")
        ),
        (22, 12, 33)
    );
    assert_eq!(
        (
            count("DPOConfig"),
            count("TrainingArguments"),
            count("ModelConfig")
        ),
        (26, 114, 19)
    );
}
