//! The key table itself.

use super::Action::{
    self, Aspects, Back, BothBad, CannotJudge, ChooseReason, Clear, CommitSelected, Confirm, Defer,
    Diff, Editor, Filter, Find, FindNext, FindPrevious, Flags, FocusSide, GradeAspect, Guidelines,
    HandOver, Help, History, Judge, Markdown, Move, NewLine, NextPair, NextPane, Note, Palette,
    PreviousPair, PreviousPane, Quit, RankAfresh, ReadOnly, Redo, Redraw, Retry, Scroll,
    ScrollFocused, SendToRank, Skip, Statistics, Suspend, TakeOver, TieWithNext, Toggle,
    ToggleFlag, Undo, ZoomPrompt,
};
use super::Key::{self, Char, Ctrl};
use super::{Mode, Step};

/// One row of the key table.
#[derive(Debug)]
pub struct Binding {
    /// The keys; any of them will do.
    pub keys: &'static [Key],
    /// How they are written in the footer and the help, together with those of the rows without
    /// help that follow.
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
const JUDGING: &[Mode] = &[Mode::Judging];
const RANKING: &[Mode] = &[Mode::Ranking];
const DECIDING: &[Mode] = &[Mode::Judging, Mode::Ranking];
const PANES: &[Mode] = &[Mode::Judging, Mode::Ranking, Mode::ReadOnly, Mode::Reading];
const PAIR_PANES: &[Mode] = &[Mode::Judging, Mode::ReadOnly, Mode::Reading];
const UNDOING: &[Mode] = &[Mode::Judging, Mode::Ranking, Mode::Done, Mode::Waiting];
const SCROLLING: &[Mode] = &[
    Mode::Judging,
    Mode::Ranking,
    Mode::ReadOnly,
    Mode::Reading,
    Mode::Guidelines,
    Mode::Prompt,
    Mode::Help,
    Mode::Flags,
    Mode::Aspects,
    Mode::History,
    Mode::Statistics,
];
/// Where a list or a page is open that has no answers.
const RESTING: &[Mode] = &[
    Mode::Judging,
    Mode::Ranking,
    Mode::ReadOnly,
    Mode::Reading,
    Mode::Waiting,
    Mode::Done,
];
const SEARCHED: &[Mode] = &[
    Mode::Judging,
    Mode::Ranking,
    Mode::ReadOnly,
    Mode::Reading,
    Mode::Help,
    Mode::History,
];
const LISTS: &[Mode] = &[Mode::Flags, Mode::Aspects];
const CLOSING: &[Mode] = &[
    Mode::Reason,
    Mode::HandOver,
    Mode::Help,
    Mode::Prompt,
    Mode::Flags,
    Mode::Aspects,
    Mode::History,
    Mode::Statistics,
];
const TEXT: &[Mode] = &[Mode::Note, Mode::Search, Mode::Palette];
/// Where `q` leaves; in a dialog it closes the dialog, as in a pager.
const LEAVING: &[Mode] = &[
    Mode::Locked,
    Mode::Guidelines,
    Mode::Judging,
    Mode::Ranking,
    Mode::ReadOnly,
    Mode::Reading,
    Mode::Waiting,
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

/// The key table. Its order is the order of footer, help and palette.
#[rustfmt::skip] // one row a line, as a table is read
pub const TABLE: &[Binding] = &[
    bind("1-9", DIGITS, Judge, JUDGING, "judge: low prefers A, high prefers B, the middle is a tie")
        .footer("judge", 0),
    // With which the binary scale is judged.
    bind("", &[Key::Left, Key::Right], Judge, JUDGING, ""),
    bind("1-9", DIGITS, SendToRank, RANKING, "send this answer to a rank; two on one rank are tied")
        .footer("rank", 0),
    bind("Enter", &[Key::Enter], CommitSelected, DECIDING, "save what is selected")
        .footer("save", 1),
    bind("X", &[Char('X')], HandOver, DECIDING, "a simulated labeller judges the rest (asks first)")
        .footer_or("hand over to the simulated labeller", "simulated labeller", 1),
    bind("b", &[Char('b')], BothBad, DECIDING, "both answers are bad"),
    bind("0", &[Char('0')], CannotJudge, DECIDING, "cannot judge this pair (asks why)"),
    bind("s", &[Char('s')], Skip, DECIDING, "skip this pair (asks why)").footer("skip", 5),
    bind(">", &[Char('>')], Defer, DECIDING, "put this pair at the end of the queue"),
    bind("u", &[Char('u')], Undo, UNDOING, "take back the last judgement, show its pair again")
        .footer("undo", 3),
    bind("U Ctrl-R", &[Char('U'), Ctrl('r')], Redo, UNDOING, "redo what was taken back"),
    bind("J K", &[Char('J')], Move(Step::Down), RANKING, "move this answer one rank down, up")
        .footer("move", 2),
    bind("", &[Char('K')], Move(Step::Up), RANKING, ""),
    bind("=", &[Char('=')], TieWithNext, RANKING, "tie this answer with the next in the ranking")
        .footer("tie", 3),
    bind("r", &[Char('r')], RankAfresh, DECIDING, "rank three to nine answers afresh (undo brings the ranking back)"),
    bind("c", &[Char('c')], Note, &[Mode::Judging, Mode::Ranking, Mode::History], "write a comment"),
    bind("F", &[Char('F')], Flags, DECIDING, "flags, such as unsafe"),
    bind("a", &[Char('a')], Aspects, DECIDING, "judge single aspects of two answers, such as honesty"),
    bind("1-9", DIGITS, ChooseReason, &[Mode::Reason], "choose a reason").footer("choose", 0),
    bind("1-9", DIGITS, ToggleFlag, &[Mode::Flags], "set or clear a flag").footer("set or clear", 0),
    bind("Space", &[Char(' ')], Toggle, &[Mode::Flags], "set or clear the flag at the cursor"),
    bind("1-9", DIGITS, GradeAspect, &[Mode::Aspects], "1 A much better, 5 alike, 9 B much better")
        .footer("grade", 0),
    bind("x", &[Char('x')], Clear, &[Mode::Aspects], "clear the aspect at the cursor")
        .footer("clear", 3),
    bind("y", &[Char('y')], Confirm, &[Mode::HandOver], "yes").footer("yes, hand over", 0),
    bind("Enter", &[Key::Enter], Confirm, &[Mode::Guidelines], "go on to the pairs")
        .footer("go on", 0),
    bind("Enter", &[Key::Enter], Confirm, &[Mode::Done], "finish").footer("finish", 0),
    bind("Enter", &[Key::Enter], Confirm, &[Mode::Note], "keep the comment").footer("keep", 0),
    bind("Ctrl-J", &[Ctrl('j')], NewLine, &[Mode::Note], "begin a new line").footer("new line", 2),
    bind("Ctrl-O", &[Ctrl('o')], Editor, &[Mode::Note], "write it in $VISUAL or $EDITOR")
        .footer("editor", 3),
    bind("Enter", &[Key::Enter], Confirm, &[Mode::Search], "find it").footer("find", 0),
    bind("Enter", &[Key::Enter], Confirm, &[Mode::Palette], "do it").footer("do it", 0),
    bind("Enter", &[Key::Enter], Confirm, &[Mode::History], "open, to read it or to change it")
        .footer("open", 0),
    bind("f", &[Char('f')], Filter, &[Mode::History], "show only one kind of judgement")
        .footer("filter", 2),
    bind("Enter", &[Key::Enter], Confirm, LISTS, "done").footer("done", 2),
    bind("t", &[Char('t')], TakeOver, &[Mode::Locked], "take over: the other session saves and ends")
        .footer("take over", 0),
    bind("r", &[Char('r')], ReadOnly, &[Mode::Locked], "read only").footer("read only", 1),
    bind("Enter", &[Key::Enter], Retry, &[Mode::Locked], "try again").footer("try again", 2),
    bind("> <", &[Char('>')], NextPair, &[Mode::Reading], "the next pair, the pair before")
        .footer("next pair", 0),
    bind("", &[Char('<')], PreviousPair, &[Mode::Reading], ""),
    bind("Esc", &[Key::Esc], Back, CLOSING, "back to the pair").footer("back", 1),
    bind("Esc", &[Key::Esc], Back, TEXT, "leave it as it was").footer("back", 1),
    bind("Esc", &[Key::Esc], Back, DECIDING, "leave a judgement from the history as it was")
        .footer("leave it as it was", 1),
    bind("", &[Key::Esc], Back, &[Mode::Guidelines], ""),
    bind("↓ ↑", &[Key::Down], Scroll(Step::Down), &[Mode::Palette], "choose a command")
        .footer("choose", 2),
    bind("", &[Key::Up], Scroll(Step::Up), &[Mode::Palette], ""),
    bind("j k ↓ ↑", &[Char('j'), Key::Down], Scroll(Step::Down), SCROLLING, "scroll; move in a list")
        .footer("scroll", 6),
    bind("", &[Char('k'), Key::Up], Scroll(Step::Up), SCROLLING, ""),
    bind("PgDn PgUp", &[Key::PageDown], Scroll(Step::PageDown), SCROLLING, "scroll by a page"),
    bind("", &[Key::PageUp], Scroll(Step::PageUp), SCROLLING, ""),
    bind("g G", &[Char('g'), Key::Home], Scroll(Step::Top), SCROLLING, "to the beginning, to the end"),
    bind("", &[Char('G'), Key::End], Scroll(Step::Bottom), SCROLLING, ""),
    bind("J K", &[Char('J')], ScrollFocused(Step::Down), PAIR_PANES, "scroll only the focused answer"),
    bind("", &[Char('K')], ScrollFocused(Step::Up), PAIR_PANES, ""),
    bind("Tab", &[Key::Tab], NextPane, PANES, "to the other answer, or to a prompt that overflows")
        .footer_or("other answer", "A/B", 2),
    bind("", &[Key::BackTab], PreviousPane, PANES, ""),
    bind("h l", &[Char('h')], FocusSide(0), PANES, "to answer A, to answer B; ranking: back, on"),
    bind("", &[Char('l')], FocusSide(1), PANES, ""),
    bind("d", &[Char('d')], Diff, PAIR_PANES, "mark the words in which the answers differ")
        .footer("diff", 7),
    bind("m", &[Char('m')], Markdown, PANES, "show Markdown as it is meant, or as it is written"),
    bind("p", &[Char('p')], ZoomPrompt, PANES, "show the whole prompt"),
    bind("", &[Char('p')], Back, &[Mode::Prompt], ""),
    bind("i", &[Char('i')], Guidelines, PANES, "read the guidelines again"),
    bind("H", &[Char('H')], History, RESTING, "what was judged: search it, open it, change it"),
    bind("%", &[Char('%')], Statistics, RESTING, "statistics: counts and pace; all when nothing is left"),
    bind("", &[Char('%')], Back, &[Mode::Statistics], ""),
    bind("/", &[Char('/')], Find, SEARCHED, "find a text").footer("find", 8),
    bind("n N", &[Char('n')], FindNext, PANES, "to the next match, to the one before"),
    bind("", &[Char('N')], FindPrevious, PANES, ""),
    bind(":", &[Char(':')], Palette, RESTING, "all commands, to search and run"),
    bind("?", &[Char('?')], Help, RESTING, "this help").footer("help", 4),
    bind("", &[Char('?')], Back, &[Mode::Help], ""),
    bind("", &[Char('q')], Back, CLOSING, ""),
    bind("", &[Char('n')], Back, &[Mode::HandOver], ""),
    bind("Ctrl-L", &[Ctrl('l')], Redraw, Mode::ALL, "draw the screen afresh"),
    bind("Ctrl-Z", &[Ctrl('z')], Suspend, Mode::ALL, "suspend; fg brings it back"),
    bind("q", &[Char('q')], Quit, LEAVING, "quit; everything is saved already").footer("quit", 7),
    bind("", &[Ctrl('c')], Quit, Mode::ALL, ""),
];
