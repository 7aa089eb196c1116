//! What the labelling screen knows. Nothing here reads a clock, a disk or a terminal.

use std::collections::VecDeque;
use std::rc::Rc;

use super::clock::Clock;
use super::draft::Draft;
use super::field::Field;
use super::history::List;
use super::layout::{Answers, Regions, inside, layout};
use super::palette::Palette;
use super::ranks::Ranks;
use super::scale::{self, CANNOT_JUDGE_REASONS, Decision, Reason, SKIP_REASONS};
use super::unsaved::Unsaved;
use super::view::View;
use crate::feedback::queue::Today;
use crate::feedback::record::Scale;
use crate::feedback::report::Report;
use crate::feedback::store::begun::Begun;
use crate::tui::keys::{Action, Context, Key, Mode};
use crate::tui::text::document::Document;
use crate::tui::text::markdown;

pub use super::pair::Pair;
pub use super::remarks::Remarks;
pub use super::setup::{Guidelines, Role, Setup};
pub use super::work::{Desk, Done, Ending, Revision};

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
    /// The comment.
    Note(Field),
    /// The flags; the cursor.
    Flags(usize),
    /// The aspects; the cursor.
    Aspects(usize),
    /// The whole prompt.
    Prompt,
    /// The keys; a text that they must contain.
    Help(String),
    /// The commands.
    Palette(Palette),
    /// The judgements of [`App::history`].
    History,
    /// What was judged, of [`App::statistics`].
    Statistics,
    /// "A simulated labeller will take over": really?
    HandOver,
    /// A write failed, as [`App::failure`] says.
    ReadOnly,
    /// More pairs are on their way.
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

