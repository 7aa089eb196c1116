//! Configuration of a command: defaults → `rlhf.toml` → flags.
//!
//! [`raw`] holds exactly what the file and the command line said; [`resolve`] turns it into a validated
//! settings struct. The structs themselves, such as `PpoConfig`, live beside the code they configure and
//! are described by [`Settings::FIELDS`]; nothing below `cli` imports this module.
//!
//! ```no_run
//! # fn main() -> Result<(), rlhf::config::ConfigError> {
//! use rlhf::{config, policy::config::PpoConfig};
//! let file = config::File::of_project(".".as_ref())?;
//! let flags = config::Overrides::from([("kl_coef", "0.1")]);
//! let ppo: PpoConfig = config::resolve(&file, &flags)?;
//! # Ok(()) }
//! ```

pub mod project;
pub mod raw;
pub mod trl;

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::path::PathBuf;

use toml::{Table, Value};

pub use crate::round::config::SampleConfig;
use crate::run::settings::{Field, InvalidSetting, Settings};
pub use project::{LabelConfig, ProjectConfig, SECTIONS};
pub use raw::{Entry, File, Overrides};

/// Where a value came from, as an error names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file.
    Line(PathBuf, usize),
    /// A flag.
    Flag(String),
    /// Nobody set it.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Flag(name) => write!(f, "--{}", name.replace('_', "-")),
            Self::Default => f.write_str("default"),
        }
    }
}

/// Why a configuration cannot be used. Each message names the file and line, or the flag.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{origin}: not valid TOML: {reason}")]
    Syntax {
        /// File and line.
        origin: Origin,
        /// What the parser said.
        reason: String,
    },
    /// A section or key that does not exist.
    #[error("{origin}: unknown {name}{hint}")]
    Unknown {
        /// File and line, or flag.
        origin: Origin,
        /// What it is and its name as written, such as "key `kl_ceof` in `[ppo]`".
        name: String,
        /// Suggestion, with its own punctuation; may be empty.
        hint: String,
    },
    /// A key written twice, with `-` and with `_`.
    #[error("{origin}: `{key}` was already set at {first}; keep one")]
    Twice {
        /// File and line of the second.
        origin: Origin,
        /// The key.
        key: &'static str,
        /// File and line of the first.
        first: Origin,
    },
    /// A value of the wrong type.
    #[error("{origin}: `{key}` must be {expected}, not {value}")]
    Type {
        /// File and line, or flag.
        origin: Origin,
        /// The key.
        key: String,
        /// What is allowed.
        expected: String,
        /// What was found.
        value: String,
    },
    /// A value of the right type that makes no sense.
    #[error("{origin}: {invalid}")]
    Invalid {
        /// File and line, or flag.
        origin: Origin,
        /// Key, value and what is allowed.
        invalid: InvalidSetting,
    },
    /// A setting that is sound in itself and impossible where it stands: keys that clash, or a setting
    /// of another file.
    #[error("{places}: {reason}")]
    Refused {
        /// Files and lines, or the flag.
        places: String,
        /// What is wrong, and what to do.
        reason: String,
    },
    /// Settings cannot be written as TOML.
    #[error("cannot write [{section}] as TOML: {reason}")]
    Write {
        /// The section.
        section: &'static str,
        /// What the writer said.
        reason: String,
    },
}

/// The settings of `S`: its defaults, overridden by its section of `file`, overridden by `flags`.
pub fn resolve<S: Settings>(file: &File, flags: &Overrides) -> Result<S, ConfigError> {
    let mut table = to_table(&S::default())?;
    let mut origins = HashMap::new();
    for Entry {
        field,
        value,
        origin,
        ..
    } in file.section(S::SECTION)
    {
        table.insert(field.name.to_owned(), raw::typed(field, value, origin)?);
        if let Some(first) = origins.insert(field.name, origin.clone()) {
            return Err(ConfigError::Twice {
                origin: origin.clone(),
                key: field.name,
                first,
            });
        }
    }
    for (key, texts) in flags.iter() {
        let origin = Origin::Flag(key.to_owned());
        let field = raw::known_key(S::SECTION, S::FIELDS, key, &origin)?;
        match raw::parsed(field, texts, &origin)? {
            Some(value) => table.insert(field.name.to_owned(), value),
            None => table.remove(field.name),
        };
        origins.insert(field.name, origin);
    }
    let settings: S = table
        .try_into()
        .map_err(|e: toml::de::Error| ConfigError::Write {
            section: S::SECTION,
            reason: e.message().to_owned(),
        })?;
    settings
        .validate()
        .map_err(|invalid| ConfigError::Invalid {
            origin: origins.remove(invalid.key).unwrap_or(Origin::Default),
            invalid,
        })?;
    Ok(settings)
}

/// The settings as a section of TOML from which [`resolve`] makes them again. Optional settings that are not set
/// are shown as comments.
pub fn to_toml<S: Settings>(settings: &S) -> Result<String, ConfigError> {
    let table = to_table(settings)?;
    let mut text = format!("[{}]\n", S::SECTION);
    for Field { name, .. } in S::FIELDS {
        match table.get(*name) {
            // Debug writes small numbers as 3e-6, which people can read; TOML allows it.
            Some(Value::Float(value)) => writeln!(text, "{name} = {value:?}"),
            Some(value) => writeln!(text, "{name} = {value}"),
            None => writeln!(text, "# {name} is not set"),
        }
        .map_err(|e| ConfigError::Write {
            section: S::SECTION,
            reason: e.to_string(),
        })?;
    }
    Ok(text)
}

fn to_table<S: Settings>(settings: &S) -> Result<Table, ConfigError> {
    let error = |reason: String| ConfigError::Write {
        section: S::SECTION,
        reason,
    };
    match Value::try_from(settings) {
        Ok(Value::Table(table)) => Ok(table),
        Ok(other) => Err(error(format!("it is {}", other.type_str()))),
        Err(e) => Err(error(e.to_string())),
    }
}
