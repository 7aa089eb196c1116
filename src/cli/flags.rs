//! Flags made from the settings of a section: `--kl-coef NUMBER` for `kl_coef` of `[ppo]`, with its doc comment as help.

use std::marker::PhantomData;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use toml::{Table, Value};

use crate::config::Overrides;
use crate::run::settings::{Field, Kind, Settings};

/// What the command line said about the settings of `S`; flatten it into a command's arguments.
#[derive(Debug, Clone, Default)]
pub struct Flags<S> {
    overrides: Overrides,
    settings: PhantomData<S>,
}

impl<S> Flags<S> {
    /// For [`config::resolve`](crate::config::resolve).
    pub fn overrides(&self) -> &Overrides {
        &self.overrides
    }
}

impl<S: Settings> Args for Flags<S> {
    fn augment_args(command: Command) -> Command {
        let defaults = Table::try_from(S::default()).unwrap_or_default();
        S::FIELDS.iter().fold(command, |command, field| {
            command.arg(flag(field, defaults.get(field.name)))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<S: Settings> FromArgMatches for Flags<S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut overrides = Overrides::default();
        for Field { name, .. } in S::FIELDS {
            if matches.value_source(name) != Some(ValueSource::CommandLine) {
                continue;
            }
            if let Some(texts) = matches.get_many::<String>(name) {
                overrides.push_all(name, texts.cloned().collect());
            }
        }
        Ok(Self {
            overrides,
            settings: PhantomData,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn flag(field: &Field, default: Option<&Value>) -> Arg {
    let flag = Arg::new(field.name)
        .long(field.name.replace('_', "-"))
        .value_name(value_name(field.kind))
        .help(help(field, default))
        .help_heading(heading(field.kind))
        .allow_negative_numbers(true);
    match field.kind {
        Kind::Bool => flag.num_args(0..=1).default_missing_value("true"),
        Kind::Paths => flag.num_args(1..).action(ArgAction::Append),
        _ => flag,
    }
}

/// What a job reads stands apart from its many numbers.
fn heading(kind: Kind) -> &'static str {
    match kind {
        Kind::Path | Kind::Paths => "Data (also keys of rlhf.toml)",
        _ => "Settings (also keys of rlhf.toml)",
    }
}

fn value_name(kind: Kind) -> String {
    match kind {
        Kind::Bool => "BOOL".to_owned(),
        Kind::Integer => "N".to_owned(),
        Kind::Number => "NUMBER".to_owned(),
        Kind::Text => "TEXT".to_owned(),
        Kind::List => "A,B".to_owned(),
        Kind::Choice(words) => words.join("|"),
        Kind::Path | Kind::Paths => "FILE".to_owned(),
        Kind::Table => "NAME=TEXT,…".to_owned(),
    }
}

fn help(field: &Field, default: Option<&Value>) -> String {
    let doc = doc_text(field);
    match default {
        _ if matches!(field.kind, Kind::Path | Kind::Paths) => doc, // It says itself what is read without it.
        Some(Value::Float(number)) => format!("{doc} [default: {number:?}]"),
        Some(Value::Table(table)) if table.is_empty() => doc,
        Some(value) => format!("{doc} [default: {}]", value.to_string().replace('"', "")),
        None => format!("{doc} [not set by default]"),
    }
}

/// The doc comment as running text, without its markup.
pub fn doc_text(field: &Field) -> String {
    let words: Vec<&str> = field.doc.split_whitespace().collect();
    words.join(" ").replace('`', "")
}

/// The same where no flag shows the words to choose from.
pub fn doc_with_choices(field: &Field) -> String {
    match field.kind {
        Kind::Choice(words) => format!("{} One of: {}.", doc_text(field), words.join(", ")),
        _ => doc_text(field),
    }
}
