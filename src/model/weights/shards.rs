//! The index of a model whose weights lie in several files: `model.safetensors.index.json`.

use std::collections::BTreeSet;
use std::path::Path;

use super::WeightsError;

/// The shard file names of an index; a name that leaves the folder is refused.
pub(super) fn shards(index: &Path) -> Result<BTreeSet<String>, WeightsError> {
    let fail = |reason: String| WeightsError::Index {
        path: index.to_owned(),
        reason,
    };
    let bytes = std::fs::read(index).map_err(|source| WeightsError::Io {
        path: index.to_owned(),
        source,
    })?;
    let json: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|e| fail(format!("not JSON: {e}")))?;
    let map = json
        .get("weight_map")
        .and_then(serde_json::Value::as_object)
        .ok_or_else(|| {
            fail("no weight_map object; expected tensor name → shard file".to_owned())
        })?;
    let shard = |(tensor, file): (&String, &serde_json::Value)| {
        let file = file.as_str().unwrap_or_default();
        let plain = Path::new(file).file_name().is_some_and(|name| name == file);
        if plain {
            Ok(file.to_owned())
        } else {
            Err(fail(format!("{tensor}: {file:?} is not a plain file name")))
        }
    };
    map.iter().map(shard).collect()
}
