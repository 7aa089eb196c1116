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

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::feedback::record::{Header, Kind, UtcMillis};
    use ulid::Ulid;

    #[test]
    fn a_full_disk_makes_the_log_read_only() {
        let full = PathBuf::from("/dev/full");
        let file = File::options().write(true).open(&full).unwrap();
        let mut log = Log::over(full, file);
        let header = Header {
            id: Ulid(2),
            session: Ulid(1),
            seq: 0,
            ts: UtcMillis(0),
            annotator: "mia".into(),
        };
        let mut record = Record::new(Kind::SessionStart, header);
        let error = log.append(&mut record, true).unwrap_err();
        assert_eq!(
            error.to_string(),
            "/dev/full: No space left on device (os error 28)"
        );
        let error = log.append(&mut record, true).unwrap_err();
        assert!(matches!(&error, StoreError::ReadOnly { reason } if reason.contains("No space")));
        record.annotator = "../mia".into();
        assert!(matches!(
            log.append(&mut record, true).unwrap_err(),
            StoreError::ReadOnly { .. }
        ));
    }
}