/// The labelling screen.
#[derive(Debug)]
pub struct App {
    /// What does not change.
    pub setup: Setup,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// What is on the screen.
    pub screen: Screen,
    /// A text to search for that is being typed, over whatever is on the screen.
    pub search: Option<Field>,
    /// What is left to judge; the first is on the screen.
    pub queue: VecDeque<Rc<Pair>>,
    /// More pairs are being made.
    pub more: bool,
    /// The newest round in the queue. That of each pair would give checks and policies away.
    pub round: Option<u32>,
    /// Panes, focus, and how text is shown.
    pub view: View,
    /// A grade or ranking that was not committed, or what was said before an undo.
    pub selected: Option<Decision>,
    /// What is said beside it.
    pub remarks: Remarks,
    /// What was begun on pairs that are not on the screen: an undo brought up others, or it was kept
    /// from an earlier session.
    pub begun: Vec<Unsaved>,
    /// What was typed as a comment on the pair and left with Esc: the comment opens with it again.
    pub put_away: Option<String>,
    /// Why what is begun could not be kept, until it is.
    pub unkept: Option<String>,
    /// What was begun in other work, such as another batch.
    pub begun_elsewhere: Vec<Begun>,
    /// A judgement of the history that is open to be changed.
    pub revision: Option<Revision>,
    /// The judgements of this annotator.
    pub history: List,
    /// What everybody judged, once it was counted.
    pub statistics: Option<Result<Box<Report>, String>>,
    /// How many pairs were left to this annotator in the whole project then.
    pub left_anywhere: usize,
    /// What is being written.
    pub committing: Option<Draft>,
    /// A write failed: how.
    pub failure: Option<String>,
    /// Opened without the lock.
    pub reading: bool,
    /// When the session that holds the lock was asked to end.
    pub asked: Option<u64>,
    /// What was decided, for undo; the first `earlier` in sessions before this one.
    pub done: Vec<Done>,
    /// How many of `done` are not from this session.
    pub earlier: usize,
    /// What was taken back, for redo.
    pub undone: Vec<Done>,
    /// How many pairs were done in earlier sessions and are not in `done`.
    pub judged_before: usize,
    /// What was done today and is not in `done`, if the day has a target.
    pub today_before: Option<Today>,
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
            search: None,
            queue: VecDeque::new(),
            more: false,
            round: None,
            view: View::default(),
            selected: None,
            remarks: Remarks::default(),
            begun: Vec::new(),
            put_away: None,
            unkept: None,
            begun_elsewhere: Vec::new(),
            revision: None,
            history: List::default(),
            statistics: None,
            left_anywhere: 0,
            committing: None,
            failure: None,
            reading: false,
            asked: None,
            done: Vec::new(),
            earlier: 0,
            undone: Vec::new(),
            judged_before: 0,
            today_before: None,
            message: String::new(),
            hint: String::new(),
            clock: Clock::new(now_ms),
        }
    }

    /// The pair on the screen.
    pub fn pair(&self) -> Option<&Rc<Pair>> {
        match &self.revision {
            Some(revision) => Some(&revision.entry.pair),
            None => self.queue.front(),
        }
    }

    /// Where everything goes; `None` if the terminal is too small.
    pub fn regions(&self) -> Option<Regions> {
        layout(self.size.0, self.size.1)
    }

    /// Whether one answer hides the others.
    pub fn flips(&self) -> bool {
        self.pair().is_some_and(|pair| pair.is_ranking())
            || matches!(self.regions().map(|r| r.answers), Some(Answers::Flip(_)))
    }

    /// Notes the newest round of the queue.
    pub(super) fn number_round(&mut self) {
        let newest = self.queue.iter().map(|pair| pair.item.round).max();
        self.round = self.round.max(newest);
    }

    /// What fills the screen when nothing lies over it.
    pub fn base(&self) -> Screen {
        match self.pair() {
            _ if self.failure.is_some() => Screen::ReadOnly,
            Some(_) => Screen::Judging,
            None if self.more => Screen::WaitingForSamples,
            None => Screen::BatchDone,
        }
    }

    /// What keys mean now.
    pub fn mode(&self) -> Mode {
        if self.regions().is_none() {
            return Mode::TooSmall;
        }
        if self.search.is_some() {
            return Mode::Search;
        }
        self.mode_of(&self.screen)
    }

    /// Whether a text is being typed that a terminal too small to show it hides: a character is
    /// meant for the text then, even one that would quit.
    pub fn types_unseen(&self) -> bool {
        let typing = self.search.is_some() || self.mode_of(&self.screen).is_text();
        typing && self.regions().is_none()
    }

    /// What keys mean on a screen.
    pub fn mode_of(&self, screen: &Screen) -> Mode {
        match screen {
            Screen::Locked(_) => Mode::Locked,
            Screen::Guidelines { .. } => Mode::Guidelines,
            Screen::Judging if self.reading => Mode::Reading,
            Screen::Judging if self.pair().is_some_and(|pair| pair.is_ranking()) => Mode::Ranking,
            Screen::Judging => Mode::Judging,
            Screen::CannotJudgeReason | Screen::SkipReason => Mode::Reason,
            Screen::Note(_) => Mode::Note,
            Screen::Flags(_) => Mode::Flags,
            Screen::Aspects(_) => Mode::Aspects,
            Screen::Prompt => Mode::Prompt,
            Screen::Help(_) => Mode::Help,
            Screen::Palette(_) => Mode::Palette,
            Screen::History => Mode::History,
            Screen::Statistics => Mode::Statistics,
            Screen::HandOver => Mode::HandOver,
            Screen::ReadOnly => Mode::ReadOnly,
            Screen::WaitingForSamples => Mode::Waiting,
            Screen::BatchDone => Mode::Done,
        }
    }

    /// What the key table needs to know.
    pub fn context(&self) -> Context {
        self.context_of(self.mode())
    }

    /// The same for a mode that is not on the screen, such as the one that the help is about.
    pub fn context_of(&self, mode: Mode) -> Context {
        let choices = match mode {
            Mode::Reason => self.screen.reasons().len(),
            Mode::Flags => self.setup.flags.len(),
            _ => {
                let ranking = self.pair().filter(|pair| pair.is_ranking());
                ranking.map_or(9, |pair| pair.answers())
            }
        };
        Context {
            mode,
            grades: scale::grades(self.setup.scale).len(),
            choices,
            select_first: !self.setup.auto_commit || self.revision.is_some(),
            editing: self.revision.is_some(),
            flip: self.flips(),
            hand_over: self.setup.hand_over.is_some(),
        }
    }

    /// The first key of an action where the screen is in this mode, as it is written: a message must
    /// not name a key that was moved.
    pub fn key(&self, mode: Mode, action: Action) -> String {
        let keys = self.setup.keymap.shown_for(&self.context_of(mode), action);
        let first = keys.as_deref().and_then(|keys| keys.split(' ').next());
        first.unwrap_or_default().to_owned()
    }

    /// The decision under a key, if it is one of the scale's.
    pub fn decision(&self, key: Key) -> Option<Decision> {
        let digit = match (key, self.setup.scale) {
            (Key::Left, Scale::Binary) => 1,
            (Key::Right, Scale::Binary) => 2,
            _ => self.setup.keymap.digit(key)?,
        };
        let grades = scale::grades(self.setup.scale);
        grades
            .iter()
            .find(|grade| grade.key.to_digit(10) == Some(digit as u32))
            .map(|grade| grade.decision)
    }

    /// The ranking in the making.
    pub fn ranks(&self) -> Ranks {
        match self.selected {
            Some(Decision::Rank(ranks)) => ranks,
            _ => Ranks::new(self.pair().map_or(0, |pair| pair.answers())),
        }
    }

    /// Pairs done, in this session and before.
    pub fn judged(&self) -> usize {
        self.judged_before + self.done.iter().filter(|done| done.counts()).count()
    }

    /// What is done of the day's target, if there is one.
    pub fn today(&self) -> Option<Today> {
        let before = self.today_before?;
        let more = self.done.iter().filter(|done| done.adds_to(before.target));
        Some(Today {
            done: before.done + more.count(),
            ..before
        })
    }

    /// Pairs in all, as far as they are known.
    pub fn total(&self) -> usize {
        self.judged() + self.queue.len()
    }

    /// What was decided in this session.
    pub fn this_session(&self) -> impl Iterator<Item = &Done> {
        let earlier = self.earlier.min(self.done.len());
        self.done[earlier..].iter().filter(|done| !done.revision)
    }

    /// Pairs done in this session.
    pub fn decided(&self) -> usize {
        self.this_session().filter(|done| done.counts()).count()
    }

    /// Judgements per active minute in this session, once there are enough to tell.
    pub fn rate(&self) -> Option<f64> {
        let minutes = self.clock.session_active_ms() as f64 / 60_000.0;
        let done = self.decided();
        (done >= 3 && minutes > 0.0).then(|| done as f64 / minutes)
    }

    /// The decisions of this session in words.
    pub fn counts(&self) -> String {
        scale::tally(self.this_session().map(|done| done.decision))
    }

    /// The page that is open over the pair, for so many columns.
    fn page(&self, width: usize) -> Option<Document> {
        Some(match &self.screen {
            Screen::Guidelines { .. } => markdown::document(&self.setup.guidelines.as_ref()?.text),
            Screen::Help(wanted) => Document::raw(&super::palette::help_text(self, wanted)),
            Screen::Statistics => super::statistics::document(self, width),
            _ => return None,
        })
    }

    /// Wraps everything for the current size; called after whatever changed text, size or marks.
    pub fn fit(&mut self) {
        let Some(regions) = self.regions() else {
            return;
        };
        if let Some(pair) = self.pair().cloned() {
            self.view.fit(&pair, &regions);
        }
        let size = inside(super::layout::page(self.size)).as_size();
        if self.screen == Screen::Prompt {
            self.view.fit_prompt(size.into());
        } else if let Some(page) = self.page(usize::from(size.width)) {
            let pane = self.view.page_mut(&self.screen);
            pane.fit(size.into(), |width| page.rows(width));
        }
    }

    /// Marks what is on the screen as seen.
    pub fn look(&mut self) {
        if self.screen != Screen::Judging || self.regions().is_none() {
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
