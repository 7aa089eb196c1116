//! Exactly what `rlhf.toml` and the flags said: names and types are checked, nothing is merged.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Value;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::config::{ConfigError, Origin, project, trl};
use crate::run::settings::{Field, Kind};

/// A configuration file, whose sections and keys are known to exist.
#[derive(Debug, Clone, Default)]
pub struct File {
    entries: Vec<Entry>,
}

/// One `key = value` of a section.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The section.
    pub section: String,
    /// The setting that the key names.
    pub field: &'static Field,
    /// The value as written.
    pub value: Value,
    /// File and line.
    pub origin: Origin,
    /// The keys of a table, each with file and line.
    pub inner: Vec<(String, Origin)>,
}

impl File {
    /// `<project>/rlhf.toml`; empty if there is none.
    pub fn of_project(project: &Path) -> Result<Self, ConfigError> {
        match Self::read(&project.join("rlhf.toml")) {
            Err(ConfigError::Read { source, .. }) if source.kind() == ErrorKind::NotFound => {
                Ok(Self::default())
            }
            other => other,
        }
    }

    /// Reads a file that must exist.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&text, path)
    }

    /// Parses `text`; `path` is what errors name. Unknown sections and keys are errors, also in sections that the
    /// command at hand does not use.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let source = Source { text, path };
        let document = DeTable::parse(text).map_err(|e| source.syntax(&e))?;
        let mut entries = Vec::new();
        for (name, content) in document.into_inner() {
            let origin = source.origin(name.span().start);
            let section = name.into_inner().into_owned();
            let fields = known_section(&section, &origin)?;
            let DeValue::Table(table) = content.into_inner() else {
                return Err(ConfigError::Type {
                    origin,
                    expected: format!("a section, written [{section}] on a line of its own"),
                    value: "a single value".to_owned(),
                    key: section,
                });
            };
            for (key, value) in table {
                let origin = source.origin(key.span().start);
                let field = known_key(&section, fields, key.get_ref(), &origin)?;
                let inner = source.keys(value.get_ref());
                let value = Value::deserialize(ValueDeserializer::from(value))
                    .map_err(|e| source.syntax(&e))?;
                entries.push(Entry {
                    section: section.clone(),
                    field,
                    value,
                    origin,
                    inner,
                });
            }
        }
        Ok(Self { entries })
    }

    /// The entries of one section.
    pub fn section(&self, name: &str) -> impl Iterator<Item = &Entry> {
        self.entries
            .iter()
            .filter(move |entry| entry.section == name)
    }
}

/// A text and the file that it came from.
struct Source<'a> {
    text: &'a str,
    path: &'a Path,
}

impl Source<'_> {
    fn origin(&self, offset: usize) -> Origin {
        let newlines = self
            .text
            .bytes()
            .take(offset)
            .filter(|&b| b == b'\n')
            .count();
        Origin::Line(PathBuf::from(self.path), newlines + 1)
    }

    /// The keys of a table with their lines; none of anything else.
    fn keys(&self, value: &DeValue) -> Vec<(String, Origin)> {
        let DeValue::Table(table) = value else {
            return Vec::new();
        };
        let keys = table.iter().map(|(key, _)| key);
        keys.map(|key| (key.get_ref().to_string(), self.origin(key.span().start)))
            .collect()
    }

    fn syntax(&self, error: &toml::de::Error) -> ConfigError {
        let origin = self.origin(error.span().map_or(0, |span| span.start));
        ConfigError::Syntax {
            origin,
            reason: error.message().to_owned(),
        }
    }
}

/// Flags that set settings: `(key, texts)` in the order given. `-` and `_` are the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides(Vec<(String, Vec<String>)>);

impl Overrides {
    /// Adds `--key text`.
    pub fn push(&mut self, key: &str, text: &str) {
        self.push_all(key, vec![text.to_owned()]);
    }

    /// Adds `--key text text …`, one flag with several values.
    pub fn push_all(&mut self, key: &str, texts: Vec<String>) {
        self.0.push((key.replace('-', "_"), texts));
    }

    /// The flags in order, keys with underscores.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0
            .iter()
            .map(|(key, texts)| (key.as_str(), texts.as_slice()))
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Overrides {
    fn from(flags: [(&str, &str); N]) -> Self {
        let mut overrides = Self::default();
        for (key, text) in flags {
            overrides.push(key, text);
        }
        overrides
    }
}

fn known_section(name: &str, origin: &Origin) -> Result<&'static [Field], ConfigError> {
    project::fields(name).ok_or_else(|| ConfigError::Unknown {
        origin: origin.clone(),
        name: format!("section [{name}]"),
        hint: project::section_hint(name),
    })
}

