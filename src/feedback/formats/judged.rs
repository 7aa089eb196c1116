//! One row of any format, said in one way: a prompt, its answers, and what somebody said of them.

use super::Detail;
use crate::feedback::item::{Message, PromptText};
use serde::{Deserialize, Serialize};

/// An answer and who gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The response in full.
    pub text: String,
    /// The model, where the format names it.
    pub model: Option<String>,
}

/// What was said about the answers, by their index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// Nothing yet: answers to be judged.
    Nothing,
    /// One is better than all others.
    Prefer {
        /// Index of the better answer.
        winner: usize,
        /// 1 barely … 4 much, where it is known.
        strength: Option<u8>,
    },
    /// All answers in groups of equals, best first.
    Ranking(Vec<Vec<usize>>),
    /// All equally good.
    Tie,
    /// None is acceptable.
    BothBad,
    /// The annotator could not tell.
    CannotJudge,
}

/// A judgement as it travels between files and the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// What was answered.
    pub prompt: PromptText,
    /// The source's name for the prompt.
    pub prompt_id: Option<String>,
    /// The answers, in the row's order. Pairs stand as chosen, rejected where the row says so.
    pub answers: Vec<Answer>,
    /// Indices of the answers from left to right, as they stood on a screen; empty where nobody knows.
    pub shown: Vec<usize>,
    /// The judgement.
    pub said: Said,
    /// Who judged, as the source names them.
    pub annotator: Option<String>,
    /// A program judged.
    pub by_program: bool,
    /// Where the text is from.
    pub source: Option<String>,
    /// The annotator's comment.
    pub note: Option<String>,
    /// Time at work, in milliseconds.
    pub active_ms: Option<u64>,
    /// What the record holds besides, which only our own format has a place for.
    pub besides: Vec<Detail>,
}

/// What a row holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Judgements, or answers to be judged.
    pub judged: Vec<Judged>,
    /// What else it holds and was left out: judgements that were cancelled, discarded or not
    /// submitted, answers to other questions, completions that nobody rated.
    pub left_out: usize,
}

impl From<Vec<Judged>> for Found {
    fn from(judged: Vec<Judged>) -> Self {
        Self {
            judged,
            left_out: 0,
        }
    }
}

impl From<Judged> for Found {
    fn from(judged: Judged) -> Self {
        vec![judged].into()
    }
}

impl Judged {
    /// Answers that nobody has judged.
    pub fn new(prompt: PromptText, answers: impl IntoIterator<Item = String>) -> Self {
        let answer = |text| Answer { text, model: None };
        Self {
            prompt,
            prompt_id: None,
            answers: answers.into_iter().map(answer).collect(),
            shown: Vec::new(),
            said: Said::Nothing,
            annotator: None,
            by_program: false,
            source: None,
            note: None,
            active_ms: None,
            besides: Vec::new(),
        }
    }

    /// The first of two answers is the better one.
    pub fn pair(prompt: PromptText, chosen: String, rejected: String) -> Self {
        let said = Said::Prefer {
            winner: 0,
            strength: None,
        };
        Self {
            said,
            ..Self::new(prompt, [chosen, rejected])
        }
    }

    /// Names the models, in the order of the answers.
    #[must_use]
    pub fn by(mut self, models: impl IntoIterator<Item = Option<String>>) -> Self {
        for (answer, model) in self.answers.iter_mut().zip(models) {
            answer.model = model;
        }
        self
    }

    /// What this says about two answers at a time: better, worse, and whether they tie.
    pub fn comparisons(&self) -> Vec<(usize, usize, bool)> {
        let all: Vec<usize> = (0..self.answers.len()).collect();
        match &self.said {
            Said::Prefer { winner, .. } => {
                let others = all.into_iter().filter(|other| other != winner);
                others.map(|other| (*winner, other, false)).collect()
            }
            Said::Ranking(groups) => of_ranking(groups),
            Said::Tie => ties(&all),
            Said::Nothing | Said::BothBad | Said::CannotJudge => Vec::new(),
        }
    }

    /// The chosen and the rejected text, where one of two answers is better.
    pub fn decided(&self) -> Option<(&str, &str)> {
        let [a, b] = &self.answers[..] else {
            return None;
        };
        match self.said {
            Said::Prefer { winner: 0, .. } => Some((&a.text, &b.text)),
            Said::Prefer { winner: 1, .. } => Some((&b.text, &a.text)),
            _ => None,
        }
    }

    /// The strength of a preference, where it is known.
    pub fn strength(&self) -> Option<u8> {
        match self.said {
            Said::Prefer { strength, .. } => strength,
            _ => None,
        }
    }
}

/// Every two members of a ranking: better, worse, and whether they tie.
pub fn of_ranking<T: Copy>(groups: &[Vec<T>]) -> Vec<(T, T, bool)> {
    let mut found = Vec::new();
    for (rank, group) in groups.iter().enumerate() {
        found.extend(ties(group));
        for &worse in groups[rank + 1..].iter().flatten() {
            found.extend(group.iter().map(|&better| (better, worse, false)));
        }
    }
    found
}

/// Every two members of a group of equals.
pub fn ties<T: Copy>(group: &[T]) -> Vec<(T, T, bool)> {
    let each = group.iter().enumerate();
    each.flat_map(|(index, &one)| {
        let later = &group[index + 1..];
        later.iter().map(move |&other| (one, other, true))
    })
    .collect()
}

/// A message.
pub fn message(role: &str, content: impl Into<String>) -> Message {
    Message {
        role: role.to_owned(),
        content: content.into(),
    }
}
