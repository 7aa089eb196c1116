//! Downloading from a hub on this machine.

mod server;
mod source;
mod transfer;

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::time::Duration;

use rlhf::model::hub::{self, HubError, HubId, HubSettings, Snapshot, Token, Wanted};
use tempfile::TempDir;

use server::{COMMIT, Fault, Plan, Request, Server, weights};

const OTHER_COMMIT: &str = "89abcdef0123456789abcdef0123456789abcdef";
const SECRET: &str = "hf_verySecretToken";

fn with_files(weights: &[u8], plan: Plan) -> Server {
    let files: [(&str, &[u8]); 8] = [
        (".gitattributes", b"x"),
        ("README.md", b"not needed"),
        ("config.json", br#"{"model_type": "llama"}"#),
        ("model.safetensors", weights),
        ("pytorch_model.bin", b"not needed"),
        ("tokenizer.json", b"{}"),
        ("tokenizer_config.json", b"{ }"),
        ("generation_config.json", b"{  }"),
    ];
    Server::new(&files, plan)
}

fn obedient() -> Plan {
    Box::new(|_, _| Fault::None)
}

/// Applies `fault` to the first `times` transfers of paths ending in `file`, and to the probes
/// before them.
fn faulty(file: &'static str, times: usize, fault: Fault) -> Plan {
    Box::new(move |request, before| {
        if request.path.ends_with(file) && before < times {
            fault
        } else {
            Fault::None
        }
    })
}

fn settings(server: &Server, home: &TempDir) -> HubSettings {
    HubSettings {
        endpoint: format!("http://{}", server.address),
        retries: 2,
        retry_wait: Duration::ZERO,
        ..HubSettings::new(home.path().join("hub"))
    }
}

fn id(text: &str) -> HubId {
    HubId::parse(text).unwrap()
}

fn fetch(settings: &HubSettings) -> Result<Snapshot, HubError> {
    hub::fetch(&id("org/tiny"), Wanted::Model, settings, &mut |_| {})
}

fn home() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn model_folder(home: &TempDir) -> PathBuf {
    home.path().join("hub").join("models--org--tiny")
}

/// A cache as Python leaves it, of the files named.
fn cached(home: &TempDir, files: &[&str]) -> PathBuf {
    let snapshot = model_folder(home).join("snapshots").join(COMMIT);
    std::fs::create_dir_all(&snapshot).unwrap();
    std::fs::create_dir_all(model_folder(home).join("refs")).unwrap();
    std::fs::write(model_folder(home).join("refs/main"), COMMIT).unwrap();
    for file in files {
        std::fs::write(snapshot.join(file), "{}").unwrap();
    }
    snapshot
}

fn read(snapshot: &Snapshot, file: &str) -> Vec<u8> {
    std::fs::read(snapshot.folder.join(file)).unwrap()
}

#[test]
fn downloads_what_is_needed_once() {
    let (server, home) = (with_files(&weights(), obedient()), home());
    let mut settings = settings(&server, &home);
    let mut last = HashMap::new();
    let snapshot = hub::fetch(&id("org/tiny"), Wanted::Model, &settings, &mut |transfer| {
        last.insert(transfer.file.to_owned(), (transfer.done, transfer.total));
    });
    let snapshot = snapshot.unwrap();

    assert_eq!(snapshot.commit, COMMIT);
    assert_eq!(
        snapshot.folder,
        model_folder(&home).join("snapshots").join(COMMIT)
    );
    assert_eq!(read(&snapshot, "model.safetensors"), weights());
    assert_eq!(
        read(&snapshot, "config.json"),
        br#"{"model_type": "llama"}"#
    );
    assert_eq!(last["model.safetensors"], (100_000, 100_000));
    assert_eq!(last["tokenizer.json"], (2, 2));
    let mut names: Vec<_> = std::fs::read_dir(&snapshot.folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let needed = [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
    ];
    assert_eq!(names[..4], needed);
    assert_eq!(names[4..], ["tokenizer_config.json"]);
    let refs: Vec<_> = std::fs::read_dir(model_folder(&home).join("refs"))
        .unwrap()
        .collect();
    assert_eq!(refs.len(), 1);
    let main = std::fs::read_to_string(model_folder(&home).join("refs/main")).unwrap();
    assert_eq!(main, COMMIT);

    // The weights come last, so that a snapshot with weights is whole.
    let requests = server.requests();
    assert!(
        requests.last().unwrap().path.ends_with("model.safetensors"),
        "{requests:?}"
    );
    assert!(
        requests
            .iter()
            .all(|request| request.authorization.is_none())
    );
    assert_eq!(fetch(&settings).unwrap(), snapshot);
    settings.offline = true;
    assert_eq!(fetch(&settings).unwrap(), snapshot);
    assert_eq!(server.requests().len(), requests.len());
}

#[test]
fn a_tokenizer_is_had_without_the_weights_and_the_weights_come_when_they_are_wanted() {
    let (server, home) = (with_files(&weights(), obedient()), home());
    let settings = settings(&server, &home);
    let fetch = |wanted| hub::fetch(&id("org/tiny"), wanted, &settings, &mut |_| {}).unwrap();
    let snapshot = fetch(Wanted::Tokenizer);
    assert_eq!(read(&snapshot, "tokenizer.json"), b"{}");
    assert_eq!(read(&snapshot, "tokenizer_config.json"), b"{ }");
    assert!(!snapshot.folder.join("model.safetensors").exists());
    let asked = |name: &str| server.requests().iter().any(|r| r.path.ends_with(name));
    assert!(asked("tokenizer.json") && !asked("model.safetensors"));
    // What is there is not asked for again, and is no model yet.
    let before = server.requests().len();
    assert_eq!(fetch(Wanted::Tokenizer), snapshot);
    assert_eq!(server.requests().len(), before);
    let model = fetch(Wanted::Model);
    assert_eq!(read(&model, "model.safetensors"), weights());

    // A repository of a tokenizer alone has one, and no model.
    let alone = Server::new(&[("tokenizer.json", b"{}")], obedient());
    let home = self::home();
    let settings = self::settings(&alone, &home);
    let fetch = |wanted| hub::fetch(&id("org/tiny"), wanted, &settings, &mut |_| {});
    fetch(Wanted::Tokenizer).unwrap();
    let said = fetch(Wanted::Model).unwrap_err().to_string();
    assert!(
        said.contains("org/tiny@main holds no config.json"),
        "{said}"
    );
}

#[test]
fn a_cache_made_by_python_is_used_without_network() {
    let home = home();
    let folder = cached(
        &home,
        &["config.json", "model.safetensors", "tokenizer.json"],
    );
    let settings = HubSettings {
        offline: true,
        ..HubSettings::new(home.path().join("hub"))
    };
    let expected = Snapshot {
        folder,
        commit: COMMIT.to_owned(),
    };
    assert_eq!(fetch(&settings).unwrap(), expected);
    let pinned = id(&format!("org/tiny@{COMMIT}"));
    assert_eq!(
        hub::fetch(&pinned, Wanted::Model, &settings, &mut |_| {}).unwrap(),
        expected
    );

    let other = id(&format!("org/tiny@{OTHER_COMMIT}"));
    let error = hub::fetch(&other, Wanted::Model, &settings, &mut |_| {}).unwrap_err();
    assert!(matches!(error, HubError::Offline { .. }));
}

#[test]
fn a_revision_is_pinned_for_all_files_and_recorded() {
    for (text, reference) in [
        ("org/tiny@v1", "refs/v1"),
        ("org/tiny@refs/pr/1", "refs/refs/pr/1"),
    ] {
        let (server, home) = (with_files(&weights(), obedient()), home());
        let snapshot = hub::fetch(
            &id(text),
            Wanted::Model,
            &settings(&server, &home),
            &mut |_| {},
        )
        .unwrap();
        assert_eq!(snapshot.commit, COMMIT);
        let recorded = std::fs::read_to_string(model_folder(&home).join(reference)).unwrap();
        assert_eq!(recorded, COMMIT);
        let start = format!("/org/tiny/resolve/{COMMIT}/");
        let requests = server.requests();
        assert!(
            requests[1..]
                .iter()
                .all(|request| request.path.starts_with(&start)),
            "{requests:?}"
        );
    }
}

#[test]
fn the_token_goes_to_the_hub_and_into_no_message() {
    for status in [401, 403, 404, 500, 418] {
        let (server, home) = (
            with_files(&weights(), faulty("main", 9, Fault::Status(status))),
            home(),
        );
        let settings = HubSettings {
            token: Token::new(SECRET),
            ..settings(&server, &home)
        };
        let error = fetch(&settings).unwrap_err();
        let shown = format!("{error} {error:?} {settings:?}");
        assert!(!shown.contains("hf_very"), "{shown}");
        let sent = format!("Bearer {SECRET}");
        assert_eq!(
            server.requests()[0].authorization.as_deref(),
            Some(sent.as_str())
        );
    }
}

#[test]
fn weights_may_be_redirected_to_a_store() {
    let redirect_weights: Plan = Box::new(|request, _| {
        if request.path.ends_with("model.safetensors") && !request.path.starts_with("/store") {
            Fault::Redirect
        } else {
            Fault::None
        }
    });
    let (server, home) = (with_files(&weights(), redirect_weights), home());
    let settings = HubSettings {
        token: Token::new(SECRET),
        ..settings(&server, &home)
    };
    let snapshot = fetch(&settings).unwrap();
    assert_eq!(read(&snapshot, "model.safetensors"), weights());
    let stored = |request: &Request| request.path.starts_with("/store") && !request.is_probe();
    let requests = server.requests();
    let from_store: Vec<&Request> = requests.iter().filter(|request| stored(request)).collect();
    assert_eq!(from_store.len(), 1);
    assert_eq!(from_store[0].authorization, None);
}

#[test]
fn refusals_say_what_to_do() {
    let message = |status: u16, token: Option<Token>| {
        let (server, home) = (
            with_files(&weights(), faulty("main", 9, Fault::Status(status))),
            home(),
        );
        let settings = HubSettings {
            token,
            ..settings(&server, &home)
        };
        let error = fetch(&settings).unwrap_err();
        assert_eq!(server.requests().len(), 1);
        error
            .to_string()
            .replace(&server.address.to_string(), "HUB")
    };
    let denied = message(401, None);
    assert!(
        denied.starts_with(
            "http://HUB refuses access to org/tiny@main (HTTP 401, no token was sent): "
        ),
        "{denied}"
    );
    assert!(denied.contains("set HF_TOKEN"), "{denied}");
    assert!(message(403, Token::new(SECRET)).contains("(HTTP 403, with your token)"));
    assert!(message(404, None).starts_with("http://HUB has no org/tiny@main (HTTP 404): "));
    let broken = message(503, None);
    let start = "cannot download the file list of org/tiny@main from http://HUB: HTTP 503. Without a network: ";
    assert!(broken.starts_with(start), "{broken}");
}

#[test]
fn without_a_network_the_error_says_what_to_do() {
    let home = home();
    let offline = HubSettings {
        offline: true,
        ..HubSettings::new(home.path().join("hub"))
    };
    let error = fetch(&offline).unwrap_err().to_string();
    let cache = home.path().join("hub").display().to_string();
    let expected = format!(
        "org/tiny@main is not in the Hugging Face cache ({cache}), and HF_HUB_OFFLINE forbids downloading it. \
         Without a network: download it elsewhere (`hf download ORG/NAME`) and pass that folder to --model, or \
         copy the cache here and set HF_HOME to it"
    );
    assert_eq!(error, expected);

    // A port that nothing listens on any more.
    let address = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let endpoint = format!("http://{address}");
    let unreachable = HubSettings {
        endpoint,
        offline: false,
        ..offline
    };
    let error = fetch(&unreachable).unwrap_err();
    assert!(matches!(error, HubError::Network { .. }), "{error}");
    assert!(error.to_string().contains("set HF_HOME"), "{error}");

    // Python may have cached a model without its tokenizer: better than nothing.
    let folder = cached(&home, &["config.json", "model.safetensors"]);
    assert_eq!(fetch(&unreachable).unwrap().folder, folder);
}

#[test]
fn https_is_compiled_in() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("https://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut record = [0; 3];
        stream.read_exact(&mut record).unwrap();
        stream
            .write_all(b"HTTP/1.1 400 This is not TLS\r\n\r\n")
            .unwrap();
        record
    });
    let home = home();
    let settings = HubSettings {
        endpoint,
        ..HubSettings::new(home.path().join("hub"))
    };
    let error = fetch(&settings).unwrap_err();
    assert!(matches!(error, HubError::Network { .. }), "{error}");
    // A TLS handshake record, version 3.x (RFC 8446, section 5.1).
    assert_eq!(server.join().unwrap()[..2], [22, 3]);
}

