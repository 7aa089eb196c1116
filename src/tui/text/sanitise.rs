//! Text in which nothing is left that a terminal might interpret or hide.
//!
//! | in the text | on the screen |
//! |---|---|
//! | tab | spaces to the next stop of four columns |
//! | `\n`, `\r\n` | a new line |
//! | other C0 controls, DEL | control pictures: `␛`, `␀`, `␍`, `␡` |
//! | C1 controls, bidi controls, invisible characters, private use, noncharacters | `⟨U+202E⟩` |
//! | a combining mark with nothing to stand on | the mark on a dotted circle |
//! | more than sixteen characters in one cluster | sixteen, then `⟨+985⟩` |
//!
//! ANSI escape sequences are therefore shown and never obeyed. A lone surrogate, which JSON can
//! escape and no text can hold, is already `⟨U+D800⟩` when it is read (`feedback::lines`).

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::graphemes::{clusters, columns, columns_of};
use super::hidden::{is_hidden, is_joining};

/// Columns between tab stops.
const TAB: usize = 4;

/// Characters kept in one grapheme cluster. The longest emoji sequences in use have eleven; a
/// megabyte of stacked accents would otherwise be one cell.
const CLUSTER_CHARS: usize = 16;

/// What stands under a combining mark that has nothing to stand on.
const CIRCLE: char = '\u{25cc}';

/// `text` without anything a terminal might interpret or hide: only printable graphemes and `\n`.
pub fn sanitise(text: &str) -> String {
    Sanitised::of(text).text
}

/// A sanitised text that remembers where it differs from the original.
#[derive(Debug, Default)]
pub(super) struct Sanitised {
    /// Only printable graphemes and `\n`.
    pub(super) text: String,
    /// Where in `text` the visible marks for controls and hidden characters are.
    pub(super) marks: Vec<Range<usize>>,
    /// Where the two texts run in step again: (offset in the original, offset in `text`).
    steps: Vec<(usize, usize)>,
}

impl Sanitised {
    pub(super) fn of(text: &str) -> Self {
        let mut out = Self {
            text: String::with_capacity(text.len()),
            ..Self::default()
        };
        let mut at = 0;
        // Columns are counted only up to each tab, so a line full of tabs stays linear.
        let mut stop = Stop::default();
        for cluster in clusters(text) {
            match cluster.as_bytes() {
                [b' '..=b'~'] => out.text.push_str(cluster),
                [b'\t'] => stop.tab(&mut out.text),
                [b'\n'] | [b'\r', b'\n'] => {
                    out.text.push('\n');
                    stop = Stop::at_start(out.text.len());
                }
                _ => out.push_cluster(cluster),
            }
            at += cluster.len();
            if out.offset_of(at) != out.text.len() {
                out.steps.push((at, out.text.len()));
            }
        }
        out
    }

    /// Where a place in the original is in `text`, given every step before it.
    fn offset_of(&self, at: usize) -> usize {
        let (original, own) = self.steps.last().copied().unwrap_or_default();
        own + (at - original)
    }

    /// Where places in the original are in `text`, for a rising sequence of them.
    pub(super) fn offsets(&self, places: impl Iterator<Item = usize>) -> Vec<usize> {
        let mut steps = self.steps.iter().peekable();
        let mut last = (0, 0);
        let offset = |place: usize| {
            while let Some(&&step) = steps.peek().filter(|step| step.0 <= place) {
                last = step;
                steps.next();
            }
            let limit = steps.peek().map_or(self.text.len(), |step| step.1);
            (last.1 + (place - last.0)).min(limit)
        };
        places.map(offset).collect()
    }

    fn push_cluster(&mut self, cluster: &str) {
        // The circle that was put under an accent does not count: sanitising twice changes nothing.
        let limit = CLUSTER_CHARS + usize::from(cluster.starts_with(CIRCLE));
        let chars: Vec<char> = cluster.chars().take(limit).collect();
        // What was drawn since the last mark: nothing joins a mark, or the second of two hidden
        // characters would stay hidden.
        let mut drawn = String::new();
        for (i, &c) in chars.iter().enumerate() {
            let (previous, next) = (drawn.chars().next_back(), chars.get(i + 1).copied());
            if c.is_control() || is_hidden(c) && !is_joining(c, previous, next) {
                self.push_drawn(&drawn);
                drawn.clear();
                self.push_mark(&picture(c));
            } else {
                drawn.push(c);
            }
        }
        self.push_drawn(&drawn);
        let left_out = cluster.chars().skip(limit).count();
        if left_out > 0 {
            self.push_mark(&format!("⟨+{left_out}⟩"));
        }
    }

    fn push_drawn(&mut self, drawn: &str) {
        for cluster in drawn.graphemes(true) {
            let first = cluster.chars().next().map_or(0, char::len_utf8);
            let bare = columns_of(&cluster[..first]) == 0;
            if bare || self.would_join_a_mark(cluster) {
                self.push_based(cluster);
            } else {
                self.text.push_str(cluster);
            }
        }
    }

    /// Whether a cluster, such as a skin tone, would become one with the mark written last.
    fn would_join_a_mark(&self, cluster: &str) -> bool {
        let after_mark = self
            .marks
            .last()
            .is_some_and(|mark| mark.end == self.text.len());
        after_mark && format!("⟩{cluster}").graphemes(true).count() == 1
    }

    /// Makes a cluster visible that begins with a character of no width: on a dotted circle, or as marks if it will not join one.
    fn push_based(&mut self, bare: &str) {
        let based = format!("{CIRCLE}{bare}");
        if based.graphemes(true).count() == 1 {
            self.text.push_str(&based);
        } else {
            bare.chars().for_each(|c| self.push_mark(&picture(c)));
        }
    }

    fn push_mark(&mut self, mark: &str) {
        // A sign that stands before its letter, such as U+110CD, would take the mark for the letter.
        let last = self.text.chars().next_back().map(String::from);
        let joins = |last: &String| format!("{last}{mark}").graphemes(true).next() != Some(last);
        if last.as_ref().is_some_and(joins) {
            self.text.push(CIRCLE);
        }
        let start = self.text.len();
        self.text.push_str(mark);
        match self.marks.last_mut() {
            Some(last) if last.end == start => last.end = self.text.len(),
            _ => self.marks.push(start..self.text.len()),
        }
    }
}

/// The visible mark for a character: a control picture, or its number.
fn picture(c: char) -> String {
    match c {
        '\0'..='\x1f' => {
            char::from_u32(0x2400 + u32::from(c)).map_or_else(String::new, String::from)
        }
        '\x7f' => "␡".to_owned(),
        _ => format!("⟨U+{:04X}⟩", u32::from(c)),
    }
}

/// Where the columns of the present line have been counted to.
#[derive(Default)]
struct Stop {
    counted: usize,
    column: usize,
}

impl Stop {
    fn at_start(counted: usize) -> Self {
        Self { counted, column: 0 }
    }

    fn tab(&mut self, text: &mut String) {
        self.column += columns(&text[self.counted..]);
        let spaces = TAB - self.column % TAB;
        text.extend(std::iter::repeat_n(' ', spaces));
        self.column += spaces;
        self.counted = text.len();
    }
}
