//! What the labelling screen knows. Nothing here reads a clock, a disk or a terminal.

use std::collections::VecDeque;
use std::rc::Rc;

use ulid::Ulid;

use super::clock::Clock;
use super::draft::Draft;
use super::layout::{Answers, Regions, inside, layout};
use super::pane::Pane;
use super::scale::{self, CANNOT_JUDGE_REASONS, Decision, Reason, SKIP_REASONS};
use crate::feedback::digest::Sha256;
use crate::feedback::item::{Candidate, Item, PromptText};
use crate::feedback::record::{Purpose, Scale};
use crate::tui::keys::{Context, Key, Mode};

/// Two answers to one prompt as this annotator sees them.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// Prompt and answers.
    pub item: Item,
    /// 0 for the first time this annotator sees the item.
    pub slot: u8,
    /// What the judgement is for.
    pub purpose: Purpose,
    /// Which candidate stands on which side: indices into `item.candidates`, A first.
    pub sides: [usize; 2],
    /// The seed that the sides follow from.
    pub order_seed: u64,
}

impl Pair {
    /// The answer on a side, 0 = A and 1 = B.
    pub fn answer(&self, side: usize) -> &Candidate {
        &self.item.candidates[self.sides[side.min(1)]]
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

/// What the annotators of this project agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guidelines {
    /// The text of `guidelines.md`.
    pub text: String,
    /// Its hash, recorded with each judgement.
    pub sha256: Sha256,
}

/// What does not change during a session.
#[derive(Debug, Clone, PartialEq)]
pub struct Setup {
    /// Who judges.
    pub annotator: String,
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
}

/// The work, once nobody else has it open.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Desk {
    /// What is left to judge, in order.
    pub pairs: Vec<Pair>,
    /// The last decisions of earlier sessions, oldest first: undo reaches back to them.
    pub earlier: Vec<Done>,
    /// How many pairs were done before those.
    pub judged: usize,
    /// These guidelines were shown to this annotator before.
    pub guidelines_read: bool,
    /// What the annotator should know about the files, if anything.
    pub notice: String,
    /// More pairs are being made and come as [`super::update::Event::Supply`].
    pub more: bool,
}

/// What fills the screen or lies over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Screen {
    /// Waiting for the work; says who has it.
    Locked(String),
    /// The guidelines.
    Guidelines {
        /// Before the first pair, not on request.
        first: bool,
    },
    /// The pair.
    Judging,
    /// "Cannot judge": why?
    CannotJudgeReason,
    /// "Skip": why?
    SkipReason,
    /// The keys.
    Help,
    /// "A simulated labeller will take over": really?
    HandOver,
    /// A write failed; says how.
    ReadOnly(String),
    /// Nothing is left for now; more is being made.
    WaitingForSamples,
    /// Nothing is left.
    BatchDone,
}

impl Screen {
    /// The reasons to choose from, if this screen asks for one.
    pub fn reasons(&self) -> &'static [Reason] {
        match self {
            Self::CannotJudgeReason => CANNOT_JUDGE_REASONS,
            Self::SkipReason => SKIP_REASONS,
            _ => &[],
        }
    }
}

/// Why the screen was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The annotator quit; there is more to judge.
    Quit,
    /// Everything is judged.
    BatchDone,
    /// The simulated labeller is to judge the rest.
    HandOver,
    /// A judgement could not be written; says why.
    WriteFailed(String),
    /// Somebody else has the annotator's judgements open; says who.
    Locked(String),
}

/// A decision that is on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// About what.
    pub pair: Rc<Pair>,
    /// The id of its record.
    pub id: Ulid,
    /// What was decided.
    pub decision: Decision,
}

/// What the annotator looks at and scrolls.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct View {
    /// The prompt.
    pub prompt: Pane,
    /// A and B.
    pub answers: [Pane; 2],
    /// The answer that has the focus; on small screens, the one that is visible.
    pub side: usize,
    /// The prompt has the focus instead.
    pub on_prompt: bool,
    /// The focus was moved and is shown. Before that neither answer stands out: it would bias.
    pub focused: bool,
    /// The guidelines or the help, while they are open.
    pub page: Pane,
}

/// The labelling screen.
#[derive(Debug)]
pub struct App {
    /// What does not change.
    pub setup: Setup,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// What is on the screen.
    pub screen: Screen,
    /// What is left to judge; the first is on the screen.
    pub queue: VecDeque<Rc<Pair>>,
    /// More pairs are being made.
    pub more: bool,
    /// Panes and focus.
    pub view: View,
    /// A grade that was selected and not committed, or what was said before an undo.
    pub selected: Option<Decision>,
    /// What is being written.
    pub committing: Option<Draft>,
    /// What was decided, for undo; the first `earlier` in sessions before this one.
    pub done: Vec<Done>,
    /// How many of `done` are not from this session.
    pub earlier: usize,
    /// What was taken back, for redo.
    pub undone: Vec<Done>,
    /// How many pairs were done in earlier sessions and are not in `done`.
    pub judged_before: usize,
    /// The row above the footer: what was decided last.
    pub message: String,
    /// What the last key could not do, or what it selected; shown instead until the next key.
    pub hint: String,
    /// Times.
    pub clock: Clock,
}

