//! From the hub into the cache, through the hf-hub crate.

use std::cmp::Ordering;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use hf_hub::api::Progress;
use hf_hub::api::sync::{Api, ApiBuilder, ApiError, ApiRepo, Metadata};
use hf_hub::{Cache, Repo, RepoType};

use crate::run::Input;
use crate::run::atomic::write_atomic;

use super::cache::{self, INDEX, Snapshot, TOKENIZER, WEIGHTS};
use super::{HubError, HubId, HubSettings, Transfer, Wanted};

/// Small files, fetched before the weights so that a snapshot with weights is whole; a model requires
/// the first, a tokenizer the third.
const SIDE_FILES: [&str; 6] = [
    "config.json",
    "generation_config.json",
    TOKENIZER,
    "tokenizer_config.json",
    "chat_template.jinja",
    // Gain and bias of a reward model made by this program.
    "reward.json",
];

/// Downloads what is wanted of a model and records which commit the revision stood for.
pub(super) fn download(
    id: &HubId,
    wanted: Wanted,
    settings: &HubSettings,
    progress: &mut dyn FnMut(Transfer<'_>),
) -> Result<Snapshot, HubError> {
    let api = ApiBuilder::from_cache(Cache::new(settings.cache.clone()))
        .with_endpoint(settings.endpoint.clone())
        .with_token(
            settings
                .token
                .as_ref()
                .map(|token| token.reveal().to_owned()),
        )
        .with_user_agent("rlhf", env!("CARGO_PKG_VERSION"))
        .build();
    let job = Job {
        id,
        settings,
        api: api.map_err(|error| hub_error(id, settings, "anything", error))?,
    };
    let (commit, files) = job.list(wanted)?;
    let folder = job.folder().join("snapshots").join(&commit);
    let repo = job.repo(&commit);

    for file in SIDE_FILES
        .into_iter()
        .filter(|file| files.iter().any(|found| found == file))
    {
        job.fetch(&repo, &commit, file, progress)?;
    }
    if wanted == Wanted::Model {
        job.weights(&repo, &commit, &files, progress)?;
    }
    job.record(&commit)?;
    Ok(Snapshot { folder, commit })
}

/// One download: which model, from where.
struct Job<'a> {
    id: &'a HubId,
    settings: &'a HubSettings,
    api: Api,
}

