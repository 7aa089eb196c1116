//! One writer per annotator: an advisory lock on `feedback/<annotator>/lock`.
//!
//! The system releases the lock when its process ends, however it ends; the file stays, because
//! removing it would let two processes lock two different files. So nothing stale is ever left, and
//! whoever finds the lock taken talks to a process that lives. To take over, one leaves a [`Request`]
//! beside the lock and renews it as long as one waits; the process that has the lock looks for it
//! ([`super::session::Session::takeover_requested`]), saves, ends its session, and lets go. Only a
//! request that changes between two looks counts: nobody waits behind any other, and comparing it with
//! itself needs neither the clock nor the process table of another machine.
//!
//! Where a folder is shared between machines: NFS 4, SMB and the cluster file systems carry locks and
//! requests between machines, with a delay of some seconds for the request. Where they do not (git,
//! Syncthing, some FUSE mounts) one annotator can have a session on each of two machines at once. Then
//! too each session writes a file of its own, both are kept, and both count; an item judged twice
//! counts as judged last, by the clocks of the two machines.

use super::StoreError;
use super::log::{for_writing, replace};
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
    /// The request that was found at the last look.
    seen: Option<Vec<u8>>,
    file: File,
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
        let mut file = options
            .open(&path)
            .map_err(|error| failed()(for_writing(error)))?;
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
            seen: None,
            file,
        })
    }

    /// True once somebody asks for this lock and has renewed the request since the last look. Look
    /// less often than requests are renewed.
    pub fn is_wanted(&mut self) -> bool {
        let found = std::fs::read(place(&self.folder)).ok();
        let before = std::mem::replace(&mut self.seen, found);
        before.is_some() && self.seen.is_some() && before != self.seen
    }
}

impl Drop for Lock {
    /// Lets go at once. Closing the file would not be enough: a child process that is just being
    /// started has a copy of it for a moment, and with it the lock.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

fn place(folder: &Path) -> PathBuf {
    folder.join("lock.request")
}

/// A request to whoever has the lock of an annotator's folder: save, end and yield. Open the session
/// again and [renew](Self::renew) the request until that works, and say so if it does not for some
/// seconds: then the other process hangs or is suspended, and somebody has to end it. Dropping the
/// request withdraws it.
#[derive(Debug)]
pub struct Request {
    folder: PathBuf,
    content: Wish,
}

/// What stands in the file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Wish {
    #[serde(flatten)]
    by: Holder,
    renewed: u64,
}

impl Request {
    /// Leaves a request in an annotator's folder.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn leave(folder: &Path) -> Result<Self, StoreError> {
        let by = Holder::this();
        let content = Wish { by, renewed: 0 };
        let folder = folder.to_owned();
        let request = Self { folder, content };
        request.write().map(|()| request)
    }

    /// Says that one is still waiting.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn renew(&mut self) -> Result<(), StoreError> {
        self.content.renewed += 1;
        self.write()
    }

    fn write(&self) -> Result<(), StoreError> {
        let path = place(&self.folder);
        let json = serde_json::to_vec(&self.content).map_err(io::Error::from);
        let written = json.and_then(|json| replace(&path, &json, false));
        written.map_err(StoreError::io(&path))
    }
}

impl Drop for Request {
    /// Withdraws it, unless somebody else asks by now. One that stays is never renewed again.
    fn drop(&mut self) {
        let found = std::fs::read(place(&self.folder)).ok();
        let found = found.and_then(|json| serde_json::from_slice::<Wish>(&json).ok());
        if found.as_ref() == Some(&self.content) {
            let _ = withdraw(&self.folder);
        }
    }
}

fn withdraw(folder: &Path) -> io::Result<()> {
    match std::fs::remove_file(place(folder)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_is_renewed_is_seen_by_the_holder_and_cleared_by_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = Lock::take(dir.path(), "mia").unwrap();
        assert!(!first.is_wanted());
        let mut request = Request::leave(dir.path()).unwrap();
        assert!(!first.is_wanted());
        request.renew().unwrap();
        assert!(first.is_wanted());
        drop(first);
        let mut second = Lock::take(dir.path(), "mia").unwrap();
        assert!(!place(dir.path()).exists() && !second.is_wanted());
    }

    #[test]
    fn a_copy_of_the_file_in_a_child_process_does_not_keep_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let lock = Lock::take(dir.path(), "mia").unwrap();
        // As between fork and exec: another descriptor of the same open file.
        let copy = lock.file.try_clone().unwrap();
        assert!(Lock::take(dir.path(), "mia").is_err());
        drop(lock);
        Lock::take(dir.path(), "mia").unwrap();
        drop(copy);
    }

    #[test]
    fn a_request_of_somebody_who_gave_up_or_died_ends_no_session() {
        let dir = tempfile::tempdir().unwrap();
        let mut holder = Lock::take(dir.path(), "mia").unwrap();
        let mut request = Request::leave(dir.path()).unwrap();
        request.renew().unwrap();
        drop(request);
        assert!(!place(dir.path()).exists() && !holder.is_wanted());
        let killed = Request::leave(dir.path()).unwrap();
        std::mem::forget(killed);
        for _ in 0..3 {
            assert!(!holder.is_wanted());
        }
        // The next one who asks is heard, and is not silenced by what lies there.
        let other = Request::leave(dir.path()).unwrap();
        std::fs::write(place(dir.path()), r#"{"pid":1,"host":"oslo","renewed":4}"#).unwrap();
        drop(other);
        assert!(holder.is_wanted());
    }
}
