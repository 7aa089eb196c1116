//! Colours and emphasis. State never depends on colour alone.
//!
//! Every theme says the same things by weight, line and reversal too, so that with `NO_COLOR` set
//! nothing is lost. The two answers always share one style, because a difference would bias.

use ratatui::style::{Color, Modifier, Style};

use super::text::row::{Mark, Marks};

/// The colours of a theme; text and background stay the terminal's own unless a theme needs them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Palette {
    /// Running text.
    text: Color,
    /// Names, titles, keys, and the border of the pane that scrolls.
    accent: Color,
    /// What needs attention now.
    warning: Color,
    /// Code.
    code: Color,
    /// Words in which the answers differ.
    differs: Color,
    /// What may be overlooked; `None` dims the text instead.
    faint: Option<Color>,
}

/// The terminal's own sixteen colours, as its owner chose them.
const TERMINAL: Palette = Palette {
    text: Color::Reset,
    accent: Color::Blue,
    warning: Color::Yellow,
    code: Color::Cyan,
    differs: Color::Blue,
    faint: None,
};

/// For dark backgrounds: soft colours of the 256.
const DARK: Palette = Palette {
    text: Color::Indexed(252),
    accent: Color::Indexed(111),
    warning: Color::Indexed(221),
    code: Color::Indexed(115),
    differs: Color::Indexed(117),
    faint: Some(Color::Indexed(244)),
};

/// For light backgrounds.
const LIGHT: Palette = Palette {
    text: Color::Indexed(235),
    accent: Color::Indexed(25),
    warning: Color::Indexed(130),
    code: Color::Indexed(23),
    differs: Color::Indexed(25),
    faint: Some(Color::Indexed(242)),
};

/// Bright on whatever is behind, and nothing dimmed.
const HIGH_CONTRAST: Palette = Palette {
    text: Color::Reset,
    accent: Color::Reset,
    warning: Color::LightYellow,
    code: Color::Reset,
    differs: Color::LightYellow,
    faint: Some(Color::Reset),
};

/// Blue and orange of Okabe and Ito (2008), which stay apart for every common kind of colour
/// blindness, on light and dark backgrounds.
const COLOUR_BLIND: Palette = Palette {
    text: Color::Reset,
    accent: Color::Rgb(0, 114, 178),
    warning: Color::Rgb(230, 159, 0),
    code: Color::Rgb(86, 180, 233),
    differs: Color::Rgb(230, 159, 0),
    faint: None,
};

/// The styles of every screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    palette: Option<Palette>,
}

impl Theme {
    /// No colour at all: weight, lines and reversal.
    pub const PLAIN: Self = Self { palette: None };
    /// The terminal's own colours.
    pub const TERMINAL: Self = Self::of(TERMINAL);
    /// For dark backgrounds.
    pub const DARK: Self = Self::of(DARK);
    /// For light backgrounds.
    pub const LIGHT: Self = Self::of(LIGHT);
    /// As much contrast as there is.
    pub const HIGH_CONTRAST: Self = Self::of(HIGH_CONTRAST);
    /// Colours that stay apart for every common kind of colour blindness.
    pub const COLOUR_BLIND: Self = Self::of(COLOUR_BLIND);

    const fn of(palette: Palette) -> Self {
        Self {
            palette: Some(palette),
        }
    }

    /// This theme, or no colour if `NO_COLOR` is set to anything but the empty string
    /// (<https://no-color.org>) or the terminal is `dumb`.
    #[must_use]
    pub fn unless_refused(self) -> Self {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        if no_color || dumb { Self::PLAIN } else { self }
    }

    fn coloured(self, colour: impl Fn(Palette) -> Color) -> Style {
        match self.palette.map(colour) {
            None | Some(Color::Reset) => Style::new(),
            Some(colour) => Style::new().fg(colour),
        }
    }

    /// Running text.
    pub fn text(self) -> Style {
        self.coloured(|palette| palette.text)
    }

    /// Names, titles and keys.
    pub fn strong(self) -> Style {
        self.coloured(|palette| palette.accent)
            .add_modifier(Modifier::BOLD)
    }

    /// What may be overlooked: borders, units, hints.
    pub fn faint(self) -> Style {
        match self.palette.and_then(|palette| palette.faint) {
            Some(_) => self.coloured(|palette| palette.faint.unwrap_or(Color::Reset)),
            None => Style::new().add_modifier(Modifier::DIM),
        }
    }

    /// The border of the pane that scrolls; it is drawn double, so colour is not needed.
    pub fn focus(self) -> Style {
        self.coloured(|palette| palette.accent)
    }

    /// What is chosen: reversed, and bracketed by whoever draws it.
    pub fn selected(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD)
    }

    /// What needs attention now.
    pub fn warning(self) -> Style {
        self.coloured(|palette| palette.warning)
            .add_modifier(Modifier::BOLD)
    }

    /// Marked text: each mark adds to the one before it. Without colour every mark still shows, by
    /// its weight, its line or the signs around it.
    pub fn marked(self, marks: Marks) -> Style {
        marks
            .iter()
            .fold(self.text(), |style, mark| style.patch(self.mark(mark)))
    }

    /// What a mark adds to the style under it.
    pub fn mark(self, mark: Mark) -> Style {
        match mark {
            Mark::Control => self
                .coloured(|palette| palette.warning)
                .add_modifier(Modifier::DIM | Modifier::UNDERLINED),
            Mark::Structure => self.faint(),
            Mark::Heading | Mark::Strong => Style::new().add_modifier(Modifier::BOLD),
            Mark::Emphasis => Style::new().add_modifier(Modifier::ITALIC),
            Mark::Struck => Style::new().add_modifier(Modifier::CROSSED_OUT),
            Mark::Code => self.coloured(|palette| palette.code),
            Mark::Link => Style::new().add_modifier(Modifier::UNDERLINED),
            Mark::Differs => self
                .coloured(|palette| palette.differs)
                .add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
            Mark::Match => Style::new().add_modifier(Modifier::REVERSED),
            Mark::CurrentMatch => self.selected(),
        }
    }
}