impl Job<'_> {
    fn repo(&self, revision: &str) -> ApiRepo {
        let name = self.id.name().to_owned();
        self.api.repo(Repo::with_revision(
            name,
            RepoType::Model,
            revision.to_owned(),
        ))
    }

    /// The commit that the revision means now, and its files; an error if what is wanted is not among
    /// them.
    fn list(&self, wanted: Wanted) -> Result<(String, Vec<String>), HubError> {
        let info = self.repo(self.id.revision()).info();
        let info = info.map_err(|error| self.error("the file list", error))?;
        if !cache::is_commit(&info.sha) {
            return Err(self.protocol(format!("{:?} is not a commit", info.sha)));
        }
        let files: Vec<String> = info
            .siblings
            .into_iter()
            .map(|file| file.rfilename)
            .collect();
        let has = |name: &str| files.iter().any(|file| file == name);
        let file = match (wanted, has("config.json"), has(WEIGHTS) || has(INDEX)) {
            (Wanted::Tokenizer, ..) if !has(TOKENIZER) => TOKENIZER,
            (Wanted::Tokenizer, ..) | (Wanted::Model, true, true) => return Ok((info.sha, files)),
            (Wanted::Model, false, _) => "config.json",
            (Wanted::Model, true, false) => {
                "model.safetensors (PyTorch .bin and GGUF files are not read)"
            }
        };
        let shown: Vec<&str> = files.iter().map(String::as_str).take(20).collect();
        Err(HubError::MissingFile {
            id: self.id.clone(),
            file,
            found: shown.join(", "),
        })
    }

    /// Brings the weights: one file, or an index and the shards that it names.
    fn weights(
        &self,
        repo: &ApiRepo,
        commit: &str,
        files: &[String],
        progress: &mut dyn FnMut(Transfer<'_>),
    ) -> Result<(), HubError> {
        if files.iter().any(|file| file == WEIGHTS) {
            return self.fetch(repo, commit, WEIGHTS, progress);
        }
        self.fetch(repo, commit, INDEX, progress)?;
        let index = self.folder().join("snapshots").join(commit).join(INDEX);
        let index = fs::read(index).map_err(|source| self.cache_error(source))?;
        for shard in cache::shards(&index)? {
            self.fetch(repo, commit, &shard, progress)?;
        }
        Ok(())
    }

    /// Brings one file into the cache, resuming what an earlier attempt left, and checks it.
    fn fetch(
        &self,
        repo: &ApiRepo,
        commit: &str,
        file: &str,
        progress: &mut dyn FnMut(Transfer<'_>),
    ) -> Result<(), HubError> {
        let pointer = self.folder().join("snapshots").join(commit).join(file);
        if pointer.is_file() {
            return Ok(());
        }
        // A link whose blob was deleted would be in the way of the new one.
        let _ = fs::remove_file(&pointer);
        let (mut wait, mut left) = (self.settings.retry_wait, self.settings.retries);
        loop {
            match self.attempt(repo, commit, file, progress) {
                Err(HubError::Network { .. } | HubError::Damaged { .. }) if left > 0 => {
                    std::thread::sleep(wait);
                    wait *= 2;
                    left -= 1;
                }
                result => return result,
            }
        }
    }

    fn attempt(
        &self,
        repo: &ApiRepo,
        commit: &str,
        file: &str,
        progress: &mut dyn FnMut(Transfer<'_>),
    ) -> Result<(), HubError> {
        let metadata = self
            .api
            .metadata(&repo.url(file))
            .map_err(|error| self.error(file, error))?;
        self.check_announcement(&metadata, commit)?;
        let blob = self.folder().join("blobs").join(metadata.etag());
        prepare_resumption(&blob.with_extension("part"), metadata.size())
            .map_err(|source| self.cache_error(source))?;
        let meter = Meter {
            progress,
            file,
            done: 0,
            total: 0,
        };
        let pointer = repo.download_with_progress(file, meter);
        let pointer = pointer.map_err(|error| self.error(file, error))?;
        let damage = damage(&blob, &metadata).map_err(|source| self.cache_error(source))?;
        let Some(reason) = damage else { return Ok(()) };
        for path in [pointer, blob] {
            fs::remove_file(path).map_err(|source| self.cache_error(source))?;
        }
        Err(HubError::Damaged {
            id: self.id.clone(),
            file: file.to_owned(),
            reason,
        })
    }

    /// The entity tag becomes a file name and the commit a folder name: neither may be a path.
    fn check_announcement(&self, metadata: &Metadata, commit: &str) -> Result<(), HubError> {
        let (found, tag) = (metadata.commit_hash(), metadata.etag());
        if found != commit {
            return Err(self.protocol(format!("commit {commit} was asked for, {found:?} came")));
        }
        if tag.contains('.') || !cache::is_plain_name(tag) {
            return Err(self.protocol(format!("{tag:?} is not an entity tag")));
        }
        Ok(())
    }

    /// Records which commit the revision meant.
    fn record(&self, commit: &str) -> Result<(), HubError> {
        let references = self.folder().join("refs");
        // hf-hub leaves a reference from the commit to itself, which Python does not expect.
        let _ = fs::remove_file(references.join(commit));
        if cache::is_commit(self.id.revision()) {
            return Ok(());
        }
        let reference = references.join(self.id.revision());
        // A revision such as refs/pr/1 needs folders.
        let parent = reference.parent().unwrap_or(&references);
        fs::create_dir_all(parent).map_err(|source| self.cache_error(source))?;
        write_atomic(&reference, commit.as_bytes()).map_err(|error| self.cache_error(error.source))
    }

    fn folder(&self) -> PathBuf {
        cache::model_folder(&self.settings.cache, self.id)
    }

    fn error(&self, file: &str, error: ApiError) -> HubError {
        hub_error(self.id, self.settings, file, error)
    }

    fn protocol(&self, reason: String) -> HubError {
        HubError::Protocol {
            endpoint: self.settings.endpoint.clone(),
            reason,
        }
    }

    fn cache_error(&self, source: io::Error) -> HubError {
        HubError::Cache {
            cache: self.settings.cache.clone(),
            source,
        }
    }
}

/// Makes hf-hub's partial file one that it can resume: it asks for the bytes after the ones it has,
/// which a server refuses if there are none left.
fn prepare_resumption(part: &Path, size: usize) -> io::Result<()> {
    let length = match fs::metadata(part) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    match length.cmp(&(size as u64)) {
        Ordering::Less => Ok(()),
        Ordering::Equal if size > 0 => File::options()
            .write(true)
            .open(part)?
            .set_len(size as u64 - 1),
        Ordering::Equal | Ordering::Greater => fs::remove_file(part),
    }
}

/// What is wrong with a downloaded file: hf-hub appends to a partial file whatever the server
/// sends, and takes a body without a declared length as whole. Large files have their SHA-256 as
/// entity tag.
fn damage(blob: &Path, metadata: &Metadata) -> io::Result<Option<String>> {
    let found = Input::read(blob).map_err(io::Error::other)?;
    let (size, tag) = (metadata.size() as u64, metadata.etag());
    if found.bytes != size {
        return Ok(Some(format!(
            "{size} bytes were announced, {} came",
            found.bytes
        )));
    }
    let differs = tag.len() == 64 && found.sha256 != tag;
    Ok(differs.then(|| format!("SHA-256 {tag} was announced, {} came", found.sha256)))
}

fn hub_error(id: &HubId, settings: &HubSettings, file: &str, error: ApiError) -> HubError {
    let (id, endpoint) = (id.clone(), settings.endpoint.clone());
    let with_token = settings.token.is_some();
    let network = |reason: String| HubError::Network {
        id: id.clone(),
        file: file.to_owned(),
        endpoint: endpoint.clone(),
        reason,
    };
    match error {
        ApiError::RequestError(error) => match *error {
            ureq::Error::StatusCode(status @ (401 | 403)) => HubError::Denied {
                id,
                endpoint,
                status,
                with_token,
            },
            ureq::Error::StatusCode(404) => HubError::NotFound { id, endpoint },
            ureq::Error::StatusCode(status @ (408 | 429 | 500..)) => {
                network(format!("HTTP {status}"))
            }
            ureq::Error::StatusCode(status) => HubError::Protocol {
                endpoint,
                reason: format!("{file}: HTTP {status}"),
            },
            other => network(other.to_string()),
        },
        ApiError::IoError(source) if is_local(&source) => HubError::Cache {
            cache: settings.cache.clone(),
            source,
        },
        ApiError::LockAcquisition(lock) => HubError::Locked { lock },
        ApiError::MissingHeader(_) | ApiError::InvalidHeader(_) | ApiError::ParseIntError(_) => {
            HubError::Protocol {
                endpoint,
                reason: format!("{file}: {error}"),
            }
        }
        other => network(other.to_string()),
    }
}

/// hf-hub reports the disk's errors and the connection's alike.
fn is_local(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::StorageFull
            | Kind::QuotaExceeded
            | Kind::FileTooLarge
            | Kind::ReadOnlyFilesystem
            | Kind::PermissionDenied
            | Kind::NotADirectory
            | Kind::NotFound
            | Kind::AlreadyExists
    )
}

/// Passes hf-hub's progress on.
struct Meter<'a> {
    progress: &'a mut dyn FnMut(Transfer<'_>),
    file: &'a str,
    done: u64,
    total: u64,
}

impl Progress for Meter<'_> {
    // Called again when a partial file is resumed, followed by an update with the bytes already
    // here.
    fn init(&mut self, size: usize, _filename: &str) {
        self.done = 0;
        self.total = size as u64;
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        (self.progress)(Transfer {
            file: self.file,
            done: self.done,
            total: self.total,
        });
    }

    fn finish(&mut self) {}
}
