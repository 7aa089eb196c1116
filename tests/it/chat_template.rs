//! Chat templates render exactly as transformers renders them.
//!
//! `tests/fixtures/chat/cases.json` holds what transformers 5.23 made of each `*.jinja` beside it,
//! with the clock at 26 July 2024.

use std::path::Path;

use rlhf::model::chat_template::{ChatTemplate, ChatTemplateError, Message};
use rlhf::model::tokenizer_files::TokenizerFiles;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Case {
    template: String,
    tokens: serde_json::Value,
    messages: Vec<Message>,
    add_generation_prompt: bool,
    rendered: Option<String>,
    refused: Option<String>,
}

fn fixtures() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/chat"))
}

fn template(source: &str, tokens: &serde_json::Value) -> Result<ChatTemplate, ChatTemplateError> {
    let files = TokenizerFiles {
        tokenizer_config: Some(tokens.to_string().into_bytes()),
        chat_template: Some(source.as_bytes().to_vec()),
        ..TokenizerFiles::default()
    };
    let noon = jiff::civil::date(2024, 7, 26).at(12, 30, 0, 0);
    Ok(ChatTemplate::from_files(&files)?.unwrap().at(noon))
}

fn render(source: &str) -> Result<String, ChatTemplateError> {
    let messages = [Message::new("user", "hello there")];
    template(source, &json!({ "eos_token": "</s>" }))?.render(&messages, true)
}

fn from_config(
    chat_template: serde_json::Value,
) -> Result<Option<ChatTemplate>, ChatTemplateError> {
    let config = json!({ "eos_token": {"content": "</s>"}, "chat_template": chat_template });
    ChatTemplate::from_files(&TokenizerFiles {
        tokenizer_config: Some(config.to_string().into_bytes()),
        ..TokenizerFiles::default()
    })
}

#[test]
fn every_template_renders_as_in_transformers() {
    let cases = std::fs::read_to_string(fixtures().join("cases.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&cases).unwrap();
    assert_eq!(cases.len(), 98);
    for case in cases {
        let path = fixtures().join(format!("{}.jinja", case.template));
        let source = std::fs::read_to_string(path).unwrap();
        let template = template(&source, &case.tokens).unwrap();
        let result = template.render(&case.messages, case.add_generation_prompt);
        let context = format!("{} with {:?}", case.template, case.messages);
        match (case.rendered, case.refused) {
            (Some(rendered), None) => assert_eq!(result.unwrap(), rendered, "{context}"),
            (None, Some(message)) => match result.unwrap_err() {
                ChatTemplateError::Refused(found) => assert_eq!(found, message, "{context}"),
                other => panic!("{context}: expected a refusal, found {other:?}"),
            },
            _ => panic!("{context}: a case has exactly one outcome"),
        }
    }
}

#[test]
fn an_empty_conversation_is_an_error() {
    let result = template("{{ messages | length }}", &json!({}))
        .unwrap()
        .render(&[], true);
    assert!(matches!(result, Err(ChatTemplateError::Empty)));
}

#[test]
fn the_template_comes_from_the_string_the_list_or_the_file() {
    let messages = [Message::new("user", "hi")];
    let text = |template: Option<ChatTemplate>| template.unwrap().render(&messages, false).unwrap();

    assert_eq!(
        text(from_config(json!("{{ messages[0].content }}{{ eos_token }}")).unwrap()),
        "hi</s>"
    );
    let list =
        json!([{"name": "tool_use", "template": "no"}, {"name": "default", "template": "yes"}]);
    assert_eq!(text(from_config(list).unwrap()), "yes");
    assert!(from_config(json!(null)).unwrap().is_none());

    let both = TokenizerFiles {
        tokenizer_config: Some(br#"{"chat_template": "from the config"}"#.to_vec()),
        chat_template: Some(b"from the file\n".to_vec()),
        ..TokenizerFiles::default()
    };
    assert_eq!(
        text(ChatTemplate::from_files(&both).unwrap()),
        "from the file"
    );
    assert!(
        ChatTemplate::from_files(&TokenizerFiles::default())
            .unwrap()
            .is_none()
    );
}

#[test]
fn unusable_templates_say_why() {
    let message = |entry| from_config(entry).unwrap_err().to_string();
    assert_eq!(
        message(json!([{"name": "rag", "template": "x"}])),
        "chat_template in tokenizer_config.json: the list has no template named \"default\""
    );
    assert_eq!(
        message(json!(7)),
        "chat_template in tokenizer_config.json: expected a string or a list of {name, template}"
    );
    let syntax = message(json!("{% for %}"));
    assert!(
        syntax.starts_with("the model's chat template is not valid Jinja: "),
        "{syntax}"
    );
    assert!(syntax.contains("chat template:1"), "{syntax}");
}

#[test]
fn hostile_templates_are_stopped() {
    let spin = "{% for a in range(9999) %}{% for b in range(9999) %}{% for c in range(9999) %}\
                {% endfor %}{% endfor %}{% endfor %}";
    assert!(matches!(render(spin), Err(ChatTemplateError::OutOfFuel)));
    let recurse = "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}";
    assert!(matches!(render(recurse), Err(ChatTemplateError::Render(_))));
    for outside in [
        "{% include '/etc/passwd' %}",
        "{% import 'x' as y %}",
        "{{ ''.__class__.__mro__ }}",
        "{{ ''[::-1] }}",
    ] {
        assert!(
            matches!(render(outside), Err(ChatTemplateError::Render(_))),
            "{outside}"
        );
    }
}

#[test]
fn an_exception_raised_inside_a_macro_is_still_the_templates_own() {
    let source = "{% macro f() %}{{ raise_exception('no ' ~ 'robots') }}{% endmacro %}{{ f() }}";
    let error = render(source).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the model's chat template refuses this conversation: no robots"
    );
}

#[test]
fn the_date_is_the_callers() {
    assert_eq!(
        render("{{ strftime_now('%d %b %Y, %H:%M') }}").unwrap(),
        "26 Jul 2024, 12:30"
    );
}
