use super::*;
use std::path::Path;

fn item() -> Item {
    let prompt = Prompt::new(None, PromptText::Text("Why is the sky blue?".into())).unwrap();
    let answers = ["Rayleigh scattering.", "Because."];
    let candidates = answers.map(|a| Candidate::new(a.into(), "base")).to_vec();
    let selector = Selector {
        name: "all".into(),
        score: None,
        seed: 1,
    };
    Item::new("b1", 0, prompt, candidates, selector).unwrap()
}

#[test]
fn a_row_is_flat_and_its_ids_come_from_its_content() {
    let json = serde_json::to_value(item()).unwrap();
    assert_eq!(json["prompt"]["text"], "Why is the sky blue?");
    assert_eq!(json["candidates"][1]["id"], Sha256::of("Because.").short());
    assert_eq!(serde_json::from_value::<Item>(json).unwrap(), item());
    assert_eq!(item().id, item().id);
}

#[test]
fn changed_text_is_noticed() {
    let mut changed = item();
    changed.candidates[0].text.push('!');
    assert!(matches!(changed.check(), Err(ItemError::Hash { .. })));
    let mut changed = item();
    changed.prompt.text = PromptText::Text("Why?".into());
    assert!(matches!(changed.check(), Err(ItemError::Hash { .. })));
}

#[test]
fn one_or_ten_candidates_and_twins_are_refused() {
    let mut item = item();
    item.candidates.truncate(1);
    assert!(matches!(item.check(), Err(ItemError::CandidateCount(1))));
    item.candidates.push(item.candidates[0].clone());
    assert!(matches!(
        item.check(),
        Err(ItemError::DuplicateCandidate(_))
    ));
    let ten = (0..10)
        .map(|i| Candidate::new(format!("answer {i}"), "base"))
        .collect();
    item.candidates = ten;
    assert!(matches!(item.check(), Err(ItemError::CandidateCount(10))));
}

#[test]
fn names_that_leave_the_folder_are_refused() {
    for bad in [
        "", ".", "..", "../x", "a/b", "a\\b", "-x", ".x", "a b", "ü", "a:b",
    ] {
        assert!(!is_safe_name(bad), "{bad}");
    }
    assert!(!is_safe_name(&"a".repeat(65)));
    assert!(is_safe_name("round-3_b.1"));
}

#[test]
fn a_file_names_its_batch() {
    let name = |file: &str| batch_name(Path::new(file));
    assert_eq!(name("/data/hh rlhf.jsonl.gz"), "hh-rlhf");
    assert_eq!(name("v1.2.jsonl"), "v1.2");
    assert_eq!(name(".été.jsonl"), "t-");
    assert_eq!(name(&"x".repeat(99)).len(), 64);
}

#[test]
fn a_batch_reads_back_and_a_repeated_item_names_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let path = append_batch(dir.path(), "b1", &[item()]).unwrap();
    assert_eq!(read_all(dir.path()).unwrap(), [item()]);
    append_batch(dir.path(), "b1", &[item()]).unwrap();
    let error = read_batch(&path).unwrap_err().to_string();
    assert!(error.ends_with(&format!(
        "b1.jsonl:2: item {} is already on line 1",
        item().id
    )));
}
