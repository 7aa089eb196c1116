//! Keys: one table from which come what a key does, the footer and the help, so they cannot drift.
//!
//! Nothing needs Alt or Ctrl+Enter (terminals, tmux and SSH cannot carry them), and no key that
//! destroys anything sits beside one that is typed often.

use self::Action::{
    Back, BothBad, CannotJudge, ChooseReason, CommitSelected, Confirm, FocusSide, Guidelines,
    HandOver, Help, Judge, NextPane, PreviousPane, Quit, Redo, Redraw, Retry, Scroll,
    ScrollFocused, Skip, Suspend, Undo,
};
use self::Key::Char;
use crate::tui::text::columns;

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
    /// A list of reasons is open.
    Reason,
    /// The help is open.
    Help,
    /// "A simulated labeller will take over": yes or no.
    HandOver,
    /// A write failed.
    ReadOnly,
    /// Nothing is left to judge.
    Done,
    /// The terminal is too small to judge on.
    TooSmall,
}

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Judge with the grade under this key.
    Judge,
    /// Commit the selected grade (when judging does not commit at once).
    CommitSelected,
    /// Both answers are bad.
    BothBad,
    /// The pair cannot be judged.
    CannotJudge,
    /// Leave this pair out.
    Skip,
    /// Take back the last judgement.
    Undo,
    /// Judge again as before the undo.
    Redo,
    /// Choose the numbered reason.
    ChooseReason,
    /// Scroll by this many rows; both answers, or the prompt when it has the focus.
    Scroll(Step),
    /// Scroll only the pane that has the focus.
    ScrollFocused(Step),
    /// Focus the next pane; on small screens, flip to it.
    NextPane,
    /// Focus the previous pane.
    PreviousPane,
    /// Focus answer A or B.
    FocusSide(usize),
    /// Open the guidelines.
    Guidelines,
    /// Open the help.
    Help,
    /// Offer to let the simulated labeller take over.
    HandOver,
    /// Yes, or go on.
    Confirm,
    /// Close this and go back.
    Back,
    /// Try again to open what was locked.
    Retry,
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

/// One row of the key table.
#[derive(Debug)]
pub struct Binding {
    /// The keys; any of them will do.
    pub keys: &'static [Key],
    /// How they are written in the footer and the help.
    pub shown: &'static str,
    /// What they do.
    pub action: Action,
    /// Where they do it.
    pub modes: &'static [Mode],
    /// Its place in the footer, if it has one.
    pub footer: Option<Footer>,
    /// The line in the help.
    pub help: &'static str,
}

/// How a row of the key table appears in the footer.
#[derive(Debug, Clone, Copy)]
pub struct Footer {
    /// The word beside the keys.
    pub word: &'static str,
    /// The word where there is little room.
    pub narrow: &'static str,
    /// How urgently it belongs there, 0 most.
    pub rank: u8,
}

/// What decides which rows of the table apply right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// What the screen is doing.
    pub mode: Mode,
    /// The keys of the rating scale, such as `1-9`.
    pub scale_keys: &'static str,
    /// The keys of the reasons to choose from, such as `1-4`.
    pub reason_keys: &'static str,
    /// Digits select and Enter commits.
    pub select_first: bool,
    /// Only one answer is visible at a time.
    pub flip: bool,
    /// A simulated labeller is at hand.
    pub hand_over: bool,
}

/// Footer entries shown at once: only the keys that matter now.
const FOOTER_KEYS: usize = 6;

/// Columns between two entries of the footer.
pub const GAP: usize = 3;

/// Below this many columns the footer uses its shorter words.
const NARROW: usize = 100;

