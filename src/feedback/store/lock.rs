//! One writer per annotator: an advisory lock on `feedback/<annotator>/lock`.
//!
//! The system releases the lock when its process ends, however it ends; the file stays, because
//! removing it would let two processes lock two different files. So nothing stale is ever left, and
//! whoever finds the lock taken talks to a process that lives. To take over, one leaves a request
//! beside the lock ([`request_takeover`]); the process that has the lock looks for it
//! ([`super::session::Session::takeover_requested`]), saves, ends its session, and lets go.
//!
//! Where a folder is shared between machines: NFS 4, SMB and the cluster file systems carry locks and
//! requests between machines, with a delay of some seconds for the request. Where they do not (git,
//! Syncthing, some FUSE mounts) one annotator can have a session on each of two machines at once. Then
//! too each session writes a file of its own, both are kept, and both count; an item judged twice
//! counts as judged last.

use super::StoreError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Who holds a lock, or asks for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Process id.
    pub pid: u32,
    /// Name of the machine.
    pub host: String,
}

impl Holder {
    fn this() -> Self {
        let file = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let variable = |name| std::env::var(name).ok();
        let host = variable("HOSTNAME")
            .or_else(file)
            .or_else(|| variable("COMPUTERNAME"));
        let host = host.map_or_else(|| "unknown host".into(), |host| host.trim().to_owned());
        Self {
            pid: std::process::id(),
            host,
        }
    }

    fn json(&self) -> io::Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(io::Error::from)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on {}", self.pid, self.host)
    }
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    folder: PathBuf,
    _file: File,
}

impl Lock {
    /// Locks an annotator's folder, if nobody has it, and clears what was requested of earlier holders.
    ///
    /// # Errors
    /// [`StoreError::Locked`], or [`StoreError::Io`].
    pub fn take(folder: &Path, annotator: &str) -> Result<Self, StoreError> {
        let path = folder.join("lock");
        let failed = || StoreError::io(&path);
        let mut options = File::options();
        options.create(true).truncate(false).read(true).write(true);
        let mut file = options.open(&path).map_err(failed())?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = std::fs::read(&path).ok();
                let holder = holder.and_then(|json| serde_json::from_slice(&json).ok());
                return Err(StoreError::Locked {
                    annotator: annotator.to_owned(),
                    holder,
                });
            }
            // A file system without locks: see the top of this file.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(source)) => return Err(failed()(source)),
        }
        let json = Holder::this().json();
        let written = json.and_then(|json| file.set_len(0).and_then(|()| file.write_all(&json)));
        written.map_err(failed())?;
        withdraw(folder).map_err(StoreError::io(folder))?;
        Ok(Self {
            folder: folder.to_owned(),
            _file: file,
        })
    }

    /// True once somebody asks for this lock.
    pub fn is_wanted(&self) -> bool {
        request(&self.folder).exists()
    }
}

fn request(folder: &Path) -> PathBuf {
    folder.join("lock.request")
}

/// Asks whoever has the lock of this annotator's folder to save, end and yield. Then try to open the
/// session again until it works, and say so if it does not for some seconds: then the other process
/// hangs or is suspended, and somebody has to end it.
///
/// # Errors
/// If the request cannot be written.
pub fn request_takeover(folder: &Path) -> io::Result<()> {
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    temporary.write_all(&Holder::this().json()?)?;
    temporary
        .persist(request(folder))
        .map_err(|error| error.error)?;
    Ok(())
}

fn withdraw(folder: &Path) -> io::Result<()> {
    match std::fs::remove_file(request(folder)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_seen_by_the_holder_and_cleared_by_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::take(dir.path(), "mia").unwrap();
        assert!(!first.is_wanted());
        request_takeover(dir.path()).unwrap();
        assert!(first.is_wanted());
        drop(first);
        assert!(!Lock::take(dir.path(), "mia").unwrap().is_wanted());
    }
}
