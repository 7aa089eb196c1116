//! Chat templates: a conversation written out as the text its model was trained on.
//!
//! The Jinja template comes from the model (`chat_template.jinja`, or `chat_template` in
//! `tokenizer_config.json`) and is rendered with minijinja, set up as transformers sets up Jinja2:
//! `trim_blocks`, `lstrip_blocks`, loop controls, Python's string and dictionary methods,
//! `raise_exception`, `strftime_now`, a `tojson` that does not escape HTML, `{% generation %}`
//! blocks, `tools` and `documents` as none, and the special tokens as variables. Departure:
//! `strftime_now` tells UTC, or a time that the caller fixes, since a date in a prompt breaks
//! repeatability.
//!
//! A template is a program from the internet: it can reach nothing but these variables, and it
//! stops after [`FUEL`] instructions or when it recurses deeper than [`MAX_DEPTH`].

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::civil::DateTime;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, ErrorKind, Output, State};
use minijinja_contrib::pycompat::unknown_method_callback;
use serde::ser::Serialize as _;
use serde_json::ser::Formatter;

use super::tokenizer::TokenizerError;
use super::tokenizer_files::{TokenizerFiles, special_token};

/// Instructions after which a template is stopped; the longest real ones need some hundreds per
/// message.
pub const FUEL: u64 = 2_000_000;
/// Nesting of calls and blocks at which a template is stopped.
pub const MAX_DEPTH: usize = 200;

const NAME: &str = "chat template";
const SPECIAL_TOKENS: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "pad_token",
    "sep_token",
    "cls_token",
    "mask_token",
];

/// What can go wrong in reading or rendering a chat template.
#[derive(Debug, thiserror::Error)]
pub enum ChatTemplateError {
    /// `tokenizer_config.json` is malformed.
    #[error(transparent)]
    Files(#[from] TokenizerError),
    /// The template has a form that transformers does not know either.
    #[error("chat_template in tokenizer_config.json: {0}")]
    Form(String),
    /// The template is not valid Jinja.
    #[error("the model's chat template is not valid Jinja: {0}")]
    Syntax(String),
    /// There is nothing to render.
    #[error("the conversation has no messages")]
    Empty,
    /// The template itself refused the conversation (its `raise_exception`).
    #[error("the model's chat template refuses this conversation: {0}")]
    Refused(String),
    /// The template failed while it was being rendered.
    #[error("the model's chat template failed: {0}")]
    Render(String),
    /// The template ran for too long.
    #[error("the model's chat template was stopped after {FUEL} instructions; it may be hostile")]
    OutOfFuel,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Message {
    /// Who speaks: `system`, `user`, `assistant`, or what else the template knows.
    pub role: String,
    /// What is said.
    pub content: String,
}

impl Message {
    /// A turn of `role`.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self {
            role: role.into(),
            content: content.into(),
        }
    }
}

/// A compiled chat template and the special tokens it may write.
#[derive(Debug, Clone)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    special_tokens: Vec<(&'static str, Value)>,
    source: String,
}

impl ChatTemplate {
    /// The chat template among a model's files; `None` if it has none (a base model).
    ///
    /// # Errors
    /// [`ChatTemplateError::Form`] or [`ChatTemplateError::Syntax`] if there is one but it cannot
    /// be used.
    pub fn from_files(files: &TokenizerFiles) -> Result<Option<Self>, ChatTemplateError> {
        let config = files.tokenizer_config_json()?;
        let source = match &files.chat_template {
            Some(bytes) => Some(String::from_utf8(bytes.clone()).map_err(|error| {
                ChatTemplateError::Syntax(format!("chat_template.jinja: {error}"))
            })?),
            None => default_template(config.get("chat_template"))?,
        };
        let Some(source) = source else {
            return Ok(None);
        };
        let token = |key| special_token(&config, key).map(|text| (key, Value::from(text)));
        let special_tokens = SPECIAL_TOKENS.into_iter().filter_map(token).collect();
        Self::new(source, special_tokens).map(Some)
    }

