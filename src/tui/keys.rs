//! Keys: one table from which come what a key does, the footer, the help and the palette, so they
//! cannot drift.
//!
//! Nothing needs Alt or Ctrl+Enter (terminals, tmux and SSH cannot carry them), and no key that
//! destroys anything sits beside one that is typed often.

mod keymap;
mod names;
mod remap;
mod table;

pub use keymap::{Context, GAP, Keymap};
pub use remap::KeymapError;
pub use table::{Binding, Footer, TABLE};

/// A key as the screens know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A character, with Shift already applied.
    Char(char),
    /// Ctrl and a lower-case letter.
    Ctrl(char),
    /// Enter or Return.
    Enter,
    /// Escape.
    Esc,
    /// Tab.
    Tab,
    /// Shift and Tab.
    BackTab,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Arrow left.
    Left,
    /// Arrow right.
    Right,
    /// Home.
    Home,
    /// End.
    End,
    /// Backspace; it does nothing outside text fields.
    Backspace,
    /// Delete; it does nothing outside text fields.
    Delete,
}

/// What the screen is doing, as far as keys are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Somebody else has this annotator's judgements open.
    Locked,
    /// The guidelines are on the screen.
    Guidelines,
    /// A pair is on the screen and waits for a judgement.
    Judging,
    /// Three to nine answers are on the screen and wait for a ranking.
    Ranking,
    /// A list of reasons is open.
    Reason,
    /// A comment is being written.
    Note,
    /// The list of flags is open.
    Flags,
    /// The list of aspects is open.
    Aspects,
    /// The whole prompt is on the screen.
    Prompt,
    /// The help is open.
    Help,
    /// The list of commands is open.
    Palette,
    /// A text to search for is being typed.
    Search,
    /// The list of judgements is open.
    History,
    /// The statistics are open.
    Statistics,
    /// "A simulated labeller will take over": yes or no.
    HandOver,
    /// A write failed.
    ReadOnly,
    /// Opened without the lock: nothing can be judged.
    Reading,
    /// More pairs are on their way.
    Waiting,
    /// Nothing is left to judge.
    Done,
    /// The terminal is too small to judge on.
    TooSmall,
}

impl Mode {
    /// Every mode.
    pub const ALL: &'static [Self] = &[
        Self::Judging,
        Self::Ranking,
        Self::Reason,
        Self::Note,
        Self::Flags,
        Self::Aspects,
        Self::Prompt,
        Self::History,
        Self::Statistics,
        Self::Search,
        Self::Palette,
        Self::Help,
        Self::Guidelines,
        Self::HandOver,
        Self::Locked,
        Self::Reading,
        Self::ReadOnly,
        Self::Waiting,
        Self::Done,
        Self::TooSmall,
    ];

    /// Whether characters are text here and not commands.
    pub fn is_text(self) -> bool {
        matches!(self, Self::Note | Self::Search | Self::Palette)
    }

    /// What the help calls it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Locked => "Open elsewhere",
            Self::Guidelines => "Guidelines",
            Self::Judging => "Judging a pair",
            Self::Ranking => "Ranking three to nine answers",
            Self::Reason => "Choosing a reason",
            Self::Note => "Writing a comment",
            Self::Flags => "Flags",
            Self::Aspects => "Aspects",
            Self::Prompt => "Reading the whole prompt",
            Self::Help => "Help",
            Self::Palette => "Commands",
            Self::Search => "Searching",
            Self::History => "History",
            Self::Statistics => "Statistics",
            Self::HandOver => "Handing over",
            Self::ReadOnly => "After a write failed",
            Self::Reading => "Reading only",
            Self::Waiting => "Waiting for pairs",
            Self::Done => "When nothing is left",
            Self::TooSmall => "On a terminal that is too small",
        }
    }
}

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Judge with the grade under this digit.
    Judge,
    /// Send the answer on the screen to the rank of this digit.
    SendToRank,
    /// Choose the numbered reason.
    ChooseReason,
    /// Set or clear the numbered flag.
    ToggleFlag,
    /// Grade the aspect at the cursor.
    GradeAspect,
    /// Commit what is selected: a grade, or the ranking.
    CommitSelected,
    /// Both answers are bad.
    BothBad,
    /// The pair cannot be judged.
    CannotJudge,
    /// Leave this pair out.
    Skip,
    /// Put this pair at the end of the queue.
    Defer,
    /// Take back the last judgement.
    Undo,
    /// Judge again as before the undo.
    Redo,
    /// Move the answer on the screen one rank down or up.
    Move(Step),
    /// Tie the answer on the screen with the next in the ranking.
    TieWithNext,
    /// Begin the ranking afresh.
    RankAfresh,
    /// Write a comment.
    Note,
    /// A new line in the comment.
    NewLine,
    /// Write the comment in the editor of `$VISUAL` or `$EDITOR`.
    Editor,
    /// Open the flags.
    Flags,
    /// Set or clear what the cursor is on.
    Toggle,
    /// Open the aspects.
    Aspects,
    /// Clear the aspect at the cursor.
    Clear,
    /// Mark what differs between the answers, word by word.
    Diff,
    /// Show Markdown as it is meant, or as it is written.
    Markdown,
    /// Show the whole prompt.
    ZoomPrompt,
    /// Open the list of judgements.
    History,
    /// Open the statistics.
    Statistics,
    /// Show another kind of judgements.
    Filter,
    /// Search.
    Find,
    /// To the next match.
    FindNext,
    /// To the match before.
    FindPrevious,
    /// Scroll by this many rows; both answers, or whatever is open; or move the cursor of a list.
    Scroll(Step),
    /// Scroll only the pane that has the focus.
    ScrollFocused(Step),
    /// Focus the next pane; on small screens, flip to it.
    NextPane,
    /// Focus the previous pane.
    PreviousPane,
    /// Focus answer A or B; while ranking, the previous or the next answer.
    FocusSide(usize),
    /// While reading only: show the next pair.
    NextPair,
    /// While reading only: show the pair before.
    PreviousPair,
    /// Open the guidelines.
    Guidelines,
    /// Open the help.
    Help,
    /// Open the list of commands.
    Palette,
    /// Offer to let the simulated labeller take over.
    HandOver,
    /// Yes, or go on.
    Confirm,
    /// Close this and go back.
    Back,
    /// Try again to open what was locked.
    Retry,
    /// Ask the session that holds the lock to end.
    TakeOver,
    /// Open what is locked without being able to judge.
    ReadOnly,
    /// Draw everything afresh.
    Redraw,
    /// Stop the program until the shell brings it back.
    Suspend,
    /// Leave; everything is saved already.
    Quit,
}

/// How far to scroll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// One row down.
    Down,
    /// One row up.
    Up,
    /// A page down.
    PageDown,
    /// A page up.
    PageUp,
    /// To the first row.
    Top,
    /// To the last row.
    Bottom,
}

impl Step {
    /// Where a cursor at `place` of `count` entries goes, with `page` entries on the screen.
    pub fn applied(self, place: usize, count: usize, page: usize) -> usize {
        let page = page.saturating_sub(1).max(1);
        let to = match self {
            Self::Down => place + 1,
            Self::Up => place.saturating_sub(1),
            Self::PageDown => place + page,
            Self::PageUp => place.saturating_sub(page),
            Self::Top => 0,
            Self::Bottom => usize::MAX,
        };
        to.min(count.saturating_sub(1))
    }
}
