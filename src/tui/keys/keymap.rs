//! The key table as this annotator uses it: with keys moved, for what is on the screen now.

use std::collections::BTreeMap;

use super::table::{Binding, Footer, TABLE};
use super::{Action, Key, Mode};
use crate::tui::text::columns;

/// Footer entries shown at once: only the keys that matter now.
const FOOTER_KEYS: usize = 6;

/// Columns between two entries of the footer.
pub const GAP: usize = 3;

/// Below this many columns the footer uses its shorter words.
const NARROW: usize = 100;

/// What decides which rows of the table apply right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// What the screen is doing.
    pub mode: Mode,
    /// How many grades the scale has, its tie included.
    pub grades: usize,
    /// How many reasons, flags or ranks there are to choose from.
    pub choices: usize,
    /// Digits select and Enter commits.
    pub select_first: bool,
    /// A judgement from the history is open to be changed.
    pub editing: bool,
    /// Only one answer is visible at a time.
    pub flip: bool,
    /// A simulated labeller is at hand.
    pub hand_over: bool,
}

/// Why keys cannot be moved as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeymapError {
    /// There is no such action.
    #[error("no action is called {name:?}; the names are {}", .known.join(", "))]
    Action {
        /// The name as written.
        name: String,
        /// All names.
        known: Vec<&'static str>,
    },
    /// There is no such key.
    #[error(
        "{action} = {key:?}: not a key; write one character, Ctrl- and a letter, or Enter, Esc, Tab, \
         Shift-Tab, PgUp, PgDn, Up, Down, Left, Right, Home, End, Space; several are separated by \
         spaces"
    )]
    Key {
        /// The action.
        action: &'static str,
        /// The key as written.
        key: String,
    },
    /// The number of keys is not the number of digits.
    #[error("digits = needs nine keys, for 1 to 9, separated by spaces; found {0}")]
    Digits(usize),
    /// A character that could no longer be typed.
    #[error("{action} = \"{key}\": this key is typed into texts where {action} is needed too")]
    Typed {
        /// The action.
        action: &'static str,
        /// The key.
        key: Key,
    },
    /// A key with two meanings.
    #[error("{key} would mean both {first} and {second} (in: {}); give one of them another key", .mode.title())]
    Conflict {
        /// The key.
        key: Key,
        /// One action.
        first: &'static str,
        /// The other.
        second: &'static str,
        /// Where both apply.
        mode: Mode,
    },
}

/// The keys of every row of [`TABLE`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keymap {
    rows: Vec<Vec<Key>>,
}

impl Default for Keymap {
    fn default() -> Self {
        Self {
            rows: TABLE.iter().map(|row| row.keys.to_vec()).collect(),
        }
    }
}

impl Keymap {
    /// The table with the keys of some actions replaced: action name → keys separated by spaces.
    ///
    /// # Errors
    /// [`KeymapError`] for names that do not exist and keys that would mean two things.
    pub fn remapped(moved: &BTreeMap<String, String>) -> Result<Self, KeymapError> {
        let mut keymap = Self::default();
        for (name, keys) in moved {
            keymap.replace(name, keys)?;
        }
        Mode::ALL.iter().try_for_each(|&mode| keymap.check(mode))?;
        Ok(keymap)
    }

    fn replace(&mut self, name: &str, keys: &str) -> Result<(), KeymapError> {
        let wanted = name.replace('_', "-");
        let rows: Vec<usize> = (0..TABLE.len())
            .filter(|&row| TABLE[row].action.name() == wanted)
            .collect();
        let Some(action) = rows.first().map(|&row| TABLE[row].action) else {
            return Err(KeymapError::Action {
                name: name.to_owned(),
                known: action_names(),
            });
        };
        let keys = parse_keys(action.name(), keys)?;
        if action.takes_digit() && keys.len() != 9 {
            return Err(KeymapError::Digits(keys.len()));
        }
        // Rows without help beside rows with it are further ways out, such as Ctrl-C: they stay.
        let explained = |row: &usize| !TABLE[*row].help.is_empty();
        let any = rows.iter().any(explained);
        let rows: Vec<usize> = rows
            .into_iter()
            .filter(|row| !any || explained(row))
            .collect();
        let typed = |row: &usize| TABLE[*row].modes.iter().any(|mode| mode.is_text());
        let command = keys.iter().find(|key| !matches!(key, Key::Char(_)));
        if let (Some(&key), None, true) = (keys.first(), command, rows.iter().all(typed)) {
            let action = action.name();
            return Err(KeymapError::Typed { action, key });
        }
        for row in rows {
            // Where text is typed a character stays one.
            let mut keys = keys.clone();
            keys.retain(|key| !typed(&row) || !matches!(key, Key::Char(_)));
            if !keys.is_empty() {
                self.rows[row] = keys;
            }
        }
        Ok(())
    }