impl App {
    /// A screen that waits for its work.
    pub fn new(setup: Setup, size: (u16, u16), now_ms: u64) -> Self {
        Self {
            setup,
            size,
            screen: Screen::Locked(String::new()),
            queue: VecDeque::new(),
            more: false,
            view: View::default(),
            selected: None,
            committing: None,
            done: Vec::new(),
            earlier: 0,
            undone: Vec::new(),
            judged_before: 0,
            message: String::new(),
            hint: String::new(),
            clock: Clock::new(now_ms),
        }
    }

    /// The pair on the screen.
    pub fn pair(&self) -> Option<&Rc<Pair>> {
        self.queue.front()
    }

    /// Where everything goes; `None` if the terminal is too small.
    pub fn regions(&self) -> Option<Regions> {
        layout(self.size.0, self.size.1)
    }

    /// Whether one answer hides the other.
    pub fn flips(&self) -> bool {
        matches!(self.regions().map(|r| r.answers), Some(Answers::Flip(_)))
    }

    /// What keys mean now.
    pub fn mode(&self) -> Mode {
        if self.regions().is_none() {
            return Mode::TooSmall;
        }
        match self.screen {
            Screen::Locked(_) => Mode::Locked,
            Screen::Guidelines { .. } => Mode::Guidelines,
            Screen::Judging => Mode::Judging,
            Screen::CannotJudgeReason | Screen::SkipReason => Mode::Reason,
            Screen::Help => Mode::Help,
            Screen::HandOver => Mode::HandOver,
            Screen::ReadOnly(_) => Mode::ReadOnly,
            Screen::BatchDone | Screen::WaitingForSamples => Mode::Done,
        }
    }

    /// What the key table needs to know.
    pub fn context(&self) -> Context {
        self.context_of(self.mode())
    }

    /// The same for a mode that is not on the screen, such as the one that the help is about.
    pub fn context_of(&self, mode: Mode) -> Context {
        Context {
            mode,
            scale_keys: scale::keys(self.setup.scale),
            reason_keys: scale::reason_keys(self.screen.reasons()),
            select_first: !self.setup.auto_commit,
            flip: self.flips(),
            hand_over: self.setup.hand_over.is_some(),
        }
    }

    /// The decision under a key, if it is one of the scale's.
    pub fn decision(&self, key: Key) -> Option<Decision> {
        let digit = match (key, self.setup.scale) {
            (Key::Char(digit), _) => digit,
            (Key::Left, Scale::Binary) => '1',
            (Key::Right, Scale::Binary) => '2',
            _ => return None,
        };
        let grades = scale::grades(self.setup.scale);
        grades
            .iter()
            .find(|grade| grade.key == digit)
            .map(|grade| grade.decision)
    }

    /// Pairs done, in this session and before.
    pub fn judged(&self) -> usize {
        self.judged_before + self.done.len()
    }

    /// Pairs in all.
    pub fn total(&self) -> usize {
        self.judged() + self.queue.len()
    }

    /// What was decided in this session.
    pub fn this_session(&self) -> &[Done] {
        &self.done[self.earlier.min(self.done.len())..]
    }

    /// Judgements per active minute in this session, once there are enough to tell.
    pub fn rate(&self) -> Option<f64> {
        let minutes = self.clock.session_active_ms() as f64 / 60_000.0;
        let done = self.this_session().len();
        (done >= 3 && minutes > 0.0).then(|| done as f64 / minutes)
    }

    /// The decisions of this session in words.
    pub fn counts(&self) -> String {
        scale::tally(self.this_session().iter().map(|done| done.decision))
    }

    /// The text of the page that is open over the pair.
    fn page_text(&self) -> Option<String> {
        match self.screen {
            Screen::Guidelines { .. } => self.setup.guidelines.as_ref().map(|g| g.text.clone()),
            Screen::Help => Some(help_text(&self.context_of(Mode::Judging))),
            _ => None,
        }
    }

    /// Wraps everything for the current size; called after whatever changed text or size.
    pub fn fit(&mut self) {
        let Some(regions) = self.regions() else {
            return;
        };
        if let Some(pair) = self.queue.front() {
            let prompt = inside(regions.prompt);
            self.view
                .prompt
                .fit(&pair.prompt_text(), prompt.width, prompt.height);
            for side in [0, 1] {
                let pane = inside(regions.answers.pane(side));
                self.view.answers[side].fit(&pair.answer(side).text, pane.width, pane.height);
            }
        }
        if let Some(text) = self.page_text() {
            let page = inside(super::layout::page(self.size));
            self.view.page.fit(&text, page.width, page.height);
        }
    }

    /// Marks what is on the screen as seen.
    pub fn look(&mut self) {
        if !matches!(self.screen, Screen::Judging) || self.regions().is_none() {
            return;
        }
        let flips = self.flips();
        for (side, pane) in self.view.answers.iter_mut().enumerate() {
            if !flips || side == self.view.side {
                pane.look();
            }
        }
    }
}

/// The help page: every key that does something while a pair is on the screen.
fn help_text(context: &Context) -> String {
    let rows = context.help().into_iter();
    rows.map(|(keys, what)| format!("{keys:<10}{what}"))
        .collect::<Vec<_>>()
        .join("\n")
}
