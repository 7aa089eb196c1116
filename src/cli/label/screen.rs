//! How the labelling screen behaves: what the project says, then what this annotator prefers.

use std::path::{Path, PathBuf};

use super::guidelines;
use crate::config::project::{PairScale, ThemeName};
use crate::config::{self, ConfigError, LabelConfig, Overrides};
use crate::feedback::record::Scale;
use crate::tui::keys::Keymap;
use crate::tui::label::state::Setup;
use crate::tui::theme::Theme;

/// Settings that are the annotator's own business; the others are the project's.
const PERSONAL: [&str; 4] = ["theme", "mouse", "show_rate", "keys"];

/// The folder of the user's configuration, if there is a home.
pub fn user_folder() -> Option<PathBuf> {
    std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".config")))
        .map(|folder| folder.join("rlhf"))
}

/// The project's settings with those that `rlhf/config.toml` in the user's configuration changes;
/// flags win over both.
///
/// # Errors
/// A file that is not valid, a setting in it that belongs to the project, or a key that would mean
/// two things.
pub fn personal(settings: LabelConfig, flags: &Overrides) -> color_eyre::Result<LabelConfig> {
    let Some(path) = user_folder().map(|folder| folder.join("config.toml")) else {
        return Ok(settings);
    };
    if !path.exists() {
        return Ok(settings);
    }
    let file = config::File::read(&path)?;
    let own: LabelConfig = config::resolve(&file, &Overrides::default())?;
    let mut settings = settings;
    for entry in file.section("label") {
        let name = entry.field.name;
        match name {
            _ if !PERSONAL.contains(&name) => {
                return Err(ConfigError::Refused {
                    places: entry.origin.to_string(),
                    reason: format!(
                        "`{name}` is the project's and belongs in its rlhf.toml; here [label] may have {}",
                        PERSONAL.join(", ")
                    ),
                }
                .into());
            }
            _ if flags.iter().any(|(flag, _)| flag == name) => {}
            "theme" => settings.theme = own.theme,
            "mouse" => settings.mouse = own.mouse,
            "show_rate" => settings.show_rate = own.show_rate,
            _ => settings.keys.extend(own.keys.clone()),
        }
    }
    Ok(settings)
}

/// The lines of `[label.keys]` that move one of these actions, in every file that has it, or the flag.
fn places(dir: &Path, actions: &[&str]) -> String {
    let own = user_folder().map(|folder| folder.join("config.toml"));
    let files = own.into_iter().chain([dir.join("rlhf.toml")]);
    let blamed = |name: &str| {
        let name = name.replace('_', "-");
        actions
            .iter()
            .any(|action| action.replace('_', "-") == name)
    };
    let mut places = Vec::new();
    for file in files.filter_map(|path| config::File::read(&path).ok()) {
        let keys = file.section("label").filter(|e| e.field.name == "keys");
        let moved = keys.flat_map(|entry| &entry.inner);
        let moved = moved.filter(|(name, _)| blamed(name));
        places.extend(moved.map(|(_, origin)| origin.to_string()));
    }
    if places.is_empty() {
        return "--keys".to_owned();
    }
    places.join(", ")
}

/// What the screen needs to know.
///
/// # Errors
/// Keys that would mean two things, or guidelines that cannot be read.
pub fn setup(annotator: String, dir: &Path, settings: &LabelConfig) -> color_eyre::Result<Setup> {
    let keymap = Keymap::remapped(&settings.keys).map_err(|error| ConfigError::Refused {
        places: places(dir, &error.actions()),
        reason: format!("[label.keys]: {error}"),
    })?;
    Ok(Setup {
        scale: match settings.scale {
            PairScale::Nine => Scale::Nine,
            PairScale::Seven => Scale::Seven,
            PairScale::Binary => Scale::Binary,
        },
        auto_commit: settings.auto_commit,
        show_rate: settings.show_rate,
        guidelines: guidelines(dir)?,
        aspects: settings.aspects.clone(),
        flags: settings.flags.clone(),
        keymap,
        theme: theme(settings.theme).unless_refused(),
        mouse: settings.mouse,
        ..Setup::new(annotator)
    })
}

/// The theme of a project's screens.
///
/// # Errors
/// As [`personal`].
pub fn theme_of(dir: &Path) -> color_eyre::Result<Theme> {
    let project = config::resolve(&config::File::of_project(dir)?, &Overrides::default())?;
    let settings = personal(project, &Overrides::default())?;
    Ok(theme(settings.theme).unless_refused())
}

fn theme(name: ThemeName) -> Theme {
    match name {
        ThemeName::Terminal => Theme::TERMINAL,
        ThemeName::Dark => Theme::DARK,
        ThemeName::Light => Theme::LIGHT,
        ThemeName::HighContrast => Theme::HIGH_CONTRAST,
        ThemeName::ColourBlind => Theme::COLOUR_BLIND,
    }
}