    fn new(
        source: String,
        special_tokens: Vec<(&'static str, Value)>,
    ) -> Result<Self, ChatTemplateError> {
        let mut environment =
            environment().map_err(|error| ChatTemplateError::Syntax(error.to_string()))?;
        let now = jiff::Timestamp::now()
            .to_zoned(jiff::tz::TimeZone::UTC)
            .datetime();
        add_clock(&mut environment, now);
        environment
            .add_template_owned(NAME, without_generation_tags(&source))
            .map_err(|error| ChatTemplateError::Syntax(error.to_string()))?;
        Ok(Self {
            environment,
            special_tokens,
            source,
        })
    }

    /// The same template with `strftime_now` stopped at `now`.
    #[must_use]
    pub fn at(mut self, now: DateTime) -> Self {
        add_clock(&mut self.environment, now);
        self
    }

    /// The template's Jinja source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Writes out `messages`; with `add_generation_prompt` the text ends where the assistant is to
    /// go on.
    ///
    /// The result holds the special tokens already: encode it without adding any.
    ///
    /// # Errors
    /// [`ChatTemplateError::Empty`] without messages, [`ChatTemplateError::Refused`] with the
    /// template's own words (an unknown role, turns that do not alternate), otherwise
    /// [`ChatTemplateError::Render`] or [`ChatTemplateError::OutOfFuel`].
    pub fn render(
        &self,
        messages: &[Message],
        add_generation_prompt: bool,
    ) -> Result<String, ChatTemplateError> {
        if messages.is_empty() {
            return Err(ChatTemplateError::Empty);
        }
        let messages: Vec<Value> = messages.iter().map(message_value).collect();
        let fixed = [
            ("messages", Value::from(messages)),
            ("tools", Value::from(())),
            ("documents", Value::from(())),
            ("add_generation_prompt", Value::from(add_generation_prompt)),
        ];
        let variables = self.special_tokens.iter().cloned().chain(fixed);
        let template = self.environment.get_template(NAME);
        let template = template.map_err(|error| failure(&error))?;
        // minijinja 3.0.5 indexes out of bounds on `''[::-1]`; a template must not end the program.
        let rendered = catch_unwind(AssertUnwindSafe(|| {
            template.render(Value::from_pairs(variables))
        }));
        match rendered {
            Ok(text) => text.map_err(|error| failure(&error)),
            Err(_) => Err(ChatTemplateError::Render("minijinja panicked".to_owned())),
        }
    }
}

/// The template that transformers uses without tools: the string itself, or the list's entry named
/// `default`.
fn default_template(
    entry: Option<&serde_json::Value>,
) -> Result<Option<String>, ChatTemplateError> {
    use serde_json::Value::{Array, Null, String};
    match entry {
        None | Some(Null) => Ok(None),
        Some(String(source)) => Ok(Some(source.clone())),
        Some(Array(named)) => {
            let default = named.iter().find(|entry| entry["name"] == "default");
            let source = default.and_then(|entry| entry["template"].as_str());
            let missing =
                || ChatTemplateError::Form("the list has no template named \"default\"".to_owned());
            source.map(str::to_owned).map(Some).ok_or_else(missing)
        }
        Some(_) => Err(ChatTemplateError::Form(
            "expected a string or a list of {name, template}".to_owned(),
        )),
    }
}

/// Jinja2 as `transformers.utils.chat_template_utils` configures it.
fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()?;
    environment.set_syntax(syntax);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_unknown_method_callback(unknown_method_callback);
    environment.set_formatter(write_as_python);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(MAX_DEPTH);
    environment.add_function("raise_exception", raise_exception);
    environment.add_filter("tojson", to_json);
    Ok(environment)
}

fn add_clock(environment: &mut Environment<'static>, now: DateTime) {
    environment.add_function("strftime_now", move |format: &str| {
        jiff::fmt::strtime::format(format, now).map_err(|error| {
            Error::new(
                ErrorKind::InvalidOperation,
                format!("strftime_now: {error}"),
            )
        })
    });
}

fn message_value(message: &Message) -> Value {
    Value::from_pairs([
        ("role", message.role.as_str()),
        ("content", message.content.as_str()),
    ])
}

/// The words of a template's `raise_exception`, kept as the error's source so that they can be told
/// from other errors.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Exception(String);

fn raise_exception(message: String) -> Result<Value, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, "raise_exception").with_source(Exception(message)))
}

