//! Environment variables and `--model` values.

use std::path::Path;

use rlhf::model::hub::{HubError, HubSettings, Token, Wanted};
use rlhf::model::source::{LocalModel, ModelSource, SourceError};

use super::server::{COMMIT, weights};
use super::{home, model_folder, obedient, settings, with_files};

#[test]
fn settings_follow_hugging_faces_variables() {
    let home = home();
    let read = |variables: &[(&str, &str)]| {
        let get = |name: &str| {
            variables
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, v)| (*v).to_owned())
        };
        HubSettings::from_variables(get, home.path().to_path_buf())
    };
    let default = read(&[]);
    assert_eq!(default.cache, home.path().join(".cache/huggingface/hub"));
    assert_eq!(default.endpoint, "https://huggingface.co");
    assert_eq!((default.token, default.offline), (None, false));

    assert_eq!(
        read(&[("XDG_CACHE_HOME", "/x")]).cache,
        Path::new("/x/huggingface/hub")
    );
    assert_eq!(
        read(&[("HF_HOME", "/h"), ("XDG_CACHE_HOME", "/x")]).cache,
        Path::new("/h/hub")
    );
    assert_eq!(
        read(&[("HF_HUB_CACHE", "/c"), ("HF_HOME", "/h")]).cache,
        Path::new("/c")
    );
    assert_eq!(
        read(&[("HF_HUB_CACHE", ""), ("HF_HOME", "/h")]).cache,
        Path::new("/h/hub")
    );
    assert_eq!(
        read(&[("HF_HOME", "~/hf")]).cache,
        home.path().join("hf/hub")
    );
    assert_eq!(
        read(&[("HF_ENDPOINT", "http://mirror/")]).endpoint,
        "http://mirror"
    );
    for (value, offline) in [
        ("1", true),
        ("ON", true),
        ("yes", true),
        ("0", false),
        ("", false),
    ] {
        assert_eq!(
            read(&[("HF_HUB_OFFLINE", value)]).offline,
            offline,
            "{value}"
        );
    }

    assert_eq!(read(&[("HF_TOKEN", " abc\n")]).token, Token::new("abc"));
    assert_eq!(read(&[("HF_TOKEN", " \n")]).token, None);
    std::fs::create_dir_all(home.path().join(".cache/huggingface")).unwrap();
    std::fs::write(home.path().join(".cache/huggingface/token"), "from-login\n").unwrap();
    assert_eq!(read(&[]).token, Token::new("from-login"));
    assert_eq!(read(&[("HF_TOKEN", "abc")]).token, Token::new("abc"));
}

#[test]
fn a_model_argument_is_a_folder_embedded_or_a_hub_id() {
    let home = home();
    let folder = home.path().display().to_string();
    assert_eq!(
        ModelSource::parse(&folder).unwrap(),
        ModelSource::Folder(home.path().to_path_buf())
    );
    assert_eq!(
        ModelSource::parse("embedded").unwrap(),
        ModelSource::Embedded
    );
    let hub = |text: &str| match ModelSource::parse(text) {
        Ok(ModelSource::Hub(id)) => Some((id.name().to_owned(), id.revision().to_owned())),
        _ => None,
    };
    let parsed = |name: &str, revision: &str| Some((name.to_owned(), revision.to_owned()));
    let smollm2 = "HuggingFaceTB/SmolLM2-135M-Instruct";
    assert_eq!(hub(smollm2), parsed(smollm2, "main"));
    assert_eq!(hub("org/name@v1.0"), parsed("org/name", "v1.0"));
    assert_eq!(hub("org/name@refs/pr/1"), parsed("org/name", "refs/pr/1"));
    for wrong in [
        "org/name@../../x",
        "org/name@",
        "org/na--me",
        "org/..",
        "org/na me",
        "/name",
        "org/name@a//b",
    ] {
        assert_eq!(hub(wrong), None, "{wrong}");
    }
}

#[test]
fn a_wrong_model_argument_says_what_would_be_right() {
    let message = |text: &str| ModelSource::parse(text).unwrap_err().to_string();
    for path in [
        "./missing",
        "../missing",
        "/missing/model",
        "~/model",
        "runs/ppo-001/model",
        "missing/",
    ] {
        let expected = format!(
            "there is no folder {path}: check the path (a model on the hub is written ORG/NAME"
        );
        assert!(message(path).starts_with(&expected), "{}", message(path));
    }
    let unknown = message("gpt2");
    assert!(
        unknown.starts_with("\"gpt2\" is neither a folder here, nor \"embedded\", nor a hub id"),
        "{unknown}"
    );

    let home = home();
    let file = home.path().join("model.safetensors");
    std::fs::write(&file, "").unwrap();
    let expected = format!(
        "{} is a file: pass the folder that holds config.json and the weights",
        file.display()
    );
    assert_eq!(message(&file.display().to_string()), expected);
}

#[test]
fn resolving_a_hub_id_gives_a_folder_and_its_pin() {
    let (server, home) = (with_files(&weights(), obedient()), home());
    let settings = settings(&server, &home);
    let source = ModelSource::parse("org/tiny@v1").unwrap();
    let LocalModel::Folder { path, pin } = source
        .resolve(Wanted::Model, &settings, &mut |_| {})
        .unwrap()
    else {
        panic!("a hub model is a folder");
    };
    assert_eq!(path, model_folder(&home).join("snapshots").join(COMMIT));
    let pin = pin.unwrap();
    assert_eq!(pin.to_string(), format!("org/tiny@{COMMIT}"));
    assert_eq!(
        serde_json::to_string(&pin).unwrap(),
        format!(r#"{{"name":"org/tiny","revision":"v1","commit":"{COMMIT}"}}"#)
    );
    assert_eq!(
        ModelSource::Embedded
            .resolve(Wanted::Model, &settings, &mut |_| {})
            .unwrap(),
        LocalModel::Embedded
    );

    let offline = HubSettings {
        offline: true,
        ..settings
    };
    let missing = ModelSource::parse("models/smollm2").unwrap();
    let error = missing
        .resolve(Wanted::Model, &offline, &mut |_| {})
        .unwrap_err();
    assert!(
        matches!(&error, SourceError::Hub(inner) if matches!(**inner, HubError::Offline { .. }))
    );
    assert!(
        error
            .to_string()
            .ends_with("(Nor is there a folder of that name here.)"),
        "{error}"
    );
}