    /// No key may mean two things in one mode, and none may be a character where text is typed.
    fn check(&self, mode: Mode) -> Result<(), KeymapError> {
        let mut taken: Vec<(Key, Action)> = Vec::new();
        for (binding, keys) in self.bindings().filter(|(b, _)| b.modes.contains(&mode)) {
            for &key in keys {
                let action = binding.action.name();
                let other = taken.iter().find(|(other, _)| *other == key);
                if let Some((_, first)) = other.filter(|(_, first)| *first != binding.action) {
                    return Err(KeymapError::Conflict {
                        key,
                        first: first.name(),
                        second: action,
                        mode,
                    });
                }
                taken.push((key, binding.action));
            }
        }
        Ok(())
    }

    fn bindings(&self) -> impl Iterator<Item = (&'static Binding, &[Key])> {
        TABLE.iter().zip(self.rows.iter().map(Vec::as_slice))
    }

    /// What a key does in a context, if anything.
    pub fn action(&self, context: &Context, key: Key) -> Option<Action> {
        self.bindings()
            .find(|(binding, keys)| context.applies(binding) && keys.contains(&key))
            .map(|(binding, _)| binding.action)
    }

    /// The digit, 1 to 9, that a key stands for.
    pub fn digit(&self, key: Key) -> Option<usize> {
        let place = self.digit_keys().iter().position(|&other| other == key);
        place.filter(|&place| place < 9).map(|place| place + 1)
    }

    fn digit_keys(&self) -> &[Key] {
        let row = TABLE.iter().position(|row| row.action == Action::Judge);
        row.map_or(&[], |row| &self.rows[row])
    }

    /// How the key of a digit is written.
    pub fn digit_name(&self, digit: usize) -> String {
        let key = self.digit_keys().get(digit.saturating_sub(1));
        key.map(ToString::to_string).unwrap_or_default()
    }

    /// The keys of a row as they are written, with those of the rows without help that follow it.
    fn shown(&self, row: usize, context: &Context) -> String {
        let binding = &TABLE[row];
        if binding.action.takes_digit() {
            return self.digits_shown(context, binding.action);
        }
        let followers = TABLE[row + 1..]
            .iter()
            .take_while(|b| b.help.is_empty() && b.modes == binding.modes)
            .filter(|b| b.action != binding.action)
            .count();
        let rows = row..=row + followers;
        if rows.clone().all(|row| self.rows[row] == TABLE[row].keys) {
            return binding.shown.to_owned();
        }
        let keys = rows.flat_map(|row| &self.rows[row]).map(Key::to_string);
        keys.collect::<Vec<_>>().join(" ")
    }

    /// The keys of an action as they are written, if it does something in a context.
    pub fn shown_for(&self, context: &Context, action: Action) -> Option<String> {
        let row = TABLE
            .iter()
            .position(|row| row.action == action && context.applies(row))?;
        Some(self.shown(row, context))
    }

    fn digits_shown(&self, context: &Context, action: Action) -> String {
        let count = match action {
            Action::Judge => context.grades,
            Action::GradeAspect => 9,
            _ => context.choices,
        };
        if count == 3 && action == Action::Judge {
            return [1, 2, 5].map(|digit| self.digit_name(digit)).join(" ");
        }
        let (first, last) = (self.digit_name(1), self.digit_name(count.clamp(1, 9)));
        if count < 2 {
            return first;
        }
        format!("{first}-{last}")
    }

