//! The key table as this annotator uses it: with keys moved, for what is on the screen now.

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

/// The keys of every row of [`TABLE`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keymap {
    pub(super) rows: Vec<Vec<Key>>,
}

impl Default for Keymap {
    fn default() -> Self {
        Self {
            rows: TABLE.iter().map(|row| row.keys.to_vec()).collect(),
        }
    }
}

impl Keymap {
    pub(super) fn bindings(&self) -> impl Iterator<Item = (&'static Binding, &[Key])> {
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
        place.map(|place| place + 1)
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