/// The field called `name` (`-` or `_`) among `fields`.
pub fn known_key(
    section: &str,
    fields: &'static [Field],
    name: &str,
    origin: &Origin,
) -> Result<&'static Field, ConfigError> {
    let key = name.replace('-', "_");
    fields
        .iter()
        .find(|f| f.name == key)
        .ok_or_else(|| ConfigError::Unknown {
            origin: origin.clone(),
            name: format!("key `{name}` in [{section}]"),
            hint: trl::key_hint(section, &key, fields.iter().map(|f| f.name)),
        })
}

/// The value of `field` as TOML gave it: whole numbers widened where a decimal one is meant, paths absolute.
pub fn typed(field: &Field, value: &Value, origin: &Origin) -> Result<Value, ConfigError> {
    match (field.kind, value) {
        (Kind::Bool, Value::Boolean(_)) | (Kind::Text, Value::String(_)) => Ok(value.clone()),
        (Kind::Number, Value::Float(x)) if x.is_finite() => Ok(value.clone()),
        (Kind::Integer, Value::Integer(n)) if *n >= 0 => Ok(value.clone()),
        (Kind::Number, Value::Integer(n)) => Ok(Value::Float(*n as f64)),
        (Kind::List, Value::Array(items)) if items.iter().all(Value::is_str) => Ok(value.clone()),
        (Kind::List, Value::String(_)) => Ok(Value::Array(vec![value.clone()])),
        (Kind::Choice(words), Value::String(word)) if words.contains(&word.as_str()) => {
            Ok(value.clone())
        }
        (Kind::Table, Value::Table(table)) if table.values().all(Value::is_str) => {
            Ok(value.clone())
        }
        (Kind::Path, Value::String(path)) => located(field, path, origin),
        (Kind::Paths, Value::String(path)) => Ok(vec![located(field, path, origin)?].into()),
        (Kind::Paths, Value::Array(items)) if items.iter().all(Value::is_str) => {
            let paths = items.iter().filter_map(Value::as_str);
            let paths = paths.map(|path| located(field, path, origin));
            Ok(Value::Array(paths.collect::<Result<_, _>>()?))
        }
        _ => Err(wrong_type(field, value.to_string(), origin)),
    }
}

/// A path made absolute: in a file it starts from the file's folder, in a flag from the current one.
fn located(field: &Field, path: &str, origin: &Origin) -> Result<Value, ConfigError> {
    let start = match origin {
        Origin::Line(file, _) => file.parent(),
        Origin::Flag(_) | Origin::Default => None,
    };
    let joined = start.unwrap_or(Path::new("")).join(path);
    // An empty path is none, though joined to a folder it would be that folder.
    let absolute = Some(joined).filter(|_| !path.is_empty());
    absolute
        .and_then(|joined| std::path::absolute(joined).ok())
        .and_then(|absolute| Some(Value::String(absolute.to_str()?.to_owned())))
        .ok_or_else(|| wrong_type(field, format!("{path:?}"), origin))
}

/// The value of `field` as a flag gave it; `None` for `none`, which unsets an optional setting. Only paths may be several.
pub fn parsed(
    field: &Field,
    texts: &[String],
    origin: &Origin,
) -> Result<Option<Value>, ConfigError> {
    let text = texts.join(" ");
    if field.optional && text == "none" {
        return Ok(None);
    }
    let value = match field.kind {
        Kind::Table => table(&text),
        Kind::Bool => text.to_lowercase().parse().ok().map(Value::Boolean),
        Kind::Integer => text.parse().ok().map(Value::Integer),
        Kind::Number => text.parse().ok().map(Value::Float),
        Kind::Text | Kind::Choice(_) | Kind::Path => Some(Value::String(text.clone())),
        Kind::Paths => Some(texts.to_vec().into()),
        Kind::List => Some(
            text.split(',')
                .map(|item| item.trim().to_owned())
                .collect::<Vec<_>>()
                .into(),
        ),
    };
    let value = value.ok_or_else(|| wrong_type(field, format!("`{text}`"), origin))?;
    typed(field, &value, origin).map(Some)
}

/// `undo=z,save=Space` as a table.
fn table(text: &str) -> Option<Value> {
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        Some((
            name.trim().to_owned(),
            Value::String(value.trim().to_owned()),
        ))
    };
    let pairs = text.split(',').filter(|text| !text.trim().is_empty());
    pairs.map(pair).collect::<Option<_>>().map(Value::Table)
}

fn wrong_type(field: &Field, value: String, origin: &Origin) -> ConfigError {
    let expected = match field.kind {
        Kind::Bool => "true or false".to_owned(),
        Kind::Integer => "a whole number, 0 or more".to_owned(),
        Kind::Number => "a finite number".to_owned(),
        Kind::Text => "a text in quotes".to_owned(),
        Kind::List => "a list of texts".to_owned(),
        Kind::Choice(words) => words.join(" or "),
        Kind::Path => "a path in quotes".to_owned(),
        Kind::Paths => "a list of paths".to_owned(),
        Kind::Table => "a table of texts, such as undo = \"z\"".to_owned(),
    };
    ConfigError::Type {
        origin: origin.clone(),
        key: field.name.to_owned(),
        expected,
        value,
    }
}