const DIGITS: &[Key] = &[
    Char('1'),
    Char('2'),
    Char('3'),
    Char('4'),
    Char('5'),
    Char('6'),
    Char('7'),
    Char('8'),
    Char('9'),
];
/// Digits, and the arrows with which the binary scale is judged.
const GRADES: &[Key] = &[
    Char('1'),
    Char('2'),
    Char('3'),
    Char('4'),
    Char('5'),
    Char('6'),
    Char('7'),
    Char('8'),
    Char('9'),
    Key::Left,
    Key::Right,
];
const JUDGING: &[Mode] = &[Mode::Judging];
const PANES: &[Mode] = &[Mode::Judging, Mode::ReadOnly];
const UNDOING: &[Mode] = &[Mode::Judging, Mode::Done];
const READING: &[Mode] = &[Mode::Judging, Mode::ReadOnly, Mode::Guidelines, Mode::Help];
const DIALOG: &[Mode] = &[Mode::Reason, Mode::HandOver, Mode::Help];
/// Where `q` leaves; in a dialog it closes the dialog, as in a pager.
const LEAVING: &[Mode] = &[
    Mode::Locked,
    Mode::Guidelines,
    Mode::Judging,
    Mode::ReadOnly,
    Mode::Done,
    Mode::TooSmall,
];
const ANYWHERE: &[Mode] = &[
    Mode::Locked,
    Mode::Guidelines,
    Mode::Judging,
    Mode::Reason,
    Mode::Help,
    Mode::HandOver,
    Mode::ReadOnly,
    Mode::Done,
    Mode::TooSmall,
];

/// A row without a place in the footer.
const fn bind(
    shown: &'static str,
    keys: &'static [Key],
    action: Action,
    modes: &'static [Mode],
    help: &'static str,
) -> Binding {
    Binding {
        keys,
        shown,
        action,
        modes,
        footer: None,
        help,
    }
}

impl Binding {
    /// The row with its word in the footer; the lower the rank, the longer it stays on a narrow screen.
    const fn footer(self, word: &'static str, rank: u8) -> Self {
        self.footer_or(word, word, rank)
    }

    /// The same with a shorter word for narrow screens.
    const fn footer_or(self, word: &'static str, narrow: &'static str, rank: u8) -> Self {
        Self {
            footer: Some(Footer { word, narrow, rank }),
            ..self
        }
    }
}

/// The key table. Its order is the order of footer and help.
#[rustfmt::skip] // one row a line, as a table is read
pub const TABLE: &[Binding] = &[
    bind("1-9", GRADES, Judge, JUDGING, "judge: low prefers A, high prefers B, the middle is a tie")
        .footer("judge", 0),
    bind("Enter", &[Key::Enter], CommitSelected, JUDGING, "save the selected judgement")
        .footer("save", 1),
    bind("X", &[Char('X')], HandOver, JUDGING, "a simulated labeller judges the rest (asks first)")
        .footer_or("hand over to the simulated labeller", "simulated labeller", 1),
    bind("b", &[Char('b')], BothBad, JUDGING, "both answers are bad"),
    bind("0", &[Char('0')], CannotJudge, JUDGING, "cannot judge this pair (asks why)"),
    bind("s", &[Char('s')], Skip, JUDGING, "skip this pair (asks why)").footer("skip", 5),
    bind("u", &[Char('u')], Undo, UNDOING, "take back the last judgement, show its pair again")
        .footer("undo", 3),
    bind("U Ctrl-R", &[Char('U'), Key::Ctrl('r')], Redo, UNDOING, "redo what was taken back"),
    bind("1-9", DIGITS, ChooseReason, &[Mode::Reason], "choose a reason").footer("choose", 0),
    bind("y", &[Char('y')], Confirm, &[Mode::HandOver], "yes").footer("yes, hand over", 0),
    bind("Enter", &[Key::Enter], Confirm, &[Mode::Guidelines], "go on to the pairs")
        .footer("go on", 0),
    bind("Enter", &[Key::Enter], Confirm, &[Mode::Done], "finish").footer("finish", 0),
    bind("Enter", &[Key::Enter], Retry, &[Mode::Locked], "try again").footer("try again", 0),
    bind("Esc", &[Key::Esc], Back, DIALOG, "back to the pair").footer("back", 1),
    bind("", &[Key::Esc], Back, &[Mode::Guidelines], ""),
    bind("j k ↓ ↑", &[Char('j'), Key::Down], Scroll(Step::Down), READING, "scroll both answers")
        .footer("scroll", 6),
    bind("", &[Char('k'), Key::Up], Scroll(Step::Up), READING, ""),
    bind("PgDn PgUp", &[Key::PageDown], Scroll(Step::PageDown), READING, "scroll by a page"),
    bind("", &[Key::PageUp], Scroll(Step::PageUp), READING, ""),
    bind("g G", &[Char('g'), Key::Home], Scroll(Step::Top), READING, "to the beginning, to the end"),
    bind("", &[Char('G'), Key::End], Scroll(Step::Bottom), READING, ""),
    bind("J K", &[Char('J')], ScrollFocused(Step::Down), PANES, "scroll only the focused answer"),
    bind("", &[Char('K')], ScrollFocused(Step::Up), PANES, ""),
    bind("Tab", &[Key::Tab], NextPane, PANES, "to the other answer, or to a prompt that overflows")
        .footer_or("other answer", "A/B", 2),
    bind("", &[Key::BackTab], PreviousPane, PANES, ""),
    bind("h l", &[Char('h')], FocusSide(0), PANES, "to answer A, to answer B"),
    bind("", &[Char('l')], FocusSide(1), PANES, ""),
    bind("i", &[Char('i')], Guidelines, JUDGING, "read the guidelines again"),
    bind("?", &[Char('?')], Help, JUDGING, "this help").footer("help", 4),
    bind("", &[Char('?')], Back, &[Mode::Help], ""),
    bind("", &[Char('q')], Back, DIALOG, ""),
    bind("", &[Char('n')], Back, &[Mode::HandOver], ""),
    bind("Ctrl-L", &[Key::Ctrl('l')], Redraw, ANYWHERE, "draw the screen afresh"),
    bind("Ctrl-Z", &[Key::Ctrl('z')], Suspend, ANYWHERE, "suspend; fg brings it back"),
    bind("q", &[Char('q')], Quit, LEAVING, "quit; everything is saved already").footer("quit", 7),
    bind("", &[Key::Ctrl('c')], Quit, ANYWHERE, ""),
];

