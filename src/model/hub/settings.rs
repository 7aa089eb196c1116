//! Where the hub is, where its cache is, and who asks: Hugging Face's environment variables, read
//! in one place.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// An access token. It goes into request headers and nowhere else: printing it prints nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token, without the white space that files and shells leave around it; `None` if nothing is
    /// left.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// How to reach the hub.
#[derive(Debug, Clone)]
pub struct HubSettings {
    /// The cache, holding `models--org--name` folders.
    pub cache: PathBuf,
    /// The hub's address without a final slash.
    pub endpoint: String,
    /// Access token for private and gated models.
    pub token: Option<Token>,
    /// Whether the network must not be used.
    pub offline: bool,
    /// How often an interrupted download is resumed before giving up.
    pub retries: u32,
    /// Wait before the first resumption; doubled before each further one.
    pub retry_wait: Duration,
}

impl HubSettings {
    /// Settings for the cache folder `cache`: the public hub, no token.
    pub fn new(cache: PathBuf) -> Self {
        Self {
            cache,
            endpoint: DEFAULT_ENDPOINT.to_owned(),
            token: None,
            offline: false,
            retries: 5,
            retry_wait: Duration::from_secs(1),
        }
    }

    /// Reads the variables that `huggingface_hub` reads from this process's environment; see
    /// [`from_variables`](Self::from_variables).
    pub fn from_env() -> Self {
        let home = std::env::home_dir().unwrap_or_default();
        Self::from_variables(|name| std::env::var(name).ok(), home)
    }

    /// Reads the variables that `huggingface_hub` reads; empty ones count as unset.
    ///
    /// Cache: `HF_HUB_CACHE`, or `hub` in `HF_HOME`, or in `XDG_CACHE_HOME/huggingface`, or in
    /// `~/.cache/huggingface`. Token: `HF_TOKEN`, or the file `HF_TOKEN_PATH`, or `token` beside
    /// the cache (where `hf auth login` puts it). `HF_ENDPOINT`. `HF_HUB_OFFLINE` or
    /// `TRANSFORMERS_OFFLINE`: 1, true, yes, on.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>, home: PathBuf) -> Self {
        let get = |name: &str| variable(name).filter(|value| !value.is_empty());
        let path = |name: &str| {
            get(name).map(|value| match value.strip_prefix("~/") {
                Some(rest) => home.join(rest),
                None => PathBuf::from(value),
            })
        };
        let flag = |name: &str| {
            let value = get(name).unwrap_or_default().to_lowercase();
            ["1", "true", "yes", "on"].contains(&value.as_str())
        };
        let user_cache = || path("XDG_CACHE_HOME").unwrap_or_else(|| home.join(".cache"));
        let hf_home = path("HF_HOME").unwrap_or_else(|| user_cache().join("huggingface"));
        let cache = path("HF_HUB_CACHE").unwrap_or_else(|| hf_home.join("hub"));
        let token_file = path("HF_TOKEN_PATH").unwrap_or_else(|| hf_home.join("token"));
        let token = get("HF_TOKEN").or_else(|| std::fs::read_to_string(token_file).ok());
        let endpoint = get("HF_ENDPOINT").unwrap_or_else(|| DEFAULT_ENDPOINT.to_owned());
        Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: token.as_deref().and_then(Token::new),
            offline: flag("HF_HUB_OFFLINE") || flag("TRANSFORMERS_OFFLINE"),
            ..Self::new(std::path::absolute(&cache).unwrap_or(cache))
        }
    }
}
