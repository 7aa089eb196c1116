//! A row of text as it is drawn: spans that say what they mean, not what colour they have.

use std::fmt;
use std::ops::Range;

/// What a part of a text is. The theme decides how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Mark {
    /// Stands for a character that is not drawn itself: `␛`, `⟨U+202E⟩`.
    Control,
    /// Markdown's own signs and indentation: `#`, `•`, `│`, a link's target.
    Structure,
    /// A heading.
    Heading,
    /// `**strong**`.
    Strong,
    /// `*emphasis*`.
    Emphasis,
    /// `~~struck out~~`.
    Struck,
    /// Code, inline or in a block.
    Code,
    /// The text of a link or an image.
    Link,
    /// Words that the other answer does not have here. One mark for both sides: that one answer is
    /// "inserted" and the other "deleted" would be a bias.
    Differs,
    /// Found by a search.
    Match,
    /// The match that `n` and `N` have moved to.
    CurrentMatch,
}

impl Mark {
    /// Every mark, in the order in which styles are laid over each other.
    pub const ALL: [Self; 11] = [
        Self::Control,
        Self::Structure,
        Self::Heading,
        Self::Strong,
        Self::Emphasis,
        Self::Struck,
        Self::Code,
        Self::Link,
        Self::Differs,
        Self::Match,
        Self::CurrentMatch,
    ];
}

/// A set of marks; empty for plain text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Marks(u16);

impl Marks {
    /// This set and one mark more.
    #[must_use]
    pub fn with(self, mark: Mark) -> Self {
        Self(self.0 | 1 << mark as u8)
    }

    /// Whether a mark is in the set.
    pub fn has(self, mark: Mark) -> bool {
        self.0 & 1 << mark as u8 != 0
    }

    /// The marks in the set, in the order of [`Mark::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Mark> {
        Mark::ALL.into_iter().filter(move |&mark| self.has(mark))
    }
}

/// Neighbouring characters with the same marks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Sanitised text without line breaks.
    pub text: String,
    /// What it is.
    pub marks: Marks,
}

/// One row on the screen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// The text from left to right.
    pub spans: Vec<Span>,
    /// Which bytes of the document's text the row shows. Spaces at a soft break belong to no row.
    pub at: Range<usize>,
    /// Columns of indentation before the document's text: a list marker, the bar of a quote.
    pub indent: usize,
}

impl Row {
    /// The row without marks.
    pub fn text(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.spans
            .iter()
            .try_for_each(|span| f.write_str(&span.text))
    }
}
