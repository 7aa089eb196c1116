//! A Hugging Face hub with one model, `org/tiny`, that can be told to misbehave.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use sha2::{Digest, Sha256};

/// The commit that every revision means.
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// One request as the server saw it.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    pub range: Option<String>,
    pub authorization: Option<String>,
}

impl Request {
    /// hf-hub asks for one byte to learn a file's size and tag.
    pub fn is_probe(&self) -> bool {
        self.range.as_deref() == Some("bytes=0-0")
    }
}

/// How the server treats one request.
#[derive(Clone, Copy)]
pub enum Fault {
    None,
    Status(u16),
    /// Announces the whole body and hangs up after so many bytes.
    HangUpAfter(usize),
    /// Sends the whole file whatever range was asked for.
    IgnoreRange,
    /// Right length, wrong bytes.
    WrongBytes,
    /// Another header instead of the right one.
    Header(&'static str, &'static str),
    /// An absolute redirection to this path, as the hub's to its file store.
    Redirect,
}

/// Decides by request, and by how many requests for the same path (probes apart) came before.
pub type Plan = Box<dyn Fn(&Request, usize) -> Fault + Send>;

pub struct Server {
    pub address: SocketAddr,
    log: Arc<Mutex<Vec<Request>>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub fn new(files: &[(&str, &[u8])], plan: Plan) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let files = files
            .iter()
            .map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec()))
            .collect();
        let site = Site {
            files,
            plan,
            log: Arc::clone(&log),
            address,
        };
        let thread = std::thread::spawn(move || site.serve(&listener));
        Self {
            address,
            log,
            thread: Some(thread),
        }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    /// Ranges asked for when `file` itself was fetched.
    pub fn ranges(&self, file: &str) -> Vec<String> {
        let body = |request: &Request| request.path.ends_with(file) && !request.is_probe();
        let requests = self.requests();
        requests
            .iter()
            .filter(|request| body(request))
            .map(|r| r.range.clone().unwrap())
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // An empty request ends the loop.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            let result = thread.join();
            assert!(
                result.is_ok() || std::thread::panicking(),
                "the server failed"
            );
        }
    }
}

/// What the server's thread owns.
struct Site {
    files: HashMap<String, Vec<u8>>,
    plan: Plan,
    log: Arc<Mutex<Vec<Request>>>,
    address: SocketAddr,
}

impl Site {
    fn serve(&self, listener: &TcpListener) {
        let mut seen: HashMap<String, usize> = HashMap::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let Some(request) = read_request(&stream) else {
                return;
            };
            self.log.lock().unwrap().push(request.clone());
            let before = seen.entry(request.path.clone()).or_default();
            let fault = (self.plan)(&request, *before);
            *before += usize::from(!request.is_probe());
            // A client that hangs up early is no failure of the server.
            let _ = stream.write_all(&self.answer(&request, fault));
        }
    }

    fn answer(&self, request: &Request, fault: Fault) -> Vec<u8> {
        if let Fault::Status(status) = fault {
            return format!(
                "HTTP/1.1 {status} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
            .into();
        }
        let parts: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
        match parts[..] {
            ["api", "models", "org", "tiny", "revision", revision] => self.listing(revision, fault),
            ["org", "tiny", "resolve", COMMIT, file] | ["store", file] => {
                self.file(file, request, fault)
            }
            _ => self.answer(request, Fault::Status(404)),
        }
    }

    fn listing(&self, revision: &str, fault: Fault) -> Vec<u8> {
        assert!(
            ["main", "v1", "refs%2Fpr%2F1", COMMIT].contains(&revision),
            "{revision}"
        );
        let sha = if let Fault::Header("sha", value) = fault {
            value
        } else {
            COMMIT
        };
        let mut names: Vec<&String> = self.files.keys().collect();
        names.sort();
        let names: Vec<_> = names
            .iter()
            .map(|n| serde_json::json!({ "rfilename": n }))
            .collect();
        let body =
            serde_json::json!({ "sha": sha, "siblings": names, "private": false }).to_string();
        let head = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json";
        format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into()
    }

    fn file(&self, name: &str, request: &Request, fault: Fault) -> Vec<u8> {
        let mut whole = self.files[name].clone();
        let (tag, total) = (tag(name, &whole), whole.len());
        if matches!(fault, Fault::WrongBytes) && !request.is_probe() {
            whole = whole.iter().map(|byte| byte ^ 1).collect();
        }
        let range = request
            .range
            .as_deref()
            .unwrap()
            .strip_prefix("bytes=")
            .unwrap();
        let (start, end) = range.split_once('-').unwrap();
        let mut start: usize = start.parse().unwrap();
        let end = end.parse().map_or(total, |last: usize| total.min(last + 1));
        let mut status = "206 Partial Content";
        if start >= total {
            return self.answer(request, Fault::Status(416));
        }
        if matches!(fault, Fault::IgnoreRange) && !request.is_probe() {
            (start, status) = (0, "200 OK");
        }
        let mut body = &whole[start..end];
        let mut headers: HashMap<&str, String> = HashMap::from([
            ("connection", "close".to_owned()),
            ("content-length", body.len().to_string()),
            (
                "content-range",
                format!("bytes {start}-{}/{total}", end - 1),
            ),
            ("etag", format!("\"{tag}\"")),
            ("x-repo-commit", COMMIT.to_owned()),
        ]);
        match fault {
            Fault::HangUpAfter(bytes) if !request.is_probe() => body = &body[..bytes],
            Fault::Header(name, value) => {
                headers.insert(name, value.to_owned());
            }
            Fault::Redirect => {
                // Another host name for the same machine: the store must be asked without a token.
                let store = format!("http://localhost:{}/store/{name}", self.address.port());
                headers.extend([("location", store), ("x-linked-etag", format!("\"{tag}\""))]);
                headers.insert("etag", "\"of-the-redirection\"".to_owned());
                headers.insert("content-length", "0".to_owned());
                (status, body) = ("302 Found", &[]);
            }
            _ => {}
        }
        let mut head = format!("HTTP/1.1 {status}\r\n");
        for (name, value) in headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        [format!("{head}\r\n").as_bytes(), body].concat()
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.unwrap();
    let mut request = Request {
        path: first.split(' ').nth(1)?.to_owned(),
        range: None,
        authorization: None,
    };
    for line in lines
        .map(Result::unwrap)
        .take_while(|line| !line.is_empty())
    {
        let (name, value) = line.split_once(": ").unwrap();
        match name.to_lowercase().as_str() {
            "range" => request.range = Some(value.to_owned()),
            "authorization" => request.authorization = Some(value.to_owned()),
            _ => {}
        }
    }
    Some(request)
}

/// As the hub: SHA-256 for weights, a git hash (here: any 40 digits) for the rest.
pub fn tag(name: &str, bytes: &[u8]) -> String {
    let sha = Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    if name.ends_with(".safetensors") {
        sha
    } else {
        sha[..40].to_owned()
    }
}

/// 100,000 bytes in which no part repeats at a shift.
pub fn weights() -> Vec<u8> {
    (0_u32..25_000)
        .flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect()
}
