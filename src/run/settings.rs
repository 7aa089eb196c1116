//! Settings of a job: one declaration gives the struct, its TOML keys, its flags and its help.
//!
//! `settings!` declares a struct with a doc comment and a default per field. From that one list come the
//! serde struct (unknown keys are errors, absent keys take the default), [`Settings::FIELDS`] from
//! which `config` makes `--name value` flags, and the text of their help. So key, flag, help and
//! rustdoc cannot drift apart. The struct itself stays beside the code that it configures and knows
//! nothing of files or flags.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Serialize, de::DeserializeOwned};

/// A setting whose value makes no sense; the message names the key as the user wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{section}.{key} = {value}: must be {expected}")]
pub struct InvalidSetting {
    /// Section of `rlhf.toml`, such as `ppo`.
    pub section: &'static str,
    /// Key within the section.
    pub key: &'static str,
    /// The value that was refused.
    pub value: String,
    /// What is allowed, completing the phrase "must be …".
    pub expected: String,
}

/// What a value looks like on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`; the flag alone means `true`.
    Bool,
    /// A whole number, not negative.
    Integer,
    /// A decimal number.
    Number,
    /// Any text.
    Text,
    /// Texts separated by commas.
    List,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A file or folder. Whoever reads the setting makes it absolute, so that it means the same everywhere.
    Path,
    /// Several of them.
    Paths,
    /// A table of texts: its own section in the file, `name=text` with commas between on the command line.
    Table,
}

/// One setting: its key (with underscores), its doc comment and the shape of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Key in `rlhf.toml`; the flag is the same with dashes.
    pub name: &'static str,
    /// The field's doc comment, one line per source line.
    pub doc: &'static str,
    /// Shape of the value.
    pub kind: Kind,
    /// Whether the setting may be absent (`none` on the command line).
    pub optional: bool,
}

/// A type that can be the value of a setting.
pub trait Value {
    /// Shape of the value.
    const KIND: Kind;
    /// Whether absence is a value too.
    const OPTIONAL: bool = false;
}

impl Value for bool {
    const KIND: Kind = Kind::Bool;
}
impl Value for usize {
    const KIND: Kind = Kind::Integer;
}
impl Value for u64 {
    const KIND: Kind = Kind::Integer;
}
impl Value for f64 {
    const KIND: Kind = Kind::Number;
}
impl Value for String {
    const KIND: Kind = Kind::Text;
}
impl Value for Vec<String> {
    const KIND: Kind = Kind::List;
}
impl Value for PathBuf {
    const KIND: Kind = Kind::Path;
}
impl Value for Vec<PathBuf> {
    const KIND: Kind = Kind::Paths;
}
impl Value for BTreeMap<String, String> {
    const KIND: Kind = Kind::Table;
}
impl<T: Value> Value for Option<T> {
    const KIND: Kind = T::KIND;
    const OPTIONAL: bool = true;
}

/// A struct of settings: one section of `rlhf.toml`.
pub trait Settings: Serialize + DeserializeOwned + Default {
    /// Name of the section, such as `ppo`.
    const SECTION: &'static str;
    /// Every setting in the order of declaration.
    const FIELDS: &'static [Field];

    /// Refuses values that no job could use.
    fn validate(&self) -> Result<(), InvalidSetting>;
}

/// Checks one value; `expected` completes "must be …".
pub fn ensure(
    ok: bool,
    section: &'static str,
    key: &'static str,
    value: impl ToString,
    expected: &str,
) -> Result<(), InvalidSetting> {
    if ok {
        return Ok(());
    }
    Err(InvalidSetting {
        section,
        key,
        value: value.to_string(),
        expected: expected.to_owned(),
    })
}

/// Checks fields of `self` inside [`Settings::validate`]: `check!(self: field, condition, "expected");`
macro_rules! check {
    ($this:ident: $($field:ident, $ok:expr, $expected:literal;)+) => {
        $($crate::run::settings::ensure(
            $ok,
            <Self as $crate::run::settings::Settings>::SECTION,
            stringify!($field),
            format!("{:?}", $this.$field),
            $expected,
        )?;)+
    };
}

/// Declares a settings struct; see the module's documentation.
macro_rules! settings {
    (
        $(#[$meta:meta])*
        pub struct $name:ident in $section:literal, validated by $validate:ident {
            $($(#[doc = $doc:literal])+ pub $field:ident: $ty:ty = $default:expr,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $($(#[doc = $doc])+ pub $field: $ty,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        impl $crate::run::settings::Settings for $name {
            const SECTION: &'static str = $section;
            const FIELDS: &'static [$crate::run::settings::Field] = &[
                $($crate::run::settings::Field {
                    name: stringify!($field),
                    doc: concat!($($doc, "\n"),+),
                    kind: <$ty as $crate::run::settings::Value>::KIND,
                    optional: <$ty as $crate::run::settings::Value>::OPTIONAL,
                },)+
            ];

            fn validate(&self) -> Result<(), $crate::run::settings::InvalidSetting> {
                self.$validate()
            }
        }
    };
}

/// Declares an enum whose words are the values of a setting, first the default.
macro_rules! choices {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $(#[$first_meta:meta])* $first:ident = $first_word:literal,
            $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
        pub enum $name {
            $(#[$first_meta])* #[default] #[serde(rename = $first_word)] $first,
            $($(#[$variant_meta])* #[serde(rename = $word)] $variant,)*
        }

        impl $crate::run::settings::Value for $name {
            const KIND: $crate::run::settings::Kind =
                $crate::run::settings::Kind::Choice(&[$first_word, $($word),*]);
        }
    };
}

pub(crate) use {check, choices, settings};
