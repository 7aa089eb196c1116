//! Items to judge, for tests of the store and the queue.

use rlhf::feedback::item::{Candidate, Item, Prompt, PromptText, Selector};

/// The pair `one n` and `two n` of batch `b1`, by the policies `before` and `after`.
pub fn item(n: usize) -> Item {
    let prompt = Prompt::new(None, PromptText::Text(format!("question {n}"))).unwrap();
    let answer = |text: &str, policy: &str| Candidate::new(format!("{text} {n}"), policy);
    let candidates = vec![answer("one", "before"), answer("two", "after")];
    let selector = Selector {
        name: "all".into(),
        score: None,
        seed: 0,
    };
    Item::new("b1", 0, prompt, candidates, selector).unwrap()
}
