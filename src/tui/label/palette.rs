//! Commands and help, both made from the key table.

use super::field::Field;
use super::state::{App, Screen};
use super::update::{Effect, act};
use crate::tui::keys::{Action, Mode, Step};

/// The list of commands: what is typed narrows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Palette {
    /// What was typed.
    pub field: Field,
    /// The cursor.
    pub cursor: usize,
    /// Where it was opened.
    mode: Mode,
    commands: Vec<Command>,
}

/// A row of the key table that can be run by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The keys.
    pub keys: String,
    /// The name of the action.
    pub name: &'static str,
    /// What it does.
    pub help: &'static str,
    action: Action,
}

impl Palette {
    fn new(app: &App) -> Self {
        let mode = app.mode();
        let context = app.context();
        let rows = app.setup.keymap.help(&context).into_iter();
        let commands = rows
            .filter(|(_, _, action)| !action.takes_digit() && *action != Action::Palette)
            .map(|(keys, help, action)| Command {
                keys,
                name: action.name(),
                help,
                action,
            });
        Self {
            field: Field::default(),
            cursor: 0,
            mode,
            commands: commands.collect(),
        }
    }

    /// The commands that contain every word that was typed.
    pub fn found(&self) -> Vec<&Command> {
        let wanted = self.field.text();
        let all = self.commands.iter();
        all.filter(|c| contains(&[c.name, c.help], wanted))
            .collect()
    }

    pub(super) fn edit(&mut self, change: impl FnOnce(&mut Field) -> bool) -> bool {
        self.cursor = 0;
        change(&mut self.field)
    }

    pub(super) fn scroll(&mut self, step: Step, page: usize) {
        self.cursor = step.applied(self.cursor, self.found().len(), page);
    }
}

/// Whether texts contain every word that is wanted, in any case of letters.
pub(super) fn contains(texts: &[&str], wanted: &str) -> bool {
    let text = texts.join(" ").to_lowercase();
    let wanted = wanted.to_lowercase();
    wanted.split_whitespace().all(|word| text.contains(word))
}

pub(super) fn open(app: &mut App) {
    app.screen = Screen::Palette(Palette::new(app));
}

/// Enter: does what the cursor is on.
pub(super) fn run(app: &mut App, at: u64) -> Vec<Effect> {
    let Screen::Palette(palette) = &app.screen else {
        return vec![];
    };
    let Some(action) = palette.found().get(palette.cursor).map(|c| c.action) else {
        app.hint.push_str("No command is called like that.");
        return vec![];
    };
    app.screen = app.base();
    act(app, action, None, at)
}

/// Columns of the help before what a key does.
const KEYS: usize = 10;

/// The help page: the keys of what is on the screen, then those of everything else.
pub(super) fn help_text(app: &App, wanted: &str) -> String {
    let here = app.mode_of(&app.base());
    let others = Mode::ALL.iter().copied().filter(|&mode| mode != here);
    let mut said: Vec<(String, &str)> = Vec::new();
    let mut parts = Vec::new();
    for mode in std::iter::once(here).chain(others) {
        let rows = app.setup.keymap.help(&app.context_of(mode)).into_iter();
        let fresh: Vec<(String, &str)> = rows
            .map(|(keys, help, _)| (keys, help))
            .filter(|row| !said.contains(row))
            .collect();
        let found = fresh
            .iter()
            .filter(|(keys, help)| contains(&[keys, help], wanted));
        let lines: Vec<String> = found
            .map(|(keys, help)| format!("{keys:<KEYS$}{help}"))
            .collect();
        if !lines.is_empty() {
            parts.push(format!("{}\n{}", mode.title(), lines.join("\n")));
        }
        said.extend(fresh);
    }
    if parts.is_empty() {
        return format!("No key is about {wanted:?}.");
    }
    parts.join("\n\n")
}
