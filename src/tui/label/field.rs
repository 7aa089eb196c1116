//! A text field: what is typed, pasted and edited, grapheme by grapheme.

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

use crate::tui::keys::Key;

/// Longest text in bytes; a comment of three pages is a document.
pub const LONGEST: usize = 8_000;

/// Marks the cursor in [`Field::shown`].
pub const CURSOR: char = '▏';

/// A text and a cursor in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Field {
    text: String,
    /// In bytes, between two graphemes.
    cursor: usize,
}

impl Field {
    /// A field with a text, the cursor behind it.
    pub fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            cursor: text.len(),
        }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text before the cursor.
    pub fn before(&self) -> &str {
        &self.text[..self.cursor]
    }

    /// The text with a mark where the cursor is.
    pub fn shown(&self) -> String {
        format!("{}{CURSOR}{}", self.before(), &self.text[self.cursor..])
    }

    /// Puts a text in at the cursor, or leaves all as it was if it would be too long.
    pub fn insert(&mut self, text: &str) -> bool {
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        if self.text.len() + text.len() > LONGEST {
            return false;
        }
        self.text.insert_str(self.cursor, &text);
        self.cursor += text.len();
        // What was put in may have joined the grapheme behind it.
        while !self.is_boundary(self.cursor) {
            self.cursor = self.next();
        }
        true
    }

    /// What a key does that is no command; false if the field is full.
    pub fn press(&mut self, key: Key) -> bool {
        match key {
            Key::Char(c) => return self.insert(c.encode_utf8(&mut [0; 4])),
            Key::Backspace => self.delete_to(self.previous()),
            Key::Delete => self.delete_to(self.next()),
            Key::Left => self.cursor = self.previous(),
            Key::Right => self.cursor = self.next(),
            Key::Home | Key::Ctrl('a') => self.cursor = self.line().0,
            Key::End | Key::Ctrl('e') => self.cursor = self.line().1,
            Key::Up => self.move_line(true),
            Key::Down => self.move_line(false),
            Key::Ctrl('u') => self.delete_to(self.line().0),
            Key::Ctrl('k') => self.delete_to(self.line().1),
            Key::Ctrl('w') => self.delete_to(self.word()),
            _ => {}
        }
        true
    }

    fn is_boundary(&self, at: usize) -> bool {
        GraphemeCursor::new(at, self.text.len(), true)
            .is_boundary(&self.text, 0)
            .unwrap_or(true)
    }

    fn previous(&self) -> usize {
        let last = self.before().grapheme_indices(true).next_back();
        last.map_or(0, |(at, _)| at)
    }

    fn next(&self) -> usize {
        let first = self.text[self.cursor..].graphemes(true).next();
        self.cursor + first.map_or(0, str::len)
    }

    /// Where the line with the cursor begins and ends.
    fn line(&self) -> (usize, usize) {
        let start = self.before().rfind('\n').map_or(0, |at| at + 1);
        let end = self.text[self.cursor..].find('\n');
        (start, end.map_or(self.text.len(), |at| self.cursor + at))
    }

    /// Where the word before the cursor begins.
    fn word(&self) -> usize {
        let kept = self.before().trim_end();
        kept.rfind(char::is_whitespace).map_or(0, |at| {
            at + kept[at..].chars().next().map_or(0, char::len_utf8)
        })
    }

    fn delete_to(&mut self, to: usize) {
        let (from, to) = (self.cursor.min(to), self.cursor.max(to));
        self.text.replace_range(from..to, "");
        self.cursor = from;
        while !self.is_boundary(self.cursor) {
            self.cursor = self.next();
        }
    }

    /// To the same grapheme of the line above or below.
    fn move_line(&mut self, up: bool) {
        let (start, end) = self.line();
        let column = self.text[start..self.cursor].graphemes(true).count();
        let target = if up {
            start.checked_sub(1)
        } else {
            (end < self.text.len()).then(|| end + 1)
        };
        let Some(target) = target else { return };
        self.cursor = target;
        let (start, end) = self.line();
        let place = self.text[start..end].grapheme_indices(true).nth(column);
        self.cursor = place.map_or(end, |(at, _)| start + at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(text: &str, keys: &[Key]) -> String {
        let mut field = Field::new(text);
        for &key in keys {
            assert!(field.press(key));
        }
        field.shown()
    }

    #[test]
    fn editing_goes_grapheme_by_grapheme() {
        use Key::{Backspace, Char, Ctrl, Delete, Down, End, Home, Left, Right, Up};
        assert_eq!(typed("ab", &[Char('c')]), "abc▏");
        assert_eq!(typed("a👩‍🍳", &[Backspace]), "a▏");
        assert_eq!(typed("ae\u{301}", &[Left, Left, Char('x')]), "x▏ae\u{301}");
        assert_eq!(typed("abc", &[Home, Delete, Right]), "b▏c");
        assert_eq!(typed("one two  ", &[Ctrl('w')]), "one ▏");
        assert_eq!(typed("外の 皮", &[Ctrl('w'), Backspace]), "外の▏");
        assert_eq!(typed("one\ntwo", &[Ctrl('u')]), "one\n▏");
        assert_eq!(typed("one\ntwo", &[Up]), "one▏\ntwo");
        assert_eq!(typed("one\ntwo", &[Home, Up, Right, Down]), "one\nt▏wo");
        assert_eq!(typed("one\ntwo", &[Up, Home, Ctrl('k'), End]), "▏\ntwo");
        assert_eq!(typed("", &[Backspace, Delete, Left, Right, Up, Down]), "▏");
    }

    #[test]
    fn a_full_field_refuses_and_keeps_what_it_has() {
        let mut field = Field::new(&"x".repeat(LONGEST - 1));
        assert!(!field.insert("é"));
        assert!(field.insert("y"));
        assert!(!field.press(Key::Char('z')));
        assert_eq!(field.text().len(), LONGEST);
    }

    #[test]
    fn line_ends_of_every_system_are_one() {
        let mut field = Field::default();
        field.insert("a\r\nb\rc");
        assert_eq!(field.text(), "a\nb\nc");
    }

    #[test]
    fn the_cursor_never_stands_inside_a_grapheme() {
        let mut field = Field::new("e\u{301}x");
        field.press(Key::Home);
        field.insert("\u{1f469}\u{200d}");
        field.press(Key::Backspace);
        assert!(field.is_boundary(field.cursor), "{:?}", field.shown());
        let mut field = Field::new("a\n\u{301}");
        field.press(Key::Left);
        field.press(Key::Backspace);
        assert!(field.is_boundary(field.cursor), "{:?}", field.shown());
    }
}