impl Context {
    fn applies(&self, binding: &Binding) -> bool {
        binding.modes.contains(&self.mode)
            && match binding.action {
                CommitSelected => self.select_first,
                HandOver => self.hand_over,
                _ => true,
            }
    }

    /// What a key does here, if anything.
    pub fn action(&self, key: Key) -> Option<Action> {
        TABLE
            .iter()
            .find(|b| self.applies(b) && b.keys.contains(&key))
            .map(|b| b.action)
    }

    /// The keys of a row as they are written here.
    fn shown(&self, binding: &Binding) -> &'static str {
        match binding.action {
            Judge => self.scale_keys,
            ChooseReason => self.reason_keys,
            _ => binding.shown,
        }
    }

    /// The footer: keys and their words, at most six, the most urgent that fit `width` columns.
    pub fn footer(&self, width: usize) -> Vec<(&'static str, &'static str)> {
        let mut rows: Vec<(u8, usize, &str, &str)> = Vec::new();
        for (place, binding) in TABLE.iter().enumerate() {
            if let Some(Footer { word, narrow, rank }) = binding.footer
                && self.applies(binding)
                && (self.flip || binding.action != NextPane)
            {
                let word = if width < NARROW { narrow } else { word };
                rows.push((rank, place, self.shown(binding), word));
            }
        }
        rows.sort_unstable();
        let mut left = width + GAP;
        rows.retain(|(_, _, keys, word)| {
            let needs = columns(keys) + 1 + columns(word) + GAP;
            let fits = needs <= left;
            left -= if fits { needs } else { 0 };
            fits
        });
        rows.truncate(FOOTER_KEYS);
        rows.sort_unstable_by_key(|row| row.1);
        rows.into_iter()
            .map(|(_, _, keys, word)| (keys, word))
            .collect()
    }

    /// The help: keys and what they do, for this mode.
    pub fn help(&self) -> Vec<(&'static str, &'static str)> {
        let rows = TABLE
            .iter()
            .filter(|b| self.applies(b) && !b.help.is_empty());
        rows.map(|b| (self.shown(b), b.help)).collect()
    }
}
