//! One writer per annotator: an advisory lock on `feedback/<annotator>/lock`.

use super::StoreError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::Path;

/// Who holds a lock.
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
        let host = file()
            .or_else(|| variable("HOSTNAME"))
            .or_else(|| variable("COMPUTERNAME"));
        let host = host.map_or_else(|| "unknown host".into(), |host| host.trim().to_owned());
        Self {
            pid: std::process::id(),
            host,
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on {}", self.pid, self.host)
    }
}

/// A lock that is held until it is dropped. The system releases it when the process dies, and the
/// file stays: removing it would let two processes lock two different files.
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Locks an annotator's folder.
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
            Err(TryLockError::Error(source)) => return Err(failed()(source)),
        }
        let json = serde_json::to_vec(&Holder::this()).map_err(io::Error::from);
        let written = json.and_then(|json| file.set_len(0).and_then(|()| file.write_all(&json)));
        written.map_err(failed())?;
        Ok(Self { _file: file })
    }
}
