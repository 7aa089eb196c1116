//! The file of one session: appended line by line, each on disk before the next.

use super::StoreError;
use crate::feedback::digest::Sha256;
use crate::feedback::record::Record;
use crate::feedback::record::line::{LineError, to_line};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// An append-only file and where its chain of hashes stands.
pub struct Log {
    path: PathBuf,
    file: File,
    prev: Sha256,
    offset: u64,
    failed: Option<String>,
}

impl Log {
    /// Creates a file that must not exist.
    pub fn create(path: PathBuf) -> Result<Self, StoreError> {
        let file = File::options().append(true).create_new(true).open(&path);
        let file = file.map_err(StoreError::io(&path))?;
        if let Some(folder) = path.parent() {
            sync_folder(folder).map_err(StoreError::io(folder))?;
        }
        Ok(Self::over(path, file))
    }

    /// A log that starts at the present end of `file`.
    pub fn over(path: PathBuf, file: File) -> Self {
        Self {
            path,
            file,
            prev: Sha256::ZERO,
            offset: 0,
            failed: None,
        }
    }

    /// Appends one record and returns where it lies: offset and length without the newline. With
    /// `sync`, it and all before it are on disk then.
    ///
    /// # Errors
    /// [`StoreError::Refused`] leaves the file as it was. After any other error every later call
    /// returns [`StoreError::ReadOnly`]: nobody knows what is on the disk.
    pub fn append(&mut self, record: &mut Record, sync: bool) -> Result<(u64, usize), StoreError> {
        if let Some(reason) = &self.failed {
            return Err(StoreError::ReadOnly {
                reason: reason.clone(),
            });
        }
        let mut line = match to_line(record, self.prev) {
            Err(LineError::Rule(rule)) => return Err(rule.into()),
            Err(other) => return Err(StoreError::io(&self.path)(io::Error::other(other))),
            Ok(line) => line,
        };
        let (prev, place) = (Sha256::of(&line), (self.offset, line.len()));
        line.push('\n');
        let sync_data = |()| if sync { self.file.sync_data() } else { Ok(()) };
        let written = (&self.file).write_all(line.as_bytes()).and_then(sync_data);
        if let Err(source) = written {
            let error = StoreError::io(&self.path)(source);
            self.failed = Some(error.to_string());
            return Err(error);
        }
        self.prev = prev;
        self.offset += line.len() as u64;
        Ok(place)
    }
}

/// Makes a new name in `folder` survive a power failure.
#[cfg(unix)]
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Windows cannot open a folder to sync it; its file systems log new names themselves.
#[cfg(not(unix))]
pub fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}
