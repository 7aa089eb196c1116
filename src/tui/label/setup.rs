//! What does not change during a session.

use crate::feedback::digest::Sha256;
use crate::feedback::record::{QUESTION, Scale};
use crate::tui::keys::Keymap;
use crate::tui::theme::Theme;

/// Most flags and most aspects: there are nine digit keys.
pub const MOST_MARKS: usize = 9;

/// What the annotators of this project agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guidelines {
    /// The text of `guidelines.md`.
    pub text: String,
    /// Its hash, recorded with each judgement.
    pub sha256: Sha256,
}

/// What a judgement on this screen is for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Role {
    /// An annotator's own opinion, one among others.
    #[default]
    Annotator,
    /// It settles what people disagree on.
    Adjudicator,
    /// It settles what this annotator judged.
    Reviewer(String),
}

impl Role {
    /// Whether what others judged is settled.
    pub fn settles(&self) -> bool {
        *self != Self::Annotator
    }
}

/// Who judges, what is asked, and how the screen behaves.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    /// Who judges.
    pub annotator: String,
    /// And what for.
    pub role: Role,
    /// The answers that are possible.
    pub scale: Scale,
    /// A digit commits at once; otherwise it selects and Enter commits.
    pub auto_commit: bool,
    /// Whether the rate and the remaining time are shown.
    pub show_rate: bool,
    /// What is asked.
    pub question: String,
    /// What to judge by, if the project says so.
    pub guidelines: Option<Guidelines>,
    /// The simulated labeller that may take over, such as `sim:gold`.
    pub hand_over: Option<String>,
    /// Aspects that can be judged one by one, at most [`MOST_MARKS`].
    pub aspects: Vec<String>,
    /// Flags that can be set, at most [`MOST_MARKS`].
    pub flags: Vec<String>,
    /// The keys.
    pub keymap: Keymap,
    /// The colours.
    pub theme: Theme,
    /// Whether clicks and the wheel are used.
    pub mouse: bool,
}

impl Setup {
    /// What holds unless the project or the annotator says otherwise.
    pub fn new(annotator: String) -> Self {
        Self {
            annotator,
            role: Role::default(),
            scale: Scale::Nine,
            auto_commit: true,
            show_rate: true,
            question: QUESTION.to_owned(),
            guidelines: None,
            hand_over: None,
            aspects: ["helpful", "honest", "harmless"].map(String::from).to_vec(),
            flags: [
                "unsafe",
                "off-topic",
                "personal-data",
                "wrong-language",
                "broken",
            ]
            .map(String::from)
            .to_vec(),
            keymap: Keymap::default(),
            theme: Theme::TERMINAL,
            mouse: true,
        }
    }
}
