//! Colours and emphasis. State never depends on colour alone.
//!
//! Blue and yellow stay apart for every common kind of colour blindness, and on light and dark
//! backgrounds; the two answers always share one style, because a difference would bias. With
//! `NO_COLOR` set, bold, dim and reversed text remain.

use ratatui::style::{Color, Modifier, Style};

use super::text::row::{Mark, Marks};

/// The styles of every screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    colour: bool,
}

impl Theme {
    /// A theme with or without colour.
    pub const fn new(colour: bool) -> Self {
        Self { colour }
    }

    /// The theme for this process: without colour if `NO_COLOR` is set to anything but the empty
    /// string (<https://no-color.org>) or the terminal is `dumb`.
    pub fn from_env() -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self::new(!no_color && !dumb)
    }

    fn coloured(self, colour: Color) -> Style {
        if self.colour {
            Style::new().fg(colour)
        } else {
            Style::new()
        }
    }

    /// Running text: the terminal's own colours.
    pub fn text(self) -> Style {
        Style::new()
    }

    /// Names, titles and keys.
    pub fn strong(self) -> Style {
        self.coloured(Color::Blue).add_modifier(Modifier::BOLD)
    }

    /// What may be overlooked: borders, units, hints.
    pub fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// The border of the pane that scrolls; it is drawn double, so colour is not needed.
    pub fn focus(self) -> Style {
        self.coloured(Color::Blue)
    }

    /// What is chosen: reversed, and bracketed by whoever draws it.
    pub fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD)
    }

    /// What needs attention now.
    pub fn warning(self) -> Style {
        self.coloured(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    /// Marked text: each mark adds to the one before it. Without colour every mark still shows, by
    /// its weight, its line or the signs around it.
    pub fn marked(self, marks: Marks) -> Style {
        marks
            .iter()
            .fold(self.text(), |style, mark| style.patch(self.mark(mark)))
    }

    fn mark(self, mark: Mark) -> Style {
        match mark {
            Mark::Control => self
                .coloured(Color::Yellow)
                .add_modifier(Modifier::DIM | Modifier::UNDERLINED),
            Mark::Structure => self.faint(),
            Mark::Heading | Mark::Strong => Style::new().add_modifier(Modifier::BOLD),
            Mark::Emphasis => Style::new().add_modifier(Modifier::ITALIC),
            Mark::Struck => Style::new().add_modifier(Modifier::CROSSED_OUT),
            Mark::Code => self.coloured(Color::Cyan),
            Mark::Link => Style::new().add_modifier(Modifier::UNDERLINED),
            Mark::Differs => self
                .coloured(Color::Blue)
                .add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            Mark::Match => Style::new().add_modifier(Modifier::REVERSED),
            Mark::CurrentMatch => self.selected(),
        }
    }
}