fn index(shard: &str) -> String {
    format!(r#"{{"weight_map": {{"a": "model-00001-of-00002.safetensors", "b": "{shard}"}}}}"#)
}

#[test]
fn shards_are_downloaded_by_their_index() {
    let index = index("model-00002-of-00002.safetensors");
    let files: [(&str, &[u8]); 5] = [
        ("config.json", b"{}"),
        ("tokenizer.json", b"{}"),
        ("model.safetensors.index.json", index.as_bytes()),
        ("model-00001-of-00002.safetensors", b"one"),
        ("model-00002-of-00002.safetensors", b"two"),
    ];
    let (server, home) = (Server::new(&files, obedient()), home());
    let snapshot = fetch(&settings(&server, &home)).unwrap();
    assert_eq!(read(&snapshot, "model-00001-of-00002.safetensors"), b"one");
    assert_eq!(read(&snapshot, "model-00002-of-00002.safetensors"), b"two");

    // Without one of its shards the snapshot is not whole.
    std::fs::remove_file(snapshot.folder.join("model-00002-of-00002.safetensors")).unwrap();
    let offline = HubSettings {
        offline: true,
        ..settings(&server, &home)
    };
    assert!(matches!(fetch(&offline), Err(HubError::Offline { .. })));
    assert_eq!(fetch(&settings(&server, &home)).unwrap(), snapshot);
}

#[test]
fn paths_in_an_index_are_refused() {
    for hostile in [
        "../../../evil",
        "/etc/passwd",
        "a/b.safetensors",
        "..",
        "",
        "x.safetensors?y",
        r"..\\evil",
    ] {
        let index = index(hostile);
        let files: [(&str, &[u8]); 3] = [
            ("config.json", b"{}"),
            ("model.safetensors.index.json", index.as_bytes()),
            ("model-00001-of-00002.safetensors", b"one"),
        ];
        let (server, home) = (Server::new(&files, obedient()), home());
        let error = fetch(&settings(&server, &home)).unwrap_err();
        assert!(
            matches!(error, HubError::Index { .. }),
            "{hostile}: {error}"
        );
        assert!(
            error
                .to_string()
                .ends_with("which is not a plain file name"),
            "{error}"
        );
        let asked =
            |request: &Request| request.path.contains("evil") || request.path.contains("passwd");
        assert!(!server.requests().iter().any(asked));
    }
}

#[test]
fn answers_of_something_else_than_a_hub_are_refused() {
    let cases = [
        ("main", Fault::Header("sha", "../../evil")),
        ("config.json", Fault::Header("etag", "\"../../evil\"")),
        ("config.json", Fault::Header("x-repo-commit", OTHER_COMMIT)),
        ("config.json", Fault::Header("content-range", "bytes 0-0/*")),
        ("config.json", Fault::Status(418)),
    ];
    for (file, fault) in cases {
        let (server, home) = (with_files(&weights(), faulty(file, 9, fault)), home());
        let error = fetch(&settings(&server, &home)).unwrap_err();
        assert!(matches!(error, HubError::Protocol { .. }), "{error}");
        assert!(
            error.to_string().ends_with("; check HF_ENDPOINT"),
            "{error}"
        );
        assert!(!home.path().join("hub").join("evil").exists());
    }
}

#[test]
fn repositories_without_a_readable_model_are_refused() {
    let message = |files: &[(&str, &[u8])]| {
        let (server, home) = (Server::new(files, obedient()), home());
        let error = fetch(&settings(&server, &home)).unwrap_err();
        assert_eq!(server.requests().len(), 1);
        error.to_string()
    };
    assert_eq!(
        message(&[("config.json", b"{}"), ("pytorch_model.bin", b"x")]),
        "org/tiny@main holds no model.safetensors (PyTorch .bin and GGUF files are not read); its files: \
         config.json, pytorch_model.bin"
    );
    assert_eq!(
        message(&[("model.safetensors", b"x")]),
        "org/tiny@main holds no config.json; its files: model.safetensors"
    );
}
