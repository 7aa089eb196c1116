//! The Hugging Face cache on disk, shared with Python: `models--org--name/{refs,snapshots,blobs}`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{HubError, HubId, Wanted};

/// Weights in one file.
pub(super) const WEIGHTS: &str = "model.safetensors";
/// Which tensor is in which shard.
pub(super) const INDEX: &str = "model.safetensors.index.json";

/// The vocabulary.
pub(super) const TOKENIZER: &str = "tokenizer.json";

/// One commit of a model in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// A folder with the model's files.
    pub folder: PathBuf,
    /// The commit that the revision stood for: what makes a run repeatable.
    pub commit: String,
}

impl Snapshot {
    /// Whether configuration and all weights are there.
    pub(super) fn is_usable(&self) -> bool {
        let has = |name: &str| self.folder.join(name).is_file();
        let sharded = || {
            let shards = std::fs::read(self.folder.join(INDEX))
                .ok()
                .and_then(|json| shards(&json).ok());
            shards.is_some_and(|shards| shards.iter().all(|shard| has(shard)))
        };
        has("config.json") && (has(WEIGHTS) || sharded())
    }

    /// Whether nothing is left to download. Python may have fetched the weights alone.
    pub(super) fn is_complete(&self, wanted: Wanted) -> bool {
        let tokenizer = self.folder.join(TOKENIZER).is_file();
        tokenizer && (wanted == Wanted::Tokenizer || self.is_usable())
    }
}

/// The folder of a model in the cache.
pub(super) fn model_folder(cache: &Path, id: &HubId) -> PathBuf {
    cache.join(format!("models--{}", id.name().replace('/', "--")))
}

/// The snapshot that the cache holds for this revision, however many of its files are there.
pub(super) fn find(cache: &Path, id: &HubId) -> Option<Snapshot> {
    let folder = model_folder(cache, id);
    let commit = if is_commit(id.revision()) {
        id.revision().to_owned()
    } else {
        let reference = std::fs::read_to_string(folder.join("refs").join(id.revision())).ok()?;
        reference.trim().to_owned()
    };
    let snapshot = Snapshot {
        folder: folder.join("snapshots").join(&commit),
        commit,
    };
    (is_commit(&snapshot.commit) && snapshot.folder.is_dir()).then_some(snapshot)
}

/// Whether `text` is a full git commit hash.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The shard files that an index names.
///
/// # Errors
/// [`HubError::Index`] if it is not an index, or if a shard is not a plain file name: a path in it
/// could point anywhere on this machine.
pub(super) fn shards(index: &[u8]) -> Result<BTreeSet<String>, HubError> {
    let fail = |reason: String| HubError::Index { reason };
    let json: Value = serde_json::from_slice(index).map_err(|error| fail(error.to_string()))?;
    let map = json.get("weight_map").and_then(Value::as_object);
    let map = map.ok_or_else(|| fail("it has no \"weight_map\" object".to_owned()))?;
    let shard = |(tensor, file): (&String, &Value)| match file.as_str() {
        Some(name) if is_plain_name(name) => Ok(name.to_owned()),
        _ => Err(fail(format!(
            "{tensor} is in {file}, which is not a plain file name"
        ))),
    };
    map.iter().map(shard).collect()
}

/// Whether `name` is one visible file in the folder it is joined to, on every system and in every
/// URL.
pub(super) fn is_plain_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    !name.is_empty() && name.len() <= 128 && !name.starts_with('.') && name.bytes().all(plain)
}
