//! An item as this annotator sees it.

use crate::feedback::item::{Candidate, Item, PromptText};
use crate::feedback::record::{Purpose, Scale};

/// Two answers to compare, or three to nine to rank, as they stand on the screen.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// Prompt and answers.
    pub item: Item,
    /// 0 for the first time this annotator sees the item.
    pub slot: u8,
    /// What the judgement is for.
    pub purpose: Purpose,
    /// Which candidate stands where: indices into `item.candidates`, A first. A permutation.
    pub sides: Vec<usize>,
    /// The seed that the sides follow from.
    pub order_seed: u64,
}

impl Pair {
    /// How many answers there are.
    pub fn answers(&self) -> usize {
        self.sides.len()
    }

    /// The answer on a side, 0 = A, 1 = B and so on.
    pub fn answer(&self, side: usize) -> &Candidate {
        &self.item.candidates[self.sides[side.min(self.sides.len() - 1)]]
    }

    /// The side on which the answer with this id stands.
    pub fn side_of(&self, id: &str) -> Option<usize> {
        (0..self.answers()).find(|&side| self.answer(side).id == id)
    }

    /// Whether the answers are ranked, not compared.
    pub fn is_ranking(&self) -> bool {
        self.answers() > 2
    }

    /// The scale on which it is judged where pairs are judged on `scale`.
    pub fn scale(&self, scale: Scale) -> Scale {
        if self.is_ranking() {
            Scale::KWay
        } else {
            scale
        }
    }

    /// Whether both are the same item, shown for the same time.
    pub fn is(&self, other: &Self) -> bool {
        (&self.item.id, self.slot) == (&other.item.id, other.slot)
    }

    /// Whether this is the same item for a later time.
    pub fn repeats(&self, earlier: &Self) -> bool {
        self.item.id == earlier.item.id && self.slot > earlier.slot
    }

    /// The prompt as it is shown: plain text, or one paragraph per turn.
    pub fn prompt_text(&self) -> String {
        match &self.item.prompt.text {
            PromptText::Text(text) => text.trim_end().to_owned(),
            PromptText::Messages(messages) => {
                let turn =
                    |role: &str, text: &str| format!("{} ▸ {}", short_role(role), text.trim());
                let turns = messages.iter().map(|m| turn(&m.role, &m.content));
                turns.collect::<Vec<_>>().join("\n")
            }
        }
    }

    /// Turns of the user in the prompt; plain text is one.
    pub fn turns(&self) -> usize {
        match &self.item.prompt.text {
            PromptText::Text(_) => 1,
            PromptText::Messages(messages) => messages.iter().filter(|m| m.role == "user").count(),
        }
    }
}

fn short_role(role: &str) -> &str {
    if role == "assistant" { "asst" } else { role }
}

/// The letter under which an answer is shown.
pub fn letter(side: usize) -> char {
    char::from(b'A' + side.min(25) as u8)
}