fn failure(error: &Error) -> ChatTemplateError {
    if error.kind() == ErrorKind::OutOfFuel {
        return ChatTemplateError::OutOfFuel;
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(inner) = cause {
        if let Some(Exception(message)) = inner.downcast_ref() {
            return ChatTemplateError::Refused(message.clone());
        }
        cause = inner.source();
    }
    ChatTemplateError::Render(error.to_string())
}

/// Prints values as Python does: `True`, `None`, and nothing for undefined.
fn write_as_python(
    out: &mut Output<'_>,
    state: &mut State<'_, '_>,
    value: &Value,
) -> Result<(), Error> {
    let text = match value.kind() {
        ValueKind::Bool if value.is_true() => "True",
        ValueKind::Bool => "False",
        ValueKind::None => "None",
        _ => return minijinja::escape_formatter(out, state, value),
    };
    out.write_str(text).map_err(Error::from)
}

/// `{% generation %}` marks the assistant's text for transformers' loss masks and changes no
/// output: it becomes a block that always holds, so that white-space control works as before.
fn without_generation_tags(source: &str) -> String {
    let mut rest = source;
    let mut out = String::with_capacity(source.len());
    while let Some(start) = rest.find("{%") {
        let Some(length) = rest[start..].find("%}") else {
            break;
        };
        let (tag, after) = (
            &rest[start + 2..start + length],
            &rest[start + length + 2..],
        );
        let replacement = match tag.trim_matches(['-', '+', ' ', '\t', '\n']) {
            "generation" => tag.replace("generation", "if true"),
            "endgeneration" => tag.replace("endgeneration", "endif"),
            _ => tag.to_owned(),
        };
        out.extend([&rest[..start], "{%", &replacement, "%}"]);
        rest = after;
    }
    out + rest
}

/// Python's `json.dumps(value, ensure_ascii=False, indent=indent)`.
fn to_json(value: &Value, indent: Option<usize>, kwargs: Kwargs) -> Result<String, Error> {
    let indent = indent.or(kwargs.get::<Option<usize>>("indent")?);
    kwargs.get::<Option<bool>>("ensure_ascii")?;
    kwargs.assert_all_used()?;
    let layout = PythonLayout {
        indent,
        depth: 0,
        empty: true,
    };
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, layout);
    let failed =
        |reason: String| Error::new(ErrorKind::BadSerialization, format!("tojson: {reason}"));
    json_value(value)?
        .serialize(&mut serializer)
        .map_err(|error| failed(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| failed(error.to_string()))
}

fn json_value(value: &Value) -> Result<serde_json::Value, Error> {
    use serde_json::Value as Json;
    let unsupported = || {
        Error::new(
            ErrorKind::BadSerialization,
            format!("tojson: a {} is not JSON", value.kind()),
        )
    };
    Ok(match value.kind() {
        ValueKind::None => Json::Null,
        ValueKind::Bool => Json::Bool(value.is_true()),
        ValueKind::Number => match i64::try_from(value.clone()) {
            Ok(integer) if value.is_integer() => Json::from(integer),
            _ => Json::from(f64::try_from(value.clone())?),
        },
        ValueKind::String => Json::from(value.as_str().unwrap_or_default()),
        ValueKind::Seq | ValueKind::Iterable => Json::Array(
            value
                .try_iter()?
                .map(|item| json_value(&item))
                .collect::<Result<_, _>>()?,
        ),
        ValueKind::Map => {
            let entry = |key: Value| Ok((key.to_string(), json_value(&value.get_item(&key)?)?));
            Json::Object(value.try_iter()?.map(entry).collect::<Result<_, Error>>()?)
        }
        _ => return Err(unsupported()),
    })
}

/// JSON laid out as Python lays it out: a space after `,` and `:`, or one item per line.
struct PythonLayout {
    indent: Option<usize>,
    depth: usize,
    empty: bool,
}

impl PythonLayout {
    fn open(&mut self) {
        self.depth += 1;
        self.empty = true;
    }

    fn newline<W: ?Sized + io::Write>(&self, writer: &mut W) -> io::Result<()> {
        match self.indent {
            Some(width) => write!(writer, "\n{:1$}", "", width * self.depth),
            None => Ok(()),
        }
    }

    fn item<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.empty = false;
        match (first, self.indent) {
            (true, _) => {}
            (false, None) => writer.write_all(b", ")?,
            (false, Some(_)) => writer.write_all(b",")?,
        }
        self.newline(writer)
    }

    fn close<W: ?Sized + io::Write>(&mut self, writer: &mut W, bracket: &[u8]) -> io::Result<()> {
        self.depth -= 1;
        if !std::mem::take(&mut self.empty) {
            self.newline(writer)?;
        }
        writer.write_all(bracket)
    }
}

impl Formatter for PythonLayout {
    fn begin_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open();
        writer.write_all(b"[")
    }

    fn end_array<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.close(writer, b"]")
    }

    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.item(writer, first)
    }

    fn begin_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.open();
        writer.write_all(b"{")
    }

    fn end_object<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.close(writer, b"}")
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        writer: &mut W,
        first: bool,
    ) -> io::Result<()> {
        self.item(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        writer.write_all(b": ")
    }
}
