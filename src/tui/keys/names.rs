//! The names of keys and actions, as `[label.keys]`, the footer, the help and the palette write them.

use std::fmt;
use std::str::FromStr;

use super::{Action, Key, Step};

/// Keys whose name is a word.
const KEYS: &[(&str, Key)] = &[
    ("Enter", Key::Enter),
    ("Esc", Key::Esc),
    ("Tab", Key::Tab),
    ("Shift-Tab", Key::BackTab),
    ("PgUp", Key::PageUp),
    ("PgDn", Key::PageDown),
    ("Up", Key::Up),
    ("Down", Key::Down),
    ("Left", Key::Left),
    ("Right", Key::Right),
    ("Home", Key::Home),
    ("End", Key::End),
    ("Space", Key::Char(' ')),
    ("Backspace", Key::Backspace),
    ("Delete", Key::Delete),
];

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((name, _)) = KEYS.iter().find(|(_, key)| key == self) {
            return f.write_str(name);
        }
        match self {
            Self::Ctrl(c) => write!(f, "Ctrl-{}", c.to_ascii_uppercase()),
            Self::Char(c) => write!(f, "{c}"),
            _ => Ok(()),
        }
    }
}

impl FromStr for Key {
    type Err = ();

    /// One character, `Ctrl-` and a letter, or a word such as `PgDn`; words in any case.
    fn from_str(name: &str) -> Result<Self, ()> {
        let mut chars = name.chars();
        if let (Some(c), None) = (chars.next(), chars.next()) {
            return if c.is_control() || c.is_whitespace() {
                Err(())
            } else {
                Ok(Self::Char(c))
            };
        }
        if let Some((_, key)) = KEYS
            .iter()
            .find(|(word, _)| word.eq_ignore_ascii_case(name))
        {
            return Ok(*key);
        }
        let letter = name.to_ascii_lowercase();
        match letter.strip_prefix("ctrl-").map(str::as_bytes) {
            Some([c @ b'a'..=b'z']) => Ok(Self::Ctrl(char::from(*c))),
            _ => Err(()),
        }
    }
}

impl Action {
    /// The name in `[label.keys]` and in the palette. Actions that take a digit share one, because
    /// they share their keys.
    pub fn name(self) -> &'static str {
        match self {
            Self::Judge
            | Self::SendToRank
            | Self::ChooseReason
            | Self::ToggleFlag
            | Self::GradeAspect => "digits",
            Self::CommitSelected => "save",
            Self::BothBad => "both-bad",
            Self::CannotJudge => "cannot-judge",
            Self::Skip => "skip",
            Self::Defer => "defer",
            Self::Undo => "undo",
            Self::Redo => "redo",
            Self::Move(Step::Up) => "move-up",
            Self::Move(_) => "move-down",
            Self::TieWithNext => "tie-with-next",
            Self::RankAfresh => "rank-afresh",
            Self::Note => "comment",
            Self::NewLine => "new-line",
            Self::Editor => "editor",
            Self::Flags => "flags",
            Self::Toggle => "toggle",
            Self::Aspects => "aspects",
            Self::Clear => "clear",
            Self::Diff => "diff",
            Self::Markdown => "markdown",
            Self::ZoomPrompt => "zoom-prompt",
            Self::History => "history",
            Self::Statistics => "statistics",
            Self::Filter => "filter",
            Self::Find => "find",
            Self::FindNext => "find-next",
            Self::FindPrevious => "find-previous",
            Self::Scroll(step) => scroll_name(step),
            Self::ScrollFocused(Step::Up) => "scroll-focused-up",
            Self::ScrollFocused(_) => "scroll-focused-down",
            Self::NextPane => "next-pane",
            Self::PreviousPane => "previous-pane",
            Self::FocusSide(0) => "focus-a",
            Self::FocusSide(_) => "focus-b",
            Self::NextPair => "next-pair",
            Self::PreviousPair => "previous-pair",
            Self::Guidelines => "guidelines",
            Self::Help => "help",
            Self::Palette => "palette",
            Self::HandOver => "hand-over",
            Self::Confirm => "confirm",
            Self::Back => "back",
            Self::Retry => "retry",
            Self::TakeOver => "take-over",
            Self::ReadOnly => "read-only",
            Self::Redraw => "redraw",
            Self::Suspend => "suspend",
            Self::Quit => "quit",
        }
    }

    /// Whether the key says which of several things is meant.
    pub fn takes_digit(self) -> bool {
        self.name() == "digits"
    }
}

fn scroll_name(step: Step) -> &'static str {
    match step {
        Step::Down => "scroll-down",
        Step::Up => "scroll-up",
        Step::PageDown => "page-down",
        Step::PageUp => "page-up",
        Step::Top => "top",
        Step::Bottom => "bottom",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let names = ["x", "Ctrl-R", "PgDn", "Space", "Shift-Tab", "?", "é"];
        for name in names {
            assert_eq!(name.parse::<Key>().unwrap().to_string(), name);
        }
        assert_eq!("ctrl-o".parse(), Ok(Key::Ctrl('o')));
        assert_eq!("esc".parse(), Ok(Key::Esc));
        for bad in ["", " ", "Ctrl-1", "Ctrl-", "Alt-x", "F1", "xy", "\u{1b}"] {
            assert!(bad.parse::<Key>().is_err(), "{bad:?}");
        }
    }
}
