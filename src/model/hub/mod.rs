//! Models from the Hugging Face hub: out of the cache that Python shares, or downloaded into it.
//!
//! The cache answers alone when it holds the model, so a revision such as `main` stays what it was
//! when it was first fetched; name a commit to choose. Downloads go through the hf-hub crate, with
//! these additions: all files are of the one commit that the revision meant at the start,
//! interrupted transfers are resumed and then checked (size, and SHA-256 for weights), and the
//! revision is recorded only when everything is there.

mod cache;
mod download;
mod settings;

use std::fmt;
use std::path::PathBuf;

pub use cache::Snapshot;
pub use settings::{HubSettings, Token};

/// Why a model cannot be had from the hub. No variant holds a token.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Not in the cache, and the network may not be used.
    #[error(
        "{id} is not in the Hugging Face cache ({}), and HF_HUB_OFFLINE forbids downloading it. {WITHOUT_NETWORK}",
        cache.display()
    )]
    Offline {
        /// The model.
        id: HubId,
        /// Where it was looked for.
        cache: PathBuf,
    },
    /// The hub could not be reached, or the transfer broke off too often.
    #[error("cannot download {file} of {id} from {endpoint}: {reason}. {WITHOUT_NETWORK}")]
    Network {
        /// The model.
        id: HubId,
        /// The file, or `the file list`.
        file: String,
        /// The hub's address.
        endpoint: String,
        /// What failed.
        reason: String,
    },
    /// HTTP 401 or 403.
    #[error(
        "{endpoint} refuses access to {id} (HTTP {status}, {}): the id may be misspelt, or the model is private or \
         gated; accept its terms on its page and set HF_TOKEN to a token that may read it",
        if *with_token { "with your token" } else { "no token was sent" }
    )]
    Denied {
        /// The model.
        id: HubId,
        /// The hub's address.
        endpoint: String,
        /// HTTP status.
        status: u16,
        /// Whether a token was sent.
        with_token: bool,
    },
    /// HTTP 404.
    #[error(
        "{endpoint} has no {id} (HTTP 404): check the spelling of the id and of the revision after @"
    )]
    NotFound {
        /// The model.
        id: HubId,
        /// The hub's address.
        endpoint: String,
    },
    /// The repository lacks a file without which no model can be loaded.
    #[error("{id} holds no {file}; its files: {found}")]
    MissingFile {
        /// The model.
        id: HubId,
        /// What is needed.
        file: &'static str,
        /// What is there.
        found: String,
    },
    /// What arrived is not what the hub announced.
    #[error(
        "{file} of {id} arrives damaged: {reason}; try again later, or download it by other means"
    )]
    Damaged {
        /// The model.
        id: HubId,
        /// The file.
        file: String,
        /// Expected and found.
        reason: String,
    },
    /// The shard index is malformed or hostile.
    #[error("model.safetensors.index.json cannot be trusted: {reason}")]
    Index {
        /// What is wrong with it.
        reason: String,
    },
    /// The answer is not that of a Hugging Face hub.
    #[error("{endpoint} does not answer as a Hugging Face hub: {reason}; check HF_ENDPOINT")]
    Protocol {
        /// The hub's address.
        endpoint: String,
        /// What is wrong with the answer.
        reason: String,
    },
    /// Another process is downloading the same file.
    #[error("another process is downloading into {}; wait for it to finish", lock.display())]
    Locked {
        /// The lock file.
        lock: PathBuf,
    },
    /// The cache cannot be written.
    #[error("cannot write the Hugging Face cache {}: {source}; set HF_HOME to a folder with space", cache.display())]
    Cache {
        /// The cache.
        cache: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
}

const WITHOUT_NETWORK: &str = "Without a network: download it elsewhere (`hf download ORG/NAME`) and pass that \
                               folder to --model, or copy the cache here and set HF_HOME to it";

/// A model on the hub: `org/name`, at a revision (branch, tag or commit).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubId {
    name: String,
    revision: String,
}

impl HubId {
    /// Reads `org/name` or `org/name@revision`; `None` if it has another form.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, revision) = text.split_once('@').unwrap_or((text, "main"));
        let (organisation, model) = name.split_once('/')?;
        let part =
            |text: &str| cache::is_plain_name(text) && !text.contains("--") && !text.contains("..");
        let well_formed =
            part(organisation) && part(model) && revision.split('/').all(cache::is_plain_name);
        well_formed.then(|| Self {
            name: name.to_owned(),
            revision: revision.to_owned(),
        })
    }

    /// `org/name`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Branch, tag or commit; `main` unless given.
    pub fn revision(&self) -> &str {
        &self.revision
    }
}

impl fmt::Display for HubId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.revision)
    }
}

/// Which files of a model are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// All that a model is made of.
    Model,
    /// The tokenizer, and the configuration if there is one: kilobytes instead of gigabytes.
    Tokenizer,
}

/// How far the download of one file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer<'a> {
    /// The file's name.
    pub file: &'a str,
    /// Bytes here, those of an earlier attempt included.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

/// The folder of a hub model: from the cache if what is wanted is there, else downloaded; `progress`
/// hears of every few kilobytes.
///
/// A model without tokenizer.json counts as incomplete, but is returned if nothing more can be had.
///
/// # Errors
/// See [`HubError`].
pub fn fetch(
    id: &HubId,
    wanted: Wanted,
    settings: &HubSettings,
    progress: &mut dyn FnMut(Transfer<'_>),
) -> Result<Snapshot, HubError> {
    let cached = cache::find(&settings.cache, id);
    if let Some(snapshot) = cached.as_ref().filter(|found| found.is_complete(wanted)) {
        return Ok(snapshot.clone());
    }
    let downloaded = if settings.offline {
        Err(HubError::Offline {
            id: id.clone(),
            cache: settings.cache.clone(),
        })
    } else {
        download::download(id, wanted, settings, progress)
    };
    match (downloaded, cached) {
        (Err(HubError::Offline { .. } | HubError::Network { .. }), Some(snapshot))
            if snapshot.is_usable() =>
        {
            Ok(snapshot)
        }
        (downloaded, _) => downloaded,
    }
}