    /// The footer: keys and their words, at most six, the most urgent that fit `width` columns.
    pub fn footer(&self, context: &Context, width: usize) -> Vec<(String, &'static str)> {
        let mut rows: Vec<(u8, usize, String, &str)> = Vec::new();
        for (place, binding) in TABLE.iter().enumerate() {
            if let Some(Footer { word, narrow, rank }) = binding.footer
                && context.applies(binding)
                && (context.flip || binding.action != Action::NextPane)
            {
                let word = if width < NARROW { narrow } else { word };
                rows.push((rank, place, self.shown(place, context), word));
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

    /// The help: keys and what they do in a context, with the action for the palette.
    pub fn help(&self, context: &Context) -> Vec<(String, &'static str, Action)> {
        let rows = (0..TABLE.len())
            .filter(|&row| context.applies(&TABLE[row]) && !TABLE[row].help.is_empty());
        rows.map(|row| {
            let Binding { help, action, .. } = TABLE[row];
            (self.shown(row, context), help, action)
        })
        .collect()
    }
}

fn action_names() -> Vec<&'static str> {
    let mut names: Vec<_> = TABLE.iter().map(|row| row.action.name()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

fn parse_keys(action: &'static str, text: &str) -> Result<Vec<Key>, KeymapError> {
    let bad = |key: &str| KeymapError::Key {
        action,
        key: key.to_owned(),
    };
    let keys: Vec<Key> = text
        .split_whitespace()
        .map(|name| name.parse().map_err(|()| bad(name)))
        .collect::<Result<_, _>>()?;
    // Backspace belongs to texts alone, or a slip there would one day judge something.
    if keys.is_empty() || keys.contains(&Key::Backspace) || keys.contains(&Key::Delete) {
        return Err(bad(text));
    }
    Ok(keys)
}

impl Context {
    fn applies(&self, binding: &Binding) -> bool {
        binding.modes.contains(&self.mode)
            && match binding.action {
                Action::CommitSelected => self.select_first || self.mode == Mode::Ranking,
                Action::HandOver => self.hand_over,
                Action::Skip | Action::Defer => !self.editing,
                Action::Back if matches!(self.mode, Mode::Judging | Mode::Ranking) => self.editing,
                _ => true,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moved(pairs: &[(&str, &str)]) -> Result<Keymap, KeymapError> {
        let moved = pairs.iter().map(|(a, k)| ((*a).into(), (*k).into()));
        Keymap::remapped(&moved.collect())
    }

    fn judging() -> Context {
        Context {
            mode: Mode::Judging,
            grades: 9,
            choices: 0,
            select_first: false,
            editing: false,
            flip: false,
            hand_over: false,
        }
    }

    #[test]
    fn the_table_as_it_is_has_no_conflict() {
        assert_eq!(moved(&[]), Ok(Keymap::default()));
    }

    #[test]
    fn a_moved_key_moves_everywhere() {
        let keymap = moved(&[("undo", "z Ctrl-U"), ("scroll_down", "e")]).unwrap();
        let context = judging();
        assert_eq!(keymap.action(&context, Key::Char('z')), Some(Action::Undo));
        assert_eq!(keymap.action(&context, Key::Char('u')), None);
        let footer = keymap.footer(&context, 120);
        assert!(footer.contains(&("z Ctrl-U".into(), "undo")), "{footer:?}");
        let help = keymap.help(&context);
        let scroll = help.iter().find(|(_, help, _)| help.starts_with("scroll;"));
        assert_eq!(scroll.unwrap().0, "e k Up");
    }

    #[test]
    fn further_ways_out_stay() {
        let keymap = moved(&[("quit", "Q")]).unwrap();
        let action = |key| keymap.action(&judging(), key);
        assert_eq!(action(Key::Char('Q')), Some(Action::Quit));
        assert_eq!(action(Key::Char('q')), None);
        assert_eq!(action(Key::Ctrl('c')), Some(Action::Quit));
    }

    #[test]
    fn digits_can_be_letters() {
        let letters = "w o e r t y Z L P";
        let keymap = moved(&[("digits", letters), ("rank-afresh", "R")]).unwrap();
        assert_eq!(keymap.digit(Key::Char('e')), Some(3));
        assert_eq!(keymap.digit(Key::Char('3')), None);
        assert_eq!(keymap.footer(&judging(), 120)[0], ("w-P".into(), "judge"));
        assert_eq!(moved(&[("digits", "q w")]), Err(KeymapError::Digits(2)));
    }

    #[test]
    fn bad_names_and_conflicts_say_what_to_do() {
        let error = |pairs: &[(&str, &str)]| moved(pairs).unwrap_err().to_string();
        let unknown = error(&[("undoo", "z")]);
        assert!(
            unknown.starts_with("no action is called \"undoo\"; the names are ")
                && unknown.contains("tie-with-next, toggle, top, undo, zoom-prompt"),
            "{unknown}"
        );
        assert_eq!(
            error(&[("undo", "s")]),
            "s would mean both skip and undo (in: Judging a pair); give one of them another key"
        );
        assert!(error(&[("undo", "Alt-z")]).starts_with("undo = \"Alt-z\": not a key; write one"));
        assert!(error(&[("undo", "Backspace")]).contains("not a key"));
        assert_eq!(
            error(&[("editor", "e")]),
            "editor = \"e\": this key is typed into texts where editor is needed too"
        );
    }
}
