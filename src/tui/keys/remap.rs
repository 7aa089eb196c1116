//! Moving keys: `[label.keys]` of a configuration, checked.

use std::collections::BTreeMap;

use super::keymap::Keymap;
use super::table::TABLE;
use super::{Action, Key, Mode};

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

impl KeymapError {
    /// Names of the actions whose keys are wrong, as [`Action::name`] or as they were written.
    pub fn actions(&self) -> Vec<&str> {
        match self {
            Self::Action { name, .. } => vec![name],
            Self::Key { action, .. } | Self::Typed { action, .. } => vec![action],
            Self::Digits(_) => vec!["digits"],
            Self::Conflict { first, second, .. } => vec![first, second],
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::keys::Context;

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
        let left = keymap.action(&judging(), Key::Left);
        assert_eq!(
            left,
            Some(Action::Judge),
            "an arrow judges the binary scale"
        );
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
